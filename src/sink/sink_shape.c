/*
 * sink_shape.c
 *		JSON documents in which each column is where its path says.
 *
 * The paths of the columns are put together into a tree, whose objects have
 * members in the order of the columns and whose arrays have null where no
 * column is. The tree is then written once, with a gap for each value: what is
 * left for a row is to fill the gaps.
 *
 * Memory: the current context. Locks: none.
 */
#include "sink/sink_internal.h"

#include "nodes/pg_list.h"

/* An array as long as somebody's mistake is none that we write. */
#define MAX_INDEX 1000

typedef enum SqNodeKind
{
	SQ_NODE_NEW,
	SQ_NODE_OBJECT,
	SQ_NODE_ARRAY,
	SQ_NODE_VALUE
} SqNodeKind;

typedef struct SqNode
{
	SqNodeKind kind;
	const SqPathStep *step; /* from its parent; of the root NULL */
	SqSinkColumn *column;   /* the first one below it */
	List *children;         /* of SqNode; of an array in order */
} SqNode;

/* ---- The tree ---- */

static void
refuse_paths(const SqSinkColumn *one, const SqSinkColumn *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("cannot write columns \"%s\" and \"%s\" into one document",
					one->attribute->name, other->attribute->name),
			 errdetail("Their paths contradict each other.")));
}

/* The node is of this kind from now on, or was before. */
static void
set_kind(SqNode *node, SqNodeKind kind, SqSinkColumn *column)
{
	if (node->kind != SQ_NODE_NEW &&
		(node->kind != kind || kind == SQ_NODE_VALUE))
		refuse_paths(node->column, column);
	node->kind = kind;
	if (node->column == NULL)
		node->column = column;
}

static bool
same_step(const SqPathStep *a, const SqPathStep *b)
{
	if (a->member == NULL || b->member == NULL)
		return a->member == b->member && a->index == b->index;
	return a->member_length == b->member_length &&
		   memcmp(a->member, b->member, a->member_length) == 0;
}

/* Where a new child goes: objects keep the order of columns. */
static int
place_of(const SqNode *parent, const SqPathStep *step)
{
	int place = list_length(parent->children);

	while (step->member == NULL && place > 0 &&
		   ((SqNode *) list_nth(parent->children, place - 1))->step->index >
			   step->index)
		place--;
	return place;
}

static SqNode *
child_of(SqNode *parent, const SqPathStep *step, SqSinkColumn *column)
{
	SqNode *child;
	ListCell *cell;

	set_kind(parent, step->member == NULL ? SQ_NODE_ARRAY : SQ_NODE_OBJECT,
			 column);
	if (step->member == NULL && step->index > MAX_INDEX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("cannot write column \"%s\" into an array of "
							   "more than %d elements",
							   column->attribute->name, MAX_INDEX)));
	foreach (cell, parent->children)
		if (same_step(((SqNode *) lfirst(cell))->step, step))
			return lfirst(cell);
	child = palloc0(sizeof(SqNode));
	child->step = step;
	parent->children =
		list_insert_nth(parent->children, place_of(parent, step), child);
	return child;
}

static void
add_column(SqNode *root, SqSinkColumn *column)
{
	const SqPath *path = &column->attribute->path;
	SqNode *node = root;

	for (int i = 0; i < path->nsteps; i++)
		node = child_of(node, &path->steps[i], column);
	set_kind(node, SQ_NODE_VALUE, column);
}

/* ---- The pieces ---- */

typedef struct SqPieces
{
	SqSinkDocument document;
	StringInfoData before; /* the next value */
} SqPieces;

static void
end_piece(SqPieces *pieces, SqSinkColumn *column)
{
	SqSinkPiece *piece = &pieces->document.pieces[pieces->document.npieces++];

	piece->before = pnstrdup(pieces->before.data, pieces->before.len);
	piece->before_length = pieces->before.len;
	piece->column = column;
	resetStringInfo(&pieces->before);
}

static void write_node(SqPieces *pieces, const SqNode *node);

static void
write_object(SqPieces *pieces, const SqNode *node)
{
	ListCell *cell;
	char separator = '{';

	foreach (cell, node->children)
	{
		const SqNode *child = lfirst(cell);

		appendStringInfoChar(&pieces->before, separator);
		sq_sink_json_string(&pieces->before, child->step->member,
							child->step->member_length);
		appendStringInfoChar(&pieces->before, ':');
		write_node(pieces, child);
		separator = ',';
	}
	appendStringInfoChar(&pieces->before, '}');
}

static void
write_array(SqPieces *pieces, const SqNode *node)
{
	ListCell *cell;
	int64 next = 0;

	foreach (cell, node->children)
	{
		const SqNode *child = lfirst(cell);

		for (; next <= child->step->index; next++)
		{
			appendStringInfoChar(&pieces->before, next == 0 ? '[' : ',');
			if (next < child->step->index)
				appendStringInfoString(&pieces->before, "null");
		}
		write_node(pieces, child);
	}
	appendStringInfoChar(&pieces->before, ']');
}

static void
write_node(SqPieces *pieces, const SqNode *node)
{
	switch (node->kind)
	{
		case SQ_NODE_OBJECT:
			write_object(pieces, node);
			break;
		case SQ_NODE_ARRAY:
			write_array(pieces, node);
			break;
		case SQ_NODE_VALUE:
			end_piece(pieces, node->column);
			break;
		default:
			appendStringInfoString(&pieces->before, "{}");
			break;
	}
}

SqSinkDocument
sq_sink_document(SqSinkColumn *columns, int ncolumns)
{
	SqNode root = {.kind = SQ_NODE_NEW};
	SqPieces pieces = {
		{.pieces = palloc0((ncolumns + 1) * sizeof(SqSinkPiece))}};

	for (int i = 0; i < ncolumns; i++)
		add_column(&root, &columns[i]);
	initStringInfo(&pieces.before);
	write_node(&pieces, &root);
	end_piece(&pieces, NULL);
	return pieces.document;
}

void
sq_sink_document_write(StringInfo out, const SqSinkDocument *document,
					   const Datum *values, const bool *nulls)
{
	for (int i = 0; i < document->npieces; i++)
	{
		const SqSinkPiece *piece = &document->pieces[i];

		appendBinaryStringInfo(out, piece->before, piece->before_length);
		if (piece->column == NULL)
			continue;
		if (nulls[piece->column->number])
			appendBinaryStringInfo(out, "null", 4);
		else
			piece->column->json(out, piece->column,
								values[piece->column->number]);
	}
}
