/*
 * kafka_reader.c
 *		Reading ranges of a topic by librdkafka's simple consumer.
 *
 * All partitions feed one queue, which tells an eventfd when it stops being
 * empty. Each call takes a batch from it, keeps what lies in a range, and
 * hands that out as a record set. There is no consumer group: what is read
 * and when it ends is decided here alone.
 *
 * A partition has a position: the next offset that nothing is known about. It
 * moves forward with records and with the broker's word that the partition
 * ends there. Ranges that end at or before it are finished; what comes from
 * before it is dropped, so that a record is never handed out twice, however
 * the fetches overlap. From one range to the next of the same partition the
 * reader reads on through a small gap and seeks over a large one. A partition
 * without ranges left is stopped, so that nothing of it is fetched any more.
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

typedef struct SqPartition
{
	int32 id;
	bool started;                   /* librdkafka fetches it */
	int64 position;                 /* what is before it is done with */
	const SqKafkaRange *range;      /* the one being read, or NULL */
	const SqKafkaRange *ranges_end; /* behind the last one of the partition */
} SqPartition;

struct SqKafkaReader
{
	SqKafkaClient *client;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	int fd;
	int max_records;
	bool dirty; /* a partition could not be stopped */

	SqKafkaRange *ranges;
	SqPartition *partitions; /* by number */
	int partition_count;
	int unfinished; /* partitions with ranges left */

	rd_kafka_message_t **messages; /* of the batch at hand */
	SqKafkaFlow flow;
	SqKafkaReaderStats stats;
};

/* ---- Opening and closing ---- */

static bool
open_queue(SqKafkaReader *reader)
{
	static const uint64 one = 1;

	reader->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reader->fd < 0)
		return false;
	reader->queue = rd_kafka_queue_new(reader->client->rk);
	rd_kafka_queue_io_event_enable(reader->queue, reader->fd, &one,
								   sizeof(one));
	return true;
}

static void
free_reader(SqKafkaReader *reader)
{
	if (reader->queue != NULL)
	{
		rd_kafka_queue_io_event_enable(reader->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(reader->queue);
	}
	if (reader->topic != NULL)
		rd_kafka_topic_destroy(reader->topic);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->messages);
	free(reader->ranges);
	free(reader->partitions);
	free(reader);
}

SqKafkaReader *
sq_kafka_reader_open(SqKafkaClient *client, const char *topic, int max_records,
					 SqError *error)
{
	SqKafkaReader *reader = calloc(1, sizeof(SqKafkaReader));

	if (reader == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	reader->client = client;
	reader->max_records = max_records;
	reader->fd = -1;
	sq_kafka_flow_init(&reader->flow, client);
	reader->messages = calloc(max_records, sizeof(rd_kafka_message_t *));
	if (reader->messages == NULL)
		sq_kafka_error_memory(error);
	else if ((reader->topic = rd_kafka_topic_new(client->rk, topic, NULL)) ==
			 NULL)
		sq_kafka_error_topic(error, rd_kafka_last_error(), topic, NULL);
	else if (!open_queue(reader))
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else
		return reader;
	free_reader(reader);
	return NULL;
}

static void
stop_partition(SqKafkaReader *reader, SqPartition *partition)
{
	if (!partition->started)
		return;
	partition->started = false;
	/* Waits for librdkafka's main thread, not for a broker. */
	if (rd_kafka_consume_stop(reader->topic, partition->id) != 0)
		reader->dirty = true;
}

bool
sq_kafka_reader_close(SqKafkaReader *reader)
{
	bool clean;

	for (int i = 0; i < reader->partition_count; i++)
		stop_partition(reader, &reader->partitions[i]);
	clean = !reader->dirty;
	free_reader(reader);
	return clean;
}

int
sq_kafka_reader_fd(const SqKafkaReader *reader)
{
	return reader->fd;
}

const SqKafkaReaderStats *
sq_kafka_reader_stats(const SqKafkaReader *reader)
{
	return &reader->stats;
}

/* ---- Ranges ---- */

/* Fetch the partition from this offset on, whatever it did before. */
static SqStatus
fetch_from(SqKafkaReader *reader, SqPartition *partition, int64 offset,
		   SqError *error)
{
	int code = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (partition->started)
		code = rd_kafka_seek(reader->topic, partition->id, offset, 0);
	else if (rd_kafka_consume_start_queue(reader->topic, partition->id, offset,
										  reader->queue) != 0)
		code = rd_kafka_last_error();
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return sq_kafka_error_topic(error, code,
									rd_kafka_topic_name(reader->topic), NULL);
	partition->started = true;
	return SQ_OK;
}

/* Have room for partitions up to this number. */
static bool
make_partitions(SqKafkaReader *reader, int count)
{
	SqPartition *partitions;

	if (count <= reader->partition_count)
		return true;
	partitions = realloc(reader->partitions, count * sizeof(SqPartition));
	if (partitions == NULL)
		return false;
	memset(partitions + reader->partition_count, 0,
		   (count - reader->partition_count) * sizeof(SqPartition));
	for (int i = reader->partition_count; i < count; i++)
		partitions[i].id = i;
	reader->partitions = partitions;
	reader->partition_count = count;
	return true;
}

/* Take a copy of the ranges and give each partition its part. */
static SqStatus
take_ranges(SqKafkaReader *reader, const SqKafkaRange *ranges, int count,
			SqError *error)
{
	SqKafkaRange *copy;

	for (int i = 0; i < reader->partition_count; i++)
		reader->partitions[i].range = NULL;
	reader->unfinished = 0;
	if (count == 0)
		return SQ_OK;
	copy = realloc(reader->ranges, count * sizeof(SqKafkaRange));
	if (copy == NULL)
		return sq_kafka_error_memory(error);
	reader->ranges = copy;
	memcpy(copy, ranges, count * sizeof(SqKafkaRange));
	if (!make_partitions(reader, copy[count - 1].partition + 1))
		return sq_kafka_error_memory(error);
	for (int i = 0; i < count; i++)
	{
		SqPartition *partition = &reader->partitions[copy[i].partition];

		if (partition->range == NULL)
		{
			partition->range = &copy[i];
			reader->unfinished++;
		}
		partition->ranges_end = &copy[i + 1];
	}
	return SQ_OK;
}

SqStatus
sq_kafka_reader_assign(SqKafkaReader *reader, const SqKafkaRange *ranges,
					   int count, SqError *error)
{
	if (take_ranges(reader, ranges, count, error) != SQ_OK)
		return SQ_ERROR;
	for (int i = 0; i < reader->partition_count; i++)
	{
		SqPartition *partition = &reader->partitions[i];

		if (partition->range == NULL)
		{
			stop_partition(reader, partition);
			continue;
		}
		partition->position = partition->range->begin;
		if (fetch_from(reader, partition, partition->position, error) != SQ_OK)
			return SQ_ERROR;
	}
	sq_kafka_flow_restart(&reader->flow);
	return SQ_OK;
}

/* Everything before this offset is done with: go to the next range when the
 * one at hand ends there, stop after the last. */
static SqStatus
advance(SqKafkaReader *reader, SqPartition *partition, int64 position,
		SqError *error)
{
	const SqKafkaRange *range = partition->range;

	partition->position = position;
	if (likely(position < range->end))
		return SQ_OK;
	while (range < partition->ranges_end && range->end <= position)
		range++;
	if (range == partition->ranges_end)
	{
		partition->range = NULL;
		reader->unfinished--;
		stop_partition(reader, partition);
		return SQ_OK;
	}
	partition->range = range;
	if (range->begin > position + SMALL_GAP)
		return fetch_from(reader, partition, range->begin, error);
	return SQ_OK;
}

/* ---- Messages ---- */

/* A message that is no record: the end of a partition, or trouble. */
static SqStatus
take_error(SqKafkaReader *reader, const rd_kafka_message_t *message,
		   SqPartition *partition, SqError *error)
{
	const char *topic = rd_kafka_topic_name(reader->topic);

	switch (message->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			if (message->offset <= partition->position)
				return SQ_OK;
			return advance(reader, partition, message->offset, error);
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		case RD_KAFKA_RESP_ERR__NO_OFFSET:
			sq_error_set(error, ERRCODE_FDW_ERROR,
						 "records of topic \"%s\", partition %d from offset "
						 "%lld on are no longer there",
						 topic, partition->id, (long long) partition->position);
			sq_error_detail(error, "Retention or deletion of the topic removed "
								   "them after the scan had started.");
			return SQ_ERROR;
		default:
			if (sq_kafka_error_is_transient(message->err))
				return SQ_OK;
			return sq_kafka_error_topic(error, message->err, topic,
										rd_kafka_message_errstr(message));
	}
}

/* Put the message into the set, or drop it. */
static SqStatus
take_message(SqKafkaReader *reader, rd_kafka_message_t *message,
			 SqKafkaSet *set, SqError *error)
{
	SqPartition *partition = &reader->partitions[message->partition];
	int64 offset = message->offset;
	SqStatus status = SQ_OK;

	if (unlikely(partition->range == NULL))
		status = SQ_OK;
	else if (unlikely(message->err != RD_KAFKA_RESP_ERR_NO_ERROR))
		status = take_error(reader, message, partition, error);
	else if (likely(offset >= partition->position))
	{
		status = advance(reader, partition, offset, error);
		if (likely(partition->range != NULL &&
				   offset >= partition->range->begin))
		{
			sq_kafka_set_add(set, message);
			if (status == SQ_OK)
				status = advance(reader, partition, offset + 1, error);
			return status;
		}
	}
	rd_kafka_message_destroy(message);
	return status;
}

/* Is the message of a partition that was assigned? librdkafka's general
 * errors are of none. */
static bool
is_ours(const SqKafkaReader *reader, const rd_kafka_message_t *message)
{
	return message->partition >= 0 &&
		   message->partition < reader->partition_count;
}

/* Sort a batch into the set; on an error the rest of it is freed. */
static SqStatus
take_batch(SqKafkaReader *reader, int count, SqKafkaSet *set, SqError *error)
{
	SqStatus status = SQ_OK;

	for (int i = 0; i < count; i++)
	{
		rd_kafka_message_t *message = reader->messages[i];

		if (likely(status == SQ_OK && is_ours(reader, message)))
			status = take_message(reader, message, set, error);
		else
			rd_kafka_message_destroy(message);
	}
	return status;
}

/* Messages that are there now into reader->messages; their number. */
static int
poll_queue(SqKafkaReader *reader)
{
	uint64 drained;
	ssize_t count = rd_kafka_consume_batch_queue(
		reader->queue, 0, reader->messages, reader->max_records);

	if (count > 0)
		return (int) count;
	/* Empty: only what comes after this may make the descriptor readable. */
	if (read(reader->fd, &drained, sizeof(drained)) < 0)
		return 0;
	count = rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages,
										 reader->max_records);
	return (int) Max(count, 0);
}

/* Send a request to every broker that leads an unfinished partition, which
 * wakes its thread; the answer is dropped when it comes. A timeout of zero
 * makes this return at once (rd_kafka_query_watermark_offsets would wait). */
static void
wake_brokers(SqKafkaReader *reader)
{
	const char *topic = rd_kafka_topic_name(reader->topic);
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(reader->unfinished);

	for (int i = 0; i < reader->partition_count; i++)
		if (reader->partitions[i].range != NULL)
			rd_kafka_topic_partition_list_add(list, topic, i)->offset =
				RD_KAFKA_OFFSET_END;
	rd_kafka_offsets_for_times(reader->client->rk, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Fill the set from the queue until it has a record: SQ_OK, SQ_WAIT, SQ_DONE
 * or SQ_ERROR. */
static SqStatus
fill_set(SqKafkaReader *reader, SqKafkaSet *set, SqError *error)
{
	while (reader->unfinished > 0)
	{
		int count = poll_queue(reader);

		if (sq_kafka_flow_observe(&reader->flow,
								  rd_kafka_queue_length(reader->queue), count))
			wake_brokers(reader);
		if (count == 0)
			return SQ_WAIT;
		if (take_batch(reader, count, set, error) != SQ_OK)
			return SQ_ERROR;
		if (set->base.count > 0)
			return SQ_OK;
	}
	return SQ_DONE;
}

SqStatus
sq_kafka_reader_next(SqKafkaReader *reader, SqRecordSet **set, SqError *error)
{
	SqKafkaSet *filled;
	SqStatus status;

	*set = NULL;
	if (reader->unfinished == 0)
		return SQ_DONE;
	filled = sq_kafka_set_take(reader->client, reader->max_records);
	if (filled == NULL)
		return sq_kafka_error_memory(error);
	status = fill_set(reader, filled, error);
	if (status != SQ_OK)
	{
		reader->stats.waits += status == SQ_WAIT;
		sq_kafka_set_release(&filled->base);
		return status;
	}
	sq_kafka_flow_learn(&reader->flow, &filled->base);
	reader->stats.messages += filled->base.count;
	reader->stats.bytes += filled->base.bytes;
	*set = &filled->base;
	return SQ_OK;
}

/* ---- Progress ---- */

int
sq_kafka_reader_progress(const SqKafkaReader *reader, SqKafkaProgress *progress,
						 int max)
{
	const char *topic = rd_kafka_topic_name(reader->topic);
	int count = 0;

	for (int i = 0; i < reader->partition_count && count < max; i++)
	{
		const SqPartition *partition = &reader->partitions[i];
		int64_t low;
		int64_t high;

		if (partition->range == NULL)
			continue;
		/* what librdkafka remembers of its last fetch; under read_committed
		 * high is the last stable offset */
		if (rd_kafka_get_watermark_offsets(reader->client->rk, topic, i, &low,
										   &high) !=
				RD_KAFKA_RESP_ERR_NO_ERROR ||
			high < 0)
			high = -1;
		progress[count++] =
			(SqKafkaProgress){i, partition->position, (int64) high};
	}
	return count;
}
