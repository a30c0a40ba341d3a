/*
 * produce_each.c
 *		One record at a time, by a producer that is warm.
 *
 *	produce_each -b HOST:PORT -t TOPIC
 *
 * Each line of standard input, key TAB value, becomes a record of partition 0.
 * As soon as it is acknowledged a line of standard output tells when it was
 * given to the producer and when the acknowledgement came, in microseconds
 * since 1970.
 *
 * Memory: static. Locks: none, one thread beside librdkafka's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 30000

static int64_t acked; /* 0: not yet */

static void
die(const char *what)
{
	fprintf(stderr, "produce_each: %s\n", what);
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (message->err)
		die(rd_kafka_err2str(message->err));
	acked = now_us();
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) !=
		RD_KAFKA_CONF_OK)
		die(text);
}

static rd_kafka_t *
make_producer(const char *bootstrap)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[512];
	rd_kafka_t *producer;

	set(conf, "bootstrap.servers", bootstrap);
	set(conf, "linger.ms", "0");
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (producer == NULL)
		die(text);
	return producer;
}

static void
produce(rd_kafka_t *producer, const char *topic, const char *key, char *value)
{
	int64_t asked = now_us();
	rd_kafka_resp_err_t error;

	acked = 0;
	error = rd_kafka_producev(
		producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_KEY(key, strlen(key)),
		RD_KAFKA_V_VALUE(value, strlen(value)), RD_KAFKA_V_END);
	if (error)
		die(rd_kafka_err2str(error));
	while (acked == 0)
		if (rd_kafka_poll(producer, TIMEOUT_MS) == 0)
			die("no acknowledgement");
	printf("%" PRId64 " %" PRId64 "\n", asked, acked);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	const char *bootstrap = NULL;
	const char *topic = NULL;
	rd_kafka_t *producer;
	char *line = NULL;
	size_t space = 0;
	int option;

	while ((option = getopt(argc, argv, "b:t:")) != -1)
	{
		if (option == 'b')
			bootstrap = optarg;
		else if (option == 't')
			topic = optarg;
		else
			return 2;
	}
	if (bootstrap == NULL || topic == NULL)
		die("needs -b and -t");
	producer = make_producer(bootstrap);
	while (getline(&line, &space, stdin) > 0)
	{
		char *rest = line;
		char *key = strsep(&rest, "\t\n");
		char *value = strsep(&rest, "\n");

		if (value == NULL)
			die("a line is key TAB value");
		produce(producer, topic, key, value);
	}
	free(line);
	rd_kafka_destroy(producer);
	return 0;
}
