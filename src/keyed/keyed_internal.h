/*
 * keyed_internal.h
 *		What the files of room keyed share; nobody else includes this.
 */
#ifndef SQ_KEYED_INTERNAL_H
#define SQ_KEYED_INTERNAL_H

#include "keyed/keyed.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#define SQ_KEYED_TABLES    1024
#define SQ_KEYED_DATABASES 128
#define SQ_KEYED_WORKERS   64

#define SQ_KEYED_ERROR_TEXT 512

/* What is told of a table; copied whole under the entry's mutex. */
typedef struct SqKeyedProgress
{
	SqKeyedState state;
	int64 done;  /* offsets that were read */
	int64 total; /* of so many that the topic has had */
	int64 lag;
	int64 applied;
	int64 deleted;
	int64 skipped_null_key;
	int64 decode_errors;
	TimestampTz last_applied; /* 0: never */
	char last_error[SQ_KEYED_ERROR_TEXT];
} SqKeyedProgress;

/*
 * A table that is kept. Its number here is its number in the arena.
 *
 * Under the registry's lock (exclusive to change): database, relid,
 * fingerprint, dropped. Whoever holds it shared may open a view of an entry
 * that is not dropped; an entry is freed only when no claim is left. Under
 * mutex: progress. The rest says itself who writes it.
 */
typedef struct SqKeyedEntry
{
	Oid database; /* InvalidOid: free */
	Oid relid;
	uint64 fingerprint[2];
	bool dropped; /* nobody may open it any more; its worker frees it */

	slock_t mutex;
	SqKeyedProgress progress;
	ConditionVariable changed; /* progress or positions did */

	/* by the worker that keeps it, under the registry's lock */
	int nindexes;
	SqTableIdentity identity; /* of snapshots; length 0: not known yet */
	/* by the launcher alone, once there is an identity */
	uint64 saved_sequence; /* of the last snapshot file */
	TimestampTz saved_at;
} SqKeyedEntry;

typedef struct SqKeyedWorkerSlot
{
	pid_t pid;       /* 0: none */
	Latch *latch;    /* its own, while pid is set */
	uint32 arrivals; /* how often one came */
	uint32 leaves;   /* how often one left because it was done */
} SqKeyedWorkerSlot;

/* A database that has tables, or may have. Under the registry's lock. */
typedef struct SqKeyedDatabase
{
	Oid oid;       /* InvalidOid: free */
	bool probe;    /* something changed: its first worker must look */
	uint64 needed; /* bits of the workers that have tables */
	uint64 nudged; /* bits of the workers that have to look */
	pid_t blocker; /* who wants no worker in it (DROP DATABASE); 0: nobody */
	SqKeyedWorkerSlot workers[SQ_KEYED_WORKERS];
} SqKeyedDatabase;

typedef struct SqKeyedRegistry
{
	LWLock *lock;
	Latch *launcher;        /* under lock; NULL: none */
	bool rescan;            /* under lock: databases came or went */
	ConditionVariable left; /* a worker has left its database */
	SqTableArena *arena;
	SqKeyedDatabase databases[SQ_KEYED_DATABASES];
	SqKeyedEntry entries[SQ_KEYED_TABLES];
} SqKeyedRegistry;

/* NULL unless preloaded. */
extern SqKeyedRegistry *sq_keyed_registry;

/* This process's slot for claims; made ready at first use, cleared at exit. */
extern SqTableReader *sq_keyed_reader(void);

/* Number of the entry for a definition, -1 if there is none. Under lock. */
extern int sq_keyed_find(Oid database, Oid relid, const uint64 *fingerprint);
/* Is this the entry of a definition? Takes the lock. */
extern bool sq_keyed_is_entry(int number, const SqKeyedShape *shape);
/* A new entry; -1 when there are too many. Takes the lock. */
extern int sq_keyed_add(Oid database, const SqKeyedShape *shape);
/* Mark it dropped, wake its readers. Takes the lock. */
extern void sq_keyed_mark_dropped(int number);
/* Free a dropped entry and its memory, if nobody claims it any more; true if
 * it is free. */
extern bool sq_keyed_free(int number);
/* Free all that a database had, which is gone: nobody can be in it. */
extern void sq_keyed_free_database(Oid database);

extern SqKeyedProgress sq_keyed_progress(int number);
/* Store it and wake who waits. */
extern void sq_keyed_tell(int number, const SqKeyedProgress *progress);

/* The entry of a database, made if asked to; NULL if there is none (or too
 * many). Under lock, exclusive to make. */
extern SqKeyedDatabase *sq_keyed_database(Oid oid, bool make);
/* Let launcher and workers of a database look at it again. */
extern void sq_keyed_nudge(Oid database);

/* ---- Files (keyed_file.c) ---- */

/* Put rows of a table's snapshot file into the writer; positions palloc'd.
 * False if there is none to believe; then the table is empty, and *why says
 * what was wrong with the file if there was one (palloc'd), else NULL. */
extern bool sq_keyed_file_restore(int number, SqTableWriter *writer,
								  const SqTableIdentity *identity,
								  SqTablePosition **positions, int *npositions,
								  char **why);
/* Write a bit of a due snapshot, if one is: milliseconds until the next call.
 * In the launcher. */
extern long sq_keyed_file_step(void);
extern void sq_keyed_file_remove(Oid database, Oid relid);
/* All files of a database, the one that is being written too. In the
 * launcher. */
extern void sq_keyed_file_remove_database(Oid database);
/* Remove what was being written when the server stopped. */
extern void sq_keyed_file_clean(void);

/* ---- Loading (keyed_loader.c) ---- */

typedef struct SqKeyedLoader SqKeyedLoader;

/* Keep table number, whose definition is shape (a copy in context, which the
 * loader owns from now on), with the mapping of owner. */
extern SqKeyedLoader *sq_keyed_loader_create(int number,
											 const SqKeyedShape *shape,
											 Oid owner, MemoryContext context);
/* Do what can be done now: milliseconds until it wants to be called again if
 * none of its descriptors becomes readable before. Catches what it throws but
 * for FATAL. */
extern long sq_keyed_loader_step(SqKeyedLoader *loader);
/* Server, mapping or owner may be others now. */
extern void sq_keyed_loader_restart(SqKeyedLoader *loader, Oid owner);
extern int sq_keyed_loader_number(const SqKeyedLoader *loader);
extern void sq_keyed_loader_close(SqKeyedLoader *loader);

/* ---- Descriptors (keyed_poll.c) ---- */

/* What becomes readable when one of those below does. */
extern int sq_keyed_poll_fd(void);
/* Wake the worker once, when this is readable. Closing it takes it out. */
extern void sq_keyed_poll_once(int fd);
/* The worker is awake. */
extern void sq_keyed_poll_clear(void);

/* ---- Processes ---- */

extern void sq_keyed_launcher_register(void);
extern void sq_keyed_hook_init(void);
extern PGDLLEXPORT void sq_keyed_launcher_main(Datum arg);
extern PGDLLEXPORT void sq_keyed_worker_main(Datum arg);
/* Was this relation changed in the current transaction? */
extern bool sq_keyed_hook_touched(Oid relid);

#endif
