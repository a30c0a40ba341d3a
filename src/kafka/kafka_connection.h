/*
 * kafka_connection.h
 *		One connection to one broker, without librdkafka.
 *
 * What the fetch session stands on: from a configuration in librdkafka's
 * words, over TCP, TLS, the negotiation of versions and the login, to requests
 * sent and answers received, in order and as whole frames.
 *
 * Nothing here waits. A connection is stepped by its owner: call _poll until
 * it is ready, then send and _receive; whenever one answers SQ_WAIT, wait for
 * _fd and _events, at most _wait_ms, and call again. Descriptor and events
 * change from call to call, so ask before each wait. What can only be had by
 * waiting (looking up a name, steps of the login, which may ask a Kerberos
 * server) is done by a thread that touches nothing of the connection, and that
 * closing does not wait for (sq_kafka_thread_wait does, at exit).
 *
 * The deadline is the owner's: sq_kafka_connection_since tells how long the
 * connection has been where it is. Settings and connections belong to one
 * thread. Everything is malloc'd.
 *
 * No less security than was asked for: what can't be had is an error, and the
 * connection is good for nothing but closing.
 */
#ifndef SQ_KAFKA_CONNECTION_H
#define SQ_KAFKA_CONNECTION_H

#include "kafka/kafka.h"
#include "kafka/kafka_protocol.h"

/* ---- Settings ---- */

/* What a configuration says of connections, read once: files, certificates,
 * secrets. Shared by reference; secrets are wiped when the last one goes. */
typedef struct SqKafkaSettings SqKafkaSettings;

/*
 * Can connections of this configuration be made here? If not, why in reason,
 * for EXPLAIN, as the property at fault and what about it ("sasl.mechanisms
 * OAUTHBEARER"): librdkafka speaks it, if anybody does. Opens no file.
 */
extern bool sq_kafka_settings_speak(const SqKafkaConfig *config, char *reason,
									size_t size);

/*
 * The settings of a configuration, held once. NULL and an error if a property
 * has no such value, a file can't be read, or it can't be spoken. Properties
 * mean what they mean to librdkafka; the last of those set twice counts.
 * Reads the files that it names.
 */
extern SqKafkaSettings *sq_kafka_settings_create(const SqKafkaConfig *config,
												 SqError *error);
extern SqKafkaSettings *sq_kafka_settings_hold(SqKafkaSettings *settings);
extern void sq_kafka_settings_drop(SqKafkaSettings *settings);

/* ---- Connections ---- */

typedef struct SqKafkaConnection SqKafkaConnection;

/* Where a connection is. */
typedef enum SqKafkaStage
{
	SQ_KAFKA_RESOLVING,   /* the name is being looked up */
	SQ_KAFKA_CONNECTING,  /* TCP, one address after the other */
	SQ_KAFKA_SECURING,    /* TLS handshake */
	SQ_KAFKA_NEGOTIATING, /* ApiVersions */
	SQ_KAFKA_LOGGING_IN,  /* SaslHandshake, SaslAuthenticate */
	SQ_KAFKA_READY,
	SQ_KAFKA_FAILED
} SqKafkaStage;

/* What an error of a connection is worth. */
typedef enum SqKafkaTrouble
{
	SQ_KAFKA_NO_TROUBLE,
	SQ_KAFKA_PASSING,  /* refused, closed, broken, too slow: try again later */
	SQ_KAFKA_NAMELESS, /* the name was not found */
	SQ_KAFKA_LASTING /* waiting won't cure it: certificates, login, protocol */
} SqKafkaTrouble;

#define SQ_KAFKA_READABLE 0x01
#define SQ_KAFKA_WRITABLE 0x02

/* How many requests may wait for their answers. */
#define SQ_KAFKA_MAX_REQUESTS 64

/* Begin to connect; holds the settings. NULL and an error without memory or
 * descriptors. */
extern SqKafkaConnection *sq_kafka_connection_open(SqKafkaSettings *settings,
												   const char *host, int port,
												   SqError *error);

/*
 * Go on: SQ_OK when the connection is ready (also when it was), SQ_WAIT, or
 * SQ_ERROR, from then on always the same. Sends what is left to be sent.
 */
extern SqStatus sq_kafka_connection_poll(SqKafkaConnection *connection,
										 SqError *error);

/* What to wait for after SQ_WAIT: descriptor and SQ_KAFKA_READABLE,
 * SQ_KAFKA_WRITABLE; and for how many ms at most, -1: no limit of its own. */
extern int sq_kafka_connection_fd(const SqKafkaConnection *connection);
extern int sq_kafka_connection_events(const SqKafkaConnection *connection);
extern int sq_kafka_connection_wait_ms(const SqKafkaConnection *connection);

/* Where it is, since when (of sq_kafka_now), and what its error is worth. */
extern SqKafkaStage
sq_kafka_connection_stage(const SqKafkaConnection *connection);
extern int64 sq_kafka_connection_since(const SqKafkaConnection *connection);
extern SqKafkaTrouble
sq_kafka_connection_trouble(const SqKafkaConnection *connection);
/* What it does in its stage, for a message that it took too long ("the TLS
 * handshake"). */
extern const char *
sq_kafka_connection_doing(const SqKafkaConnection *connection);
/* "host:port", for messages. */
extern const char *
sq_kafka_connection_name(const SqKafkaConnection *connection);
/* When the login expires (of sq_kafka_now; KIP-368), 0: never. The broker
 * closes a connection that is used later, so make another one before. */
extern int64 sq_kafka_connection_expires(const SqKafkaConnection *connection);

/* End it, from any stage and at any time; says goodbye if that needs no
 * waiting. NULL is fine. */
extern void sq_kafka_connection_close(SqKafkaConnection *connection);

/* ---- Requests ---- */

/* Kafka's numbers of the requests that are known here. */
typedef enum SqKafkaApi
{
	SQ_KAFKA_FETCH = 1,
	SQ_KAFKA_LIST_OFFSETS = 2,
	SQ_KAFKA_METADATA = 3,
	SQ_KAFKA_SASL_HANDSHAKE = 17,
	SQ_KAFKA_API_VERSIONS = 18,
	SQ_KAFKA_OFFSET_FOR_LEADER_EPOCH = 23,
	SQ_KAFKA_SASL_AUTHENTICATE = 36
} SqKafkaApi;

/* The highest version of an API between two that the broker speaks too, -1 if
 * there is none. Of a connection that is ready. */
extern int sq_kafka_connection_version(const SqKafkaConnection *connection,
									   SqKafkaApi api, int least, int most);
/* Is this version of the API a flexible one (compact lengths, tags)? */
extern bool sq_kafka_api_is_flexible(SqKafkaApi api, int version);

/*
 * Begin a request of a ready connection: its header is written, the body goes
 * into the writer, which is the connection's. NULL when too many are waiting
 * for their answers, or the connection is not ready. Then _submit makes it
 * whole and sends what can be sent; the correlation id in *id, if asked for.
 * Nothing else of the connection may be called in between.
 */
extern SqKafkaOutput *sq_kafka_connection_request(SqKafkaConnection *connection,
												  SqKafkaApi api, int version);
extern SqStatus sq_kafka_connection_submit(SqKafkaConnection *connection,
										   int32 *id, SqError *error);
/* How many requests have no answer yet. */
extern int sq_kafka_connection_pending(const SqKafkaConnection *connection);

/* ---- Answers ---- */

/* Memory for frames. */
typedef struct SqKafkaBuffer
{
	char *data; /* malloc'd; NULL: none */
	size_t capacity;
} SqKafkaBuffer;

/* An answer. The buffer is whose the frame is; the body lies in it. */
typedef struct SqKafkaFrame
{
	SqKafkaApi api;
	int version;
	int32 id;     /* of the request */
	SqSlice body; /* behind the header */
	SqKafkaBuffer buffer;
} SqKafkaFrame;

/*
 * The next answer in *frame, whose buffer is the caller's then (SQ_OK);
 * SQ_WAIT; SQ_ERROR. Answers come in the order of their requests. Call it
 * until it says SQ_WAIT: some bytes may be here already, where the descriptor
 * can't show them. Also sends what is left to be sent. Of a connection that was
 * idle it tells whether the broker has closed it meanwhile (then SQ_ERROR).
 */
extern SqStatus sq_kafka_connection_receive(SqKafkaConnection *connection,
											SqKafkaFrame *frame,
											SqError *error);

/* Give a buffer back, for a frame to come; it is the connection's then. Who
 * gives back each one before he takes the next but one needs no memory but
 * for frames larger than all before. */
extern void sq_kafka_connection_recycle(SqKafkaConnection *connection,
										SqKafkaBuffer buffer);
/* Free the memory of a buffer. */
extern void sq_kafka_buffer_free(SqKafkaBuffer *buffer);

/* Frames may have so many bytes from now on; an answer that says it has more
 * is an error, and no memory is taken for it. Else it is what the property
 * receive.message.max.bytes says. */
extern void sq_kafka_connection_limit(SqKafkaConnection *connection,
									  size_t bytes);

#endif
