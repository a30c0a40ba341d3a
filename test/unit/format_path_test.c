/*
 * format_path_test.c
 *		Paths: what is read, and what is refused with which words.
 */
#include "format_unit.h"

typedef struct PathCase
{
	const char *path;
	const char *steps; /* members as <name>, indexes as [n] */
} PathCase;

static const PathCase good[] = {
	{"$", ""},
	{" $ ", ""},
	{"$.a", "<a>"},
	{"$.a.b", "<a><b>"},
	{" $ . a [ 12 ] . b ", "<a>[12]<b>"},
	{"$[0]", "[0]"},
	{"$[2147483647]", "[2147483647]"},
	{"$[0][1].x", "[0][1]<x>"},
	{"$.a.\"b.c\"[0].d", "<a><b.c>[0]<d>"},
	{"$.\"\"", "<>"},
	{"$.\"say \\\"x\\\"\"", "<say \"x\">"},
	{"$.\"a\\\\b\\/c\"", "<a\\b/c>"},
	{"$.\"\\b\\f\\n\\r\\t\\v\"", "<\b\f\n\r\t\v>"},
	{"$.\"\\u00e9\\u{e9}\\xe9\"", "<\xc3\xa9\xc3\xa9\xc3\xa9>"},
	{"$.\"\\ud83d\\ude00\"", "<\xf0\x9f\x98\x80>"},
	{"$.\"\\u{1F600}\"", "<\xf0\x9f\x98\x80>"},
	{"$.gr\xc3\xb6\xc3\x9f"
	 "e",
	 "<gr\xc3\xb6\xc3\x9f"
	 "e>"},
	{"$._a1", "<_a1>"},
	{"$.a\\u0062c", "<abc>"},
	{"$.a\\$b", "<a$b>"},
	{"$.\"1a\"", "<1a>"},
	{"$.null.true.size", "<null><true><size>"},
};

static const PathCase bad[] = {
	{"", "a path must begin with $ at character 1"},
	{"a", "a path must begin with $ at character 1"},
	{"strict $.a", "modes are not supported at character 1"},
	{"lax $.a", "modes are not supported at character 1"},
	{"$a", "variables are not supported at character 2"},
	{"$.", "a member name is missing at character 3"},
	{"$..a", "a member name is missing at character 3"},
	{"$.a.", "a member name is missing at character 5"},
	{"$.*", "wildcard steps are not supported at character 3"},
	{"$.**", "wildcard steps are not supported at character 3"},
	{"$[*]", "wildcard steps are not supported at character 3"},
	{"$.1a", "a member name that begins with a digit must be quoted at "
			 "character 3"},
	{"$.a b", "expected a member or index step at character 5"},
	{"$.a?(@ > 1)", "filters are not supported at character 4"},
	{"$.a.size()", "methods are not supported at character 9"},
	{"$.a + 1", "operators are not supported at character 5"},
	{"$.a-b", "operators are not supported at character 4"},
	{"$[-1]", "negative indexes are not supported at character 3"},
	{"$[last]", "last is not supported at character 3"},
	{"$[0 to 2]", "several indexes in one step are not supported at "
				  "character 5"},
	{"$[0,1]", "several indexes in one step are not supported at character 4"},
	{"$[1.5]", "an index must be a plain number at character 4"},
	{"$[a]", "an index must be a plain number at character 3"},
	{"$[]", "an index must be a plain number at character 3"},
	{"$[01]", "an index must not begin with 0 at character 3"},
	{"$[2147483648]", "index is out of range at character 12"},
	{"$[0", "unterminated index step at character 4"},
	{"$[", "unterminated index step at character 3"},
	{"$.\"a", "unterminated quoted member name at character 5"},
	{"$.\"a\\", "invalid escape sequence at character 6"},
	{"$.\"\\u00\"", "invalid escape sequence at character 8"},
	{"$.\"\\u{\"", "invalid escape sequence at character 7"},
	{"$.\"\\u{12", "invalid escape sequence at character 9"},
	{"$.\"\\u0000\"", "invalid escape sequence at character 10"},
	{"$.\"\\x00\"", "invalid escape sequence at character 8"},
	{"$.\"\\ud800\"", "invalid escape sequence at character 10"},
	{"$.\"\\udc00\"", "invalid escape sequence at character 10"},
	{"$.\"\\ud800\\u0041\"", "invalid escape sequence at character 16"},
	{"$.\xc3\xa4 b", "expected a member or index step at character 5"},
};

static const char *
show_path(const SqPath *path)
{
	static char shown[SHOWN];
	char *out = shown;

	*out = '\0';
	for (int i = 0; i < path->nsteps; i++)
	{
		const SqPathStep *step = &path->steps[i];

		if (step->member != NULL)
			out +=
				sprintf(out, "<%.*s>", (int) step->member_length, step->member);
		else
			out += sprintf(out, "[%lld]", (long long) step->index);
	}
	return shown;
}

static void
free_path(SqPath *path)
{
	for (int i = 0; i < path->nsteps; i++)
		pfree((char *) path->steps[i].member);
	pfree(path->steps);
}

static void
test_good(const PathCase *c)
{
	SqPath path;
	SqError error;

	if (sq_format_path_parse(c->path, &path, &error) != SQ_OK)
	{
		CHECK_STR(error.message, "");
		return;
	}
	CHECK_STR(show_path(&path), c->steps);
	free_path(&path);
}

static void
test_bad(const PathCase *c)
{
	SqPath path;
	SqError error;
	char message[SHOWN];

	snprintf(message, SHOWN, "invalid path \"%s\": %s", c->path, c->steps);
	CHECK_NAMED(sq_format_path_parse(c->path, &path, &error) == SQ_ERROR,
				"%s is refused", c->path);
	CHECK_STR(error.message, message);
	CHECK_STR(show_sqlstate(error.sqlstate), "22023");
	free_path(&path);
}

static void
test_many_steps(void)
{
	char *input = pg_malloc(4001);
	SqPath path;
	SqError error;

	for (int i = 0; i < 2000; i++)
		memcpy(input + 1 + 2 * i, ".a", 2);
	input[0] = '$';
	input[2001] = '\0';
	CHECK_INT(sq_format_path_parse(input, &path, &error), SQ_OK);
	CHECK_INT(path.nsteps, 1000);
	free_path(&path);
	memcpy(input + 2001, ".a", 3);
	CHECK_INT(sq_format_path_parse(input, &path, &error), SQ_ERROR);
	free_path(&path);
	free(input);
}

int
main(void)
{
	SqPath path;

	for (size_t i = 0; i < lengthof(good); i++)
		test_good(&good[i]);
	for (size_t i = 0; i < lengthof(bad); i++)
		test_bad(&bad[i]);
	test_many_steps();
	sq_format_path_member("$.odd \"name\"", &path);
	CHECK_STR(show_path(&path), "<$.odd \"name\">");
	free_path(&path);
	return unit_end();
}
