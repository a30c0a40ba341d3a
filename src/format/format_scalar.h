/*
 * format_scalar.h
 *		The kernels behind sq_format_scalar, for the files of room format.
 *
 * Each takes only what it converts exactly as PostgreSQL's input function
 * would and answers false for the rest, leaving the result alone.
 */
#ifndef SQ_FORMAT_SCALAR_H
#define SQ_FORMAT_SCALAR_H

#include "format/format.h"

/* Is it UTF-8 without NUL bytes? */
extern bool sq_format_is_text(SqSlice input);

/* The error of a payload of which that is not true, as PostgreSQL puts it;
 * answers SQ_ERROR. */
extern SqStatus sq_format_text_error(SqSlice input, SqError *error);

/* sq_format_scalar for what sq_format_is_text is known to be true of. */
extern void sq_format_scalar_verified(SqColumn *column, int row, SqSlice input,
									  SqArena *arena);

/*
 * A decimal number, taken apart: negative, digits before and after the point,
 * exponent. The digits stay where they were.
 */
typedef struct SqNumber
{
	bool negative;
	const char *whole;
	int64 nwhole;
	const char *fraction;
	int64 nfraction;
	int64 exponent;
	uint64 digits; /* all digits as one integer if there are at most 19 */
} SqNumber;

/* A number times a power of ten, cut to an integer. */
typedef struct SqScaled
{
	unsigned __int128 magnitude;
	bool half;    /* what was cut off is at least one half */
	bool inexact; /* something but zeros was cut off */
} SqScaled;

/* Take apart [+-]digits[.digits][e[+-]digits]; false if it is not that. */
extern bool sq_format_number_parse(SqSlice input, SqNumber *number);

/* A number times 10^shift; false if that is 10^30 or more. */
extern bool sq_format_number_scale(const SqNumber *number, int shift,
								   SqScaled *scaled);

/* 10^n for n from 0 to 18. */
extern const int64 sq_format_power10[19];

/* Text to numeric(precision, scale), as an integer scaled by 10^scale. */
extern bool sq_format_numeric(SqSlice input, int precision, int scale,
							  int64 *value);

/* YYYY-MM-DD to days since 2000-01-01. */
extern bool sq_format_date(SqSlice input, int64 *days);

/* YYYY-MM-DD[{T| }HH:MM[:SS[.f]][zone]] to microseconds since 2000-01-01. With
 * a zone wanted the text must have one, and the result is UTC; else a zone is
 * read and ignored, as type timestamp does. */
extern bool sq_format_timestamp(SqSlice input, bool want_zone, int64 *us);

/* One field of any decoder: its text by sq_format_epoch or by
 * sq_format_scalar_verified. */
static inline void
sq_format_put(SqColumn *column, int row, SqSlice input, SqEpoch epoch,
			  SqArena *arena)
{
	SqError error;

	if (likely(epoch == SQ_EPOCH_NONE))
		sq_format_scalar_verified(column, row, input, arena);
	else if (sq_format_epoch(column, row, input, epoch, &error) != SQ_OK)
		sq_column_set_pending(column, row, input);
}

#endif
