/*
 * kafka_mock.h
 *		An embedded broker for the tests of room kafka, and what fills it.
 *
 * The cluster is librdkafka's mock, inside a producer of this process.
 */
#ifndef SQ_KAFKA_MOCK_H
#define SQ_KAFKA_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <dirent.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kafka/kafka.h"
#include "unit.h"

typedef struct Mock
{
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	const char *brokers;
} Mock;

static inline double
mock_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static inline Mock
mock_start(int brokers)
{
	char reason[512];
	Mock mock;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set(conf, "linger.ms", "200", reason, sizeof(reason));
	rd_kafka_conf_set(conf, "queue.buffering.max.messages", "2000000", reason,
					  sizeof(reason));
	rd_kafka_conf_set(conf, "log_level", "0", reason, sizeof(reason));
	mock.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
	mock.cluster = rd_kafka_mock_cluster_new(mock.rk, brokers);
	mock.brokers = rd_kafka_mock_cluster_bootstraps(mock.cluster);
	rd_kafka_brokers_add(mock.rk, mock.brokers);
	return mock;
}

static inline void
mock_stop(Mock *mock)
{
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->rk);
}

/* One record; value_length < 0 is a tombstone. */
static inline void
mock_put(Mock *mock, const char *topic, int partition, const char *value,
		 int value_length)
{
	rd_kafka_resp_err_t err;
	void *data = value_length < 0 ? NULL : (void *) value;
	size_t length = value_length < 0 ? 0 : value_length;

	do
	{
		err = rd_kafka_producev(mock->rk, RD_KAFKA_V_TOPIC(topic),
								RD_KAFKA_V_PARTITION(partition),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_VALUE(data, length), RD_KAFKA_V_END);
		if (err)
			rd_kafka_poll(mock->rk, 1);
	} while (err);
}

static inline void
mock_flush(Mock *mock)
{
	rd_kafka_flush(mock->rk, 20000);
}

/* count records, their values the numbers from 0 on in width digits. */
static inline void
mock_fill(Mock *mock, const char *topic, int partition, int count, int width)
{
	char *value = malloc(width + 32);

	for (int i = 0; i < count; i++)
		mock_put(mock, topic, partition, value,
				 sprintf(value, "%0*d", width, i));
	mock_flush(mock);
	free(value);
}

/* Who reads for clients that are made. */
static SqKafkaReaderKind mock_reader = SQ_KAFKA_READER_AUTO;

/* A client of these brokers; further properties by name and value. */
static inline SqKafkaClient *
mock_client(const char *brokers, const char *name, const char *value,
			SqError *error)
{
	SqKafkaProperty properties[] = {{"bootstrap.servers", brokers},
									{name, value}};
	SqKafkaConfig config = {name ? 2 : 1, properties, mock_reader};

	return sq_kafka_client_acquire(&config, error);
}

/* Wait for a call like the server does. */
static inline SqStatus
mock_wait_call(SqKafkaClient *client, SqKafkaCall *call, SqError *error)
{
	SqStatus status;

	if (call == NULL)
		return SQ_ERROR;
	while ((status = sq_kafka_call_poll(call, error)) == SQ_WAIT)
	{
		struct pollfd fd = {sq_kafka_call_fd(call), POLLIN, 0};

		if (sq_kafka_client_check(client, error) != SQ_OK)
			return SQ_ERROR;
		poll(&fd, 1, 100);
	}
	return status;
}

/* The next set, waiting at most this long: SQ_WAIT when that is over. */
static inline SqStatus
mock_wait_set(SqKafkaReader *reader, SqRecordSet **set, int timeout_ms,
			  SqError *error)
{
	double start = mock_clock();
	SqStatus status;

	while ((status = sq_kafka_reader_next(reader, set, error)) == SQ_WAIT)
	{
		struct pollfd fd = {sq_kafka_reader_fd(reader), POLLIN, 0};

		if (mock_clock() - start > timeout_ms)
			break;
		poll(&fd, 1, 100);
	}
	return status;
}

/* Read to the end: the number of records, or -1. */
static inline int64
mock_read_all(SqKafkaReader *reader, SqError *error)
{
	SqRecordSet *set;
	int64 count = 0;
	SqStatus status;

	while ((status = mock_wait_set(reader, &set, 10000, error)) == SQ_OK)
	{
		count += set->count;
		sq_kafka_set_release(set);
	}
	return status == SQ_DONE ? count : -1;
}

/* Entries of a directory of /proc/self: threads or descriptors. */
static inline int
mock_count(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

#endif
