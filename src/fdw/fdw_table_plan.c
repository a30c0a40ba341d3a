/*
 * fdw_table_plan.c
 *		Planning a scan of a table: sizes, costs, paths.
 *
 * The number of rows is the table's own, as it is now. The key is made known
 * to the planner as if it were a unique index, which is all that its
 * estimates need to know that an equality finds one row. Paths: all rows, and
 * a lookup by each index whose columns have equalities, with constants and for
 * each set of outer relations that gives them values.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_table_plan.h"

#include "base/base_version.h"
#include "catalog/pg_am_d.h"
#include "commands/defrem.h"
#include "fdw/fdw_lookup.h"
#include "fdw/fdw_native.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* A lookup of one key, in the planner's units: a few cache misses. */
#define LOOKUP_COST (2.0 * cpu_operator_cost)
/* Rows of a table that is not there yet. */
#define DEFAULT_ROWS 1000.0

/* Planner state of a relation. */
typedef struct SqTablePlanner
{
	SqFdwRel base; /* must be first */
	const SqKeyedShape *shape;
} SqTablePlanner;

const SqKeyedShape *
sq_fdw_table_shape(const RelOptInfo *baserel)
{
	return ((SqTablePlanner *) baserel->fdw_private)->shape;
}

/* ---- Size ---- */

/* The key as the planner's idea of a unique index. Nothing can scan it. */
static IndexOptInfo *
make_unique_index(RelOptInfo *baserel, const SqKeyedShape *shape)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	int ncolumns = shape->layout->indexes[0].ncolumns;

	index->rel = baserel;
	index->reltablespace = baserel->reltablespace;
	index->ncolumns = index->nkeycolumns = ncolumns;
	index->indexkeys = palloc(ncolumns * sizeof(int));
	index->indexcollations = palloc(ncolumns * sizeof(Oid));
	index->opfamily = palloc(ncolumns * sizeof(Oid));
	index->opcintype = palloc(ncolumns * sizeof(Oid));
	index->canreturn = palloc0(ncolumns * sizeof(bool));
	for (int c = 0; c < ncolumns; c++)
	{
		const SqAttribute *attribute =
			&shape->rel->attributes[shape->parts[0][c].attr];
		Oid opclass =
			GetDefaultOpClass(getBaseType(attribute->type), BTREE_AM_OID);

		index->indexkeys[c] = shape->parts[0][c].attr + 1;
		index->indexcollations[c] = attribute->collation;
		index->opfamily[c] = get_opclass_family(opclass);
		index->opcintype[c] = get_opclass_input_type(opclass);
	}
	index->tuples = baserel->tuples;
	index->unique = true;
	index->immediate = true;
	index->predOK = true;
	return index;
}

/* Do these clauses ask for one key? */
static bool
is_one_key(const SqKeyedShape *shape, Index relid, List *rinfos)
{
	SqLookup lookup;

	if (!sq_fdw_lookup_match(shape, relid, 0, rinfos, &lookup))
		return false;
	for (int v = 0; v < lookup.nvalues; v++)
		if (lookup.values[v].array)
			return false;
	return true;
}

void
sq_fdw_table_rel_size(PlannerInfo *root, RelOptInfo *baserel, Relation relation)
{
	SqTablePlanner *planner = palloc0(sizeof(SqTablePlanner));
	double known;

	planner->base.kind = &sq_fdw_kind_table;
	planner->shape = sq_keyed_shape_acquire(relation, CurrentMemoryContext);
	baserel->fdw_private = planner;
	known = sq_keyed_known_rows(planner->shape);
	if (known >= 0)
		baserel->tuples = known;
	else if (baserel->tuples < 0)
		baserel->tuples = DEFAULT_ROWS;
	baserel->indexlist =
		lappend(baserel->indexlist, make_unique_index(baserel, planner->shape));
	set_baserel_size_estimates(root, baserel);
	if (is_one_key(planner->shape, baserel->relid, baserel->baserestrictinfo))
		baserel->rows = 1;
}

/* ---- Paths ---- */

/* Each of the leader alone: what he sees, workers wouldn't know. */
static void
add_path_of(RelOptInfo *baserel, ForeignPath *path)
{
	path->path.parallel_safe = false;
	add_path(baserel, (Path *) path);
}

static void
add_scan_path(PlannerInfo *root, RelOptInfo *baserel)
{
	QualCost qual = baserel->baserestrictcost;
	Cost startup = qual.startup + baserel->reltarget->cost.startup;
	Cost total =
		startup +
		Max(baserel->tuples, SQ_FEW_ROWS) * (cpu_tuple_cost + qual.per_tuple) +
		baserel->rows * baserel->reltarget->cost.per_tuple;

	add_path_of(baserel,
				SQ_CREATE_SCAN_PATH(root, baserel, baserel->rows, startup,
									total, baserel->lateral_relids, NIL));
}

/* How many keys a lookup looks for. */
static double
count_keys(PlannerInfo *root, const SqLookup *lookup)
{
	for (int v = 0; v < lookup->nvalues; v++)
		if (lookup->values[v].array)
			return SQ_ARRAY_LENGTH(root, (Node *) lookup->values[v].expr);
	return 1;
}

/* Rows that a lookup finds. */
static double
lookup_rows(PlannerInfo *root, RelOptInfo *baserel, const SqLookup *lookup,
			double keys)
{
	List *rinfos = NIL;
	double rows;

	for (int v = 0; v < lookup->nvalues; v++)
		rinfos = lappend(rinfos, lookup->values[v].rinfo);
	rows =
		baserel->tuples *
		clauselist_selectivity(root, rinfos, baserel->relid, JOIN_INNER, NULL);
	if (lookup->index == 0)
		rows = Min(rows, keys);
	return clamp_row_est(rows);
}

/* A path of a lookup by one index, if the clauses allow it. */
static void
add_lookup_path(PlannerInfo *root, RelOptInfo *baserel, int index,
				ParamPathInfo *param, Relids outer)
{
	const SqKeyedShape *shape = sq_fdw_table_shape(baserel);
	SqLookup *lookup = palloc(sizeof(SqLookup));
	List *clauses = list_copy(baserel->baserestrictinfo);
	QualCost qual = baserel->baserestrictcost;
	double rows = baserel->rows;
	double keys;
	double found;
	Cost startup;
	Cost total;

	if (param != NULL)
	{
		clauses = list_concat(clauses, param->ppi_clauses);
		rows = param->ppi_rows;
	}
	if (!sq_fdw_lookup_match(shape, baserel->relid, index, clauses, lookup))
		return;
	keys = count_keys(root, lookup);
	found = lookup_rows(root, baserel, lookup, keys);
	startup = qual.startup + baserel->reltarget->cost.startup;
	total = startup + keys * LOOKUP_COST +
			found * (cpu_tuple_cost + qual.per_tuple) +
			Min(rows, found) * baserel->reltarget->cost.per_tuple;
	add_path_of(baserel,
				SQ_CREATE_SCAN_PATH(root, baserel, Min(rows, found), startup,
									total, outer, list_make1(lookup)));
}

static bool
is_usable(RelOptInfo *baserel, Expr *clause, void *arg)
{
	return sq_fdw_lookup_usable(sq_fdw_table_shape(baserel), baserel->relid,
								clause);
}

void
sq_fdw_table_paths(PlannerInfo *root, RelOptInfo *baserel)
{
	const SqKeyedShape *shape = sq_fdw_table_shape(baserel);
	Bitmapset *columns = NULL;
	List *outers;
	ListCell *cell;

	add_scan_path(root, baserel);
	for (int i = 0; i < shape->layout->nindexes; i++)
	{
		add_lookup_path(root, baserel, i, NULL, baserel->lateral_relids);
		for (int p = 0; p < shape->layout->indexes[i].ncolumns; p++)
			columns = bms_add_member(columns, shape->parts[i][p].attr);
	}
	outers = sq_fdw_narrowing_outers(root, baserel, shape->rel, columns,
									 is_usable, NULL);
	foreach (cell, outers)
		for (int i = 0; i < shape->layout->nindexes; i++)
			add_lookup_path(
				root, baserel, i,
				get_baserel_parampathinfo(root, baserel, lfirst(cell)),
				lfirst(cell));
}

/* ---- Plan ---- */

static const SqLookup *
lookup_of(const ForeignPath *path)
{
	return path->fdw_private != NIL ? linitial(path->fdw_private) : NULL;
}

List *
sq_fdw_table_exprs(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path,
				   List *clauses)
{
	const SqLookup *lookup = lookup_of(path);
	List *exprs = NIL;

	for (int v = 0; lookup != NULL && v < lookup->nvalues; v++)
		exprs = lappend(exprs, copyObject(lookup->values[v].expr));
	return exprs;
}

List *
sq_fdw_table_private(PlannerInfo *root, RelOptInfo *baserel, ForeignPath *path)
{
	const SqLookup *lookup = lookup_of(path);
	int array = -1;

	for (int v = 0; lookup != NULL && v < lookup->nvalues; v++)
		if (lookup->values[v].array)
			array = v;
	return list_make2(makeInteger(lookup != NULL ? lookup->index : -1),
					  makeInteger(array));
}
