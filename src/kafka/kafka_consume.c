/*
 * kafka_consume.c
 *		Reading ranges of a topic by librdkafka's simple consumer.
 *
 * All partitions feed one queue, which tells an eventfd when it stops being
 * empty. Each call takes a batch from it, keeps what lies in a range, and
 * hands that out as a record set. There is no consumer group: what is read
 * and when it ends is decided here alone.
 *
 * A partition's position (kafka_place.c) moves forward with records and with
 * the broker's word that the partition ends there. From one range to the next
 * of the same partition the reader reads on through a small gap and seeks over
 * a large one. A partition without ranges left is stopped, so that nothing of
 * it is fetched any more.
 *
 * Starting, seeking and stopping raise the version of the partition inside
 * librdkafka, which drops what was queued under an earlier one: records of one
 * assignment never come up in the next.
 *
 * Memory: malloc; owned by whoever opened the reader. Locks: none; the queue
 * is librdkafka's.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* Offsets that are cheaper to read through than to seek over: a seek costs a
 * round trip and what had been fetched ahead. */
#define SMALL_GAP 1000

typedef struct SqConsumer
{
	SqKafkaSource base; /* must be first */
	SqKafkaClient *client;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int fd;
	int max_records;
	bool dirty; /* a partition could not be stopped */
	SqKafkaPlaces places;
	int nstarted;
	bool *started;                 /* by partition: librdkafka fetches it */
	rd_kafka_message_t **messages; /* of the batch at hand */
	SqKafkaFlow flow;
} SqConsumer;

/* ---- Opening and closing ---- */

static bool
open_queue(SqConsumer *consumer)
{
	static const uint64 one = 1;

	consumer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (consumer->fd < 0)
		return false;
	consumer->queue = rd_kafka_queue_new(consumer->client->rk);
	rd_kafka_queue_io_event_enable(consumer->queue, consumer->fd, &one,
								   sizeof(one));
	return true;
}

static void
free_consumer(SqConsumer *consumer)
{
	if (consumer->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(consumer->queue);
	}
	if (consumer->topic != NULL)
		rd_kafka_topic_destroy(consumer->topic);
	if (consumer->fd >= 0)
		close(consumer->fd);
	free(consumer->messages);
	free(consumer->started);
	sq_kafka_places_free(&consumer->places);
	free(consumer);
}

static void
stop_partition(SqConsumer *consumer, int partition)
{
	if (!consumer->started[partition])
		return;
	consumer->started[partition] = false;
	/* Waits for librdkafka's main thread, not for a broker. */
	if (rd_kafka_consume_stop(consumer->topic, partition) != 0)
		consumer->dirty = true;
}

static bool
close_consumer(SqKafkaSource *base)
{
	SqConsumer *consumer = (SqConsumer *) base;
	bool clean;

	for (int i = 0; i < consumer->nstarted; i++)
		stop_partition(consumer, i);
	clean = !consumer->dirty;
	free_consumer(consumer);
	return clean;
}

static int
consumer_fd(const SqKafkaSource *base)
{
	return ((const SqConsumer *) base)->fd;
}

/* ---- Ranges ---- */

/* Fetch the partition from this offset on, whatever it did before. */
static SqStatus
fetch_from(SqConsumer *consumer, int partition, int64 offset, SqError *error)
{
	int code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (consumer->started[partition])
		code = rd_kafka_seek(consumer->topic, partition, offset, 0);
	else if (rd_kafka_consume_start_queue(consumer->topic, partition, offset,
										  consumer->queue) != 0)
		code = rd_kafka_last_error();
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return sq_kafka_error_topic(error, code,
									rd_kafka_topic_name(consumer->topic), NULL);
	consumer->started[partition] = true;
	return SQ_OK;
}

/* Know of as many partitions as there are places. */
static bool
make_started(SqConsumer *consumer)
{
	int count = consumer->places.count;
	bool *started;

	if (count <= consumer->nstarted)
		return true;
	started = realloc(consumer->started, count * sizeof(bool));
	if (started == NULL)
		return false;
	memset(started + consumer->nstarted, 0,
		   (count - consumer->nstarted) * sizeof(bool));
	consumer->started = started;
	consumer->nstarted = count;
	return true;
}

static SqStatus
assign(SqKafkaSource *base, const SqKafkaRange *ranges, int count,
	   SqError *error)
{
	SqConsumer *consumer = (SqConsumer *) base;

	if (sq_kafka_places_assign(&consumer->places, ranges, count, error) !=
		SQ_OK)
		return SQ_ERROR;
	if (!make_started(consumer))
		return sq_kafka_error_memory(error);
	for (int i = 0; i < consumer->places.count; i++)
	{
		const SqKafkaPlace *place = &consumer->places.places[i];

		if (place->range == NULL)
			stop_partition(consumer, i);
		else if (fetch_from(consumer, i, place->position, error) != SQ_OK)
			return SQ_ERROR;
	}
	sq_kafka_flow_restart(&consumer->flow);
	return SQ_OK;
}

/* Everything before this offset is done with: go to the next range when the
 * one at hand ends there, stop after the last. */
static SqStatus
advance(SqConsumer *consumer, SqKafkaPlace *place, int64 position,
		SqError *error)
{
	if (likely(!sq_kafka_place_advance(&consumer->places, place, position)))
		return SQ_OK;
	if (place->range == NULL)
		stop_partition(consumer, place->id);
	else if (place->range->begin > position + SMALL_GAP)
		return fetch_from(consumer, place->id, place->range->begin, error);
	return SQ_OK;
}

/* ---- Messages ---- */

/* A message that is no record: the end of a partition, or trouble. */
static SqStatus
take_error(SqConsumer *consumer, const rd_kafka_message_t *message,
		   SqKafkaPlace *place, SqError *error)
{
	const char *topic = rd_kafka_topic_name(consumer->topic);

	switch (message->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			if (message->offset <= place->position)
				return SQ_OK;
			return advance(consumer, place, message->offset, error);
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__NO_OFFSET:
			return sq_kafka_error_deleted(error, topic, place);
		default:
			if (sq_kafka_error_is_transient(message->err))
				return SQ_OK;
			return sq_kafka_error_topic(error, message->err, topic,
										rd_kafka_message_errstr(message));
	}
}

/* Put the message into the set, or drop it. */
static SqStatus
take_message(SqConsumer *consumer, rd_kafka_message_t *message,
			 SqKafkaMessageSet *set, SqError *error)
{
	SqKafkaPlace *place = &consumer->places.places[message->partition];
	int64 offset = message->offset;
	SqStatus status = SQ_OK;

	if (unlikely(place->range == NULL))
		status = SQ_OK;
	else if (unlikely(message->err != RD_KAFKA_RESP_ERR_NO_ERROR))
		status = take_error(consumer, message, place, error);
	else if (likely(offset >= place->position))
	{
		status = advance(consumer, place, offset, error);
		if (likely(place->range != NULL && offset >= place->range->begin))
		{
			sq_kafka_set_add(set, message);
			if (status == SQ_OK)
				status = advance(consumer, place, offset + 1, error);
			return status;
		}
	}
	rd_kafka_message_destroy(message);
	return status;
}

/* Is the message of a partition that was assigned? librdkafka's general
 * errors are of none. */
static bool
is_ours(const SqConsumer *consumer, const rd_kafka_message_t *message)
{
	return message->partition >= 0 &&
		   message->partition < consumer->places.count;
}

/* Sort a batch into the set; on an error the rest of it is freed. */
static SqStatus
take_batch(SqConsumer *consumer, int count, SqKafkaMessageSet *set,
		   SqError *error)
{
	SqStatus status = SQ_OK;

	for (int i = 0; i < count; i++)
	{
		rd_kafka_message_t *message = consumer->messages[i];

		if (likely(status == SQ_OK && is_ours(consumer, message)))
			status = take_message(consumer, message, set, error);
		else
			rd_kafka_message_destroy(message);
	}
	return status;
}

/* Messages that are there now into consumer->messages; their number. */
static int
poll_queue(SqConsumer *consumer)
{
	uint64 drained;
	ssize_t count = rd_kafka_consume_batch_queue(
		consumer->queue, 0, consumer->messages, consumer->max_records);

	if (count > 0)
		return (int) count;
	/* Empty: only what comes after this may make the descriptor readable. */
	if (read(consumer->fd, &drained, sizeof(drained)) < 0)
		return 0;
	count = rd_kafka_consume_batch_queue(consumer->queue, 0, consumer->messages,
										 consumer->max_records);
	return (int) Max(count, 0);
}

/* Send a request to every broker that leads an unfinished partition, which
 * wakes its thread; the answer is dropped when it comes. A timeout of zero
 * makes this return at once (rd_kafka_query_watermark_offsets would wait). */
static void
wake_brokers(SqConsumer *consumer)
{
	const char *topic = rd_kafka_topic_name(consumer->topic);
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(consumer->places.unfinished);

	for (int i = 0; i < consumer->places.count; i++)
		if (consumer->places.places[i].range != NULL)
			rd_kafka_topic_partition_list_add(list, topic, i)->offset =
				RD_KAFKA_OFFSET_END;
	rd_kafka_offsets_for_times(consumer->client->rk, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Fill the set from the queue until it has a record: SQ_OK, SQ_WAIT, SQ_DONE
 * or SQ_ERROR. */
static SqStatus
fill_set(SqConsumer *consumer, SqKafkaMessageSet *set, SqError *error)
{
	while (consumer->places.unfinished > 0)
	{
		int count = poll_queue(consumer);

		if (sq_kafka_flow_observe(
				&consumer->flow, rd_kafka_queue_length(consumer->queue), count))
			wake_brokers(consumer);
		if (count == 0)
			return SQ_WAIT;
		if (take_batch(consumer, count, set, error) != SQ_OK)
			return SQ_ERROR;
		if (set->base.base.count > 0)
			return SQ_OK;
	}
	return SQ_DONE;
}

static SqStatus
next(SqKafkaSource *base, SqRecordSet **set, SqError *error)
{
	SqConsumer *consumer = (SqConsumer *) base;
	SqKafkaMessageSet *filled;
	SqStatus status;

	if (consumer->places.unfinished == 0)
		return SQ_DONE;
	filled = sq_kafka_set_take(consumer->client, consumer->max_records);
	if (filled == NULL)
		return sq_kafka_error_memory(error);
	status = fill_set(consumer, filled, error);
	if (status != SQ_OK)
	{
		sq_kafka_set_release(&filled->base.base);
		return status;
	}
	sq_kafka_flow_learn(&consumer->flow, &filled->base.base);
	*set = &filled->base.base;
	return SQ_OK;
}

/* ---- Progress ---- */

static int
progress(const SqKafkaSource *base, SqKafkaProgress *progress, int max)
{
	const SqConsumer *consumer = (const SqConsumer *) base;
	const char *topic = rd_kafka_topic_name(consumer->topic);
	int count = 0;

	for (int i = 0; i < consumer->places.count && count < max; i++)
	{
		const SqKafkaPlace *place = &consumer->places.places[i];
		int64_t low;
		int64_t high;

		if (place->range == NULL)
			continue;
		/* what librdkafka remembers of its last fetch; under read_committed
		 * high is the last stable offset */
		if (rd_kafka_get_watermark_offsets(consumer->client->rk, topic, i, &low,
										   &high) !=
				RD_KAFKA_RESP_ERR_NO_ERROR ||
			high < 0)
			high = -1;
		progress[count++] = (SqKafkaProgress){i, place->position, (int64) high};
	}
	return count;
}

/* ---- Creation ---- */

static const SqKafkaSourceOps ops = {assign, next, consumer_fd, progress,
									 close_consumer};

SqKafkaSource *
sq_kafka_consume_open(SqKafkaClient *client, const char *topic, int max_records,
					  SqError *error)
{
	SqConsumer *consumer = calloc(1, sizeof(SqConsumer));

	if (consumer == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	consumer->base.ops = &ops;
	consumer->client = client;
	consumer->max_records = max_records;
	consumer->fd = -1;
	sq_kafka_flow_init(&consumer->flow, client);
	consumer->messages = calloc(max_records, sizeof(rd_kafka_message_t *));
	if (consumer->messages == NULL)
		sq_kafka_error_memory(error);
	else if ((consumer->topic = rd_kafka_topic_new(client->rk, topic, NULL)) ==
			 NULL)
		sq_kafka_error_topic(error, rd_kafka_last_error(), topic, NULL);
	else if (!open_queue(consumer))
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else
		return &consumer->base;
	free_consumer(consumer);
	return NULL;
}
