/*
 * fdw_seek.c
 *		Conditions on partition, offset and timestamp as seeks.
 *
 * At plan time clauses of a usable shape are picked: comparisons of such a
 * column with something that doesn't depend on the row, by an operator of a
 * btree family of integers or times; column = ANY (array); AND and OR of
 * these. They are kept whole as expressions of the plan, and remain filters
 * too. At run time each is compiled to a tree whose leaves hold the state of
 * the other side, and evaluated to a region at every (re)scan.
 *
 * Memory: a compiled tree lives in the context current at compilation. Locks:
 * none.
 */
#include "fdw/fdw_seek.h"

#include "access/stratnum.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* One comparison, seen with the column on the left. */
typedef struct SqComparison
{
	SqDimension dimension;
	int strategy; /* of btree; BTEqualStrategyNumber and so on */
	bool array;   /* column = ANY (other) */
	Expr *other;
	Oid type; /* of other, or of its elements */
} SqComparison;

typedef enum SqSeekKind
{
	SQ_SEEK_ALL, /* says nothing about what to read */
	SQ_SEEK_AND,
	SQ_SEEK_OR,
	SQ_SEEK_COMPARE
} SqSeekKind;

struct SqSeek
{
	SqSeekKind kind;
	List *args; /* SqSeek, of AND and OR */
	SqComparison compare;
	ExprState *state; /* of compare.other */
};

/* ---- Recognising ---- */

/* The dimension of a column, if it is one with a dimension. */
static bool
column_dimension(const SqRelation *rel, Index relid, Expr *expr,
				 SqDimension *dimension)
{
	Var *var;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	var = (Var *) expr;
	if (!IsA(expr, Var) || var->varno != relid || var->varlevelsup != 0 ||
		var->varattno <= 0 || var->varattno > rel->nattributes)
		return false;
	switch (rel->attributes[var->varattno - 1].source)
	{
		case SQ_SOURCE_PARTITION:
			*dimension = SQ_DIM_PARTITION;
			return true;
		case SQ_SOURCE_OFFSET:
			*dimension = SQ_DIM_OFFSET;
			return true;
		case SQ_SOURCE_TIMESTAMP:
			*dimension = SQ_DIM_TIME;
			return true;
		default:
			return false;
	}
}

/* Can the other side of a comparison be evaluated before reading? */
static bool
fixed_side(Index relid, Expr *expr)
{
	return !bms_is_member(relid, pull_varnos(NULL, (Node *) expr)) &&
		   !contain_volatile_functions((Node *) expr) &&
		   !contain_subplans((Node *) expr);
}

/* The btree strategy of an operator in the families of our dimensions, 0 if
 * it is none of them. */
static int
operator_strategy(Oid operator, SqDimension dimension)
{
	Oid type = dimension == SQ_DIM_TIME ? TIMESTAMPTZOID : INT8OID;
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	return get_op_opfamily_strategy(operator, entry->btree_opf);
}

static bool
known_type(Oid type, SqDimension dimension)
{
	if (dimension == SQ_DIM_TIME)
		return type == TIMESTAMPTZOID || type == TIMESTAMPOID ||
			   type == DATEOID;
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* column op other, or other op column. */
static bool
match_operator(const SqRelation *rel, Index relid, OpExpr *op,
			   SqComparison *result)
{
	Expr *left, *right;
	Oid operator= op->opno;

	if (list_length(op->args) != 2)
		return false;
	left = linitial(op->args);
	right = lsecond(op->args);
	if (!column_dimension(rel, relid, left, &result->dimension))
	{
		Expr *swap = left;

		left = right;
		right = swap;
		operator= get_commutator(operator);
		if (!OidIsValid(operator) ||
			!column_dimension(rel, relid, left, &result->dimension))
			return false;
	}
	result->strategy = operator_strategy(operator, result->dimension);
	result->array = false;
	result->other = right;
	result->type = exprType((Node *) right);
	return result->strategy != 0 &&
		   known_type(result->type, result->dimension) &&
		   fixed_side(relid, right);
}

/* column = ANY (array) */
static bool
match_array(const SqRelation *rel, Index relid, ScalarArrayOpExpr *op,
			SqComparison *result)
{
	Expr *right = lsecond(op->args);

	if (!op->useOr ||
		!column_dimension(rel, relid, linitial(op->args), &result->dimension))
		return false;
	result->strategy = operator_strategy(op->opno, result->dimension);
	result->array = true;
	result->other = right;
	result->type = get_element_type(exprType((Node *) right));
	return result->strategy == BTEqualStrategyNumber &&
		   known_type(result->type, result->dimension) &&
		   fixed_side(relid, right);
}

static bool
match_comparison(const SqRelation *rel, Index relid, Expr *clause,
				 SqComparison *result)
{
	if (IsA(clause, OpExpr))
		return match_operator(rel, relid, (OpExpr *) clause, result);
	if (IsA(clause, ScalarArrayOpExpr))
		return match_array(rel, relid, (ScalarArrayOpExpr *) clause, result);
	return false;
}

/* An upper bound in time excludes nothing by offset: time may go back. */
static bool
comparison_narrows(const SqComparison *compare)
{
	return compare->dimension != SQ_DIM_TIME ||
		   compare->strategy >= BTEqualStrategyNumber;
}

bool
sq_fdw_seek_usable(const SqRelation *rel, Index relid, Expr *clause)
{
	SqComparison compare;
	ListCell *cell;

	if (is_orclause(clause))
	{
		foreach (cell, ((BoolExpr *) clause)->args)
			if (!sq_fdw_seek_usable(rel, relid, lfirst(cell)))
				return false;
		return true;
	}
	if (is_andclause(clause))
	{
		foreach (cell, ((BoolExpr *) clause)->args)
			if (sq_fdw_seek_usable(rel, relid, lfirst(cell)))
				return true;
		return false;
	}
	return match_comparison(rel, relid, clause, &compare) &&
		   comparison_narrows(&compare);
}

/* Is there anything but columns, constants and operators between them? */
static bool
runtime_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) || IsA(node, FuncExpr) || IsA(node, SQLValueFunction))
		return true;
	return expression_tree_walker(node, runtime_walker, context);
}

bool
sq_fdw_seek_is_constant(Expr *clause)
{
	return !runtime_walker((Node *) clause, NULL);
}

/* ---- Compiling ---- */

typedef struct SqSeekCompiler
{
	const SqRelation *rel;
	Index relid;
	PlanState *parent;
} SqSeekCompiler;

static SqSeek *compile_clause(SqSeekCompiler *c, Expr *clause);

static SqSeek *
compile_list(SqSeekCompiler *c, SqSeekKind kind, List *clauses)
{
	SqSeek *seek = palloc0(sizeof(SqSeek));
	ListCell *cell;

	seek->kind = kind;
	foreach (cell, clauses)
		seek->args = lappend(seek->args, compile_clause(c, lfirst(cell)));
	return seek;
}

static SqSeek *
compile_clause(SqSeekCompiler *c, Expr *clause)
{
	SqSeek *seek;

	if (is_orclause(clause))
		return compile_list(c, SQ_SEEK_OR, ((BoolExpr *) clause)->args);
	if (is_andclause(clause))
		return compile_list(c, SQ_SEEK_AND, ((BoolExpr *) clause)->args);
	seek = palloc0(sizeof(SqSeek));
	if (match_comparison(c->rel, c->relid, clause, &seek->compare))
	{
		seek->kind = SQ_SEEK_COMPARE;
		if (c->parent != NULL)
			seek->state = ExecInitExpr(seek->compare.other, c->parent);
	}
	return seek;
}

SqSeek *
sq_fdw_seek_compile(const SqRelation *rel, Index relid, List *clauses,
					PlanState *parent)
{
	SqSeekCompiler compiler = {rel, relid, parent};

	return compile_list(&compiler, SQ_SEEK_AND, clauses);
}

/* ---- Evaluating ---- */

/* Microseconds since 2000 to milliseconds since 1970, rounded down. */
static int64
time_to_ms(TimestampTz time)
{
	int64 ms;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return PG_INT64_MIN + 1;
	if (TIMESTAMP_IS_NOEND(time))
		return PG_INT64_MAX;
	ms = time / 1000 - (time % 1000 < 0);
	return ms + SQ_EPOCH_SECONDS * 1000;
}

/* The value of the other side in units of the dimension. */
static int64
dimension_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case DATEOID:
			return time_to_ms(
				date2timestamptz_opt_overflow(DatumGetDateADT(value), NULL));
		case TIMESTAMPOID:
			return time_to_ms(timestamp2timestamptz_opt_overflow(
				DatumGetTimestamp(value), NULL));
		default:
			return time_to_ms(DatumGetTimestampTz(value));
	}
}

/* column op value */
static SqRegion
compare_region(const SqComparison *compare, int64 value)
{
	int64 low = PG_INT64_MIN, high = PG_INT64_MAX;

	switch (compare->strategy)
	{
		case BTLessStrategyNumber:
			if (value == PG_INT64_MIN)
				return sq_fdw_region_none();
			high = value - 1;
			break;
		case BTLessEqualStrategyNumber:
			high = value;
			break;
		case BTEqualStrategyNumber:
			low = high = value;
			break;
		case BTGreaterStrategyNumber:
			/* times are cut to the millisecond, so the same one counts */
			if (compare->dimension != SQ_DIM_TIME)
			{
				if (value == PG_INT64_MAX)
					return sq_fdw_region_none();
				value++;
			}
			low = value;
			break;
		default:
			low = value;
			break;
	}
	if (compare->dimension == SQ_DIM_TIME)
		high = PG_INT64_MAX;
	return sq_fdw_region_between(compare->dimension, low, high);
}

/* column = ANY (array) */
static SqRegion
array_region(const SqComparison *compare, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	SqRegion result = sq_fdw_region_none();
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	bool *nulls;
	int count;

	get_typlenbyvalalign(compare->type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, compare->type, typlen, typbyval, typalign,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			result = sq_fdw_region_union(
				result,
				compare_region(compare,
							   dimension_value(elements[i], compare->type)));
	return result;
}

/* The region of a comparison whose other side is known. NULL is never true. */
static SqRegion
value_region(const SqComparison *compare, Datum value, bool isnull)
{
	if (isnull)
		return sq_fdw_region_none();
	if (compare->array)
		return array_region(compare, value);
	return compare_region(compare, dimension_value(value, compare->type));
}

/* How a comparison is evaluated: with parameters, or constants only. */
typedef SqRegion (*SqLeaf)(SqSeek *leaf, ExprContext *econtext);

static SqRegion
runtime_leaf(SqSeek *leaf, ExprContext *econtext)
{
	bool isnull;
	Datum value = ExecEvalExpr(leaf->state, econtext, &isnull);

	return value_region(&leaf->compare, value, isnull);
}

static SqRegion
constant_leaf(SqSeek *leaf, ExprContext *econtext)
{
	Const *constant = (Const *) leaf->compare.other;

	if (!IsA(constant, Const))
		return sq_fdw_region_all();
	return value_region(&leaf->compare, constant->constvalue,
						constant->constisnull);
}

static SqRegion
evaluate(SqSeek *seek, SqLeaf leaf, ExprContext *econtext)
{
	bool is_and = seek->kind == SQ_SEEK_AND;
	SqRegion result;
	ListCell *cell;

	if (seek->kind == SQ_SEEK_ALL)
		return sq_fdw_region_all();
	if (seek->kind == SQ_SEEK_COMPARE)
		return leaf(seek, econtext);
	result = is_and ? sq_fdw_region_all() : sq_fdw_region_none();
	foreach (cell, seek->args)
	{
		SqRegion arg = evaluate(lfirst(cell), leaf, econtext);

		result = is_and ? sq_fdw_region_intersection(result, arg)
						: sq_fdw_region_union(result, arg);
	}
	return result;
}

SqRegion
sq_fdw_seek_region(SqSeek *seek, ExprContext *econtext)
{
	return evaluate(seek, runtime_leaf, econtext);
}

SqRegion
sq_fdw_seek_constant_region(SqSeek *seek)
{
	return evaluate(seek, constant_leaf, NULL);
}
