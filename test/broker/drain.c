/*
 * drain.c
 *		What a consumer of librdkafka reads of a topic: the other side of fill.
 *
 *	drain TOPIC [property=value …]
 *
 * Reads every partition from its beginning to where it ends for a consumer
 * with these properties (read_committed unless they say otherwise), and prints
 * a line for each record: partition, offset, key and value with TABs between,
 * "\N" for null. Ends with 1 and a message when that takes over a minute.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 60000

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "drain: %s: %s\n", what, why);
	exit(1);
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) !=
		RD_KAFKA_CONF_OK)
		fail(name, text);
}

static rd_kafka_t *
make_consumer(int argc, char **argv)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512];
	rd_kafka_t *rk;

	if (getenv("STREAMSQL_BOOTSTRAP") == NULL)
		fail("STREAMSQL_BOOTSTRAP", "not set");
	set(conf, "bootstrap.servers", getenv("STREAMSQL_BOOTSTRAP"));
	set(conf, "group.id", "drain");
	set(conf, "enable.auto.commit", "false");
	set(conf, "enable.partition.eof", "true");
	set(conf, "isolation.level", "read_committed");
	set(conf, "fetch.wait.max.ms", "10");
	for (int i = 0; i < argc; i++)
	{
		char *equals = strchr(argv[i], '=');

		if (equals == NULL)
			fail(argv[i], "no property=value");
		*equals = '\0';
		set(conf, argv[i], equals + 1);
	}
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (rk == NULL)
		fail("consumer", text);
	rd_kafka_poll_set_consumer(rk);
	return rk;
}

/* Assign all partitions from their beginnings; their number. */
static int
assign_all(rd_kafka_t *rk, const char *topic)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(16);
	rd_kafka_resp_err_t error =
		rd_kafka_metadata(rk, 0, rkt, &metadata, TIMEOUT_MS);
	int count;

	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		fail(topic, rd_kafka_err2str(error));
	count = metadata->topics[0].partition_cnt;
	for (int i = 0; i < count; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(rkt);
	return count;
}

static void
print_bytes(const void *data, size_t length, char end)
{
	if (data == NULL)
		fputs("\\N", stdout);
	else
		fwrite(data, 1, length, stdout);
	putchar(end);
}

int
main(int argc, char **argv)
{
	rd_kafka_t *rk;
	int left;
	time_t deadline = time(NULL) + TIMEOUT_MS / 1000;

	if (argc < 2)
		fail("usage", "drain TOPIC [property=value …]");
	rk = make_consumer(argc - 2, argv + 2);
	left = assign_all(rk, argv[1]);
	while (left > 0)
	{
		rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1000);

		if (time(NULL) > deadline)
			fail(argv[1], "its end does not come");
		if (message == NULL)
			continue;
		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			left--;
		else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			printf("%" PRId32 "\t%" PRId64 "\t", message->partition,
				   message->offset);
			print_bytes(message->key, message->key_len, '\t');
			print_bytes(message->payload, message->len, '\n');
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return 0;
}
