/*
 * feed_client.h
 *		A Kafka client and what is open on it, owned by a memory context.
 */
#ifndef SQ_FEED_CLIENT_H
#define SQ_FEED_CLIENT_H

#include "postgres.h"

#include "kafka/kafka.h"

/* Whatever is not NULL ends with the owning context, in the right order. */
typedef struct SqFeedClient
{
	SqKafkaClient *kafka;
	SqKafkaCall *call;
	SqKafkaReader *reader;
	SqRecordSet *set;
	bool broken; /* the cluster did not answer: don't use it again */
	MemoryContextCallback callback;
} SqFeedClient;

/*
 * A client for a server with the rights of a user, palloc'd in owner and
 * given back, with all that is open on it, when owner is reset; throws.
 */
extern SqFeedClient *sq_feed_client_acquire(Oid serverid, Oid userid,
											MemoryContext owner);
/* Give it back now; the struct stays, empty, until owner is reset. */
extern void sq_feed_client_release(SqFeedClient *client);
/* End the open call, if any. */
extern void sq_feed_client_end_call(SqFeedClient *client);
/* End the set at hand, if any. */
extern void sq_feed_client_end_set(SqFeedClient *client);

#endif
