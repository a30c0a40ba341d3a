/*
 * format_json_string.c
 *		Escapes in JSON strings.
 *
 * Checking and unescaping are two things, because a document is checked whole
 * and most of its strings are wanted by nobody. The rules are those of
 * PostgreSQL's json functions that need a string's value: surrogates come in
 * pairs and \u0000 can't be text.
 *
 * Memory: results are in the caller's arena. Locks: none.
 */
#include "format/format_json.h"

#include "mb/pg_wchar.h"

static const char no_nul[] = "\\u0000 cannot be converted to text.";

/* Four hexadecimal digits as a number, or a negative one. */
static int
hex4(const char *p, const char *end)
{
	int value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char c = p[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value += c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value += (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* The code point of an escape whose u is at p; *length is what follows the
 * backslash. A negative answer: no hexadecimal digits, or half of a pair. */
#define BAD_HEX       (-1)
#define BAD_SURROGATE (-2)

static int
code_point(const char *p, const char *end, size_t *length)
{
	int first = hex4(p + 1, end);
	int second;

	*length = 5;
	if (first < 0)
		return BAD_HEX;
	if (is_utf16_surrogate_second(first))
		return BAD_SURROGATE;
	if (!is_utf16_surrogate_first(first))
		return first;
	if (end - p < 7 || p[5] != '\\' || p[6] != 'u')
		return BAD_SURROGATE;
	second = hex4(p + 7, end);
	if (second < 0)
		return BAD_HEX;
	if (!is_utf16_surrogate_second(second))
		return BAD_SURROGATE;
	*length = 11;
	return (int) surrogate_pair_to_codepoint(first, second);
}

/* One escape, p behind its backslash; NULL, or what is wrong with it. */
static const char *
escape_fault(const char *p, const char *end, size_t *length)
{
	*length = 1;
	if (p < end && *p != '\0' && strchr("\"\\/bfnrt", *p) != NULL)
		return NULL;
	if (p == end || *p != 'u')
		return "A backslash must be followed by one of \"\\/bfnrtu.";
	switch (code_point(p, end, length))
	{
		case BAD_HEX:
			return "\\u must be followed by four hexadecimal digits.";
		case BAD_SURROGATE:
			return "Unicode surrogates must come in pairs, a high one followed "
				   "by a low one.";
		case 0:
			return no_nul;
		default:
			return NULL;
	}
}

SqStatus
sq_format_json_check_string(const char *input, size_t length, size_t offset,
							SqError *error)
{
	const char *end = input + length;
	const char *p = input;

	while ((p = memchr(p, '\\', end - p)) != NULL)
	{
		size_t escape;
		const char *fault = escape_fault(p + 1, end, &escape);

		if (unlikely(fault != NULL))
		{
			if (fault == no_nul)
				sq_error_set(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
							 "unsupported Unicode escape sequence");
			else
				sq_error_set(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
							 "invalid JSON at byte %zu: invalid escape "
							 "sequence",
							 offset + (p - input) + 1);
			sq_error_detail(error, "%s", fault);
			return SQ_ERROR;
		}
		p += 1 + escape;
	}
	return SQ_OK;
}

/* One good escape, p behind its backslash; answers the bytes written. */
static size_t
unescape_one(const char *p, const char *end, size_t *length, char *out)
{
	*length = 1;
	switch (*p)
	{
		case 'b':
			*out = '\b';
			return 1;
		case 'f':
			*out = '\f';
			return 1;
		case 'n':
			*out = '\n';
			return 1;
		case 'r':
			*out = '\r';
			return 1;
		case 't':
			*out = '\t';
			return 1;
		case 'u':
			unicode_to_utf8(code_point(p, end, length), (unsigned char *) out);
			return pg_utf_mblen((unsigned char *) out);
		default:
			*out = *p;
			return 1;
	}
}

SqSlice
sq_format_json_unescape(const char *input, size_t length, SqArena *arena)
{
	const char *end = input + length;
	/* No escape is shorter than what it stands for. */
	char *result = sq_arena_alloc(arena, length);
	char *out = result;

	while (input < end)
	{
		const char *backslash = memchr(input, '\\', end - input);
		size_t plain = (backslash != NULL ? backslash : end) - input;
		size_t escape;

		memcpy(out, input, plain);
		out += plain;
		input += plain;
		if (backslash == NULL)
			break;
		out += unescape_one(input + 1, end, &escape, out);
		input += 1 + escape;
	}
	return (SqSlice){result, out - result};
}
