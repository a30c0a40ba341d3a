/*
 * sink_csv.c
 *		Rows as lines of CSV, quoted as COPY quotes them.
 *
 * A field is quoted if it holds a delimiter, a quote or the end of a line, if
 * it looks like NULL, and if it is the whole line and looks like the end of
 * COPY's data. The line has no end of its own.
 *
 * Memory: the current context. Locks: none.
 */
#include "sink/sink_internal.h"

static bool
needs_quotes(const SqCsvOptions *csv, const char *field, int length,
			 bool is_line)
{
	if (strlen(csv->null_text) == (size_t) length &&
		memcmp(csv->null_text, field, length) == 0)
		return true;
	if (is_line && length == 2 && memcmp(field, "\\.", 2) == 0)
		return true;
	for (int i = 0; i < length; i++)
		if (field[i] == csv->delimiter || field[i] == csv->quote ||
			field[i] == '\n' || field[i] == '\r')
			return true;
	return false;
}

static void
append_quoted(StringInfo out, const SqCsvOptions *csv, const char *field,
			  int length)
{
	appendStringInfoChar(out, csv->quote);
	for (int i = 0; i < length; i++)
	{
		if (field[i] == csv->quote || field[i] == csv->escape)
			appendStringInfoChar(out, csv->escape);
		appendStringInfoChar(out, field[i]);
	}
	appendStringInfoChar(out, csv->quote);
}

/* Quote what was appended since begin, if that is needed. */
static void
quote_field(StringInfo out, const SqCsvOptions *csv, int begin, bool is_line)
{
	int length = out->len - begin;
	char *field;

	if (!needs_quotes(csv, out->data + begin, length, is_line))
		return;
	field = pnstrdup(out->data + begin, length);
	out->len = begin;
	append_quoted(out, csv, field, length);
	pfree(field);
}

void
sq_sink_csv_write(StringInfo out, const SqCsvOptions *csv,
				  SqSinkColumn *columns, int ncolumns, const Datum *values,
				  const bool *nulls)
{
	for (int i = 0; i < ncolumns; i++)
	{
		SqSinkColumn *column = &columns[i];
		int begin;

		if (i > 0)
			appendStringInfoChar(out, csv->delimiter);
		begin = out->len;
		if (nulls[column->number])
		{
			appendStringInfoString(out, csv->null_text);
			continue;
		}
		column->text(out, column, values[column->number]);
		quote_field(out, csv, begin, ncolumns == 1);
	}
}
