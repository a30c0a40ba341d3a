/*
 * fdw_native.h
 *		Aggregates over a stream or table, run by the native executor.
 *
 * The planner's part makes one foreign scan of grouping, filter and scan where
 * every expression of them has kernels; the executor's part runs its plan
 * (plan.h). What is not proven equal stays with PostgreSQL, which keeps its own
 * paths beside ours and compares costs.
 */
#ifndef SQ_FDW_NATIVE_H
#define SQ_FDW_NATIVE_H

#include "postgres.h"

#include "exec/exec.h"
#include "fdw/fdw_kind.h"
#include "fdw/fdw_scan.h"
#include "plan/plan.h"

/* What follows SQ_PLAN_OWN in fdw_private. fdw_exprs holds the parameters, by
 * number of the plan's params. */
enum SqNativePrivate
{
	/* Const: bytea, the plan's bytes */
	SQ_NATIVE_BYTES = SQ_PLAN_OWN,
	/* Integer: the relation's number when it was planned, for its Vars */
	SQ_NATIVE_RELID,
	/* expressions that narrow what is read of a stream */
	SQ_NATIVE_SEEK,
	/* Integer list: of each column of the scan's rows, the slot */
	SQ_NATIVE_OUTPUT
};

/* GetForeignUpperPaths. */
extern void sq_fdw_native_upper_paths(PlannerInfo *root,
									  UpperRelationKind stage,
									  RelOptInfo *input, RelOptInfo *output,
									  void *extra);
/* The plan of a path that it made. */
extern ForeignScan *sq_fdw_native_plan(PlannerInfo *root, ForeignPath *path,
									   List *tlist);

/* ---- Translation (fdw_translate.c) ---- */

/* The expressions of one query over one relation, on their way into a plan. */
typedef struct SqTranslation
{
	Index relid;
	int nattributes;
	int *attribute_slots; /* by attribute number - 1: its slot, or -1 */
	SqColumn *slots;      /* palloc'd, room for maxslots */
	int nslots;
	int maxslots;
	List *params; /* of Param, by number */
} SqTranslation;

extern SqTranslation *sq_fdw_translation_create(Index relid, int nattributes);
/* One more slot with the type fields given; its number. */
extern int sq_fdw_translation_slot(SqTranslation *t, SqColumn type);
/* A value (never TRUTH), or a condition (TRUTH); NULL: it has no kernels. */
extern SqExpr *sq_fdw_translate_value(SqTranslation *t, Node *node);
extern SqExpr *sq_fdw_translate_condition(SqTranslation *t, Node *node);
/* An aggregate whose result goes into a new slot; false as above. */
extern bool sq_fdw_translate_aggregate(SqTranslation *t, Aggref *aggref,
									   SqAggregate *aggregate);

/* ---- Values (fdw_native_value.c) ---- */

/* The column kind that values of a type have in the executor. */
extern SqColumn sq_fdw_native_type(Oid type, int32 typmod);
/* sum / 10^scale (scale -1: NaN), over count if that is not 0. */
extern Datum sq_fdw_native_numeric(int128 sum, int scale, int64 count);

/* ---- Sources (fdw_native_source.c) ---- */

/* The rows of a stream's scan, which is started at the first of them, for the
 * slots of a plan's scan node. attrs: of its filled slots. */
extern SqSource *sq_fdw_stream_source(SqScan *scan, ExprContext *econtext,
									  const SqPlan *plan, const SqNode *node,
									  const int *attrs, int capacity);

#endif
