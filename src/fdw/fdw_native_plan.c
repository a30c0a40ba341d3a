/*
 * fdw_native_plan.c
 *		Planning an aggregate over one stream or table as one native scan.
 *
 * Everything beneath HAVING is native or nothing is: the relation's
 * conditions, what is grouped by, and the aggregates. HAVING and the final
 * projection are PostgreSQL's, over the groups. What the plan needs of Vars
 * goes to fdw_private, where setrefs.c doesn't look for them in the scan's
 * rows; parameters besides to fdw_exprs, so that PostgreSQL knows of them.
 * Those of seek clauses are among them: each of these is also a condition.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "base/base_version.h"
#include "catalog/pg_type_d.h"
#include "fdw/fdw_plan.h"
#include "fdw/fdw_table_plan.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* Parts of the cost of a row that PostgreSQL's executor reckons with: reading
 * it, and each condition, key and aggregate of it. */
#define SCAN_FACTOR   0.5
#define KERNEL_FACTOR 0.2

/* What a path hands to its plan. */
typedef struct SqNativePath
{
	RelOptInfo *rel; /* of the relation */
	SqPlan *plan;
	SqTranslation *translation;
	List *attrs;  /* of the relation's scan, numbers - 1 */
	List *tlist;  /* of the foreign scan's rows */
	List *output; /* slots of its entries */
	List *having;
} SqNativePath;

/* ---- Conditions ---- */

/* In the order that PostgreSQL evaluates them: by security level, then cost,
 * then as written. */
static List *
order_conditions(PlannerInfo *root, List *rinfos)
{
	List *ordered = NIL;
	ListCell *cell;

	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		QualCost cost;
		int at = 0;
		ListCell *other;

		cost_qual_eval_node(&cost, (Node *) rinfo, root);
		foreach (other, ordered)
		{
			RestrictInfo *before = lfirst_node(RestrictInfo, other);
			QualCost other_cost;

			cost_qual_eval_node(&other_cost, (Node *) before, root);
			if (before->security_level > rinfo->security_level ||
				(before->security_level == rinfo->security_level &&
				 other_cost.per_tuple > cost.per_tuple))
				break;
			at++;
		}
		ordered = list_insert_nth(ordered, at, rinfo);
	}
	return ordered;
}

static bool
translate_conditions(PlannerInfo *root, SqTranslation *t, RelOptInfo *rel,
					 SqNode *filter)
{
	ListCell *cell;

	filter->conditions =
		palloc(Max(list_length(rel->baserestrictinfo), 1) * sizeof(SqExpr *));
	foreach (cell, order_conditions(root, rel->baserestrictinfo))
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		SqExpr *condition;

		if (rinfo->pseudoconstant)
			return false;
		condition = sq_fdw_translate_condition(t, (Node *) rinfo->clause);
		if (condition == NULL)
			return false;
		filter->conditions[filter->nconditions++] = condition;
	}
	return true;
}

/* ---- Groups ---- */

/* One more column of the scan's rows. */
static void
add_output(SqNativePath *native, Expr *expr, Index sortgroup, int slot)
{
	TargetEntry *entry =
		makeTargetEntry(expr, list_length(native->tlist) + 1, NULL, false);

	entry->ressortgroupref = sortgroup;
	native->tlist = lappend(native->tlist, entry);
	native->output = lappend_int(native->output, slot);
}

static bool
add_key(SqNativePath *native, SqNode *node, Expr *expr, Index sortgroup)
{
	SqTranslation *t = native->translation;
	SqExpr *key = sq_fdw_translate_value(t, (Node *) expr);
	Oid collation = exprCollation((Node *) expr);
	int slot;

	if (key == NULL || key->type == SQ_TYPE_DATUM ||
		(key->type == SQ_TYPE_NUMERIC && key->kind == SQ_EXPR_PARAM))
		return false;
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return false;
	slot = sq_fdw_translation_slot(t, (SqColumn){.type = key->type,
												 .precision = key->precision,
												 .scale = key->scale});
	node->keys = repalloc(node->keys, (node->nkeys + 1) * sizeof(SqExpr *));
	node->key_slots =
		repalloc(node->key_slots, (node->nkeys + 1) * sizeof(int));
	node->keys[node->nkeys] = key;
	node->key_slots[node->nkeys++] = slot;
	add_output(native, expr, sortgroup, slot);
	return true;
}

static bool
add_aggregate(SqNativePath *native, SqNode *node, Aggref *aggref)
{
	ListCell *cell;

	foreach (cell, native->tlist)
		if (equal(((TargetEntry *) lfirst(cell))->expr, aggref))
			return true;
	node->aggregates = repalloc(node->aggregates,
								(node->naggregates + 1) * sizeof(SqAggregate));
	if (!sq_fdw_translate_aggregate(native->translation, aggref,
									&node->aggregates[node->naggregates]))
		return false;
	add_output(native, (Expr *) aggref, 0,
			   node->aggregates[node->naggregates++].slot);
	return true;
}

/* The aggregates in an expression; every other column of it must be one that
 * is grouped by. */
static bool
add_aggregates(SqNativePath *native, SqNode *node, Node *expr)
{
	List *vars =
		pull_var_clause(expr, PVC_INCLUDE_AGGREGATES | PVC_RECURSE_WINDOWFUNCS |
								  PVC_INCLUDE_PLACEHOLDERS);
	ListCell *cell;

	foreach (cell, vars)
	{
		Node *var = lfirst(cell);
		bool found = false;
		ListCell *entry;

		if (IsA(var, Aggref))
		{
			if (!add_aggregate(native, node, (Aggref *) var))
				return false;
			continue;
		}
		foreach (entry, native->tlist)
			found |= equal(((TargetEntry *) lfirst(entry))->expr, var);
		if (!found)
			return false;
	}
	return true;
}

static bool
translate_groups(PlannerInfo *root, SqNativePath *native, PathTarget *target,
				 SqNode *node)
{
	List *group_clause = root->parse->groupClause;
	List *others = NIL;
	ListCell *cell;
	int i = 0;

	node->keys = palloc(sizeof(SqExpr *));
	node->key_slots = palloc(sizeof(int));
	node->aggregates = palloc(sizeof(SqAggregate));
	foreach (cell, target->exprs)
	{
		Expr *expr = lfirst(cell);
		Index sortgroup = get_pathtarget_sortgroupref(target, i++);

		if (sortgroup != 0 &&
			get_sortgroupref_clause_noerr(sortgroup, group_clause) != NULL)
		{
			if (!add_key(native, node, expr, sortgroup))
				return false;
		}
		else
			others = lappend(others, expr);
	}
	return add_aggregates(native, node, (Node *) others) &&
		   add_aggregates(native, node, (Node *) native->having);
}

/* ---- The tree ---- */

/* Fill a scan's slots with the attributes that were met: their numbers - 1. */
static List *
fill_slots(const SqTranslation *t, SqNode *scan)
{
	List *attrs = NIL;

	scan->filled = palloc(Max(t->nattributes, 1) * sizeof(int));
	for (int a = 0; a < t->nattributes; a++)
	{
		if (t->attribute_slots[a] < 0)
			continue;
		attrs = lappend_int(attrs, a);
		scan->filled[scan->nfilled++] = t->attribute_slots[a];
	}
	scan->slots = scan->filled;
	scan->nslots = scan->nfilled;
	return attrs;
}

static void
add_row_slots(SqNode *node)
{
	node->slots = palloc(Max(node->nkeys + node->naggregates, 1) * sizeof(int));
	for (int k = 0; k < node->nkeys; k++)
		node->slots[node->nslots++] = node->key_slots[k];
	for (int a = 0; a < node->naggregates; a++)
		node->slots[node->nslots++] = node->aggregates[a].slot;
}

/* Aggregate over filter over scan; NULL if a part of it is not native. */
static SqNativePath *
make_tree(PlannerInfo *root, RelOptInfo *rel, PathTarget *target, List *having,
		  double groups)
{
	SqNativePath *native = palloc0(sizeof(SqNativePath));
	SqNode *scan = palloc0(sizeof(SqNode));
	SqNode *filter = palloc0(sizeof(SqNode));
	SqNode *aggregate = palloc0(sizeof(SqNode));
	SqTranslation *t = sq_fdw_translation_create(rel->relid, rel->max_attr);

	native->rel = rel;
	native->translation = t;
	native->having = having;
	scan->kind = SQ_NODE_SCAN;
	scan->rows = rel->tuples;
	filter->kind = SQ_NODE_FILTER;
	filter->rows = rel->rows;
	filter->outer = scan;
	aggregate->kind = SQ_NODE_AGGREGATE;
	aggregate->rows = groups;
	if (!translate_conditions(root, t, rel, filter) ||
		!translate_groups(root, native, target, aggregate))
		return NULL;
	native->attrs = fill_slots(t, scan);
	filter->nslots = scan->nslots;
	filter->slots = scan->slots;
	add_row_slots(aggregate);
	aggregate->outer = filter->nconditions > 0 ? filter : scan;
	filter->number = 1;
	scan->number = filter->nconditions > 0 ? 2 : 1;
	native->plan = palloc0(sizeof(SqPlan));
	*native->plan = (SqPlan){.nslots = t->nslots,
							 .slots = t->slots,
							 .nrelations = 1,
							 .nparams = list_length(t->params),
							 .nnodes = scan->number + 1,
							 .root = aggregate};
	return native;
}

/* ---- Paths ---- */

/* Is this an aggregate over one of our relations, without what is beyond us? */
static bool
is_candidate(PlannerInfo *root, RelOptInfo *input)
{
	Query *parse = root->parse;

	if (sq_require_native == SQ_NATIVE_FORBID || !sq_enable_native_aggregate ||
		(input->baserestrictinfo != NIL && !sq_enable_native_filter))
		return false;
	return input->reloptkind == RELOPT_BASEREL && input->fdwroutine != NULL &&
		   input->fdw_private != NULL && bms_is_empty(input->lateral_relids) &&
		   parse->groupingSets == NIL &&
		   (parse->hasAggs || parse->groupClause != NIL) &&
		   GetDatabaseEncoding() == PG_UTF8;
}

static bool
is_stream(const RelOptInfo *rel)
{
	return *(const SqFdwKind **) rel->fdw_private == &sq_fdw_kind_stream;
}

static double
count_groups(PlannerInfo *root, RelOptInfo *input)
{
	List *exprs = get_sortgrouplist_exprs(root->parse->groupClause,
										  root->processed_tlist);

	if (exprs == NIL)
		return 1;
	return estimate_num_groups(root, exprs, input->rows, NULL, NULL);
}

static Cost
native_cost(RelOptInfo *input, const SqNativePath *native, double groups)
{
	Path *cheapest = input->cheapest_total_path;
	const SqNode *aggregate = native->plan->root;
	double rows = Max(input->tuples, SQ_FEW_ROWS);
	Cost scan = rows * cpu_tuple_cost;
	Cost kernels = rows * input->baserestrictcost.per_tuple +
				   input->rows * (aggregate->nkeys + aggregate->naggregates) *
					   cpu_operator_cost;

	/* what a stream's conditions leave unread is known to its own path */
	if (is_stream(input))
		scan =
			Max(cheapest->total_cost - rows * input->baserestrictcost.per_tuple,
				0.5 * cheapest->total_cost);
	return scan * SCAN_FACTOR + kernels * KERNEL_FACTOR +
		   groups * cpu_tuple_cost;
}

void
sq_fdw_native_upper_paths(PlannerInfo *root, UpperRelationKind stage,
						  RelOptInfo *input, RelOptInfo *output, void *extra)
{
	PathTarget *target;
	SqNativePath *native;
	List *having;
	double groups;
	double rows;

	if (stage != UPPERREL_GROUP_AGG || !is_candidate(root, input))
		return;
	target = root->upper_targets[UPPERREL_GROUP_AGG];
	having = (List *) ((GroupPathExtraData *) extra)->havingQual;
	groups = count_groups(root, input);
	native = make_tree(root, input, target, having, groups);
	if (native == NULL)
		return;
	rows = clamp_row_est(
		groups * clauselist_selectivity(root, having, 0, JOIN_INNER, NULL));
	add_path(output,
			 (Path *) SQ_CREATE_UPPER_PATH(
				 root, output, target, rows,
				 input->cheapest_total_path->startup_cost,
				 native_cost(input, native, groups), list_make1(native)));
}

/* ---- Plan ---- */

static Const *
plan_const(const SqPlan *plan)
{
	SqSlice bytes = sq_plan_write(plan);
	bytea *value = palloc(VARHDRSZ + bytes.length);

	SET_VARSIZE(value, VARHDRSZ + bytes.length);
	memcpy(VARDATA(value), bytes.data, bytes.length);
	return makeConst(BYTEAOID, -1, InvalidOid, -1, PointerGetDatum(value),
					 false, false);
}

ForeignScan *
sq_fdw_native_plan(PlannerInfo *root, ForeignPath *path, List *tlist)
{
	SqNativePath *native = linitial(path->fdw_private);
	RelOptInfo *rel = native->rel;
	List *seek = NIL;
	List *private;

	if (is_stream(rel))
		seek = sq_fdw_stream_exprs(
			root, rel, NULL,
			extract_actual_clauses(rel->baserestrictinfo, false));
	private = list_make2(makeInteger(SQ_PLAN_NATIVE), native->attrs);
	private = list_concat(private, list_make4(plan_const(native->plan),
											  makeInteger(rel->relid), seek,
											  native->output));
	return make_foreignscan(tlist, (List *) copyObject(native->having), 0,
							native->translation->params, private, native->tlist,
							NIL, NULL);
}
