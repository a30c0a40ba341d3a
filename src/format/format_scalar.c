/*
 * format_scalar.c
 *		One text into one value: integers, booleans, text, bytea, uuid, and
 *		the table of all kernels.
 *
 * A kernel takes the forms that topics are full of and leaves everything else,
 * valid or not, to PostgreSQL's input function: surrounding spaces, other
 * spellings, values out of range. So being wrong here would take accepting
 * too much, never too little; each function below accepts less than it could.
 *
 * Memory: bytea and uuid are built in the caller's arena. Locks: none.
 */
#include "format/format_scalar.h"

#include "format/format_float.h"
#include "format/format_simdjson.h"
#include "mb/pg_wchar.h"

#define BYTES(x) (UINT64CONST(0x0101010101010101) * (x))

/* ---- Text ---- */

/* Are all bytes from 1 to 127? */
static inline bool
is_plain_ascii(const char *data, size_t length)
{
	uint64 odd = 0;
	uint64 word;
	size_t i;

	for (i = 0; i + 8 <= length; i += 8)
	{
		memcpy(&word, data + i, 8);
		/* The subtraction sets the top bit of a zero byte. */
		odd |= word | (word - BYTES(1));
	}
	if (odd & BYTES(0x80))
		return false;
	for (; i < length; i++)
	{
		if ((signed char) data[i] <= 0)
			return false;
	}
	return true;
}

bool
sq_format_is_text(SqSlice input)
{
	if (likely(is_plain_ascii(input.data, input.length)))
		return true;
	return memchr(input.data, '\0', input.length) == NULL &&
		   sq_format_simdjson_is_utf8(input.data, input.length);
}

SqStatus
sq_format_text_error(SqSlice input, SqError *error)
{
	const unsigned char *bad;
	char bytes[64] = "";
	int length;

	bad = (const unsigned char *) input.data;
	bad += pg_encoding_verifymbstr(PG_UTF8, input.data, (int) input.length);
	length = (int) (input.data + input.length - (const char *) bad);
	for (int i = 0; i < length && i < pg_utf_mblen(bad); i++)
		snprintf(bytes + strlen(bytes), sizeof(bytes) - strlen(bytes),
				 " 0x%02x", bad[i]);
	return sq_error_set(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						"invalid byte sequence for encoding \"UTF8\":%s",
						bytes);
}

/* Has a UTF-8 text at most that many characters? */
static bool
is_within(SqSlice input, int max_length)
{
	size_t characters = 0;

	if (input.length <= (size_t) max_length)
		return true;
	for (size_t i = 0; i < input.length; i++)
		characters += (input.data[i] & 0xC0) != 0x80;
	return characters <= (size_t) max_length;
}

/* ---- Integers and booleans ---- */

static inline bool
scan_int(SqSlice input, int64 *result)
{
	const char *p = input.data;
	const char *end = p + input.length;
	bool negative = p < end && *p == '-';
	uint64 value = 0;

	if (negative || (p < end && *p == '+'))
		p++;
	/* 19 digits can't overflow the unsigned sum. */
	if (unlikely(p == end || end - p > 19))
		return false;
	for (; p < end; p++)
	{
		uint64 digit = (uint64) (unsigned char) *p - '0';

		if (unlikely(digit > 9))
			return false;
		value = value * 10 + digit;
	}
	if (unlikely(value > (uint64) PG_INT64_MAX + negative))
		return false;
	*result = negative ? (int64) (0 - value) : (int64) value;
	return true;
}

static inline bool
scan_int_within(SqSlice input, int64 min, int64 max, int64 *value)
{
	return scan_int(input, value) && *value >= min && *value <= max;
}

static bool
scan_bool(SqSlice input, int64 *value)
{
	const char *s = input.data;

	switch (input.length)
	{
		case 1:
			*value = *s == 't' || *s == '1';
			return *value || *s == 'f' || *s == '0';
		case 4:
			*value = 1;
			return memcmp(s, "true", 4) == 0;
		case 5:
			*value = 0;
			return memcmp(s, "false", 5) == 0;
		default:
			return false;
	}
}

/* ---- Bytes ---- */

/* The value of a hexadecimal digit, or -1. */
static inline int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of hexadecimal digits to bytes. */
static bool
scan_hex(const char *input, size_t nbytes, char *out)
{
	int bad = 0;

	for (size_t i = 0; i < nbytes; i++)
	{
		int high = hex_digit(input[2 * i]);
		int low = hex_digit(input[2 * i + 1]);

		bad |= high | low;
		out[i] = (char) (((unsigned) high << 4) | (unsigned) low);
	}
	return bad >= 0;
}

static bool
scan_bytea(SqSlice input, SqSlice *value, SqArena *arena)
{
	size_t nbytes = input.length / 2 - 1;
	char *bytes;

	if (input.length < 2 || input.length % 2 != 0 || input.data[0] != '\\' ||
		input.data[1] != 'x')
		return false;
	bytes = sq_arena_alloc(arena, nbytes);
	*value = (SqSlice){bytes, nbytes};
	return scan_hex(input.data + 2, nbytes, bytes);
}

static bool
scan_uuid(SqSlice input, SqSlice *value, SqArena *arena)
{
	const char *s = input.data;
	char *bytes;

	if (input.length != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' ||
		s[23] != '-')
		return false;
	bytes = sq_arena_alloc(arena, 16);
	*value = (SqSlice){bytes, 16};
	return scan_hex(s, 4, bytes) && scan_hex(s + 9, 2, bytes + 4) &&
		   scan_hex(s + 14, 2, bytes + 6) && scan_hex(s + 19, 2, bytes + 8) &&
		   scan_hex(s + 24, 6, bytes + 10);
}

/* ---- The table of kernels ---- */

/* Kinds whose value is in the integer lane. */
static inline bool
scan_to_int(const SqColumn *column, SqSlice input, int64 *value)
{
	switch (column->type)
	{
		case SQ_TYPE_BOOL:
			return scan_bool(input, value);
		case SQ_TYPE_INT2:
			return scan_int_within(input, PG_INT16_MIN, PG_INT16_MAX, value);
		case SQ_TYPE_INT4:
			return scan_int_within(input, PG_INT32_MIN, PG_INT32_MAX, value);
		case SQ_TYPE_INT8:
			return scan_int(input, value);
		case SQ_TYPE_NUMERIC:
			return sq_format_numeric(input, column->precision, column->scale,
									 value);
		case SQ_TYPE_DATE:
			return sq_format_date(input, value);
		case SQ_TYPE_TIMESTAMP:
			return sq_format_timestamp(input, false, value);
		case SQ_TYPE_TIMESTAMPTZ:
			return sq_format_timestamp(input, true, value);
		default:
			return false;
	}
}

/* Kinds whose value is in the float lane. */
static bool
scan_to_float(const SqColumn *column, SqSlice input, double *value)
{
	float single;

	if (column->type == SQ_TYPE_FLOAT8)
		return sq_format_float8(input.data, input.length, value);
	if (!sq_format_float4(input.data, input.length, &single))
		return false;
	*value = single;
	return true;
}

/* Kinds whose value is in the text lane. */
static bool
scan_to_bytes(const SqColumn *column, SqSlice input, SqSlice *value,
			  SqArena *arena)
{
	if (column->type == SQ_TYPE_BYTEA)
		return scan_bytea(input, value, arena);
	if (column->type == SQ_TYPE_UUID)
		return scan_uuid(input, value, arena);
	*value = input;
	return column->max_length <= 0 || is_within(input, column->max_length);
}

void
sq_format_scalar_verified(SqColumn *column, int row, SqSlice input,
						  SqArena *arena)
{
	int64 number;
	double real;
	SqSlice bytes;

	switch (column->type)
	{
		case SQ_TYPE_FLOAT4:
		case SQ_TYPE_FLOAT8:
			if (likely(scan_to_float(column, input, &real)))
			{
				sq_column_set_float(column, row, real);
				return;
			}
			break;
		case SQ_TYPE_TEXT:
		case SQ_TYPE_BYTEA:
		case SQ_TYPE_UUID:
			if (likely(scan_to_bytes(column, input, &bytes, arena)))
			{
				sq_column_set_text(column, row, bytes);
				return;
			}
			break;
		default:
			if (likely(scan_to_int(column, input, &number)))
			{
				sq_column_set_int(column, row, number);
				return;
			}
			break;
	}
	sq_column_set_pending(column, row, input);
}

void
sq_format_scalar(SqColumn *column, int row, SqSlice input, SqArena *arena)
{
	/* Only text kernels take bytes outside ASCII. */
	if (column->type == SQ_TYPE_TEXT && !sq_format_is_text(input))
		sq_column_set_pending(column, row, input);
	else
		sq_format_scalar_verified(column, row, input, arena);
}
