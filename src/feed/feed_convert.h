/*
 * feed_convert.h
 *		Rows of a feed as Datums.
 */
#ifndef SQ_FEED_CONVERT_H
#define SQ_FEED_CONVERT_H

#include "postgres.h"

#include "feed/feed_rows.h"

typedef struct SqConverter SqConverter;

/* A converter of a feed's rows, palloc'd in the current context. */
extern SqConverter *sq_feed_converter_create(SqFeed *feed);

/* Leave alone what needs no conversion: of these attributes a value that is
 * valid in the batch (and in the database's encoding) is not made a Datum; the
 * caller takes it from there. */
extern void sq_feed_converter_leave(SqConverter *converter, Bitmapset *attrs);
/* By attribute number - 1: was the value of the row just converted left? */
extern const bool *sq_feed_converter_left(const SqConverter *converter);

/*
 * The attributes of the feed, of its current row, into arrays over all
 * attributes; the others are left alone. Values are palloc'd in the current
 * context or point into the batch. False: the record could not be decoded and
 * is to be skipped. Throws where on_error is stop.
 */
extern bool sq_feed_convert_row(SqConverter *converter, Datum *values,
								bool *nulls);

/* Can making an attribute raise an error that its decoder does not find? */
extern bool sq_feed_source_may_fail(SqAttributeSource source);
/* The moment of a record that has one, in microseconds since 2000; false if
 * PostgreSQL knows no such moment. */
extern bool sq_feed_record_time(const SqRecord *record, int64 *us);

#endif
