/*
 * kafka_writer.c
 *		Writers: a producer of librdkafka, its queue, and the pool of idle ones.
 *
 * A put copies a record into librdkafka's queue, whose threads send it. What
 * was delivered or lost comes back by a callback, run by whoever serves the
 * main queue: the owner in its puts, or the thread of a step (see
 * kafka_writer_step.c), never both at once. A full queue is not waited for
 * here: the main queue makes the writer's descriptor readable when something
 * comes back.
 *
 * A writer is found again by its complete configuration and transactional id.
 * Its transactional id was initialised once; every transaction after that
 * costs no more than itself.
 *
 * Memory: malloc. Locks: writer->lock, see kafka_writer.h; the pool belongs to
 * the process's main thread.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_writer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_IDLE    8
#define MAX_IDLE_MS (5 * 60 * 1000)
/* How many puts before the queue of deliveries is looked at. */
#define PUTS_BETWEEN_SERVES 1024

static SqKafkaWriter *idle = NULL;

/* ---- Deliveries ---- */

/* The place for a partition's first offset; NULL without memory. */
static int64 *
first_of(SqWriterTopic *topic, int32 partition)
{
	if (partition >= topic->first_count)
	{
		int count = Max(partition + 1, 2 * topic->first_count);
		int64 *grown = realloc(topic->first, count * sizeof(int64));

		if (grown == NULL)
			return NULL;
		for (int i = topic->first_count; i < count; i++)
			grown[i] = -1;
		topic->first = grown;
		topic->first_count = count;
	}
	return &topic->first[partition];
}

static void
note_written(SqKafkaWriter *writer, const rd_kafka_message_t *message)
{
	SqWriterTopic *topic = rd_kafka_topic_opaque(message->rkt);
	int64 *first =
		message->partition < 0 ? NULL : first_of(topic, message->partition);

	atomic_fetch_add_explicit(&writer->acknowledged, 1, memory_order_relaxed);
	if (first != NULL && *first < 0)
		*first = message->offset;
}

/* Was it lost because of the transaction, which knows more about it? */
static bool
is_of_transaction(int code)
{
	switch (code)
	{
		case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
		case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
		case RD_KAFKA_RESP_ERR__FATAL:
		case RD_KAFKA_RESP_ERR__FENCED:
		case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
		case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
			return true;
		default:
			return false;
	}
}

/*
 * A client is of no use after a record of it was refused: librdkafka goes on
 * with the next sequence number, and what it has learned about the topic it
 * believes for minutes, so that the next transaction would fail, too.
 */
static void
note_lost(SqKafkaWriter *writer, const rd_kafka_message_t *message)
{
	bool refused = !is_of_transaction(message->err);

	writer->refused |= refused;
	if (writer->aborting)
		return;
	if (!refused)
		writer->purged = true;
	else if (writer->failure.sqlstate == 0)
		sq_kafka_error_write(&writer->failure, message->err,
							 rd_kafka_topic_name(message->rkt),
							 message->partition, NULL);
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	const SqKafkaClient *client = opaque;
	SqKafkaWriter *writer =
		(SqKafkaWriter *) ((char *) client->producer -
						   offsetof(SqKafkaWriter, producer));

	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		note_written(writer, message);
	else
		note_lost(writer, message);
}

/* ---- Making and closing ---- */

static void
free_topics(SqKafkaWriter *writer)
{
	for (int i = 0; i < writer->topic_count; i++)
	{
		rd_kafka_topic_destroy(writer->topics[i]->rkt);
		free(writer->topics[i]->name);
		free(writer->topics[i]->first);
		free(writer->topics[i]);
	}
	free(writer->topics);
	writer->topics = NULL;
	writer->topic_count = 0;
}

/* Nobody serves the main queue of a client that is given up, so no callback
 * comes to a writer that is gone. */
static void
disconnect(SqKafkaWriter *writer)
{
	rd_kafka_queue_t *queue;

	if (writer->client == NULL)
		return;
	queue = rd_kafka_queue_get_main(writer->client->rk);
	rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
	rd_kafka_queue_destroy(queue);
	free_topics(writer);
	sq_kafka_client_drop(writer->client);
	writer->client = NULL;
}

SqStatus
sq_kafka_writer_connect(SqKafkaWriter *writer, const SqKafkaConfig *config,
						SqError *error)
{
	SqKafkaClient *client =
		sq_kafka_client_create(config, &writer->producer, error);
	uint64 one = 1;
	rd_kafka_queue_t *queue;

	if (client == NULL)
		return SQ_ERROR;
	disconnect(writer);
	writer->client = client;
	writer->initialised = writer->in_transaction = writer->dead = false;
	writer->purged = writer->refused = false;
	sq_error_clear(&writer->failure);
	queue = rd_kafka_queue_get_main(client->rk);
	rd_kafka_queue_io_event_enable(queue, writer->fd, &one, sizeof(one));
	rd_kafka_queue_destroy(queue);
	return SQ_OK;
}

void
sq_kafka_writer_drop(SqKafkaWriter *writer)
{
	if (atomic_fetch_sub(&writer->references, 1) > 1)
		return;
	disconnect(writer);
	free((void *) writer->producer.transactional_id);
	free(writer->written);
	pthread_mutex_destroy(&writer->lock);
	if (writer->fd >= 0)
		close(writer->fd);
	free(writer);
}

/* A writer without a client; NULL and an error. */
static SqKafkaWriter *
make_shell(const char *transactional_id, SqError *error)
{
	SqKafkaWriter *writer = calloc(1, sizeof(SqKafkaWriter));

	if (writer == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	pthread_mutex_init(&writer->lock, NULL);
	atomic_init(&writer->references, 1);
	atomic_init(&writer->acknowledged, 0);
	writer->producer.delivered = delivered;
	writer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (transactional_id != NULL)
		writer->producer.transactional_id = strdup(transactional_id);
	if (writer->fd < 0)
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else if (transactional_id != NULL &&
			 writer->producer.transactional_id == NULL)
		sq_kafka_error_memory(error);
	else
		return writer;
	sq_kafka_writer_drop(writer);
	return NULL;
}

/* ---- The pool ---- */

static bool
same_id(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Close what no step of it is worth waiting for. */
static void
abandon(SqKafkaWriter *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->abandoned = true;
	pthread_mutex_unlock(&writer->lock);
	sq_kafka_writer_drop(writer);
}

static bool
is_dead(SqKafkaWriter *writer)
{
	bool dead;

	pthread_mutex_lock(&writer->lock);
	dead = writer->dead;
	pthread_mutex_unlock(&writer->lock);
	return dead;
}

/* Not to be kept when a writer like this is asked for: of two clients with one
 * transactional id the later one fences the other. */
static bool
is_stale(SqKafkaWriter *writer, const SqKafkaConfig *config,
		 const char *transactional_id)
{
	return is_dead(writer) ||
		   sq_kafka_now() - writer->idle_since > MAX_IDLE_MS ||
		   (transactional_id != NULL &&
			same_id(writer->producer.transactional_id, transactional_id) &&
			!sq_kafka_client_matches(writer->client, config));
}

/* Take an idle writer out of the pool, or NULL; close stale ones. */
static SqKafkaWriter *
take_idle(const SqKafkaConfig *config, const char *transactional_id)
{
	SqKafkaWriter **link = &idle;

	while (*link != NULL)
	{
		SqKafkaWriter *writer = *link;
		bool stale = is_stale(writer, config, transactional_id);

		if (!stale &&
			(!same_id(writer->producer.transactional_id, transactional_id) ||
			 !sq_kafka_client_matches(writer->client, config)))
		{
			link = &writer->next;
			continue;
		}
		*link = writer->next;
		writer->next = NULL;
		if (!stale)
			return writer;
		abandon(writer);
	}
	return NULL;
}

/* Close all but the first writers of the pool. */
static void
trim(int keep)
{
	SqKafkaWriter **link = &idle;
	SqKafkaWriter *writer;

	while (*link != NULL && keep-- > 0)
		link = &(*link)->next;
	writer = *link;
	*link = NULL;
	while (writer != NULL)
	{
		SqKafkaWriter *next = writer->next;

		abandon(writer);
		writer = next;
	}
}

void
sq_kafka_writer_forget(SqKafkaWriter *writer)
{
	for (int i = 0; i < writer->topic_count; i++)
	{
		writer->topics[i]->is_used = false;
		for (int p = 0; p < writer->topics[i]->first_count; p++)
			writer->topics[i]->first[p] = -1;
	}
}

/* Of a writer whose abort may still be under way, only what is the owner's. */
static void
start_again(SqKafkaWriter *writer)
{
	memset(&writer->stats, 0, sizeof(writer->stats));
	atomic_store(&writer->acknowledged, 0);
	if (sq_kafka_writer_is_busy(writer))
		return;
	writer->step = SQ_WRITER_IDLE;
	sq_kafka_writer_forget(writer);
}

SqKafkaWriter *
sq_kafka_writer_acquire(const SqKafkaConfig *config,
						const char *transactional_id, SqError *error)
{
	SqKafkaConfig sorted;
	SqKafkaWriter *writer;

	if (!sq_kafka_config_sort(config, &sorted))
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	writer = take_idle(&sorted, transactional_id);
	if (writer != NULL)
		start_again(writer);
	else
	{
		writer = make_shell(transactional_id, error);
		if (writer != NULL &&
			sq_kafka_writer_connect(writer, &sorted, error) != SQ_OK)
		{
			sq_kafka_writer_drop(writer);
			writer = NULL;
		}
	}
	free((void *) sorted.properties);
	return writer;
}

/* Is everything put acknowledged, and nothing open? */
static bool
is_clean(SqKafkaWriter *writer)
{
	return !writer->in_transaction && !writer->refused && !writer->purged &&
		   rd_kafka_outq_len(writer->client->rk) == 0 &&
		   sq_kafka_client_fault(writer->client, &(SqError){0}) == SQ_OK;
}

/* Is it worth to be kept? Has an open transaction aborted. */
static bool
settle(SqKafkaWriter *writer)
{
	bool busy = sq_kafka_writer_is_busy(writer);

	if (busy &&
		(writer->step == SQ_WRITER_COMMIT || writer->step == SQ_WRITER_INIT))
		return false;
	if (writer->producer.transactional_id != NULL &&
		(busy || writer->in_transaction))
	{
		sq_kafka_writer_abort_alone(writer);
		return true;
	}
	return !busy && is_clean(writer);
}

void
sq_kafka_writer_release(SqKafkaWriter *writer)
{
	if (!settle(writer))
	{
		abandon(writer);
		return;
	}
	writer->idle_since = sq_kafka_now();
	writer->next = idle;
	idle = writer;
	trim(MAX_IDLE);
}

void
sq_kafka_writer_close_idle(void)
{
	trim(0);
}

/* ---- Asking ---- */

SqStatus
sq_kafka_writer_check(SqKafkaWriter *writer, SqError *error)
{
	/* a step's thread serves the queue, and so the callbacks */
	if (sq_kafka_writer_is_busy(writer))
		return sq_kafka_client_fault(writer->client, error);
	return sq_kafka_client_check(writer->client, error);
}

const char *
sq_kafka_writer_complaint(SqKafkaWriter *writer)
{
	sq_kafka_client_last_complaint(writer->client, writer->client->told);
	return writer->client->told;
}

int
sq_kafka_writer_fd(const SqKafkaWriter *writer)
{
	return writer->fd;
}

const SqKafkaWriterStats *
sq_kafka_writer_stats(const SqKafkaWriter *writer)
{
	SqKafkaWriterStats *stats = (SqKafkaWriterStats *) &writer->stats;

	stats->acknowledged =
		atomic_load_explicit(&writer->acknowledged, memory_order_relaxed);
	return stats;
}

static int
list_written(const SqKafkaWriter *writer, SqKafkaWritten *written)
{
	int count = 0;

	for (int i = 0; i < writer->topic_count; i++)
	{
		const SqWriterTopic *topic = writer->topics[i];

		for (int p = 0; p < topic->first_count; p++)
		{
			if (topic->first[p] < 0)
				continue;
			if (written != NULL)
				written[count] =
					(SqKafkaWritten){topic->name, p, topic->first[p]};
			count++;
		}
	}
	return count;
}

const SqKafkaWritten *
sq_kafka_writer_written(SqKafkaWriter *writer, int *count)
{
	free(writer->written);
	*count = list_written(writer, NULL);
	writer->written = calloc(*count + 1, sizeof(SqKafkaWritten));
	*count =
		writer->written == NULL ? 0 : list_written(writer, writer->written);
	return writer->written;
}

/* ---- Putting ---- */

static SqWriterTopic *
make_topic(SqKafkaWriter *writer, const char *name)
{
	SqWriterTopic *topic = calloc(1, sizeof(SqWriterTopic));
	rd_kafka_topic_conf_t *conf;

	if (topic == NULL)
		return NULL;
	topic->name = strdup(name);
	conf = rd_kafka_default_topic_conf_dup(writer->client->rk);
	rd_kafka_topic_conf_set_opaque(conf, topic);
	topic->rkt = rd_kafka_topic_new(writer->client->rk, name, conf);
	if (topic->rkt == NULL)
		rd_kafka_topic_conf_destroy(conf);
	if (topic->name != NULL && topic->rkt != NULL)
		return topic;
	if (topic->rkt != NULL)
		rd_kafka_topic_destroy(topic->rkt);
	free(topic->name);
	free(topic);
	return NULL;
}

/* The topic, made at its first use; NULL without memory. */
static SqWriterTopic *
find_topic(SqKafkaWriter *writer, const char *name)
{
	SqWriterTopic **grown;
	SqWriterTopic *topic;

	for (int i = writer->topic_count - 1; i >= 0; i--)
		if (strcmp(writer->topics[i]->name, name) == 0)
			return writer->topics[i];
	grown = realloc(writer->topics,
					(writer->topic_count + 1) * sizeof(SqWriterTopic *));
	if (grown == NULL)
		return NULL;
	writer->topics = grown;
	topic = make_topic(writer, name);
	if (topic != NULL)
		grown[writer->topic_count++] = topic;
	return topic;
}

static rd_kafka_headers_t *
make_headers(const SqKafkaDraft *draft)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(draft->header_count);

	for (int i = 0; i < draft->header_count; i++)
		rd_kafka_header_add(headers, draft->headers[i].name, -1,
							draft->headers[i].value.data,
							draft->headers[i].value.length);
	return headers;
}

/* With headers or a time, which the simple call does not take. */
static rd_kafka_resp_err_t
produce_full(SqKafkaWriter *writer, SqWriterTopic *topic,
			 const SqKafkaDraft *draft)
{
	rd_kafka_headers_t *headers = make_headers(draft);
	rd_kafka_resp_err_t error = rd_kafka_producev(
		writer->client->rk, RD_KAFKA_V_RKT(topic->rkt),
		RD_KAFKA_V_PARTITION(draft->partition),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY(draft->key.data, draft->key.length),
		RD_KAFKA_V_VALUE((void *) draft->value.data, draft->value.length),
		RD_KAFKA_V_TIMESTAMP(draft->timestamp), RD_KAFKA_V_HEADERS(headers),
		RD_KAFKA_V_END);

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_headers_destroy(headers);
	return error;
}

static rd_kafka_resp_err_t
produce(SqKafkaWriter *writer, SqWriterTopic *topic, const SqKafkaDraft *draft)
{
	if (draft->header_count > 0 || draft->timestamp > 0)
		return produce_full(writer, topic, draft);
	if (rd_kafka_produce(topic->rkt, draft->partition, RD_KAFKA_MSG_F_COPY,
						 (void *) draft->value.data, draft->value.length,
						 draft->key.data, draft->key.length, NULL) == 0)
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	return rd_kafka_last_error();
}

int64
sq_kafka_draft_bytes(const SqKafkaDraft *draft)
{
	int64 bytes = draft->key.length + draft->value.length;

	for (int i = 0; i < draft->header_count; i++)
		bytes +=
			strlen(draft->headers[i].name) + draft->headers[i].value.length;
	return bytes;
}

/* Run the callbacks for what has come back. */
static void
serve(SqKafkaWriter *writer)
{
	writer->puts = 0;
	sq_kafka_writer_drain(writer);
	rd_kafka_poll(writer->client->rk, 0);
}

/* SQ_ERROR if the transaction, or an earlier record, has failed. */
static SqStatus
check_failure(SqKafkaWriter *writer, SqError *error)
{
	if (writer->failure.sqlstate != 0)
	{
		*error = writer->failure;
		return SQ_ERROR;
	}
	return writer->purged ? sq_kafka_writer_explain(writer, error) : SQ_OK;
}

SqStatus
sq_kafka_writer_put(SqKafkaWriter *writer, const char *topic_name,
					const SqKafkaDraft *draft, SqError *error)
{
	SqWriterTopic *topic = find_topic(writer, topic_name);
	rd_kafka_resp_err_t code;

	if (topic == NULL)
		return sq_kafka_error_memory(error);
	if (++writer->puts >= PUTS_BETWEEN_SERVES)
		serve(writer);
	code = produce(writer, topic, draft);
	if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
	{
		serve(writer);
		code = produce(writer, topic, draft);
	}
	if (check_failure(writer, error) != SQ_OK)
		return SQ_ERROR;
	switch (code)
	{
		case RD_KAFKA_RESP_ERR_NO_ERROR:
			topic->is_used = true;
			writer->stats.records++;
			writer->stats.bytes += sq_kafka_draft_bytes(draft);
			return SQ_OK;
		case RD_KAFKA_RESP_ERR__QUEUE_FULL:
			return SQ_WAIT;
		case RD_KAFKA_RESP_ERR__STATE:
		case RD_KAFKA_RESP_ERR__FATAL:
			return sq_kafka_writer_explain(writer, error);
		default:
			/* a larger record than the client takes harms nothing */
			writer->refused |= code != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
			return sq_kafka_error_write(error, code, topic_name,
										draft->partition, NULL);
	}
}
