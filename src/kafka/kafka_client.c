/*
 * kafka_client.c
 *		Clients: a connection, its configuration, and the pool of idle ones.
 *
 * Making a connection costs threads, sockets and some round trips, so a
 * process keeps a few idle clients and hands one out again when the whole
 * configuration is the same; a changed server or user mapping therefore never
 * meets an old client. Closing blocks and is done by a thread.
 *
 * Memory: malloc; librdkafka's threads see the SqKafkaLink alone. Locks: the
 * link's (see there); the pool belongs to the main thread.
 */
#include "kafka/kafka_internal.h"

#include <signal.h>

#define POOL_SIZE 4

/* What a reader wants, unless the server's options say otherwise. */
static const SqKafkaProperty defaults[] = {
	{"client.id", "streamsql"},
	{"isolation.level", "read_committed"},
	{"fetch.wait.max.ms", "10"}, /* also the time to learn of an end */
	{"fetch.message.max.bytes", "262144"},
	{"fetch.error.backoff.ms", "50"},
	{"queued.min.messages", "30000"},
	{"queued.max.messages.kbytes", "16384"},
	{"reconnect.backoff.ms", "50"},
	{"reconnect.backoff.max.ms", "500"},
	{"socket.nagle.disable", "true"},
	{"topic.metadata.refresh.interval.ms", "30000"},
};

/* What the reading relies on. */
static const SqKafkaProperty owned[] = {
	{"enable.partition.eof", "true"},
	{"auto.offset.reset", "error"},
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"allow.auto.create.topics", "false"},
};

static SqKafkaClient *pool[POOL_SIZE]; /* most recently used first */

/* ---- Links ---- */

void
sq_kafka_link_hold(SqKafkaLink *link)
{
	pthread_mutex_lock(&link->lock);
	link->references++;
	pthread_mutex_unlock(&link->lock);
}

static void *
close_link(void *arg)
{
	SqKafkaLink *link = arg;

	rd_kafka_destroy_flags(link->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	pthread_mutex_destroy(&link->lock);
	free(link);
	sq_kafka_thread_end();
	return NULL;
}

void
sq_kafka_link_drop(SqKafkaLink *link)
{
	int left;

	pthread_mutex_lock(&link->lock);
	left = --link->references;
	pthread_mutex_unlock(&link->lock);
	if (left == 0 && !sq_kafka_thread_start(close_link, link))
		rd_kafka_destroy(link->rk); /* out of threads: better late than never */
}

void
sq_kafka_link_complain(SqKafkaLink *link, const char *what)
{
	const char *prefix = strstr(what, "]: ");

	if (what[0] == '[' && prefix != NULL)
		what = prefix + 3;
	pthread_mutex_lock(&link->lock);
	strlcpy(link->complaint, what, sizeof(link->complaint));
	pthread_mutex_unlock(&link->lock);
}

bool
sq_kafka_link_waking(SqKafkaLink *link, bool waking)
{
	bool changed;

	pthread_mutex_lock(&link->lock);
	changed = link->waking != waking;
	link->waking = waking;
	pthread_mutex_unlock(&link->lock);
	return changed;
}

/* Called by any thread of librdkafka. */
static void
log_callback(const rd_kafka_t *rk, int level, const char *facility,
			 const char *line)
{
	SqKafkaLink *link = rd_kafka_opaque(rk);

	if (level <= 4 && strcmp(facility, "CONFWARN") != 0)
		sq_kafka_link_complain(link, line);
}

/* ---- Making ---- */

static bool
set_all(rd_kafka_conf_t *conf, const SqKafkaProperty *properties, int count,
		SqError *error)
{
	char reason[512];

	for (int i = 0; i < count; i++)
	{
		if (rd_kafka_conf_set(conf, properties[i].name, properties[i].value,
							  reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
			continue;
		sq_error_set(error, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
					 "invalid value for Kafka property \"%s\"",
					 properties[i].name);
		sq_error_detail(error, "%s.", reason);
		return false;
	}
	return true;
}

/* From 2.2 on librdkafka need not sleep when its queue is full. */
static bool
set_queue_backoff(rd_kafka_conf_t *conf)
{
	char reason[512];

	return rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "0", reason,
							 sizeof(reason)) == RD_KAFKA_CONF_OK;
}

static char *
conf_value(const rd_kafka_conf_t *conf, const char *name)
{
	char value[512] = "";
	size_t size = sizeof(value);

	rd_kafka_conf_get(conf, name, value, &size);
	return strdup(value);
}

/* The connection itself; takes conf over. */
static rd_kafka_t *
make_consumer(rd_kafka_conf_t *conf, SqError *error)
{
	char reason[512];
	sigset_t all, old;
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		sq_error_set(error, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
					 "could not create a Kafka client");
		sq_error_detail(error, "%s.", reason);
	}
	return rk;
}

static SqKafkaLink *
make_link(rd_kafka_conf_t *conf, SqError *error)
{
	SqKafkaLink *link = calloc(1, sizeof(SqKafkaLink));

	if (link == NULL)
	{
		rd_kafka_conf_destroy(conf);
		sq_error_set(error, ERRCODE_OUT_OF_MEMORY, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&link->lock, NULL);
	link->references = 1;
	rd_kafka_conf_set_opaque(conf, link);
	rd_kafka_conf_set_log_cb(conf, log_callback);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
	link->rk = make_consumer(conf, error);
	if (link->rk == NULL)
	{
		pthread_mutex_destroy(&link->lock);
		free(link);
		return NULL;
	}
	return link;
}

static void
free_client(SqKafkaClient *client)
{
	free(client->key);
	free(client->servers);
	free(client);
}

/* A new client; takes key over. */
static SqKafkaClient *
make_client(const SqKafkaConfig *config, char *key, SqError *error)
{
	SqKafkaClient *client = calloc(1, sizeof(SqKafkaClient));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char *limit;

	client->key = key;
	client->needs_wake = !set_queue_backoff(conf);
	if (!set_all(conf, defaults, lengthof(defaults), error) ||
		!set_all(conf, config->properties, config->count, error) ||
		!set_all(conf, owned, lengthof(owned), error))
	{
		rd_kafka_conf_destroy(conf);
		free_client(client);
		return NULL;
	}
	client->servers = conf_value(conf, "bootstrap.servers");
	limit = conf_value(conf, "queued.min.messages");
	client->queue_limit = atoll(limit);
	free(limit);
	client->link = make_link(conf, error);
	if (client->link == NULL)
	{
		free_client(client);
		return NULL;
	}
	return client;
}

/* ---- The pool ---- */

static int
compare_properties(const void *a, const void *b)
{
	const SqKafkaProperty *x = a;
	const SqKafkaProperty *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->value, y->value);
}

/* The whole configuration as one text. */
static char *
config_key(const SqKafkaConfig *config)
{
	size_t bytes = config->count * sizeof(SqKafkaProperty);
	SqKafkaProperty *sorted = malloc(Max(bytes, 1));
	size_t length = 1;
	char *key, *end;

	memcpy(sorted, config->properties, bytes);
	qsort(sorted, config->count, sizeof(SqKafkaProperty), compare_properties);
	for (int i = 0; i < config->count; i++)
		length += strlen(sorted[i].name) + strlen(sorted[i].value) + 2;
	end = key = malloc(length);
	*end = '\0';
	for (int i = 0; i < config->count; i++)
	{
		end = stpcpy(stpcpy(end, sorted[i].name), "=");
		end = stpcpy(stpcpy(end, sorted[i].value), "\1");
	}
	free(sorted);
	return key;
}

static void
take_from_pool(int place)
{
	memmove(&pool[place], &pool[place + 1],
			(POOL_SIZE - 1 - place) * sizeof(SqKafkaClient *));
	pool[POOL_SIZE - 1] = NULL;
}

static void
close_client(SqKafkaClient *client)
{
	if (client->spare != NULL)
		sq_kafka_set_destroy(client->spare);
	if (client->topic != NULL)
		rd_kafka_topic_destroy(client->topic);
	sq_kafka_link_drop(client->link);
	free_client(client);
}

SqKafkaClient *
sq_kafka_client_acquire(const SqKafkaConfig *config, SqError *error)
{
	char *key = config_key(config);

	for (int i = 0; i < POOL_SIZE && pool[i] != NULL; i++)
	{
		SqKafkaClient *client = pool[i];
		SqError old;

		if (strcmp(client->key, key) != 0)
			continue;
		free(key);
		take_from_pool(i);
		sq_kafka_client_check(client, &old); /* yesterday's errors */
		sq_kafka_link_complain(client->link, "");
		return client;
	}
	return make_client(config, key, error);
}

void
sq_kafka_client_release(SqKafkaClient *client, bool healthy)
{
	if (!healthy)
	{
		close_client(client);
		return;
	}
	if (pool[POOL_SIZE - 1] != NULL)
		close_client(pool[POOL_SIZE - 1]);
	memmove(&pool[1], &pool[0], (POOL_SIZE - 1) * sizeof(SqKafkaClient *));
	pool[0] = client;
}

bool
sq_kafka_pool_shutdown(int timeout_ms)
{
	while (pool[0] != NULL)
	{
		SqKafkaClient *client = pool[0];

		take_from_pool(0);
		close_client(client);
	}
	return sq_kafka_thread_wait(timeout_ms);
}

/* ---- State ---- */

int
sq_kafka_sqlstate(rd_kafka_resp_err_t code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			return ERRCODE_UNDEFINED_TABLE;
		case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
		case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
			return ERRCODE_INVALID_NAME;
		case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
		case RD_KAFKA_RESP_ERR__BAD_MSG:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		case RD_KAFKA_RESP_ERR_INVALID_MSG:
			return ERRCODE_DATA_CORRUPTED;
		case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
		case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		default:
			return ERRCODE_CONNECTION_FAILURE;
	}
}

/* Will waiting not help? */
static bool
is_hopeless(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
		   code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED ||
		   code == RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM ||
		   code == RD_KAFKA_RESP_ERR__SSL ||
		   code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE ||
		   code == RD_KAFKA_RESP_ERR__FATAL;
}

SqStatus
sq_kafka_client_check(SqKafkaClient *client, SqError *error)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client->link->rk);
	SqStatus status = SQ_OK;
	rd_kafka_event_t *event;

	while ((event = rd_kafka_queue_poll(queue, 0)) != NULL)
	{
		rd_kafka_resp_err_t code = rd_kafka_event_error(event);

		if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
			sq_kafka_link_complain(client->link,
								   rd_kafka_event_error_string(event));
		if (is_hopeless(code))
		{
			status = sq_error_set(error, sq_kafka_sqlstate(code),
								  "could not connect to Kafka at \"%s\"",
								  client->servers);
			sq_error_detail(error, "%s.", rd_kafka_event_error_string(event));
		}
		rd_kafka_event_destroy(event);
	}
	rd_kafka_queue_destroy(queue);
	return status;
}

const char *
sq_kafka_client_complaint(SqKafkaClient *client)
{
	static char copy[512];

	pthread_mutex_lock(&client->link->lock);
	strlcpy(copy, client->link->complaint, sizeof(copy));
	pthread_mutex_unlock(&client->link->lock);
	return copy;
}
