/*
 * kafka_client.c
 *		Clients: making, watching and closing one librdkafka handle.
 *
 * A client is used by one owner at a time, but lives as long as anybody needs
 * its handle: the owner, and every call that was abandoned while a thread is
 * still inside librdkafka. Closing joins librdkafka's threads and may take
 * long (a name that is being looked up can't be interrupted), so that it is
 * always done by a thread of its own.
 *
 * librdkafka tells its troubles by two callbacks: errors, when somebody serves
 * its queue, and log lines, from any of its threads. Neither may palloc or
 * throw; they leave a text and, for what waiting won't cure, a fault.
 *
 * Memory: malloc; freed by the thread that closes the client. Locks:
 * client->lock guards what the callbacks write; «closing_lock» guards the list
 * of clients to be closed. Nothing else is taken under either.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_wire.h"

#include <signal.h>

typedef struct SqSetting
{
	const char *name;
	const char *value;
} SqSetting;

/*
 * What suits bounded reads unless the user says otherwise. A fetch that waits
 * at the end of a partition delays the next request to that broker, so it
 * waits shortly. A first record comes when a whole fetch has come, so a fetch
 * is small (see limit_fetches too), but large enough for a scan to be as fast
 * as with any size. Properties of later librdkafkas are skipped by earlier
 * ones.
 */
static const SqSetting defaults[] = {
	{"client.id", "streamsql"},
	{"isolation.level", "read_committed"},
	{"fetch.wait.max.ms", "2"},
	{"fetch.error.backoff.ms", "100"},
	{"fetch.queue.backoff.ms", "1"},
	{"fetch.message.max.bytes", "524288"},
	{"queued.min.messages", "100000"},
	{"queued.max.messages.kbytes", "32768"},
	{"reconnect.backoff.max.ms", "500"},
	{"socket.nagle.disable", "true"},
	{"enable.metrics.push", "false"},
};

/* What suits producers. Java's clients place records by murmur2. */
static const SqSetting producer_defaults[] = {
	{"client.id", "streamsql"},
	{"queue.buffering.max.kbytes", "32768"},
	{"reconnect.backoff.max.ms", "500"},
	{"socket.nagle.disable", "true"},
	{"enable.metrics.push", "false"},
};

static const SqSetting producer_owned[] = {
	{"enable.idempotence", "true"},
	{"partitioner", "murmur2_random"},
	{"log.queue", "false"},
};

/* Of all partitions together: 16 of them cost LIMIT 1 no more than one. */
#define FETCH_MAX_BYTES 1048576

/* What is ours, whatever the user says. */
static const SqSetting owned[] = {
	{"enable.partition.eof", "true"},
	{"auto.offset.reset", "error"},
	{"enable.auto.commit", "false"},
	{"auto.commit.enable", "false"},
	{"enable.auto.offset.store", "false"},
	{"allow.auto.create.topics", "false"},
	{"log.queue", "false"},
};

/* ---- Troubles ---- */

/* Keep a text as the last complaint; an error is worth more than a line of
 * the log. Caller holds the lock. */
static void
keep_complaint(SqKafkaClient *client, const char *reason, bool is_error)
{
	size_t length = strnlen(reason, SQ_ERROR_TEXT - 1);

	if (client->complaint_is_error && !is_error)
		return;
	while (length > 0 &&
		   (reason[length - 1] == '.' || reason[length - 1] == ' ' ||
			reason[length - 1] == '\n'))
		length--;
	memcpy(client->complaint, reason, length);
	client->complaint[length] = '\0';
	client->complaint_is_error = is_error;
}

/* A connection that broke while TLS or SASL were talking is told as an error
 * of these, but waiting may cure it. */
static bool
is_disconnect(const char *reason)
{
	static const char *const words[] = {"isconnect",       "ransport failure",
										"onnection reset", "onnection closed",
										"nexpected eof",   "imed out",
										"roken pipe"};

	for (int i = 0; i < lengthof(words); i++)
		if (strstr(reason, words[i]) != NULL)
			return true;
	return false;
}

/* Set a fault if the error is one. Caller holds the lock. */
static void
note_fault(SqKafkaClient *client, int code, const char *reason)
{
	SqError *fault = &client->fault;

	/* Brokers that were found are no matter of names any more. */
	if (code == RD_KAFKA_RESP_ERR__RESOLVE)
		client->unresolved = true;
	else if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		client->resolved = true;
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
			if (is_disconnect(reason))
				return;
			sq_error_set(fault, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
						 "could not log in to Kafka at \"%s\"",
						 client->brokers);
			break;
		case RD_KAFKA_RESP_ERR__SSL:
			if (is_disconnect(reason))
				return;
			sq_error_set(fault, ERRCODE_CONNECTION_FAILURE,
						 "could not agree on TLS with Kafka at \"%s\"",
						 client->brokers);
			break;
		case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
			if (!client->unresolved || client->resolved)
				return;
			sq_error_set(fault, ERRCODE_CONNECTION_FAILURE,
						 "could not find any host of Kafka at \"%s\"",
						 client->brokers);
			reason = client->complaint;
			break;
		default:
			return;
	}
	if (reason[0] != '\0')
		sq_error_detail(fault, "Kafka's client says: %s.", reason);
}

static void
error_callback(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	SqKafkaClient *client = opaque;

	pthread_mutex_lock(&client->lock);
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		keep_complaint(client, reason, true);
	note_fault(client, code, reason);
	pthread_mutex_unlock(&client->lock);
}

/* A line of the log: kept when nothing better was said. Warnings about the
 * configuration are no complaints: a server has properties of producers too. */
static void
log_callback(const rd_kafka_t *rk, int level, const char *facility,
			 const char *reason)
{
	SqKafkaClient *client = rk ? rd_kafka_opaque(rk) : NULL;

	if (client == NULL || level > 4 || strcmp(facility, "CONFWARN") == 0)
		return;
	pthread_mutex_lock(&client->lock);
	keep_complaint(client, reason, false);
	pthread_mutex_unlock(&client->lock);
}

void
sq_kafka_client_serve(SqKafkaClient *client)
{
	rd_kafka_poll(client->rk, 0);
}

SqStatus
sq_kafka_client_fault(SqKafkaClient *client, SqError *error)
{
	SqStatus status = SQ_OK;

	pthread_mutex_lock(&client->lock);
	if (client->fault.sqlstate != 0)
	{
		*error = client->fault;
		status = SQ_ERROR;
	}
	pthread_mutex_unlock(&client->lock);
	return status;
}

SqStatus
sq_kafka_client_check(SqKafkaClient *client, SqError *error)
{
	sq_kafka_client_serve(client);
	return sq_kafka_client_fault(client, error);
}

void
sq_kafka_client_last_complaint(SqKafkaClient *client, char *complaint)
{
	pthread_mutex_lock(&client->lock);
	strcpy(complaint, client->complaint);
	pthread_mutex_unlock(&client->lock);
}

const char *
sq_kafka_client_complaint(SqKafkaClient *client)
{
	sq_kafka_client_serve(client);
	sq_kafka_client_last_complaint(client, client->told);
	return client->told;
}

void
sq_kafka_client_complain(SqKafkaClient *client, const char *complaint)
{
	pthread_mutex_lock(&client->lock);
	keep_complaint(client, complaint, true);
	pthread_mutex_unlock(&client->lock);
}

void
sq_kafka_client_forget(SqKafkaClient *client)
{
	sq_kafka_client_serve(client);
	pthread_mutex_lock(&client->lock);
	sq_error_clear(&client->fault);
	client->complaint[0] = '\0';
	client->complaint_is_error = false;
	client->unresolved = client->resolved = false;
	pthread_mutex_unlock(&client->lock);
}

/* ---- Topics ---- */

/* Caller holds the lock. */
static bool
is_known(const SqKafkaClient *client, const char *topic)
{
	for (int i = 0; i < client->known_count; i++)
		if (strcmp(client->known[i], topic) == 0)
			return true;
	return false;
}

bool
sq_kafka_client_knows(SqKafkaClient *client, const char *topic)
{
	bool known;

	pthread_mutex_lock(&client->lock);
	known = is_known(client, topic);
	pthread_mutex_unlock(&client->lock);
	return known;
}

void
sq_kafka_client_learn(SqKafkaClient *client, const char *topic)
{
	char **grown;

	pthread_mutex_lock(&client->lock);
	if (!is_known(client, topic))
	{
		grown =
			realloc(client->known, (client->known_count + 1) * sizeof(char *));
		if (grown != NULL)
		{
			client->known = grown;
			grown[client->known_count] = strdup(topic);
			client->known_count += grown[client->known_count] != NULL;
		}
	}
	pthread_mutex_unlock(&client->lock);
}

/* ---- Closing ---- */

static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static SqKafkaClient *closing = NULL;

static void
free_client(SqKafkaClient *client)
{
	sq_kafka_set_free_spares(client);
	sq_kafka_wire_free(client->wire);
	for (int i = 0; i < client->property_count; i++)
	{
		free((void *) client->properties[i].name);
		free((void *) client->properties[i].value);
	}
	free(client->properties);
	for (int i = 0; i < client->known_count; i++)
		free(client->known[i]);
	free(client->known);
	free(client->brokers);
	free(client->told);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* Body of a closing thread: whatever waits to be closed, one by one. */
static void
close_clients(void *unused)
{
	SqKafkaClient *client;

	for (;;)
	{
		pthread_mutex_lock(&closing_lock);
		client = closing;
		if (client != NULL)
			closing = client->next;
		pthread_mutex_unlock(&closing_lock);
		if (client == NULL)
			return;
		rd_kafka_destroy_flags(client->rk,
							   RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		free_client(client);
	}
}

SqKafkaClient *
sq_kafka_client_hold(SqKafkaClient *client)
{
	atomic_fetch_add(&client->references, 1);
	return client;
}

void
sq_kafka_client_drop(SqKafkaClient *client)
{
	if (atomic_fetch_sub(&client->references, 1) > 1)
		return;
	pthread_mutex_lock(&closing_lock);
	client->next = closing;
	closing = client;
	pthread_mutex_unlock(&closing_lock);
	/* When there can't be a thread now, the next one takes it along. */
	sq_kafka_thread_start(close_clients, NULL);
}

/* ---- Making ---- */

static bool
set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
			 SqError *error)
{
	char reason[512];

	if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) ==
		RD_KAFKA_CONF_OK)
		return true;
	sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
				 "invalid value for Kafka property \"%s\"", name);
	sq_error_detail(error, "Kafka's client says: %s.", reason);
	return false;
}

static bool
set_all(rd_kafka_conf_t *conf, const SqSetting *settings, int count,
		SqError *error)
{
	for (int i = 0; i < count; i++)
		if (sq_kafka_property_exists(settings[i].name) &&
			!set_property(conf, settings[i].name, settings[i].value, error))
			return false;
	return true;
}

static int64
number_of(const rd_kafka_conf_t *conf, const char *name)
{
	char value[32] = "";
	size_t size = sizeof(value);

	rd_kafka_conf_get(conf, name, value, &size);
	return strtoll(value, NULL, 10);
}

static bool
has_property(const SqKafkaClient *client, const char *name)
{
	for (int i = 0; i < client->property_count; i++)
		if (strcmp(client->properties[i].name, name) == 0)
			return true;
	return false;
}

/* Set fetch.max.bytes unless the user did; librdkafka wants it to be between
 * message.max.bytes, which is the producers', and receive.message.max.bytes. */
static bool
limit_fetches(const SqKafkaClient *client, rd_kafka_conf_t *conf,
			  SqError *error)
{
	int64 most = number_of(conf, "receive.message.max.bytes") - 512;
	int64 bytes = Max(number_of(conf, "message.max.bytes"), FETCH_MAX_BYTES);
	char value[32];

	if (has_property(client, "fetch.max.bytes"))
		return true;
	snprintf(value, sizeof(value), "%lld", (long long) Min(bytes, most));
	return set_property(conf, "fetch.max.bytes", value, error);
}

/* The user's properties. */
static bool
set_own(const SqKafkaClient *client, rd_kafka_conf_t *conf, SqError *error)
{
	for (int i = 0; i < client->property_count; i++)
		if (!set_property(conf, client->properties[i].name,
						  client->properties[i].value, error))
			return false;
	return true;
}

static bool
set_consumer(const SqKafkaClient *client, rd_kafka_conf_t *conf, SqError *error)
{
	return set_all(conf, defaults, lengthof(defaults), error) &&
		   set_own(client, conf, error) && limit_fetches(client, conf, error) &&
		   set_all(conf, owned, lengthof(owned), error);
}

static bool
set_producer(const SqKafkaClient *client, rd_kafka_conf_t *conf, SqError *error)
{
	const SqKafkaProducer *producer = client->producer;

	rd_kafka_conf_set_dr_msg_cb(conf, producer->delivered);
	return set_all(conf, producer_defaults, lengthof(producer_defaults),
				   error) &&
		   set_own(client, conf, error) &&
		   set_all(conf, producer_owned, lengthof(producer_owned), error) &&
		   (producer->transactional_id == NULL ||
			set_property(conf, "transactional.id", producer->transactional_id,
						 error));
}

/* A configuration of librdkafka for a client; NULL and an error. */
static rd_kafka_conf_t *
make_conf(SqKafkaClient *client, SqError *error)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	bool good = client->producer == NULL ? set_consumer(client, conf, error)
										 : set_producer(client, conf, error);

	if (!good)
	{
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_error_cb(conf, error_callback);
	rd_kafka_conf_set_log_cb(conf, log_callback);
	return conf;
}

static const char *
brokers_of(const SqKafkaProperty *properties, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(properties[i].name, "bootstrap.servers") == 0 ||
			strcmp(properties[i].name, "metadata.broker.list") == 0)
			return properties[i].value;
	return "";
}

/* The client's own part, without a handle of librdkafka. */
static SqKafkaClient *
make_shell(const SqKafkaProperty *properties, int count)
{
	SqKafkaClient *client = calloc(1, sizeof(SqKafkaClient));

	if (client == NULL)
		return NULL;
	pthread_mutex_init(&client->lock, NULL);
	atomic_init(&client->references, 1);
	client->properties = calloc(count + 1, sizeof(SqKafkaProperty));
	client->brokers = strdup(brokers_of(properties, count));
	client->told = calloc(1, SQ_ERROR_TEXT);
	if (client->properties == NULL || client->brokers == NULL ||
		client->told == NULL)
	{
		free_client(client);
		return NULL;
	}
	for (int i = 0; i < count; i++)
	{
		client->properties[i].name = strdup(properties[i].name);
		client->properties[i].value = strdup(properties[i].value);
		client->property_count++;
		if (client->properties[i].name == NULL ||
			client->properties[i].value == NULL)
		{
			free_client(client);
			return NULL;
		}
	}
	return client;
}

/* rd_kafka_new with all signals blocked for the threads it makes. */
static rd_kafka_t *
make_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *reason,
			size_t size)
{
	sigset_t all;
	sigset_t old;
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rk = rd_kafka_new(type, conf, reason, size);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rk;
}

SqKafkaClient *
sq_kafka_client_create(const SqKafkaConfig *config,
					   const SqKafkaProducer *producer, SqError *error)
{
	SqKafkaClient *client = make_shell(config->properties, config->count);
	rd_kafka_conf_t *conf;
	char reason[512];

	if (client == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	client->reader = config->reader;
	client->producer = producer;
	conf = make_conf(client, error);
	if (conf == NULL)
	{
		free_client(client);
		return NULL;
	}
	client->queue_records = number_of(conf, "queued.min.messages");
	client->queue_bytes = number_of(conf, "queued.max.messages.kbytes") * 1024;
	client->sleeps_when_full =
		!sq_kafka_property_exists("fetch.queue.backoff.ms");
	client->rk =
		make_handle(producer == NULL ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER,
					conf, reason, sizeof(reason));
	if (client->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		sq_error_set(error, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					 "could not make a Kafka client for \"%s\"",
					 client->brokers);
		sq_error_detail(error, "Kafka's client says: %s.", reason);
		free_client(client);
		return NULL;
	}
	return client;
}

char *
sq_kafka_client_cluster(SqKafkaClient *client)
{
	char *known = rd_kafka_clusterid(client->rk, 0);
	char *copy = NULL;

	if (known == NULL)
		return NULL;
	copy = strdup(known);
	rd_kafka_mem_free(client->rk, known);
	return copy;
}
