/*
 * mock_broker.c
 *		librdkafka's mock cluster as a process that tests can steer.
 *
 *	mock_broker CONTROL [BROKERS]
 *
 * Listens on the unix socket CONTROL and prints the bootstrap servers on a
 * line of standard output when it is ready. Each line sent to the socket is a
 * command, answered by "ok" or "error: …":
 *
 *	topic NAME PARTITIONS		create a topic
 *	topic_error NAME CODE		let requests for it fail (0: no longer)
 *	rtt BROKER MS				delay every answer
 *	down BROKER | up BROKER		refuse connections, accept them again
 *	error APIKEY CODE COUNT		let the next COUNT requests fail (0: no more)
 *	leader TOPIC PARTITION BROKER
 *	follower TOPIC PARTITION BROKER	who is to be asked instead; -1: nobody
 *	versions APIKEY MIN MAX		that brokers say they speak
 *
 * Ends by a signal. One thread serves the socket, one
 * connection at a time.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

static rd_kafka_mock_cluster_t *cluster;

static void
fail(const char *what)
{
	fprintf(stderr, "mock_broker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Let the next requests of a kind fail. */
static rd_kafka_resp_err_t
push_errors(int api, int code, int count)
{
	rd_kafka_resp_err_t errors[1000];

	if (count == 0)
		rd_kafka_mock_clear_request_errors(cluster, (int16_t) api);
	if (count < 0 || count > 1000)
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	for (int i = 0; i < count; i++)
		errors[i] = (rd_kafka_resp_err_t) code;
	if (count > 0)
		rd_kafka_mock_push_request_errors_array(cluster, (int16_t) api, count,
												errors);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Carry out one command; its error, or NO_ERROR. */
static rd_kafka_resp_err_t
run_command(const char *line)
{
	char name[256];
	int a, b, c;

	if (sscanf(line, "topic %255s %d", name, &a) == 2)
		return rd_kafka_mock_topic_create(cluster, name, a, 1);
	if (sscanf(line, "topic_error %255s %d", name, &a) == 2)
	{
		rd_kafka_mock_topic_set_error(cluster, name, (rd_kafka_resp_err_t) a);
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	}
	if (sscanf(line, "rtt %d %d", &a, &b) == 2)
		return rd_kafka_mock_broker_set_rtt(cluster, a, b);
	if (sscanf(line, "down %d", &a) == 1)
		return rd_kafka_mock_broker_set_down(cluster, a);
	if (sscanf(line, "up %d", &a) == 1)
		return rd_kafka_mock_broker_set_up(cluster, a);
	if (sscanf(line, "error %d %d %d", &a, &b, &c) == 3)
		return push_errors(a, b, c);
	if (sscanf(line, "leader %255s %d %d", name, &a, &b) == 3)
		return rd_kafka_mock_partition_set_leader(cluster, name, a, b);
	if (sscanf(line, "follower %255s %d %d", name, &a, &b) == 3)
		return rd_kafka_mock_partition_set_follower(cluster, name, a, b);
	if (sscanf(line, "versions %d %d %d", &a, &b, &c) == 3)
		return rd_kafka_mock_set_apiversion(cluster, (int16_t) a, (int16_t) b,
											(int16_t) c);
	return RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED;
}

/* Serve one connection until its end. */
static void
serve(int connection)
{
	FILE *in = fdopen(connection, "r+");
	char line[1024];

	if (in == NULL)
		fail("fdopen");
	while (fgets(line, sizeof(line), in) != NULL)
	{
		rd_kafka_resp_err_t error = run_command(line);

		fseek(in, 0, SEEK_CUR);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			fprintf(in, "ok\n");
		else
			fprintf(in, "error: %s\n", rd_kafka_err2str(error));
		fflush(in);
	}
	fclose(in);
}

static int
listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	if (listener < 0 || strlen(path) >= sizeof(address.sun_path))
		fail(path);
	strcpy(address.sun_path, path);
	unlink(path);
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		listen(listener, 10) < 0)
		fail(path);
	return listener;
}

static void
start_cluster(int brokers)
{
	char text[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "log_level", "3", text, sizeof(text));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (rk == NULL)
		fail(text);
	cluster = rd_kafka_mock_cluster_new(rk, brokers);
	if (cluster == NULL)
		fail("mock cluster");
}

int
main(int argc, char **argv)
{
	int listener;

	if (argc < 2)
	{
		fprintf(stderr, "usage: mock_broker CONTROL [BROKERS]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	start_cluster(argc > 2 ? atoi(argv[2]) : 1);
	listener = listen_on(argv[1]);
	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	for (;;)
	{
		int connection = accept(listener, NULL, NULL);

		if (connection >= 0)
			serve(connection);
		else if (errno != EINTR)
			fail("accept");
	}
}
