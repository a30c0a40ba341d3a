/*
 * fdw_native_state.h
 *		The state of a native plan's execution, shared by the files that run
 *		it: fdw_native_scan.c, _host.c, _aggregate.c, _parallel.c, _explain.c.
 */
#ifndef SQ_FDW_NATIVE_STATE_H
#define SQ_FDW_NATIVE_STATE_H

#include "fdw/fdw_native.h"

#include "keyed/keyed.h"
#include "storage/buffile.h"

/* A relation of the plan, by its number there. */
typedef struct SqNativeRelation
{
	Index relid; /* in the range table */
	List *attr_list;
	int *attrs;                /* the same: of the filled slots */
	const SqNode *node;        /* its scan, or the join that looks it up */
	SqScan scan;               /* of a stream */
	const SqKeyedShape *shape; /* of a table, else NULL */
	const SqKeyedView *view;   /* NULL under EXPLAIN without ANALYZE */
	SqTableScan position;
} SqNativeRelation;

/* The columns that an expression looks at, as a tuple. */
typedef struct SqHostRow
{
	TupleTableSlot *slot;
	int nslots;
	int *slots; /* that they come from */
} SqHostRow;

/* An expression that PostgreSQL evaluates. */
typedef struct SqHostExpr
{
	ExprState *expr;
	SqHostRow row;
	MemoryContext context; /* of the results */
} SqHostExpr;

typedef struct SqHostAggregates SqHostAggregates;
typedef struct SqNativeShared SqNativeShared;

typedef struct SqNativeState
{
	const SqFdwKind *kind; /* must be first */
	SqHost host;
	ExprContext *econtext;
	SqPlan *plan;
	/* subqueries get other numbers in the range table once they are planned,
	 * all by one step */
	int step;
	int nrelations;
	SqNativeRelation *relations;
	Form_pg_attribute *slot_attributes; /* by slot; NULL: made by a node */
	int *output;
	int noutput;
	List *params; /* of ExprState */
	SqHostExpr *host_exprs;
	ExprContext *host_econtext;
	SqHostAggregates *host_aggregates; /* NULL: there are none */
	SqExec *exec;                      /* NULL under EXPLAIN without ANALYZE */
	MemoryContext context;             /* the execution's */
	MemoryContext values;              /* of the frame at hand */
	MemoryContext param_context;
	BufFile **files; /* NULL: closed */
	int nfiles;
	SqFrame *frame; /* NULL: none yet */
	int row;        /* the next one to look at */
	bool done;
	SqNativeShared *shared; /* NULL: one process runs it */
	SqNodeStats *workers;   /* what those did that are through, or NULL */
} SqNativeState;

/* Make ready what the plan has PostgreSQL evaluate. */
extern void sq_fdw_native_host_init(SqNativeState *state, PlanState *parent,
									List *private);
extern SqNativeState *sq_fdw_native_state_of(SqHost *host);
/* The row of an expression: of its columns, from these slots. */
extern void sq_fdw_host_row_init(SqHostRow *row, Node *expr, List *slots);
extern void sq_fdw_host_row_fill(const SqHostRow *row, const SqFrame *frame,
								 int number);

/* ---- Aggregates (fdw_native_aggregate.c): see SqHostOps ---- */

extern void sq_fdw_host_aggregates_init(SqNativeState *state, PlanState *parent,
										List *aggregates);
extern void sq_fdw_host_accumulate(SqHost *host, int number,
								   const SqFrame *frame, const uint64 *mask,
								   const uint32 *groups);
extern void sq_fdw_host_finish(SqHost *host, int number, uint32 first,
							   int count, SqColumn *out);
extern void sq_fdw_host_state(SqHost *host, int number, const SqSum *sum,
							  SqColumn *out, int row);
extern void sq_fdw_host_forget(SqHost *host);
extern size_t sq_fdw_host_memory(SqHost *host);

/* ---- Several processes (fdw_native_parallel.c) ---- */

/* PostgreSQL's callbacks for a plan of several processes. */
extern Size sq_fdw_native_estimate_dsm(ForeignScanState *node);
extern void sq_fdw_native_initialize_dsm(ForeignScanState *node,
										 void *coordinate);
extern void sq_fdw_native_reinitialize_dsm(ForeignScanState *node,
										   void *coordinate);
extern void sq_fdw_native_initialize_worker(ForeignScanState *node,
											void *coordinate);
extern void sq_fdw_native_shutdown(ForeignScanState *node);
/* What a node did, in all processes once they are through: sums, but of memory
 * and time what the process had that had most. */
extern SqNodeStats sq_fdw_native_stats(const SqNativeState *state, int node);
/* Make the execution, once it is known what is to be seen of relations. */
extern void sq_fdw_native_start(ForeignScanState *node);

/* ExplainForeignScan. */
extern void sq_fdw_native_explain(ForeignScanState *node, ExplainState *es);
/* An integer list, palloc'd. */
extern int *sq_fdw_int_array(List *list);

#endif
