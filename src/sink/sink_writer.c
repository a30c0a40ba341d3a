/*
 * sink_writer.c
 *		Waiting for a Kafka writer, and throwing what it answers.
 *
 * Room kafka answers SQ_WAIT; here is who waits, on the writer's descriptor
 * and the latch together, so that cancel acts at once whatever a broker does.
 * As long as a cluster acknowledges something it may take its time; nothing
 * for streamsql.broker_timeout is an error.
 *
 * A commit is the one step that a cancel must not cut short lightly: without
 * its answer nobody knows whether the transaction is there. So a cancel during
 * it waits for the answer a little longer than anybody would notice.
 *
 * Kafka answers a commit before it has written the markers that make records
 * readable. Until then the last stable offset of a partition stands at the
 * first record of the transaction, or below it if another transaction, older
 * and still open, holds it back. await_visible waits for it to leave that
 * record, and not for others: with a foreign transaction below it, it gives up
 * at once. It runs when PostgreSQL has committed and nothing may fail any
 * more, so it neither throws nor allocates from PostgreSQL.
 *
 * Memory: the owner's context. Locks: none.
 */
#include "sink/sink_writer.h"

#include <poll.h>

#include "access/xlog.h"
#include "base/base_version.h"
#include "foreign/foreign.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"

/* How often the state of the connection is looked at while waiting. */
#define CHECK_INTERVAL_MS 100
/* How long a cancel waits for the answer of a commit. */
#define CANCEL_GRACE_MS 80
/* How long a session waits for its own writes to be readable. */
#define VISIBLE_TIMEOUT_MS 500

/* ---- Making ---- */

/*
 * Unique among everybody who may write at the same time, and used again by
 * whoever comes into the same slot, so that a cluster keeps the state of few
 * ids, and ends at once what a killed predecessor has left open.
 */
static const char *
transactional_id(Oid serverid, Oid umid)
{
	return psprintf("streamsql-" UINT64_FORMAT "-%u-%u-%u-%d",
					GetSystemIdentifier(), MyDatabaseId, serverid, umid,
					SQ_PROC_NUMBER);
}

static void
release_callback(void *arg)
{
	sq_sink_writer_release(arg);
}

SqSinkWriter *
sq_sink_writer_open(Oid serverid, Oid userid, bool transactional,
					MemoryContext owner)
{
	MemoryContext old = MemoryContextSwitchTo(owner);
	SqSinkWriter *writer = palloc0(sizeof(SqSinkWriter));
	Oid umid;
	SqKafkaConfig config;
	SqError error;

	writer->owner = owner;
	writer->serverid = serverid;
	writer->server = GetForeignServer(serverid)->servername;
	writer->client = sq_feed_client_acquire(serverid, userid, owner);
	writer->callback.func = release_callback;
	writer->callback.arg = writer;
	MemoryContextRegisterResetCallback(owner, &writer->callback);
	config = sq_feed_server_config(serverid, userid, &umid);
	writer->kafka = sq_kafka_writer_acquire(
		&config, transactional ? transactional_id(serverid, umid) : NULL,
		&error);
	if (writer->kafka == NULL)
		sq_feed_throw(&error);
	MemoryContextSwitchTo(old);
	return writer;
}

void
sq_sink_writer_release(SqSinkWriter *writer)
{
	if (writer->kafka != NULL)
		sq_kafka_writer_release(writer->kafka);
	writer->kafka = NULL;
	sq_feed_client_release(writer->client);
}

const char *
sq_sink_writer_topic(SqSinkWriter *writer, const char *topic)
{
	MemoryContext old;
	SqKafkaCall *call;
	SqError error;
	ListCell *cell;

	foreach (cell, writer->topics)
		if (strcmp(lfirst(cell), topic) == 0)
			return lfirst(cell);
	call = sq_kafka_ask_partitions(writer->client->kafka, topic,
								   sq_broker_timeout, &error);
	sq_feed_call_wait(writer->client, call, &error);
	sq_feed_client_end_call(writer->client);
	old = MemoryContextSwitchTo(writer->owner);
	writer->topics = lappend(writer->topics, pstrdup(topic));
	MemoryContextSwitchTo(old);
	return llast(writer->topics);
}

/* ---- Errors ---- */

static void
name_topics(void *arg)
{
	const SqSinkWriter *writer = arg;
	StringInfoData names;
	ListCell *cell;

	initStringInfo(&names);
	foreach (cell, writer->topics)
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
						 (const char *) lfirst(cell));
	errcontext(list_length(writer->topics) == 1 ? "writing to topic %s"
												: "writing to topics %s",
			   names.data);
}

/* Does the message name one of the topics? */
static bool
is_named(const SqSinkWriter *writer, const char *message)
{
	ListCell *cell;

	foreach (cell, writer->topics)
		if (strstr(message, psprintf("\"%s\"", (char *) lfirst(cell))) != NULL)
			return true;
	return false;
}

/* Most errors name their topic; those of a transaction, and silence, can't. */
static void
throw_error(SqSinkWriter *writer, const SqError *error)
{
	ErrorContextCallback callback = {error_context_stack, name_topics, writer};

	if (!is_named(writer, error->message))
		error_context_stack = &callback;
	sq_feed_throw(error);
}

/* ---- Waiting ---- */

/* How long nothing has been acknowledged. */
typedef struct SqPatience
{
	instr_time since;
	int64 acknowledged;
} SqPatience;

static int64
microseconds_since(instr_time start)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MICROSEC(now);
}

static void
start_patience(SqPatience *patience, SqSinkWriter *writer)
{
	INSTR_TIME_SET_CURRENT(patience->since);
	patience->acknowledged = sq_kafka_writer_stats(writer->kafka)->acknowledged;
}

/* Has nothing happened for too long? */
static bool
is_exhausted(SqPatience *patience, SqSinkWriter *writer)
{
	if (sq_kafka_writer_stats(writer->kafka)->acknowledged !=
		patience->acknowledged)
		start_patience(patience, writer);
	return microseconds_since(patience->since) / 1000 >= sq_broker_timeout;
}

/* Throw what was done without an answer. */
static void
throw_silence(SqSinkWriter *writer, int sqlstate, const char *message)
{
	const char *complaint = sq_kafka_writer_complaint(writer->kafka);
	SqError error;

	sq_error_set(&error, sqlstate, "%s", message);
	if (complaint[0] != '\0')
		sq_error_detail(&error, "The last complaint was: %s.", complaint);
	sq_error_hint(&error, "See the setting streamsql.broker_timeout.");
	throw_error(writer, &error);
}

/* Throw if the connection is in a state that waiting won't cure. */
static void
check_writer(SqSinkWriter *writer)
{
	SqError error;

	if (sq_kafka_writer_check(writer->kafka, &error) == SQ_ERROR)
		throw_error(writer, &error);
}

/* Wait until the writer may go on; throws when it was silent for too long. */
static void
wait_for_writer(SqSinkWriter *writer, SqPatience *patience)
{
	check_writer(writer);
	sq_feed_wait(sq_kafka_writer_fd(writer->kafka),
				 Min(CHECK_INTERVAL_MS, sq_broker_timeout));
	if (is_exhausted(patience, writer))
		throw_silence(writer, ERRCODE_CONNECTION_FAILURE,
					  psprintf("no answer from Kafka while writing to server "
							   "\"%s\" for %d ms",
							   writer->server, sq_broker_timeout));
}

/* ---- Steps ---- */

typedef SqStatus (*SqWriterStep)(SqKafkaWriter *writer, SqError *error);

static void
run_step(SqSinkWriter *writer, SqWriterStep step)
{
	SqStatus status;
	SqError error;
	SqPatience patience;
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	start_patience(&patience, writer);
	while ((status = step(writer->kafka, &error)) == SQ_WAIT)
		wait_for_writer(writer, &patience);
	writer->waited += microseconds_since(start);
	if (status == SQ_ERROR)
		throw_error(writer, &error);
}

void
sq_sink_writer_begin(SqSinkWriter *writer)
{
	run_step(writer, sq_kafka_writer_begin);
}

void
sq_sink_writer_flush(SqSinkWriter *writer)
{
	run_step(writer, sq_kafka_writer_flush);
}

/* The queue is full: wait until there is room. */
static SqStatus
put_patiently(SqSinkWriter *writer, const char *topic,
			  const SqKafkaDraft *draft, SqError *error)
{
	SqStatus status;
	SqPatience patience;
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	start_patience(&patience, writer);
	do
	{
		wait_for_writer(writer, &patience);
		status = sq_kafka_writer_put(writer->kafka, topic, draft, error);
	} while (status == SQ_WAIT);
	writer->waited += microseconds_since(start);
	return status;
}

void
sq_sink_writer_put(SqSinkWriter *writer, const char *topic,
				   const SqKafkaDraft *draft)
{
	SqError error;
	SqStatus status = sq_kafka_writer_put(writer->kafka, topic, draft, &error);

	if (status == SQ_WAIT)
		status = put_patiently(writer, topic, draft, &error);
	if (status == SQ_ERROR)
		throw_error(writer, &error);
}

/* ---- Commit ---- */

static bool
is_cancelled(void)
{
	return QueryCancelPending || ProcDiePending;
}

/* Wait for the answer of a commit. Interrupts are not served, but for the
 * barriers that other processes wait for. */
static void
wait_for_answer(SqSinkWriter *writer, long timeout_ms)
{
	WaitLatchOrSocket(
		MyLatch,
		WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
		sq_kafka_writer_fd(writer->kafka), timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();
}

void
sq_sink_writer_commit(SqSinkWriter *writer)
{
	SqStatus status;
	SqError error;
	instr_time start, cancelled;
	bool is_noted = false;

	INSTR_TIME_SET_CURRENT(start);
	while ((status = sq_kafka_writer_commit(writer->kafka, &error)) == SQ_WAIT)
	{
		wait_for_answer(writer, is_noted ? CANCEL_GRACE_MS : CHECK_INTERVAL_MS);
		if (is_cancelled() && !is_noted)
		{
			INSTR_TIME_SET_CURRENT(cancelled);
			is_noted = true;
		}
		if (microseconds_since(start) / 1000 >= sq_broker_timeout ||
			(is_noted &&
			 microseconds_since(cancelled) / 1000 >= CANCEL_GRACE_MS))
			throw_silence(
				writer, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
				psprintf("could not learn whether the transaction of server "
						 "\"%s\" was committed",
						 writer->server));
	}
	writer->waited += microseconds_since(start);
	if (status == SQ_ERROR)
		throw_error(writer, &error);
}

/* ---- Reading one's own writes ---- */

static int64
milliseconds_left(instr_time start)
{
	return VISIBLE_TIMEOUT_MS - microseconds_since(start) / 1000;
}

/* The answer of a call, or false when it did not come in time. */
static bool
await_call(SqKafkaCall *call, instr_time start)
{
	struct pollfd event = {.fd = sq_kafka_call_fd(call), .events = POLLIN};
	SqStatus status;
	SqError error;

	while ((status = sq_kafka_call_poll(call, &error)) == SQ_WAIT &&
		   milliseconds_left(start) > 0 && !is_cancelled())
		poll(&event, 1, (int) Min(milliseconds_left(start), CHECK_INTERVAL_MS));
	return status == SQ_OK;
}

/* Does a last stable offset still stand at the first record of ours? */
static bool
is_hidden(const SqKafkaWritten *written, const SqKafkaWatermark *ends,
		  int count)
{
	for (int i = 0; i < count; i++)
		if (ends[i].high == written[i].offset)
			return true;
	return false;
}

/* Ask once for the partitions of one topic: 1 hidden, 0 not, -1 no answer. */
static int
ask_hidden(SqFeedClient *client, const SqKafkaWritten *written, int count,
		   instr_time start)
{
	int32 *partitions = malloc(count * sizeof(int32));
	const SqKafkaWatermark *ends;
	SqKafkaCall *call;
	SqError error;
	int answer = -1;

	if (partitions == NULL)
		return -1;
	for (int i = 0; i < count; i++)
		partitions[i] = written[i].partition;
	call = sq_kafka_ask_ends(client->kafka, written[0].topic, partitions, count,
							 VISIBLE_TIMEOUT_MS, &error);
	free(partitions);
	if (call == NULL)
		return -1;
	if (await_call(call, start))
	{
		ends = sq_kafka_call_watermarks(call, &count);
		answer = is_hidden(written, ends, count) ? 1 : 0;
	}
	else
		client->broken = true;
	sq_kafka_call_free(call);
	return answer;
}

/* Until the partitions of one topic are readable. */
static void
await_topic(SqFeedClient *client, const SqKafkaWritten *written, int count,
			instr_time start)
{
	int pause_ms = 1;

	while (milliseconds_left(start) > 0 && !is_cancelled() &&
		   ask_hidden(client, written, count, start) == 1)
	{
		poll(NULL, 0, pause_ms);
		pause_ms = Min(pause_ms * 2, 20);
	}
}

void
sq_sink_writer_await_visible(SqSinkWriter *writer)
{
	int count;
	const SqKafkaWritten *written =
		sq_kafka_writer_written(writer->kafka, &count);
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0, next; i < count && !writer->client->broken; i = next)
	{
		for (next = i + 1; next < count; next++)
			if (strcmp(written[next].topic, written[i].topic) != 0)
				break;
		await_topic(writer->client, &written[i], next - i, start);
	}
}
