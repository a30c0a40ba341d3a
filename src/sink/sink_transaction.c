/*
 * sink_transaction.c
 *		Transactions of PostgreSQL as transactions of Kafka.
 *
 * The first write of a transaction to a server joins that server to it; from
 * then on callbacks of the transaction decide:
 *
 *	savepoint		Kafka knows none. What is written under one is held in
 *					memory, where ROLLBACK TO takes it back. When it exceeds
 *					streamsql.savepoint_memory it is sent, and the rollback of
 *					what was sent dooms the whole transaction.
 *	pre-commit		everything held is sent and acknowledged, on all servers;
 *					PostgreSQL's check of serialisable transactions is made,
 *					since nothing may be refused afterwards; then one server
 *					after the other commits.
 *	commit			a bounded wait until the writes can be read
 *	abort			what is open at Kafka is aborted, by a thread
 *	prepare			refused: nobody could commit later what a producer of this
 *					process has open
 *
 * What is written outside of savepoints is held, too, up to HELD_AT_TOP bytes:
 * a small transaction that is rolled back has sent nothing.
 *
 * Memory: a context below TopTransactionContext; what it owns ends with it, or
 * with the callbacks before. Locks: none.
 */
#include "sink/sink_transaction.h"

#include "access/xact.h"
#include "foreign/foreign.h"
#include "guc.h"
#include "sink/sink_held.h"
#include "sink/sink_writer.h"
#include "storage/predicate.h"
#include "utils/memutils.h"

/* Held outside of savepoints before anything is sent, in bytes. */
#define HELD_AT_TOP (256 * 1024)

struct SqSinkTransaction
{
	SqSinkTransaction *next;
	Oid umid;
	SqSinkWriter *writer;
	SqHeld *held;
	uint64 *marks; /* where records of a nesting level begin, by level */
	int level_capacity;
	bool begun;   /* at Kafka */
	bool sending; /* still set later: an error was caught meanwhile */
	bool doomed;  /* something was sent that is to be taken back */
	bool committed;
};

/* Of this transaction; NULL outside of one. */
static SqSinkTransaction *transactions = NULL;
static MemoryContext context = NULL;

/* ---- Savepoints ---- */

static bool
is_at_top(void)
{
	return GetCurrentTransactionNestLevel() <= 1;
}

/* From now on what is added belongs to this level or a deeper one. */
static void
mark_level(SqSinkTransaction *transaction, int level)
{
	if (level >= transaction->level_capacity)
	{
		int capacity = Max(level + 1, 2 * transaction->level_capacity);
		Size size = capacity * sizeof(uint64);

		transaction->marks = transaction->marks == NULL
								 ? MemoryContextAlloc(context, size)
								 : repalloc(transaction->marks, size);
		transaction->level_capacity = capacity;
	}
	transaction->marks[level] = sq_sink_held_position(transaction->held);
}

static void
roll_back_level(SqSinkTransaction *transaction, int level)
{
	if (!sq_sink_held_take_back(transaction->held, transaction->marks[level]))
		transaction->doomed = true;
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId id,
				  SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();

	for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
	{
		if (event == SUBXACT_EVENT_START_SUB)
			mark_level(t, level);
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			roll_back_level(t, level);
	}
}

/* ---- Writing ---- */

/* What can't be committed any more is not written to either. */
static void
refuse_lost(const SqSinkTransaction *transaction)
{
	if (transaction->sending)
		ereport(ERROR, (errcode(ERRCODE_TRANSACTION_ROLLBACK),
						errmsg("cannot go on after writing to server \"%s\" "
							   "has failed",
							   transaction->writer->server),
						errdetail("Its error was caught, but only the whole "
								  "transaction can be rolled back.")));
	if (transaction->doomed)
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_ROLLBACK),
				 errmsg("cannot go on after a savepoint was rolled back whose "
						"records had been sent to server \"%s\"",
						transaction->writer->server),
				 errdetail("Kafka has no savepoints: what was sent can only be "
						   "taken back with the whole transaction."),
				 errhint("See the setting streamsql.savepoint_memory.")));
}

static void
send(SqSinkTransaction *transaction, const char *topic,
	 const SqKafkaDraft *draft)
{
	transaction->sending = true;
	if (!transaction->begun)
		sq_sink_writer_begin(transaction->writer);
	transaction->begun = true;
	sq_sink_writer_put(transaction->writer, topic, draft);
	transaction->sending = false;
}

/* Send all that is held. An error leaves held what was not sent. */
static void
send_held(SqSinkTransaction *transaction)
{
	const char *topic;
	SqKafkaDraft draft;

	while (sq_sink_held_first(transaction->held, &topic, &draft))
	{
		send(transaction, topic, &draft);
		sq_sink_held_drop(transaction->held);
	}
}

/* Bytes that may be held now. */
static Size
held_limit(const SqSinkTransaction *transaction)
{
	if (!is_at_top())
		return (Size) sq_savepoint_memory * 1024;
	return transaction->begun ? 0 : HELD_AT_TOP;
}

void
sq_sink_transaction_put(SqSinkTransaction *transaction, const char *topic,
						const SqKafkaDraft *draft)
{
	refuse_lost(transaction);
	if (is_at_top() && transaction->begun &&
		sq_sink_held_size(transaction->held) == 0)
	{
		send(transaction, topic, draft);
		return;
	}
	sq_sink_held_add(transaction->held, topic, draft);
	if (sq_sink_held_size(transaction->held) > held_limit(transaction))
		send_held(transaction);
}

void
sq_sink_transaction_flush(SqSinkTransaction *transaction)
{
	refuse_lost(transaction);
	if (!is_at_top())
		return;
	send_held(transaction);
	if (!transaction->begun)
		return;
	transaction->sending = true;
	sq_sink_writer_flush(transaction->writer);
	transaction->sending = false;
}

int64
sq_sink_transaction_waited(const SqSinkTransaction *transaction)
{
	return transaction->writer->waited;
}

/* ---- The end ---- */

/* Everything is acknowledged, on all servers, before any of them commits. */
static void
commit_all(void)
{
	for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
		sq_sink_transaction_flush(t);
	PreCommit_CheckForSerializationFailure();
	for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
	{
		if (!t->begun)
			continue;
		sq_sink_writer_commit(t->writer);
		t->committed = true;
	}
}

static void
refuse_prepare(void)
{
	for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
		if (t->begun || sq_sink_held_size(t->held) > 0)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot PREPARE a transaction that has "
								   "written to a Kafka topic")));
}

/* Give back the writers; an open transaction is aborted. */
static void
forget_all(void)
{
	SqSinkTransaction *first = transactions;

	transactions = NULL;
	context = NULL;
	for (SqSinkTransaction *t = first; t != NULL; t = t->next)
		sq_sink_writer_release(t->writer);
}

static void
at_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (transactions != NULL)
				commit_all();
			break;
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
			for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
				if (t->committed)
					sq_sink_writer_await_visible(t->writer);
			forget_all();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_all();
			break;
		default:
			break;
	}
}

/* ---- Joining ---- */

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
	registered = true;
}

/* The mapping that the server's options are used with. */
static Oid
mapping_of(Oid serverid, Oid userid)
{
	Oid umid;

	sq_feed_server_config(serverid, userid, &umid);
	return umid;
}

static SqSinkTransaction *
join(Oid serverid, Oid userid, Oid umid)
{
	SqSinkTransaction *transaction;

	register_callbacks();
	if (context == NULL)
		context = AllocSetContextCreate(
			TopTransactionContext, "streamsql writes", ALLOCSET_DEFAULT_SIZES);
	transaction = MemoryContextAllocZero(context, sizeof(SqSinkTransaction));
	transaction->umid = umid;
	transaction->held = sq_sink_held_create(context);
	transaction->writer = sq_sink_writer_open(serverid, userid, true, context);
	for (int level = 2; level <= GetCurrentTransactionNestLevel(); level++)
		mark_level(transaction, level);
	transaction->next = transactions;
	transactions = transaction;
	return transaction;
}

SqSinkTransaction *
sq_sink_transaction_join(Oid serverid, Oid userid)
{
	Oid umid = mapping_of(serverid, userid);

	for (SqSinkTransaction *t = transactions; t != NULL; t = t->next)
		if (t->writer->serverid == serverid && t->umid == umid)
			return t;
	return join(serverid, userid, umid);
}

const char *
sq_sink_transaction_topic(SqSinkTransaction *transaction, const char *topic)
{
	return sq_sink_writer_topic(transaction->writer, topic);
}
