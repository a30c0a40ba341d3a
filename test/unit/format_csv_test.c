/*
 * format_csv_test.c
 *		CSV lines and raw payloads.
 */
#include "format_unit.h"

static const SqCsvOptions usual = {
	.delimiter = ',', .quote = '"', .escape = '"', .null_text = ""};
static const SqCsvOptions other = {
	.delimiter = ';', .quote = '\'', .escape = '\\', .null_text = "N"};

/* What a payload makes of text columns at the first positions of a line of
 * that width; the sqlstate for an error. */
static const char *
decode(const SqFormatSpec *spec, const char *data, size_t length,
	   SqError *error)
{
	static char shown[SHOWN * 4];
	SqDecoder *decoder = sq_format_open(spec);
	SqBatch *batch = sq_batch_create(spec->columns, spec->nfields, 1);
	SqSlice payload = exact_copy(data, length);

	if (sq_format_decode(decoder, payload, batch, 0, error) == SQ_OK)
		strcpy(shown, show_row(batch, 0));
	else
	{
		strcpy(shown, show_sqlstate(error->sqlstate));
		for (int c = 0; c < batch->ncolumns; c++)
		{
			if (strcmp(show(&batch->columns[c], 0), "NULL") != 0)
				strcpy(shown, "an error left a value");
		}
	}
	free((char *) payload.data);
	sq_batch_destroy(batch);
	sq_format_close(decoder);
	return shown;
}

typedef struct CsvCase
{
	const char *line;
	const char *shown;
	const char *message; /* of an error */
} CsvCase;

static const CsvCase usual_cases[] = {
	{"a,b,c", "=a|=b|=c"},
	{"a,b,c\n", "=a|=b|=c"},
	{"a,b,c\r\n", "=a|=b|=c"},
	{"a,b,c\r", "=a|=b|=c"},
	{"", "NULL|NULL|NULL"},
	{"\n", "NULL|NULL|NULL"},
	{"\r\n", "NULL|NULL|NULL"},
	{"a", "=a|NULL|NULL"},
	{"a,", "=a|NULL|NULL"},
	{",,", "NULL|NULL|NULL"},
	{",b", "NULL|=b|NULL"},
	{"\"\",b", "=|=b|NULL"},
	{"\"a\",\"b\"", "=a|=b|NULL"},
	{"\"a,b\",c", "=a,b|=c|NULL"},
	{"\"a\nb\r\nc\",d", "=a\nb\r\nc|=d|NULL"},
	{"\"say \"\"x\"\"\",b", "=say \"x\"|=b|NULL"},
	{"\"\"\"\"", "=\"|NULL|NULL"},
	{"\"\"\"\"\"\"", "=\"\"|NULL|NULL"},
	{"a\"b\"c", "=abc|NULL|NULL"},
	{"a\"b,c\"d,e", "=ab,cd|=e|NULL"},
	{"\"a\"b\"c\"", "=abc|NULL|NULL"},
	{"\"a\" ,b", "=a |=b|NULL"},
	{" a , b ", "= a |= b |NULL"},
	{"\\N,\\.", "=\\N|=\\.|NULL"},
	{"\\.", "=\\.|NULL|NULL"},
	{"gr\xc3\xbc\xc3\x9f"
	 "e",
	 "=gr\xc3\xbc\xc3\x9f"
	 "e|NULL|NULL"},
	{"a,b,c,d", "22P04", "extra data after last expected column"},
	{"a,b,c,", "22P04", "extra data after last expected column"},
	{"\"a", "22P04", "unterminated CSV quoted field"},
	{"\"a\"\"", "22P04", "unterminated CSV quoted field"},
	{"\"a\n", "22P04", "unterminated CSV quoted field"},
	{"a,b\",c", "22P04", "unterminated CSV quoted field"},
	{"a\nb", "22P04", "unquoted newline found in CSV record"},
	{"a,b\n\n", "22P04", "unquoted newline found in CSV record"},
	{"a\rb", "22P04", "unquoted carriage return found in CSV record"},
	{"a\r\nb", "22P04", "unquoted carriage return found in CSV record"},
	{"a,\xff", "22021", "invalid byte sequence for encoding \"UTF8\": 0xff"},
	{"a,b,c\n\xc3", "22021",
	 "invalid byte sequence for encoding \"UTF8\": 0xc3"},
};

static const CsvCase other_cases[] = {
	{"a;b;c", "=a|=b|=c"},
	{"a,b;c", "=a,b|=c|NULL"},
	{"N;'N';", "NULL|=N|="},
	{"", "=|NULL|NULL"},
	{"NN;n", "=NN|=n|NULL"},
	{"'a\\'b';c", "=a'b|=c|NULL"},
	{"'a\\\\';c", "=a\\|=c|NULL"},
	{"'a\\nb'", "=a\\nb|NULL|NULL"},
	{"a\\;b", "=a\\|=b|NULL"},
	{"'a''b'", "=ab|NULL|NULL"},
	{"'a\\", "22P04", "unterminated CSV quoted field"},
	{"'a\\'", "22P04", "unterminated CSV quoted field"},
	{"\"a\"", "=\"a\"|NULL|NULL"},
};

static void
test_csv(const SqCsvOptions *options, const CsvCase *cases, size_t ncases)
{
	static const SqColumn columns[3] = {
		{.type = SQ_TYPE_TEXT}, {.type = SQ_TYPE_TEXT}, {.type = SQ_TYPE_TEXT}};
	static const SqField fields[3] = {{.column = 0, .position = 0},
									  {.column = 1, .position = 1},
									  {.column = 2, .position = 2}};
	SqFormatSpec spec = {.format = SQ_FORMAT_CSV,
						 .columns = columns,
						 .fields = fields,
						 .nfields = 3,
						 .csv_width = 3,
						 .csv = *options};
	SqError error;

	for (size_t i = 0; i < ncases; i++)
	{
		const CsvCase *c = &cases[i];
		const char *shown = decode(&spec, c->line, strlen(c->line), &error);

		if (!CHECK_NAMED(strcmp(shown, c->shown) == 0, "\"%s\" is %s", c->line,
						 c->shown))
			printf("# got %s\n", shown);
		if (c->message != NULL)
			CHECK_STR(error.message, c->message);
	}
	CHECK_STR(decode(&spec, "a\0b", 3, &error), "22021");
}

/* Some fields of a line, in another order, one of them twice. */
static void
test_subset(void)
{
	static const SqColumn columns[4] = {
		{.type = SQ_TYPE_INT4},
		{.type = SQ_TYPE_TEXT},
		{.type = SQ_TYPE_TIMESTAMP},
		{.type = SQ_TYPE_NUMERIC, .precision = 5, .scale = 1}};
	static const SqField fields[4] = {
		{.column = 0, .position = 3},
		{.column = 1, .position = 1},
		{.column = 2, .position = 3, .epoch = SQ_EPOCH_S},
		{.column = 3, .position = 0}};
	SqFormatSpec spec = {.format = SQ_FORMAT_CSV,
						 .columns = columns,
						 .fields = fields,
						 .nfields = 4,
						 .csv_width = 5,
						 .csv = usual};
	SqError error;

	CHECK_STR(decode(&spec, "1.25,b,c,946684801,e", 20, &error),
			  "=946684801|=b|=1000000|=13");
	CHECK_STR(decode(&spec, "x,,c,d", 6, &error), "?d|NULL|?d|?x");
	CHECK_STR(decode(&spec, "1,b,c,\"4", 8, &error), "22P04");
	CHECK_STR(decode(&spec, "1,b,c,4,5,6", 11, &error), "22P04");
}

typedef struct RawCase
{
	SqColumn column;
	SqEpoch epoch;
	const char *payload;
	const char *shown;
} RawCase;

static const RawCase raw_cases[] = {
	{{.type = SQ_TYPE_TEXT},
	 SQ_EPOCH_NONE,
	 "any\n\"thing\"",
	 "=any\n\"thing\""},
	{{.type = SQ_TYPE_TEXT}, SQ_EPOCH_NONE, "", "="},
	{{.type = SQ_TYPE_TEXT}, SQ_EPOCH_NONE, "\xff", "?\xff"},
	{{.type = SQ_TYPE_BYTEA}, SQ_EPOCH_NONE, "\\x00", "=5c783030"},
	{{.type = SQ_TYPE_BYTEA}, SQ_EPOCH_NONE, "\xff", "=ff"},
	{{.type = SQ_TYPE_BYTEA}, SQ_EPOCH_NONE, "", "="},
	{{.type = SQ_TYPE_INT8}, SQ_EPOCH_NONE, "42", "=42"},
	{{.type = SQ_TYPE_INT8}, SQ_EPOCH_NONE, "42\n", "?42\n"},
	{{.type = SQ_TYPE_INPUT}, SQ_EPOCH_NONE, "1.2.3.4", "?1.2.3.4"},
	{{.type = SQ_TYPE_JSON}, SQ_EPOCH_NONE, "{\"a\":1}", "?{\"a\":1}"},
	{{.type = SQ_TYPE_TIMESTAMPTZ}, SQ_EPOCH_S, "946684800", "=0"},
	{{.type = SQ_TYPE_TIMESTAMPTZ}, SQ_EPOCH_S, "x", "?x"},
};

static void
test_raw(void)
{
	SqError error;

	for (size_t i = 0; i < lengthof(raw_cases); i++)
	{
		const RawCase *c = &raw_cases[i];
		SqField field = {.column = 0, .epoch = c->epoch};
		SqFormatSpec spec = {.format = SQ_FORMAT_RAW,
							 .columns = &c->column,
							 .fields = &field,
							 .nfields = 1};
		const char *shown =
			decode(&spec, c->payload, strlen(c->payload), &error);

		if (!CHECK_NAMED(strcmp(shown, c->shown) == 0, "raw \"%s\" is %s",
						 c->payload, c->shown))
			printf("# got %s\n", shown);
	}
}

int
main(void)
{
	test_csv(&usual, usual_cases, lengthof(usual_cases));
	test_csv(&other, other_cases, lengthof(other_cases));
	test_subset();
	test_raw();
	return unit_end();
}
