/*
 * feed_wait.c
 *		The one place of the room that waits: on the latch and a descriptor.
 *
 * Cancel and statement_timeout arrive by the latch, so they act at once
 * whatever the broker does. Memory: none. Locks: none.
 */
#include "feed/feed_wait.h"

#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"

/* How often the state of the connection is looked at while waiting. */
#define CHECK_INTERVAL_MS 100

void
sq_feed_throw(const SqError *error)
{
	ereport(ERROR, (errcode(error->sqlstate), errmsg("%s", error->message),
					error->detail[0] ? errdetail("%s", error->detail) : 0,
					error->hint[0] ? errhint("%s", error->hint) : 0));
	pg_unreachable();
}

void
sq_feed_wait(int fd, long timeout_ms)
{
	WaitLatchOrSocket(MyLatch,
					  WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT |
						  WL_EXIT_ON_PM_DEATH,
					  fd, timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
sq_feed_client_check(SqFeedClient *client)
{
	SqError error;

	if (sq_kafka_client_check(client->kafka, &error) == SQ_ERROR)
	{
		client->broken = true;
		sq_feed_throw(&error);
	}
}

void
sq_feed_call_wait(SqFeedClient *client, SqKafkaCall *call, const SqError *error)
{
	SqError answer;
	SqStatus status;

	if (call == NULL)
		sq_feed_throw(error);
	client->call = call;
	while ((status = sq_kafka_call_poll(call, &answer)) == SQ_WAIT)
	{
		sq_feed_client_check(client);
		sq_feed_wait(sq_kafka_call_fd(call), CHECK_INTERVAL_MS);
	}
	if (status == SQ_ERROR)
	{
		sq_feed_client_end_call(client);
		client->broken = ERRCODE_TO_CATEGORY(answer.sqlstate) ==
						 ERRCODE_TO_CATEGORY(ERRCODE_CONNECTION_FAILURE);
		sq_feed_throw(&answer);
	}
}

static void
throw_timeout(SqFeedClient *client, const char *topic)
{
	const char *complaint = sq_kafka_client_complaint(client->kafka);

	client->broken = true;
	ereport(
		ERROR,
		(errcode(ERRCODE_CONNECTION_FAILURE),
		 errmsg("no answer from Kafka while reading topic \"%s\" for %d "
				"ms",
				topic, sq_broker_timeout),
		 complaint[0] ? errdetail("The last complaint was: %s.", complaint) : 0,
		 errhint("See the setting streamsql.broker_timeout.")));
}

/* Wait for the reader until something came or the time is over. */
static SqStatus
wait_for_set(SqFeedClient *client, const char *topic, SqError *error)
{
	SqStatus status;
	instr_time start, now;

	INSTR_TIME_SET_CURRENT(start);
	for (;;)
	{
		sq_feed_client_check(client);
		sq_feed_wait(sq_kafka_reader_fd(client->reader),
					 Min(CHECK_INTERVAL_MS, sq_broker_timeout));
		status = sq_kafka_reader_next(client->reader, &client->set, error);
		if (status != SQ_WAIT)
			return status;
		INSTR_TIME_SET_CURRENT(now);
		INSTR_TIME_SUBTRACT(now, start);
		if (INSTR_TIME_GET_MILLISEC(now) >= sq_broker_timeout)
			throw_timeout(client, topic);
	}
}

bool
sq_feed_reader_wait(SqFeedClient *client, const char *topic, int64 *waited)
{
	SqError error;
	SqStatus status;

	CHECK_FOR_INTERRUPTS();
	sq_feed_client_end_set(client);
	status = sq_kafka_reader_next(client->reader, &client->set, &error);
	if (status == SQ_WAIT)
	{
		instr_time start, end;

		INSTR_TIME_SET_CURRENT(start);
		status = wait_for_set(client, topic, &error);
		INSTR_TIME_SET_CURRENT(end);
		INSTR_TIME_SUBTRACT(end, start);
		*waited += INSTR_TIME_GET_MICROSEC(end);
	}
	if (status == SQ_ERROR)
		sq_feed_throw(&error);
	return status == SQ_OK;
}

SqStatus
sq_feed_reader_poll(SqFeedClient *client)
{
	SqError error;
	SqStatus status;

	sq_feed_client_end_set(client);
	sq_feed_client_check(client);
	status = sq_kafka_reader_next(client->reader, &client->set, &error);
	if (status == SQ_ERROR)
		sq_feed_throw(&error);
	return status;
}
