/*
 * sink_topic.c
 *		What one statement writes to one topic: in the transaction, or at once.
 *
 * With delivery transaction records go to the transaction's part of their
 * server (sink_transaction.c); with delivery statement to a writer of this
 * statement alone, which is flushed at its end, whatever the transaction does.
 *
 * Memory: the context the sink was opened in; a writer of the statement is
 * given back when that is reset. Locks: none.
 */
#include "sink/sink_topic.h"

#include "sink/sink_transaction.h"
#include "sink/sink_writer.h"

struct SqSink
{
	MemoryContext context;
	const SqRelation *rel;
	Oid userid;
	const char *topic;              /* NULL: nothing was put yet */
	SqSinkTransaction *transaction; /* delivery transaction */
	SqSinkWriter *writer;           /* delivery statement */
	int64 waited_before;            /* by the transaction */
	SqSinkStats stats;
};

SqSink *
sq_sink_open(const SqRelation *rel, Oid userid)
{
	SqSink *sink = palloc0(sizeof(SqSink));

	sink->context = CurrentMemoryContext;
	sink->rel = rel;
	sink->userid = userid;
	return sink;
}

static void
start(SqSink *sink)
{
	const SqRelation *rel = sink->rel;

	if (rel->delivery == SQ_DELIVERY_STATEMENT)
	{
		sink->writer = sq_sink_writer_open(rel->serverid, sink->userid, false,
										   sink->context);
		sink->topic = sq_sink_writer_topic(sink->writer, rel->topic);
		return;
	}
	sink->transaction = sq_sink_transaction_join(rel->serverid, sink->userid);
	sink->waited_before = sq_sink_transaction_waited(sink->transaction);
	sink->topic = sq_sink_transaction_topic(sink->transaction, rel->topic);
}

void
sq_sink_put(SqSink *sink, const SqKafkaDraft *draft)
{
	if (sink->topic == NULL)
		start(sink);
	if (sink->writer != NULL)
		sq_sink_writer_put(sink->writer, sink->topic, draft);
	else
		sq_sink_transaction_put(sink->transaction, sink->topic, draft);
	sink->stats.records++;
	sink->stats.bytes += sq_kafka_draft_bytes(draft);
}

void
sq_sink_flush(SqSink *sink)
{
	if (sink->topic == NULL)
		return;
	if (sink->writer != NULL)
		sq_sink_writer_flush(sink->writer);
	else
		sq_sink_transaction_flush(sink->transaction);
}

void
sq_sink_finish(SqSink *sink)
{
	if (sink->writer == NULL)
		return;
	sq_sink_flush(sink);
	sink->stats.waited = sink->writer->waited;
	sq_sink_writer_release(sink->writer);
	sink->writer = NULL;
	sink->topic = NULL;
}

const SqSinkStats *
sq_sink_stats(SqSink *sink)
{
	if (sink->writer != NULL)
		sink->stats.waited = sink->writer->waited;
	else if (sink->transaction != NULL)
		sink->stats.waited =
			sq_sink_transaction_waited(sink->transaction) - sink->waited_before;
	return &sink->stats;
}
