/*
 * fuzz_json.c
 *		libFuzzer target: any bytes as a JSON payload.
 *
 * Beside the promises of fuzz.h: white space around a document changes
 * nothing, a document inside of another one is judged as it is alone, and the
 * path $ gives back the document's own text.
 */
#include "fuzz.h"

enum
{
	NFIELDS = 12,
	NSOME = 4
};

static const SqColumn columns[NFIELDS] = {
	{.type = SQ_TYPE_INT4},
	{.type = SQ_TYPE_TEXT},
	{.type = SQ_TYPE_NUMERIC, .precision = 12, .scale = 3},
	{.type = SQ_TYPE_TEXT, .max_length = 5},
	{.type = SQ_TYPE_TIMESTAMPTZ},
	{.type = SQ_TYPE_DATE},
	{.type = SQ_TYPE_FLOAT8},
	{.type = SQ_TYPE_JSON},
	{.type = SQ_TYPE_UUID},
	{.type = SQ_TYPE_BYTEA},
	{.type = SQ_TYPE_BOOL},
	{.type = SQ_TYPE_TIMESTAMP},
};
static const char *const paths[NFIELDS] = {
	"$.a",     "$.a",         "$.b.c",      "$.b[1]", "$.t", "$.d",
	"$.b.c.e", "$.b[1][0].e", "$.\"u\\n\"", "$.x",    "$.a", "$.t"};
static const int some[NSOME] = {1, 3, 6, 7};
/* The document, and something that makes any kind of it fit. */
static const SqColumn whole_column = {.type = SQ_TYPE_TEXT};

static FuzzDecoder all;
static FuzzDecoder part;
static FuzzDecoder whole;

static FuzzDecoder
open_paths(const SqField *fields, int nfields, const SqColumn *kinds)
{
	SqFormatSpec spec = {.format = SQ_FORMAT_JSON,
						 .columns = kinds,
						 .fields = fields,
						 .nfields = nfields};

	return fuzz_open(&spec);
}

static void
set_up(void)
{
	SqField fields[NFIELDS] = {0};
	SqField few[NSOME];
	SqColumn kinds[NSOME];
	SqField document = {0};
	SqError error;

	for (int i = 0; i < NFIELDS; i++)
	{
		fields[i].column = i;
		FUZZ_CHECK(sq_format_path_parse(paths[i], &fields[i].path, &error) ==
				   SQ_OK);
	}
	fields[5].epoch = SQ_EPOCH_MS;
	fields[11].epoch = SQ_EPOCH_NS;
	for (int i = 0; i < NSOME; i++)
	{
		few[i] = fields[some[i]];
		few[i].column = i;
		kinds[i] = columns[some[i]];
	}
	FUZZ_CHECK(sq_format_path_parse("$", &document.path, &error) == SQ_OK);
	all = open_paths(fields, NFIELDS, columns);
	part = open_paths(few, NSOME, kinds);
	whole = open_paths(&document, 1, &whole_column);
}

/* The payload with texts around it, in memory of exactly its size. */
static SqSlice
surround(const char *before, SqSlice payload, const char *behind)
{
	size_t nbefore = strlen(before);
	size_t nbehind = strlen(behind);
	char *copy = pg_malloc(nbefore + payload.length + nbehind);

	memcpy(copy, before, nbefore);
	memcpy(copy + nbefore, payload.data, payload.length);
	memcpy(copy + nbefore + payload.length, behind, nbehind);
	return (SqSlice){copy, nbefore + payload.length + nbehind};
}

static int
sqlstate_of(FuzzDecoder *fuzz, SqSlice payload)
{
	sq_batch_reset(fuzz->batch);
	fuzz->batch->nrows = FUZZ_ROWS;
	fuzz_decode(fuzz, payload, 0);
	return fuzz->sqlstate;
}

/* What $ gives stands in the payload, with nothing but white space, and for
 * a string its quotes, around it. */
static void
check_whole(SqSlice payload)
{
	const SqColumn *column = &whole.batch->columns[0];
	SqSlice slice;
	size_t before;

	if (sqlstate_of(&whole, payload) != 0 || fuzz_is_null(column, 0))
		return;
	slice = column->text[0];
	if (slice.data < payload.data || slice.data > payload.data + payload.length)
		return; /* an unescaped string */
	before = slice.data - payload.data;
	FUZZ_CHECK(before + slice.length <= payload.length);
	for (size_t i = 0; i < payload.length; i++)
	{
		if (i < before || i >= before + slice.length)
			FUZZ_CHECK(strchr(" \t\n\r\"", payload.data[i]) != NULL);
	}
}

static void
check_surrounded(SqSlice payload, int verdict)
{
	SqSlice spaced = surround(" \n", payload, "\t\r");
	SqSlice member = surround("{\"q\":", payload, "}");
	SqSlice element = surround("[", payload, ",0]");
	bool deep = verdict == ERRCODE_STATEMENT_TOO_COMPLEX;

	FUZZ_CHECK(sqlstate_of(&whole, spaced) == verdict);
	if (!deep && sqlstate_of(&all, member) != ERRCODE_STATEMENT_TOO_COMPLEX)
	{
		/* {"q":1,"r":2} is good, 1,"r":2 is not. */
		FUZZ_CHECK(verdict != 0 || all.sqlstate == 0);
		FUZZ_CHECK(verdict != 0 || sqlstate_of(&whole, element) == 0);
	}
	free((char *) spaced.data);
	free((char *) member.data);
	free((char *) element.data);
}

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SqSlice payload = {size > 0 ? (const char *) data : "", size};

	if (all.decoder == NULL)
		set_up();
	fuzz_payload(&all, &part, some, payload);
	FUZZ_CHECK(sqlstate_of(&whole, payload) == all.sqlstate ||
			   all.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE);
	check_whole(payload);
	if (size > 0)
		check_surrounded(payload, whole.sqlstate);
	return 0;
}
