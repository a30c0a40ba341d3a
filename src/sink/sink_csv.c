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

void
sq_sink_csv_init(SqSinkCsv *csv, const SqCsvOptions *options)
{
	*csv = (SqSinkCsv){.options = options,
					   .null_length = strlen(options->null_text)};
	csv->special[(unsigned char) options->delimiter] = true;
	csv->special[(unsigned char) options->quote] = true;
	csv->special['\n'] = csv->special['\r'] = true;
}

static bool
needs_quotes(const SqSinkCsv *csv, const char *field, int length, bool is_line)
{
	if (length == csv->null_length &&
		memcmp(csv->options->null_text, field, length) == 0)
		return true;
	if (is_line && length == 2 && memcmp(field, "\\.", 2) == 0)
		return true;
	for (int i = 0; i < length; i++)
		if (csv->special[(unsigned char) field[i]])
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
quote_field(StringInfo out, const SqSinkCsv *csv, int begin, bool is_line)
{
	int length = out->len - begin;
	char *field;

	if (!needs_quotes(csv, out->data + begin, length, is_line))
		return;
	field = pnstrdup(out->data + begin, length);
	out->len = begin;
	append_quoted(out, csv->options, field, length);
	pfree(field);
}

void
sq_sink_csv_write(StringInfo out, const SqSinkCsv *csv, SqSinkColumn *columns,
				  int ncolumns, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < ncolumns; i++)
	{
		SqSinkColumn *column = &columns[i];
		int begin;

		if (i > 0)
			appendStringInfoCharMacro(out, csv->options->delimiter);
		begin = out->len;
		if (nulls[column->number])
		{
			appendBinaryStringInfo(out, csv->options->null_text,
								   csv->null_length);
			continue;
		}
		column->text(out, column, values[column->number]);
		quote_field(out, csv, begin, ncolumns == 1);
	}
}
