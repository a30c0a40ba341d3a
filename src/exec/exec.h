/*
 * exec.h
 *		The door of room exec: running a plan.
 *
 * Operators pull frames from each other: scans from sources, joins from their
 * outer side after their inner side was built or is found in a table that is
 * kept, aggregates from everything beneath. Nothing here waits, throws or reads
 * the clock: a source may answer SQ_WAIT, which goes up to the driver, who asks
 * again; the host (expr.h) may throw, and everything is palloc'd, so that an
 * error needs no cleaning up.
 *
 * Hash tables that would need more than the memory given spill: to files of the
 * host, by parts of the hash value, which are worked off one after the other.
 */
#ifndef SQ_EXEC_H
#define SQ_EXEC_H

#include "expr/expr.h"
#include "plan/plan.h"
#include "table/table.h"

/* Where the rows of a relation come from. */
typedef struct SqSource SqSource;

typedef struct SqSourceOps
{
	/* The next rows, at most as many as the execution's capacity: number,
	 * selection and the columns of the scan's slots. They live until the next
	 * call. SQ_OK, SQ_WAIT, SQ_DONE, SQ_ERROR. */
	SqStatus (*next)(SqSource *source, SqFrame *frame, SqError *error);
	/* From the beginning again. */
	void (*restart)(SqSource *source);
} SqSourceOps;

struct SqSource
{
	const SqSourceOps *ops;
};

/* A relation as an execution sees it: a source, or a view of a kept table. */
typedef struct SqExecRelation
{
	SqSource *source;
	const SqTableView *view;
	const int *columns; /* of the layout, in the order of the node's slots */
	/* what is not evaluated before the first row is asked for */
} SqExecRelation;

/* What an operator has done, for EXPLAIN. */
typedef struct SqNodeStats
{
	int64 rows;
	int64 lookups; /* JOIN: outer rows with a key */
	int64 hits;    /* JOIN: of them, those that found one */
	int64 built;   /* JOIN by HASH: inner rows; AGGREGATE: groups */
	size_t memory; /* at most, bytes */
	int64 spilled; /* bytes */
	int files;     /* that it was spilled to */
	uint64 time;   /* nanoseconds, with everything beneath */
} SqNodeStats;

typedef struct SqExecOptions
{
	int capacity;  /* rows of a frame, at least SQ_EXEC_ROWS */
	size_t memory; /* that one hash table may have, bytes */
	uint64 seed;
	uint64 (*clock)(void); /* nanoseconds; NULL: don't measure */
} SqExecOptions;

#define SQ_EXEC_ROWS 1024

typedef struct SqExec SqExec;

/* Make an execution of a plan, palloc'd in the current context, which must
 * outlive it; relations by number. Touches neither rows nor params. */
extern SqExec *sq_exec_create(const SqPlan *plan,
							  const SqExecRelation *relations, SqHost *host,
							  const SqExecOptions *options);
/* The next rows: SQ_OK (perhaps none selected), SQ_WAIT, SQ_DONE, SQ_ERROR.
 * They live until the next call. */
extern SqStatus sq_exec_next(SqExec *exec, SqFrame **frame, SqError *error);
/* Begin again: params may have changed. */
extern void sq_exec_restart(SqExec *exec);
/* By number of node. */
extern const SqNodeStats *sq_exec_stats(const SqExec *exec, int node);

/* Who finds the rows of a source: at most max of them at a time; how many, 0
 * at the end. */
typedef struct SqRowFinder
{
	int (*next)(void *arg, const SqTableRow **rows, int max);
	void (*restart)(void *arg);
	void *arg;
} SqRowFinder;

/* A source of rows of a relation's view, for a scan of the plan: of those that
 * the finder finds, or all (NULL). Palloc'd. */
extern SqSource *sq_exec_row_source(const SqPlan *plan, const SqNode *scan,
									const SqExecRelation *relation,
									int capacity, const SqRowFinder *finder);

#endif
