/*
 * fdw_plan.c
 *		Planning a scan of a stream.
 *
 * The planner never talks to a broker: sizes come from what this backend last
 * saw of the topic, else from ANALYZE, else from a guess. Every clause stays a
 * filter of the scan; those that narrow what is read are, besides, handed to
 * execution as seek clauses. Join clauses that narrow make parameterised
 * paths, so that a nested loop reads only what each outer row asks for.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_plan.h"

#include "access/table.h"
#include "base/base_version.h"
#include "fdw/fdw_native.h"
#include "fdw/fdw_seek.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"

/* A round trip to a broker, in the planner's units. */
#define FETCH_COST 100.0
/* Fetching and decoding a record, in cpu_tuple_cost. */
#define RECORD_FACTOR 2.0
/* Records of a topic that nothing is known of. */
#define DEFAULT_RECORDS 100000.0

/* Planner state of a relation. */
typedef struct SqPlannerInfo
{
	SqFdwRel base; /* must be first */
	SqRelation *rel;
	int partitions; /* 0: not known */
} SqPlannerInfo;

void
sq_fdw_stream_rel_size(PlannerInfo *root, RelOptInfo *baserel,
					   Relation relation)
{
	SqPlannerInfo *info = palloc0(sizeof(SqPlannerInfo));
	double known =
		sq_fdw_known_records(RelationGetRelid(relation), &info->partitions);

	info->base.kind = &sq_fdw_kind_stream;
	info->rel = sq_feed_relation_load(relation);
	baserel->fdw_private = info;
	if (known >= 0)
		baserel->tuples = known;
	else if (baserel->tuples < 0)
		baserel->tuples = DEFAULT_RECORDS;
	set_baserel_size_estimates(root, baserel);
}

/* ---- Paths ---- */

/* The clauses of a RestrictInfo list that narrow what is read. */
static List *
seek_clauses(const SqRelation *rel, Index relid, List *rinfos)
{
	List *result = NIL;
	ListCell *cell;

	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (sq_fdw_seek_usable(rel, relid, rinfo->clause))
			result = lappend(result, rinfo);
	}
	return result;
}

/* Records that a scan with these clauses reads. */
static double
records_read(PlannerInfo *root, RelOptInfo *baserel, List *ppi_clauses)
{
	SqPlannerInfo *info = baserel->fdw_private;
	List *clauses = list_concat(
		seek_clauses(info->rel, baserel->relid, baserel->baserestrictinfo),
		seek_clauses(info->rel, baserel->relid, ppi_clauses));
	Selectivity selectivity =
		clauselist_selectivity(root, clauses, baserel->relid, JOIN_INNER, NULL);

	return clamp_row_est(baserel->tuples * selectivity);
}

/* The cost of one scan. */
static void
scan_cost(RelOptInfo *baserel, double records, Cost *startup, Cost *total)
{
	QualCost qual = baserel->baserestrictcost;

	*startup = FETCH_COST + qual.startup + baserel->reltarget->cost.startup;
	*total = *startup +
			 records * (cpu_tuple_cost * RECORD_FACTOR + qual.per_tuple) +
			 baserel->rows * baserel->reltarget->cost.per_tuple;
}

/* A path of the whole scan, for one set of outer relations. */
static void
add_scan_path(PlannerInfo *root, RelOptInfo *baserel, Relids outer)
{
	ParamPathInfo *param = NULL;
	ForeignPath *path;
	double rows = baserel->rows;
	double records;
	Cost startup, total;

	if (!bms_is_empty(outer))
	{
		param = get_baserel_parampathinfo(root, baserel, outer);
		rows = param->ppi_rows;
	}
	records =
		records_read(root, baserel, param != NULL ? param->ppi_clauses : NIL);
	scan_cost(baserel, records, &startup, &total);
	path = SQ_CREATE_SCAN_PATH(root, baserel, rows, startup, total, outer, NIL);
	/* workers can't share the leader's end offsets with a plain scan */
	path->path.parallel_safe = false;
	add_path(baserel, (Path *) path);
}

/* A path that shares the partitions among the workers of a Gather. */
static void
add_shared_path(PlannerInfo *root, RelOptInfo *baserel)
{
	SqPlannerInfo *info = baserel->fdw_private;
	int workers = max_parallel_workers_per_gather;
	double divisor;
	double records;
	ForeignPath *path;
	Cost startup, total;

	if (info->partitions > 0)
		workers = Min(workers, info->partitions - 1);
	if (workers <= 0 || !baserel->consider_parallel ||
		!bms_is_empty(baserel->lateral_relids))
		return;
	divisor = workers + 1;
	records = records_read(root, baserel, NIL);
	scan_cost(baserel, records / divisor, &startup, &total);
	path = SQ_CREATE_SCAN_PATH(
		root, baserel, clamp_row_est(baserel->rows / divisor),
		startup + SQ_CONNECT_COST, total + SQ_CONNECT_COST, NULL, NIL);
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(baserel, (Path *) path);
}

static bool
is_seek_source(SqAttributeSource source)
{
	return source == SQ_SOURCE_PARTITION || source == SQ_SOURCE_OFFSET ||
		   source == SQ_SOURCE_TIMESTAMP;
}

static bool
is_usable(RelOptInfo *baserel, Expr *clause, void *arg)
{
	SqPlannerInfo *info = baserel->fdw_private;

	return sq_fdw_seek_usable(info->rel, baserel->relid, clause);
}

void
sq_fdw_stream_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	SqPlannerInfo *info = baserel->fdw_private;
	Bitmapset *columns = NULL;
	ListCell *cell;

	for (int a = 0; a < info->rel->nattributes; a++)
		if (is_seek_source(info->rel->attributes[a].source))
			columns = bms_add_member(columns, a);
	add_scan_path(root, baserel, baserel->lateral_relids);
	foreach (cell, sq_fdw_narrowing_outers(root, baserel, info->rel, columns,
										   is_usable, NULL))
		add_scan_path(root, baserel, lfirst(cell));
	add_shared_path(root, baserel);
}

/* ---- Plan ---- */

List *
sq_fdw_stream_exprs(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path,
					List *clauses)
{
	List *seek = NIL;
	ListCell *cell;

	foreach (cell, clauses)
		if (is_usable(baserel, lfirst(cell), NULL))
			seek = lappend(seek, copyObject(lfirst(cell)));
	return seek;
}

List *
sq_fdw_stream_private(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path)
{
	return NIL;
}
