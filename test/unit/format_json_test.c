/*
 * format_json_test.c
 *		JSON documents: what is malformed, which value a path finds, and what
 *		goes into a row.
 */
#include "format_unit.h"

#include "format/format_simdjson.h"

#define MAX_FIELDS 8

static SqBatch *batch;
static SqDecoder *decoder;
static SqField fields[MAX_FIELDS];
static int nfields;

static void
close_decoder(void)
{
	if (decoder == NULL)
		return;
	sq_format_close(decoder);
	sq_batch_destroy(batch);
	for (int i = 0; i < nfields; i++)
	{
		for (int s = 0; s < fields[i].path.nsteps; s++)
			pfree((char *) fields[i].path.steps[s].member);
		pfree(fields[i].path.steps);
	}
	decoder = NULL;
}

/* A decoder for columns of these kinds at these paths. */
static void
open_decoder(const SqColumn *columns, const char *const *paths, int n)
{
	SqFormatSpec spec = {.format = SQ_FORMAT_JSON,
						 .columns = columns,
						 .fields = fields,
						 .nfields = n};
	SqError error;

	close_decoder();
	nfields = n;
	for (int i = 0; i < n; i++)
	{
		fields[i] = (SqField){.column = i};
		if (sq_format_path_parse(paths[i], &fields[i].path, &error) != SQ_OK)
			CHECK_STR(error.message, "");
	}
	decoder = sq_format_open(&spec);
	batch = sq_batch_create(columns, n, 3);
}

/* The row that a document makes, or the sqlstate of its error. */
static const char *
decode(const char *document, size_t length, SqError *error)
{
	SqSlice payload = exact_copy(document, length);
	static char shown[SHOWN * 4];
	const int row = 1;

	sq_batch_reset(batch);
	/* Nothing that was in the row before may stay. */
	for (int c = 0; c < batch->ncolumns; c++)
		sq_column_set_pending(&batch->columns[c], row, payload);
	batch->nrows = 3;
	if (sq_format_decode(decoder, payload, batch, row, error) == SQ_OK)
		strcpy(shown, show_row(batch, row));
	else
	{
		strcpy(shown, show_sqlstate(error->sqlstate));
		for (int c = 0; c < batch->ncolumns; c++)
		{
			if (strcmp(show(&batch->columns[c], row), "NULL") != 0)
				strcpy(shown, "an error left a value");
		}
	}
	free((char *) payload.data);
	return shown;
}

#define DECODE(document, error) decode(document, strlen(document), error)

/* ---- Grammar ---- */

/* Documents whose members nobody asks for, accepted. */
static const char *const accepted[] = {
	"{}",
	" \t\r\n{ } ",
	"{\"x\":1}",
	"{\"x\":-0}",
	"{\"x\":0.0e-0}",
	"{\"x\":1E+5}",
	"{\"x\":123456789012345678901234567890.5e1000}",
	"{\"x\":1e999}",
	"{\"x\" : true , \"y\":false,\"z\":null}",
	"{\"x\":[],\"y\":{},\"z\":[[],{}]}",
	"{\"x\":[1,\"2\",null,[3]]}",
	"{\"\":\"\"}",
	"{\"x\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}",
	"{\"x\":\"\\ud83d\\uDE00\"}",
	"{\"x\":\"\x7f\"}",
	"{\"x\":\"\xf0\x9f\x98\x80\"}",
	"{\"x\":\"[{,:}]\"}",
	"{\"x\":\"a\\\\\"}",
	"{\"x\":1 }\n",
	"null",
	" null ",
	"",
};

typedef struct Refusal
{
	const char *document;
	const char *sqlstate;
	const char *message; /* NULL: any */
} Refusal;

static const Refusal refused[] = {
	{" ", "22P02", "invalid JSON"},
	{"\n\t", "22P02", "invalid JSON"},
	{"{", "22P02",
	 "invalid JSON: expected a string as member name, but the "
	 "document ends"},
	{"}", "22P02", "invalid JSON at byte 1: expected a JSON value"},
	{"{\"x\"", "22P02",
	 "invalid JSON: expected \":\" after a member name, but the document "
	 "ends"},
	{"{\"x\":", "22P02",
	 "invalid JSON: expected a JSON value, but the document ends"},
	{"{\"x\":1", "22P02",
	 "invalid JSON: expected \",\" or \"}\", but the document ends"},
	{"{\"x\":1,}", "22P02",
	 "invalid JSON at byte 8: expected a string as member name"},
	{"{\"x\":1]", "22P02", "invalid JSON at byte 7: expected \",\" or \"}\""},
	{"{\"x\":[1}", "22P02", "invalid JSON at byte 8: expected \",\" or \"]\""},
	{"{\"x\":[1,]}", "22P02", "invalid JSON at byte 9: expected a JSON value"},
	{"{\"x\":[,1]}", "22P02", NULL},
	{"{,}", "22P02", NULL},
	{"{\"x\"}", "22P02", NULL},
	{"{\"x\" 1}", "22P02", NULL},
	{"{x:1}", "22P02", NULL},
	{"{1:1}", "22P02", NULL},
	{"{\"x\"::1}", "22P02", NULL},
	{"{\"x\":1 2}", "22P02", NULL},
	{"{\"x\":\"a\"\"b\"}", "22P02", NULL},
	{"{\"x\":\"a\"b}", "22P02", NULL},
	{"{\"x\":1\"a\"}", "22P02", NULL},
	{"{\"x\":01}", "22P02", "invalid JSON at byte 6: expected a JSON number"},
	{"{\"x\":-}", "22P02", NULL},
	{"{\"x\":-01}", "22P02", NULL},
	{"{\"x\":+1}", "22P02", NULL},
	{"{\"x\":.5}", "22P02", NULL},
	{"{\"x\":1.}", "22P02", NULL},
	{"{\"x\":1.e5}", "22P02", NULL},
	{"{\"x\":1e}", "22P02", NULL},
	{"{\"x\":1e+}", "22P02", NULL},
	{"{\"x\":1a}", "22P02", NULL},
	{"{\"x\":0x1}", "22P02", NULL},
	{"{\"x\":1_000}", "22P02", NULL},
	{"{\"x\":NaN}", "22P02", NULL},
	{"{\"x\":Infinity}", "22P02", NULL},
	{"{\"x\":tru}", "22P02", NULL},
	{"{\"x\":truee}", "22P02", NULL},
	{"{\"x\":True}", "22P02", NULL},
	{"{\"x\":nul", "22P02", NULL},
	{"{\"x\":'a'}", "22P02", NULL},
	{"{\"x\":1}x", "22P02",
	 "invalid JSON at byte 8: expected the end of the document"},
	{"{\"x\":1}{}", "22P02", NULL},
	{"{\"x\":1},", "22P02", NULL},
	{"{}}", "22P02", NULL},
	{"{\"x\":\"a", "22P02", "invalid JSON"},
	{"{\"x\":\"a\\\"}", "22P02", "invalid JSON"},
	{"{\"x\":\"a\nb\"}", "22P02", "invalid JSON"},
	{"{\"x\":\"a\tb\"}", "22P02", "invalid JSON"},
	{"{\"x\":\"\x01\"}", "22P02", "invalid JSON"},
	{"{\"x\x1f\":1}", "22P02", "invalid JSON"},
	{"{\"x\":\"\\a\"}", "22P02",
	 "invalid JSON at byte 7: invalid escape sequence"},
	{"{\"x\":\"\\u12\"}", "22P02", NULL},
	{"{\"x\":\"\\u12g4\"}", "22P02", NULL},
	{"{\"x\":\"\\U1234\"}", "22P02", NULL},
	{"{\"x\":\"\\ud800\"}", "22P02", NULL},
	{"{\"x\":\"\\ud800a\"}", "22P02", NULL},
	{"{\"x\":\"\\ud800\\n\"}", "22P02", NULL},
	{"{\"x\":\"\\ud800\\ud800\"}", "22P02", NULL},
	{"{\"x\":\"\\ud800\\u0041\"}", "22P02", NULL},
	{"{\"x\":\"\\udc00\"}", "22P02", NULL},
	{"{\"\\ud800\":1}", "22P02", NULL},
	{"{\"x\":\"\\u0000\"}", "22P05", "unsupported Unicode escape sequence"},
	{"{\"\\u0000\":1}", "22P05", NULL},
	{"{\"x\":[{\"y\":\"a\\u0000\"}]}", "22P05", NULL},
	{"{\"x\":\"\xff\"}", "22021",
	 "invalid byte sequence for encoding \"UTF8\": 0xff"},
	{"{\"x\":\"\xc3\"}", "22021", NULL},
	{"{\"x\":\"\xed\xa0\x80\"}", "22021",
	 "invalid byte sequence for encoding \"UTF8\": 0xed 0xa0 0x80"},
	{"{\"x\":\"\xc0\x80\"}", "22021", NULL},
	{"{\"x\":\"\xf4\x90\x80\x80\"}", "22021", NULL},
	{"{\"x\":1}\xff", "22021", NULL},
	{"\xef\xbb\xbf{}", "22P02", NULL},
	{"{\"x\":1}\f", "22P02", NULL},
	{"{\"x\":1\x0b}", "22P02", NULL},
	{"{\"x\"\x1a"
	 "1}",
	 "22P02", NULL},
	{"{\"x\":\xc2\xa0"
	 "1}",
	 "22P02", NULL},
	{"[1]", "22023", "top-level JSON value is an array, not an object"},
	{"[]", "22023", NULL},
	{"\"a\"", "22023", "top-level JSON value is a string, not an object"},
	{"-1.5", "22023", "top-level JSON value is a number, not an object"},
	{"true", "22023", "top-level JSON value is a boolean, not an object"},
	{"false", "22023", NULL},
	{"[1", "22P02", NULL},
};

static void
test_grammar(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	SqError error;

	open_decoder(&column, (const char *[]){"$.wanted"}, 1);
	for (size_t i = 0; i < lengthof(accepted); i++)
		CHECK_NAMED(strcmp(DECODE(accepted[i], &error), "NULL") == 0,
					"accepted: %s", accepted[i]);
	for (size_t i = 0; i < lengthof(refused); i++)
	{
		const Refusal *r = &refused[i];

		CHECK_NAMED(strcmp(DECODE(r->document, &error), r->sqlstate) == 0,
					"refused with %s: %s", r->sqlstate, r->document);
		if (r->message != NULL)
			CHECK_STR(error.message, r->message);
	}
	CHECK_STR(decode("{\"x\":1}\0", 8, &error), "22P02");
	CHECK_STR(decode("{\"x\":\"\0\"}", 9, &error), "22P02");
}

/* Everything that is refused alone is refused inside of something wanted, and
 * behind it. */
static void
test_grammar_everywhere(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	SqError error;
	char document[SHOWN];
	int missed = 0;

	open_decoder(&column, (const char *[]){"$.wanted"}, 1);
	for (size_t i = 0; i < lengthof(refused); i++)
	{
		const Refusal *r = &refused[i];

		if (strcmp(r->sqlstate, "22023") == 0)
			continue;
		sprintf(document, "{\"wanted\":[%s]}", r->document);
		missed += strlen(DECODE(document, &error)) != 5 &&
				  strspn(r->document, " \n\t") != strlen(r->document);
		sprintf(document, "{\"wanted\":1,\"other\":[0,%s]}", r->document);
		missed += strlen(DECODE(document, &error)) != 5;
	}
	CHECK_INT(missed, 0);
}

static void
test_depth(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	char *document = pg_malloc(200000);
	SqError error;

	open_decoder(&column, (const char *[]){"$[0]"}, 1);
	memset(document, '[', 16384);
	memset(document + 16384, ']', 16384);
	CHECK_INT(strlen(decode(document, 2 * 16384, &error)), SHOWN - 1);
	memset(document, '[', 16385);
	memset(document + 16385, ']', 16385);
	CHECK_STR(decode(document, 2 * 16385, &error), "54001");
	CHECK_STR(error.message, "JSON is nested too deeply");
	memset(document, '[', 200000);
	CHECK_STR(decode(document, 200000, &error), "54001");
	CHECK_STR(decode(document, 1000, &error), "22P02");
	free(document);
}

/* ---- Paths ---- */

typedef struct PathCase
{
	const char *path;
	const char *document;
	const char *shown;
} PathCase;

static const PathCase paths[] = {
	{"$.a", "{\"a\":1}", "=1"},
	{"$.a", "{\"A\":1}", "NULL"},
	{"$.a", "{\"b\":{\"a\":1}}", "NULL"},
	{"$.a", "{\"a\":null}", "NULL"},
	{"$.a", "{\"a\":1,\"a\":2}", "=2"},
	{"$.a", "{\"a\":1,\"a\":null}", "NULL"},
	{"$.a", "{\"a\":1,\"\\u0061\":2}", "=2"},
	{"$.a", "{\"\\u0061\":2,\"a\":1}", "=1"},
	{"$.\"\"", "{\"\":1}", "=1"},
	{"$.\"a\\nb\"", "{\"a\\nb\":1}", "=1"},
	{"$.\"gr\xc3\xbc\"", "{\"gr\\u00fc\":1}", "=1"},
	{"$.a.b", "{\"a\":{\"b\":1}}", "=1"},
	{"$.a.b", "{\"a\":{\"b\":1},\"a\":{}}", "NULL"},
	{"$.a.b", "{\"a\":{\"b\":1},\"a\":3}", "NULL"},
	{"$.a.b", "{\"a\":3,\"a\":{\"b\":1}}", "=1"},
	{"$.a.b", "{\"a\":{\"b\":1},\"a\":{\"b\":2}}", "=2"},
	{"$.a.b", "{\"a\":[{\"b\":1}]}", "NULL"},
	{"$.a.b", "{\"a\":\"b\"}", "NULL"},
	{"$.a.b.c", "{\"a\":{\"b\":{\"c\":1}},\"a\":{\"b\":{}}}", "NULL"},
	{"$.a[0]", "{\"a\":[7,8]}", "=7"},
	{"$.a[1]", "{\"a\":[7,8]}", "=8"},
	{"$.a[2]", "{\"a\":[7,8]}", "NULL"},
	{"$.a[0]", "{\"a\":[]}", "NULL"},
	{"$.a[0]", "{\"a\":7}", "NULL"},
	{"$.a[0]", "{\"a\":{\"0\":7}}", "NULL"},
	{"$.a[0]", "{\"a\":[7],\"a\":[]}", "NULL"},
	{"$.a[0]", "{\"a\":[null]}", "NULL"},
	{"$.a[1].b[1]", "{\"a\":[0,{\"b\":[1,2]}]}", "=2"},
	{"$.a[1][1]", "{\"a\":[[1,2],[3,4]]}", "=4"},
	{"$[1]", "[5,6]", "=6"},
	{"$[1]", "{\"1\":6}", "NULL"},
	{"$[1]", "6", "NULL"},
	{"$[1]", "\"6\"", "NULL"},
	{"$[1].a", "[5,{\"a\":6}]", "=6"},
	{"$[1].a", "null", "NULL"},
	{"$", "[1, 2]", "=[1, 2]"},
	{"$", " {\"a\" : 1} ", "={\"a\" : 1}"},
	{"$", "\"x\"", "=x"},
	{"$", " 12.50 ", "=12.50"},
	{"$", "true", "=true"},
	{"$", "null", "NULL"},
	{"$", "", "NULL"},
	{"$.a", "{\"a\":[1, {\"b\" :\t2} ] }", "=[1, {\"b\" :\t2} ]"},
	{"$.a", "{\"a\":{ \"b\":\"\\n\"},\"c\":1}", "={ \"b\":\"\\n\"}"},
	{"$.a", "{\"a\":{ },\"c\":[]}", "={ }"},
	{"$.a", "{\"a\":1.50}", "=1.50"},
	{"$.a", "{\"a\":-1E+05 }", "=-1E+05"},
	{"$.a", "{\"a\":false}", "=false"},
	{"$.a", "{\"a\":\"\"}", "="},
	{"$.a", "{\"a\": \"x\" \n}", "=x"},
	{"$.a", "{\"a\":\"[1]\"}", "=[1]"},
	{"$.a", "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "=\"\\/\b\f\n\r\t"},
	{"$.a", "{\"a\":\"x\\u00E9y\\u20acz\"}", "=x\xc3\xa9y\xe2\x82\xacz"},
	{"$.a", "{\"a\":\"\\uD83D\\uDE00\"}", "=\xf0\x9f\x98\x80"},
	{"$.a", "{\"a\":\"plain\",\"b\":\"\\n\"}", "=plain"},
	{"$.a", "{\"a\":\"x\\\\\"}", "=x\\"},
};

static void
test_paths(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	SqError error;

	for (size_t i = 0; i < lengthof(paths); i++)
	{
		const PathCase *c = &paths[i];
		const char *shown;

		open_decoder(&column, &c->path, 1);
		shown = DECODE(c->document, &error);
		if (!CHECK_NAMED(strcmp(shown, c->shown) == 0, "%s of %s is %s",
						 c->path, c->document, c->shown))
			printf("# got %s\n", shown);
	}
}

/* Several fields at once: shared steps, one place twice, a place and what is
 * in it, members and elements of the same place. */
static void
test_tree(void)
{
	static const SqColumn columns[6] = {
		{.type = SQ_TYPE_TEXT}, {.type = SQ_TYPE_TEXT}, {.type = SQ_TYPE_TEXT},
		{.type = SQ_TYPE_INT4}, {.type = SQ_TYPE_TEXT}, {.type = SQ_TYPE_TEXT}};
	static const char *const tree[6] = {"$.a",    "$.a.b", "$.a[1]",
										"$.a[0]", "$.a.b", "$"};
	SqError error;

	open_decoder(columns, tree, 6);
	CHECK_STR(DECODE("{\"a\":{\"b\":1}}", &error),
			  "={\"b\":1}|=1|NULL|NULL|=1|={\"a\":{\"b\":1}}");
	CHECK_STR(DECODE("{\"a\":[3,4]}", &error),
			  "=[3,4]|NULL|=4|=3|NULL|={\"a\":[3,4]}");
	CHECK_STR(DECODE("{\"a\":[3,4],\"a\":{\"b\":5}}", &error),
			  "={\"b\":5}|=5|NULL|NULL|=5|={\"a\":[3,4],\"a\":{\"b\":5}}");
	CHECK_STR(DECODE("[0]", &error), "NULL|NULL|NULL|NULL|NULL|=[0]");
	CHECK_STR(DECODE("{}", &error), "NULL|NULL|NULL|NULL|NULL|={}");
}

/* ---- Kinds of columns ---- */

static void
test_kinds(void)
{
	static const SqColumn columns[7] = {
		{.type = SQ_TYPE_INT4},
		{.type = SQ_TYPE_BOOL},
		{.type = SQ_TYPE_NUMERIC, .precision = 10, .scale = 2},
		{.type = SQ_TYPE_INPUT},
		{.type = SQ_TYPE_JSON},
		{.type = SQ_TYPE_BYTEA},
		{.type = SQ_TYPE_UUID}};
	static const char *const tree[7] = {"$.a", "$.a", "$.a", "$.a",
										"$.a", "$.a", "$.a"};
	SqError error;

	open_decoder(columns, tree, 7);
	CHECK_STR(DECODE("{\"a\":1}", &error), "=1|=1|=100|?1|?1|?1|?1");
	CHECK_STR(DECODE("{\"a\":\"1\"}", &error), "=1|=1|=100|?1|?\"1\"|?1|?1");
	CHECK_STR(DECODE("{\"a\":true}", &error),
			  "?true|=1|?true|?true|?true|?true|?true");
	CHECK_STR(DECODE("{\"a\":\"x\\ny\"}", &error),
			  "?x\ny|?x\ny|?x\ny|?x\ny|?\"x\\ny\"|?x\ny|?x\ny");
	CHECK_STR(DECODE("{\"a\":[ 1]}", &error),
			  "?[ 1]|?[ 1]|?[ 1]|?[ 1]|?[ 1]|?[ 1]|?[ 1]");
	CHECK_STR(DECODE("{\"a\":null}", &error),
			  "NULL|NULL|NULL|NULL|NULL|NULL|NULL");
	CHECK_STR(DECODE("{\"a\":\"\\\\x00ff\"}", &error),
			  "?\\x00ff|?\\x00ff|?\\x00ff|?\\x00ff|?\"\\\\x00ff\"|=00ff|"
			  "?\\x00ff");
}

static void
test_epoch(void)
{
	static const SqColumn columns[2] = {{.type = SQ_TYPE_TIMESTAMPTZ},
										{.type = SQ_TYPE_DATE}};
	SqField epoch[2] = {{.column = 0, .epoch = SQ_EPOCH_MS},
						{.column = 1, .epoch = SQ_EPOCH_MS}};
	SqFormatSpec spec = {.format = SQ_FORMAT_JSON,
						 .columns = columns,
						 .fields = epoch,
						 .nfields = 2};
	SqError error;

	close_decoder();
	nfields = 2;
	for (int i = 0; i < 2; i++)
	{
		sq_format_path_member("t", &epoch[i].path);
		fields[i] = epoch[i];
	}
	decoder = sq_format_open(&spec);
	batch = sq_batch_create(columns, 2, 3);
	CHECK_STR(DECODE("{\"t\":946684800001}", &error), "=1000|=0");
	CHECK_STR(DECODE("{\"t\":\"946684800001\"}", &error), "=1000|=0");
	CHECK_STR(DECODE("{\"t\":9.46684800001e11}", &error), "=1000|=0");
	CHECK_STR(DECODE("{\"t\":\"soon\"}", &error), "?soon|?soon");
	CHECK_STR(DECODE("{\"t\":1e99}", &error), "?1e99|?1e99");
	CHECK_STR(DECODE("{\"t\":[1]}", &error), "?[1]|?[1]");
	CHECK_STR(DECODE("{\"t\":true}", &error), "?true|?true");
	CHECK_STR(DECODE("{\"t\":null}", &error), "NULL|NULL");
}

/* ---- Size ---- */

/* Three hundred fields whose names differ only in their middle. */
static void
test_many_fields(void)
{
	enum
	{
		N = 300
	};
	SqColumn columns[N];
	SqField many[N];
	SqFormatSpec spec = {.format = SQ_FORMAT_JSON,
						 .columns = columns,
						 .fields = many,
						 .nfields = N};
	char document[N * 64] = "{";
	SqDecoder *wide;
	SqBatch *rows;
	SqError error;
	int wrong = 0;

	for (int i = 0; i < N; i++)
	{
		char name[64];

		sprintf(name, "long_common_prefix_%03d_and_suffix", i);
		columns[i] = (SqColumn){.type = SQ_TYPE_INT4};
		many[i] = (SqField){.column = i};
		sq_format_path_member(name, &many[i].path);
		sprintf(document + strlen(document), "%s\"%s\":%d", i ? "," : "", name,
				i);
	}
	strcat(document, "}");
	wide = sq_format_open(&spec);
	rows = sq_batch_create(columns, N, 1);
	CHECK_INT(sq_format_decode(wide, (SqSlice){document, strlen(document)},
							   rows, 0, &error),
			  SQ_OK);
	for (int i = 0; i < N; i++)
	{
		wrong += !sq_bit_get(rows->columns[i].valid, 0) ||
				 rows->columns[i].i[0] != i;
		pfree((char *) many[i].path.steps[0].member);
		pfree(many[i].path.steps);
	}
	CHECK_INT(wrong, 0);
	sq_batch_destroy(rows);
	sq_format_close(wide);
}

/* Documents of every length around the blocks that simdjson reads. */
static void
test_lengths(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	SqError error;
	int wrong = 0;

	open_decoder(&column, (const char *[]){"$.a"}, 1);
	for (int n = 0; n < 400; n++)
	{
		char document[SHOWN];
		char expected[SHOWN];

		memset(expected, 'x', SHOWN);
		expected[0] = '=';
		expected[n + 1] = '\0';
		sprintf(document, "{\"a\":\"%s\"}", expected + 1);
		wrong += strcmp(DECODE(document, &error), expected) != 0;
		sprintf(document, "{\"a\":\"%s", expected + 1);
		wrong += strcmp(DECODE(document, &error), "22P02") != 0;
		sprintf(document, "{\"a\":\"%s\"}\xc3", expected + 1);
		wrong += strcmp(DECODE(document, &error), "22021") != 0;
	}
	CHECK_INT(wrong, 0);
}

/* A large document, and that it leaves no large parser behind. */
static void
test_large(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	const size_t length = 10 * 1024 * 1024;
	char *document = pg_malloc(length);
	SqSimdjson *parser = sq_format_simdjson_create();
	SqSimdjsonIndex index;
	SqError error;

	open_decoder(&column, (const char *[]){"$.b"}, 1);
	memset(document, 'x', length);
	memcpy(document, "{\"a\":\"", 6);
	memcpy(document + length - 9, "\",\"b\":12}", 9);
	CHECK_STR(decode(document, length, &error), "=12");
	CHECK_INT(sq_format_simdjson_index(parser, document, length, &index),
			  SQ_SIMDJSON_OK);
	CHECK(sq_format_simdjson_size(parser) >= 4 * length);
	for (int i = 0; i < 10000; i++)
		(void) sq_format_simdjson_index(parser, "{}", 2, &index);
	CHECK_INT(index.count, 2);
	CHECK(sq_format_simdjson_size(parser) < 64 * 1024);
	sq_format_simdjson_destroy(parser);
	free(document);
}

static void
test_null_payload(void)
{
	const SqColumn column = {.type = SQ_TYPE_TEXT};
	SqError error;

	open_decoder(&column, (const char *[]){"$.a"}, 1);
	CHECK_STR(DECODE("{\"a\":1}", &error), "=1");
	CHECK_INT(sq_format_decode(decoder, SQ_NULL_SLICE, batch, 1, &error),
			  SQ_OK);
	CHECK_STR(show_row(batch, 1), "NULL");
}

/* ---- Documents that look like the one before ---- */

static const SqColumn shape_columns[] = {{.type = SQ_TYPE_TEXT},
										 {.type = SQ_TYPE_INT8},
										 {.type = SQ_TYPE_TEXT},
										 {.type = SQ_TYPE_TEXT},
										 {.type = SQ_TYPE_JSON}};
static const char *const shape_paths[] = {"$.a", "$.number_of_it", "$.b.c",
										  "$.list[1]", "$.scalar"};

/* Alike and not, good and bad: each comes after each other one. */
static const char *const alike[] = {
	"{\"a\":\"x\",\"number_of_it\":1}",
	"{\"a\":\"yy\",\"number_of_it\":-12}",
	"{ \"a\" : \"z\" , \"number_of_it\" : 123456789012345 } ",
	"{\"a\":\"x\",\"number_of_it\":null}",
	"{\"a\":null,\"number_of_it\":true}",
	"{\"a\":\"x\",\"number_of_it\":01}",
	"{\"a\":\"x\",\"number_of_it\":1x}",
	"{\"a\":\"x\",\"number_of_it\":1234567:}",
	"{\"a\":\"x\",\"number_of_it\":12345678}",
	"{\"a\":\"x\",\"number_of_it\":/}",
	"{\"a\":\"x\",\"number_of_it\":tru}",
	"{\"a\":\"x\",\"number_of_it\":-}",
	"{\"a\":\"x\",\"number_of_it\":1.}",
	"{\"a\":\"x\",\"number_of_it\":1.5e3}",
	"{\"a\":\"x\",\"number_of_it\":00000001}",
	"{\"a\":\"x\",\"number_of_it\":0}",
	"{\"a\":\"x\",\"number_of_it\":0.5}",
	"{\"a\":\"x\",\"number_of_it\":-0.5}",
	"{\"a\":\"x\",\"number_of_it\":00.5}",
	"{\"a\":\"x\",\"number_of_it\":-00.5}",
	"{\"a\":\"x\",\"number_of_it\":-.5}",
	"{\"a\":\"x\",\"number_of_it\":.5}",
	"{\"a\":\"x\",\"number_of_it\":1..2}",
	"{\"a\":\"x\",\"number_of_it\":1.2.3}",
	"{\"a\":\"x\",\"number_of_it\":1-2}",
	"{\"a\":\"x\",\"number_of_it\":1.-2}",
	"{\"a\":\"x\",\"number_of_it\":--1}",
	"{\"a\":\"x\",\"number_of_it\":-1.}",
	"{\"a\":\"x\",\"number_of_it\":1.5 }",
	"{\"a\":\"x\",\"number_of_it\":1 .5}",
	"{\"a\":\"x\",\"number_of_it\":123456789012.345}",
	"{\"a\":\"x\",\"number_of_it\":-123456789012.34}",
	"{\"a\":\"x\",\"number_of_it\":-123456789012.345}",
	"{\"a\":\"x\",\"number_of_it\":1234567890123456}",
	"{\"a\":\"x\",\"number_of_it\":-1.5E-7}",
	"{\"a\":\"x\",\"number_of_it\":1.5e}",
	"{\"a\":\"x\",\"number_of_it\":+1}",
	"{\"a\":\"x\",\"number_of_it\":1:5}",
	"{\"a\":\"x\",\"number_of_it\":1/5}",
	"{\"a\":\"x\",\"number_of_it\":-0}",
	"{\"a\":\"x\",\"number_of_it\":10}",
	"{\"a\":\"x\",\"number_of_it\":0.0}",
	"{\"a\":\"x\\n\",\"number_of_it\":1}",
	"{\"\\u0061\":\"x\",\"number_of_it\":1}",
	"{\"b\":\"x\",\"number_of_it\":1}",
	"{\"a\":\"x\",\"number_of_id\":1}",
	"{\"a\":\"x\",\"number_of_itx\":1}",
	"{\"a\":\"x\",\"number_of_i\":1}",
	"{\"number_of_it\":\"7\",\"a\":1}",
	"{\"a\":\"first\",\"a\":\"last\"}",
	"{\"a\":\"x\",\"number_of_it\":1]",
	"{\"a\":\"x\",\"number_of_it\",1}",
	"{\"a\":\"x\":\"number_of_it\":1}",
	"[\"a\",\"x\",\"number_of_it\",1]",
	"{\"a\":\"x\",\"number_of_it\":1,}",
	"{\"a\":\"x\",\"number_of_it\":{}}",
	"{\"a\":\"x\",\"b\":{\"c\":\"deep\"},\"scalar\":5}",
	"{\"a\":\"x\",\"b\":{\"c\":\"er\" },\"scalar\":\"s\"}",
	"{\"a\":\"x\",\"b\":{\"d\":\"er\"},\"scalar\":false}",
	"{\"a\":\"x\",\"b\":[\"c\",\"er\"],\"scalar\":false}",
	"{\"list\":[1,2,3],\"a\":\"x\"}",
	"{\"list\":[1,\"two\",3],\"a\":\"x\"}",
	"{\"list\":[1,2,\"a\"],\"a\":\"x\"}",
	"{\"list\":[1,{},3],\"a\":\"x\"}",
	"{\"scalar\":[1,2]}",
	"{}",
	"1",
	"",
	"{\"a\":\"x\xff\",\"number_of_it\":1}",
	"{\"a_name_that_is_longer_than_two_words\":1,\"a\":\"x\"}",
	"{\"a_name_that_is_longer_than_two_wordz\":1,\"a\":\"x\"}",
	"{\"a_name_that_is_LONGER_than_two_words\":1,\"a\":\"x\"}",
};

static void
test_shapes(void)
{
	static char alone[lengthof(alike)][SHOWN];
	SqError error;

	for (int i = 0; i < lengthof(alike); i++)
	{
		open_decoder(shape_columns, shape_paths, lengthof(shape_paths));
		snprintf(alone[i], SHOWN, "%s",
				 decode(alike[i], strlen(alike[i]), &error));
	}
	for (int first = 0; first < lengthof(alike); first++)
		for (int second = 0; second < lengthof(alike); second++)
		{
			const char *again = alone[second];

			open_decoder(shape_columns, shape_paths, lengthof(shape_paths));
			for (int times = 0; times < 3; times++)
				decode(alike[first], strlen(alike[first]), &error);
			for (int times = 0; times < 3; times++)
				if (strcmp(again, alone[second]) == 0)
					again =
						decode(alike[second], strlen(alike[second]), &error);
			if (strcmp(again, alone[second]) != 0)
				printf("# %s after %s\n", alike[second], alike[first]);
			CHECK_STR(again, alone[second]);
		}
}

int
main(void)
{
	test_grammar();
	test_grammar_everywhere();
	test_depth();
	test_paths();
	test_tree();
	test_kinds();
	test_epoch();
	test_many_fields();
	test_lengths();
	test_large();
	test_null_payload();
	test_shapes();
	close_decoder();
	return unit_end();
}
