/*
 * fdw_native_plan.c
 *		Trees as plans, and aggregates over them as paths.
 *
 * Everything beneath HAVING is native or nothing is. HAVING and the final
 * projection are PostgreSQL's, over the groups or the joins' rows. What the
 * plan needs of Vars goes to fdw_private, where setrefs.c doesn't look for them
 * in the scan's rows; parameters besides to fdw_exprs, so that PostgreSQL knows
 * of them. Those of seek clauses are among them: each of these is also a
 * condition.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "base/base_version.h"
#include "catalog/pg_type_d.h"
#include "fdw/fdw_plan.h"
#include "guc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* A plan in the making. */
typedef struct SqNativePath
{
	Relids relids; /* of the relations, by whose order they are numbered */
	PlannerInfo *root;
	SqPlan *plan;
	SqTranslation *translation;
	List **attrs;       /* by relation: of its filled slots, numbers - 1 */
	List **seek;        /* by relation */
	List *tlist;        /* of the foreign scan's rows */
	List *output;       /* slots of its entries */
	PathTarget *target; /* of groups: what is asked for */
	List *clause;       /* of groups: what is grouped by */
	List *having;
	List *shown; /* of SqShown */
} SqNativePath;

/* What EXPLAIN says of a node. */
typedef struct SqShown
{
	const SqNode *node;
	const char *label;
	List *exprs;
} SqShown;

/* ---- Nodes ---- */

static SqNode *
make_node(SqNodeKind kind, double rows, SqNode *outer)
{
	SqNode *node = palloc0(sizeof(SqNode));

	node->kind = kind;
	node->rows = rows;
	node->outer = outer;
	return node;
}

/* Which one of the plan's relations it is. */
static int
number_of(const SqNativePath *native, const RelOptInfo *rel)
{
	return bms_member_index(native->relids, rel->relid);
}

static void
show(SqNativePath *native, const SqNode *node, const char *label, List *exprs)
{
	SqShown *shown = palloc(sizeof(SqShown));

	*shown = (SqShown){node, label, exprs};
	if (exprs != NIL)
		native->shown = lappend(native->shown, shown);
}

static void
add_conditions(SqNativePath *native, SqNode *node, List *rinfos)
{
	ListCell *cell;

	show(native, node, node->kind == SQ_NODE_JOIN ? "Join Filter" : "Filter",
		 get_actual_clauses(rinfos));
	node->conditions = palloc(Max(list_length(rinfos), 1) * sizeof(SqExpr *));
	foreach (cell, rinfos)
		node->conditions[node->nconditions++] = sq_fdw_translate_condition(
			native->translation,
			(Node *) lfirst_node(RestrictInfo, cell)->clause);
}

static SqNode *
make_scan(SqNativePath *native, const SqNativeTree *tree)
{
	SqNode *node = make_node(SQ_NODE_SCAN, tree->rel->tuples, NULL);

	node->relation = number_of(native, tree->rel);
	if (sq_fdw_is_stream(tree->rel))
		native->seek[node->relation] = sq_fdw_stream_exprs(
			native->root, tree->rel, NULL,
			extract_actual_clauses(tree->rel->baserestrictinfo, false));
	return node;
}

static void
add_keys(SqNativePath *native, SqNode *node, const SqNativeTree *tree)
{
	int count = Max(list_length(tree->equalities), 1);
	ListCell *cell;

	show(native, node,
		 node->method == SQ_METHOD_HASH ? "Hash Cond" : "Lookup Cond",
		 get_actual_clauses(tree->equalities));
	node->keys = palloc(count * sizeof(SqExpr *));
	if (node->method == SQ_METHOD_HASH)
		node->inner_keys = palloc(count * sizeof(SqExpr *));
	foreach (cell, tree->equalities)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		SqExpr *equality = sq_fdw_translate_equality(native->translation,
													 (Node *) rinfo->clause);
		bool inner_left =
			bms_overlap(rinfo->left_relids, tree->inner->rel->relids);

		if (node->method == SQ_METHOD_HASH)
			node->inner_keys[node->nkeys] = equality->args[inner_left ? 0 : 1];
		node->keys[node->nkeys++] = equality->args[inner_left ? 1 : 0];
	}
}

static SqNode *make_tree(SqNativePath *native, const SqNativeTree *tree);

static SqNode *
make_join(SqNativePath *native, const SqNativeTree *tree)
{
	SqNode *node =
		make_node(SQ_NODE_JOIN, tree->rows, make_tree(native, tree->outer));

	node->join = tree->join;
	node->method = tree->method;
	node->index = tree->index;
	if (node->method == SQ_METHOD_HASH)
		node->inner = make_tree(native, tree->inner);
	else
		node->relation = number_of(native, tree->inner->rel);
	add_keys(native, node, tree);
	add_conditions(native, node, tree->conditions);
	return node;
}

static SqNode *
make_tree(SqNativePath *native, const SqNativeTree *tree)
{
	SqNode *node =
		tree->outer != NULL ? make_join(native, tree) : make_scan(native, tree);

	if (tree->filters == NIL)
		return node;
	node = make_node(SQ_NODE_FILTER, tree->rows, node);
	add_conditions(native, node, tree->filters);
	return node;
}

/* ---- Slots ---- */

/* The slots that something the host computes looks at. */
static void
note_host_slots(List *hosts, int number, Bitmapset **slots)
{
	ListCell *cell;

	foreach (cell, lsecond_node(List, list_nth(hosts, number)))
		*slots = bms_add_member(*slots, lfirst_int(cell));
}

static void
note_slots(const SqTranslation *t, const SqExpr *expr, Bitmapset **slots)
{
	if (expr == NULL)
		return;
	if (expr->kind == SQ_EXPR_COLUMN)
		*slots = bms_add_member(*slots, expr->number);
	if (expr->kind == SQ_EXPR_HOST)
		note_host_slots(t->hosts, expr->number, slots);
	for (int i = 0; i < expr->nargs; i++)
		note_slots(t, expr->args[i], slots);
}

/* The slots that a node's own expressions look at. */
static Bitmapset *
used_slots(const SqTranslation *t, const SqNode *node)
{
	Bitmapset *used = NULL;

	for (int i = 0; i < node->nconditions; i++)
		note_slots(t, node->conditions[i], &used);
	for (int k = 0; k < node->nkeys; k++)
	{
		note_slots(t, node->keys[k], &used);
		if (node->inner_keys != NULL)
			note_slots(t, node->inner_keys[k], &used);
		if (node->images != NULL)
			note_slots(t, node->images[k], &used);
	}
	for (int a = 0; a < node->naggregates; a++)
	{
		if (node->aggregates[a].kind == SQ_AGG_HOST)
			note_host_slots(t->aggregates, node->aggregates[a].number, &used);
		note_slots(t, node->aggregates[a].arg, &used);
		note_slots(t, node->aggregates[a].filter, &used);
	}
	return used;
}

/* Fill the slots of a relation that are needed. */
static void
fill_slots(SqNativePath *native, SqNode *node, Bitmapset *needed)
{
	Index relid = 0;
	const int *slots;
	int nattributes;

	for (int r = 0, member = -1; r <= node->relation; r++)
		relid = member = bms_next_member(native->relids, member);
	slots = native->translation->attribute_slots[relid];
	nattributes = native->root->simple_rel_array[relid]->max_attr;
	node->filled = palloc(Max(nattributes, 1) * sizeof(int));
	for (int a = 0; slots != NULL && a < nattributes; a++)
	{
		if (slots[a] < 0 || !bms_is_member(slots[a], needed))
			continue;
		native->attrs[node->relation] =
			lappend_int(native->attrs[node->relation], a);
		node->filled[node->nfilled++] = slots[a];
	}
}

static void
add_slots(SqNode *node, const int *slots, int nslots, Bitmapset *needed)
{
	if (node->slots == NULL)
		node->slots = palloc(sizeof(int));
	node->slots =
		repalloc(node->slots, Max(node->nslots + nslots, 1) * sizeof(int));
	for (int s = 0; s < nslots; s++)
		if (bms_is_member(slots[s], needed))
			node->slots[node->nslots++] = slots[s];
}

/* Say which slots the rows of a node have: those that are needed above. */
static void
place_slots(SqNativePath *native, SqNode *node, Bitmapset *needed)
{
	Bitmapset *beneath = used_slots(native->translation, node);

	if (node->kind != SQ_NODE_AGGREGATE)
		beneath = bms_union(needed, beneath);
	if (node->outer != NULL)
		place_slots(native, node->outer, beneath);
	if (node->inner != NULL)
		place_slots(native, node->inner, beneath);
	if (node->kind == SQ_NODE_SCAN ||
		(node->kind == SQ_NODE_JOIN && node->inner == NULL))
		fill_slots(native, node, beneath);
	if (node->kind == SQ_NODE_AGGREGATE)
		return;
	if (node->outer != NULL)
		add_slots(node, node->outer->slots, node->outer->nslots, needed);
	/* ANTI has them too, as NULLs: it may have been a LEFT JOIN */
	if (node->kind == SQ_NODE_JOIN && node->join == SQ_JOIN_SEMI)
		return;
	if (node->inner != NULL)
		add_slots(node, node->inner->slots, node->inner->nslots, needed);
	add_slots(node, node->filled, node->nfilled, needed);
}

static void
number_nodes(SqNode *node, int *next)
{
	node->number = (*next)++;
	if (node->outer != NULL)
		number_nodes(node->outer, next);
	if (node->inner != NULL)
		number_nodes(node->inner, next);
}

/* ---- Output ---- */

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

static SqNativePath *
begin_plan(PlannerInfo *root, const SqNativeTree *tree)
{
	SqNativePath *native = palloc0(sizeof(SqNativePath));
	int count;

	native->root = root;
	native->relids = sq_fdw_native_relids(tree);
	native->translation = sq_fdw_translation_create(root, native->relids);
	count = bms_num_members(native->relids);
	native->attrs = palloc0(count * sizeof(List *));
	native->seek = palloc0(count * sizeof(List *));
	return native;
}

static void
end_plan(SqNativePath *native, SqNode *top)
{
	SqTranslation *t = native->translation;
	Bitmapset *needed = NULL;
	ListCell *cell;

	foreach (cell, native->output)
		if (lfirst_int(cell) >= 0)
			needed = bms_add_member(needed, lfirst_int(cell));
	place_slots(native, top, needed);
	native->plan = palloc0(sizeof(SqPlan));
	number_nodes(top, &native->plan->nnodes);
	native->plan->nslots = t->nslots;
	native->plan->slots = t->slots;
	native->plan->nrelations = bms_num_members(native->relids);
	native->plan->nparams = list_length(t->params);
	native->plan->nhosts = list_length(t->hosts);
	native->plan->nhost_aggs = list_length(t->aggregates);
	native->plan->root = top;
}

/* The rows of a join as they are. */
static SqNativePath *
plan_rows(PlannerInfo *root, const SqNativeTree *tree, List *tlist)
{
	SqNativePath *native = begin_plan(root, tree);
	SqNode *top = make_tree(native, tree);
	/* by now the target may have become the query's, with expressions */
	List *wanted = pull_var_clause((Node *) tree->rel->reltarget->exprs,
								   PVC_RECURSE_PLACEHOLDERS);
	List *columns = list_concat_unique(
		list_copy(wanted),
		pull_var_clause((Node *) tlist, PVC_RECURSE_PLACEHOLDERS));
	ListCell *cell;

	foreach (cell, columns)
	{
		Expr *column = lfirst(cell);

		if (tlist_member(column, native->tlist))
			continue;
		/* a scan may be asked for all columns, where nobody looks at others */
		if (!list_member(wanted, column))
			add_output(native, column, 0, -1);
		else
			add_output(
				native, column, 0,
				sq_fdw_translation_column(native->translation, (Var *) column));
	}
	end_plan(native, top);
	return native;
}

/* ---- Groups ---- */

static bool
add_key(SqNativePath *native, SqNode *node, Expr *expr, Index sortgroup)
{
	SqTranslation *t = native->translation;
	SqExpr *key = sq_fdw_translate_value(t, (Node *) expr);
	SqExpr *image = key;
	Oid collation = exprCollation((Node *) expr);
	int slot;

	if (key == NULL)
		return false;
	if (key->type == SQ_TYPE_DATUM)
		image = sq_fdw_translate_image(t, (Node *) expr);
	if (image == NULL ||
		(key->type == SQ_TYPE_NUMERIC && key->kind == SQ_EXPR_PARAM) ||
		(OidIsValid(collation) && !get_collation_isdeterministic(collation)))
	{
		t->reason = psprintf("groups of type %s have no native form",
							 format_type_be(exprType((Node *) expr)));
		return false;
	}
	slot = sq_fdw_translation_slot(t, (SqColumn){.type = key->type,
												 .precision = key->precision,
												 .scale = key->scale});
	node->keys = repalloc(node->keys, (node->nkeys + 1) * sizeof(SqExpr *));
	node->key_slots =
		repalloc(node->key_slots, (node->nkeys + 1) * sizeof(int));
	node->images = repalloc(node->images, (node->nkeys + 1) * sizeof(SqExpr *));
	node->keys[node->nkeys] = key;
	node->images[node->nkeys] = image;
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
		{
			native->translation->reason =
				"a column is used that only depends on those grouped by";
			return false;
		}
	}
	return true;
}

static bool
translate_groups(SqNativePath *native, SqNode *node)
{
	PathTarget *target = native->target;
	List *others = NIL;
	List *keys = NIL;
	ListCell *cell;
	int i = 0;

	node->keys = palloc(sizeof(SqExpr *));
	node->images = palloc(sizeof(SqExpr *));
	node->key_slots = palloc(sizeof(int));
	node->aggregates = palloc(sizeof(SqAggregate));
	foreach (cell, target->exprs)
	{
		Expr *expr = lfirst(cell);
		Index sortgroup = get_pathtarget_sortgroupref(target, i++);

		if (sortgroup != 0 &&
			get_sortgroupref_clause_noerr(sortgroup, native->clause) != NULL)
		{
			if (!add_key(native, node, expr, sortgroup))
				return false;
			keys = lappend(keys, expr);
		}
		else
			others = lappend(others, expr);
	}
	show(native, node, "Group Key", keys);
	return add_aggregates(native, node, (Node *) others) &&
		   add_aggregates(native, node, (Node *) native->having);
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

/* Groups of a tree's rows, by its clause and target; false if a part of it is
 * not native, and why. */
static bool
plan_groups(SqNativePath *native, const SqNativeTree *tree, double groups,
			const char **reason)
{
	SqNode *aggregate =
		make_node(SQ_NODE_AGGREGATE, groups, make_tree(native, tree));

	if (!translate_groups(native, aggregate))
	{
		*reason = native->translation->reason;
		return false;
	}
	add_row_slots(aggregate);
	end_plan(native, aggregate);
	return true;
}

/* ---- Paths of groups ---- */

/* Why groups of relations of ours are beyond us, or NULL. */
static const char *
check_groups(PlannerInfo *root, RelOptInfo *input)
{
	if (!sq_enable_native_aggregate)
		return "streamsql.enable_native_aggregate is off";
	if (input->reloptkind != RELOPT_BASEREL &&
		input->reloptkind != RELOPT_JOINREL)
		return "partitions are grouped";
	if (root->parse->groupingSets != NIL)
		return "there are grouping sets";
	return NULL;
}

static double
count_groups(PlannerInfo *root, List *clause, double rows)
{
	List *exprs = get_sortgrouplist_exprs(clause, root->processed_tlist);

	if (exprs == NIL)
		return 1;
	return estimate_num_groups(root, exprs, rows, NULL, NULL);
}

/* The cost of rows going into their groups. */
static Cost
groups_cost(double rows, const SqNativePath *native)
{
	const SqNode *aggregate = native->plan->root;
	double steps =
		(aggregate->nkeys + aggregate->naggregates) * SQ_NATIVE_FACTOR;

	/* the host's are no cheaper here than anywhere */
	steps += native->plan->nhost_aggs * (1 - SQ_NATIVE_FACTOR);
	return rows * steps * cpu_operator_cost;
}

/* A path of groups; cost is that of all rows having gone into them. */
static ForeignPath *
make_groups_path(RelOptInfo *output, SqNativePath *native, double rows,
				 Cost cost)
{
	double groups = native->plan->root->rows;

	return SQ_CREATE_UPPER_PATH(
		native->root, output, native->target, rows, sq_fdw_native_cost(cost),
		sq_fdw_native_cost(cost + groups * cpu_tuple_cost),
		list_make2(makeInteger(SQ_PLAN_NATIVE), native));
}

static void
add_groups_path(SqNativePath *native, const SqNativeTree *tree,
				RelOptInfo *output)
{
	SqFdwRel *state = output->fdw_private;
	double groups = count_groups(native->root, native->clause, tree->rows);
	double selectivity = clauselist_selectivity(native->root, native->having, 0,
												JOIN_INNER, NULL);
	ForeignPath *path;

	if (!plan_groups(native, tree, groups, &state->reason))
		return;
	path = make_groups_path(output, native, clamp_row_est(groups * selectivity),
							tree->cost + groups_cost(tree->rows, native));
	/* as for joins */
	path->path.parallel_safe = false;
	add_path(output, (Path *) path);
}

/* A path of the groups of a part of the rows, for each of several processes.
 * PostgreSQL merges their states. */
static void
add_shared_path(SqNativePath *native, const SqNativeTree *tree,
				RelOptInfo *output)
{
	SqFdwRel *state = output->fdw_private;
	int workers = sq_fdw_native_workers(tree);
	double processes = workers + 1;
	double rows = tree->rows / processes;
	double groups = count_groups(native->root, native->clause, rows);
	ForeignPath *path;

	if (workers == 0 || !output->consider_parallel ||
		!plan_groups(native, tree, groups, &state->reason))
		return;
	path = make_groups_path(output, native, groups,
							sq_fdw_native_share(tree, processes) +
								groups_cost(rows, native) + SQ_CONNECT_COST);
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(output, (Path *) path);
}

/* SELECT DISTINCT of what nothing was done with yet is like groups. */
static bool
is_plain_distinct(const Query *parse)
{
	return !parse->hasDistinctOn && !parse->hasAggs && !parse->hasWindowFuncs &&
		   !parse->hasTargetSRFs && parse->groupClause == NIL &&
		   parse->groupingSets == NIL && parse->havingQual == NULL;
}

void
sq_fdw_native_upper_paths(PlannerInfo *root, UpperRelationKind stage,
						  RelOptInfo *input, RelOptInfo *output, void *extra)
{
	const SqNativeTree *tree;
	SqNativePath *native;
	SqFdwRel *state;

	if ((stage != UPPERREL_GROUP_AGG && stage != UPPERREL_PARTIAL_GROUP_AGG &&
		 stage != UPPERREL_DISTINCT) ||
		(stage == UPPERREL_DISTINCT && !is_plain_distinct(root->parse)) ||
		input->fdwroutine == NULL)
		return;
	tree = sq_fdw_native_tree(root, input);
	if (tree == NULL)
		return;
	state = output->fdw_private = palloc0(sizeof(SqFdwRel));
	state->kind = &sq_fdw_kind_native;
	state->reason = check_groups(root, input);
	if (state->reason != NULL)
		return;
	native = begin_plan(root, tree);
	native->clause = root->parse->groupClause;
	if (stage == UPPERREL_PARTIAL_GROUP_AGG)
	{
		native->target = output->reltarget;
		add_shared_path(native, tree, output);
		return;
	}
	native->target = root->upper_targets[stage];
	if (stage == UPPERREL_DISTINCT)
		native->clause = root->parse->distinctClause;
	else
		native->having = (List *) ((GroupPathExtraData *) extra)->havingQual;
	add_groups_path(native, tree, output);
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

static List *
list_of(List **lists, int count)
{
	List *all = NIL;

	for (int i = 0; i < count; i++)
		all = lappend(all, lists[i]);
	return all;
}

/* In the order that EXPLAIN prints nodes in. */
static List *
list_shown(const SqNativePath *native)
{
	List *list = NIL;
	ListCell *cell;

	foreach (cell, native->shown)
	{
		const SqShown *shown = lfirst(cell);

		list = lappend(list, list_make3(makeInteger(shown->node->number),
										makeString(pstrdup(shown->label)),
										copyObject(shown->exprs)));
	}
	return list;
}

bool
sq_fdw_is_native_path(const ForeignPath *path)
{
	return list_length(path->fdw_private) == 2;
}

ForeignScan *
sq_fdw_native_plan(PlannerInfo *root, ForeignPath *path, List *tlist)
{
	RelOptInfo *rel = path->path.parent;
	SqNativePath *native = lsecond(path->fdw_private);
	String *reason = NULL;
	int count;
	List *private;

	if (!IS_UPPER_REL(rel))
	{
		reason = sq_fdw_not_native(root, rel, true);
		native = plan_rows(root, lsecond(path->fdw_private), tlist);
	}
	count = native->plan->nrelations;
	private = list_make3(makeInteger(SQ_PLAN_NATIVE),
						 list_of(native->attrs, count), reason);
	private = list_concat(
		private, list_make5(plan_const(native->plan),
							makeInteger(bms_next_member(native->relids, -1)),
							list_of(native->seek, count), native->output,
							native->translation->hosts));
	private = list_concat(private, list_make2(native->translation->aggregates,
											  list_shown(native)));
	return make_foreignscan(tlist, (List *) copyObject(native->having), 0,
							native->translation->params, private, native->tlist,
							NIL, NULL);
}
