/*
 * feed_rows.h
 *		Ranges of a topic as rows of decoded batches.
 *
 * What a scan and ANALYZE have in common: client, reader, decoders, batch, and
 * the policy for records that can't be decoded.
 */
#ifndef SQ_FEED_ROWS_H
#define SQ_FEED_ROWS_H

#include "postgres.h"

#include "feed/feed_client.h"
#include "feed/feed_relation.h"
#include "nodes/bitmapset.h"

/* The most records a set has: enough to make waits and locks rare. */
#define SQ_SET_RECORDS 8192

typedef struct SqFeedStats
{
	int64 messages;
	int64 bytes;
	int64 decode_errors;
	int64 waited; /* microseconds */
} SqFeedStats;

typedef struct SqFeed
{
	const SqRelation *rel;
	Oid userid;
	MemoryContext context;    /* the feed's own, a child of its creator's */
	SqFeedClient *client;     /* NULL: not reading */
	Bitmapset *attrs;         /* attribute numbers - 1 that are wanted */
	SqDecoder *value_decoder; /* NULL: nothing of the value is wanted */
	SqDecoder *key_decoder;
	MemoryContextCallback callback; /* closes the decoders */
	SqBatch *batch;
	int *columns; /* by attribute number - 1: column of the batch, or -1 */

	/* the batch at hand: a window of the record set */
	int first;     /* its first record in the set */
	int64 batches; /* so many were made; tells one from the next */
	const SqRecord *records;
	int row;     /* the current one */
	int nrows;   /* that were decoded */
	bool failed; /* row nrows is at fault and failure says why */
	SqError failure;
	const char **errors; /* by row: why it did not decode, or NULL */
	bool has_errors;     /* some errors[row] is set */
	SqFeedStats stats;
} SqFeed;

/*
 * A feed of the wanted attributes (numbers - 1), palloc'd in the current
 * context and ended with it. If records that don't decode are to be told
 * apart, every column is decoded, whatever is wanted.
 */
extern SqFeed *sq_feed_create(const SqRelation *rel, Oid userid,
							  Bitmapset *attrs);

/* Read these ranges (see kafka.h); drops what was being read. */
extern void sq_feed_start(SqFeed *feed, const SqKafkaRange *ranges, int count);

/* Give the client back. The feed can be started again. */
extern void sq_feed_stop(SqFeed *feed);

/* Fetch and decode the next batch, waiting for it; false at the end. Throws
 * where on_error is stop and the next record is at fault. */
extern bool sq_feed_fetch(SqFeed *feed);

/* The same without waiting: SQ_OK when there is a batch, SQ_WAIT when there is
 * none yet (sq_feed_fd becomes readable), SQ_DONE at the end. Throws as
 * sq_feed_fetch does, and what the cluster says. */
extern SqStatus sq_feed_poll(SqFeed *feed);
extern int sq_feed_fd(const SqFeed *feed);

/* Go to the next row; false at the end of all ranges. */
static inline bool
sq_feed_next(SqFeed *feed)
{
	if (likely(++feed->row < feed->nrows))
		return true;
	return sq_feed_fetch(feed);
}

static inline const SqRecord *
sq_feed_record(const SqFeed *feed)
{
	return &feed->records[feed->row];
}

/* The error context of a record: topic, partition, offset, and column if
 * there is one to blame. */
extern void sq_feed_errcontext(const SqRelation *rel, const SqRecord *record,
							   const char *column);

#endif
