/*
 * feed_guard.c
 *		Running what may throw an error of the data, and going on after it.
 *
 * An input function may be any code, so it runs in a subtransaction, which
 * cleans up whatever it leaves. Before PostgreSQL 17 there are none in parallel
 * mode; there a resource owner of its own cleans up after it, which is enough
 * for functions that may run in parallel mode at all.
 *
 * Memory: the message in the caller's context. Locks: none.
 */
#include "feed/feed_guard.h"

#include "access/xact.h"
#include "base/base_version.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Is the data to blame? */
static bool
is_data_error(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'): /* data exception */
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'): /* domain constraint */
		case MAKE_SQLSTATE('4', '2', '0', '0', '0'): /* no such type, role */
		case MAKE_SQLSTATE('5', '4', '0', '0', '0'): /* too long, too deep */
			return true;
		default:
			return sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED;
	}
}

typedef struct SqGuard
{
	MemoryContext context;
	ResourceOwner owner;
	bool subtransaction;
} SqGuard;

static void
begin_guard(SqGuard *guard)
{
	guard->context = CurrentMemoryContext;
	guard->owner = CurrentResourceOwner;
	guard->subtransaction = SQ_PARALLEL_SUBTRANSACTIONS || !IsInParallelMode();
	if (guard->subtransaction)
		BeginInternalSubTransaction(NULL);
	else
		CurrentResourceOwner =
			ResourceOwnerCreate(guard->owner, "streamsql guard");
	MemoryContextSwitchTo(guard->context);
}

static void
end_guard(SqGuard *guard, bool success)
{
	if (!guard->subtransaction)
	{
		ResourceOwner own = CurrentResourceOwner;

		CurrentResourceOwner = guard->owner;
		for (int phase = RESOURCE_RELEASE_BEFORE_LOCKS;
			 phase <= RESOURCE_RELEASE_AFTER_LOCKS; phase++)
			ResourceOwnerRelease(own, (ResourceReleasePhase) phase, success,
								 false);
		ResourceOwnerDelete(own);
	}
	else if (success)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	CurrentResourceOwner = guard->owner;
	MemoryContextSwitchTo(guard->context);
}

const char *
sq_feed_guard(void (*action)(void *arg), void *arg)
{
	SqGuard guard;
	ErrorData *volatile error = NULL;

	begin_guard(&guard);
	PG_TRY();
	{
		action(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(guard.context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	end_guard(&guard, error == NULL);
	if (error == NULL)
		return NULL;
	if (!is_data_error(error->sqlerrcode))
		ReThrowError(error);
	return error->message;
}
