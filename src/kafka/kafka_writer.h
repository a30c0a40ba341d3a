/*
 * kafka_writer.h
 *		What the files of the writer share; nobody else includes this.
 */
#ifndef SQ_KAFKA_WRITER_H
#define SQ_KAFKA_WRITER_H

#include "kafka/kafka_internal.h"

struct rd_kafka_topic_s;

/* Steps that take time. */
typedef enum SqWriterStep
{
	SQ_WRITER_IDLE,
	SQ_WRITER_INIT,
	SQ_WRITER_FLUSH,
	SQ_WRITER_COMMIT,
	SQ_WRITER_ABORT
} SqWriterStep;

typedef struct SqWriterTopic
{
	char *name;
	struct rd_kafka_topic_s *rkt;
	int64 *first; /* by partition: of the first record; -1: none */
	int first_count;
	bool is_used; /* the transaction has put a record there */
} SqWriterTopic;

/*
 * Between a step's start and its end everything but what the lock guards is
 * the step's thread's, and before and after it the owner's. References: the
 * owner (or the pool), and the thread of a step.
 */
struct SqKafkaWriter
{
	SqKafkaWriter *next; /* in the pool */
	atomic_int references;
	SqKafkaProducer producer;
	SqKafkaClient *client;
	int fd; /* readable when a step has ended or something was acknowledged */
	int64 idle_since;

	SqWriterTopic **topics;
	int topic_count;
	SqKafkaWritten *written; /* what the owner was told */
	SqKafkaWriterStats stats;
	atomic_llong acknowledged;
	int puts; /* since the queue was served */

	bool initialised; /* init_transactions is done */
	bool in_transaction;
	bool aborting;
	bool purged;     /* librdkafka threw records away: the transaction failed */
	bool refused;    /* a record was refused: the client is spoilt by it */
	SqError failure; /* of the first record that was lost */

	pthread_mutex_t lock;
	SqWriterStep step; /* the thread's; IDLE: there is none */
	SqStatus status;   /* SQ_WAIT while it runs */
	SqError error;
	bool abandoned;  /* the thread is to end, and nobody asks what came of it */
	bool then_abort; /* a flush that the owner has given up: abort at its end */
	bool dead;       /* only good for closing */
};

/* ---- kafka_writer.c ---- */

/* Give up a reference; the last one closes the writer. Never blocks. */
extern void sq_kafka_writer_drop(SqKafkaWriter *writer);
/* A client for the writer, in place of the one it had. */
extern SqStatus sq_kafka_writer_connect(SqKafkaWriter *writer,
										const SqKafkaConfig *config,
										SqError *error);

/* Forget which topics an earlier transaction wrote to, and where. */
extern void sq_kafka_writer_forget(SqKafkaWriter *writer);

/* ---- kafka_writer_step.c ---- */

/* Forget that the descriptor was made readable. */
extern void sq_kafka_writer_drain(SqKafkaWriter *writer);
/* Is a thread at work? */
extern bool sq_kafka_writer_is_busy(SqKafkaWriter *writer);
/* Have an open transaction aborted by a thread, now or after its flush. */
extern void sq_kafka_writer_abort_alone(SqKafkaWriter *writer);
/* The transaction cannot go on: why, as librdkafka knows it. */
extern SqStatus sq_kafka_writer_explain(SqKafkaWriter *writer, SqError *error);

#endif
