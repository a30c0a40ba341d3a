/*
 * plan_check.c
 *		Can a plan that was read be executed?
 *
 * The executor looks at nothing twice: it relies on what is checked here.
 *
 * Memory: bitmaps of slots, freed. Locks: none.
 */
#include "plan/plan_internal.h"

typedef struct SqCheck
{
	const SqPlan *plan;
	int next; /* number that the next node ought to have */
} SqCheck;

/* ---- Expressions ---- */

static char
lane_of(SqType type)
{
	if (type == SQ_TYPE_TRUTH)
		return 'c';
	if (type == SQ_TYPE_INPUT || type == SQ_TYPE_JSON)
		return '?';
	if (sq_type_is_text(type))
		return 't';
	return sq_type_is_float(type) ? 'f' : 'i';
}

static bool
same_type(const SqExpr *a, const SqExpr *b)
{
	return a->type == b->type && a->scale == b->scale;
}

/* Has the column of a slot this type? */
static bool
is_column(const SqPlan *plan, const SqExpr *expr, const bool *there)
{
	return expr->number < plan->nslots && there[expr->number] &&
		   plan->slots[expr->number].type == expr->type &&
		   plan->slots[expr->number].scale == expr->scale;
}

static bool
check_call(const SqExpr *expr)
{
	const char *lanes = sq_plan_op_lanes(expr->op);

	if (expr->nargs != strlen(lanes))
		return false;
	for (int i = 0; i < expr->nargs; i++)
		if (lane_of(expr->args[i]->type) != lanes[i])
			return false;
	if (expr->kind == SQ_EXPR_DISTINCT || sq_plan_op_compares(expr->op))
		return expr->type == SQ_TYPE_TRUTH && sq_plan_op_compares(expr->op);
	if (expr->op >= SQ_OP_ADD_N)
		return expr->type == SQ_TYPE_NUMERIC;
	if (expr->op >= SQ_OP_ADD_F)
		return sq_type_is_float(expr->type);
	return expr->type == SQ_TYPE_INT2 || expr->type == SQ_TYPE_INT4 ||
		   expr->type == SQ_TYPE_INT8;
}

/* A RESCALE or NUMERIC multiplies by a power of ten. */
static bool
check_scale(const SqExpr *expr)
{
	if (expr->kind != SQ_EXPR_CALL)
		return true;
	if (expr->op == SQ_OP_RESCALE_N)
		return expr->scale >= expr->args[0]->scale;
	return true;
}

static bool
check_case(const SqExpr *expr)
{
	if (expr->nargs % 2 == 0)
		return false;
	for (int i = 0; i < expr->nargs; i++)
	{
		bool condition = i % 2 == 0 && i < expr->nargs - 1;

		if (condition ? expr->args[i]->type != SQ_TYPE_TRUTH
					  : !same_type(expr->args[i], expr))
			return false;
	}
	return true;
}

/* Are there count args (-1: one or more), all with this lane (0: any value)? */
static bool
has_args(const SqExpr *expr, int count, char lane)
{
	if (count >= 0 ? expr->nargs != count : expr->nargs == 0)
		return false;
	for (int i = 0; i < expr->nargs; i++)
		if (lane != 0 ? lane_of(expr->args[i]->type) != lane
					  : expr->args[i]->type == SQ_TYPE_TRUTH)
			return false;
	return true;
}

static bool
check_kind(const SqPlan *plan, const SqExpr *expr, const bool *there)
{
	bool truth = expr->type == SQ_TYPE_TRUTH;

	switch (expr->kind)
	{
		case SQ_EXPR_COLUMN:
			return is_column(plan, expr, there) && !truth;
		case SQ_EXPR_CONST:
			return !truth;
		case SQ_EXPR_PARAM:
			return expr->number < plan->nparams && !truth;
		case SQ_EXPR_HOST:
			return expr->number < plan->nhosts && !truth;
		case SQ_EXPR_CALL:
		case SQ_EXPR_DISTINCT:
			return check_call(expr) && check_scale(expr);
		case SQ_EXPR_AND:
		case SQ_EXPR_OR:
			return truth && has_args(expr, -1, 'c');
		case SQ_EXPR_NOT:
		case SQ_EXPR_IS_TRUE:
		case SQ_EXPR_IS_NOT_TRUE:
		case SQ_EXPR_IS_FALSE:
		case SQ_EXPR_IS_NOT_FALSE:
			return truth && has_args(expr, 1, 'c');
		case SQ_EXPR_IS_NULL:
		case SQ_EXPR_IS_NOT_NULL:
			return truth && has_args(expr, 1, 0);
		case SQ_EXPR_TRUTH:
			return truth && has_args(expr, 1, 'i') &&
				   expr->args[0]->type == SQ_TYPE_BOOL;
		case SQ_EXPR_BOOL:
			return expr->type == SQ_TYPE_BOOL && has_args(expr, 1, 'c');
		case SQ_EXPR_CASE:
			return !truth && check_case(expr);
		case SQ_EXPR_COALESCE:
			if (!has_args(expr, -1, 0) || truth)
				return false;
			for (int i = 0; i < expr->nargs; i++)
				if (!same_type(expr->args[i], expr))
					return false;
			return true;
	}
	return false;
}

static bool
check_expr(const SqPlan *plan, const SqExpr *expr, const bool *there)
{
	if (lane_of(expr->type) == '?')
		return false;
	for (int i = 0; i < expr->nargs; i++)
		if (!check_expr(plan, expr->args[i], there))
			return false;
	return check_kind(plan, expr, there);
}

static bool
check_exprs(const SqPlan *plan, SqExpr **exprs, int count, const bool *there,
			bool truth)
{
	for (int i = 0; i < count; i++)
		if (!check_expr(plan, exprs[i], there) ||
			(exprs[i]->type == SQ_TYPE_TRUTH) != truth)
			return false;
	return true;
}

/* ---- Nodes ---- */

static bool check_node(SqCheck *check, const SqNode *node, bool *there);

/* What a node says its rows have must be there; only that is seen above. */
static bool
keep_slots(const SqPlan *plan, const SqNode *node, bool *there)
{
	bool *had = palloc(Max(plan->nslots, 1) * sizeof(bool));
	bool good = true;

	memcpy(had, there, plan->nslots * sizeof(bool));
	memset(there, 0, plan->nslots * sizeof(bool));
	for (int i = 0; i < node->nslots && good; i++)
	{
		good = node->slots[i] < plan->nslots && had[node->slots[i]];
		if (good)
			there[node->slots[i]] = true;
	}
	pfree(had);
	return good;
}

/* The rows of a relation have the slots that the node says. */
static bool
add_relation(const SqPlan *plan, const SqNode *node, bool *there)
{
	if (node->relation >= plan->nrelations)
		return false;
	for (int i = 0; i < node->nfilled; i++)
	{
		if (node->filled[i] >= plan->nslots)
			return false;
		there[node->filled[i]] = true;
	}
	return true;
}

static bool
check_hash_join(SqCheck *check, const SqNode *node, bool *there)
{
	const SqPlan *plan = check->plan;
	bool *inner = palloc0(Max(plan->nslots, 1) * sizeof(bool));
	bool good = node->inner != NULL &&
				(node->nkeys == 0 || node->inner_keys != NULL) &&
				check_node(check, node->inner, inner) &&
				check_exprs(plan, node->inner_keys, node->nkeys, inner, false);

	for (int k = 0; k < node->nkeys && good; k++)
		good = lane_of(node->keys[k]->type) ==
				   lane_of(node->inner_keys[k]->type) &&
			   node->keys[k]->scale == node->inner_keys[k]->scale &&
			   (node->keys[k]->type == SQ_TYPE_BPCHAR) ==
				   (node->inner_keys[k]->type == SQ_TYPE_BPCHAR) &&
			   node->inner_keys[k]->type != SQ_TYPE_DATUM;
	for (int i = 0; i < plan->nslots; i++)
		there[i] |= inner[i];
	pfree(inner);
	return good;
}

static bool
check_join(SqCheck *check, const SqNode *node, bool *there)
{
	const SqPlan *plan = check->plan;

	if (!check_exprs(plan, node->keys, node->nkeys, there, false))
		return false;
	if (node->method == SQ_METHOD_HASH)
	{
		/* without keys every row is a candidate, as long as it's asked */
		if (node->nkeys == 0 && node->inner_keys == NULL && node->inner == NULL)
			return false;
		if (!check_hash_join(check, node, there))
			return false;
	}
	else if (node->inner != NULL || node->nkeys == 0 ||
			 node->join == SQ_JOIN_RIGHT || node->join == SQ_JOIN_FULL ||
			 !add_relation(plan, node, there))
		return false;
	return check_exprs(plan, node->conditions, node->nconditions, there, true);
}

/* The lane that an aggregate's argument must have, or 0 for any. */
static bool
check_argument(const SqAggregate *aggregate)
{
	const SqExpr *arg = aggregate->arg;

	switch (aggregate->kind)
	{
		case SQ_AGG_HOST:
			return arg == NULL;
		case SQ_AGG_COUNT:
			return arg == NULL || arg->type != SQ_TYPE_TRUTH;
		case SQ_AGG_AND:
		case SQ_AGG_OR:
			return arg != NULL && arg->type == SQ_TYPE_BOOL;
		case SQ_AGG_MIN_T:
		case SQ_AGG_MAX_T:
			return arg != NULL && lane_of(arg->type) == 't';
		case SQ_AGG_SUM_I:
		case SQ_AGG_SUM_WIDE:
		case SQ_AGG_AVG_WIDE:
		case SQ_AGG_STATE_WIDE:
		case SQ_AGG_MIN_I:
		case SQ_AGG_MAX_I:
			return arg != NULL && lane_of(arg->type) == 'i' &&
				   arg->type != SQ_TYPE_DATUM;
		default:
			return arg != NULL && lane_of(arg->type) == 'f';
	}
}

/* The lane of an aggregate's result: that of its slot. */
static bool
check_result(const SqPlan *plan, const SqAggregate *aggregate)
{
	SqType type;

	if (aggregate->slot >= plan->nslots)
		return false;
	type = plan->slots[aggregate->slot].type;
	switch (aggregate->kind)
	{
		case SQ_AGG_HOST:
		case SQ_AGG_STATE_WIDE:
			return lane_of(type) != '?' && type != SQ_TYPE_TRUTH;
		case SQ_AGG_SUM_WIDE:
		case SQ_AGG_AVG_WIDE:
			return type == SQ_TYPE_DATUM;
		case SQ_AGG_MIN_T:
		case SQ_AGG_MAX_T:
			return lane_of(type) == 't';
		case SQ_AGG_COUNT:
		case SQ_AGG_SUM_I:
		case SQ_AGG_MIN_I:
		case SQ_AGG_MAX_I:
		case SQ_AGG_AND:
		case SQ_AGG_OR:
			return lane_of(type) == 'i' && type != SQ_TYPE_DATUM;
		default:
			return lane_of(type) == 'f';
	}
}

static bool
check_aggregates(SqCheck *check, const SqNode *node, bool *there)
{
	const SqPlan *plan = check->plan;

	if (node->nkeys > 0 && node->key_slots == NULL)
		return false;
	for (int i = 0; i < node->naggregates; i++)
	{
		const SqAggregate *a = &node->aggregates[i];

		if (a->arg != NULL && !check_expr(plan, a->arg, there))
			return false;
		if (a->filter != NULL && (!check_expr(plan, a->filter, there) ||
								  a->filter->type != SQ_TYPE_TRUTH))
			return false;
		if (!check_argument(a) || !check_result(plan, a) ||
			(a->kind >= SQ_AGG_STATE_WIDE && a->number >= plan->nhost_aggs))
			return false;
	}
	return true;
}

static bool
check_aggregate(SqCheck *check, const SqNode *node, bool *there)
{
	const SqPlan *plan = check->plan;

	if (!check_exprs(plan, node->keys, node->nkeys, there, false) ||
		(node->nkeys > 0 && node->images == NULL) ||
		!check_exprs(plan, node->images, node->nkeys, there, false) ||
		!check_aggregates(check, node, there))
		return false;
	memset(there, 0, plan->nslots * sizeof(bool));
	for (int k = 0; k < node->nkeys; k++)
	{
		const SqExpr *key = node->keys[k];

		if (node->key_slots[k] >= plan->nslots ||
			plan->slots[node->key_slots[k]].type != key->type ||
			plan->slots[node->key_slots[k]].scale != key->scale ||
			(node->images[k]->type != key->type &&
			 (key->type != SQ_TYPE_DATUM ||
			  node->images[k]->type != SQ_TYPE_BYTEA)) ||
			node->images[k]->type == SQ_TYPE_DATUM)
			return false;
		there[node->key_slots[k]] = true;
	}
	for (int i = 0; i < node->naggregates; i++)
		there[node->aggregates[i].slot] = true;
	return true;
}

/* there: out, the slots that the node's rows have. */
static bool
check_node(SqCheck *check, const SqNode *node, bool *there)
{
	const SqPlan *plan = check->plan;
	bool good;

	if (node->number != check->next++)
		return false;
	if (node->kind == SQ_NODE_SCAN)
		return node->outer == NULL && node->inner == NULL &&
			   add_relation(plan, node, there) && keep_slots(plan, node, there);
	if (node->outer == NULL || !check_node(check, node->outer, there))
		return false;
	if (node->kind == SQ_NODE_JOIN)
		good = check_join(check, node, there);
	else if (node->inner != NULL)
		good = false;
	else if (node->kind == SQ_NODE_FILTER)
		good =
			check_exprs(plan, node->conditions, node->nconditions, there, true);
	else
		good = check_aggregate(check, node, there);
	return good && keep_slots(plan, node, there);
}

bool
sq_plan_check(const SqPlan *plan)
{
	SqCheck check = {.plan = plan};
	bool *there = palloc0(Max(plan->nslots, 1) * sizeof(bool));
	bool good = true;

	for (int i = 0; i < plan->nslots && good; i++)
		good = lane_of(plan->slots[i].type) != '?' &&
			   plan->slots[i].type != SQ_TYPE_TRUTH;
	good = good && check_node(&check, plan->root, there) &&
		   check.next == plan->nnodes;
	pfree(there);
	return good;
}
