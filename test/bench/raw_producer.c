/*
 * raw_producer.c
 *		"Raw" of writing: the fastest producer that librdkafka lets us write.
 *
 *	raw_producer -b BROKERS -f SOURCE -t TARGET -n RECORDS [-i ID]
 *		[-X PROPERTY=VALUE]...
 *
 * First reads so many records of topic SOURCE into memory, then writes their
 * keys and values to TARGET, idempotent, with all acknowledgements, and with
 * -i as one transaction by this transactional id. Does nothing else with them,
 * and hears of errors only. Prints "records=… bytes=… seconds=… rate=… cpu=…";
 * the clock runs from the first record to the last acknowledgement (and the
 * commit): connecting and init_transactions are done before.
 *
 * Memory: the records, until the end. Locks: none, one thread of ours.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_util.h"

#define TIMEOUT_MS 60000

typedef struct SqRawRecord
{
	void *key; /* NULL: null */
	void *value;
	size_t key_length;
	size_t value_length;
} SqRawRecord;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "raw_producer: %s: %s\n", what, why);
	exit(1);
}

static void
check(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL)
		die(what, rd_kafka_error_string(error));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) !=
		RD_KAFKA_CONF_OK)
		die(name, text);
}

static rd_kafka_t *
make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char text[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));

	if (rk == NULL)
		die("librdkafka", text);
	return rk;
}

/* ---- The records ---- */

static void *
copy_bytes(const void *data, size_t length)
{
	void *copy = data == NULL ? NULL : malloc(length + 1);

	if (copy != NULL)
		memcpy(copy, data, length);
	return copy;
}

static rd_kafka_t *
make_consumer(const char *brokers, const char *topic)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(4);
	const rd_kafka_metadata_t *metadata;
	rd_kafka_topic_t *rkt;
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "streamsql_raw");
	set(conf, "enable.auto.commit", "false");
	rk = make(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(rk);
	rkt = rd_kafka_topic_new(rk, topic, NULL);
	if (rd_kafka_metadata(rk, 0, rkt, &metadata, TIMEOUT_MS))
		die(topic, "no metadata");
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

static SqRawRecord *
read_records(const char *brokers, const char *topic, int count)
{
	rd_kafka_t *rk = make_consumer(brokers, topic);
	SqRawRecord *records = calloc(count, sizeof(SqRawRecord));

	for (int i = 0; i < count;)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, TIMEOUT_MS);

		if (message == NULL)
			die(topic, "has fewer records");
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			records[i].key = copy_bytes(message->key, message->key_len);
			records[i].key_length = message->key_len;
			records[i].value = copy_bytes(message->payload, message->len);
			records[i++].value_length = message->len;
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return records;
}

/* ---- Writing ---- */

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (message->err)
		die("not acknowledged", rd_kafka_err2str(message->err));
}

static void
produce(rd_kafka_t *rk, rd_kafka_topic_t *topic, const SqRawRecord *record)
{
	while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
							record->value, record->value_length, record->key,
							record->key_length, NULL) != 0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, 1);
	}
}

/* Write all; the bytes of keys and values. */
static int64_t
write_records(rd_kafka_t *rk, const char *target, const SqRawRecord *records,
			  int count, bool transaction)
{
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, target, NULL);
	int64_t bytes = 0;

	if (transaction)
		check(rd_kafka_begin_transaction(rk), "begin");
	for (int i = 0; i < count; i++)
	{
		produce(rk, topic, &records[i]);
		bytes += records[i].key_length + records[i].value_length;
		if (i % 1024 == 0)
			rd_kafka_poll(rk, 0);
	}
	if (rd_kafka_flush(rk, TIMEOUT_MS))
		die(target, "is not flushed");
	if (transaction)
		check(rd_kafka_commit_transaction(rk, TIMEOUT_MS), "commit");
	rd_kafka_topic_destroy(topic);
	return bytes;
}

static void
measure(rd_kafka_t *rk, const char *target, const SqRawRecord *records,
		int count, bool transaction)
{
	double cpu = sq_bench_cpu();
	double start = sq_bench_now();
	int64_t bytes = write_records(rk, target, records, count, transaction);
	double seconds = sq_bench_now() - start;

	printf("records=%d bytes=%" PRId64 " seconds=%.4f rate=%.0f cpu=%.3f\n",
		   count, bytes, seconds, count / seconds, sq_bench_cpu() - cpu);
}

static void
set_pair(rd_kafka_conf_t *conf, char *pair)
{
	char *equals = strchr(pair, '=');

	if (equals == NULL)
		die(pair, "no property=value");
	*equals = '\0';
	set(conf, pair, equals + 1);
}

int
main(int argc, char **argv)
{
	const char *brokers = NULL, *source = NULL, *target = NULL, *id = NULL;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	SqRawRecord *records;
	rd_kafka_t *rk;
	int count = 0;
	int option;

	set(conf, "enable.idempotence", "true");
	set(conf, "partitioner", "murmur2_random");
	set(conf, "queue.buffering.max.messages", "200000");
	set(conf, "delivery.report.only.error", "true");
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	while ((option = getopt(argc, argv, "b:f:t:n:i:X:")) != -1)
		switch (option)
		{
			case 'b':
				brokers = optarg;
				break;
			case 'f':
				source = optarg;
				break;
			case 't':
				target = optarg;
				break;
			case 'n':
				count = atoi(optarg);
				break;
			case 'i':
				id = optarg;
				break;
			case 'X':
				set_pair(conf, optarg);
				break;
			default:
				return 2;
		}
	if (brokers == NULL || source == NULL || target == NULL || count <= 0)
		die("usage", "needs -b, -f, -t and -n");
	set(conf, "bootstrap.servers", brokers);
	if (id != NULL)
		set(conf, "transactional.id", id);
	records = read_records(brokers, source, count);
	rk = make(RD_KAFKA_PRODUCER, conf);
	if (id != NULL)
		check(rd_kafka_init_transactions(rk, TIMEOUT_MS), "init");
	measure(rk, target, records, count, id != NULL);
	rd_kafka_destroy(rk);
	return 0;
}
