/*
 * wire.c
 *		Connect to a broker by room kafka's own connection, and say what came
 *		of it.
 *
 *	wire [-n COUNT] [-k COUNT] [-t MS] HOST PORT [PROPERTY=VALUE …]
 *
 * Properties are librdkafka's. Prints one line: "ready" with the versions of
 * Fetch and Metadata and what the broker says of itself, or "error" with
 * SQLSTATE, worth, message, detail and hint, or "not spoken" and why. With -n
 * the same so many times, but printed for the last one only, then how many
 * descriptors, threads and heap bytes there are more than after the first.
 * With -k it asks for so many topics, which there need not be: a large request
 * and a larger answer.
 * Ends with 1 unless the last one became ready; 2 for a time out of MS. It is
 * built like a unit test, so that sanitizers see real handshakes.
 */
#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "kafka/kafka_connection.h"
#include "kafka/kafka_internal.h"

#define MAX_PROPERTIES 32

/* Bytes on the heap; not every compiler has the header. */
extern size_t __sanitizer_get_current_allocated_bytes(void);

static SqError error;
static int timeout_ms = 10000;
static int topics = 0;

/* ---- Waiting ---- */

/* Wait for what the connection waits for; false when the time is over. */
static bool
wait_for(const SqKafkaConnection *connection, int64 deadline)
{
	int events = sq_kafka_connection_events(connection);
	int own_ms = sq_kafka_connection_wait_ms(connection);
	int64 left = deadline - sq_kafka_now();
	struct pollfd entry = {.fd = sq_kafka_connection_fd(connection)};

	if (left <= 0)
		return false;
	entry.events = (events & SQ_KAFKA_READABLE ? POLLIN : 0) |
				   (events & SQ_KAFKA_WRITABLE ? POLLOUT : 0);
	poll(&entry, 1, own_ms < 0 ? (int) left : (int) Min(own_ms, left));
	return true;
}

static void
give_up(const SqKafkaConnection *connection)
{
	printf("no answer in stage %d\n", sq_kafka_connection_stage(connection));
	exit(2);
}

static SqStatus
get_ready(SqKafkaConnection *connection)
{
	int64 deadline = sq_kafka_now() + timeout_ms;
	SqStatus status;

	while ((status = sq_kafka_connection_poll(connection, &error)) == SQ_WAIT)
		if (!wait_for(connection, deadline))
			give_up(connection);
	return status;
}

static SqStatus
get_frame(SqKafkaConnection *connection, SqKafkaFrame *frame)
{
	int64 deadline = sq_kafka_now() + timeout_ms;
	SqStatus status;

	while ((status = sq_kafka_connection_receive(connection, frame, &error)) ==
		   SQ_WAIT)
		if (!wait_for(connection, deadline))
			give_up(connection);
	return status;
}

/* ---- Metadata ---- */

static int
read_brokers(SqKafkaCursor *cursor, bool flexible)
{
	int count = sq_kafka_read_count(cursor, flexible, 8);

	for (int i = 0; i < count; i++)
	{
		sq_kafka_read_int32(cursor);
		sq_kafka_read_string(cursor, flexible);
		sq_kafka_read_int32(cursor);
		sq_kafka_read_string(cursor, flexible);
		sq_kafka_skip_tags(cursor, flexible);
	}
	return count;
}

/* Ask for brokers, and topics of names that nobody has. */
static void
write_topics(SqKafkaOutput *out, bool flexible)
{
	char name[32];

	sq_kafka_write_count(out, topics, flexible);
	for (int i = 0; i < topics; i++)
	{
		snprintf(name, sizeof(name), "no-topic-%d", i);
		sq_kafka_write_string(out, name, flexible);
		sq_kafka_write_no_tags(out, flexible);
	}
}

static SqStatus
ask_metadata(SqKafkaConnection *connection)
{
	int version = sq_kafka_connection_version(connection, SQ_KAFKA_METADATA, 2,
											  topics > 0 ? 9 : 12);
	bool flexible = sq_kafka_api_is_flexible(SQ_KAFKA_METADATA, version);
	SqKafkaOutput *out =
		sq_kafka_connection_request(connection, SQ_KAFKA_METADATA, version);
	SqKafkaFrame frame;
	SqKafkaCursor cursor;
	SqSlice cluster;
	int brokers;

	write_topics(out, flexible);
	if (version >= 4)
		sq_kafka_write_int8(out, 0); /* create none */
	if (version >= 8)
		sq_kafka_write_int8(out, 0);
	if (version >= 8 && version <= 10)
		sq_kafka_write_int8(out, 0);
	sq_kafka_write_no_tags(out, flexible);
	if (sq_kafka_connection_submit(connection, NULL, &error) != SQ_OK ||
		get_frame(connection, &frame) != SQ_OK)
		return SQ_ERROR;
	cursor = sq_kafka_cursor(frame.body);
	if (version >= 3)
		sq_kafka_read_int32(&cursor); /* throttle time */
	brokers = read_brokers(&cursor, flexible);
	cluster = sq_kafka_read_string(&cursor, flexible);
	printf("ready fetch %d metadata %d brokers %d cluster %s%s\n",
		   sq_kafka_connection_version(connection, SQ_KAFKA_FETCH, 4, 16),
		   version, brokers, cluster.length == 22 ? "known" : "unknown",
		   cursor.failed ? " cut off" : "");
	sq_kafka_read_int32(&cursor); /* controller */
	if (topics > 0)
		printf("topics %d\n", sq_kafka_read_count(&cursor, flexible, 8));
	if (sq_kafka_connection_expires(connection) != 0)
		printf("expires in %d s\n",
			   (int) ((sq_kafka_connection_expires(connection) -
					   sq_kafka_now() + 500) /
					  1000));
	sq_kafka_buffer_free(&frame.buffer);
	return SQ_OK;
}

/* ---- One connection ---- */

static void
print_error(SqKafkaTrouble trouble)
{
	static const char *const worth[] = {"", "passing", "nameless", "lasting"};
	char sqlstate[6] = "";

	for (int i = 0; i < 5; i++)
		sqlstate[i] = (char) (((error.sqlstate >> (6 * i)) & 0x3F) + '0');
	printf("error %s %s: %s | %s | %s\n", sqlstate, worth[trouble],
		   error.message, error.detail, error.hint);
}

/* Connect once; with «last» say what came of it. */
static int
connect_once(const SqKafkaConfig *config, const char *host, int port, bool last)
{
	SqKafkaSettings *settings = sq_kafka_settings_create(config, &error);
	SqKafkaConnection *connection = NULL;
	SqKafkaTrouble trouble = SQ_KAFKA_NO_TROUBLE;
	SqStatus status = SQ_ERROR;

	if (settings != NULL)
		connection = sq_kafka_connection_open(settings, host, port, &error);
	sq_kafka_settings_drop(settings);
	if (connection != NULL)
	{
		status = get_ready(connection);
		if (status == SQ_OK && last)
			status = ask_metadata(connection);
		trouble = sq_kafka_connection_trouble(connection);
	}
	if (status != SQ_OK && last)
		print_error(trouble);
	sq_kafka_connection_close(connection);
	return status == SQ_OK ? 0 : 1;
}

/* ---- What is left ---- */

static int
count_entries(const char *path)
{
	DIR *folder = opendir(path);
	int count = 0;

	while (folder != NULL && readdir(folder) != NULL)
		count++;
	if (folder != NULL)
		closedir(folder);
	return count;
}

/* Entries of /proc/self/task; a thread that has ended is there for a moment
 * longer. «.», «..» and the main thread are three. */
static int
count_threads(int expected)
{
	int count = count_entries("/proc/self/task");

	for (int i = 0; i < 100 && count != expected; i++)
	{
		usleep(10000);
		count = count_entries("/proc/self/task");
	}
	return count;
}

int
main(int argc, char **argv)
{
	SqKafkaProperty properties[MAX_PROPERTIES];
	SqKafkaConfig config = {0, properties};
	char reason[256];
	int count = 1;
	int option;
	int result = 1;
	int descriptors = 0;
	int threads = 0;
	size_t bytes = 0;

	setvbuf(stdout, NULL, _IONBF, 0); /* no buffer on the heap */
	while ((option = getopt(argc, argv, "n:k:t:")) != -1)
		*(option == 'n'   ? &count
		  : option == 'k' ? &topics
						  : &timeout_ms) = atoi(optarg);
	for (int i = optind + 2; i < argc && config.count < MAX_PROPERTIES; i++)
	{
		char *value = strchr(argv[i], '=');

		*value = '\0';
		properties[config.count++] = (SqKafkaProperty){argv[i], value + 1};
	}
	if (!sq_kafka_settings_speak(&config, reason, sizeof(reason)))
	{
		printf("not spoken: %s\n", reason);
		return 1;
	}
	for (int i = 0; i < count; i++)
	{
		result = connect_once(&config, argv[optind], atoi(argv[optind + 1]),
							  i == count - 1);
		sq_kafka_thread_wait(5000);
		if (i == 0)
		{
			descriptors = count_entries("/proc/self/fd");
			threads = count_threads(3);
			bytes = __sanitizer_get_current_allocated_bytes();
		}
	}
	if (count > 1)
		printf("left %d descriptors %d threads %lld bytes\n",
			   count_entries("/proc/self/fd") - descriptors,
			   count_threads(threads) - threads,
			   (long long) (__sanitizer_get_current_allocated_bytes() - bytes));
	return result;
}
