/*
 * fdw_handler.c
 *		The table of callbacks that makes a topic a foreign table.
 *
 * Memory: the routine is palloc'd in the caller's context. Locks: none.
 */
#include "fdw/fdw.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "fdw/fdw_analyze.h"
#include "fdw/fdw_kind.h"
#include "fdw/fdw_modify.h"
#include "fdw/fdw_native.h"
#include "fdw/fdw_scan.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/value.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(streamsql_fdw_handler);

/* ---- Planning ---- */

/* The kind of a relation (SqKind) or plan (SQ_PLAN_KIND). */
static const SqFdwKind *
kind_of(int kind)
{
	switch (kind)
	{
		case SQ_KIND_TABLE:
			return &sq_fdw_kind_table;
		case SQ_PLAN_NATIVE:
			return &sq_fdw_kind_native;
		default:
			return &sq_fdw_kind_stream;
	}
}

/* The kind that a relation's planner state or a scan's state begins with. */
static const SqFdwKind *
kind_in(void *state)
{
	return *(const SqFdwKind **) state;
}

static void
get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	Relation relation = table_open(relid, NoLock);

	kind_of(sq_feed_relation_kind(relid))
		->get_rel_size(root, baserel, relation);
	table_close(relation, NoLock);
}

static void
get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	kind_in(baserel->fdw_private)->get_paths(root, baserel);
	sq_fdw_native_scan_paths(root, baserel);
}

List *
sq_fdw_wanted_attributes(RelOptInfo *baserel, int nattributes, List *clauses)
{
	Bitmapset *used = NULL;
	List *result = NIL;
	bool whole_row;

	pull_varattnos((Node *) baserel->reltarget->exprs, baserel->relid, &used);
	pull_varattnos((Node *) clauses, baserel->relid, &used);
	whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (int a = 0; a < nattributes; a++)
		if (whole_row ||
			bms_is_member(a + 1 - FirstLowInvalidHeapAttributeNumber, used))
			result = lappend_int(result, a);
	return result;
}

static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid relid, ForeignPath *path,
		 List *tlist, List *scan_clauses, Plan *outer_plan)
{
	const SqFdwKind *kind;
	List *clauses;
	List *private;

	if (sq_fdw_is_native_path(path))
		return sq_fdw_native_plan(root, path, tlist);
	kind = kind_in(baserel->fdw_private);
	clauses = extract_actual_clauses(scan_clauses, false);
	private = list_make3(
		makeInteger(kind == &sq_fdw_kind_table ? SQ_KIND_TABLE
											   : SQ_KIND_STREAM),
		sq_fdw_wanted_attributes(baserel, baserel->max_attr, clauses),
		sq_fdw_not_native(root, baserel, false));

	private = list_concat(private, kind->plan_private(root, baserel, path));
	return make_foreignscan(tlist, clauses, baserel->relid,
							kind->plan_exprs(root, baserel, path, clauses),
							private, NIL, NIL, outer_plan);
}

/* ---- Execution ---- */

static void
begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	kind_of(intVal(list_nth(plan->fdw_private, SQ_PLAN_KIND)))
		->begin(node, eflags);
}

static TupleTableSlot *
iterate(ForeignScanState *node)
{
	return kind_in(node->fdw_state)->iterate(node);
}

static void
rescan(ForeignScanState *node)
{
	kind_in(node->fdw_state)->rescan(node);
}

/* EvalPlanQual asks for the rows of joins and groups here, one at a time: a
 * statement that locks rows has none of ours among them. */
static bool
recheck(ForeignScanState *node, TupleTableSlot *slot)
{
	if (((Scan *) node->ss.ps.plan)->scanrelid > 0)
		return true;
	iterate(node);
	return !TupIsNull(slot);
}

static void
end(ForeignScanState *node)
{
	if (node->fdw_state != NULL)
		kind_in(node->fdw_state)->end(node);
}

static void
explain(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	String *reason = list_nth(plan->fdw_private, SQ_PLAN_REASON);

	if (es->verbose && reason != NULL)
		ExplainPropertyText("Not Native", strVal(reason), es);
	kind_in(node->fdw_state)->explain(node, es);
}

static void
shut_down(ForeignScanState *node)
{
	if (node->fdw_state != NULL && kind_in(node->fdw_state)->shut_down != NULL)
		kind_in(node->fdw_state)->shut_down(node);
}

/* ---- Several processes ---- */

/* What a table shows is the leader's to say, who can tell only native plans:
 * paths of tables themselves are not safe. */
static bool
is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return true;
}

static Size
estimate_dsm(ForeignScanState *node, ParallelContext *pcxt)
{
	return kind_in(node->fdw_state)->estimate_dsm(node);
}

static void
initialize_dsm(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	kind_in(node->fdw_state)->initialize_dsm(node, coordinate);
}

static void
reinitialize_dsm(ForeignScanState *node, ParallelContext *pcxt,
				 void *coordinate)
{
	kind_in(node->fdw_state)->reinitialize_dsm(node, coordinate);
}

static void
initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	kind_in(node->fdw_state)->initialize_worker(node, coordinate);
}

Datum
streamsql_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->GetForeignJoinPaths = sq_fdw_native_join_paths;
	routine->GetForeignUpperPaths = sq_fdw_native_upper_paths;
	routine->BeginForeignScan = begin;
	routine->IterateForeignScan = iterate;
	routine->ReScanForeignScan = rescan;
	routine->RecheckForeignScan = recheck;
	routine->EndForeignScan = end;
	routine->ShutdownForeignScan = shut_down;
	routine->ExplainForeignScan = explain;
	routine->AnalyzeForeignTable = sq_fdw_analyze;
	routine->IsForeignScanParallelSafe = is_parallel_safe;
	routine->EstimateDSMForeignScan = estimate_dsm;
	routine->InitializeDSMForeignScan = initialize_dsm;
	routine->ReInitializeDSMForeignScan = reinitialize_dsm;
	routine->InitializeWorkerForeignScan = initialize_worker;
	routine->IsForeignRelUpdatable = sq_fdw_is_updatable;
	routine->AddForeignUpdateTargets = sq_fdw_add_update_targets;
	routine->PlanForeignModify = sq_fdw_plan_modify;
	routine->BeginForeignModify = sq_fdw_begin_modify;
	routine->BeginForeignInsert = sq_fdw_begin_insert;
	routine->ExecForeignInsert = sq_fdw_insert;
	routine->ExecForeignUpdate = sq_fdw_update;
	routine->ExecForeignDelete = sq_fdw_delete;
	routine->EndForeignModify = sq_fdw_end_modify;
	routine->EndForeignInsert = sq_fdw_end_modify;
	routine->ExplainForeignModify = sq_fdw_explain_modify;
	PG_RETURN_POINTER(routine);
}
