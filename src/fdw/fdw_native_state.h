/*
 * fdw_native_state.h
 *		The state of a native plan's execution, shared by the files that run
 *		it: fdw_native_scan.c, fdw_native_host.c, fdw_native_explain.c.
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

/* An expression that PostgreSQL evaluates. */
typedef struct SqHostExpr
{
	ExprState *expr;
	TupleTableSlot *row; /* the columns that it looks at */
	int nslots;
	int *slots;            /* that they come from */
	MemoryContext context; /* of the results */
} SqHostExpr;

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
	SqExec *exec;          /* NULL under EXPLAIN without ANALYZE */
	MemoryContext context; /* the execution's */
	MemoryContext values;  /* of the frame at hand */
	MemoryContext param_context;
	BufFile **files; /* NULL: closed */
	int nfiles;
	SqFrame *frame; /* NULL: none yet */
	int row;        /* the next one to look at */
	bool done;
} SqNativeState;

/* Make ready what the plan has PostgreSQL evaluate (SQ_NATIVE_HOSTS). */
extern void sq_fdw_native_host_init(SqNativeState *state, PlanState *parent,
									List *hosts);
/* ExplainForeignScan. */
extern void sq_fdw_native_explain(ForeignScanState *node, ExplainState *es);
/* An integer list, palloc'd. */
extern int *sq_fdw_int_array(List *list);

#endif
