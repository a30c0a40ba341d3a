/*
 * sink.h
 *		The door of room sink: rows into topics.
 *
 *	sink_record.h	rows as records
 *	sink_topic.h	records into a topic: what one statement writes
 *
 * Behind it: sink_transaction.h makes the writes of a transaction of
 * PostgreSQL one transaction of Kafka, sink_held.h keeps what savepoints may
 * take back, sink_writer.h waits for Kafka.
 *
 * Everything is palloc'd and owned by a memory context or by the transaction.
 * Errors are thrown; after one, nothing of a transaction is ever seen by a
 * read_committed reader, unless the error says that its outcome is unknown
 * (08007).
 */
#ifndef SQ_SINK_H
#define SQ_SINK_H

#include "sink/sink_record.h"
#include "sink/sink_topic.h"

#endif
