/*
 * sink_transaction.h
 *		What a transaction of PostgreSQL writes to Kafka: one transaction there
 *		for each server (and user mapping), committed just before it.
 */
#ifndef SQ_SINK_TRANSACTION_H
#define SQ_SINK_TRANSACTION_H

#include "postgres.h"

#include "kafka/kafka.h"

/* The part of one server; lives until the transaction ends. */
typedef struct SqSinkTransaction SqSinkTransaction;

/* The part of a server with the rights of a user, joined anew if the
 * transaction has none yet. Throws. */
extern SqSinkTransaction *sq_sink_transaction_join(Oid serverid, Oid userid);

/* The topic's name as the transaction keeps it, once it is seen to exist;
 * throws if it does not. */
extern const char *sq_sink_transaction_topic(SqSinkTransaction *transaction,
											 const char *topic);

/* Write a record when it is due: it is held in memory for a while, for a
 * savepoint to take it back. The topic as sq_sink_transaction_topic gave it. */
extern void sq_sink_transaction_put(SqSinkTransaction *transaction,
									const char *topic,
									const SqKafkaDraft *draft);

/* Outside of savepoints: send what is held, and wait until all is
 * acknowledged. Inside of one nothing happens. */
extern void sq_sink_transaction_flush(SqSinkTransaction *transaction);

/* Microseconds that it has waited for Kafka so far. */
extern int64 sq_sink_transaction_waited(const SqSinkTransaction *transaction);

#endif
