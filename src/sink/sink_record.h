/*
 * sink_record.h
 *		Rows of a foreign table as the records that would be read as them.
 */
#ifndef SQ_SINK_RECORD_H
#define SQ_SINK_RECORD_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "feed/feed.h"

typedef struct SqEncoder SqEncoder;

/*
 * How rows of a relation become records, palloc'd in the current context
 * together with all it needs (output functions …). Throws 0A000 or 42P16
 * where no row could ever be written: paths that contradict each other ($.a
 * and $.a.b, $.a[0] and $.a.b), an array that would have holes …
 */
extern SqEncoder *sq_sink_encoder_create(const SqRelation *rel,
										 TupleDesc descriptor);

/*
 * The record of a row. Values by attribute number - 1, over all attributes;
 * dropped ones are not looked at. The draft and its slices belong to the
 * encoder and live until its next call. Throws what can't be written, naming
 * the column.
 */
extern const SqKafkaDraft *
sq_sink_encode_row(SqEncoder *encoder, const Datum *values, const bool *nulls);

/* The tombstone that deletes the row of a table: its key, no value, no
 * headers. Looks at the key columns only. */
extern const SqKafkaDraft *sq_sink_encode_tombstone(SqEncoder *encoder,
													const Datum *values,
													const bool *nulls);

#endif
