/*
 * fuzz.h
 *		What must hold of a decoded row, whatever the payload was.
 *
 * A target makes two decoders of the same format, one of all fields and one
 * of some of them, and calls fuzz_payload; a broken promise aborts.
 */
#ifndef SQ_FUZZ_H
#define SQ_FUZZ_H

#include "format/format.h"
#include "mb/pg_wchar.h"

#include <stdio.h>

#define FUZZ_ROWS 2

#define FUZZ_CHECK(cond)                                                       \
	do                                                                         \
	{                                                                          \
		if (!(cond))                                                           \
		{                                                                      \
			fprintf(stderr, "broken at %s:%d: %s\n", __FILE__, __LINE__,       \
					#cond);                                                    \
			abort();                                                           \
		}                                                                      \
	} while (0)

/* A decoder with the batch it fills, and what the last payload came to. */
typedef struct FuzzDecoder
{
	SqDecoder *decoder;
	SqBatch *batch;
	SqStatus status;
	int sqlstate;
} FuzzDecoder;

static inline FuzzDecoder
fuzz_open(const SqFormatSpec *spec)
{
	FuzzDecoder fuzz = {.decoder = sq_format_open(spec)};

	fuzz.batch = sq_batch_create(spec->columns, spec->nfields, FUZZ_ROWS);
	fuzz.batch->nrows = FUZZ_ROWS;
	return fuzz;
}

static inline bool
fuzz_is_null(const SqColumn *column, int row)
{
	return !sq_bit_get(column->valid, row) && !sq_bit_get(column->pending, row);
}

/* Is a value's meaning in the text lane? */
static inline bool
fuzz_has_text(const SqColumn *column, int row)
{
	return sq_bit_get(column->pending, row) || column->type == SQ_TYPE_TEXT ||
		   column->type == SQ_TYPE_BYTEA || column->type == SQ_TYPE_UUID;
}

/* Texts are UTF-8 by PostgreSQL's own judgement, which reads all of them. */
static inline void
fuzz_check_value(const SqColumn *column, int row)
{
	bool valid = sq_bit_get(column->valid, row);
	SqSlice slice;

	FUZZ_CHECK(!valid || !sq_bit_get(column->pending, row));
	if (fuzz_is_null(column, row) || !fuzz_has_text(column, row))
		return;
	slice = column->text[row];
	FUZZ_CHECK(slice.data != NULL);
	if (!valid || column->type == SQ_TYPE_TEXT)
		FUZZ_CHECK((size_t) pg_encoding_verifymbstr(PG_UTF8, slice.data,
													(int) slice.length) ==
				   slice.length);
	FUZZ_CHECK(!valid || column->type != SQ_TYPE_UUID || slice.length == 16);
}

static inline void
fuzz_check_equal(const SqColumn *a, int row_a, const SqColumn *b, int row_b)
{
	FUZZ_CHECK(a->type == b->type);
	FUZZ_CHECK(sq_bit_get(a->valid, row_a) == sq_bit_get(b->valid, row_b));
	FUZZ_CHECK(sq_bit_get(a->pending, row_a) == sq_bit_get(b->pending, row_b));
	if (fuzz_is_null(a, row_a))
		return;
	if (fuzz_has_text(a, row_a))
		FUZZ_CHECK(a->text[row_a].length == b->text[row_b].length &&
				   memcmp(a->text[row_a].data, b->text[row_b].data,
						  a->text[row_a].length) == 0);
	else
		FUZZ_CHECK(a->i[row_a] == b->i[row_b]);
}

/* Decode into a row, and check it by itself. */
static inline void
fuzz_decode(FuzzDecoder *fuzz, SqSlice payload, int row)
{
	SqError error;

	sq_error_clear(&error);
	fuzz->status =
		sq_format_decode(fuzz->decoder, payload, fuzz->batch, row, &error);
	fuzz->sqlstate = error.sqlstate;
	FUZZ_CHECK((fuzz->status == SQ_ERROR) == (error.sqlstate != 0));
	FUZZ_CHECK((error.sqlstate != 0) == (error.message[0] != '\0'));
	for (int c = 0; c < fuzz->batch->ncolumns; c++)
	{
		const SqColumn *column = &fuzz->batch->columns[c];

		fuzz_check_value(column, row);
		FUZZ_CHECK(fuzz->status == SQ_OK || fuzz_is_null(column, row));
	}
}

/*
 * One payload through both decoders, into different rows: the same verdict,
 * and the same values where some[i] is a column of all fields that column i of
 * the other decoder repeats.
 */
static inline void
fuzz_payload(FuzzDecoder *all, FuzzDecoder *part, const int *some,
			 SqSlice payload)
{
	sq_batch_reset(all->batch);
	sq_batch_reset(part->batch);
	all->batch->nrows = part->batch->nrows = FUZZ_ROWS;
	fuzz_decode(all, payload, 1);
	fuzz_decode(all, payload, 0);
	fuzz_decode(part, payload, 1);
	FUZZ_CHECK(all->sqlstate == part->sqlstate);
	for (int c = 0; c < all->batch->ncolumns; c++)
		fuzz_check_equal(&all->batch->columns[c], 0, &all->batch->columns[c],
						 1);
	for (int c = 0; c < part->batch->ncolumns; c++)
		fuzz_check_equal(&part->batch->columns[c], 1,
						 &all->batch->columns[some[c]], 0);
}

#endif
