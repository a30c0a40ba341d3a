/*
 * format_csv.c
 *		One line of CSV into a row, as COPY FROM reads it.
 *
 * As in COPY, quotes may open and close anywhere in a field, a field that was
 * never quoted and equals the null text is NULL, and the whole line is checked
 * however few fields are asked for. What COPY would see as a second line is an
 * error, for a record is one line.
 *
 * Memory: a field is a slice of the payload unless it was quoted otherwise
 * than as a whole, or holds escapes; then it is in the batch's arena. Locks:
 * none.
 */
#include "format/format_decoder.h"
#include "format/format_scalar.h"

typedef struct SqCsvDecoder
{
	SqDecoder decoder;
	int width;
	SqCsvOptions options;
	char *null_text;
	size_t null_length;
	int *first;        /* by position: its first field, -1: none */
	int *next;         /* by field: another one of the same position, -1 */
	bool special[256]; /* bytes that mean something outside quotes */
} SqCsvDecoder;

/* A line being read. */
typedef struct CsvScan
{
	const SqCsvDecoder *csv;
	const char *at;
	const char *end;
	SqArena *arena;
	SqError *error;
} CsvScan;

/* A field being read: pieces of the payload, one after the other. As long as
 * there is one piece it is a slice. */
typedef struct CsvField
{
	SqSlice piece;
	char *buffer; /* of all pieces, once there is a second one */
	size_t length;
	bool quoted;
} CsvField;

/* ---- Fields in pieces ---- */

/* Add payload bytes to a field; limit is the line's end, which bounds what may
 * follow. */
static void
add_piece(CsvScan *scan, CsvField *field, const char *start, size_t length)
{
	if (length == 0)
		return;
	if (field->piece.length == 0)
	{
		field->piece = (SqSlice){start, length};
		return;
	}
	if (field->buffer == NULL)
	{
		field->buffer = sq_arena_alloc(scan->arena, field->piece.length +
														(scan->end - start));
		memcpy(field->buffer, field->piece.data, field->piece.length);
		field->length = field->piece.length;
	}
	memcpy(field->buffer + field->length, start, length);
	field->length += length;
}

static SqSlice
field_text(const CsvField *field)
{
	if (field->buffer != NULL)
		return (SqSlice){field->buffer, field->length};
	return field->piece;
}

/* ---- Reading a field ---- */

static SqStatus
newline_error(CsvScan *scan)
{
	sq_error_set(scan->error, ERRCODE_BAD_COPY_FILE_FORMAT,
				 *scan->at == '\n'
					 ? "unquoted newline found in CSV record"
					 : "unquoted carriage return found in CSV record");
	sq_error_hint(scan->error, "A record is one line of CSV.");
	return SQ_ERROR;
}

/* Inside quotes, up to and with the closing one. */
static SqStatus
scan_quoted(CsvScan *scan, CsvField *field)
{
	const char quote = scan->csv->options.quote;
	const char escape = scan->csv->options.escape;
	const char *start = scan->at;

	while (scan->at < scan->end)
	{
		const char *p = scan->at++;

		/* An escape counts only before what may be escaped. */
		if (*p == escape && scan->at < scan->end &&
			(*scan->at == quote || *scan->at == escape))
		{
			add_piece(scan, field, start, p - start);
			start = scan->at++;
			continue;
		}
		if (*p == quote)
		{
			add_piece(scan, field, start, p - start);
			return SQ_OK;
		}
	}
	return sq_error_set(scan->error, ERRCODE_BAD_COPY_FILE_FORMAT,
						"unterminated CSV quoted field");
}

/* A field up to its delimiter or the line's end. */
static SqStatus
scan_field(CsvScan *scan, CsvField *field)
{
	const bool *special = scan->csv->special;
	const char delimiter = scan->csv->options.delimiter;

	field->piece = (SqSlice){scan->at, 0};
	field->buffer = NULL;
	field->quoted = false;
	for (;;)
	{
		const char *start = scan->at;
		const char *p = start;

		while (p < scan->end && !special[(unsigned char) *p])
			p++;
		scan->at = p;
		add_piece(scan, field, start, p - start);
		if (p == scan->end || *p == delimiter)
			return SQ_OK;
		if (*p == '\n' || *p == '\r')
			return newline_error(scan);
		field->quoted = true;
		scan->at++;
		if (scan_quoted(scan, field) != SQ_OK)
			return SQ_ERROR;
	}
}

/* ---- Lines ---- */

static inline bool
is_null(const SqCsvDecoder *csv, const CsvField *field)
{
	return !field->quoted && field->piece.length == csv->null_length &&
		   memcmp(field->piece.data, csv->null_text, csv->null_length) == 0;
}

static void
put_field(const SqCsvDecoder *csv, int position, const CsvField *field,
		  SqBatch *batch, int row)
{
	if (csv->first[position] < 0 || is_null(csv, field))
		return;
	for (int i = csv->first[position]; i >= 0; i = csv->next[i])
	{
		const SqTarget *target = &csv->decoder.targets[i];

		sq_format_put(&batch->columns[target->column], row, field_text(field),
					  target->epoch, batch->arena);
	}
}

/* The payload without its line end. */
static SqSlice
chomp(SqSlice line)
{
	if (line.length > 0 && line.data[line.length - 1] == '\n')
		line.length--;
	if (line.length > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

static SqStatus
csv_decode(SqDecoder *base, SqSlice payload, SqBatch *batch, int row,
		   SqError *error)
{
	const SqCsvDecoder *csv = (const SqCsvDecoder *) base;
	SqSlice line = chomp(payload);
	CsvScan scan = {.csv = csv,
					.at = line.data,
					.end = line.data + line.length,
					.arena = batch->arena,
					.error = error};

	if (!sq_format_is_text(payload))
		return sq_format_text_error(payload, error);
	for (int position = 0;; position++)
	{
		CsvField field;

		if (scan_field(&scan, &field) != SQ_OK)
			return SQ_ERROR;
		if (position >= csv->width)
			return sq_error_set(error, ERRCODE_BAD_COPY_FILE_FORMAT,
								"extra data after last expected column");
		put_field(csv, position, &field, batch, row);
		if (scan.at == scan.end)
			return SQ_OK;
		scan.at++;
	}
}

/* ---- Life ---- */

/* Which fields take each position of a line. */
static void
map_positions(SqCsvDecoder *csv, const SqFormatSpec *spec)
{
	csv->first = palloc(Max(csv->width, 1) * sizeof(int));
	csv->next = palloc(Max(spec->nfields, 1) * sizeof(int));
	for (int position = 0; position < csv->width; position++)
		csv->first[position] = -1;
	for (int i = 0; i < spec->nfields; i++)
	{
		int position = spec->fields[i].position;

		Assert(position >= 0 && position < csv->width);
		csv->next[i] = csv->first[position];
		csv->first[position] = i;
	}
}

static SqDecoder *
csv_open(const SqFormatSpec *spec)
{
	SqCsvDecoder *csv = palloc0(sizeof(SqCsvDecoder));

	csv->width = spec->csv_width;
	csv->options = spec->csv;
	csv->null_text = pstrdup(spec->csv.null_text);
	csv->null_length = strlen(csv->null_text);
	csv->special['\n'] = csv->special['\r'] = true;
	csv->special[(unsigned char) spec->csv.delimiter] = true;
	csv->special[(unsigned char) spec->csv.quote] = true;
	map_positions(csv, spec);
	return &csv->decoder;
}

static void
csv_close(SqDecoder *base)
{
	SqCsvDecoder *csv = (SqCsvDecoder *) base;

	pfree(csv->null_text);
	pfree(csv->first);
	pfree(csv->next);
	pfree(csv);
}

const SqDecoderOps sq_format_csv_ops = {
	.open = csv_open,
	.decode = csv_decode,
	.close = csv_close,
};
