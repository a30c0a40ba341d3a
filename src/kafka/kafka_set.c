/*
 * kafka_set.c
 *		Record sets over librdkafka's messages.
 *
 * A set owns the messages that its slices point into, and frees them when it
 * is released. What is left, two arrays, waits in the client for the next
 * set: a scan uses one or two of them however long it is.
 *
 * Memory: malloc; a set belongs to whoever took it, a spare one to its client.
 * Locks: none, the client's owner alone comes here.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

/* How many sets wait in a client: the one in hand and the next. */
#define MAX_SPARES 2

static const SqHeader *headers_of(SqKafkaSet *base, int record, int *count);
static void release(SqKafkaSet *base);

static const SqKafkaSetOps ops = {headers_of, release};

static void
free_set(SqKafkaMessageSet *set)
{
	free(set->records);
	free(set->messages);
	free(set->headers);
	free(set);
}

static bool
make_room(SqKafkaMessageSet *set, int capacity)
{
	SqRecord *records;
	rd_kafka_message_t **messages;

	if (capacity <= set->capacity)
		return true;
	records = realloc(set->records, capacity * sizeof(SqRecord));
	if (records == NULL)
		return false;
	set->records = records;
	messages = realloc(set->messages, capacity * sizeof(*messages));
	if (messages == NULL)
		return false;
	set->messages = messages;
	set->capacity = capacity;
	return true;
}

SqKafkaMessageSet *
sq_kafka_set_take(SqKafkaClient *client, int capacity)
{
	SqKafkaMessageSet *set = client->spare_sets;

	if (set != NULL)
	{
		client->spare_sets = set->next;
		client->spare_count--;
	}
	else
		set = calloc(1, sizeof(SqKafkaMessageSet));
	if (set == NULL)
		return NULL;
	if (!make_room(set, capacity))
	{
		free_set(set);
		return NULL;
	}
	set->client = client;
	set->base = (SqKafkaSet){.base = {.records = set->records}, .ops = &ops};
	return set;
}

static SqTimestampType
timestamp_type_of(rd_kafka_timestamp_type_t type)
{
	switch (type)
	{
		case RD_KAFKA_TIMESTAMP_CREATE_TIME:
			return SQ_TIMESTAMP_CREATE;
		case RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME:
			return SQ_TIMESTAMP_APPEND;
		default:
			return SQ_TIMESTAMP_NONE;
	}
}

void
sq_kafka_set_add(SqKafkaMessageSet *set, rd_kafka_message_t *message)
{
	int i = set->base.base.count++;
	SqRecord *record = &set->records[i];
	rd_kafka_timestamp_type_t type;

	set->messages[i] = message;
	record->offset = message->offset;
	record->timestamp = rd_kafka_message_timestamp(message, &type);
	record->timestamp_type = timestamp_type_of(type);
	record->partition = message->partition;
	record->key = (SqSlice){message->key, message->key_len};
	record->value = (SqSlice){message->payload, message->len};
	set->base.base.bytes += message->key_len + message->len;
}

static void
release(SqKafkaSet *base)
{
	SqKafkaMessageSet *set = (SqKafkaMessageSet *) base;
	SqKafkaClient *client = set->client;

	for (int i = 0; i < base->base.count; i++)
		rd_kafka_message_destroy(set->messages[i]);
	base->base.count = 0;
	if (client->spare_count >= MAX_SPARES)
	{
		free_set(set);
		return;
	}
	set->next = client->spare_sets;
	client->spare_sets = set;
	client->spare_count++;
}

void
sq_kafka_set_free_spares(SqKafkaClient *client)
{
	SqKafkaMessageSet *set;

	while ((set = client->spare_sets) != NULL)
	{
		client->spare_sets = set->next;
		free_set(set);
	}
	client->spare_count = 0;
}

/* Have room for this many headers. Without memory there is no way on: a header
 * must not be lost silently, and the door has no error here. */
static void
make_header_room(SqKafkaMessageSet *set, int count)
{
	if (count <= set->header_capacity)
		return;
	free(set->headers);
	set->headers = malloc(count * sizeof(SqHeader));
	if (set->headers == NULL)
		abort();
	set->header_capacity = count;
}

static const SqHeader *
headers_of(SqKafkaSet *base, int record, int *count)
{
	SqKafkaMessageSet *set = (SqKafkaMessageSet *) base;
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t length;

	*count = 0;
	if (rd_kafka_message_headers(set->messages[record], &headers) !=
		RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	make_header_room(set, (int) rd_kafka_header_cnt(headers));
	while (*count < set->header_capacity &&
		   rd_kafka_header_get_all(headers, *count, &name, &value, &length) ==
			   RD_KAFKA_RESP_ERR_NO_ERROR)
		set->headers[(*count)++] = (SqHeader){name, {value, length}};
	return *count > 0 ? set->headers : NULL;
}

/* ---- Sets of either kind ---- */

const SqHeader *
sq_kafka_set_headers(SqRecordSet *base, int record, int *count)
{
	SqKafkaSet *set = (SqKafkaSet *) base;

	return set->ops->headers(set, record, count);
}

void
sq_kafka_set_release(SqRecordSet *base)
{
	SqKafkaSet *set = (SqKafkaSet *) base;

	set->ops->release(set);
}
