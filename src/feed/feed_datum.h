/*
 * feed_datum.h
 *		Values of columns as Datums, and back.
 */
#ifndef SQ_FEED_DATUM_H
#define SQ_FEED_DATUM_H

#include "postgres.h"

#include "batch/batch.h"

/* A valid value of a column as a Datum: palloc'd in the current context, or
 * pointing into the column's lane (uuid). Text is taken to be in the
 * database's encoding. */
extern Datum sq_feed_column_datum(const SqColumn *column, int row);
/* A Datum of a column's type becomes the valid value of a row; texts point
 * into it. Throws XX000 if a numeric does not fit, which its column has seen
 * to. */
extern void sq_feed_column_store(SqColumn *column, int row, Datum value);

/* An integer scaled by 10^scale, or SQ_NUMERIC_NAN, as a numeric. */
extern Datum sq_feed_numeric_datum(int64 word, int scale);
/* The other way; false if the numeric is infinite, has more digits after the
 * point or more than SQ_NUMERIC_PRECISION of them in all. */
extern bool sq_feed_numeric_word(Datum value, int scale, int64 *word);

#endif
