/*
 * kafka_client_test.c
 *		Properties, clients, their pool, and questions to a cluster.
 *
 * Links: src/kafka, src/base, librdkafka, pthread.
 */
#include "kafka_mock.h"

static Mock mock;
static SqError error;

/* ---- Properties ---- */

static int
flags_of(const char *option, const char *expected_name)
{
	const char *name = "";
	int flags = -1;

	if (sq_kafka_property_find(option, &name, &flags, &error) != SQ_OK)
		return -1;
	CHECK_STR(name, expected_name);
	return flags;
}

static void
test_properties(void)
{
	const char *name;
	int flags;

	CHECK_INT(flags_of("bootstrap_servers", "bootstrap.servers"), 0);
	CHECK_INT(flags_of("metadata_broker_list", "bootstrap.servers"), 0);
	CHECK_INT(flags_of("sasl_mechanism", "sasl.mechanisms"), 0);
	CHECK_INT(flags_of("isolation_level", "isolation.level"), 0);
	CHECK_INT(flags_of("sasl_password", "sasl.password"), SQ_PROPERTY_SECRET);
	CHECK_INT(flags_of("ssl_key_pem", "ssl.key.pem"), SQ_PROPERTY_SECRET);
	CHECK_INT(flags_of("group_id", "group.id"), SQ_PROPERTY_OWNED);
	CHECK_INT(flags_of("error_cb", "error_cb"), SQ_PROPERTY_OWNED);
	CHECK_INT(flags_of("enable_auto_commit", "enable.auto.commit"),
			  SQ_PROPERTY_OWNED);
	CHECK_INT(flags_of("ssl_ca_location", "ssl.ca.location"), SQ_PROPERTY_FILE);
	CHECK_INT(flags_of("offset_store_path", "offset.store.path"),
			  SQ_PROPERTY_OWNED | SQ_PROPERTY_FILE);
	CHECK_INT(flags_of("sasl_kerberos_kinit_cmd", "sasl.kerberos.kinit.cmd"),
			  SQ_PROPERTY_CODE);
	CHECK_INT(flags_of("sasl_kerberos_principal", "sasl.kerberos.principal"),
			  SQ_PROPERTY_CODE);
	CHECK_INT(flags_of("plugin_library_paths", "plugin.library.paths"),
			  SQ_PROPERTY_CODE);
	CHECK_INT(flags_of("test_mock_num_brokers", ""), -1);
	CHECK_INT(sq_kafka_property_find("bootstrap_server", &name, &flags, &error),
			  SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_FDW_INVALID_OPTION_NAME);
	CHECK_STR(error.message, "invalid option \"bootstrap_server\"");
	CHECK_STR(error.hint,
			  "Perhaps you meant the option \"bootstrap_servers\".");
	CHECK_INT(sq_kafka_property_find("xyz", &name, &flags, &error), SQ_ERROR);
	CHECK_STR(error.hint, "");
}

static void
test_values(void)
{
	CHECK_INT(sq_kafka_property_check("fetch.wait.max.ms", "5", &error), SQ_OK);
	CHECK_INT(sq_kafka_property_check("linger.ms", "5", &error), SQ_OK);
	CHECK_INT(sq_kafka_property_check("fetch.wait.max.ms", "soon", &error),
			  SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INVALID_PARAMETER_VALUE);
	CHECK_STR(error.message,
			  "invalid value for option \"fetch_wait_max_ms\": \"soon\"");
	CHECK_NAMED(strstr(error.detail, "fetch.wait.max.ms") != NULL,
				"the detail has librdkafka's text");
	CHECK_INT(
		sq_kafka_property_check("isolation.level", "serializable", &error),
		SQ_ERROR);
}

/* ---- The pool ---- */

static void
test_pool(void)
{
	SqKafkaClient *one = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaClient *two = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaClient *other = mock_client(mock.brokers, "client.id", "x", &error);
	SqKafkaClient *many[8];

	CHECK_NAMED(one != two, "a client has one owner");
	sq_kafka_client_release(one, true);
	sq_kafka_client_release(other, true);
	CHECK_NAMED(mock_client(mock.brokers, NULL, NULL, &error) == one,
				"an idle client comes back");
	sq_kafka_client_release(two, false);
	CHECK_NAMED(mock_client(mock.brokers, "client.id", "x", &error) == other,
				"only with the same configuration");
	sq_kafka_client_release(one, true);
	sq_kafka_client_release(other, true);
	for (int i = 0; i < 8; i++)
		many[i] = mock_client(mock.brokers, NULL, NULL, &error);
	for (int i = 0; i < 8; i++)
		sq_kafka_client_release(many[i], true);
	CHECK_NAMED(mock_client(mock.brokers, NULL, NULL, &error) == many[7],
				"the last one used is the first one taken");
	sq_kafka_client_release(many[7], true);
	CHECK(sq_kafka_pool_shutdown(5000));
	CHECK(mock_client(mock.brokers, "fetch.max.bytes", "1", &error) == NULL);
	CHECK_INT(error.sqlstate, ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION);
	CHECK(sq_kafka_pool_shutdown(5000));
}

/* ---- Questions ---- */

static void
test_topics(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call = sq_kafka_ask_topics(client, 5000, &error);
	const SqKafkaTopic *topics;
	int count;

	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	topics = sq_kafka_call_topics(call, &count);
	CHECK_INT(count, 3);
	CHECK_STR(topics[0].name, "empty");
	CHECK_STR(topics[1].name, "many");
	CHECK_STR(topics[2].name, "two");
	CHECK_INT(topics[1].partitions, 16);
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, true);
}

static void
test_watermarks(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call;
	const SqKafkaWatermark *marks;
	int count;
	bool good = true;

	call = sq_kafka_ask_watermarks(client, "many", 5000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	marks = sq_kafka_call_watermarks(call, &count);
	CHECK_INT(count, 16);
	for (int i = 0; i < count; i++)
		good = good && marks[i].partition == i && marks[i].low == 0 &&
			   marks[i].high == i * 10;
	CHECK_NAMED(good, "every partition has its watermarks");
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, true);
}

/* 16 partitions cost as many round trips as one: three, on a warm client. */
static void
test_round_trips(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call;
	double start;

	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 50);
	start = mock_clock();
	call = sq_kafka_ask_watermarks(client, "many", 5000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	printf("# watermarks of 16 partitions, 50 ms a round trip: %.0f ms\n",
		   mock_clock() - start);
	CHECK_NAMED(mock_clock() - start < 350, "few round trips");
	sq_kafka_call_free(call);
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 0);
	sq_kafka_client_release(client, true);
}

static void
test_missing_topic(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call;
	int count;

	call = sq_kafka_ask_watermarks(client, "nowhere", 5000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_UNDEFINED_TABLE);
	CHECK_STR(error.message, "topic \"nowhere\" does not exist");
	sq_kafka_call_free(call);
	call = sq_kafka_ask_topics(client, 5000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	sq_kafka_call_topics(call, &count);
	CHECK_NAMED(count == 3, "asking for a topic does not create it");
	sq_kafka_call_free(call);
	rd_kafka_mock_topic_create(mock.cluster, "nowhere", 1, 1);
	call = sq_kafka_ask_watermarks(client, "nowhere", 5000, &error);
	CHECK_NAMED(mock_wait_call(client, call, &error) == SQ_OK,
				"a topic is there once it was created");
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, true);
}

/* The mock knows no times; an empty partition has no record since any. */
static void
test_times(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaTime times[] = {{0, 1000, 0}, {1, 2000, 0}, {5, -7, 0}};
	SqKafkaCall *call =
		sq_kafka_ask_times(client, "many", times, 3, 5000, &error);
	const SqKafkaTime *answer;
	int count;

	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	answer = sq_kafka_call_times(call, &count);
	CHECK_INT(count, 3);
	CHECK_INT(answer[0].offset, INT64_MAX);
	CHECK_INT(answer[1].offset, -1);
	CHECK_INT(answer[2].offset, -1);
	CHECK_INT(answer[2].timestamp, -7);
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, true);
}

/* ---- Troubles ---- */

static void
test_unreachable(void)
{
	SqKafkaClient *client = mock_client("127.0.0.1:1", NULL, NULL, &error);
	double start = mock_clock();
	SqKafkaCall *call = sq_kafka_ask_watermarks(client, "two", 700, &error);

	CHECK_INT(mock_wait_call(client, call, &error), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_CONNECTION_FAILURE);
	CHECK_STR(error.message,
			  "could not reach Kafka at \"127.0.0.1:1\" within 700 ms");
	CHECK_NAMED(strstr(error.detail, "Connection refused") != NULL, "%s",
				error.detail);
	CHECK_NAMED(mock_clock() - start < 1200, "in time");
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, false);
}

static void
test_unknown_host(void)
{
	SqKafkaClient *client =
		mock_client("no-such-host.invalid:9092", NULL, NULL, &error);
	SqKafkaCall *call = sq_kafka_ask_topics(client, 20000, &error);
	double start = mock_clock();

	CHECK_INT(mock_wait_call(client, call, &error), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_CONNECTION_FAILURE);
	CHECK_STR(error.message, "could not find any host of Kafka at "
							 "\"no-such-host.invalid:9092\"");
	printf("# %s (%.0f ms)\n", error.detail, mock_clock() - start);
	sq_kafka_call_free(call);
	sq_kafka_client_release(client, false);
}

/* Answers that take longer than the first slices are heard. */
static void
test_slow_broker(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call;
	double start = mock_clock();

	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 800);
	call = sq_kafka_ask_watermarks(client, "two", 20000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	printf("# watermarks, 800 ms a round trip: %.0f ms\n",
		   mock_clock() - start);
	sq_kafka_call_free(call);
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 0);
	sq_kafka_client_release(client, true);
}

/* Answers that say «not yet» are asked for again. */
static void
test_transient_errors(void)
{
	SqKafkaClient *client = mock_client(mock.brokers, NULL, NULL, &error);
	SqKafkaCall *call;
	int count;

	rd_kafka_mock_push_request_errors(
		mock.cluster, 2 /* ListOffsets */, 4,
		RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
		RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
		RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT);
	call = sq_kafka_ask_watermarks(client, "two", 10000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	CHECK_INT(sq_kafka_call_watermarks(call, &count)[1].high, 200);
	sq_kafka_call_free(call);
	rd_kafka_mock_clear_request_errors(mock.cluster, 2);
	rd_kafka_mock_partition_set_leader(mock.cluster, "two", 0, 3);
	call = sq_kafka_ask_watermarks(client, "two", 10000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_OK);
	sq_kafka_call_free(call);
	/* more than one: a request that was given up above may still take some */
	rd_kafka_mock_push_request_errors(
		mock.cluster, 2 /* ListOffsets */, 4,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
		RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	call = sq_kafka_ask_watermarks(client, "two", 10000, &error);
	CHECK_INT(mock_wait_call(client, call, &error), SQ_ERROR);
	CHECK_INT(error.sqlstate, ERRCODE_INSUFFICIENT_PRIVILEGE);
	CHECK_STR(error.message, "permission denied for topic \"two\"");
	sq_kafka_call_free(call);
	rd_kafka_mock_clear_request_errors(mock.cluster, 2);
	rd_kafka_mock_clear_request_errors(mock.cluster, 2);
	sq_kafka_client_release(client, true);
}

/* Calls that nobody waits for leave no thread and no descriptor. */
static void
test_abandoned(void)
{
	int fds;
	int threads;
	double start;

	sq_kafka_pool_shutdown(5000);
	usleep(100000);
	fds = mock_count("/proc/self/fd");
	threads = mock_count("/proc/self/task");
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 5000);
	for (int i = 0; i < 100; i++)
	{
		bool reachable = i % 2 == 0;
		SqKafkaClient *client = mock_client(
			reachable ? mock.brokers : "127.0.0.1:1", NULL, NULL, &error);
		SqKafkaCall *call =
			sq_kafka_ask_watermarks(client, "two", 30000, &error);

		usleep(5000);
		start = mock_clock();
		sq_kafka_call_free(call);
		sq_kafka_client_release(client, false);
		if (mock_clock() - start > 20)
			CHECK_NAMED(false, "abandoning took %.0f ms", mock_clock() - start);
	}
	start = mock_clock();
	CHECK(sq_kafka_pool_shutdown(10000));
	printf("# 100 abandoned calls were gone after %.0f ms\n",
		   mock_clock() - start);
	for (int b = 1; b <= 3; b++)
		rd_kafka_mock_broker_set_rtt(mock.cluster, b, 0);
	usleep(300000);
	CHECK_NAMED(mock_count("/proc/self/task") <= threads, "no thread is left");
	CHECK_NAMED(mock_count("/proc/self/fd") <= fds,
				"no descriptor is left: %d, were %d",
				mock_count("/proc/self/fd"), fds);
}

int
main(void)
{
	mock = mock_start(3);
	rd_kafka_mock_topic_create(mock.cluster, "two", 2, 1);
	rd_kafka_mock_topic_create(mock.cluster, "empty", 1, 1);
	rd_kafka_mock_topic_create(mock.cluster, "many", 16, 1);
	mock_fill(&mock, "two", 0, 100, 10);
	mock_fill(&mock, "two", 1, 200, 10);
	for (int p = 0; p < 16; p++)
		mock_fill(&mock, "many", p, p * 10, 10);
	test_properties();
	test_values();
	test_pool();
	test_topics();
	test_watermarks();
	test_round_trips();
	test_times();
	test_missing_topic();
	test_unreachable();
	test_unknown_host();
	test_slow_broker();
	test_transient_errors();
	test_abandoned();
	CHECK(sq_kafka_pool_shutdown(5000));
	mock_stop(&mock);
	return unit_end();
}
