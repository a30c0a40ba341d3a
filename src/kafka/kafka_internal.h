/*
 * kafka_internal.h
 *		What the files of room kafka share; nobody else includes this.
 *
 * librdkafka's types appear by their struct tags only, so that this header
 * does not depend on rdkafka.h.
 */
#ifndef SQ_KAFKA_INTERNAL_H
#define SQ_KAFKA_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "kafka/kafka.h"

struct rd_kafka_s;
struct rd_kafka_message_s;

typedef struct SqKafkaMessageSet SqKafkaMessageSet;
typedef struct SqKafkaWire SqKafkaWire;

/* What makes a client a producer; of a writer, which lives longer. */
typedef struct SqKafkaProducer
{
	const char *transactional_id; /* or NULL */
	/* librdkafka's callback for what was delivered or not; its opaque is the
	 * client */
	void (*delivered)(struct rd_kafka_s *rk,
					  const struct rd_kafka_message_s *message, void *opaque);
} SqKafkaProducer;

/*
 * A client. rk is shared: the owner and every call under way hold a
 * reference, the last one to go has rk destroyed by a thread of its own.
 */
struct SqKafkaClient
{
	struct rd_kafka_s *rk;
	atomic_int references;
	SqKafkaClient *next; /* in the pool, or waiting to be closed */

	/* Its configuration, sorted by name: the key in the pool. */
	SqKafkaProperty *properties;
	int property_count;
	char *brokers; /* bootstrap.servers, for messages */

	/* Of a producer, else NULL; not looked at by whoever closes it. */
	const SqKafkaProducer *producer;

	/* Our own connections; NULL: librdkafka reads. */
	SqKafkaWire *wire;
	SqKafkaReaderKind reader; /* as asked for */

	/* For librdkafka's flow control; fixed once made. */
	int64 queue_records;   /* queued.min.messages */
	int64 queue_bytes;     /* queued.max.messages.kbytes, in bytes */
	bool sleeps_when_full; /* librdkafka before 2.2 */

	/* The owner's alone: sets to use again. */
	SqKafkaMessageSet *spare_sets;
	int spare_count;
	char *told; /* what sq_kafka_client_complaint handed out */

	/* Written by librdkafka's threads, under the lock. */
	pthread_mutex_t lock;
	char **known; /* topics that were seen to exist */
	int known_count;
	SqError fault;                 /* an error that waiting won't cure */
	char complaint[SQ_ERROR_TEXT]; /* the last one */
	bool complaint_is_error;       /* not merely a line of the log */
	bool unresolved;               /* a broker's name was not found */
	bool resolved;                 /* troubles with a broker that was */
};

/* ---- kafka_property.c ---- */

/* Does this librdkafka know the property? By its own name. */
extern bool sq_kafka_property_exists(const char *name);

/* ---- kafka_client.c ---- */

/* Make a client that is in no pool yet; takes a copy of the properties, which
 * are sorted by name. A consumer, or with producer a producer. NULL and an
 * error if librdkafka refuses. */
extern SqKafkaClient *sq_kafka_client_create(const SqKafkaConfig *config,
											 const SqKafkaProducer *producer,
											 SqError *error);
/* Has this topic been seen to exist; it has. From any thread. */
extern bool sq_kafka_client_knows(SqKafkaClient *client, const char *topic);
extern void sq_kafka_client_learn(SqKafkaClient *client, const char *topic);
/* A trouble of our own connections becomes the last complaint. */
extern void sq_kafka_client_complain(SqKafkaClient *client,
									 const char *complaint);
/* Forget faults and complaints of an earlier owner. */
extern void sq_kafka_client_forget(SqKafkaClient *client);
extern SqKafkaClient *sq_kafka_client_hold(SqKafkaClient *client);
/* Give up a reference; the last one has it closed. Never blocks. */
extern void sq_kafka_client_drop(SqKafkaClient *client);
/* Run librdkafka's callbacks, from any thread. */
extern void sq_kafka_client_serve(SqKafkaClient *client);
/* Copy the last complaint, or "". From any thread. */
extern void sq_kafka_client_last_complaint(SqKafkaClient *client,
										   char *complaint);
/* The fault, if there is one. From any thread. */
extern SqStatus sq_kafka_client_fault(SqKafkaClient *client, SqError *error);

/* ---- kafka_error.c ---- */

/* An error of librdkafka that goes by itself: keep on trying. */
extern bool sq_kafka_error_is_transient(int code);
/* An error about a topic as an SqError; reason is librdkafka's, or NULL. */
extern SqStatus sq_kafka_error_topic(SqError *error, int code,
									 const char *topic, const char *reason);
/* The same of a record that was not written; partition -1: any. */
extern SqStatus sq_kafka_error_write(SqError *error, int code,
									 const char *topic, int32 partition,
									 const char *reason);
/* Of a transaction: what could not be done with it ("begin", "commit"). */
extern SqStatus sq_kafka_error_transaction(SqError *error, int code,
										   const char *what,
										   const char *brokers,
										   const char *reason);
extern SqStatus sq_kafka_error_memory(SqError *error);

/* ---- kafka_pool.c ---- */

/* The properties of a configuration, sorted by name, of those set twice the
 * last; malloc'd, the strings are the configuration's. False: no memory. */
extern bool sq_kafka_config_sort(const SqKafkaConfig *config,
								 SqKafkaConfig *sorted);
/* Was a client made with these properties (sorted) and reader? */
extern bool sq_kafka_client_matches(const SqKafkaClient *client,
									const SqKafkaConfig *sorted);

/* ---- kafka_thread.c ---- */

/* Run a function in a detached thread without signals. False if there can be
 * no more threads. */
extern bool sq_kafka_thread_start(void (*run)(void *), void *argument);
/* Wait until no such thread is left; false when it takes too long. */
extern bool sq_kafka_thread_wait(int timeout_ms);
/* Milliseconds of a clock that never goes back. */
extern int64 sq_kafka_now(void);

/* ---- kafka_flow.c ---- */

typedef struct SqKafkaFlow
{
	bool needed; /* constant: so are the two limits of the queue */
	int64 max_records;
	int64 max_bytes;
	int64 record_bytes; /* of keys and values, lately */
	int64 length;       /* of the queue, when it was last looked at */
	bool was_full;      /* nearly, since something arrived */
	int64 idle_since;   /* empty and nothing arrived; 0: not so */
	int64 next_wake;    /* no request before this time */
	int pause_ms;       /* nor so soon after the next one */
} SqKafkaFlow;

extern void sq_kafka_flow_init(SqKafkaFlow *flow, const SqKafkaClient *client);
/* Another assignment: the queue is empty. */
extern void sq_kafka_flow_restart(SqKafkaFlow *flow);
/* A set was handed out: how large are records? */
extern void sq_kafka_flow_learn(SqKafkaFlow *flow, const SqRecordSet *set);
/* The queue has this length after so many messages were taken from it: true
 * when the threads of the brokers must be woken. */
extern bool sq_kafka_flow_observe(SqKafkaFlow *flow, size_t length, int taken);

/* ---- kafka_set.c ---- */

/* A record set of either way to read. */
typedef struct SqKafkaSet SqKafkaSet;

typedef struct SqKafkaSetOps
{
	/* as sq_kafka_set_headers and sq_kafka_set_release */
	const SqHeader *(*headers)(SqKafkaSet *set, int record, int *count);
	void (*release)(SqKafkaSet *set);
} SqKafkaSetOps;

struct SqKafkaSet
{
	SqRecordSet base; /* what others see; must be first */
	const SqKafkaSetOps *ops;
};

/* One of librdkafka's messages. */
struct SqKafkaMessageSet
{
	SqKafkaSet base; /* must be first */
	SqKafkaMessageSet *next;
	SqKafkaClient *client;
	int capacity;
	SqRecord *records;
	struct rd_kafka_message_s **messages; /* of the records, in their order */
	SqHeader *headers;
	int header_capacity;
};

/* An empty set with room for this many records; NULL without memory. */
extern SqKafkaMessageSet *sq_kafka_set_take(SqKafkaClient *client,
											int capacity);
/* Take over the message as the next record. */
extern void sq_kafka_set_add(SqKafkaMessageSet *set,
							 struct rd_kafka_message_s *message);
/* Free the spare sets of a client. */
extern void sq_kafka_set_free_spares(SqKafkaClient *client);

/* ---- kafka_place.c ---- */

/* How far a partition was read. */
typedef struct SqKafkaPlace
{
	int32 id;
	int64 position;                 /* what is before it is done with */
	const SqKafkaRange *range;      /* the one being read, or NULL */
	const SqKafkaRange *ranges_end; /* behind the last one of the partition */
} SqKafkaPlace;

/* Starts as zeros. */
typedef struct SqKafkaPlaces
{
	SqKafkaRange *ranges;
	SqKafkaPlace *places; /* by number of the partition */
	int count;
	int unfinished; /* partitions with ranges left */
} SqKafkaPlaces;

/* Take a copy of the ranges and give each partition its part. */
extern SqStatus sq_kafka_places_assign(SqKafkaPlaces *places,
									   const SqKafkaRange *ranges, int count,
									   SqError *error);
/* Everything before this offset is done with, of a partition with a range.
 * True if it has another range now, or none any more. */
extern bool sq_kafka_place_advance(SqKafkaPlaces *places, SqKafkaPlace *place,
								   int64 position);
/* What was to be read there is gone: SQ_ERROR. */
extern SqStatus sq_kafka_error_deleted(SqError *error, const char *topic,
									   const SqKafkaPlace *place);
extern void sq_kafka_places_free(SqKafkaPlaces *places);

/* ---- The two ways to read ---- */

/* What a reader reads by: as the door's functions of the same names. */
typedef struct SqKafkaSource SqKafkaSource;

typedef struct SqKafkaSourceOps
{
	SqStatus (*assign)(SqKafkaSource *source, const SqKafkaRange *ranges,
					   int count, SqError *error);
	SqStatus (*next)(SqKafkaSource *source, SqRecordSet **set, SqError *error);
	int (*fd)(const SqKafkaSource *source);
	int (*progress)(const SqKafkaSource *source, SqKafkaProgress *progress,
					int max);
	bool (*close)(SqKafkaSource *source);
} SqKafkaSourceOps;

struct SqKafkaSource
{
	const SqKafkaSourceOps *ops;
	bool unspoken; /* the last error: only librdkafka can read this */
};

/* By librdkafka's consumer (kafka_consume.c). */
extern SqKafkaSource *sq_kafka_consume_open(SqKafkaClient *client,
											const char *topic, int max_records,
											SqError *error);
/* By Fetch requests of our own (kafka_fetch.c). */
extern SqKafkaSource *sq_kafka_fetch_open(SqKafkaClient *client,
										  const char *topic, int max_records,
										  SqError *error);

#endif
