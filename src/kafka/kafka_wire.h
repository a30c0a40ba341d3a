/*
 * kafka_wire.h
 *		The brokers of a cluster as a fetch session sees them: connections of
 *		our own, and who leads what.
 *
 * A wire belongs to a client and its owner. Nothing of it waits: whoever steps
 * a broker or asks for metadata and hears SQ_WAIT waits for the descriptor of
 * the wire, and comes again. Brokers stay where they are in memory for as long
 * as the wire lives.
 *
 * Troubles that waiting may cure (a broker that is away, that closed the
 * connection or answers nonsense once) are answered by another try after a
 * while, and left as the client's complaint; the others are errors.
 */
#ifndef SQ_KAFKA_WIRE_H
#define SQ_KAFKA_WIRE_H

#include "kafka/kafka_internal.h"
#include "kafka/kafka_records.h"

typedef struct SqKafkaBroker
{
	int32 id; /* -1: not known yet */
	char *host;
	int port;
	SqKafkaConnection *connection; /* NULL: none */
	int watched;                   /* the descriptor that is waited for; -1 */
	int events;                    /* ... and what of it */
	bool was_ready;                /* the connection, ever */
	int64 opened_at;
	int64 retry_at; /* no connection before this time */
	int backoff_ms;
	int64 silent_until; /* no request before: throttled */
	int64 last_used;
	int32 request;    /* in flight: the id of its answer; 0: none */
	int64 request_at; /* when it was sent */
	uint32 sent;      /* counts requests, also those that were dropped */
} SqKafkaBroker;

/* Of a topic, as last heard. */
typedef struct SqKafkaLeaders
{
	char *topic;
	int count;
	int32 *ids;    /* by partition: the broker, -1: none at the moment */
	int32 *epochs; /* of the leaders, -1: not known */
} SqKafkaLeaders;

/* Make the connections of a client, without connecting. NULL and an error. */
extern SqKafkaWire *sq_kafka_wire_create(SqKafkaClient *client,
										 const SqKafkaConfig *config,
										 SqError *error);
extern void sq_kafka_wire_free(SqKafkaWire *wire);
/* Before another session begins: give up what was asked for in the one before,
 * and close connections that were not used for a while. */
extern void sq_kafka_wire_tidy(SqKafkaWire *wire);
/* Readable when something is to be done. */
extern int sq_kafka_wire_fd(const SqKafkaWire *wire);
/* Before waiting: be woken at this time (of sq_kafka_now) at the latest, and
 * for what brokers wait for. */
extern void sq_kafka_wire_await(SqKafkaWire *wire, int64 at);

/* The broker of a number, or NULL. */
extern SqKafkaBroker *sq_kafka_wire_broker(SqKafkaWire *wire, int32 id);
/* Connect it if need be: SQ_OK when requests can be sent, SQ_WAIT, SQ_ERROR. */
extern SqStatus sq_kafka_broker_ready(SqKafkaWire *wire, SqKafkaBroker *broker,
									  SqError *error);
/* What it said is beyond us or took too long: another connection, later. */
extern void sq_kafka_broker_fail(SqKafkaWire *wire, SqKafkaBroker *broker,
								 const char *complaint);
/* The answer to its request: SQ_OK, SQ_WAIT (also when the connection was
 * lost: no request is in flight then), SQ_ERROR. The frame is the caller's. */
extern SqStatus sq_kafka_broker_receive(SqKafkaWire *wire,
										SqKafkaBroker *broker,
										SqKafkaFrame *frame, SqError *error);
/* Send the request that was begun. */
extern SqStatus sq_kafka_broker_submit(SqKafkaWire *wire, SqKafkaBroker *broker,
									   SqError *error);

/* The leaders of a topic; SQ_WAIT while they are being asked for. fresh: since
 * this time (of sq_kafka_now; 0: any will do). SQ_ERROR: there is no such
 * topic any more, or it may not be seen. */
extern SqStatus sq_kafka_wire_leaders(SqKafkaWire *wire, const char *topic,
									  int64 fresh,
									  const SqKafkaLeaders **leaders,
									  SqError *error);

/* What the fetch session's properties are, fixed once made. */
typedef struct SqKafkaFetchLimits
{
	int32 wait_ms;         /* fetch.wait.max.ms */
	int32 least_bytes;     /* fetch.min.bytes */
	int32 most_bytes;      /* of an answer */
	int32 partition_bytes; /* of one partition in it */
	int32 batch_bytes;     /* of a batch, decompressed */
	int32 timeout_ms;      /* socket.timeout.ms */
	bool committed;        /* isolation.level */
	bool check_crcs;       /* check.crcs */
	const char *rack;      /* client.rack, or "" */
} SqKafkaFetchLimits;

extern const SqKafkaFetchLimits *sq_kafka_wire_limits(const SqKafkaWire *wire);

/* Memory of answers and batches. */
extern SqKafkaBlockPool *sq_kafka_wire_pool(SqKafkaWire *wire);

/* ---- Record sets (kafka_wire_set.c) ---- */

typedef struct SqKafkaWireSet
{
	SqKafkaSet base; /* must be first */
	struct SqKafkaWireSet *next;
	SqKafkaWire *wire;
	SqKafkaFill fill;
	int capacity;
	SqHeader *header_list; /* of the record that was asked for last */
	int header_capacity;
	char *names;
	size_t names_capacity;
} SqKafkaWireSet;

/* An empty set for so many records; NULL without memory. */
extern SqKafkaWireSet *sq_kafka_wire_set_take(SqKafkaWire *wire, int max);
/* Have room for two blocks more; false without memory. */
extern bool sq_kafka_wire_set_ready(SqKafkaWireSet *set);
/* There are slices into this block, too. */
extern void sq_kafka_wire_set_hold(SqKafkaWireSet *set, SqKafkaBlock *block);
/* It is filled: as others see it. */
extern SqRecordSet *sq_kafka_wire_set_finish(SqKafkaWireSet *set);
/* Free the sets that wait for use. */
extern void sq_kafka_wire_set_free_spares(SqKafkaWireSet *spares);

/* The sets of a wire that wait for use. */
extern SqKafkaWireSet **sq_kafka_wire_spares(SqKafkaWire *wire);

#endif
