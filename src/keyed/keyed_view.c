/*
 * keyed_view.c
 *		Waiting for tables, and reading them.
 *
 * A statement waits while a table is being loaded, and under read_consistency
 * latest until it has applied what its topic held when it was asked. Then it
 * claims the table's state. The claim is released when the memory context that
 * owns the view ends, however that comes; a process that exits gives up all.
 *
 * Memory: the owner's. Locks: the registry's, shared, while an entry is looked
 * up and its view opened.
 */
#include "keyed/keyed_internal.h"

#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* How often a table that nobody keeps yet is looked for. */
#define LOOK_INTERVAL_MS  20
#define CHECK_INTERVAL_MS 1000

/* What is waited for. */
typedef struct SqWaiting
{
	const SqKeyedShape *shape;
	const SqTopicState *target; /* NULL: to be loaded is enough */
	TimestampTz deadline;
	int number;               /* of the entry; -1: there is none yet */
	SqKeyedProgress progress; /* its state, as it was looked at */
	SqKeyedView *view;        /* to be opened when it is there, or NULL */
} SqWaiting;

/* ---- What is wrong ---- */

static void
throw_state(const SqWaiting *waiting, SqKeyedState state)
{
	const char *name = get_rel_name(waiting->shape->rel->relid);
	SqKeyedProgress progress = sq_keyed_progress(waiting->number);

	if (state == SQ_KEYED_FULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("memory for tables is full, and table \"%s\" is "
						"behind its topic",
						name),
				 errhint("It goes on by itself when there is room: drop "
						 "tables, or increase streamsql.table_memory and "
						 "restart the server.")));
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("table \"%s\" could not be kept up to date with its "
						   "topic",
						   name),
					errdetail("The last error was: %s.", progress.last_error),
					errhint("See streamsql.tables.")));
}

static void
throw_timeout(const SqWaiting *waiting)
{
	const char *name = get_rel_name(waiting->shape->rel->relid);
	SqKeyedProgress progress;

	if (waiting->number < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not being loaded yet", name),
				 errhint("See the server's log for why no background worker "
						 "keeps it, and the setting "
						 "max_worker_processes.")));
	progress = sq_keyed_progress(waiting->number);
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 progress.state == SQ_KEYED_LOADING
			 ? errmsg("table \"%s\" is still being loaded", name)
			 : errmsg("table \"%s\" has not caught up with its topic", name),
		 errdetail("%lld of %lld records have been read.%s%s",
				   (long long) progress.done, (long long) progress.total,
				   progress.last_error[0] ? " The last error was: " : "",
				   progress.last_error),
		 errhint("See streamsql.tables, and the setting "
				 "streamsql.table_wait.")));
}

/* Has this transaction created or altered it? */
static bool
is_uncommitted(const SqKeyedShape *shape)
{
	ListCell *cell;

	foreach (cell, shape->row_types)
		if (sq_keyed_hook_touched(lfirst_oid(cell)))
			return true;
	return sq_keyed_hook_touched(shape->rel->relid);
}

static void
throw_uncommitted(const SqWaiting *waiting)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" cannot be read before the transaction that "
					"created or altered it has committed",
					get_rel_name(waiting->shape->rel->relid))));
}

/* ---- Waiting ---- */

/* Has everything before the target's ends been applied? */
static bool
has_reached(int number, const SqTopicState *target)
{
	SqTablePosition *positions =
		palloc(Max(target->npartitions, 1) * sizeof(SqTablePosition));
	int count = sq_table_positions_read(sq_keyed_registry->arena, number,
										sq_keyed_reader(), positions,
										target->npartitions);
	bool reached = count >= target->npartitions;

	for (int p = 0; p < target->npartitions && reached; p++)
		reached = positions[p].partition == target->watermarks[p].partition &&
				  positions[p].next >= target->watermarks[p].high;
	pfree(positions);
	return reached;
}

static SqKeyedState
peek_state(int number)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];
	SqKeyedState state;

	SpinLockAcquire(&entry->mutex);
	state = entry->progress.state;
	SpinLockRelease(&entry->mutex);
	return state;
}

static void
throw_claims(void)
{
	ereport(ERROR, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					errmsg("a session cannot read more than %d tables of kind "
						   "\"table\" at once",
						   SQ_TABLE_CLAIMS)));
}

static void
open_view(SqWaiting *waiting)
{
	if (!sq_table_view_open(&waiting->view->view, sq_keyed_registry->arena,
							waiting->number, waiting->shape->layout,
							sq_keyed_reader()))
		throw_claims();
}

/* Look once: true if what is waited for is there. */
static bool
look(SqWaiting *waiting)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	SqKeyedState state = SQ_KEYED_LOADING;
	bool there = false;

	LWLockAcquire(registry->lock, LW_SHARED);
	waiting->number = sq_keyed_find(MyDatabaseId, waiting->shape->rel->relid,
									waiting->shape->fingerprint);
	if (waiting->number >= 0)
	{
		state = peek_state(waiting->number);
		there = state == SQ_KEYED_READY &&
				(waiting->target == NULL ||
				 has_reached(waiting->number, waiting->target));
		if (there && waiting->view != NULL)
			open_view(waiting);
	}
	LWLockRelease(registry->lock);
	if (state == SQ_KEYED_FULL || state == SQ_KEYED_ERROR)
		throw_state(waiting, state);
	return there;
}

static void
sleep_a_while(const SqWaiting *waiting)
{
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												waiting->deadline);

	if (left <= 0)
		throw_timeout(waiting);
	if (waiting->number >= 0)
	{
		ConditionVariableTimedSleep(
			&sq_keyed_registry->entries[waiting->number].changed,
			Min(left, CHECK_INTERVAL_MS), PG_WAIT_EXTENSION);
		return;
	}
	if (is_uncommitted(waiting->shape))
		throw_uncommitted(waiting);
	WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
			  Min(left, LOOK_INTERVAL_MS), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
wait_until_there(SqWaiting *waiting, int64 timeout_ms)
{
	if (look(waiting))
		return;
	waiting->deadline =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	sq_keyed_nudge(MyDatabaseId);
	do
		sleep_a_while(waiting);
	while (!look(waiting));
	ConditionVariableCancelSleep();
}

void
sq_keyed_wait(const SqKeyedShape *shape, Oid userid, int64 timeout_ms)
{
	SqWaiting waiting = {.shape = shape};

	sq_keyed_require();
	waiting.target = sq_feed_topic_state(shape->rel, userid);
	wait_until_there(&waiting, timeout_ms);
}

/* ---- Views ---- */

static void
close_view(void *arg)
{
	SqKeyedView *view = arg;

	if (view->view.table != NULL)
		sq_table_view_close(&view->view);
	view->view.table = NULL;
}

/* One that is not open yet. */
static SqKeyedView *
make_view(const SqKeyedShape *shape, MemoryContext owner)
{
	SqKeyedView *view = MemoryContextAllocZero(owner, sizeof(SqKeyedView));

	view->shape = shape;
	view->callback.func = close_view;
	view->callback.arg = view;
	MemoryContextRegisterResetCallback(owner, &view->callback);
	return view;
}

void
sq_keyed_view_share(const SqKeyedView *view, SqKeyedShared *shared)
{
	shared->number = sq_table_view_number(&view->view);
	shared->sequence = view->view.sequence;
	memcpy(shared->fingerprint, view->shape->fingerprint,
		   sizeof(shared->fingerprint));
}

SqKeyedView *
sq_keyed_view_join(const SqKeyedShape *shape, const SqKeyedShared *shared,
				   MemoryContext owner)
{
	SqKeyedView *view = make_view(shape, owner);

	if (memcmp(shape->fingerprint, shared->fingerprint,
			   sizeof(shared->fingerprint)) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"%s\" has changed while it was read",
							   get_rel_name(shape->rel->relid))));
	if (!sq_table_view_join(&view->view, sq_keyed_registry->arena,
							shared->number, shape->layout, sq_keyed_reader(),
							shared->sequence))
		throw_claims();
	return view;
}

SqKeyedView *
sq_keyed_view_open(const SqKeyedShape *shape, Oid userid, MemoryContext owner)
{
	SqKeyedView *view;
	SqWaiting waiting = {.shape = shape};

	sq_keyed_require();
	if (sq_read_consistency == SQ_CONSISTENCY_LATEST)
		waiting.target = sq_feed_topic_state(shape->rel, userid);
	view = make_view(shape, owner);
	waiting.view = view;
	wait_until_there(&waiting, sq_table_wait);
	return view;
}

double
sq_keyed_known_rows(const SqKeyedShape *shape)
{
	double rows = -1;
	int number;

	if (sq_keyed_registry == NULL)
		return rows;
	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	number = sq_keyed_find(MyDatabaseId, shape->rel->relid, shape->fingerprint);
	if (number >= 0)
		rows = (double) sq_table_stats(sq_keyed_registry->arena, number).rows;
	LWLockRelease(sq_keyed_registry->lock);
	return rows;
}
