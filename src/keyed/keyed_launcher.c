/*
 * keyed_launcher.c
 *		The process that starts workers, and writes snapshot files.
 *
 * It is connected to no database. It knows the databases of the cluster from
 * pg_database, has the first worker of each look for tables once, and again
 * whenever somebody nudges; and it starts the workers that the first one said
 * are needed. A worker that fails is started again, after a pause that grows
 * while it goes on failing.
 *
 * On a standby nobody nudges: there it looks into every database now and then.
 *
 * Memory: TopMemoryContext, nothing that grows. Locks: the registry's.
 */
#include "keyed/keyed_internal.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "guc.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define IDLE_MS          1000
#define STANDBY_PROBE_MS 10000
/* A worker that is started but not there yet. */
#define START_MS       10000
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
/* A worker that lived so long did not fail at once. */
#define GOOD_LIFE_MS 30000

/* What the launcher remembers of a worker; by its places in the registry. */
typedef struct SqLaunch
{
	Oid database;
	TimestampTz started; /* 0: not */
	TimestampTz retry_at;
	int backoff_ms;
	uint32 arrivals; /* of its place, when it was started */
	uint32 leaves;
} SqLaunch;

static SqLaunch launches[SQ_KEYED_DATABASES][SQ_KEYED_WORKERS];
static TimestampTz probe_at = 0;

/* ---- Databases ---- */

/* What pg_database has. */
typedef struct SqDatabases
{
	List *all;         /* oids */
	List *connectable; /* of those that sessions can connect to */
} SqDatabases;

static SqDatabases
read_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	SqDatabases databases = {NIL, NIL};
	Relation relation;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(caller);

		databases.all = lappend_oid(databases.all, database->oid);
		if (database->datallowconn)
			databases.connectable =
				lappend_oid(databases.connectable, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return databases;
}

/* The databases that the registry has. */
static List *
known_databases(void)
{
	List *known = NIL;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	for (int i = 0; i < SQ_KEYED_DATABASES; i++)
		if (OidIsValid(sq_keyed_registry->databases[i].oid))
			known = lappend_oid(known, sq_keyed_registry->databases[i].oid);
	LWLockRelease(sq_keyed_registry->lock);
	return known;
}

/* Give up what databases that are gone had. */
static void
forget_gone(List *known, List *all)
{
	ListCell *cell;

	foreach (cell, known)
	{
		Oid oid = lfirst_oid(cell);

		if (list_member_oid(all, oid))
			continue;
		/* the file being written may be of it */
		sq_keyed_file_remove_database(oid);
		sq_keyed_free_database(oid);
	}
}

/* Have every database looked into. */
static void
rescan_databases(void)
{
	List *known = known_databases();
	SqDatabases databases = read_databases();
	ListCell *cell;

	/* one that was made meanwhile is not among those known before */
	forget_gone(known, databases.all);
	foreach (cell, databases.connectable)
	{
		SqKeyedDatabase *database;

		LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
		database = sq_keyed_database(lfirst_oid(cell), true);
		if (database != NULL)
			database->probe = true;
		LWLockRelease(sq_keyed_registry->lock);
		if (database == NULL)
			ereport(LOG, (errmsg("tables of database %u are not kept: there "
								 "are more than %d databases",
								 lfirst_oid(cell), SQ_KEYED_DATABASES)));
	}
	list_free(known);
	list_free(databases.all);
	list_free(databases.connectable);
}

static bool
must_rescan(void)
{
	bool rescan;

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	rescan = sq_keyed_registry->rescan;
	sq_keyed_registry->rescan = false;
	LWLockRelease(sq_keyed_registry->lock);
	if (RecoveryInProgress() && GetCurrentTimestamp() >= probe_at)
	{
		probe_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											   STANDBY_PROBE_MS);
		rescan = true;
	}
	return rescan;
}

/* ---- Workers ---- */

static bool
register_worker(Oid database, int index)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "streamsql", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "sq_keyed_worker_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "streamsql table worker %d", index);
	strlcpy(worker.bgw_type, "streamsql table worker", BGW_MAXLEN);
	worker.bgw_main_arg = Int32GetDatum(index);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &database, sizeof(database));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* The pause after a worker was there, or should have come: none if it left
 * because nothing was to be done. */
static void
note_gone(SqLaunch *launch, bool done, TimestampTz now)
{
	if (done || TimestampDifferenceExceeds(launch->started, now, GOOD_LIFE_MS))
		launch->backoff_ms = 0;
	launch->retry_at =
		launch->backoff_ms == 0
			? now
			: TimestampTzPlusMilliseconds(now, launch->backoff_ms);
	if (!done)
		launch->backoff_ms =
			Min(Max(launch->backoff_ms * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
	launch->started = 0;
}

static void
start_worker(SqLaunch *launch, int index, TimestampTz now)
{
	static bool complained = false;

	if (register_worker(launch->database, index))
	{
		launch->started = now;
		complained = false;
		return;
	}
	launch->retry_at = TimestampTzPlusMilliseconds(now, BACKOFF_MIN_MS);
	if (!complained)
		ereport(LOG, (errmsg("no background worker is free for the tables of "
							 "database %u",
							 launch->database),
					  errhint("Increase max_worker_processes.")));
	complained = true;
}

/* Is this worker to be there? A probe is answered once: the first worker looks
 * into its database as soon as it is started. */
static bool
is_wanted(SqKeyedDatabase *database, int index)
{
	if (!OidIsValid(database->oid) || database->blocker != 0)
		return false;
	if (index == 0 && database->probe)
		return true;
	return (database->needed >> index & 1) != 0;
}

static void
tend_worker(int place, int index)
{
	SqKeyedDatabase *database = &sq_keyed_registry->databases[place];
	SqLaunch *launch = &launches[place][index];
	TimestampTz now = GetCurrentTimestamp();
	SqKeyedWorkerSlot slot;
	bool present;
	bool wanted;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	if (launch->database != database->oid)
		*launch = (SqLaunch){.database = database->oid};
	slot = database->workers[index];
	present = slot.pid != 0;
	wanted = is_wanted(database, index);
	LWLockRelease(sq_keyed_registry->lock);
	if (present)
		return;
	if (launch->started != 0 &&
		(slot.arrivals != launch->arrivals ||
		 TimestampDifferenceExceeds(launch->started, now, START_MS)))
		note_gone(launch, slot.leaves != launch->leaves, now);
	launch->arrivals = slot.arrivals;
	launch->leaves = slot.leaves;
	if (wanted && launch->started == 0 && now >= launch->retry_at)
		start_worker(launch, index, now);
}

/* Whoever wanted a database to itself and died lets it go. */
static void
check_blockers(void)
{
	for (int i = 0; i < SQ_KEYED_DATABASES; i++)
	{
		SqKeyedDatabase *database = &sq_keyed_registry->databases[i];

		LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
		if (database->blocker != 0 &&
			BackendPidGetProc(database->blocker) == NULL)
			database->blocker = 0;
		LWLockRelease(sq_keyed_registry->lock);
	}
}

static void
tend_workers(void)
{
	check_blockers();
	for (int i = 0; i < SQ_KEYED_DATABASES; i++)
		if (OidIsValid(sq_keyed_registry->databases[i].oid))
			for (int w = 0; w < Min(sq_table_workers, SQ_KEYED_WORKERS); w++)
				tend_worker(i, w);
}

/* ---- Life ---- */

static void
set_launcher_latch(Latch *latch)
{
	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	sq_keyed_registry->launcher = latch;
	LWLockRelease(sq_keyed_registry->lock);
}

static void
sign_off(int code, Datum arg)
{
	set_launcher_latch(NULL);
	/* a file that is being written is never finished */
	sq_keyed_file_clean();
}

void
sq_keyed_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	set_launcher_latch(MyLatch);
	before_shmem_exit(sign_off, (Datum) 0);
	sq_keyed_file_clean();
	/* one that was here before knew which workers it had started */
	rescan_databases();
	for (;;)
	{
		long next;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (must_rescan())
			rescan_databases();
		tend_workers();
		next = sq_keyed_file_step();
		if (next <= 0)
			continue;
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
				  Min(next, IDLE_MS), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
sq_keyed_launcher_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "streamsql", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "sq_keyed_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "streamsql launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "streamsql launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
