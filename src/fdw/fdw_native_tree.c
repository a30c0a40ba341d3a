/*
 * fdw_native_tree.c
 *		How relations and joins of them would be computed natively.
 *
 * A relation's tree is its scan with all of its conditions. A join's is the
 * cheapest of those made of its sides' trees, for each order and kind of join
 * that the planner proposes: the outer side is gone through, the inner side is
 * a table that is kept and found by an index, or becomes a hash table. Whether
 * an expression can be computed is found out by translating it; the result is
 * made once more when the plan is.
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
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"

/* Parts of the cost of a row that PostgreSQL's executor reckons with. */
#define SCAN_FACTOR   0.5
#define OUTPUT_FACTOR 0.5
/* Of all costs where native execution is required. */
#define REQUIRED_FACTOR 1e-6
/* A lookup of one key: a few cache misses. */
#define LOOKUP_COST (2.0 * cpu_operator_cost)

bool
sq_fdw_is_stream(const RelOptInfo *rel)
{
	return ((const SqFdwRel *) rel->fdw_private)->kind == &sq_fdw_kind_stream;
}

static bool
is_table(const RelOptInfo *rel)
{
	return ((const SqFdwRel *) rel->fdw_private)->kind == &sq_fdw_kind_table;
}

/* ---- Clauses ---- */

/* In the order that PostgreSQL evaluates them: by security level, then cost,
 * then as written. */
static List *
order_clauses(PlannerInfo *root, List *rinfos)
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

/* Why one of the clauses cannot be computed, or NULL. */
static const char *
check_clauses(SqTranslation *t, List *rinfos)
{
	ListCell *cell;

	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant)
			return "a condition is the same for all rows";
		if (sq_fdw_translate_condition(t, (Node *) rinfo->clause) == NULL)
			return t->reason;
	}
	return NULL;
}

static Cost
clause_cost(PlannerInfo *root, List *rinfos)
{
	QualCost cost;

	cost_qual_eval(&cost, rinfos, root);
	return cost.per_tuple;
}

/* Are the columns that are wanted of a relation or join ordinary ones? */
static bool
can_output(const RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->reltarget->exprs)
		if (!IsA(lfirst(cell), Var) || ((Var *) lfirst(cell))->varattno <= 0)
			return false;
	return true;
}

/* ---- Relations ---- */

/* Why nothing of this query is native, or NULL. */
static const char *
check_query(PlannerInfo *root)
{
	if (sq_require_native == SQ_NATIVE_FORBID)
		return "streamsql.debug_require_native is forbid";
	if (GetDatabaseEncoding() != PG_UTF8)
		return "the database is not encoded in UTF8";
	return NULL;
}

static const char *
check_relation(PlannerInfo *root, RelOptInfo *rel)
{
	const char *reason = check_query(root);

	if (reason != NULL)
		return reason;
	if (!bms_is_empty(rel->lateral_relids))
		return "a relation depends on rows of another";
	if (rel->baserestrictinfo != NIL && !sq_enable_native_filter)
		return "streamsql.enable_native_filter is off";
	return check_clauses(sq_fdw_translation_create(root, rel->relids),
						 rel->baserestrictinfo);
}

/* The cheapest path without parameters, of those that there are yet. */
static const Path *
cheapest_path(const RelOptInfo *rel)
{
	const Path *cheapest = NULL;
	ListCell *cell;

	foreach (cell, rel->pathlist)
	{
		const Path *path = lfirst(cell);

		if (path->param_info == NULL &&
			(cheapest == NULL || path->total_cost < cheapest->total_cost))
			cheapest = path;
	}
	return cheapest;
}

static SqNativeTree *
make_scan(PlannerInfo *root, RelOptInfo *rel)
{
	SqNativeTree *tree = palloc0(sizeof(SqNativeTree));
	const Path *plain = cheapest_path(rel);
	Cost qual = rel->baserestrictcost.per_tuple;
	Cost scan = Max(rel->tuples, SQ_FEW_ROWS) * cpu_tuple_cost;

	/* what a stream's conditions leave unread is known to its own path */
	if (sq_fdw_is_stream(rel))
	{
		scan = Max(plain->total_cost - rel->tuples * qual,
				   0.5 * plain->total_cost);
		tree->startup = plain->startup_cost * SCAN_FACTOR;
	}
	tree->rel = rel;
	tree->rows = rel->rows;
	tree->filters = order_clauses(root, rel->baserestrictinfo);
	tree->cost = scan * SCAN_FACTOR +
				 Max(rel->tuples, SQ_FEW_ROWS) * qual * SQ_NATIVE_FACTOR;
	return tree;
}

const SqNativeTree *
sq_fdw_native_tree(PlannerInfo *root, RelOptInfo *rel)
{
	SqFdwRel *state = rel->fdw_private;

	if (state == NULL || IS_DUMMY_REL(rel))
		return NULL;
	if (!state->native_known)
	{
		state->native_known = true;
		state->reason = check_relation(root, rel);
		if (state->reason == NULL)
			state->native = make_scan(root, rel);
	}
	return state->native;
}

Cost
sq_fdw_native_cost(Cost cost)
{
	return sq_require_native == SQ_NATIVE_REQUIRE ? cost * REQUIRED_FACTOR
												  : cost;
}

void
sq_fdw_native_scan_paths(PlannerInfo *root, RelOptInfo *rel)
{
	const SqNativeTree *tree;
	ForeignPath *path;

	if (sq_require_native != SQ_NATIVE_REQUIRE || !IS_SIMPLE_REL(rel) ||
		rel->baserestrictinfo == NIL || root->rowMarks != NIL)
		return;
	tree = sq_fdw_native_tree(root, rel);
	if (tree == NULL || !can_output(rel))
		return;
	path = SQ_CREATE_SCAN_PATH(
		root, rel, tree->rows, sq_fdw_native_cost(tree->startup),
		sq_fdw_native_cost(tree->cost), NULL,
		list_make2(makeInteger(SQ_PLAN_NATIVE), (void *) tree));
	path->path.parallel_safe = false;
	add_path(rel, (Path *) path);
}

Relids
sq_fdw_native_relids(const SqNativeTree *tree)
{
	if (tree->outer == NULL)
		return bms_copy(tree->rel->relids);
	return bms_union(sq_fdw_native_relids(tree->outer),
					 sq_fdw_native_relids(tree->inner));
}

/* ---- Joins ---- */

/* A join that the planner proposes. */
typedef struct SqProposal
{
	PlannerInfo *root;
	RelOptInfo *joinrel;
	const SqNativeTree *outer;
	const SqNativeTree *inner;
	SqJoinType type;
	SqTranslation *translation;
	List *clauses; /* of the join */
	List *filters; /* on its rows */
} SqProposal;

/* The equality of outer and inner values that a clause is, or NULL. */
static SqExpr *
equality_of(SqProposal *proposal, RestrictInfo *rinfo)
{
	Relids outer = proposal->outer->rel->relids;
	Relids inner = proposal->inner->rel->relids;

	if (!is_opclause(rinfo->clause) || rinfo->right_relids == NULL ||
		rinfo->left_relids == NULL)
		return NULL;
	if (!(bms_is_subset(rinfo->left_relids, outer) &&
		  bms_is_subset(rinfo->right_relids, inner)) &&
		!(bms_is_subset(rinfo->left_relids, inner) &&
		  bms_is_subset(rinfo->right_relids, outer)))
		return NULL;
	return sq_fdw_translate_equality(proposal->translation,
									 (Node *) rinfo->clause);
}

static SqNativeTree *
make_join(SqProposal *proposal, SqJoinMethod method, List *equalities,
		  List *conditions)
{
	SqNativeTree *tree = palloc0(sizeof(SqNativeTree));

	tree->rel = proposal->joinrel;
	tree->rows = proposal->joinrel->rows;
	tree->filters = order_clauses(proposal->root, proposal->filters);
	tree->outer = proposal->outer;
	tree->inner = proposal->inner;
	tree->join = proposal->type;
	tree->method = method;
	tree->equalities = equalities;
	tree->conditions = order_clauses(proposal->root, conditions);
	tree->startup = tree->outer->startup;
	return tree;
}

/* The cost of pairs of rows, from their being found to the join's rows. */
static Cost
pairs_cost(SqProposal *proposal, const SqNativeTree *tree, double pairs)
{
	return SQ_NATIVE_FACTOR *
		   (pairs * clause_cost(proposal->root, tree->conditions) +
			tree->rows * (cpu_operator_cost +
						  clause_cost(proposal->root, tree->filters)));
}

/* Of giving rows to PostgreSQL. */
static Cost
output_cost(const RelOptInfo *joinrel, double rows)
{
	return rows * (cpu_tuple_cost * OUTPUT_FACTOR +
				   joinrel->reltarget->cost.per_tuple);
}

/* Of a hash table. */
static Cost
build_cost(const SqNativeTree *inner)
{
	return inner->cost + inner->rows * cpu_tuple_cost * SCAN_FACTOR;
}

static double
bytes_of(const SqNativeTree *tree)
{
	return tree->rows * (tree->rel->reltarget->width + 32.0);
}

/* Why there is no tree, unless there is one for another order of the join. */
static void
note_reason(SqProposal *proposal, const char *reason)
{
	SqFdwRel *state = proposal->joinrel->fdw_private;

	if (state->native == NULL)
		state->reason = reason;
}

static SqNativeTree *
make_hash(SqProposal *proposal)
{
	const SqNativeTree *inner = proposal->inner;
	const SqNativeTree *outer = proposal->outer;
	List *equalities = NIL;
	List *conditions = NIL;
	SqNativeTree *tree;
	double pairs = proposal->joinrel->rows;
	ListCell *cell;

	foreach (cell, proposal->clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (equality_of(proposal, rinfo) != NULL)
			equalities = lappend(equalities, rinfo);
		else
			conditions = lappend(conditions, rinfo);
	}
	/* without keys nothing divides what exceeds memory */
	if (equalities == NIL && (proposal->type == SQ_JOIN_FULL ||
							  bytes_of(inner) > get_hash_memory_limit()))
	{
		note_reason(proposal, "a full or large join has no equality that "
							  "rows can be found by");
		return NULL;
	}
	tree = make_join(proposal, SQ_METHOD_HASH, equalities, conditions);
	if (equalities == NIL)
		pairs = outer->rows * inner->rows;
	tree->startup = inner->cost + outer->startup;
	tree->cost = build_cost(inner) + outer->cost +
				 outer->rows * cpu_operator_cost * SCAN_FACTOR +
				 pairs_cost(proposal, tree, pairs);
	if (bytes_of(inner) > get_hash_memory_limit())
		tree->cost +=
			2 * seq_page_cost * (bytes_of(inner) + bytes_of(outer)) / BLCKSZ;
	return tree;
}

/* The clause among these that gives a column of the inner table a value, which
 * is looked for. */
static RestrictInfo *
find_key(SqProposal *proposal, List *rinfos, int attr)
{
	SqTranslation *t = proposal->translation;
	Index relid = proposal->inner->rel->relid;
	ListCell *cell;

	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		bool left = bms_is_member(relid, rinfo->left_relids);
		SqExpr *expr;
		SqExpr *column;

		if (!is_opclause(rinfo->clause) ||
			left == bms_is_member(relid, rinfo->right_relids))
			continue;
		expr = sq_fdw_translate_condition(t, (Node *) rinfo->clause);
		if (expr == NULL || !sq_plan_is_equality(expr))
			continue;
		column = expr->args[left ? 0 : 1];
		if (column->kind == SQ_EXPR_COLUMN &&
			t->attribute_slots[relid] != NULL &&
			column->number == t->attribute_slots[relid][attr])
			return rinfo;
	}
	return NULL;
}

static SqNativeTree *
make_lookup(SqProposal *proposal, int index)
{
	RelOptInfo *inner = proposal->inner->rel;
	const SqKeyedShape *shape = sq_fdw_table_shape(inner);
	/* those of the table alone are conditions of the match */
	List *clauses =
		list_concat_copy(proposal->clauses, inner->baserestrictinfo);
	List *equalities = NIL;
	SqNativeTree *tree;

	for (int p = 0; p < shape->layout->indexes[index].ncolumns; p++)
	{
		RestrictInfo *key =
			find_key(proposal, clauses, shape->parts[index][p].attr);

		if (key == NULL)
			return NULL;
		equalities = lappend(equalities, key);
	}
	tree = make_join(proposal, SQ_METHOD_LOOKUP, equalities,
					 list_difference_ptr(clauses, equalities));
	tree->index = index;
	tree->cost = tree->outer->cost + tree->outer->rows * LOOKUP_COST +
				 pairs_cost(proposal, tree, Max(tree->rows, tree->outer->rows));
	return tree;
}

/* ---- Several processes ---- */

int
sq_fdw_native_workers(const SqNativeTree *tree)
{
	for (; tree->outer != NULL; tree = tree->outer)
		/* which inner rows have no match, no process knows */
		if (tree->join == SQ_JOIN_RIGHT || tree->join == SQ_JOIN_FULL)
			return 0;
	if (!sq_fdw_is_stream(tree->rel) || tree->rel->partial_pathlist == NIL)
		return 0;
	return ((Path *) linitial(tree->rel->partial_pathlist))->parallel_workers;
}

Cost
sq_fdw_native_share(const SqNativeTree *tree, double processes)
{
	Cost build = 0;

	if (tree->outer == NULL)
		return tree->cost / processes;
	if (tree->method == SQ_METHOD_HASH)
		build = build_cost(tree->inner);
	return sq_fdw_native_share(tree->outer, processes) + build +
		   (tree->cost - build - tree->outer->cost) / processes;
}

/* ---- Paths of joins ---- */

/* A path of a part of the rows, for each of several processes. */
static void
add_shared_path(SqProposal *proposal, const SqNativeTree *tree)
{
	RelOptInfo *joinrel = proposal->joinrel;
	int workers = sq_fdw_native_workers(tree);
	double processes = workers + 1;
	double rows = clamp_row_est(tree->rows / processes);
	ForeignPath *path;

	if (workers == 0 || !joinrel->consider_parallel)
		return;
	path = SQ_CREATE_JOIN_PATH(
		proposal->root, joinrel, rows,
		sq_fdw_native_cost(tree->startup + SQ_CONNECT_COST),
		sq_fdw_native_cost(sq_fdw_native_share(tree, processes) +
						   SQ_CONNECT_COST + output_cost(joinrel, rows)),
		list_make2(makeInteger(SQ_PLAN_NATIVE), (void *) tree));
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(joinrel, (Path *) path);
}

/* Keep a tree if it is the cheapest so far. */
static void
propose(SqProposal *proposal, SqNativeTree *tree)
{
	RelOptInfo *joinrel = proposal->joinrel;
	SqFdwRel *state = joinrel->fdw_private;
	ForeignPath *path;

	if (tree == NULL ||
		(state->native != NULL && state->native->cost <= tree->cost))
		return;
	state->native = tree;
	state->reason = NULL;
	if (!can_output(joinrel))
	{
		state->reason = "whole rows or computed columns are wanted of a join";
		return;
	}
	path = SQ_CREATE_JOIN_PATH(
		proposal->root, joinrel, tree->rows, sq_fdw_native_cost(tree->startup),
		sq_fdw_native_cost(tree->cost + output_cost(joinrel, tree->rows)),
		list_make2(makeInteger(SQ_PLAN_NATIVE), tree));
	/* what the statement sees of a table or topic is in its process alone */
	path->path.parallel_safe = false;
	add_path(joinrel, (Path *) path);
	add_shared_path(proposal, tree);
}

static const char *
check_join(PlannerInfo *root, RelOptInfo *joinrel, SqProposal *proposal)
{
	const char *reason = check_query(root);

	if (reason != NULL)
		return reason;
	if (!sq_enable_native_join)
		return "streamsql.enable_native_join is off";
	if (proposal->filters != NIL && !sq_enable_native_filter)
		return "streamsql.enable_native_filter is off";
	if (root->rowMarks != NIL)
		return "rows are locked or changed";
	if (!bms_is_empty(joinrel->lateral_relids))
		return "a relation depends on rows of another";
	reason = check_clauses(proposal->translation, proposal->clauses);
	if (reason != NULL)
		return reason;
	return check_clauses(proposal->translation, proposal->filters);
}

/* PostgreSQL also proposes joins with duplicates taken out before. */
static bool
join_type(JoinType type, SqJoinType *join)
{
	switch (type)
	{
		case JOIN_INNER:
			*join = SQ_JOIN_INNER;
			return true;
		case JOIN_LEFT:
			*join = SQ_JOIN_LEFT;
			return true;
		case JOIN_RIGHT:
			*join = SQ_JOIN_RIGHT;
			return true;
		case JOIN_FULL:
			*join = SQ_JOIN_FULL;
			return true;
		case JOIN_SEMI:
			*join = SQ_JOIN_SEMI;
			return true;
		case JOIN_ANTI:
			*join = SQ_JOIN_ANTI;
			return true;
		default:
			return false;
	}
}

/* Of an outer join, the conditions on its rows are not those of the match. */
static void
split_clauses(SqProposal *proposal, JoinType type, List *rinfos)
{
	ListCell *cell;

	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (IS_OUTER_JOIN(type) &&
			RINFO_IS_PUSHED_DOWN(rinfo, proposal->joinrel->relids))
			proposal->filters = lappend(proposal->filters, rinfo);
		else
			proposal->clauses = lappend(proposal->clauses, rinfo);
	}
}

static SqFdwRel *
join_state(RelOptInfo *joinrel)
{
	SqFdwRel *state = joinrel->fdw_private;

	if (state == NULL)
	{
		state = joinrel->fdw_private = palloc0(sizeof(SqFdwRel));
		state->kind = &sq_fdw_kind_native;
		state->native_known = true;
	}
	return state;
}

/* A join is not native because one of its sides isn't. */
static void
note_missing(SqProposal *proposal, const RelOptInfo *side)
{
	const SqFdwRel *state = side->fdw_private;

	if (state != NULL && state->reason != NULL)
		note_reason(proposal, state->reason);
}

static bool
can_look_up(const SqProposal *proposal)
{
	return proposal->inner->outer == NULL && is_table(proposal->inner->rel) &&
		   proposal->type != SQ_JOIN_RIGHT && proposal->type != SQ_JOIN_FULL;
}

void
sq_fdw_native_join_paths(PlannerInfo *root, RelOptInfo *joinrel,
						 RelOptInfo *outer, RelOptInfo *inner, JoinType type,
						 JoinPathExtraData *extra)
{
	SqFdwRel *state = join_state(joinrel);
	SqProposal proposal = {.root = root, .joinrel = joinrel};
	const char *reason;

	if (joinrel->reloptkind != RELOPT_JOINREL ||
		!join_type(type, &proposal.type))
		return;
	proposal.outer = sq_fdw_native_tree(root, outer);
	proposal.inner = sq_fdw_native_tree(root, inner);
	if (proposal.outer == NULL || proposal.inner == NULL)
	{
		note_missing(&proposal, proposal.outer == NULL ? outer : inner);
		return;
	}
	proposal.translation = sq_fdw_translation_create(
		root, bms_union(outer->relids, inner->relids));
	split_clauses(&proposal, type, extra->restrictlist);
	reason = check_join(root, joinrel, &proposal);
	if (reason != NULL)
	{
		state->reason = reason;
		return;
	}
	propose(&proposal, make_hash(&proposal));
	if (!can_look_up(&proposal))
		return;
	for (int i = 0; i < sq_fdw_table_shape(inner)->layout->nindexes; i++)
		propose(&proposal, make_lookup(&proposal, i));
}
