/*
 * format_json.c
 *		JSON documents into rows.
 *
 * simdjson lists a document's structure; unless that looks like the one before
 * (format_json_shape.c), the walk checks all of it and marks where wanted
 * values stand, and only then values go into the row, so that a
 * record that is malformed at its end leaves nothing behind. Values are the
 * texts that json_populate_record would hand to input functions: a string's
 * unescaped inside, everything else as it stands in the document.
 *
 * Memory: texts point into the payload, unescaped strings are in the batch's
 * arena; the parser is malloc'd and ends with the decoder. Locks: none.
 */
#include "format/format_decoder.h"
#include "format/format_json.h"
#include "format/format_scalar.h"

typedef struct SqJsonDecoder
{
	SqDecoder decoder;
	SqSimdjson *parser; /* NULL: not yet needed */
	SqJsonTree tree;
	SqJsonNode **nodes; /* of the fields */
	bool any_kind;      /* some path fits documents that are no objects */
	SqJsonShape *shape;
} SqJsonDecoder;

/* simdjson counts in 32 bits and rounds up. */
#define MAX_DOCUMENT (PG_UINT32_MAX - 64)

/* ---- Errors ---- */

static SqStatus
structure_error(SqSimdjsonResult result, SqSlice payload,
				const SqSimdjsonIndex *index, SqError *error)
{
	if (result == SQ_SIMDJSON_NO_MEMORY)
		return sq_error_set(error, ERRCODE_OUT_OF_MEMORY, "out of memory");
	if (result == SQ_SIMDJSON_NOT_UTF8)
		return sq_format_text_error(payload, error);
	sq_error_set(error, ERRCODE_INVALID_TEXT_REPRESENTATION, "invalid JSON");
	sq_error_detail(error, "%s.", index->message);
	return SQ_ERROR;
}

/* A document whose top level is not an object, where no path expects that. */
static SqStatus
top_level_error(char kind, SqError *error)
{
	const char *what = "a boolean";

	if (kind == '[')
		what = "an array";
	else if (kind == '"')
		what = "a string";
	else if (kind == '0')
		what = "a number";
	return sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
						"top-level JSON value is %s, not an object", what);
}

/* ---- Values ---- */

static void
put_value(const SqTarget *target, const SqJsonNode *node, const char *document,
		  SqBatch *batch, int row)
{
	SqColumn *column = &batch->columns[target->column];
	SqSlice input = {document + node->start, node->length};

	if (node->kind == 'n')
		return;
	if (column->type == SQ_TYPE_JSON)
	{
		/* With its quotes and escapes. */
		if (node->kind == '"')
			input = (SqSlice){input.data - 1, input.length + 2};
		sq_column_set_pending(column, row, input);
		return;
	}
	if (node->escaped)
		input = sq_format_json_unescape(input.data, input.length, batch->arena);
	sq_format_put(column, row, input, target->epoch, batch->arena);
}

/* The parser is made by the first document that needs it, because opening a
 * decoder has no error. */
static inline SqSimdjsonResult
list_structure(SqJsonDecoder *decoder, SqSlice payload, SqSimdjsonIndex *index)
{
	if (unlikely(decoder->parser == NULL))
	{
		decoder->parser = sq_format_simdjson_create();
		if (decoder->parser == NULL)
			return SQ_SIMDJSON_NO_MEMORY;
	}
	return sq_format_simdjson_index(decoder->parser, payload.data,
									payload.length, index);
}

static SqStatus
json_decode(SqDecoder *base, SqSlice payload, SqBatch *batch, int row,
			SqError *error)
{
	SqJsonDecoder *decoder = (SqJsonDecoder *) base;
	SqJsonTree *tree = &decoder->tree;
	SqSimdjsonIndex index;
	SqSimdjsonResult result;
	char kind;

	if (payload.length == 0)
		return SQ_OK;
	if (payload.length > MAX_DOCUMENT)
		return sq_error_set(error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
							"JSON document is too large");
	result = list_structure(decoder, payload, &index);
	if (unlikely(result != SQ_SIMDJSON_OK))
		return structure_error(result, payload, &index, error);
	if (!sq_format_json_shape_fit(decoder->shape, tree, decoder->nodes, payload,
								  &index))
	{
		if (sq_format_json_walk(tree, payload, &index, batch->arena, error) !=
			SQ_OK)
			return SQ_ERROR;
		sq_format_json_shape_learn(decoder->shape, tree, decoder->nodes,
								   payload, &index);
	}
	kind = tree->root->kind;
	if (unlikely(kind != '{' && kind != 'n' && !decoder->any_kind))
		return top_level_error(kind, error);
	for (int i = 0; i < base->ntargets; i++)
	{
		const SqJsonNode *node = decoder->nodes[i];

		if (node->seen == tree->document)
			put_value(&base->targets[i], node, payload.data, batch, row);
	}
	return SQ_OK;
}

/* ---- Life ---- */

static SqDecoder *
json_open(const SqFormatSpec *spec)
{
	SqJsonDecoder *decoder = palloc0(sizeof(SqJsonDecoder));

	decoder->nodes = palloc(Max(spec->nfields, 1) * sizeof(SqJsonNode *));
	sq_format_json_tree_build(&decoder->tree, spec->fields, spec->nfields,
							  decoder->nodes);
	decoder->shape = sq_format_json_shape_create(spec->nfields);
	for (int i = 0; i < spec->nfields; i++)
	{
		const SqPath *path = &spec->fields[i].path;

		if (path->nsteps == 0 || path->steps[0].member == NULL)
			decoder->any_kind = true;
	}
	return &decoder->decoder;
}

static void
json_close(SqDecoder *base)
{
	SqJsonDecoder *decoder = (SqJsonDecoder *) base;

	sq_format_simdjson_destroy(decoder->parser);
	sq_format_json_tree_free(&decoder->tree);
	sq_format_json_shape_free(decoder->shape);
	pfree(decoder->nodes);
	pfree(decoder);
}

const SqDecoderOps sq_format_json_ops = {
	.open = json_open,
	.decode = json_decode,
	.close = json_close,
};
