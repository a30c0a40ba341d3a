/*
 * fuzz_csv.c
 *		libFuzzer target: any bytes as a line of CSV.
 *
 * The first byte of the input picks the dialect. Beside the promises of
 * fuzz.h: a line end changes nothing, and a line of n fields has as many
 * delimiters outside of quotes, counted here by another reading of the line.
 */
#include "fuzz.h"

enum
{
	NFIELDS = 6,
	NSOME = 2,
	NDIALECTS = 4
};

static const SqCsvOptions dialects[NDIALECTS] = {
	{.delimiter = ',', .quote = '"', .escape = '"', .null_text = ""},
	{.delimiter = ';', .quote = '\'', .escape = '\\', .null_text = "N"},
	{.delimiter = '\t', .quote = '"', .escape = '\\', .null_text = "\\N"},
	{.delimiter = '|', .quote = '"', .escape = '"', .null_text = "null"},
};
static const SqColumn columns[NFIELDS] = {
	{.type = SQ_TYPE_TEXT},
	{.type = SQ_TYPE_INT4},
	{.type = SQ_TYPE_NUMERIC, .precision = 9, .scale = 2},
	{.type = SQ_TYPE_TEXT},
	{.type = SQ_TYPE_DATE},
	{.type = SQ_TYPE_BOOL},
};
static const int some[NSOME] = {3, 1};

static FuzzDecoder all[NDIALECTS];
static FuzzDecoder part[NDIALECTS];

static void
set_up(int dialect)
{
	SqField fields[NFIELDS] = {0};
	SqField few[NSOME] = {0};
	SqColumn kinds[NSOME];
	SqFormatSpec spec = {.format = SQ_FORMAT_CSV,
						 .columns = columns,
						 .fields = fields,
						 .nfields = NFIELDS,
						 .csv_width = NFIELDS,
						 .csv = dialects[dialect]};

	for (int i = 0; i < NFIELDS; i++)
		fields[i].column = fields[i].position = i;
	for (int i = 0; i < NSOME; i++)
	{
		few[i].column = i;
		few[i].position = some[i];
		kinds[i] = columns[some[i]];
	}
	all[dialect] = fuzz_open(&spec);
	spec.columns = kinds;
	spec.fields = few;
	spec.nfields = NSOME;
	part[dialect] = fuzz_open(&spec);
}

/* Delimiters outside of quotes, by COPY's way of finding where lines end:
 * quotes toggle unless escaped inside of quotes. */
static int
count_delimiters(const SqCsvOptions *csv, SqSlice line)
{
	bool quoted = false;
	bool escaped = false;
	int delimiters = 0;

	for (size_t i = 0; i < line.length; i++)
	{
		char c = line.data[i];

		if (quoted && c == csv->escape && csv->escape != csv->quote)
			escaped = !escaped;
		else
		{
			if (c == csv->quote && !escaped)
				quoted = !quoted;
			escaped = false;
		}
		delimiters += !quoted && c == csv->delimiter;
	}
	return quoted ? -1 : delimiters;
}

static void
check_line_end(FuzzDecoder *fuzz, SqSlice payload)
{
	int verdict = fuzz->sqlstate;
	char *copy = pg_malloc(payload.length + 2);

	memcpy(copy, payload.data, payload.length);
	memcpy(copy + payload.length, "\r\n", 2);
	fuzz_decode(fuzz, (SqSlice){copy, payload.length + 2}, 1);
	FUZZ_CHECK(fuzz->sqlstate == verdict);
	for (int c = 0; c < fuzz->batch->ncolumns; c++)
		fuzz_check_equal(&fuzz->batch->columns[c], 0, &fuzz->batch->columns[c],
						 1);
	free(copy);
}

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dialect = size > 0 ? data[0] % NDIALECTS : 0;
	SqSlice payload = {"", 0};
	int delimiters;

	if (size > 1)
		payload = (SqSlice){(const char *) data + 1, size - 1};
	if (all[dialect].decoder == NULL)
		set_up(dialect);
	fuzz_payload(&all[dialect], &part[dialect], some, payload);
	delimiters = count_delimiters(&dialects[dialect], payload);
	FUZZ_CHECK(all[dialect].status != SQ_OK ||
			   (delimiters >= 0 && delimiters < NFIELDS));
	if (size < 2 || (data[size - 1] != '\n' && data[size - 1] != '\r'))
		check_line_end(&all[dialect], payload);
	return 0;
}
