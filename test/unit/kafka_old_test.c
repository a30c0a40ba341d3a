/*
 * kafka_old_test.c
 *		Message sets of Kafka before 0.11, and Kafka that old: who reads them,
 *		and that nothing is lost or comes twice on the way from one reader to
 *		the other.
 *
 * Links: src/kafka, src/base, librdkafka, pthread, zlib.
 */
#include "kafka_mock.h"
#include "kafka_old_broker.h"

#define FOREVER    PG_INT64_MAX
#define OTHERS     0
#define LIBRDKAFKA 1

static OldBroker broker;
static SqError error;

/* Upgraded in mid life, now and then back; new all the time; old at first; old
 * all the time. */
static const char *const mixed[] = {"22a02", "22222", "g1222", "0zg1a"};
static const char *const old[] = {"0z0", "g1a"};

/* ---- Reading ---- */

/* Is it what the broker has there? */
static bool
is_right(const SqRecord *record)
{
	OldFormat format =
		(OldFormat) broker.log[record->partition][record->offset / OLD_CHUNK];
	SqSlice value = old_value(record->offset);
	SqSlice key = old_key(record->offset);
	SqTimestampType type = SQ_TIMESTAMP_CREATE;

	if (format == OLD_V0 || format == OLD_V0_GZIP)
		type = SQ_TIMESTAMP_NONE;
	else if (format == OLD_V1_APPEND)
		type = SQ_TIMESTAMP_APPEND;
	return record->value.length == value.length &&
		   memcmp(record->value.data, value.data, value.length) == 0 &&
		   (record->key.data == NULL) == (key.data == NULL) &&
		   record->key.length == key.length && record->timestamp_type == type &&
		   (type == SQ_TIMESTAMP_NONE ||
			record->timestamp == (type == SQ_TIMESTAMP_APPEND
									  ? OLD_APPEND_TIME
									  : OLD_TIME + record->offset));
}

/* What was handed out of a partition, offset by offset, and whether it was all
 * right: "0-19 25 27-30", with "?" behind what has wrong contents. Twice or out
 * of order shows. */
typedef struct Story
{
	char text[256];
	int64 first;
	int64 last;
} Story;

static void
tell(Story *story)
{
	size_t length = strlen(story->text);

	if (story->first < 0)
		return;
	snprintf(story->text + length, sizeof(story->text) - length,
			 story->first == story->last ? "%s%lld" : "%s%lld-%lld",
			 length > 0 ? " " : "", (long long) story->first,
			 (long long) story->last);
	story->first = -1;
}

static void
hear(Story *story, const SqRecord *record)
{
	if (story->first >= 0 && record->offset == story->last + 1)
		story->last++;
	else
	{
		tell(story);
		story->first = story->last = record->offset;
	}
	if (is_right(record))
		return;
	tell(story);
	strcat(story->text, "?");
}

/* Read the ranges by sets of so many records, until nothing comes any more:
 * what was read, by partition, in static memory: "0-49 | 0-49". */
static const char *
read_by(SqKafkaReaderKind kind, const SqKafkaRange *ranges, int count, int max,
		SqStatus *status)
{
	static char all[1024];
	Story stories[4] = {
		{.first = -1}, {.first = -1}, {.first = -1}, {.first = -1}};
	char brokers[32];
	SqKafkaProperty properties[] = {{"bootstrap.servers", brokers},
									{"check.crcs", "true"}};
	SqKafkaConfig config = {lengthof(properties), properties, kind};
	SqKafkaClient *client;
	SqKafkaReader *reader;
	SqRecordSet *set;
	bool clean;

	sq_error_clear(&error);
	atomic_store(&broker.fetches[OTHERS], 0);
	atomic_store(&broker.fetches[LIBRDKAFKA], 0);
	snprintf(brokers, sizeof(brokers), "127.0.0.1:%d", broker.port);
	client = sq_kafka_client_acquire(&config, &error);
	reader = sq_kafka_reader_open(client, broker.topic, max, &error);
	*status = sq_kafka_reader_assign(reader, ranges, count, &error);
	while (*status == SQ_OK &&
		   (*status = mock_wait_set(reader, &set, 1000, &error)) == SQ_OK)
	{
		for (int i = 0; i < set->count; i++)
			hear(&stories[set->records[i].partition], &set->records[i]);
		sq_kafka_set_release(set);
	}
	clean = sq_kafka_reader_close(reader);
	sq_kafka_client_release(client, clean);
	all[0] = '\0';
	for (int p = 0; p < broker.count; p++)
	{
		tell(&stories[p]);
		sprintf(all + strlen(all), "%s%s", p > 0 ? " | " : "", stories[p].text);
	}
	return all;
}

static bool
has_fetched(int who)
{
	return atomic_load(&broker.fetches[who]) > 0;
}

/* ---- Sets and batches mixed ---- */

static const SqKafkaRange whole[] = {
	{0, 0, 50}, {1, 0, 50}, {2, 0, 50}, {3, 0, 50}};
#define WHOLE "0-49 | 0-49 | 0-49 | 0-49"

/* The broker of the test is one: librdkafka reads all of it. */
static void
test_librdkafka(void)
{
	SqStatus status;

	CHECK_STR(read_by(SQ_KAFKA_READER_LIBRDKAFKA, whole, 4, 1000, &status),
			  WHOLE);
	CHECK_INT(status, SQ_DONE);
	CHECK(!has_fetched(OTHERS));
}

static void
test_switch(void)
{
	static const int sizes[] = {1, 3, 7, 10, 1000};
	SqStatus status;

	for (int i = 0; i < lengthof(sizes); i++)
	{
		CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, whole, 4, sizes[i], &status),
				  WHOLE);
		CHECK_INT(status, SQ_DONE);
		CHECK_NAMED(has_fetched(OTHERS) && has_fetched(LIBRDKAFKA),
					"one began, the other went on, in sets of %d", sizes[i]);
	}
}

/* After batches of which some ranges are read, and partly. */
static void
test_switch_ranges(void)
{
	static const SqKafkaRange late[] = {{0, 3, 5},   {0, 7, 13},  {0, 15, 18},
										{0, 19, 24}, {0, 28, 41}, {0, 45, 50},
										{1, 0, 1},   {1, 8, 33},  {1, 49, 50}};
	static const SqKafkaRange early[] = {
		{0, 40, 50}, {2, 2, 3}, {2, 8, 12}, {3, 11, 12}, {3, 19, 41}};
	static const SqKafkaRange last[] = {{0, 0, 50}};
	SqStatus status;

	for (int max = 1; max <= 100; max *= 10)
	{
		CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, late, 9, max, &status),
				  "3-4 7-12 15-17 19-23 28-40 45-49 | 0 8-32 49 |  | ");
		CHECK_INT(status, SQ_DONE);
		CHECK(has_fetched(OTHERS) && has_fetched(LIBRDKAFKA));
		CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, early, 5, max, &status),
				  "40-49 |  | 2 8-11 | 11 19-40");
		CHECK_INT(status, SQ_DONE);
		CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, last, 1, max, &status),
				  "0-49 |  |  | ");
		CHECK_INT(status, SQ_DONE);
	}
}

/* What needs nobody else is read without. */
static void
test_new_only(void)
{
	static const SqKafkaRange ranges[] = {
		{0, 0, 20}, {0, 40, 50}, {1, 0, 50}, {2, 20, 50}};
	SqStatus status;

	CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, ranges, 4, 1000, &status),
			  "0-19 40-49 | 0-49 | 20-49 | ");
	CHECK_INT(status, SQ_DONE);
	CHECK(!has_fetched(LIBRDKAFKA));
	/* also where what is between the ranges comes along */
	CHECK_STR(read_by(SQ_KAFKA_READER_WIRE, ranges, 4, 1000, &status),
			  "0-19 40-49 | 0-49 | 20-49 | ");
	CHECK_INT(status, SQ_DONE);
}

/* Ranges without an end: there is nothing more, but there may be. */
static void
test_switch_following(void)
{
	static const SqKafkaRange ranges[] = {{0, 5, FOREVER}, {3, 0, FOREVER}};
	SqStatus status;

	CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, ranges, 2, 4, &status),
			  "5-49 |  |  | 0-49");
	CHECK_INT(status, SQ_WAIT);
	CHECK(has_fetched(OTHERS) && has_fetched(LIBRDKAFKA));
}

/* Without leave to change: what comes before, and an error. */
static void
test_wire(void)
{
	static const SqKafkaRange range = {0, 0, 50};
	SqStatus status;

	for (int max = 1; max <= 100; max *= 10)
	{
		CHECK_STR(read_by(SQ_KAFKA_READER_WIRE, &range, 1, max, &status),
				  "0-19 |  |  | ");
		CHECK_INT(status, SQ_ERROR);
		CHECK_INT(error.sqlstate, ERRCODE_FEATURE_NOT_SUPPORTED);
		CHECK_STR(error.message, "topic \"old\" has records of an old format "
								 "that cannot be read directly");
		CHECK(!has_fetched(LIBRDKAFKA));
	}
}

/* ---- Kafka before 0.11 ---- */

static void
test_old_kafka(void)
{
	static const SqKafkaRange ranges[] = {{0, 0, 30}, {1, 12, 30}};
	SqStatus status;

	CHECK_STR(read_by(SQ_KAFKA_READER_LIBRDKAFKA, ranges, 2, 100, &status),
			  "0-29 | 12-29");
	CHECK_INT(status, SQ_DONE);
	CHECK_STR(read_by(SQ_KAFKA_READER_AUTO, ranges, 2, 100, &status),
			  "0-29 | 12-29");
	CHECK_INT(status, SQ_DONE);
	CHECK(!has_fetched(OTHERS));
	CHECK_STR(read_by(SQ_KAFKA_READER_WIRE, ranges, 2, 100, &status), " | ");
	CHECK_INT(status, SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_FEATURE_NOT_SUPPORTED);
	CHECK(strstr(error.message, "is too old to be read directly") != NULL);
}

/* A test with a broker of its own: what an earlier one asked and did not wait
 * for does not count. */
static void
run_test(OldBroker like, void (*test)(void))
{
	broker = like;
	old_start(&broker);
	test();
	CHECK(sq_kafka_pool_shutdown(5000));
	old_stop(&broker);
}

int
main(void)
{
	/* between two answers, and in mid answer */
	for (int chunks = 1; chunks <= 5; chunks += 2)
	{
		OldBroker like = {"old", lengthof(mixed), mixed, 4, chunks};

		run_test(like, test_librdkafka);
		run_test(like, test_switch);
		run_test(like, test_switch_ranges);
		run_test(like, test_new_only);
		run_test(like, test_switch_following);
		run_test(like, test_wire);
	}
	run_test((OldBroker){"old", lengthof(old), old, 3, 1}, test_old_kafka);
	return unit_end();
}
