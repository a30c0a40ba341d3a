/*
 * kafka_writer_step.c
 *		The steps of a writer that take time, each in a thread.
 *
 * librdkafka blocks where a transactional id is initialised, records are
 * flushed, a transaction is committed or aborted. Its calls can be resumed, so
 * the thread makes them in slices and looks between two of them whether it was
 * abandoned. While it runs it alone serves the main queue, since flushing and
 * aborting need the callbacks of deliveries.
 *
 * A flush that its owner has given up (by cancel, say) goes on as the abort of
 * the transaction, in the same thread; the writer may be in the pool
 * meanwhile, and its next begin waits for the end of it. When the abort fails,
 * or a record was refused, the writer is dead: its next owner gets another
 * client, whose initialising of the same transactional id makes the cluster
 * abort what is open.
 *
 * What a commit that fails has done is known only when librdkafka says that
 * the transaction must be aborted. After any other error, and when nobody
 * waited for the answer, it may be there.
 *
 * Memory: the writer holds a reference for its thread. Locks: writer->lock for
 * step, status, error, abandoned, then_abort and dead.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_writer.h"

#include <unistd.h>

#define SLICE_MS 100

/* ---- In the thread ---- */

static bool
is_abandoned(SqKafkaWriter *writer)
{
	bool abandoned;

	pthread_mutex_lock(&writer->lock);
	abandoned = writer->abandoned;
	pthread_mutex_unlock(&writer->lock);
	return abandoned;
}

static bool
is_given_up(SqKafkaWriter *writer)
{
	bool given_up;

	pthread_mutex_lock(&writer->lock);
	given_up = writer->abandoned || writer->then_abort;
	pthread_mutex_unlock(&writer->lock);
	return given_up;
}

static SqStatus
fail_given_up(SqKafkaWriter *writer, SqError *error)
{
	return sq_error_set(error, ERRCODE_CONNECTION_FAILURE,
						"gave up waiting for Kafka at \"%s\"",
						writer->client->brokers);
}

typedef rd_kafka_error_t *(*SqTransactionCall)(rd_kafka_t *rk, int timeout_ms);

/*
 * Make a call until it has an end. NULL, or librdkafka's error, the caller's;
 * *given_up when the thread was abandoned before there was one.
 */
static rd_kafka_error_t *
call_in_slices(SqKafkaWriter *writer, SqTransactionCall call, bool *given_up)
{
	for (;;)
	{
		rd_kafka_error_t *failed = call(writer->client->rk, SLICE_MS);

		sq_kafka_client_serve(writer->client);
		if (failed == NULL || !rd_kafka_error_is_retriable(failed))
			return failed;
		if (is_abandoned(writer))
		{
			*given_up = true;
			return failed;
		}
		/* A slice that was no wait: the cluster said «not now». */
		if (rd_kafka_error_code(failed) != RD_KAFKA_RESP_ERR__TIMED_OUT)
			usleep(SLICE_MS * 1000);
		rd_kafka_error_destroy(failed);
	}
}

/* A topic that one may not write to: librdkafka does not say which. */
static SqStatus
fail_permission(SqKafkaWriter *writer, SqError *error)
{
	char names[SQ_ERROR_TEXT] = "";
	size_t length = 0;
	int count = 0;

	for (int i = 0; i < writer->topic_count; i++)
	{
		if (!writer->topics[i]->is_used || length >= sizeof(names))
			continue;
		length += snprintf(names + length, sizeof(names) - length, "%s\"%s\"",
						   count++ > 0 ? ", " : "", writer->topics[i]->name);
	}
	return sq_error_set(error, ERRCODE_INSUFFICIENT_PRIVILEGE,
						count == 1
							? "permission denied for topic %s"
							: "permission denied for one of the topics %s",
						names);
}

static SqStatus
fail_transaction(SqKafkaWriter *writer, rd_kafka_error_t *failed,
				 const char *what, SqError *error)
{
	char reason[512];
	rd_kafka_resp_err_t code = rd_kafka_error_code(failed);

	snprintf(reason, sizeof(reason), "%s", rd_kafka_error_string(failed));
	if (rd_kafka_error_is_fatal(failed))
	{
		rd_kafka_resp_err_t cause =
			rd_kafka_fatal_error(writer->client->rk, reason, sizeof(reason));

		code = cause != RD_KAFKA_RESP_ERR_NO_ERROR ? cause : code;
	}
	rd_kafka_error_destroy(failed);
	if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
		return fail_permission(writer, error);
	return sq_kafka_error_transaction(error, code, what,
									  writer->client->brokers, reason);
}

/* Never to be used again. */
static void
bury(SqKafkaWriter *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->dead = true;
	pthread_mutex_unlock(&writer->lock);
}

/* Of a client that could not begin librdkafka makes nothing any more. */
static SqStatus
run_init(SqKafkaWriter *writer, SqError *error)
{
	bool given_up = false;
	rd_kafka_error_t *failed =
		call_in_slices(writer, rd_kafka_init_transactions, &given_up);

	if (failed != NULL)
	{
		bury(writer);
		return fail_transaction(writer, failed, "begin", error);
	}
	writer->initialised = true;
	return SQ_OK;
}

static SqStatus
run_flush(SqKafkaWriter *writer, SqError *error)
{
	rd_kafka_t *rk = writer->client->rk;

	while (rd_kafka_flush(rk, SLICE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (is_given_up(writer))
			return fail_given_up(writer, error);
		if (writer->purged || writer->failure.sqlstate != 0)
			break;
	}
	sq_kafka_client_serve(writer->client);
	if (writer->failure.sqlstate != 0)
	{
		*error = writer->failure;
		return SQ_ERROR;
	}
	return writer->purged ? sq_kafka_writer_explain(writer, error) : SQ_OK;
}

static SqStatus
run_abort(SqKafkaWriter *writer, SqError *error)
{
	bool given_up = false;
	rd_kafka_error_t *failed;

	writer->aborting = true;
	failed = call_in_slices(writer, rd_kafka_abort_transaction, &given_up);
	writer->aborting = false;
	writer->purged = false;
	sq_error_clear(&writer->failure);
	if (failed == NULL)
	{
		writer->in_transaction = false;
		return SQ_OK;
	}
	return fail_transaction(writer, failed, "abort", error);
}

static SqStatus
run_commit(SqKafkaWriter *writer, SqError *error)
{
	bool given_up = false;
	rd_kafka_error_t *failed =
		call_in_slices(writer, rd_kafka_commit_transaction, &given_up);
	bool known;

	if (failed == NULL)
	{
		writer->in_transaction = false;
		return SQ_OK;
	}
	known = !given_up && rd_kafka_error_txn_requires_abort(failed);
	fail_transaction(writer, failed, "commit", error);
	if (known)
		return SQ_ERROR;
	bury(writer);
	error->sqlstate = ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN;
	snprintf(error->message, sizeof(error->message),
			 "could not learn whether the transaction on Kafka at \"%s\" was "
			 "committed",
			 writer->client->brokers);
	return SQ_ERROR;
}

static SqStatus
run(SqKafkaWriter *writer, SqWriterStep step, SqError *error)
{
	switch (step)
	{
		case SQ_WRITER_INIT:
			return run_init(writer, error);
		case SQ_WRITER_FLUSH:
			return run_flush(writer, error);
		case SQ_WRITER_COMMIT:
			return run_commit(writer, error);
		default:
			return run_abort(writer, error);
	}
}

/* The end of a step; true if the thread is to abort next. */
static bool
finish(SqKafkaWriter *writer, SqStatus status, const SqError *error)
{
	bool again;
	uint64 one = 1;

	pthread_mutex_lock(&writer->lock);
	again = writer->then_abort && !writer->abandoned;
	writer->then_abort = false;
	if (again)
		writer->step = SQ_WRITER_ABORT;
	else
	{
		writer->dead |= (status == SQ_ERROR || writer->refused) &&
						writer->step == SQ_WRITER_ABORT;
		writer->error = *error;
		writer->status = status;
	}
	pthread_mutex_unlock(&writer->lock);
	while (!again && write(writer->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return again;
}

static void
run_thread(void *argument)
{
	SqKafkaWriter *writer = argument;
	SqError error;
	SqStatus status;

	do
	{
		sq_error_clear(&error);
		status = run(writer, writer->step, &error);
	} while (finish(writer, status, &error));
	sq_kafka_writer_drop(writer);
}

/* ---- The owner's side ---- */

bool
sq_kafka_writer_is_busy(SqKafkaWriter *writer)
{
	bool busy;

	pthread_mutex_lock(&writer->lock);
	busy = writer->step != SQ_WRITER_IDLE && writer->status == SQ_WAIT;
	pthread_mutex_unlock(&writer->lock);
	return busy;
}

static bool
start(SqKafkaWriter *writer, SqWriterStep step)
{
	writer->step = step;
	writer->status = SQ_WAIT;
	atomic_fetch_add(&writer->references, 1);
	if (sq_kafka_thread_start(run_thread, writer))
		return true;
	atomic_fetch_sub(&writer->references, 1);
	writer->step = SQ_WRITER_IDLE;
	return false;
}

void
sq_kafka_writer_drain(SqKafkaWriter *writer)
{
	uint64 count;

	while (read(writer->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Take the answer of a step that has ended: SQ_WAIT if none has. */
static SqStatus
take_answer(SqKafkaWriter *writer, SqError *error)
{
	SqStatus status;

	sq_kafka_writer_drain(writer);
	pthread_mutex_lock(&writer->lock);
	status = writer->status;
	if (status != SQ_WAIT)
	{
		writer->step = SQ_WRITER_IDLE;
		*error = writer->error;
	}
	pthread_mutex_unlock(&writer->lock);
	return status;
}

/* Start a step, or see what has come of it. */
static SqStatus
make_step(SqKafkaWriter *writer, SqWriterStep step, SqError *error)
{
	if (writer->step != SQ_WRITER_IDLE)
		return take_answer(writer, error);
	if (!start(writer, step))
		return sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
							"could not start a thread for Kafka");
	return SQ_WAIT;
}

void
sq_kafka_writer_abort_alone(SqKafkaWriter *writer)
{
	bool running;

	pthread_mutex_lock(&writer->lock);
	running = writer->step != SQ_WRITER_IDLE && writer->status == SQ_WAIT;
	if (running && writer->step != SQ_WRITER_ABORT)
		writer->then_abort = true;
	pthread_mutex_unlock(&writer->lock);
	/* Without a thread for it the next owner gets another client. */
	if (!running && !start(writer, SQ_WRITER_ABORT))
		writer->dead = true;
}

/* After an abort that failed, or was never made. */
static SqStatus
renew(SqKafkaWriter *writer, SqError *error)
{
	SqKafkaConfig config = {.count = writer->client->property_count,
							.properties = writer->client->properties,
							.reader = writer->client->reader};

	return sq_kafka_writer_connect(writer, &config, error);
}

static SqStatus
begin_now(SqKafkaWriter *writer, SqError *error)
{
	rd_kafka_error_t *failed = rd_kafka_begin_transaction(writer->client->rk);

	if (failed != NULL)
		return fail_transaction(writer, failed, "begin", error);
	sq_kafka_writer_forget(writer);
	writer->in_transaction = true;
	return SQ_OK;
}

SqStatus
sq_kafka_writer_begin(SqKafkaWriter *writer, SqError *error)
{
	SqWriterStep step = writer->step;

	if (step != SQ_WRITER_IDLE)
	{
		SqStatus status = take_answer(writer, error);

		/* Of an earlier owner's flush and abort «dead» says what matters. */
		if (status == SQ_WAIT || (status == SQ_ERROR && step == SQ_WRITER_INIT))
			return status;
	}
	if (writer->dead && renew(writer, error) != SQ_OK)
		return SQ_ERROR;
	if (!writer->initialised)
		return make_step(writer, SQ_WRITER_INIT, error);
	return begin_now(writer, error);
}

SqStatus
sq_kafka_writer_flush(SqKafkaWriter *writer, SqError *error)
{
	return make_step(writer, SQ_WRITER_FLUSH, error);
}

SqStatus
sq_kafka_writer_commit(SqKafkaWriter *writer, SqError *error)
{
	return make_step(writer, SQ_WRITER_COMMIT, error);
}

SqStatus
sq_kafka_writer_abort(SqKafkaWriter *writer, SqError *error)
{
	return make_step(writer, SQ_WRITER_ABORT, error);
}

SqStatus
sq_kafka_writer_explain(SqKafkaWriter *writer, SqError *error)
{
	char reason[512];
	rd_kafka_t *rk = writer->client->rk;
	rd_kafka_error_t *failed;
	rd_kafka_resp_err_t code = rd_kafka_fatal_error(rk, reason, sizeof(reason));

	if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return sq_kafka_error_transaction(error, code, "write",
										  writer->client->brokers, reason);
	/* One can't begin within a transaction; of one that has failed the answer
	 * is why. */
	failed = rd_kafka_begin_transaction(rk);
	if (failed != NULL)
		return fail_transaction(writer, failed, "write", error);
	return sq_kafka_error_transaction(error, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
									  "write", writer->client->brokers, NULL);
}
