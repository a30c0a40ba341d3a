/*
 * keyed_registry.c
 *		What is kept, by whom, and how far: the shared part of the room.
 *
 * The registry lies in main shared memory, the arena of room table behind it.
 * Its lock, one LWLock, guards who is in it; it is held for looking things up
 * and never while waiting. Readers open their view under it, shared: an entry
 * that is not dropped then can't be freed before the view's claim is gone.
 *
 * Memory: main shared memory, sized when the server starts.
 */
#include "keyed/keyed_internal.h"

#include "base/base_version.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/rel.h"

SqKeyedRegistry *sq_keyed_registry = NULL;

static shmem_request_hook_type next_request = NULL;
static shmem_startup_hook_type next_startup = NULL;

/* ---- Shared memory ---- */

static size_t
arena_size(void)
{
	size_t memory = mul_size(sq_table_memory, 1024);

	return add_size(
		memory, sq_table_arena_overhead(memory, SQ_KEYED_TABLES, MaxBackends));
}

static void
request_memory(void)
{
	if (next_request != NULL)
		next_request();
	RequestAddinShmemSpace(add_size(
		add_size(MAXALIGN(sizeof(SqKeyedRegistry)), arena_size()), 128));
	RequestNamedLWLockTranche("streamsql", 1);
}

static void
init_registry(SqKeyedRegistry *registry, void *arena)
{
	memset(registry, 0, sizeof(SqKeyedRegistry));
	registry->lock = &GetNamedLWLockTranche("streamsql")->lock;
	registry->rescan = true;
	ConditionVariableInit(&registry->left);
	for (int i = 0; i < SQ_KEYED_TABLES; i++)
	{
		SpinLockInit(&registry->entries[i].mutex);
		ConditionVariableInit(&registry->entries[i].changed);
	}
	registry->arena = sq_table_arena_init(
		arena, arena_size(), SQ_KEYED_TABLES, MaxBackends,
		(uint64) GetCurrentTimestamp() ^ (uint64) MyProcPid << 32);
	if (registry->arena == NULL)
		/* the smallest value of the setting is larger than that */
		elog(ERROR, "streamsql.table_memory is too small");
}

static void
start_memory(void)
{
	SqKeyedRegistry *registry;
	void *arena;
	bool found;
	bool arena_found;

	if (next_startup != NULL)
		next_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	registry =
		ShmemInitStruct("streamsql tables", sizeof(SqKeyedRegistry), &found);
	arena =
		ShmemInitStruct("streamsql table memory", arena_size(), &arena_found);
	if (!found)
		init_registry(registry, arena);
	sq_keyed_registry = registry;
	LWLockRelease(AddinShmemInitLock);
}

void
sq_keyed_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_startup = shmem_startup_hook;
	shmem_startup_hook = start_memory;
	sq_keyed_hook_init();
	if (!IsBinaryUpgrade)
		sq_keyed_launcher_register();
}

bool
sq_keyed_available(void)
{
	return sq_keyed_registry != NULL;
}

void
sq_keyed_require(void)
{
	if (sq_keyed_registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign tables of kind \"table\" need streamsql to be "
						"loaded when the server starts"),
				 errhint("Add streamsql to shared_preload_libraries and "
						 "restart the server.")));
}

/* ---- Claims ---- */

static void
clear_reader(int code, Datum arg)
{
	sq_table_reader_reset((SqTableReader *) DatumGetPointer(arg));
}

SqTableReader *
sq_keyed_reader(void)
{
	static SqTableReader *reader = NULL;
	static int owner = 0;

	if (owner == MyProcPid)
		return reader;
	reader = sq_table_reader_at(sq_keyed_registry->arena, SQ_PROC_NUMBER);
	/* of whoever had this number before */
	sq_table_reader_reset(reader);
	on_shmem_exit(clear_reader, PointerGetDatum(reader));
	owner = MyProcPid;
	return reader;
}

/* ---- Entries ---- */

static bool
is_entry_of(const SqKeyedEntry *entry, Oid database, Oid relid,
			const uint64 *fingerprint)
{
	return entry->database == database && entry->relid == relid &&
		   !entry->dropped && entry->fingerprint[0] == fingerprint[0] &&
		   entry->fingerprint[1] == fingerprint[1];
}

int
sq_keyed_find(Oid database, Oid relid, const uint64 *fingerprint)
{
	/* where the last one was found; a hint that is looked at first */
	static int last = 0;

	if (is_entry_of(&sq_keyed_registry->entries[last], database, relid,
					fingerprint))
		return last;
	for (int i = 0; i < SQ_KEYED_TABLES; i++)
		if (is_entry_of(&sq_keyed_registry->entries[i], database, relid,
						fingerprint))
			return last = i;
	return -1;
}

bool
sq_keyed_is_entry(int number, const SqKeyedShape *shape)
{
	bool same;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	same = is_entry_of(&sq_keyed_registry->entries[number], MyDatabaseId,
					   shape->rel->relid, shape->fingerprint);
	LWLockRelease(sq_keyed_registry->lock);
	return same;
}

int
sq_keyed_add(Oid database, const SqKeyedShape *shape)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	int number = 0;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	while (number < SQ_KEYED_TABLES &&
		   OidIsValid(registry->entries[number].database))
		number++;
	if (number < SQ_KEYED_TABLES)
	{
		SqKeyedEntry *entry = &registry->entries[number];

		entry->database = database;
		entry->relid = shape->rel->relid;
		memcpy(entry->fingerprint, shape->fingerprint,
			   sizeof(entry->fingerprint));
		entry->dropped = false;
		entry->nindexes = shape->layout->nindexes;
		entry->identity.length = 0;
		entry->saved_sequence = 0;
		entry->saved_at = 0;
		SpinLockAcquire(&entry->mutex);
		memset(&entry->progress, 0, sizeof(entry->progress));
		SpinLockRelease(&entry->mutex);
	}
	LWLockRelease(registry->lock);
	return number < SQ_KEYED_TABLES ? number : -1;
}

void
sq_keyed_mark_dropped(int number)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	entry->dropped = true;
	LWLockRelease(sq_keyed_registry->lock);
	ConditionVariableBroadcast(&entry->changed);
}

bool
sq_keyed_free(int number)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	bool freed;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	freed = !sq_table_is_claimed(registry->arena, number);
	if (freed)
	{
		sq_table_drop(registry->arena, number);
		registry->entries[number].database = InvalidOid;
	}
	LWLockRelease(registry->lock);
	return freed;
}

void
sq_keyed_free_database(Oid database)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	SqKeyedDatabase *slot;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SQ_KEYED_TABLES; i++)
		if (registry->entries[i].database == database)
		{
			sq_table_drop(registry->arena, i);
			registry->entries[i].database = InvalidOid;
		}
	slot = sq_keyed_database(database, false);
	if (slot != NULL)
		slot->oid = InvalidOid;
	LWLockRelease(registry->lock);
}

/* ---- Progress ---- */

const char *
sq_keyed_state_name(SqKeyedState state)
{
	static const char *const names[] = {"loading", "ready", "full", "error"};

	return names[state];
}

SqKeyedProgress
sq_keyed_progress(int number)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];
	SqKeyedProgress progress;

	SpinLockAcquire(&entry->mutex);
	progress = entry->progress;
	SpinLockRelease(&entry->mutex);
	return progress;
}

void
sq_keyed_tell(int number, const SqKeyedProgress *progress)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];

	SpinLockAcquire(&entry->mutex);
	entry->progress = *progress;
	SpinLockRelease(&entry->mutex);
	ConditionVariableBroadcast(&entry->changed);
}

/* ---- Databases ---- */

SqKeyedDatabase *
sq_keyed_database(Oid oid, bool make)
{
	SqKeyedDatabase *unused = NULL;

	for (int i = 0; i < SQ_KEYED_DATABASES; i++)
	{
		SqKeyedDatabase *database = &sq_keyed_registry->databases[i];

		if (database->oid == oid)
			return database;
		if (!OidIsValid(database->oid) && unused == NULL)
			unused = database;
	}
	if (!make || unused == NULL)
		return NULL;
	memset(unused, 0, sizeof(*unused));
	unused->oid = oid;
	return unused;
}

void
sq_keyed_nudge(Oid database)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	SqKeyedDatabase *slot;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	slot = sq_keyed_database(database, true);
	if (slot != NULL)
	{
		slot->probe = true;
		slot->nudged = PG_UINT64_MAX;
		for (int w = 0; w < SQ_KEYED_WORKERS; w++)
			if (slot->workers[w].pid != 0)
				SetLatch(slot->workers[w].latch);
	}
	if (registry->launcher != NULL)
		SetLatch(registry->launcher);
	LWLockRelease(registry->lock);
}
