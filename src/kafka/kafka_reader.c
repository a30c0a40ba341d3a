/*
 * kafka_reader.c
 *		Readers: one of the two ways to read, and from one to the other.
 *
 * Records come by librdkafka's consumer (kafka_consume.c) or by Fetch requests
 * of our own (kafka_fetch.c). Where the choice is open and a broker has
 * something that only librdkafka reads, what is left of the ranges goes to it
 * in mid reading.
 *
 * Memory: malloc; owned by whoever opened the reader. Locks: none.
 */
#include "kafka/kafka_wire.h"

struct SqKafkaReader
{
	SqKafkaClient *client;
	char *topic;
	int max_records;
	SqKafkaSource *source;
	SqKafkaReaderStats stats;
	int nranges; /* as assigned */
	SqKafkaRange *ranges;
};

SqKafkaReaderKind
sq_kafka_config_reader(const SqKafkaConfig *config, char *reason, size_t size)
{
	reason[0] = '\0';
	if (config->reader == SQ_KAFKA_READER_LIBRDKAFKA)
		return SQ_KAFKA_READER_LIBRDKAFKA;
	if (sq_kafka_settings_speak(config, reason, size) ||
		config->reader == SQ_KAFKA_READER_WIRE)
		return SQ_KAFKA_READER_WIRE;
	return SQ_KAFKA_READER_LIBRDKAFKA;
}

/* Our own connections of the reader's client; they stay with it. */
static bool
make_wire(SqKafkaClient *client, const SqKafkaConfig *config, SqError *error)
{
	char reason[256];

	if (client->wire != NULL)
		return true;
	if (!sq_kafka_settings_speak(config, reason, sizeof(reason)))
	{
		sq_error_set(error, ERRCODE_FEATURE_NOT_SUPPORTED,
					 "reader \"wire\" cannot be used with this server");
		sq_error_detail(error, "It does not speak: %s.", reason);
		return false;
	}
	client->wire = sq_kafka_wire_create(client, config, error);
	return client->wire != NULL;
}

static SqKafkaSource *
open_source(SqKafkaReader *reader, SqError *error)
{
	SqKafkaClient *client = reader->client;
	SqKafkaConfig config = {client->property_count, client->properties,
							client->reader};
	char reason[256];

	if (sq_kafka_config_reader(&config, reason, sizeof(reason)) ==
		SQ_KAFKA_READER_WIRE)
	{
		if (!make_wire(client, &config, error))
			return NULL;
		return sq_kafka_fetch_open(client, reader->topic, reader->max_records,
								   error);
	}
	return sq_kafka_consume_open(reader->client, reader->topic,
								 reader->max_records, error);
}

static void
free_reader(SqKafkaReader *reader)
{
	free(reader->topic);
	free(reader->ranges);
	free(reader);
}

SqKafkaReader *
sq_kafka_reader_open(SqKafkaClient *client, const char *topic, int max_records,
					 SqError *error)
{
	SqKafkaReader *reader = calloc(1, sizeof(SqKafkaReader));

	if (reader == NULL || (reader->topic = strdup(topic)) == NULL)
	{
		free(reader);
		sq_kafka_error_memory(error);
		return NULL;
	}
	reader->client = client;
	reader->max_records = max_records;
	reader->source = open_source(reader, error);
	if (reader->source != NULL)
		return reader;
	free_reader(reader);
	return NULL;
}

bool
sq_kafka_reader_close(SqKafkaReader *reader)
{
	bool clean = reader->source->ops->close(reader->source);

	free_reader(reader);
	return clean;
}

int
sq_kafka_reader_fd(const SqKafkaReader *reader)
{
	return reader->source->ops->fd(reader->source);
}

const SqKafkaReaderStats *
sq_kafka_reader_stats(const SqKafkaReader *reader)
{
	return &reader->stats;
}

SqStatus
sq_kafka_reader_assign(SqKafkaReader *reader, const SqKafkaRange *ranges,
					   int count, SqError *error)
{
	SqKafkaRange *copy =
		realloc(reader->ranges, Max(count, 1) * sizeof(SqKafkaRange));

	if (copy == NULL)
		return sq_kafka_error_memory(error);
	if (count > 0)
		memcpy(copy, ranges, count * sizeof(SqKafkaRange));
	reader->ranges = copy;
	reader->nranges = count;
	return reader->source->ops->assign(reader->source, ranges, count, error);
}

int
sq_kafka_reader_progress(const SqKafkaReader *reader, SqKafkaProgress *progress,
						 int max)
{
	return reader->source->ops->progress(reader->source, progress, max);
}

/* ---- From one to the other ---- */

/* Take away what was read; how many ranges are left, or -1 without memory. */
static int
cut_ranges(SqKafkaReader *reader)
{
	SqKafkaProgress *progress =
		malloc(Max(reader->nranges, 1) * sizeof(SqKafkaProgress));
	int nprogress;
	int count = 0;
	int at = 0;

	if (progress == NULL)
		return -1;
	nprogress = sq_kafka_reader_progress(reader, progress, reader->nranges);
	for (int i = 0; i < reader->nranges; i++)
	{
		SqKafkaRange range = reader->ranges[i];

		while (at < nprogress && progress[at].partition < range.partition)
			at++;
		if (at == nprogress || progress[at].partition != range.partition ||
			range.end <= progress[at].position)
			continue;
		range.begin = Max(range.begin, progress[at].position);
		reader->ranges[count++] = range;
	}
	free(progress);
	return count;
}

/* Let librdkafka read what is left. */
static SqStatus
change_source(SqKafkaReader *reader, SqError *error)
{
	SqKafkaSource *source;
	int count = cut_ranges(reader);

	if (count < 0)
		return sq_kafka_error_memory(error);
	source = sq_kafka_consume_open(reader->client, reader->topic,
								   reader->max_records, error);
	if (source == NULL)
		return SQ_ERROR;
	reader->source->ops->close(reader->source);
	reader->source = source;
	reader->nranges = count;
	return source->ops->assign(source, reader->ranges, count, error);
}

SqStatus
sq_kafka_reader_next(SqKafkaReader *reader, SqRecordSet **set, SqError *error)
{
	SqKafkaSource *source = reader->source;
	SqStatus status;

	*set = NULL;
	status = source->ops->next(source, set, error);
	if (status == SQ_ERROR && source->unspoken &&
		reader->client->reader == SQ_KAFKA_READER_AUTO)
	{
		if (change_source(reader, error) != SQ_OK)
			return SQ_ERROR;
		status = reader->source->ops->next(reader->source, set, error);
	}
	reader->stats.waits += status == SQ_WAIT;
	if (status != SQ_OK)
		return status;
	reader->stats.messages += (*set)->count;
	reader->stats.bytes += (*set)->bytes;
	return SQ_OK;
}
