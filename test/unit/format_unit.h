/*
 * format_unit.h
 *		What the tests of room format share: one row of a batch as text.
 *
 * A value is shown as "=value" when it is valid, "?text" when it is pending,
 * and "NULL".
 */
#ifndef SQ_FORMAT_UNIT_H
#define SQ_FORMAT_UNIT_H

#include "format/format.h"

#include "unit.h"

#define SHOWN 4096

/* The payload in memory of exactly its size, so that ASAN sees a read beyond;
 * the caller frees it. */
static inline __attribute__((unused)) SqSlice
exact_copy(const char *data, size_t length)
{
	char *copy = pg_malloc(Max(length, 1));

	memcpy(copy, data, length);
	return (SqSlice){copy, length};
}

static inline void
show_valid(const SqColumn *column, int row, char *out)
{
	SqSlice bytes;

	switch (column->type)
	{
		case SQ_TYPE_FLOAT4:
		case SQ_TYPE_FLOAT8:
			snprintf(out, SHOWN, "=%.17g", column->f[row]);
			return;
		case SQ_TYPE_TEXT:
			bytes = column->text[row];
			snprintf(out, SHOWN, "=%.*s", (int) bytes.length, bytes.data);
			return;
		case SQ_TYPE_BYTEA:
		case SQ_TYPE_UUID:
			bytes = column->text[row];
			*out++ = '=';
			for (size_t i = 0; i < bytes.length; i++)
				out += sprintf(out, "%02x", (unsigned char) bytes.data[i]);
			*out = '\0';
			return;
		default:
			snprintf(out, SHOWN, "=%lld", (long long) column->i[row]);
	}
}

/* One value as text, in a static buffer. */
static inline __attribute__((unused)) const char *
show(const SqColumn *column, int row)
{
	static char shown[SHOWN];

	if (sq_bit_get(column->valid, row) && sq_bit_get(column->pending, row))
		return "valid and pending";
	if (sq_bit_get(column->valid, row))
		show_valid(column, row, shown);
	else if (sq_bit_get(column->pending, row))
		snprintf(shown, SHOWN, "?%.*s", (int) column->text[row].length,
				 column->text[row].data);
	else
		return "NULL";
	return shown;
}

/* All values of a row, with | between them, in a static buffer. */
static inline __attribute__((unused)) const char *
show_row(const SqBatch *batch, int row)
{
	static char shown[SHOWN * 4];
	char *out = shown;

	for (int c = 0; c < batch->ncolumns; c++)
		out += snprintf(out, SHOWN, "%s%s", c > 0 ? "|" : "",
						show(&batch->columns[c], row));
	return shown;
}

/* A sqlstate as its five characters, in a static buffer. */
static inline __attribute__((unused)) const char *
show_sqlstate(int sqlstate)
{
	static char shown[6];

	for (int i = 0; i < 5; i++)
		shown[i] = (char) (((sqlstate >> (6 * i)) & 0x3F) + '0');
	return shown;
}

/* Small pseudo-random numbers, the same in every run. */
static inline __attribute__((unused)) uint64
next_random(void)
{
	static uint64 state = UINT64CONST(88172645463325252);

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

#endif
