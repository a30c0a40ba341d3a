/*
 * fdw_client.h
 *		A Kafka client and what is open on it, owned by a memory context.
 */
#ifndef SQ_FDW_CLIENT_H
#define SQ_FDW_CLIENT_H

#include "postgres.h"

#include "kafka/kafka.h"

/* Whatever is not NULL ends with the owning context, in the right order. */
typedef struct SqFdwClient
{
	SqKafkaClient *kafka;
	SqKafkaCall *call;
	SqKafkaReader *reader;
	SqRecordSet *set;
	bool broken; /* the cluster did not answer: don't use it again */
	MemoryContextCallback callback;
} SqFdwClient;

/*
 * A client for a server with the rights of a user, palloc'd in owner and
 * given back, with all that is open on it, when owner is reset; throws.
 */
extern SqFdwClient *sq_fdw_client_acquire(Oid serverid, Oid userid,
										  MemoryContext owner);
/* Give it back now; the struct stays, empty, until owner is reset. */
extern void sq_fdw_client_release(SqFdwClient *client);
/* End the open call, if any. */
extern void sq_fdw_client_end_call(SqFdwClient *client);
/* End the set at hand, if any. */
extern void sq_fdw_client_end_set(SqFdwClient *client);

#endif
