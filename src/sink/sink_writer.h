/*
 * sink_writer.h
 *		A Kafka writer and the client that answers its questions; waiting for
 *		both, and throwing.
 */
#ifndef SQ_SINK_WRITER_H
#define SQ_SINK_WRITER_H

#include "postgres.h"

#include "feed/feed.h"

/* What is not NULL ends with the owning context. */
typedef struct SqSinkWriter
{
	Oid serverid;
	const char *server; /* its name, for messages */
	SqKafkaWriter *kafka;
	SqFeedClient *client;
	MemoryContext owner;
	List *topics; /* names of those that it writes to */
	int64 waited; /* microseconds, for acknowledgements and commits */
	MemoryContextCallback callback;
} SqSinkWriter;

/*
 * A writer for a server with the rights of a user, palloc'd in owner and given
 * back when owner is reset. A transactional one has the transactional id of
 * this database, server, user mapping and process slot. Throws.
 */
extern SqSinkWriter *sq_sink_writer_open(Oid serverid, Oid userid,
										 bool transactional,
										 MemoryContext owner);
/* Give it back now (see sq_kafka_writer_release); never throws. */
extern void sq_sink_writer_release(SqSinkWriter *writer);

/* The topic's name as the writer keeps it, once it is seen to exist; throws if
 * it does not. Errors of the writer that name none tell all as context. */
extern const char *sq_sink_writer_topic(SqSinkWriter *writer,
										const char *topic);

/* These wait, serve interrupts, and throw what the cluster says, also when it
 * acknowledges nothing for streamsql.broker_timeout. */
extern void sq_sink_writer_begin(SqSinkWriter *writer);
extern void sq_sink_writer_put(SqSinkWriter *writer, const char *topic,
							   const SqKafkaDraft *draft);
extern void sq_sink_writer_flush(SqSinkWriter *writer);

/* Commit. A cancel is served only when the answer does not come soon, and
 * throws as every lost answer does: 08007, the outcome is unknown. */
extern void sq_sink_writer_commit(SqSinkWriter *writer);

/* After a commit, and never throwing: wait a bounded moment until readers may
 * see what was written. */
extern void sq_sink_writer_await_visible(SqSinkWriter *writer);

#endif
