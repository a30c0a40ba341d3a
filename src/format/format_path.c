/*
 * format_path.c
 *		SQL/JSON paths of member and index steps.
 *
 * Only what names one place in a document is a path to a column; wildcards,
 * filters, methods and modes are recognised so that the error can name them.
 * Member names are read as PostgreSQL's jsonpath reads them: bare up to the
 * next special character, or quoted with its escapes.
 *
 * Memory: steps and names are palloc'd. Locks: none.
 */
#include "format/format.h"

#include <ctype.h>

#include "mb/pg_wchar.h"

typedef struct PathScan
{
	const char *text;
	const char *at;
	SqPath *path;
	int capacity;
	SqError *error;
} PathScan;

#define SPECIAL "?%$.[]{}()|&!=<>@#,*:-+/\\\""
/* Places in a document are walked recursively. */
#define MAX_STEPS 1000

#define BLANK " \t\n\r\f"

/* ---- Errors ---- */

/* Character (not byte) of the path that we are at, from 1. */
static int
character_at(const PathScan *scan)
{
	int character = 1;

	for (const char *p = scan->text; p < scan->at; p++)
		character += (*p & 0xC0) != 0x80;
	return character;
}

static SqStatus
path_error(PathScan *scan, const char *what)
{
	SqStatus status =
		sq_error_set(scan->error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "invalid path \"%.500s\": %s at character %d", scan->text,
					 what, character_at(scan));

	sq_error_hint(scan->error, "A path is $ followed by member steps (.name or "
							   ".\"name\") and index steps ([0]).");
	return status;
}

/* ---- Building ---- */

static void
add_step(PathScan *scan, SqPathStep step)
{
	SqPath *path = scan->path;

	if (path->nsteps == scan->capacity)
	{
		scan->capacity *= 2;
		path->steps =
			repalloc(path->steps, scan->capacity * sizeof(SqPathStep));
	}
	path->steps[path->nsteps++] = step;
}

static SqPathStep
member_step(const char *name, size_t length)
{
	char *copy = palloc(length + 1);

	memcpy(copy, name, length);
	copy[length] = '\0';
	return (SqPathStep){.member = copy, .member_length = length};
}

static void
skip_blanks(PathScan *scan)
{
	scan->at += strspn(scan->at, BLANK);
}

/* ---- Quoted and bare names ---- */

/* Hexadecimal digits, from min to max of them. */
static bool
scan_hex(PathScan *scan, int min, int max, pg_wchar *value)
{
	int n;

	*value = 0;
	for (n = 0; n < max && isxdigit((unsigned char) *scan->at); n++)
	{
		char c = *scan->at++;

		*value = *value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return n >= min;
}

/* What follows \u: XXXX or {X to XXXXXX}. */
static bool
scan_code_unit(PathScan *scan, pg_wchar *value)
{
	if (*scan->at != '{')
		return scan_hex(scan, 4, 4, value);
	scan->at++;
	if (!scan_hex(scan, 1, 6, value) || *scan->at != '}')
		return false;
	scan->at++;
	return true;
}

/* What follows \u, with the second half of a surrogate pair. */
static bool
scan_code_point(PathScan *scan, pg_wchar *value)
{
	pg_wchar second;

	if (!scan_code_unit(scan, value))
		return false;
	if (is_utf16_surrogate_first(*value))
	{
		if (scan->at[0] != '\\' || scan->at[1] != 'u')
			return false;
		scan->at += 2;
		if (!scan_code_unit(scan, &second) ||
			!is_utf16_surrogate_second(second))
			return false;
		*value = surrogate_pair_to_codepoint(*value, second);
	}
	return is_valid_unicode_codepoint(*value) &&
		   !is_utf16_surrogate_second(*value);
}

/* One escape, after its backslash, as UTF-8; answers its length, 0 if it is
 * not one. */
static int
scan_escape(PathScan *scan, char *out)
{
	static const char letters[] = "bfnrtv";
	static const char meanings[] = "\b\f\n\r\t\v";
	pg_wchar value;
	const char *letter;
	char c = *scan->at;

	if (c == '\0')
		return 0;
	scan->at++;
	letter = strchr(letters, c);
	if (letter != NULL)
	{
		*out = meanings[letter - letters];
		return 1;
	}
	if (c != 'u' && c != 'x')
	{
		*out = c;
		return 1;
	}
	if (c == 'u' ? !scan_code_point(scan, &value)
				 : !scan_hex(scan, 2, 2, &value) || value == 0)
		return 0;
	unicode_to_utf8(value, (unsigned char *) out);
	return pg_utf_mblen((unsigned char *) out);
}

/* A name up to a closing quote, or up to a special or blank character; with
 * escapes in both. */
static SqStatus
read_name(PathScan *scan, bool quoted, char *name, size_t *length)
{
	const char *stop = quoted ? "\"\\" : SPECIAL BLANK;

	*length = 0;
	for (;;)
	{
		size_t plain = strcspn(scan->at, stop);
		int escaped;

		memcpy(name + *length, scan->at, plain);
		*length += plain;
		scan->at += plain;
		if (*scan->at != '\\')
			break;
		scan->at++;
		escaped = scan_escape(scan, name + *length);
		if (escaped == 0)
			return path_error(scan, "invalid escape sequence");
		*length += escaped;
	}
	if (quoted && *scan->at == '\0')
		return path_error(scan, "unterminated quoted member name");
	scan->at += quoted;
	return SQ_OK;
}

static SqStatus
scan_name(PathScan *scan, bool quoted)
{
	/* No form of a name is longer than its source. */
	char *name = palloc(strlen(scan->at) + 1);
	size_t length;
	SqStatus status = read_name(scan, quoted, name, &length);

	if (status == SQ_OK)
		add_step(scan, member_step(name, length));
	pfree(name);
	return status;
}

/* ---- Steps ---- */

static SqStatus
scan_member(PathScan *scan)
{
	char c = *scan->at;

	if (c == '"')
	{
		scan->at++;
		return scan_name(scan, true);
	}
	if (c == '*')
		return path_error(scan, "wildcard steps are not supported");
	if (c >= '0' && c <= '9')
		return path_error(scan, "a member name that begins with a digit must "
								"be quoted");
	if (c == '\0' || (c != '\\' && strchr(SPECIAL, c) != NULL))
		return path_error(scan, "a member name is missing");
	return scan_name(scan, false);
}

/* Why something is no index. */
static const char *
index_fault(const char *at)
{
	if (*at == '*')
		return "wildcard steps are not supported";
	if (*at == '-')
		return "negative indexes are not supported";
	if (strncmp(at, "last", 4) == 0)
		return "last is not supported";
	if (*at == '\0')
		return "unterminated index step";
	return "an index must be a plain number";
}

static SqStatus
scan_index(PathScan *scan)
{
	SqPathStep step = {0};

	skip_blanks(scan);
	if (*scan->at < '0' || *scan->at > '9')
		return path_error(scan, index_fault(scan->at));
	if (scan->at[0] == '0' && scan->at[1] >= '0' && scan->at[1] <= '9')
		return path_error(scan, "an index must not begin with 0");
	for (; *scan->at >= '0' && *scan->at <= '9'; scan->at++)
	{
		step.index = step.index * 10 + (*scan->at - '0');
		if (step.index > PG_INT32_MAX)
			return path_error(scan, "index is out of range");
	}
	skip_blanks(scan);
	if (*scan->at == ',' || strncmp(scan->at, "to", 2) == 0)
		return path_error(scan, "several indexes in one step are not "
								"supported");
	if (*scan->at != ']')
		return path_error(scan, *scan->at == '\0' ? "unterminated index step"
												  : "an index must be a plain "
													"number");
	scan->at++;
	add_step(scan, step);
	return SQ_OK;
}

/* Why something is neither the end nor a step. */
static const char *
step_fault(const char *at)
{
	if (*at == '?')
		return "filters are not supported";
	if (*at == '(')
		return "methods are not supported";
	if (strchr("+-*/%=<>!&|", *at) != NULL)
		return "operators are not supported";
	return "expected a member or index step";
}

static SqStatus
scan_step(PathScan *scan)
{
	char c = *scan->at;

	if (c != '.' && c != '[')
		return path_error(scan, step_fault(scan->at));
	if (scan->path->nsteps == MAX_STEPS)
		return path_error(scan, "too many steps");
	scan->at++;
	if (c == '[')
		return scan_index(scan);
	skip_blanks(scan);
	return scan_member(scan);
}

/* Why a path does not begin with a $. */
static const char *
start_fault(const char *at)
{
	if (strncmp(at, "strict", 6) == 0 || strncmp(at, "lax", 3) == 0)
		return "modes are not supported";
	return "a path must begin with $";
}

SqStatus
sq_format_path_parse(const char *input, SqPath *path, SqError *error)
{
	PathScan scan = {.text = input,
					 .at = input,
					 .path = path,
					 .capacity = 4,
					 .error = error};

	path->nsteps = 0;
	path->steps = palloc(scan.capacity * sizeof(SqPathStep));
	skip_blanks(&scan);
	if (*scan.at != '$')
		return path_error(&scan, start_fault(scan.at));
	scan.at++;
	if (*scan.at != '\0' && strchr(SPECIAL BLANK, *scan.at) == NULL)
		return path_error(&scan, "variables are not supported");
	for (skip_blanks(&scan); *scan.at != '\0'; skip_blanks(&scan))
	{
		if (scan_step(&scan) != SQ_OK)
			return SQ_ERROR;
	}
	return SQ_OK;
}

void
sq_format_path_member(const char *name, SqPath *path)
{
	path->nsteps = 1;
	path->steps = palloc(sizeof(SqPathStep));
	path->steps[0] = member_step(name, strlen(name));
}
