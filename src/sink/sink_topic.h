/*
 * sink_topic.h
 *		What one statement writes to one topic.
 */
#ifndef SQ_SINK_TOPIC_H
#define SQ_SINK_TOPIC_H

#include "postgres.h"

#include "feed/feed.h"

typedef struct SqSink SqSink;

typedef struct SqSinkStats
{
	int64 records;
	int64 bytes;  /* of keys, values and headers */
	int64 waited; /* microseconds, for Kafka */
} SqSinkStats;

/*
 * A sink for a relation with the rights of a user, palloc'd in the current
 * context, as the relation's delivery says. Asks nobody anything until the
 * first record is put.
 */
extern SqSink *sq_sink_open(const SqRelation *rel, Oid userid);

/* Write a record; it is copied. Throws; waits when too much is on its way. */
extern void sq_sink_put(SqSink *sink, const SqKafkaDraft *draft);

/* Wait until what was put is acknowledged, as far as delivery lets it be sent
 * by now. */
extern void sq_sink_flush(SqSink *sink);

/* The end of the statement: with delivery statement everything is acknowledged
 * now, and the writer given back. */
extern void sq_sink_finish(SqSink *sink);

extern const SqSinkStats *sq_sink_stats(SqSink *sink);

#endif
