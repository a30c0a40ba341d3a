/*
 * kafka_transport.h
 *		What the files behind kafka_connection.h share; nobody else includes
 *		this.
 *
 * OpenSSL's and libsasl2's types appear by their struct tags only.
 */
#ifndef SQ_KAFKA_TRANSPORT_H
#define SQ_KAFKA_TRANSPORT_H

#include <stdatomic.h>
#include <sys/types.h>

#include "kafka/kafka_connection.h"

struct addrinfo;
struct ssl_ctx_st;
struct ssl_st;

/* ---- kafka_job.c ---- */

/*
 * Work for a thread, whose end a descriptor tells. The owner and the running
 * thread hold a reference each, the last one ends it. First member of a larger
 * struct; between start and done that belongs to the thread.
 */
typedef struct SqKafkaJob SqKafkaJob;

struct SqKafkaJob
{
	atomic_int references;
	int fd;                    /* readable when the work is done */
	void (*run)(SqKafkaJob *); /* in the thread */
	void (*end)(SqKafkaJob *); /* free it, in whatever thread is last */
};

/* Make a job that is not running; false without descriptors. */
extern bool sq_kafka_job_init(SqKafkaJob *job, void (*run)(SqKafkaJob *),
							  void (*end)(SqKafkaJob *));
/* Let a thread run it, once more. False if there can be no thread. */
extern bool sq_kafka_job_start(SqKafkaJob *job);
/* Is it done? True once for each start. */
extern bool sq_kafka_job_done(SqKafkaJob *job);
/* Give it up, running or not; NULL is fine. */
extern void sq_kafka_job_drop(SqKafkaJob *job);

/* ---- kafka_resolve.c ---- */

/* Looking up a host: a job whose answer is a list of addresses. */
typedef struct SqKafkaLookup
{
	SqKafkaJob job;
	char *host;
	char *port;
	int family;
	bool numeric; /* an address already: no need to ask anybody */
	int code;     /* of getaddrinfo */
	struct addrinfo *addresses;
} SqKafkaLookup;

/* Begin to look up; sq_kafka_job_done tells when it is answered. NULL and an
 * error without memory, descriptors or threads. */
extern SqKafkaLookup *sq_kafka_lookup_start(const char *host, int port,
											int family, SqError *error);

/* ---- kafka_settings.c ---- */

struct SqKafkaSettings
{
	int references;
	bool tls;
	bool sasl;
	char *client_id;

	/* TLS */
	bool verify_peer;
	bool verify_host;
	bool has_certificate; /* of our own */
	struct ssl_ctx_st *context;

	/* SASL; username and password are wiped */
	const char *mechanism; /* static */
	char *username;
	char *password;
	char *service;

	/* TCP */
	int family;
	bool keepalive;
	bool nagle;
	int send_buffer; /* 0: the system's */
	int receive_buffer;
	int setup_timeout_ms;
	size_t most_bytes; /* of a frame */
};

/* The value of a property, without blanks ahead as librdkafka takes it, or
 * NULL. */
extern const char *sq_kafka_config_value(const SqKafkaConfig *config,
										 const char *name);

/* ---- kafka_connection.c ---- */

typedef struct SqKafkaRequest
{
	int16 api; /* 0: a bare token of an old login, without headers */
	int16 version;
	int32 id;
} SqKafkaRequest;

typedef struct SqKafkaVersions
{
	int16 least;
	int16 most; /* -1: the broker doesn't know the API */
} SqKafkaVersions;

#define SQ_KAFKA_API_COUNT 128
/* Before the login an answer has this size at most. */
#define SQ_KAFKA_EARLY_BYTES (1024 * 1024)
/* So much is read beyond what is needed now. */
#define SQ_KAFKA_AHEAD_BYTES 4096

typedef struct SqKafkaLogin SqKafkaLogin;

struct SqKafkaConnection
{
	SqKafkaSettings *settings;
	char *host;
	char *name; /* host:port */
	SqKafkaStage stage;
	int64 opened;
	int64 since; /* in this stage */
	SqKafkaTrouble trouble;
	SqError fault; /* once failed */

	/* TCP: the address in use is «address», tried until try_until. */
	SqKafkaLookup *lookup;
	struct addrinfo *address;
	int64 try_until; /* 0: no limit */
	int refusals;    /* addresses that failed, told in fault.detail */
	int fd;
	int read_wants; /* events that reading waits for */
	int write_wants;
	bool closed;     /* the broker has closed it */
	int write_errno; /* writing failed; reading may still tell why */

	struct ssl_st *ssl;

	/* Out: bytes sent … length are still to be sent. */
	SqKafkaOutput out;
	size_t sent;
	size_t request_at; /* where the request being written begins */
	SqKafkaRequest request;
	SqKafkaRequest requests[SQ_KAFKA_MAX_REQUESTS]; /* a ring */
	int first_request;
	int request_count;
	int32 next_id;

	/* In: a frame of frame_bytes, of which received are in the buffer; before
	 * that its length, in «ahead», which may hold the next ones too. */
	SqKafkaBuffer buffer;
	SqKafkaBuffer spare;
	bool has_length;
	size_t frame_bytes;
	size_t received;
	size_t most_bytes;
	char ahead[SQ_KAFKA_AHEAD_BYTES];
	size_t ahead_from;
	size_t ahead_to;
	bool answered; /* something came, ever */
	bool served;   /* a request of the owner was answered */

	/* Negotiation and login */
	SqKafkaVersions versions[SQ_KAFKA_API_COUNT];
	SqKafkaLogin *login;
	int login_version; /* of SaslAuthenticate; -1: bare tokens */
	bool login_working;
	int64 expires;
};

/* The error has been set in connection->fault; remember what it is worth and
 * answer SQ_ERROR. */
extern SqStatus sq_kafka_connection_fail(SqKafkaConnection *connection,
										 SqKafkaTrouble trouble);
extern void sq_kafka_connection_enter(SqKafkaConnection *connection,
									  SqKafkaStage stage);
/* Begin a request in any stage; api 0 is a bare token. */
extern SqKafkaOutput *sq_kafka_connection_begin(SqKafkaConnection *connection,
												int api, int version);
/* Queue it. Sends nothing yet. */
extern SqStatus sq_kafka_connection_queue(SqKafkaConnection *connection);
/* Send what can be sent, receive what is there; in any stage with frames. */
extern SqStatus sq_kafka_connection_exchange(SqKafkaConnection *connection,
											 SqKafkaFrame *frame);
/* The broker closed it, or it broke with an errno: as an error. */
extern SqStatus sq_kafka_connection_lost(SqKafkaConnection *connection,
										 int code);
/* The answer is none of Kafka's; detail as for printf. */
extern SqStatus sq_kafka_connection_nonsense(SqKafkaConnection *connection,
											 const char *detail);

/* ---- kafka_handshake.c ---- */

/* Ask for the versions, log in. SQ_OK when all is said; else like _poll. */
extern SqStatus sq_kafka_handshake_start(SqKafkaConnection *connection);
extern SqStatus sq_kafka_handshake_step(SqKafkaConnection *connection);

/* ---- kafka_tls.c ---- */

/* Make settings->context of a configuration that asks for TLS. */
extern bool sq_kafka_tls_prepare(SqKafkaSettings *settings,
								 const SqKafkaConfig *config, SqError *error);
extern void sq_kafka_tls_forget(SqKafkaSettings *settings);
/* TLS over the connected socket: begin, then shake hands until SQ_OK. */
extern SqStatus sq_kafka_tls_start(SqKafkaConnection *connection);
extern SqStatus sq_kafka_tls_handshake(SqKafkaConnection *connection);
/* Like recv and send: bytes, 0 when it has to wait (read_wants and
 * write_wants say for what), -1: the connection has failed. */
extern ssize_t sq_kafka_tls_read(SqKafkaConnection *connection, char *data,
								 size_t length);
extern ssize_t sq_kafka_tls_write(SqKafkaConnection *connection,
								  const char *data, size_t length);
extern void sq_kafka_tls_end(SqKafkaConnection *connection);

/* ---- kafka_sasl.c ---- */

/* One login: libsasl2's side of it, in steps that are jobs. */
struct SqKafkaLogin
{
	SqKafkaJob job;
	/* After a step: failed, then why; or a token to be sent, if «sends», and
	 * whether the broker has proven all that the mechanism asks of it. The
	 * token is libsasl2's, until the next step. */
	bool failed;
	bool complete;
	bool sends;
	SqSlice token;
	char reason[SQ_ERROR_TEXT / 2];
};

/* Does libsasl2 have a plugin for the mechanism? If not, the package that
 * brings it. NULL if it has. */
extern const char *sq_kafka_sasl_missing(const char *mechanism);
/* Begin a login with the settings' mechanism, by its first step. NULL and an
 * error without memory, descriptors or threads. */
extern SqKafkaLogin *sq_kafka_sasl_start(const SqKafkaSettings *settings,
										 const char *host, SqError *error);
/* The step that answers the broker's token. */
extern bool sq_kafka_sasl_step(SqKafkaLogin *login, SqSlice token,
							   SqError *error);
/* Overwrite memory in a way that is not optimised away. */
extern void sq_kafka_wipe(void *data, size_t length);

#endif
