/*
 * fdw_convert.h
 *		Rows of a feed as Datums.
 */
#ifndef SQ_FDW_CONVERT_H
#define SQ_FDW_CONVERT_H

#include "postgres.h"

#include "fdw/fdw_feed.h"

typedef struct SqConverter SqConverter;

/* A converter of a feed's rows, palloc'd in the current context. */
extern SqConverter *sq_fdw_converter_create(SqFeed *feed);

/*
 * The attributes of the feed, of its current row, into arrays over all
 * attributes; the others are left alone. Values are palloc'd in the current
 * context or point into the batch. False: the record could not be decoded and
 * is to be skipped. Throws where on_error is stop.
 */
extern bool sq_fdw_convert_row(SqConverter *converter, Datum *values,
							   bool *nulls);

#endif
