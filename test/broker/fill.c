/*
 * fill.c
 *		Fill topics from a small line language.
 *
 *	fill [-c CODEC] [FILE]
 *
 * Reads FILE (or standard input) and produces to STREAMSQL_BOOTSTRAP; with the
 * mock broker STREAMSQL_CONTROL is its control socket. Fields are separated by
 * TABs, several count as one; "#" begins a comment line.
 *
 *	topic	NAME	PARTITIONS	[config=value …]
 *	drop	NAME
 *	partitions	NAME	COUNT		have so many, more than before
 *	truncate	TOPIC	PARTITION	OFFSET		delete what is before OFFSET
 *	record	TOPIC	PARTITION	MS	KEY	VALUE	[NAME=VALUE …]
 *	trades	TOPIC	COUNT		the records of the demo and the bench
 *	repeat	COUNT	TOPIC	PARTITION	MS	KEY	VALUE	like record, COUNT
 *		times; every %d in KEY and VALUE is 0 … COUNT - 1
 *	big	TOPIC	PARTITION	BYTES	a value {"text":"xxx…"} of this size
 *	begin, commit, abort	a transaction; one open at the end stays open
 *	producer	NAME	[property=value …]	what follows is by another producer,
 *		with properties of librdkafka when it is new; "-" is the first one
 *	flush		wait until the records before it are acknowledged
 *	acked		the same, and print the time then, in seconds since 1970
 *
 * PARTITION and MS may be "-" (by key; now). \N is NULL, "" is empty, and
 * \xHH, \t, \n, \\ stand for bytes. Ends with 1 and a message unless every
 * record was acknowledged. Anything else is sent to the control socket.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define MAX_FIELDS    64
#define MAX_PRODUCERS 16
#define TIMEOUT_MS    30000

typedef struct Producer
{
	char *name;
	rd_kafka_t *rk; /* NULL: not made yet */
	bool in_transaction;
} Producer;

static Producer producers[MAX_PRODUCERS] = {{.name = "-"}};
static int nproducers = 1;
static Producer *producer = producers; /* whose turn it is */
static const char *codec = "none";
static bool transactional; /* the first one */
static int line_number;

typedef struct Bytes
{
	char *data; /* NULL: null */
	size_t length;
} Bytes;

static void
fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "fill: line %d: ", line_number);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(1);
}

static void
check(rd_kafka_error_t *error, const char *what)
{
	if (error != NULL)
		fail("%s: %s", what, rd_kafka_error_string(error));
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void) rk;
	(void) opaque;
	if (message->err && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE)
		fail("not delivered: %s", rd_kafka_err2str(message->err));
}

static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[512];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) !=
		RD_KAFKA_CONF_OK)
		fail("%s", text);
}

static rd_kafka_conf_t *
make_conf(void)
{
	rd_kafka_conf_t *conf;

	if (getenv("STREAMSQL_BOOTSTRAP") == NULL)
		fail("STREAMSQL_BOOTSTRAP is not set");
	conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", getenv("STREAMSQL_BOOTSTRAP"));
	set(conf, "compression.codec", codec);
	set(conf, "partitioner", "murmur2_random");
	set(conf, "linger.ms", "20");
	set(conf, "batch.size", "200000");
	set(conf, "queue.buffering.max.messages", "1000000");
	set(conf, "message.max.bytes", "20000000");
	set(conf, "log_level", "3");
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	return conf;
}

/* Make the producer whose turn it is. */
static void
open_producer(rd_kafka_conf_t *conf, bool begins)
{
	char text[512];

	producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (producer->rk == NULL)
		fail("%s", text);
	if (begins)
		check(rd_kafka_init_transactions(producer->rk, TIMEOUT_MS), "init");
}

/* The first producer is made at first use. */
static void
need_producer(void)
{
	char id[64];
	rd_kafka_conf_t *conf;

	if (producer->rk != NULL)
		return;
	conf = make_conf();
	if (transactional)
	{
		snprintf(id, sizeof(id), "fill-%d", (int) getpid());
		set(conf, "transactional.id", id);
	}
	open_producer(conf, transactional);
}

static void
do_producer(char **fields, int count)
{
	rd_kafka_conf_t *conf;
	bool begins = false;

	if (count < 2)
		fail("producer needs a name");
	for (producer = producers; producer < producers + nproducers; producer++)
		if (strcmp(producer->name, fields[1]) == 0)
			return;
	if (nproducers++ == MAX_PRODUCERS)
		fail("more than %d producers", MAX_PRODUCERS);
	producer->name = strdup(fields[1]);
	conf = make_conf();
	for (int i = 2; i < count; i++)
	{
		char *value = strchr(fields[i], '=');

		if (value == NULL)
			fail("property without =");
		*value++ = '\0';
		set(conf, fields[i], value);
		begins |= strcmp(fields[i], "transactional.id") == 0;
	}
	open_producer(conf, begins);
}

static void
flush(void)
{
	if (producer->rk != NULL && rd_kafka_flush(producer->rk, TIMEOUT_MS))
		fail("records were not acknowledged within %d ms", TIMEOUT_MS);
}

static void
do_acked(void)
{
	struct timespec now;

	flush();
	clock_gettime(CLOCK_REALTIME, &now);
	printf("%lld.%06ld\n", (long long) now.tv_sec, now.tv_nsec / 1000);
}

/* ---- Fields ---- */

/* Undo the escapes of a field in place. */
static Bytes
unescape(char *field)
{
	char *out = field;
	char *in = field;

	if (strcmp(field, "\\N") == 0)
		return (Bytes){NULL, 0};
	if (strcmp(field, "\"\"") == 0)
		return (Bytes){field, 0};
	while (*in != '\0')
	{
		unsigned byte;

		if (*in != '\\')
			*out++ = *in++;
		else if (sscanf(in, "\\x%2x", &byte) == 1)
		{
			*out++ = (char) byte;
			in += 4;
		}
		else if (in[1] == 't' || in[1] == 'n')
		{
			*out++ = in[1] == 't' ? '\t' : '\n';
			in += 2;
		}
		else
		{
			/* "\\" is a backslash; before anything else (JSON's \u) it
			 * stands for itself */
			*out++ = '\\';
			in += in[1] == '\\' ? 2 : 1;
		}
	}
	return (Bytes){field, (size_t) (out - field)};
}

static int
split(char *line, char **fields)
{
	char *rest = line;
	char *field;
	int count = 0;

	while ((field = strsep(&rest, "\t\n")) != NULL)
	{
		if (*field == '\0')
			continue;
		if (count == MAX_FIELDS)
			fail("more than %d fields", MAX_FIELDS);
		fields[count++] = field;
	}
	return count;
}

/* ---- Producing ---- */

static rd_kafka_headers_t *
parse_headers(char **fields, int count)
{
	rd_kafka_headers_t *headers =
		count > 0 ? rd_kafka_headers_new(count) : NULL;

	for (int i = 0; i < count; i++)
	{
		char *equals = strchr(fields[i], '=');
		Bytes name, value;

		if (equals == NULL)
			fail("header without =");
		*equals = '\0';
		name = unescape(fields[i]);
		value = unescape(equals + 1);
		rd_kafka_header_add(headers, name.data, (ssize_t) name.length,
							value.data, (ssize_t) value.length);
	}
	return headers;
}

typedef struct Target
{
	const char *topic;
	int32_t partition;
	int64_t timestamp;
} Target;

static Target
parse_target(char **fields)
{
	Target target = {fields[0], RD_KAFKA_PARTITION_UA, 0};

	if (strcmp(fields[1], "-") != 0)
		target.partition = atoi(fields[1]);
	if (strcmp(fields[2], "-") != 0)
		target.timestamp = atoll(fields[2]);
	return target;
}

static void
produce(const Target *target, Bytes key, Bytes value,
		rd_kafka_headers_t *headers)
{
	rd_kafka_resp_err_t error;

	need_producer();
	for (;;)
	{
		error = rd_kafka_producev(producer->rk, RD_KAFKA_V_TOPIC(target->topic),
								  RD_KAFKA_V_PARTITION(target->partition),
								  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								  RD_KAFKA_V_TIMESTAMP(target->timestamp),
								  RD_KAFKA_V_KEY(key.data, key.length),
								  RD_KAFKA_V_VALUE(value.data, value.length),
								  RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
		if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			break;
		rd_kafka_poll(producer->rk, 100);
	}
	if (error)
		fail("%s: %s", target->topic, rd_kafka_err2str(error));
	rd_kafka_poll(producer->rk, 0);
}

static void
do_record(char **fields, int count)
{
	Target target;

	if (count < 6)
		fail("record needs topic, partition, timestamp, key and value");
	target = parse_target(fields + 1);
	produce(&target, unescape(fields[4]), unescape(fields[5]),
			parse_headers(fields + 6, count - 6));
}

/* Replace every %d of a template by a number. */
static char *
number_into(const char *template, int number)
{
	size_t space = strlen(template) * 6 + 16;
	char *result = malloc(space);
	char *out = result;

	for (const char *in = template; *in != '\0'; in++)
	{
		if (in[0] == '%' && in[1] == 'd')
		{
			out += sprintf(out, "%d", number);
			in++;
		}
		else
			*out++ = *in;
	}
	*out = '\0';
	return result;
}

static void
do_repeat(char **fields, int count)
{
	Target target;

	if (count != 7)
		fail("repeat needs count, topic, partition, timestamp, key, value");
	target = parse_target(fields + 2);
	for (int i = 0; i < atoi(fields[1]); i++)
	{
		char *key = number_into(fields[5], i);
		char *value = number_into(fields[6], i);

		produce(&target, unescape(key), unescape(value), NULL);
		free(key);
		free(value);
	}
}

static void
do_big(char **fields, int count)
{
	Target target;
	size_t bytes;
	char *value;

	if (count != 4)
		fail("big needs topic, partition and bytes");
	target = (Target){fields[1], atoi(fields[2]), 0};
	bytes = (size_t) atoll(fields[3]);
	value = malloc(bytes);
	memset(value, 'x', bytes);
	memcpy(value, "{\"text\":\"", 9);
	memcpy(value + bytes - 2, "\"}", 2);
	produce(&target, (Bytes){NULL, 0}, (Bytes){value, bytes}, NULL);
	free(value);
}

/* The same trades every time: user, symbol and numbers by a small generator. */
static void
do_trades(char **fields, int count)
{
	static const char *symbols[] = {"ACME", "BOLT", "CRUX", "DYNE", "ECHO",
									"FLUX", "GRIT", "HALO", "IRIS", "JOLT"};
	static const char *cities[] = {"Zurich", "London", "Tokyo", "Austin"};
	Target target = {fields[1], RD_KAFKA_PARTITION_UA, 0};
	uint64_t random = 42;

	if (count != 3)
		fail("trades needs topic and count");
	for (int i = 0; i < atoi(fields[2]); i++)
	{
		char key[32], value[512];
		unsigned draw, quantity, cents;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		draw = (unsigned) (random >> 33);
		quantity = draw % 1000 + 1;
		cents = 1000 + draw / 1000 % 40000;
		target.timestamp = INT64_C(1767225600000) + i;
		sprintf(key, "user_%05u", draw / 7 % 500);
		sprintf(value,
				"{\"trade_id\":%d,\"user_id\":\"%s\",\"symbol\":\"%s\","
				"\"side\":\"%s\",\"quantity\":%u,\"price\":%u.%02u,"
				"\"amount\":%" PRIu64 ".%02u,\"venue\":\"XNAS\","
				"\"address\":{\"city\":\"%s\"},\"made_at\":%" PRId64 "}",
				i + 1, key, symbols[draw / 3 % 10], draw & 64 ? "BUY" : "SELL",
				quantity, cents / 100, cents % 100,
				(uint64_t) quantity * cents / 100,
				(unsigned) ((uint64_t) quantity * cents % 100),
				cities[draw / 11 % 4], target.timestamp);
		produce(&target, (Bytes){key, strlen(key)},
				(Bytes){value, strlen(value)}, NULL);
	}
}

/* ---- Transactions ---- */

static void
do_transaction(const char *verb)
{
	need_producer();
	if (strcmp(verb, "begin") == 0)
		check(rd_kafka_begin_transaction(producer->rk), verb);
	else if (strcmp(verb, "commit") == 0)
		check(rd_kafka_commit_transaction(producer->rk, TIMEOUT_MS), verb);
	else
	{
		flush(); /* so that aborted records are really in the log */
		check(rd_kafka_abort_transaction(producer->rk, TIMEOUT_MS), verb);
	}
	producer->in_transaction = strcmp(verb, "begin") == 0;
}

/* ---- Administration ---- */

/* Send a command to the mock broker. */
static void
control(const char *command)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int connection = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[512] = "";

	if (getenv("STREAMSQL_CONTROL") == NULL)
		fail("unknown command: %s", command);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
			 getenv("STREAMSQL_CONTROL"));
	if (connect(connection, (struct sockaddr *) &address, sizeof(address)) < 0)
		fail("cannot connect to %s", address.sun_path);
	dprintf(connection, "%s\n", command);
	if (read(connection, answer, sizeof(answer) - 1) < 0 ||
		strncmp(answer, "ok", 2) != 0)
		fail("%s: %s", command, answer);
	close(connection);
}

/* Wait until a new topic has leaders everywhere. */
static void
wait_for_leaders(const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(producer->rk, topic, NULL);

	for (int i = 0; i < 300; i++)
	{
		const rd_kafka_metadata_t *metadata;
		bool ready = false;

		if (rd_kafka_metadata(producer->rk, 0, handle, &metadata, TIMEOUT_MS))
			continue;
		if (metadata->topic_cnt == 1 && metadata->topics[0].err == 0)
		{
			ready = metadata->topics[0].partition_cnt > 0;
			for (int p = 0; p < metadata->topics[0].partition_cnt; p++)
				ready &= metadata->topics[0].partitions[p].leader >= 0;
		}
		rd_kafka_metadata_destroy(metadata);
		if (ready)
		{
			rd_kafka_topic_destroy(handle);
			return;
		}
		usleep(50000);
	}
	fail("topic %s has no leaders", topic);
}

/* Wait for the answer to an admin request and check it. */
static void
finish_admin(rd_kafka_queue_t *queue, const char *what)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
	const rd_kafka_topic_result_t **results = NULL;
	size_t count = 0;

	if (event == NULL || rd_kafka_event_error(event))
		fail("%s: %s", what,
			 event ? rd_kafka_event_error_string(event) : "no answer");
	if (rd_kafka_event_CreateTopics_result(event))
		results = rd_kafka_CreateTopics_result_topics(
			rd_kafka_event_CreateTopics_result(event), &count);
	else if (rd_kafka_event_CreatePartitions_result(event))
		results = rd_kafka_CreatePartitions_result_topics(
			rd_kafka_event_CreatePartitions_result(event), &count);
	else if (rd_kafka_event_DeleteTopics_result(event))
		results = rd_kafka_DeleteTopics_result_topics(
			rd_kafka_event_DeleteTopics_result(event), &count);
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_topic_result_error(results[i]))
			fail("%s: %s", what,
				 rd_kafka_topic_result_error_string(results[i]));
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
}

static void
do_topic(char **fields, int count)
{
	char text[512];
	rd_kafka_NewTopic_t *topic;
	rd_kafka_queue_t *queue;

	if (count < 3)
		fail("topic needs name and partitions");
	if (getenv("STREAMSQL_CONTROL") != NULL)
	{
		snprintf(text, sizeof(text), "topic %s %s", fields[1], fields[2]);
		control(text);
		return;
	}
	need_producer();
	/* replicated as the cluster does by default */
	topic = rd_kafka_NewTopic_new(fields[1], atoi(fields[2]), -1, text,
								  sizeof(text));
	if (topic == NULL)
		fail("%s", text);
	for (int i = 3; i < count; i++)
	{
		char *value = strchr(fields[i], '=');

		if (value == NULL)
			fail("config without =");
		*value++ = '\0';
		rd_kafka_NewTopic_set_config(topic, fields[i], value);
	}
	queue = rd_kafka_queue_new(producer->rk);
	rd_kafka_CreateTopics(producer->rk, &topic, 1, NULL, queue);
	finish_admin(queue, fields[1]);
	rd_kafka_NewTopic_destroy(topic);
	wait_for_leaders(fields[1]);
}

static void
do_drop(const char *name)
{
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
	rd_kafka_queue_t *queue;

	need_producer();
	queue = rd_kafka_queue_new(producer->rk);
	rd_kafka_DeleteTopics(producer->rk, &topic, 1, NULL, queue);
	finish_admin(queue, name);
	rd_kafka_DeleteTopic_destroy(topic);
}

static void
do_truncate(char **fields, int count)
{
	rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *request;
	rd_kafka_queue_t *queue;

	if (count != 4)
		fail("truncate needs topic, partition and offset");
	flush();
	need_producer();
	rd_kafka_topic_partition_list_add(list, fields[1], atoi(fields[2]))
		->offset = atoll(fields[3]);
	request = rd_kafka_DeleteRecords_new(list);
	queue = rd_kafka_queue_new(producer->rk);
	rd_kafka_DeleteRecords(producer->rk, &request, 1, NULL, queue);
	finish_admin(queue, fields[1]);
	rd_kafka_DeleteRecords_destroy(request);
	rd_kafka_topic_partition_list_destroy(list);
}

static void
do_partitions(char **fields, int count)
{
	char text[512];
	rd_kafka_NewPartitions_t *more;
	rd_kafka_queue_t *queue;

	if (count != 3)
		fail("partitions needs topic and their number");
	need_producer();
	more = rd_kafka_NewPartitions_new(fields[1], atoi(fields[2]), text,
									  sizeof(text));
	if (more == NULL)
		fail("%s", text);
	queue = rd_kafka_queue_new(producer->rk);
	rd_kafka_CreatePartitions(producer->rk, &more, 1, NULL, queue);
	finish_admin(queue, fields[1]);
	rd_kafka_NewPartitions_destroy(more);
}

/* ---- The language ---- */

static void
run_line(char *line)
{
	char *whole = strdup(line);
	char *fields[MAX_FIELDS];
	int count = split(line, fields);

	whole[strcspn(whole, "\n")] = '\0';
	if (count == 0 || fields[0][0] == '#')
		;
	else if (strcmp(fields[0], "topic") == 0)
		do_topic(fields, count);
	else if (strcmp(fields[0], "record") == 0)
		do_record(fields, count);
	else if (strcmp(fields[0], "repeat") == 0)
		do_repeat(fields, count);
	else if (strcmp(fields[0], "trades") == 0)
		do_trades(fields, count);
	else if (strcmp(fields[0], "big") == 0)
		do_big(fields, count);
	else if (strcmp(fields[0], "producer") == 0)
		do_producer(fields, count);
	else if (strcmp(fields[0], "flush") == 0)
		flush();
	else if (strcmp(fields[0], "acked") == 0)
		do_acked();
	else if (strcmp(fields[0], "drop") == 0 && count == 2)
		do_drop(fields[1]);
	else if (strcmp(fields[0], "truncate") == 0)
		do_truncate(fields, count);
	else if (strcmp(fields[0], "partitions") == 0)
		do_partitions(fields, count);
	else if (strcmp(fields[0], "begin") == 0 ||
			 strcmp(fields[0], "commit") == 0 ||
			 strcmp(fields[0], "abort") == 0)
		do_transaction(fields[0]);
	else
		control(whole);
	free(whole);
}

/* All lines, read first: whether there is a transaction among those of the
 * first producer decides how it is made. */
static char **
read_lines(FILE *in, int *count)
{
	char **lines = NULL;
	char *line = NULL;
	size_t space = 0;
	bool first = true;

	*count = 0;
	while (getline(&line, &space, in) >= 0)
	{
		lines = realloc(lines, (size_t) (*count + 1) * sizeof(char *));
		lines[(*count)++] = strdup(line);
		first &= strncmp(line, "producer", 8) != 0;
		transactional |= first && strncmp(line, "begin", 5) == 0;
	}
	free(line);
	return lines;
}

/* Have all acknowledged; a transaction that is open stays open. */
static void
end_producers(void)
{
	bool open = false;

	for (producer = producers; producer < producers + nproducers; producer++)
	{
		flush();
		open |= producer->in_transaction;
	}
	if (open)
		_exit(0);
	for (producer = producers; producer < producers + nproducers; producer++)
		if (producer->rk != NULL)
			rd_kafka_destroy(producer->rk);
}

int
main(int argc, char **argv)
{
	FILE *in = stdin;
	char **lines;
	int option, count;

	while ((option = getopt(argc, argv, "c:")) != -1)
	{
		if (option != 'c')
			return 2;
		codec = optarg;
	}
	if (optind < argc && (in = fopen(argv[optind], "r")) == NULL)
		fail("cannot open %s", argv[optind]);
	lines = read_lines(in, &count);
	for (line_number = 1; line_number <= count; line_number++)
		run_line(lines[line_number - 1]);
	end_producers();
	return 0;
}
