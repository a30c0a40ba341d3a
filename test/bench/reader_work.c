/*
 * reader_work.c
 *		Our reader, by its door, with a slow consumer behind it.
 *
 * Reads a topic once like raw_consumer does, but through room kafka, and works
 * for so many ns on each record. This is the case in which librdkafka's broker
 * thread falls asleep on a full queue; the reader's flow control must not let
 * it. Prints the same line as raw_consumer, with the rate that the work alone
 * allows on this machine.
 *
 *	reader_work -b BROKERS -t TOPIC [-n BATCH] [-w NS]
 *		[-X PROPERTY=VALUE]...
 *
 * Memory: what the reader holds. Locks: none, one thread of ours.
 */
#include "base/base.h"

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "bench_util.h"
#include "kafka/kafka.h"

#define TIMEOUT_MS     10000
#define MAX_PROPERTIES 16

static void
die(const char *what, const SqError *error)
{
	fprintf(stderr, "reader_work: %s: %s %s\n", what, error->message,
			error->detail);
	exit(1);
}

static void
usage(void)
{
	fprintf(stderr, "usage: reader_work -b BROKERS -t TOPIC [-n BATCH] "
					"[-w NS] [-X PROPERTY=VALUE]...\n");
	exit(2);
}

static void
wait_readable(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	poll(&entry, 1, TIMEOUT_MS);
}

/* Every partition from its low to its high watermark; *count ranges. */
static SqKafkaRange *
ask_ranges(SqKafkaClient *client, const char *topic, int *count)
{
	SqError error;
	SqKafkaCall *call =
		sq_kafka_ask_watermarks(client, topic, TIMEOUT_MS, &error);
	const SqKafkaWatermark *marks;
	SqKafkaRange *ranges;
	SqStatus status;
	int nmarks;

	if (!call)
		die("watermarks", &error);
	while ((status = sq_kafka_call_poll(call, &error)) == SQ_WAIT)
		wait_readable(sq_kafka_call_fd(call));
	if (status == SQ_ERROR)
		die("watermarks", &error);
	marks = sq_kafka_call_watermarks(call, &nmarks);
	ranges = malloc(nmarks * sizeof(SqKafkaRange));
	*count = 0;
	for (int i = 0; i < nmarks; i++)
		if (marks[i].high > marks[i].low)
			ranges[(*count)++] =
				(SqKafkaRange){marks[i].partition, marks[i].low, marks[i].high};
	sq_kafka_call_free(call);
	return ranges;
}

/* Read to the end, working on each record. */
static void
read_all(SqKafkaReader *reader, int work_ns)
{
	SqRecordSet *set;
	SqError error;
	SqStatus status;

	while ((status = sq_kafka_reader_next(reader, &set, &error)) != SQ_DONE)
	{
		if (status == SQ_ERROR)
			die("read", &error);
		if (status == SQ_WAIT)
		{
			wait_readable(sq_kafka_reader_fd(reader));
			continue;
		}
		for (int i = 0; work_ns > 0 && i < set->count; i++)
			sq_bench_work(work_ns);
		sq_kafka_set_release(set);
	}
}

static void
measure(const SqKafkaConfig *config, const char *topic, int batch, int work_ns)
{
	SqError error;
	SqKafkaClient *client = sq_kafka_client_acquire(config, &error);
	SqKafkaReader *reader;
	const SqKafkaReaderStats *stats;
	SqKafkaRange *ranges;
	int count;
	double start;
	double cpu;

	if (!client)
		die("client", &error);
	ranges = ask_ranges(client, topic, &count);
	reader = sq_kafka_reader_open(client, topic, batch, &error);
	if (!reader)
		die("reader", &error);
	cpu = sq_bench_cpu();
	start = sq_bench_now();
	if (sq_kafka_reader_assign(reader, ranges, count, &error) == SQ_ERROR)
		die("assign", &error);
	read_all(reader, work_ns);
	start = sq_bench_now() - start;
	stats = sq_kafka_reader_stats(reader);
	printf("records=%" PRId64 " bytes=%" PRId64
		   " seconds=%.6f rate=%.0f cpu=%.3f work_rate=%.0f waits=%" PRId64
		   "\n",
		   (int64_t) stats->messages, (int64_t) stats->bytes, start,
		   stats->messages / start, sq_bench_cpu() - cpu,
		   work_ns ? sq_bench_work_rate(work_ns) : 0, (int64_t) stats->waits);
	sq_kafka_client_release(client, sq_kafka_reader_close(reader));
	sq_kafka_pool_shutdown(TIMEOUT_MS);
	free(ranges);
}

static SqKafkaProperty
parse_property(char *pair)
{
	char *equals = strchr(pair, '=');

	if (!equals)
		usage();
	*equals = '\0';
	return (SqKafkaProperty){pair, equals + 1};
}

int
main(int argc, char **argv)
{
	SqKafkaProperty properties[MAX_PROPERTIES];
	SqKafkaConfig config = {0, properties};
	const char *topic = NULL;
	int batch = 1024;
	int work_ns = 600;
	int option;

	while ((option = getopt(argc, argv, "b:t:n:w:X:")) != -1 &&
		   config.count < MAX_PROPERTIES)
		switch (option)
		{
			case 'b':
				properties[config.count++] =
					(SqKafkaProperty){"bootstrap.servers", optarg};
				break;
			case 't':
				topic = optarg;
				break;
			case 'n':
				batch = atoi(optarg);
				break;
			case 'w':
				work_ns = atoi(optarg);
				break;
			case 'X':
				properties[config.count++] = parse_property(optarg);
				break;
			default:
				usage();
		}
	if (config.count == 0 || !topic)
		usage();
	sq_bench_calibrate();
	measure(&config, topic, batch, work_ns);
	return 0;
}
