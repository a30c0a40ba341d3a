/*
 * kafka_writer_test.c
 *		Writers against the embedded broker: what is written is what is read,
 *		where it is placed, transactions, errors, and what is left of them.
 *
 * Links: src/kafka, src/base, librdkafka, pthread.
 */
#include "kafka_mock.h"

static Mock mock;
static SqError error;

/* Requests of the protocol, by their numbers. */
#define PRODUCE          0
#define INIT_PRODUCER_ID 22
#define ADD_PARTITIONS   24
#define END_TRANSACTION  26

/* ---- Helpers ---- */

static SqKafkaWriter *
acquire(const char *id, const char *name, const char *value)
{
	SqKafkaProperty properties[] = {{"bootstrap.servers", mock.brokers},
									{name, value}};
	SqKafkaConfig config = {name ? 2 : 1, properties, SQ_KAFKA_READER_AUTO};

	return sq_kafka_writer_acquire(&config, id, &error);
}

typedef SqStatus (*Step)(SqKafkaWriter *writer, SqError *error);

/* A step to its end, waiting as the server does; SQ_WAIT: it takes longer. */
static SqStatus
wait_step(SqKafkaWriter *writer, Step step, int timeout_ms)
{
	double start = mock_clock();
	SqStatus status;

	while ((status = step(writer, &error)) == SQ_WAIT)
	{
		struct pollfd fd = {sq_kafka_writer_fd(writer), POLLIN, 0};

		if (mock_clock() - start > timeout_ms)
			break;
		if (sq_kafka_writer_check(writer, &error) != SQ_OK)
			return SQ_ERROR;
		poll(&fd, 1, 100);
	}
	return status;
}

static SqStatus
finish(SqKafkaWriter *writer, Step step)
{
	return wait_step(writer, step, 20000);
}

static SqSlice
slice(const char *string)
{
	return string == NULL ? SQ_NULL_SLICE : (SqSlice){string, strlen(string)};
}

/* Put a record, however long the queue is. */
static SqStatus
put(SqKafkaWriter *writer, const char *topic, SqKafkaDraft draft)
{
	SqStatus status;

	while ((status = sq_kafka_writer_put(writer, topic, &draft, &error)) ==
		   SQ_WAIT)
	{
		struct pollfd fd = {sq_kafka_writer_fd(writer), POLLIN, 0};

		if (poll(&fd, 1, 10000) <= 0)
			return SQ_WAIT;
	}
	return status;
}

static SqStatus
put_text(SqKafkaWriter *writer, const char *topic, const char *key,
		 const char *value)
{
	return put(writer, topic,
			   (SqKafkaDraft){
				   .partition = -1, .key = slice(key), .value = slice(value)});
}

/* The high watermark of a partition. */
static int64
end_of(const char *topic, int32 partition)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call =
		sq_kafka_ask_ends(client, topic, &partition, 1, 5000, &error);
	int64 end = -1;
	int count;

	if (mock_wait_call(client, call, &error) == SQ_OK)
		end = sq_kafka_call_watermarks(call, &count)[0].high;
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, true);
	return end;
}

/* The records of a partition, as one set. */
static SqRecordSet *
read_partition(SqKafkaClient *client, SqKafkaReader **reader, const char *topic,
			   int32 partition)
{
	SqKafkaRange range = {partition, 0, end_of(topic, partition)};
	SqRecordSet *set = NULL;

	*reader = sq_kafka_reader_open(client, topic, 1000, &error);
	sq_kafka_reader_assign(*reader, &range, 1, &error);
	CHECK_INT(mock_wait_set(*reader, &set, 10000, &error), SQ_OK);
	return set;
}

static bool
is_slice(SqSlice actual, const char *expected)
{
	if (actual.data == NULL || expected == NULL)
		return actual.data == NULL && expected == NULL;
	return actual.length == strlen(expected) &&
		   memcmp(actual.data, expected, actual.length) == 0;
}

/* ---- What is written is what is read ---- */

static void
test_round_trip(void)
{
	SqKafkaWriter *writer = acquire(NULL, NULL, NULL);
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqHeader headers[] = {
		{"a", {"1", 1}}, {"b", SQ_NULL_SLICE}, {"a", {"", 0}}};
	SqKafkaReader *reader;
	SqRecordSet *set;
	const SqHeader *read;
	int count;

	CHECK_INT(
		put(writer, "trip",
			(SqKafkaDraft){1, 1767225600123, {"k", 1}, {"v", 1}, 3, headers}),
		SQ_OK);
	CHECK_INT(put(writer, "trip", (SqKafkaDraft){.partition = 1}), SQ_OK);
	CHECK_INT(
		put(writer, "trip",
			(SqKafkaDraft){.partition = 1, .key = {"", 0}, .value = {"", 0}}),
		SQ_OK);
	CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
	CHECK_INT(sq_kafka_writer_stats(writer)->acknowledged, 3);
	CHECK_INT(sq_kafka_writer_stats(writer)->records, 3);
	CHECK_INT(sq_kafka_writer_stats(writer)->bytes, 2 + 4);
	set = read_partition(client, &reader, "trip", 1);
	CHECK_INT(set->count, 3);
	CHECK_INT(set->records[0].timestamp, 1767225600123);
	CHECK(is_slice(set->records[0].key, "k"));
	CHECK(is_slice(set->records[0].value, "v"));
	CHECK(is_slice(set->records[1].key, NULL));
	CHECK(is_slice(set->records[1].value, NULL));
	CHECK(set->records[1].timestamp > 1767225600123);
	CHECK(is_slice(set->records[2].key, ""));
	CHECK(is_slice(set->records[2].value, ""));
	read = sq_kafka_set_headers(set, 0, &count);
	CHECK_INT(count, 3);
	CHECK(count == 3 && strcmp(read[0].name, "a") == 0 &&
		  is_slice(read[0].value, "1"));
	CHECK(count == 3 && strcmp(read[1].name, "b") == 0 &&
		  is_slice(read[1].value, NULL));
	CHECK(count == 3 && strcmp(read[2].name, "a") == 0 &&
		  is_slice(read[2].value, ""));
	sq_kafka_set_release(set);
	sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, true);
	sq_kafka_writer_release(writer);
}

/*
 * Where keys go: murmur2 of Java's clients (Utils.murmur2, whose own test has
 * these keys and hashes), its sign bit dropped, modulo the partitions.
 */
static void
test_placement(void)
{
	static const struct
	{
		const char *key;
		uint32 hash;
	} vectors[] = {{"21", (uint32) -973932308},
				   {"foobar", (uint32) -790332482},
				   {"a-little-bit-long-string", (uint32) -985981536},
				   {"a-little-bit-longer-string", (uint32) -1486304829},
				   {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
					(uint32) -58897971},
				   {"abc", 479470107}};
	SqKafkaWriter *writer = acquire(NULL, NULL, NULL);
	const SqKafkaWritten *written;
	int count;

	for (int i = 0; i < (int) lengthof(vectors); i++)
	{
		char topic[32];

		snprintf(topic, sizeof(topic), "place%d", i);
		CHECK_INT(put_text(writer, topic, vectors[i].key, "x"), SQ_OK);
	}
	CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
	written = sq_kafka_writer_written(writer, &count);
	CHECK_INT(count, lengthof(vectors));
	for (int i = 0; i < count; i++)
		CHECK_NAMED(written[i].partition ==
						(int32) ((vectors[i].hash & 0x7fffffff) % 7),
					"key %s is in partition %d", vectors[i].key,
					(int) written[i].partition);
	sq_kafka_writer_release(writer);
}

/* A queue of few records fills up, and is waited for by its descriptor. */
static void
test_full_queue(void)
{
	SqKafkaWriter *writer =
		acquire(NULL, "queue.buffering.max.messages", "100");
	int bad = 0;

	for (int i = 0; i < 20000; i++)
		bad += put_text(writer, "queue", NULL, "x") != SQ_OK;
	CHECK_INT(bad, 0);
	CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
	CHECK_INT(end_of("queue", 0), 20000);
	sq_kafka_writer_release(writer);
}

/* ---- Transactions ---- */

static SqStatus
transaction(SqKafkaWriter *writer)
{
	SqStatus status = finish(writer, sq_kafka_writer_begin);

	if (status == SQ_OK)
		status = put_text(writer, "faults", NULL, "x");
	if (status == SQ_OK)
		status = finish(writer, sq_kafka_writer_flush);
	if (status == SQ_OK)
		status = finish(writer, sq_kafka_writer_commit);
	return status;
}

static void
test_transactions(void)
{
	SqKafkaWriter *writer = acquire("id-1", NULL, NULL);
	SqKafkaWriter *again;
	const SqKafkaWritten *written;
	int count;

	for (int i = 0; i < 3; i++)
	{
		CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
		CHECK_INT(put_text(writer, "tx", NULL, "x"), SQ_OK);
		CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
		written = sq_kafka_writer_written(writer, &count);
		CHECK(count == 1 && written[0].offset == i);
		CHECK_INT(finish(writer, sq_kafka_writer_commit), SQ_OK);
		sq_kafka_writer_release(writer);
		again = acquire("id-1", NULL, NULL);
		CHECK_NAMED(again == writer, "the pool gives the same writer");
		CHECK_INT(sq_kafka_writer_stats(again)->records, 0);
	}
	CHECK_INT(end_of("tx", 0), 3);
	/* aborted by itself, and the next owner waits for it */
	CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
	CHECK_INT(put_text(writer, "tx", NULL, "x"), SQ_OK);
	sq_kafka_writer_release(writer);
	again = acquire("id-1", NULL, NULL);
	CHECK_INT(finish(again, sq_kafka_writer_begin), SQ_OK);
	CHECK_INT(put_text(again, "tx", NULL, "x"), SQ_OK);
	CHECK_INT(finish(again, sq_kafka_writer_abort), SQ_OK);
	/* in mid flush */
	CHECK_INT(finish(again, sq_kafka_writer_begin), SQ_OK);
	CHECK_INT(put_text(again, "tx", NULL, "x"), SQ_OK);
	CHECK_INT(sq_kafka_writer_flush(again, &error), SQ_WAIT);
	sq_kafka_writer_release(again);
	writer = acquire("id-1", NULL, NULL);
	CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
	CHECK_INT(finish(writer, sq_kafka_writer_commit), SQ_OK);
	sq_kafka_writer_release(writer);
	again = acquire("id-2", NULL, NULL);
	CHECK_NAMED(again != writer, "another id is another writer");
	sq_kafka_writer_release(again);
}

/* ---- Errors ---- */

static void
test_refused_records(void)
{
	SqKafkaWriter *writer = acquire(NULL, NULL, NULL);
	char *large = calloc(2000000, 1);

	CHECK_INT(put(writer, "refused",
				  (SqKafkaDraft){.partition = -1, .value = {large, 2000000}}),
			  SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_PROGRAM_LIMIT_EXCEEDED);
	CHECK_STR(error.message, "record is too large for topic \"refused\"");
	free(large);
	sq_kafka_writer_release(writer);
	writer = acquire(NULL, NULL, NULL);
	if (put(writer, "refused", (SqKafkaDraft){.partition = 99}) == SQ_OK)
		CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INVALID_PARAMETER_VALUE);
	CHECK_STR(error.message, "topic \"refused\" has no partition 99");
	sq_kafka_writer_release(writer);
	CHECK(acquire(NULL, "acks", "1") == NULL);
	CHECK_NAMED(strstr(error.detail, "acks") != NULL, "%s", error.detail);
}

/* A fault that comes once is cured, one that stays is told. */
static void
inject(int16_t request, rd_kafka_resp_err_t code, int times)
{
	for (int i = 0; i < times; i++)
		rd_kafka_mock_push_request_errors(mock.cluster, request, 1, code);
}

static void
test_faults(void)
{
	SqKafkaWriter *writer = acquire("faults", NULL, NULL);

	inject(INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 1);
	CHECK_INT(transaction(writer), SQ_OK);
	inject(PRODUCE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 1);
	CHECK_INT(transaction(writer), SQ_OK);
	inject(ADD_PARTITIONS, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, 1);
	CHECK_INT(transaction(writer), SQ_OK);
	inject(END_TRANSACTION, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 1);
	CHECK_INT(transaction(writer), SQ_OK);
	/* known not to be committed; the writer is good for the next one */
	inject(ADD_PARTITIONS, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1);
	CHECK_INT(transaction(writer), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INSUFFICIENT_PRIVILEGE);
	CHECK_STR(error.message, "permission denied for topic \"faults\"");
	sq_kafka_writer_release(writer);
	writer = acquire("faults", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	/* fenced: the writer is dead, and its successor another one */
	inject(PRODUCE, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, 1);
	CHECK_INT(transaction(writer), SQ_ERROR);
	CHECK_NAMED(error.sqlstate == ERRCODE_TRANSACTION_ROLLBACK, "%s / %s",
				error.message, error.detail);
	sq_kafka_writer_release(writer);
	writer = acquire("faults", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	inject(END_TRANSACTION, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, 1);
	CHECK_INT(transaction(writer), SQ_ERROR);
	CHECK_NAMED(error.sqlstate == ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
				"%s / %s", error.message, error.detail);
	sq_kafka_writer_release(writer);
	writer = acquire("faults", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	sq_kafka_writer_release(writer);
}

/* A record that a broker refuses, or a failed beginning, is the fault of one
 * transaction and not of the next one. */
static void
test_next_is_well(void)
{
	const rd_kafka_resp_err_t codes[] = {
		RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_INVALID_MSG,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED};
	SqKafkaWriter *writer;

	for (int i = 0; i < (int) lengthof(codes); i++)
	{
		for (int flushed = 0; flushed < 2; flushed++)
		{
			writer = acquire("next", NULL, NULL);
			CHECK_INT(transaction(writer), SQ_OK);
			CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
			inject(PRODUCE, codes[i], 1);
			CHECK_INT(put_text(writer, "faults", NULL, "x"), SQ_OK);
			if (flushed)
				CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_ERROR);
			else
				poll(NULL, 0, 300);
			sq_kafka_writer_release(writer);
			writer = acquire("next", NULL, NULL);
			CHECK_NAMED(transaction(writer) == SQ_OK, "%d: %s / %s", codes[i],
						error.message, error.detail);
			sq_kafka_writer_release(writer);
		}
		writer = acquire(NULL, NULL, NULL);
		inject(PRODUCE, codes[i], 1);
		CHECK_INT(put_text(writer, "faults", NULL, "x"), SQ_OK);
		CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_ERROR);
		sq_kafka_writer_release(writer);
		writer = acquire(NULL, NULL, NULL);
		CHECK_INT(put_text(writer, "faults", NULL, "x"), SQ_OK);
		CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
		sq_kafka_writer_release(writer);
	}
	writer = acquire("begins", NULL, NULL);
	inject(INIT_PRODUCER_ID,
		   RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 1);
	CHECK_INT(transaction(writer), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INSUFFICIENT_PRIVILEGE);
	sq_kafka_writer_release(writer);
	writer = acquire("begins", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	sq_kafka_writer_release(writer);
}

/* A cluster that does not answer: steps wait, and giving up costs nothing. */
static void
test_silence(void)
{
	SqKafkaWriter *writer = acquire("silence", NULL, NULL);
	double start;

	CHECK_INT(transaction(writer), SQ_OK);
	CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
	rd_kafka_mock_broker_set_down(mock.cluster, 1);
	CHECK_INT(put_text(writer, "faults", NULL, "x"), SQ_OK);
	CHECK_INT(wait_step(writer, sq_kafka_writer_flush, 500), SQ_WAIT);
	start = mock_clock();
	sq_kafka_writer_release(writer);
	CHECK(mock_clock() - start < 50);
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	writer = acquire("silence", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	/* in the middle of a commit: whether it was made nobody knows */
	CHECK_INT(finish(writer, sq_kafka_writer_begin), SQ_OK);
	CHECK_INT(put_text(writer, "faults", NULL, "x"), SQ_OK);
	CHECK_INT(finish(writer, sq_kafka_writer_flush), SQ_OK);
	rd_kafka_mock_broker_set_down(mock.cluster, 1);
	CHECK_INT(wait_step(writer, sq_kafka_writer_commit, 300), SQ_WAIT);
	start = mock_clock();
	sq_kafka_writer_release(writer);
	CHECK(mock_clock() - start < 50);
	/* a first begin */
	writer = acquire("never", NULL, NULL);
	CHECK_INT(wait_step(writer, sq_kafka_writer_begin, 300), SQ_WAIT);
	sq_kafka_writer_release(writer);
	rd_kafka_mock_broker_set_up(mock.cluster, 1);
	writer = acquire("silence", NULL, NULL);
	CHECK_INT(transaction(writer), SQ_OK);
	sq_kafka_writer_release(writer);
}

int
main(void)
{
	int threads, descriptors;

	mock = mock_start(1);
	rd_kafka_mock_topic_create(mock.cluster, "trip", 2, 1);
	rd_kafka_mock_topic_create(mock.cluster, "queue", 1, 1);
	rd_kafka_mock_topic_create(mock.cluster, "tx", 1, 1);
	rd_kafka_mock_topic_create(mock.cluster, "refused", 4, 1);
	rd_kafka_mock_topic_create(mock.cluster, "faults", 1, 1);
	for (int i = 0; i < 6; i++)
	{
		char topic[32];

		snprintf(topic, sizeof(topic), "place%d", i);
		rd_kafka_mock_topic_create(mock.cluster, topic, 7, 1);
	}
	threads = mock_count("/proc/self/task");
	descriptors = mock_count("/proc/self/fd");
	test_round_trip();
	test_placement();
	test_full_queue();
	test_transactions();
	test_refused_records();
	test_faults();
	test_next_is_well();
	test_silence();
	CHECK(sq_kafka_pool_shutdown(20000));
	/* a thread has done its work a moment before it is gone */
	for (int i = 0; i < 100 && mock_count("/proc/self/task") > threads; i++)
		poll(NULL, 0, 10);
	CHECK_INT(mock_count("/proc/self/task"), threads);
	CHECK(mock_count("/proc/self/fd") <= descriptors + 12);
	mock_stop(&mock);
	return unit_end();
}
