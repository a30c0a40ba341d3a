/*
 * keyed_worker.c
 *		A background worker that keeps tables of one database.
 *
 * A database has up to streamsql.table_workers workers; a table belongs to the
 * one that its relation's oid says. What there is to keep is what the catalogs
 * say: a worker compares them with its loaders when it starts, when it is
 * nudged and when an invalidation tells it to, and never learns of it in any
 * other way. Whatever a transaction did and took back leaves no trace so.
 *
 * A relation that somebody is changing is locked; the worker doesn't wait for
 * it but looks again a little later.
 *
 * Between that it steps its loaders and waits for their descriptors. The first
 * worker of a database is also the one that is started to look whether there
 * is anything to keep, and leaves when there is nothing.
 *
 * Memory: a context for the list of loaders, one for each of them. Locks: the
 * registry's; AccessShareLock on a relation while its shape is read.
 */
#include "keyed/keyed_internal.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "executor/spi.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* How often invalidations are looked for when nobody nudges. */
#define LOOK_MS 1000
/* When a relation was locked. */
#define LOCKED_MS 50
/* How often pg_stat_activity is told. */
#define ACTIVITY_MS 500
/* After no room was found for another table. */
#define CROWDED_MS 5000

/* A table that is kept. */
typedef struct SqKept
{
	Oid relid;
	Oid owner;
	Oid serverid;
	bool seen; /* by the reconciling under way */
	SqKeyedLoader *loader;
} SqKept;

static MemoryContext worker_context;
static List *kept_tables = NIL; /* of SqKept */
static List *leaving = NIL;     /* numbers of entries, dropped, not free yet */
static int worker_index;
static volatile bool catalogs_changed = true;
static bool servers_changed = false;
static TimestampTz reconcile_at = 0;

/* ---- Coming and going ---- */

static SqKeyedDatabase *
my_database(void)
{
	return sq_keyed_database(MyDatabaseId, false);
}

static void
sign_off(int code, Datum arg)
{
	SqKeyedDatabase *database;

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	database = sq_keyed_database(DatumGetObjectId(arg), false);
	if (database != NULL && database->workers[worker_index].pid == MyProcPid)
	{
		database->workers[worker_index].pid = 0;
		database->workers[worker_index].leaves += code == 0;
	}
	if (sq_keyed_registry->launcher != NULL)
		SetLatch(sq_keyed_registry->launcher);
	LWLockRelease(sq_keyed_registry->lock);
	ConditionVariableBroadcast(&sq_keyed_registry->left);
}

/* Take this worker's place; false if it is taken or nobody may be there. */
static bool
sign_on(Oid oid)
{
	SqKeyedDatabase *database;
	bool welcome = false;

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	database = sq_keyed_database(oid, true);
	if (database != NULL && database->blocker == 0 &&
		database->workers[worker_index].pid == 0)
	{
		SqKeyedWorkerSlot *slot = &database->workers[worker_index];

		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		slot->arrivals++;
		/* whatever changes from now on is a new probe */
		if (worker_index == 0)
			database->probe = false;
		welcome = true;
	}
	LWLockRelease(sq_keyed_registry->lock);
	if (welcome)
		before_shmem_exit(sign_off, ObjectIdGetDatum(oid));
	return welcome;
}

/* Has somebody asked all workers to leave this database? */
static bool
must_leave(void)
{
	SqKeyedDatabase *database;
	bool leave;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	database = my_database();
	leave = database == NULL || database->blocker != 0;
	LWLockRelease(sq_keyed_registry->lock);
	return leave;
}

/* Was this worker nudged since it last asked? */
static bool
was_nudged(void)
{
	SqKeyedDatabase *database;
	bool nudged = false;

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	database = my_database();
	if (database != NULL)
	{
		uint64 bit = UINT64CONST(1) << worker_index;

		nudged = (database->nudged & bit) != 0;
		database->nudged &= ~bit;
	}
	LWLockRelease(sq_keyed_registry->lock);
	return nudged;
}

static void
note_catalogs(Datum arg, int cache, uint32 hash)
{
	catalogs_changed = true;
	if (cache == FOREIGNSERVEROID || cache == USERMAPPINGOID ||
		cache == FOREIGNDATAWRAPPEROID)
		servers_changed = true;
}

static void
note_relation(Datum arg, Oid relid)
{
	catalogs_changed = true;
}

/* ---- Reconciling ---- */

/* What the catalogs have of a table of ours. */
typedef struct SqFound
{
	Oid relid;
	Oid owner;
} SqFound;

/* A superuser's query must not find operators that others have made. */
#define EQUALS " OPERATOR(pg_catalog.=) "
#define FIND_TABLES                                                            \
	"SELECT c.oid, c.relowner"                                                 \
	"  FROM pg_catalog.pg_foreign_table t"                                     \
	"  JOIN pg_catalog.pg_class c ON c.oid" EQUALS "t.ftrelid"                 \
	"  JOIN pg_catalog.pg_foreign_server s ON s.oid" EQUALS "t.ftserver"       \
	"  JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid" EQUALS "s.srvfdw"   \
	"  JOIN pg_catalog.pg_proc p ON p.oid" EQUALS "w.fdwhandler"               \
	" WHERE p.prosrc" EQUALS "'streamsql_fdw_handler'"                         \
	"   AND 'kind=table'" EQUALS "ANY (t.ftoptions)"

/* All foreign tables of kind table, of any worker, in the current context. */
static List *
find_tables(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *found = NIL;

	SPI_connect();
	if (SPI_execute(FIND_TABLES, true, 0) != SPI_OK_SELECT)
		/* a SELECT that succeeds answers nothing else */
		elog(ERROR, "could not read the foreign tables of a database");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple tuple = SPI_tuptable->vals[row];
		TupleDesc descriptor = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(caller);
		SqFound *table = palloc(sizeof(SqFound));
		bool isnull;

		table->relid =
			DatumGetObjectId(SPI_getbinval(tuple, descriptor, 1, &isnull));
		table->owner =
			DatumGetObjectId(SPI_getbinval(tuple, descriptor, 2, &isnull));
		found = lappend(found, table);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return found;
}

static int
worker_of(Oid relid)
{
	return relid % sq_table_workers;
}

static SqKept *
find_kept(Oid relid)
{
	ListCell *cell;

	foreach (cell, kept_tables)
		if (((SqKept *) lfirst(cell))->relid == relid)
			return lfirst(cell);
	return NULL;
}

/* No more of this definition; its memory goes once nobody reads it. */
static void
drop_number(int number)
{
	MemoryContext old = MemoryContextSwitchTo(worker_context);

	sq_keyed_mark_dropped(number);
	leaving = lappend_int(leaving, number);
	MemoryContextSwitchTo(old);
}

static void
drop_kept(SqKept *kept)
{
	int number = sq_keyed_loader_number(kept->loader);

	kept_tables = list_delete_ptr(kept_tables, kept);
	sq_keyed_loader_close(kept->loader);
	drop_number(number);
	pfree(kept);
}

/* The entry for a shape, which this worker's predecessor may have left. */
static int
find_or_add(const SqKeyedShape *shape)
{
	int number;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	number = sq_keyed_find(MyDatabaseId, shape->rel->relid, shape->fingerprint);
	LWLockRelease(sq_keyed_registry->lock);
	return number >= 0 ? number : sq_keyed_add(MyDatabaseId, shape);
}

static void
keep(const SqFound *table, const SqKeyedShape *shape, MemoryContext context)
{
	int number = find_or_add(shape);
	MemoryContext old;
	SqKept *kept;

	if (number < 0)
	{
		ereport(LOG,
				(errmsg("table %u of database %u is not kept: there are %d "
						"tables already",
						table->relid, MyDatabaseId, SQ_KEYED_TABLES)));
		MemoryContextDelete(context);
		reconcile_at =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CROWDED_MS);
		return;
	}
	old = MemoryContextSwitchTo(worker_context);
	kept = palloc0(sizeof(SqKept));
	kept->relid = table->relid;
	kept->owner = table->owner;
	kept->serverid = shape->rel->serverid;
	kept->seen = true;
	kept->loader = sq_keyed_loader_create(number, shape, table->owner, context);
	kept_tables = lappend(kept_tables, kept);
	MemoryContextSwitchTo(old);
}

/* Look at one table of this worker's; false if it is locked. */
static bool
reconcile_table(const SqFound *table)
{
	SqKept *kept = find_kept(table->relid);
	MemoryContext context;
	MemoryContext old;
	Relation relation;
	SqKeyedShape *shape;

	if (kept != NULL)
		kept->seen = true;
	if (!ConditionalLockRelationOid(table->relid, AccessShareLock))
		return false;
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table->relid)))
		return true;
	context = AllocSetContextCreate(worker_context, "streamsql table",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	relation = table_open(table->relid, NoLock);
	shape = sq_keyed_shape_create(relation);
	table_close(relation, NoLock);
	MemoryContextSwitchTo(old);
	if (kept != NULL &&
		!sq_keyed_is_entry(sq_keyed_loader_number(kept->loader), shape))
	{
		drop_kept(kept);
		kept = NULL;
	}
	if (kept == NULL)
	{
		keep(table, shape, context);
		return true;
	}
	MemoryContextDelete(context);
	if (servers_changed || kept->owner != table->owner)
		sq_keyed_loader_restart(kept->loader, table->owner);
	kept->owner = table->owner;
	return true;
}

/* reconcile_table where a definition that can't be is only a line of the
 * log. */
static bool
try_reconcile_table(const SqFound *table)
{
	MemoryContext old = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old);
	PG_TRY();
	{
		done = reconcile_table(table);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ereport(LOG, (errmsg("table %u of database %u is not kept: %s",
							 table->relid, MyDatabaseId, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	CurrentResourceOwner = owner;
	return done;
}

/* Drop what the catalogs don't have any more. */
static void
drop_unseen(void)
{
	List *unseen = NIL;
	ListCell *cell;

	foreach (cell, kept_tables)
		if (!((SqKept *) lfirst(cell))->seen)
			unseen = lappend(unseen, lfirst(cell));
	foreach (cell, unseen)
	{
		SqKept *kept = lfirst(cell);
		Oid relid = kept->relid;

		drop_kept(kept);
		sq_keyed_file_remove(MyDatabaseId, relid);
	}
	list_free(unseen);
}

/* Entries of this worker's share that no loader of it has: of a predecessor,
 * for a definition that is gone. */
static void
drop_orphans(void)
{
	for (int n = 0; n < SQ_KEYED_TABLES; n++)
	{
		SqKeyedEntry *entry = &sq_keyed_registry->entries[n];
		SqKept *kept;
		bool mine;

		LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
		mine = entry->database == MyDatabaseId &&
			   worker_of(entry->relid) == worker_index &&
			   !list_member_int(leaving, n);
		LWLockRelease(sq_keyed_registry->lock);
		if (!mine)
			continue;
		kept = find_kept(entry->relid);
		if (kept == NULL || sq_keyed_loader_number(kept->loader) != n)
			drop_number(n);
	}
}

static void
tell_needs(List *found)
{
	SqKeyedDatabase *database;
	uint64 needed = 0;
	ListCell *cell;

	foreach (cell, found)
		needed |= UINT64CONST(1)
				  << worker_of(((SqFound *) lfirst(cell))->relid);
	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	database = my_database();
	if (database != NULL)
	{
		database->needed = needed;
		if (sq_keyed_registry->launcher != NULL)
			SetLatch(sq_keyed_registry->launcher);
	}
	LWLockRelease(sq_keyed_registry->lock);
}

/* Compare catalogs and loaders. */
static void
reconcile(void)
{
	bool all = true;
	List *found;
	ListCell *cell;

	catalogs_changed = false;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = find_tables();
	foreach (cell, kept_tables)
		((SqKept *) lfirst(cell))->seen = false;
	foreach (cell, found)
		if (worker_of(((SqFound *) lfirst(cell))->relid) == worker_index)
			all &= try_reconcile_table(lfirst(cell));
	servers_changed = servers_changed && !all;
	drop_unseen();
	drop_orphans();
	tell_needs(found);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	if (!all)
	{
		catalogs_changed = true;
		reconcile_at =
			TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCKED_MS);
	}
}

/* Let invalidations arrive, and reconcile if something may have changed. */
static void
look_at_catalogs(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (was_nudged())
	{
		catalogs_changed = true;
		reconcile_at = now;
	}
	if (now < reconcile_at)
		return;
	reconcile_at = TimestampTzPlusMilliseconds(now, LOOK_MS);
	StartTransactionCommand();
	CommitTransactionCommand();
	if (catalogs_changed)
		reconcile();
}

/* ---- Working ---- */

/* Free what nobody reads any more; true if something is left. */
static bool
free_leaving(void)
{
	ListCell *cell;

	foreach (cell, leaving)
		if (sq_keyed_free(lfirst_int(cell)))
			leaving = foreach_delete_current(leaving, cell);
	return leaving != NIL;
}

static long
step_all(void)
{
	long next = LOOK_MS;
	ListCell *cell;

	foreach (cell, kept_tables)
	{
		CHECK_FOR_INTERRUPTS();
		next =
			Min(next, sq_keyed_loader_step(((SqKept *) lfirst(cell))->loader));
	}
	if (free_leaving())
		next = Min(next, LOCKED_MS);
	return Max(next, 0);
}

static long
until_reconcile(long next)
{
	return Min(next, TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													 reconcile_at));
}

/* Say in pg_stat_activity what is being done, now and then. */
static void
show_activity(void)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();
	int loading = 0;
	int64 done = 0;
	int64 total = 0;
	char activity[128];
	ListCell *cell;

	if (now < next)
		return;
	next = TimestampTzPlusMilliseconds(now, ACTIVITY_MS);
	foreach (cell, kept_tables)
	{
		SqKeyedProgress progress = sq_keyed_progress(
			sq_keyed_loader_number(((SqKept *) lfirst(cell))->loader));

		if (progress.state != SQ_KEYED_LOADING)
			continue;
		loading++;
		done += progress.done;
		total += progress.total;
	}
	if (loading > 0)
		snprintf(activity, sizeof(activity),
				 "loading %d of %d tables: %lld of %lld records", loading,
				 list_length(kept_tables), (long long) done, (long long) total);
	else
		snprintf(activity, sizeof(activity), "keeping %d table%s",
				 list_length(kept_tables),
				 list_length(kept_tables) == 1 ? "" : "s");
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
close_all(void)
{
	ListCell *cell;

	foreach (cell, kept_tables)
		sq_keyed_loader_close(((SqKept *) lfirst(cell))->loader);
	kept_tables = NIL;
}

static void
work(void)
{
	for (;;)
	{
		long next;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (must_leave())
			return;
		look_at_catalogs();
		if (kept_tables == NIL && leaving == NIL && !catalogs_changed)
			return;
		show_activity();
		next = until_reconcile(step_all());
		if (next <= 0)
			continue;
		WaitLatchOrSocket(MyLatch,
						  WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT |
							  WL_EXIT_ON_PM_DEATH,
						  sq_keyed_poll_fd(), next, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		sq_keyed_poll_clear();
	}
}

void
sq_keyed_worker_main(Datum arg)
{
	Oid database;

	memcpy(&database, MyBgworkerEntry->bgw_extra, sizeof(database));
	worker_index = DatumGetInt32(arg);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!sign_on(database))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	worker_context = AllocSetContextCreate(TopMemoryContext, "streamsql worker",
										   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(worker_context);
	CacheRegisterSyscacheCallback(FOREIGNTABLEREL, note_catalogs, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, note_catalogs, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, note_catalogs,
								  (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, note_catalogs, (Datum) 0);
	CacheRegisterRelcacheCallback(note_relation, (Datum) 0);
	work();
	close_all();
	proc_exit(0);
}
