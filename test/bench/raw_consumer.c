/*
 * raw_consumer.c
 *		"Raw": the fastest consumer that librdkafka lets us write.
 *
 * Reads a topic once, from the low watermarks to the high ones, counts records
 * and bytes and does nothing else with them (or works for so many ns on each).
 * Every throughput target is a ratio to this program's rate, so it must be as
 * good as it can be; README.md says what was tried and what it gave.
 *
 *	raw_consumer -b BROKERS -t TOPIC [-m METHOD] [-n BATCH] [-T MS]
 *		[-w NS] [-X PROPERTY=VALUE]...
 *
 * Methods: batch (a queue, many messages a call), callback (a queue, a call
 * for each message), assign (the consumer queue of the newer interface).
 * Prints "records=… bytes=… seconds=… rate=… cpu=…". The clock runs from the
 * first fetch to the last record: connecting and asking for watermarks is done
 * before.
 *
 * Memory: what librdkafka holds. Locks: none, one thread of ours.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_util.h"

#define TIMEOUT_MS 10000

typedef struct SqRaw
{
	const char *topic_name;
	const char *method;
	size_t batch;
	int batch_ms; /* a call waits so long for a full batch */
	int work_ns;
	rd_kafka_t *client;
	rd_kafka_topic_t *topic;
	int npartitions;
	int64_t *begin;
	int64_t *end;
	int open; /* partitions not yet read to their end */
	int64_t records;
	int64_t bytes;
} SqRaw;

/* Properties that made a difference, or that Kafka's semantics ask for. */
static const char *const tuning[][2] = {
	{"group.id", "streamsql_raw"},
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"enable.partition.eof", "true"},
	{"auto.offset.reset", "error"},
	{"isolation.level", "read_committed"},
	{"fetch.wait.max.ms", "10"},
	{"fetch.error.backoff.ms", "10"},
	{"fetch.message.max.bytes", "1048576"},
	{"queued.min.messages", "100000"},
	{"queued.max.messages.kbytes", "262144"},
};

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "raw_consumer: %s: %s\n", what, why);
	exit(1);
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) !=
		RD_KAFKA_CONF_OK)
		die(name, text);
}

static void
set_pair(rd_kafka_conf_t *conf, char *pair)
{
	char *equals = strchr(pair, '=');

	if (!equals)
		die(pair, "not PROPERTY=VALUE");
	*equals = '\0';
	set(conf, pair, equals + 1);
}

static void
parse(SqRaw *raw, rd_kafka_conf_t *conf, int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "b:t:m:n:T:w:X:")) != -1)
		switch (option)
		{
			case 'b':
				set(conf, "bootstrap.servers", optarg);
				break;
			case 't':
				raw->topic_name = optarg;
				break;
			case 'm':
				raw->method = optarg;
				break;
			case 'n':
				raw->batch = atoi(optarg);
				break;
			case 'T':
				raw->batch_ms = atoi(optarg);
				break;
			case 'w':
				raw->work_ns = atoi(optarg);
				break;
			case 'X':
				set_pair(conf, optarg);
				break;
			default:
				die("usage", "-b BROKERS -t TOPIC [-m METHOD] [-n BATCH] "
							 "[-T MS] [-w NS] [-X PROPERTY=VALUE]...");
		}
	if (!raw->topic_name)
		die("usage", "no topic");
}

/* Where every partition begins and ends. */
static void
ask_watermarks(SqRaw *raw)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error =
		rd_kafka_metadata(raw->client, 0, raw->topic, &metadata, TIMEOUT_MS);

	if (error)
		die("metadata", rd_kafka_err2str(error));
	raw->npartitions = metadata->topics[0].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	if (raw->npartitions == 0)
		die(raw->topic_name, "no such topic");
	raw->begin = calloc(raw->npartitions, sizeof(int64_t));
	raw->end = calloc(raw->npartitions, sizeof(int64_t));
	for (int i = 0; i < raw->npartitions; i++)
	{
		error = rd_kafka_query_watermark_offsets(raw->client, raw->topic_name,
												 i, &raw->begin[i],
												 &raw->end[i], TIMEOUT_MS);
		if (error)
			die("watermarks", rd_kafka_err2str(error));
		if (raw->end[i] > raw->begin[i])
			raw->open++;
	}
}

static inline void
take(SqRaw *raw, const rd_kafka_message_t *message)
{
	int64_t end = raw->end[message->partition];

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
	{
		/* the last record did not come: it was aborted, or a marker */
		if (message->offset >= end && end > 0)
		{
			raw->end[message->partition] = -1;
			raw->open--;
		}
		return;
	}
	if (message->err)
		die("consume", rd_kafka_message_errstr(message));
	if (end < 0 || message->offset >= end)
		return;
	raw->records++;
	raw->bytes += message->len + message->key_len;
	if (raw->work_ns)
		sq_bench_work(raw->work_ns);
	if (message->offset == end - 1)
	{
		raw->end[message->partition] = -1;
		raw->open--;
	}
}

static void
take_callback(rd_kafka_message_t *message, void *opaque)
{
	take(opaque, message);
}

static void
read_queue(SqRaw *raw, rd_kafka_queue_t *queue)
{
	rd_kafka_message_t **messages =
		calloc(raw->batch, sizeof(rd_kafka_message_t *));

	while (raw->open > 0)
	{
		ssize_t count = rd_kafka_consume_batch_queue(queue, raw->batch_ms,
													 messages, raw->batch);

		for (ssize_t i = 0; i < count; i++)
		{
			take(raw, messages[i]);
			rd_kafka_message_destroy(messages[i]);
		}
	}
	free(messages);
}

static void
start_partitions(SqRaw *raw, rd_kafka_queue_t *queue)
{
	for (int i = 0; i < raw->npartitions; i++)
		if (raw->end[i] > raw->begin[i] &&
			rd_kafka_consume_start_queue(raw->topic, i, raw->begin[i], queue))
			die("start", rd_kafka_err2str(rd_kafka_last_error()));
}

static void
stop_partitions(SqRaw *raw)
{
	for (int i = 0; i < raw->npartitions; i++)
		rd_kafka_consume_stop(raw->topic, i);
}

static void
assign_partitions(SqRaw *raw)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(raw->npartitions);

	for (int i = 0; i < raw->npartitions; i++)
		if (raw->end[i] > raw->begin[i])
			rd_kafka_topic_partition_list_add(list, raw->topic_name, i)
				->offset = raw->begin[i];
	if (rd_kafka_assign(raw->client, list))
		die("assign", "refused");
	rd_kafka_topic_partition_list_destroy(list);
}

/* Read everything; answers the seconds it took. */
static double
read_topic(SqRaw *raw)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(raw->client);
	double start = sq_bench_now();
	double took;

	if (strcmp(raw->method, "assign") == 0)
	{
		rd_kafka_queue_destroy(queue);
		queue = rd_kafka_queue_get_consumer(raw->client);
		assign_partitions(raw);
		read_queue(raw, queue);
		took = sq_bench_now() - start;
	}
	else
	{
		start_partitions(raw, queue);
		if (strcmp(raw->method, "callback") == 0)
			while (raw->open > 0)
				rd_kafka_consume_callback_queue(queue, 100, take_callback, raw);
		else
			read_queue(raw, queue);
		took = sq_bench_now() - start;
		stop_partitions(raw);
	}
	rd_kafka_queue_destroy(queue);
	return took;
}

int
main(int argc, char **argv)
{
	SqRaw raw = {.method = "batch", .batch = 10000, .batch_ms = 1};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512];
	double seconds;
	double cpu;

	for (size_t i = 0; i < sizeof(tuning) / sizeof(tuning[0]); i++)
		set(conf, tuning[i][0], tuning[i][1]);
	parse(&raw, conf, argc, argv);
	raw.client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (!raw.client)
		die("client", text);
	if (strcmp(raw.method, "assign") == 0)
		rd_kafka_poll_set_consumer(raw.client);
	raw.topic = rd_kafka_topic_new(raw.client, raw.topic_name, NULL);
	ask_watermarks(&raw);
	sq_bench_calibrate();
	cpu = sq_bench_cpu();
	seconds = read_topic(&raw);
	printf("records=%" PRId64 " bytes=%" PRId64
		   " seconds=%.6f rate=%.0f cpu=%.3f work_rate=%.0f\n",
		   raw.records, raw.bytes, seconds, raw.records / seconds,
		   sq_bench_cpu() - cpu,
		   raw.work_ns ? sq_bench_work_rate(raw.work_ns) : 0);
	fflush(stdout);
	/* Closing the client frees a whole queue; nobody wants to wait for it. */
	_exit(0);
}
