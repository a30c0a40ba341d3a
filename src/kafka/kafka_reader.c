/*
 * kafka_reader.c
 *		The reader over librdkafka's simple consumer.
 *
 * Every partition is consumed into one queue, which is emptied without waiting;
 * an eventfd tells when there is something in it. No group is joined and no
 * offset is committed. A partition's consumer is stopped as soon as its last
 * range is read, so that partitions that are done cost nothing.
 *
 * When a range ends, the next range of its partition starts by a seek, unless
 * the gap is small, which is read over. Messages fetched before a seek or an
 * assignment are dropped: within a batch by us, in the queue by librdkafka,
 * which marks each message with the version of the fetch it belongs to.
 *
 * Flow control: librdkafka before 2.2 has a trap. A consumer slower than its
 * broker thread lets the queue grow to queued.min.messages; the thread then
 * sleeps up to a second and is not woken when the queue drains. Any request to
 * that broker does wake it, so one is sent (kafka_call.c) when the queue has
 * fallen below half of the limit and nothing came since the last look.
 *
 * Memory: malloc. Locks: none; main thread only.
 */
#include "kafka/kafka_internal.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* Gaps between ranges up to this many records are read over. */
#define SMALL_GAP 2000

/* A partition and its ranges. */
typedef struct SqPartition
{
	int32 id;
	const SqKafkaRange *range; /* the current one */
	int nranges;               /* from the current one on; 0: done */
	bool running;              /* its consumer is started */
	bool seeks;                /* starts its range after this batch */
} SqPartition;

struct SqKafkaReader
{
	SqKafkaClient *client;
	char *name; /* of the topic */
	int max_records;
	int fd;
	rd_kafka_queue_t *queue; /* of the current assignment */
	rd_kafka_message_t **messages;
	SqKafkaRange *ranges;
	SqPartition *partitions; /* ordered by id */
	int npartitions;
	int nactive;        /* partitions that are not done */
	int64 queue_length; /* after the last batch */
	SqKafkaReaderStats stats;
};

/* ---- Opening and closing ---- */

/* The client's handle of a topic; the last one is kept. */
static rd_kafka_topic_t *
client_topic(SqKafkaClient *client, const char *name)
{
	if (client->topic != NULL &&
		strcmp(rd_kafka_topic_name(client->topic), name) == 0)
		return client->topic;
	if (client->topic != NULL)
		rd_kafka_topic_destroy(client->topic);
	client->topic = rd_kafka_topic_new(client->link->rk, name, NULL);
	return client->topic;
}

SqKafkaReader *
sq_kafka_reader_open(SqKafkaClient *client, const char *topic, int max_records,
					 SqError *error)
{
	SqKafkaReader *reader;
	int fd;

	if (client_topic(client, topic) == NULL)
	{
		sq_error_set(error, ERRCODE_INVALID_NAME,
					 "topic \"%s\" can not be read", topic);
		return NULL;
	}
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
	{
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not create an event descriptor: %m");
		return NULL;
	}
	reader = calloc(1, sizeof(SqKafkaReader));
	reader->client = client;
	reader->name = strdup(topic);
	reader->max_records = max_records;
	reader->fd = fd;
	reader->messages = malloc(max_records * sizeof(rd_kafka_message_t *));
	return reader;
}

static void
stop_partition(SqKafkaReader *reader, SqPartition *partition)
{
	if (partition->running)
		rd_kafka_consume_stop(reader->client->topic, partition->id);
	partition->running = false;
}

/* Stop whatever is being read, and forget what came of it. */
static void
stop_all(SqKafkaReader *reader)
{
	for (int p = 0; p < reader->npartitions; p++)
		stop_partition(reader, &reader->partitions[p]);
	if (reader->queue != NULL)
		rd_kafka_queue_destroy(reader->queue);
	reader->queue = NULL;
	free(reader->ranges);
	free(reader->partitions);
	reader->ranges = NULL;
	reader->partitions = NULL;
	reader->npartitions = reader->nactive = 0;
}

bool
sq_kafka_reader_close(SqKafkaReader *reader)
{
	stop_all(reader);
	close(reader->fd);
	free(reader->messages);
	free(reader->name);
	free(reader);
	return true;
}

/* ---- Assigning ---- */

static SqStatus
start_partition(SqKafkaReader *reader, SqPartition *partition, SqError *error)
{
	stop_partition(reader, partition);
	partition->seeks = false;
	if (rd_kafka_consume_start_queue(reader->client->topic, partition->id,
									 partition->range->begin,
									 reader->queue) == 0)
	{
		partition->running = true;
		return SQ_OK;
	}
	sq_error_set(error, ERRCODE_CONNECTION_FAILURE,
				 "could not read topic \"%s\", partition %d", reader->name,
				 partition->id);
	sq_error_detail(error, "%s.", rd_kafka_err2str(rd_kafka_last_error()));
	return SQ_ERROR;
}

/* Group the ranges by partition. */
static void
group_ranges(SqKafkaReader *reader, int count)
{
	reader->partitions = calloc(count, sizeof(SqPartition));
	for (int i = 0; i < count; i++)
	{
		const SqKafkaRange *range = &reader->ranges[i];

		if (i == 0 || range[-1].partition != range->partition)
			reader->partitions[reader->npartitions++] =
				(SqPartition){.id = range->partition, .range = range};
		reader->partitions[reader->npartitions - 1].nranges++;
	}
	reader->nactive = reader->npartitions;
}

SqStatus
sq_kafka_reader_assign(SqKafkaReader *reader, const SqKafkaRange *ranges,
					   int count, SqError *error)
{
	static const uint64 one = 1;

	stop_all(reader);
	if (count == 0)
		return SQ_OK;
	reader->ranges = malloc(count * sizeof(SqKafkaRange));
	memcpy(reader->ranges, ranges, count * sizeof(SqKafkaRange));
	group_ranges(reader, count);
	reader->queue = rd_kafka_queue_new(reader->client->link->rk);
	rd_kafka_queue_io_event_enable(reader->queue, reader->fd, &one,
								   sizeof(one));
	reader->queue_length = 0;
	for (int p = 0; p < reader->npartitions; p++)
		if (start_partition(reader, &reader->partitions[p], error) != SQ_OK)
			return SQ_ERROR;
	return SQ_OK;
}

/* ---- Reading ---- */

static SqPartition *
find_partition(SqKafkaReader *reader, int32 id)
{
	int low = 0, high = reader->npartitions - 1;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (reader->partitions[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return &reader->partitions[low];
}

/* The current range was read to its end: on to the next. */
static void
next_range(SqKafkaReader *reader, SqPartition *partition)
{
	const SqKafkaRange *ended = partition->range++;

	if (--partition->nranges == 0)
		reader->nactive--;
	else if (partition->range->begin - ended->end > SMALL_GAP)
		partition->seeks = true;
}

/* Does a record belong to what is being read? Moves on where a range ends. */
static bool
accept_record(SqKafkaReader *reader, SqPartition *partition, int64 offset)
{
	bool accepted = false;

	while (partition->nranges > 0 && !partition->seeks && !accepted)
	{
		if (offset < partition->range->begin)
			return false;
		accepted = offset < partition->range->end;
		if (offset >= partition->range->end - 1)
			next_range(reader, partition);
	}
	return accepted;
}

static SqStatus
reading_error(SqKafkaReader *reader, const rd_kafka_message_t *message,
			  SqError *error)
{
	SqPartition *partition = find_partition(reader, message->partition);

	if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
		message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
	{
		sq_error_set(error, ERRCODE_SNAPSHOT_TOO_OLD,
					 "records of topic \"%s\", partition %d, from offset %lld "
					 "on are no longer there",
					 reader->name, message->partition,
					 (long long) partition->range->begin);
		sq_error_hint(error, "They were deleted after the statement had "
							 "started. Run it again.");
		return SQ_ERROR;
	}
	sq_error_set(error, sq_kafka_sqlstate(message->err),
				 "could not read topic \"%s\", partition %d", reader->name,
				 message->partition);
	sq_error_detail(error, "%s.", rd_kafka_message_errstr(message));
	return SQ_ERROR;
}

/* A message that is not a record: an end, a trouble that passes, an error. */
static SqStatus
handle_event(SqKafkaReader *reader, const rd_kafka_message_t *message,
			 SqError *error)
{
	SqPartition *partition = find_partition(reader, message->partition);
	int sqlstate;

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
	{
		while (partition->nranges > 0 && !partition->seeks &&
			   message->offset >= partition->range->end)
			next_range(reader, partition);
		return SQ_OK;
	}
	if (partition->nranges == 0 || partition->seeks)
		return SQ_OK;
	sqlstate = sq_kafka_sqlstate(message->err);
	if (sqlstate == ERRCODE_CONNECTION_FAILURE &&
		message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET &&
		message->err != RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
	{
		sq_kafka_link_complain(reader->client->link,
							   rd_kafka_message_errstr(message));
		return SQ_OK;
	}
	return reading_error(reader, message, error);
}

/* Sort out a batch of messages into a set; all of them end here. */
static SqStatus
take_messages(SqKafkaReader *reader, int count, SqRecordSet *set,
			  SqError *error)
{
	SqStatus status = SQ_OK;

	for (int i = 0; i < count; i++)
	{
		rd_kafka_message_t *message = reader->messages[i];

		if (likely(message->err == RD_KAFKA_RESP_ERR_NO_ERROR))
		{
			if (accept_record(reader,
							  find_partition(reader, message->partition),
							  message->offset))
			{
				sq_kafka_set_add(set, message);
				continue;
			}
		}
		else if (status == SQ_OK)
			status = handle_event(reader, message, error);
		rd_kafka_message_destroy(message);
	}
	return status;
}

/* Stop partitions that are done; seek where the next range is far away. */
static SqStatus
move_partitions(SqKafkaReader *reader, SqError *error)
{
	for (int p = 0; p < reader->npartitions; p++)
	{
		SqPartition *partition = &reader->partitions[p];

		if (partition->nranges == 0)
			stop_partition(reader, partition);
		else if (partition->seeks &&
				 start_partition(reader, partition, error) != SQ_OK)
			return SQ_ERROR;
	}
	return SQ_OK;
}

/* See «Flow control» above. */
static void
wake_broker(SqKafkaReader *reader, int taken)
{
	int64 length;

	if (!reader->client->needs_wake || reader->nactive == 0)
		return;
	length = (int64) rd_kafka_queue_length(reader->queue);
	if (length < reader->client->queue_limit / 2 &&
		length + taken <= reader->queue_length)
		for (int p = 0; p < reader->npartitions; p++)
			if (reader->partitions[p].running)
			{
				sq_kafka_call_wake(reader->client->link, reader->name,
								   reader->partitions[p].id);
				break;
			}
	reader->queue_length = length;
}

/* One batch from the queue: its number of messages, or 0. */
static int
pop_messages(SqKafkaReader *reader)
{
	uint64 events;
	ssize_t count;

	if (read(reader->fd, &events, sizeof(events)) < 0)
		events = 0; /* nothing new was signalled: there may still be some */
	count = rd_kafka_consume_batch_queue(reader->queue, 0, reader->messages,
										 reader->max_records);
	return (int) Max(count, 0);
}

SqStatus
sq_kafka_reader_next(SqKafkaReader *reader, SqRecordSet **result,
					 SqError *error)
{
	while (reader->nactive > 0)
	{
		SqRecordSet *set;
		int active = reader->nactive;
		int count = pop_messages(reader);
		SqStatus status;

		if (count == 0)
		{
			reader->stats.waits++;
			return SQ_WAIT;
		}
		set = sq_kafka_set_create(reader->client, reader->max_records);
		status = take_messages(reader, count, set, error);
		if (status == SQ_OK)
			status = move_partitions(reader, error);
		if (status == SQ_OK && active == reader->nactive)
			wake_broker(reader, count);
		if (status == SQ_OK && set->count > 0)
		{
			reader->stats.messages += set->count;
			reader->stats.bytes += set->bytes;
			*result = set;
			return SQ_OK;
		}
		sq_kafka_set_release(set);
		if (status != SQ_OK)
			return status;
	}
	return SQ_DONE;
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
