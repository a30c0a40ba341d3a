/*
 * kafka_reader_test.c
 *		Readers and record sets against the embedded broker.
 *
 * Links: src/kafka, src/base, librdkafka, pthread.
 */
#include "kafka_mock.h"

static Mock mock;
static SqError error;

/* ---- Ranges ---- */

/* Read the ranges and check every record's place; the number of records. */
static int64
read_ranges(SqKafkaReader *reader, const SqKafkaRange *ranges, int count,
			bool *good)
{
	SqRecordSet *set;
	SqStatus status;
	int64 total = 0;
	int64 next[64] = {0};

	*good = true;
	if (sq_kafka_reader_assign(reader, ranges, count, &error) != SQ_OK)
		return -1;
	while ((status = mock_wait_set(reader, &set, 10000, &error)) == SQ_OK)
	{
		for (int i = 0; i < set->count; i++)
		{
			const SqRecord *record = &set->records[i];
			bool inside = false;

			for (int r = 0; r < count; r++)
				inside = inside || (ranges[r].partition == record->partition &&
									record->offset >= ranges[r].begin &&
									record->offset < ranges[r].end);
			if (!inside || record->offset < next[record->partition] ||
				atoi(record->value.data) != record->offset)
				*good = false;
			next[record->partition] = record->offset + 1;
		}
		total += set->count;
		sq_kafka_set_release(set);
	}
	return status == SQ_DONE ? total : -1;
}

static void
test_ranges(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader =
		sq_kafka_reader_open(client, "ranges", 1000, &error);
	bool good;
	SqKafkaRange whole[] = {{0, 0, 20000}, {1, 0, 20000}, {2, 0, 20000}};
	SqKafkaRange parts[] = {{0, 0, 1},        {0, 5, 10},        {0, 400, 410},
							{0, 5000, 6001},  {1, 19999, 20000}, {2, 3, 4},
							{2, 19000, 20000}};

	CHECK_INT(read_ranges(reader, whole, 3, &good), 60000);
	CHECK_NAMED(good, "whole partitions are in order");
	CHECK_INT(read_ranges(reader, parts, 7, &good),
			  1 + 5 + 10 + 1001 + 1 + 1 + 1000);
	CHECK_NAMED(good, "parts are in order and nothing else came");
	CHECK_INT(read_ranges(reader, whole + 1, 1, &good), 20000);
	CHECK_NAMED(good, "another partition alone");
	CHECK_INT(sq_kafka_reader_assign(reader, NULL, 0, &error), SQ_OK);
	{
		SqRecordSet *set;

		CHECK_INT(sq_kafka_reader_next(reader, &set, &error), SQ_DONE);
	}
	CHECK_INT(sq_kafka_reader_stats(reader)->messages, 60000 + 2019 + 20000);
	CHECK(sq_kafka_reader_close(reader));
	sq_kafka_client_release(client, true);
}

/* An assignment in the middle of another: nothing of the first comes up. */
static void
test_reassign(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "ranges", 10, &error);
	SqKafkaRange whole[] = {{0, 0, 20000}, {1, 0, 20000}};
	int bad = 0;
	double start = mock_clock();
	double spent = 0;
	int rounds = 500;

	for (int i = 0; i < rounds; i++)
	{
		SqKafkaRange one = {i % 3, (i * 37) % 20000, 20000};
		SqRecordSet *set;
		double before;

		sq_kafka_reader_assign(reader, whole, 2, &error);
		if (mock_wait_set(reader, &set, 5000, &error) == SQ_OK)
			sq_kafka_set_release(set);
		else
			bad++;
		before = mock_clock();
		sq_kafka_reader_assign(reader, &one, 1, &error);
		if (mock_wait_set(reader, &set, 5000, &error) != SQ_OK)
		{
			bad++;
			continue;
		}
		spent += mock_clock() - before;
		if (set->records[0].partition != one.partition ||
			set->records[0].offset != one.begin)
			bad++;
		sq_kafka_set_release(set);
	}
	CHECK_INT(bad, 0);
	printf("# assign to first record: %.2f ms, of both %.2f ms\n",
		   spent / rounds, (mock_clock() - start) / rounds);
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* One record a range, as an index lookup does: how long does each take? */
static void
test_points(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "ranges", 100, &error);
	int bad = 0;
	int rounds = 300;
	double start = mock_clock();

	for (int i = 0; i < rounds; i++)
	{
		int64 at = i % 2 ? 19999 : i * 7;
		SqKafkaRange one = {i % 3, at, at + 1};
		bool good;

		bad += read_ranges(reader, &one, 1, &good) != 1 || !good;
	}
	CHECK_INT(bad, 0);
	printf("# point: %.2f ms\n", (mock_clock() - start) / rounds);
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* LIMIT 1 on a pooled client. */
static void
test_open_close(void)
{
	double spent = 0;
	double worst = 0;
	int bad = 0;
	int rounds = 200;

	for (int i = 0; i < rounds; i++)
	{
		double start = mock_clock();
		SqKafkaRange ranges[] = {{0, 0, 20000}, {1, 0, 20000}, {2, 0, 20000}};
		SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
		SqKafkaReader *reader =
			sq_kafka_reader_open(client, "ranges", 1024, &error);
		SqRecordSet *set;
		bool healthy;
		double took;

		sq_kafka_reader_assign(reader, ranges, 3, &error);
		if (mock_wait_set(reader, &set, 5000, &error) != SQ_OK)
			bad++;
		healthy = sq_kafka_reader_close(reader);
		if (set != NULL)
			sq_kafka_set_release(set);
		sq_kafka_client_release(client, healthy);
		took = mock_clock() - start;
		spent += took;
		worst = took > worst ? took : worst;
	}
	CHECK_INT(bad, 0);
	printf("# open, first record, close: %.2f ms, worst %.2f ms\n",
		   spent / rounds, worst);
}

/* ---- Records ---- */

static void
put_special(void)
{
	rd_kafka_producev(
		mock.rk, RD_KAFKA_V_TOPIC("special"), RD_KAFKA_V_PARTITION(0),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("k", 1),
		RD_KAFKA_V_VALUE("v", 1), RD_KAFKA_V_TIMESTAMP(1700000000123),
		RD_KAFKA_V_HEADER("a", "1", 1), RD_KAFKA_V_HEADER("b", NULL, 0),
		RD_KAFKA_V_HEADER("a", "", 0), RD_KAFKA_V_END);
	rd_kafka_producev(
		mock.rk, RD_KAFKA_V_TOPIC("special"), RD_KAFKA_V_PARTITION(0),
		RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("", 0),
		RD_KAFKA_V_VALUE(NULL, 0), RD_KAFKA_V_END);
	rd_kafka_producev(mock.rk, RD_KAFKA_V_TOPIC("special"),
					  RD_KAFKA_V_PARTITION(0),
					  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					  RD_KAFKA_V_VALUE("", 0), RD_KAFKA_V_END);
	mock_flush(&mock);
}

/* The next record; its set, which the next call may release, and its place
 * there. */
static SqRecord
next_record(SqKafkaReader *reader, SqRecordSet **set, int *at)
{
	static const SqRecord none = {.offset = -1};

	if (*set == NULL || ++*at == (*set)->count)
	{
		if (*set != NULL)
			sq_kafka_set_release(*set);
		*set = NULL;
		*at = 0;
		if (mock_wait_set(reader, set, 5000, &error) != SQ_OK)
			return none;
	}
	return (*set)->records[*at];
}

static void
test_records(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader =
		sq_kafka_reader_open(client, "special", 1000, &error);
	SqKafkaRange range = {0, 0, 3};
	SqRecordSet *set = NULL;
	const SqHeader *headers;
	SqRecord record;
	int count;
	int at;

	sq_kafka_reader_assign(reader, &range, 1, &error);
	record = next_record(reader, &set, &at);
	CHECK_INT(record.offset, 0);
	CHECK_INT(record.timestamp, 1700000000123);
	CHECK_INT(record.timestamp_type, SQ_TIMESTAMP_CREATE);
	CHECK(record.key.length == 1 && *record.key.data == 'k');
	CHECK(record.value.length == 1 && *record.value.data == 'v');
	headers = sq_kafka_set_headers(set, at, &count);
	CHECK_INT(count, 3);
	CHECK_STR(headers[0].name, "a");
	CHECK_STR(headers[1].name, "b");
	CHECK(headers[1].value.data == NULL);
	CHECK(headers[2].value.data != NULL && headers[2].value.length == 0);
	record = next_record(reader, &set, &at);
	CHECK(record.key.data != NULL && record.key.length == 0);
	CHECK(record.value.data == NULL);
	CHECK(sq_kafka_set_headers(set, at, &count) == NULL && count == 0);
	record = next_record(reader, &set, &at);
	CHECK(record.key.data == NULL);
	CHECK(record.value.data != NULL && record.value.length == 0);
	CHECK(sq_kafka_reader_close(reader));
	CHECK_NAMED(set->records[at].offset == 2, "a set outlives its reader");
	sq_kafka_set_release(set);
	sq_kafka_client_release(client, true);
}

static void
put_large(void)
{
	char *value = malloc(900000);

	memset(value, 'x', 900000);
	for (int i = 0; i < 3; i++)
		mock_put(&mock, "large", 0, value, 900000);
	mock_flush(&mock);
	free(value);
}

/* A record far larger than one fetch. */
static void
test_large(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "large", 10, &error);
	SqKafkaRange range = {0, 0, 3};

	sq_kafka_reader_assign(reader, &range, 1, &error);
	CHECK_INT(mock_read_all(reader, &error), 3);
	CHECK_INT(sq_kafka_reader_stats(reader)->bytes, 2700000);
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* ---- Troubles ---- */

static void
test_out_of_range(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaReader *reader =
		sq_kafka_reader_open(client, "ranges", 1000, &error);
	SqKafkaRange range = {1, 50000, 50010};
	SqRecordSet *set;

	sq_kafka_reader_assign(reader, &range, 1, &error);
	CHECK_INT(mock_wait_set(reader, &set, 5000, &error), SQ_ERROR);
	CHECK_STR(error.message, "records of topic \"ranges\", partition 1 from "
							 "offset 50000 on are no longer there");
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* The broker goes away in the middle and comes back. */
static void
test_broker_loss(void)
{
	SqKafkaClient *client =
		mock_client(mock.brokers, "fetch.message.max.bytes", "20000", &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "ranges", 100, &error);
	SqKafkaRange range = {0, 0, 20000};
	SqRecordSet *set;

	/* slow enough not to be through before */
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 30);
	sq_kafka_reader_assign(reader, &range, 1, &error);
	CHECK_INT(mock_wait_set(reader, &set, 5000, &error), SQ_OK);
	sq_kafka_set_release(set);
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_down(mock.cluster, b);
	while (mock_wait_set(reader, &set, 300, &error) == SQ_OK)
		sq_kafka_set_release(set);
	CHECK(strlen(sq_kafka_client_complaint(client)) > 0);
	printf("# complaint: %s\n", sq_kafka_client_complaint(client));
	for (int b = 1; b <= 3; b++)
	{
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 0);
		rd_kafka_mock_broker_set_up(mock.cluster, b);
	}
	CHECK(mock_read_all(reader, &error) >= 0);
	CHECK_INT(sq_kafka_reader_stats(reader)->messages, 20000);
	CHECK(sq_kafka_reader_close(reader));
	sq_kafka_client_release(client, true);
}

/* The leader of the partition moves. */
static void
test_leader_change(void)
{
	SqKafkaClient *client =
		mock_client(mock.brokers, "fetch.message.max.bytes", "20000", &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "ranges", 100, &error);
	SqKafkaRange range = {0, 0, 20000};
	SqRecordSet *set;

	rd_kafka_mock_partition_set_leader(mock.cluster, "ranges", 0, 1);
	sq_kafka_reader_assign(reader, &range, 1, &error);
	CHECK_INT(mock_wait_set(reader, &set, 5000, &error), SQ_OK);
	sq_kafka_set_release(set);
	rd_kafka_mock_partition_set_leader(mock.cluster, "ranges", 0, 2);
	CHECK(mock_read_all(reader, &error) >= 0);
	CHECK_INT(sq_kafka_reader_stats(reader)->messages, 20000);
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* ---- Flow control ---- */

static void
work(double ns)
{
	struct timespec now;
	double until;

	clock_gettime(CLOCK_MONOTONIC, &now);
	until = now.tv_sec * 1e9 + now.tv_nsec + ns;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec * 1e9 + now.tv_nsec < until);
}

/* A consumer slower than the broker's thread, with a queue that fills many
 * times: without waking every filling costs up to a second, half a minute in
 * all; the bound is far from both. */
static void
test_slow_consumer(void)
{
	SqKafkaClient *client =
		mock_client(mock.brokers, "queued.min.messages", "2000", &error);
	SqKafkaReader *reader = sq_kafka_reader_open(client, "flow", 200, &error);
	SqKafkaRange ranges[] = {{0, 0, 40000}, {1, 0, 40000}};
	SqRecordSet *set;
	SqStatus status;
	int64 count = 0;
	double start = mock_clock();
	double took;

	sq_kafka_reader_assign(reader, ranges, 2, &error);
	while ((status = mock_wait_set(reader, &set, 10000, &error)) == SQ_OK)
	{
		work(5000.0 * set->count);
		count += set->count;
		sq_kafka_set_release(set);
	}
	took = mock_clock() - start;
	CHECK_INT(count, 80000);
	printf("# 80000 records with 5 us of work each: %.0f ms\n", took);
	CHECK_NAMED(took < 10000, "a slow consumer is not starved");
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
}

/* All of it, by one of the readers. */
static void
test_reader(SqKafkaReaderKind reader)
{
	mock_reader = reader;
	test_ranges();
	test_reassign();
	test_points();
	test_open_close();
	test_records();
	test_large();
	test_out_of_range();
	test_leader_change();
	test_broker_loss();
	test_slow_consumer();
}

int
main(void)
{
	mock = mock_start(3);
	rd_kafka_mock_topic_create(mock.cluster, "ranges", 3, 1);
	rd_kafka_mock_topic_create(mock.cluster, "flow", 2, 1);
	rd_kafka_mock_topic_create(mock.cluster, "special", 1, 1);
	rd_kafka_mock_topic_create(mock.cluster, "large", 1, 1);
	for (int p = 0; p < 3; p++)
		mock_fill(&mock, "ranges", p, 20000, 20);
	for (int p = 0; p < 2; p++)
		mock_fill(&mock, "flow", p, 40000, 60);
	put_special();
	put_large();
	test_reader(SQ_KAFKA_READER_WIRE);
	test_reader(SQ_KAFKA_READER_LIBRDKAFKA);
	CHECK(sq_kafka_pool_shutdown(5000));
	mock_stop(&mock);
	return unit_end();
}
