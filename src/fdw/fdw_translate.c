/*
 * fdw_translate.c
 *		PostgreSQL's expressions as the native executor's.
 *
 * Only what the kernels compute exactly as PostgreSQL does is translated, all
 * else is refused by NULL. Comparisons are recognised by the B-tree operator
 * family of their type, arithmetic and aggregates by function. A numeric keeps
 * the scale that PostgreSQL would display, so where a result could have one of
 * two scales (CASE, COALESCE) they must be the same.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type_d.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/pg_locale.h"
#include "utils/typcache.h"

/* An IN list of at most so many constants becomes an OR. */
#define MAX_LIST 16

SqTranslation *
sq_fdw_translation_create(PlannerInfo *root, Relids relids)
{
	SqTranslation *t = palloc0(sizeof(SqTranslation));

	t->root = root;
	t->relids = relids;
	t->attribute_slots = palloc0(root->simple_rel_array_size * sizeof(int *));
	t->maxslots = 16;
	t->slots = palloc0(t->maxslots * sizeof(SqColumn));
	return t;
}

/* The slot of a relation's column, which must be met here. */
static int *
slot_of(SqTranslation *t, Index relid, AttrNumber attribute)
{
	int **slots = &t->attribute_slots[relid];
	int nattributes = t->root->simple_rel_array[relid]->max_attr;

	if (*slots == NULL)
	{
		*slots = palloc(nattributes * sizeof(int));
		for (int a = 0; a < nattributes; a++)
			(*slots)[a] = -1;
	}
	return &(*slots)[attribute - 1];
}

int
sq_fdw_translation_slot(SqTranslation *t, SqColumn type)
{
	if (t->nslots == t->maxslots)
	{
		t->maxslots *= 2;
		t->slots = repalloc(t->slots, t->maxslots * sizeof(SqColumn));
	}
	t->slots[t->nslots] = type;
	return t->nslots++;
}

/* ---- Making expressions ---- */

static SqExpr *
make_expr(SqExprKind kind, SqType type)
{
	SqExpr *expr = palloc0(sizeof(SqExpr));

	expr->kind = kind;
	expr->type = type;
	return expr;
}

static SqExpr *
with_args(SqExpr *expr, int nargs, SqExpr *a, SqExpr *b)
{
	expr->nargs = nargs;
	expr->args = palloc(Max(nargs, 2) * sizeof(SqExpr *));
	expr->args[0] = a;
	expr->args[1] = b;
	return expr;
}

static SqExpr *
make_call(SqOp op, SqType type, SqExpr *a, SqExpr *b)
{
	SqExpr *expr = make_expr(SQ_EXPR_CALL, type);

	expr->op = op;
	return with_args(expr, b != NULL ? 2 : 1, a, b);
}

static SqExpr *
make_one(SqExprKind kind, SqType type, SqExpr *arg)
{
	return with_args(make_expr(kind, type), 1, arg, NULL);
}

static SqExpr *
make_typed(SqExprKind kind, SqColumn type)
{
	SqExpr *expr = make_expr(kind, type.type);

	expr->precision = type.precision;
	expr->scale = type.scale;
	return expr;
}

static bool
is_integer(SqType type)
{
	return type == SQ_TYPE_INT2 || type == SQ_TYPE_INT4 || type == SQ_TYPE_INT8;
}

/* ---- Leaves ---- */

bool
sq_fdw_translation_has(const SqTranslation *t, const Var *var)
{
	return var->varlevelsup == 0 && bms_is_member(var->varno, t->relids) &&
		   var->varattno > 0 &&
		   var->varattno <= t->root->simple_rel_array[var->varno]->max_attr;
}

int
sq_fdw_translation_column(SqTranslation *t, const Var *var)
{
	int *slot = slot_of(t, var->varno, var->varattno);

	if (*slot < 0)
		*slot = sq_fdw_translation_slot(
			t, sq_fdw_native_type(var->vartype, var->vartypmod));
	return *slot;
}

static SqExpr *
translate_var(SqTranslation *t, Var *var)
{
	SqExpr *expr;

	if (!sq_fdw_translation_has(t, var))
		return NULL;
	expr = make_typed(SQ_EXPR_COLUMN,
					  sq_fdw_native_type(var->vartype, var->vartypmod));
	expr->number = sq_fdw_translation_column(t, var);
	return expr;
}

/* A numeric constant with the digits that it is written with. */
static bool
set_numeric(SqExpr *expr, Datum value)
{
	char *digits;
	char *point;

	if (numeric_is_nan(DatumGetNumeric(value)) ||
		numeric_is_inf(DatumGetNumeric(value)))
		return false;
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, value));
	point = strchr(digits, '.');
	expr->type = SQ_TYPE_NUMERIC;
	expr->scale = point != NULL ? strlen(point + 1) : 0;
	if (expr->scale > SQ_NUMERIC_PRECISION ||
		!sq_feed_numeric_word(value, expr->scale, &expr->i))
		return false;
	expr->precision =
		Max(strspn(digits[0] == '-' ? digits + 1 : digits, "0123456789") +
				expr->scale,
			1);
	return expr->precision <= SQ_NUMERIC_PRECISION;
}

static SqExpr *
constant(Oid type, Datum value, bool isnull)
{
	SqExpr *expr = make_typed(SQ_EXPR_CONST, sq_fdw_native_type(type, -1));
	uint64 valid = 0;
	SqColumn column = {.type = expr->type, .valid = &valid};

	expr->isnull = isnull;
	if (type == NUMERICOID)
	{
		expr->type = SQ_TYPE_NUMERIC;
		expr->precision = 1;
		return isnull || set_numeric(expr, value) ? expr : NULL;
	}
	if (expr->type == SQ_TYPE_DATUM)
		return NULL;
	if (isnull)
		return expr;
	if (sq_type_is_text(expr->type))
		column.text = &expr->text;
	else if (sq_type_is_float(expr->type))
		column.f = &expr->f;
	else
		column.i = &expr->i;
	sq_feed_column_store(&column, 0, value);
	return expr;
}

static SqExpr *
translate_param(SqTranslation *t, Param *param)
{
	SqExpr *expr =
		make_typed(SQ_EXPR_PARAM, sq_fdw_native_type(param->paramtype, -1));

	if (expr->type == SQ_TYPE_DATUM ||
		(param->paramkind != PARAM_EXTERN && param->paramkind != PARAM_EXEC))
		return NULL;
	expr->number = list_length(t->params);
	t->params = lappend(t->params, copyObject(param));
	return expr;
}

/* ---- Comparisons ---- */

/* A numeric with more digits after the point. */
static SqExpr *
rescale(SqExpr *arg, int scale)
{
	SqExpr *expr;

	if (arg->scale == scale)
		return arg;
	if (arg->precision + scale - arg->scale > SQ_NUMERIC_PRECISION)
		return NULL;
	expr = make_call(SQ_OP_RESCALE_N, SQ_TYPE_NUMERIC, arg, NULL);
	expr->scale = scale;
	expr->precision = arg->precision + scale - arg->scale;
	return expr;
}

static bool
align(SqExpr **a, SqExpr **b)
{
	int scale = Max((*a)->scale, (*b)->scale);

	/* what a parameter holds is not known when the plan is made */
	if ((*a)->kind == SQ_EXPR_PARAM || (*b)->kind == SQ_EXPR_PARAM)
		return false;
	*a = rescale(*a, scale);
	*b = rescale(*b, scale);
	return *a != NULL && *b != NULL;
}

/* The six comparisons stand in the order of _I, _F, _T, _B. */
typedef enum SqComparison
{
	COMPARE_EQ,
	COMPARE_NE,
	COMPARE_LT,
	COMPARE_LE,
	COMPARE_GT,
	COMPARE_GE,
	COMPARE_NONE
} SqComparison;

static SqComparison
comparison_of(Oid operator, Oid type)
{
	static const SqComparison by_strategy[] = {COMPARE_NONE, COMPARE_LT,
											   COMPARE_LE,   COMPARE_EQ,
											   COMPARE_GE,   COMPARE_GT};
	Oid family = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	int strategy = get_op_opfamily_strategy(operator, family);
	Oid negator;

	if (!OidIsValid(family))
		return COMPARE_NONE;
	if (strategy != 0)
		return by_strategy[strategy];
	negator = get_negator(operator);
	if (OidIsValid(negator) &&
		get_op_opfamily_strategy(negator, family) == BTEqualStrategyNumber)
		return COMPARE_NE;
	return COMPARE_NONE;
}

/* May text be compared by its bytes? */
static bool
compares_bytes(SqComparison comparison, Oid collation)
{
	if (!OidIsValid(collation))
		return false;
	if (comparison == COMPARE_EQ || comparison == COMPARE_NE)
		return get_collation_isdeterministic(collation);
	return lc_collate_is_c(collation);
}

static SqExpr *
compare(Oid operator, Oid type, Oid collation, SqExpr *a, SqExpr *b)
{
	SqComparison comparison = comparison_of(operator, type);
	SqOp first;

	if (comparison == COMPARE_NONE || a == NULL || b == NULL)
		return NULL;
	if (sq_type_is_float(a->type) && sq_type_is_float(b->type))
		first = SQ_OP_EQ_F;
	else if (is_integer(a->type) && is_integer(b->type))
		first = SQ_OP_EQ_I;
	else if (a->type != b->type || a->type == SQ_TYPE_DATUM)
		return NULL;
	else if (a->type == SQ_TYPE_NUMERIC)
	{
		if (!align(&a, &b))
			return NULL;
		first = SQ_OP_EQ_I;
	}
	else if (a->type == SQ_TYPE_TEXT || a->type == SQ_TYPE_BPCHAR)
	{
		if (!compares_bytes(comparison, collation))
			return NULL;
		first = a->type == SQ_TYPE_TEXT ? SQ_OP_EQ_T : SQ_OP_EQ_B;
	}
	else
		first = sq_type_is_text(a->type) ? SQ_OP_EQ_T : SQ_OP_EQ_I;
	return make_call(first + (int) comparison, SQ_TYPE_TRUTH, a, b);
}

static SqExpr *
translate_comparison(SqTranslation *t, OpExpr *op)
{
	Node *left = linitial(op->args);

	return compare(op->opno, getBaseType(exprType(left)), op->inputcollid,
				   sq_fdw_translate_value(t, left),
				   sq_fdw_translate_value(t, lsecond(op->args)));
}

/* column op ANY or ALL of some constants. */
static SqExpr *
translate_list(SqTranslation *t, ScalarArrayOpExpr *op)
{
	Node *left = linitial(op->args);
	Const *array = lsecond(op->args);
	SqExpr *value = sq_fdw_translate_value(t, left);
	SqExpr *result;
	Datum *values;
	bool *nulls;
	ArrayType *held;
	Oid element;
	int16 length;
	bool byval;
	char alignment;
	int count;

	if (value == NULL || !IsA(array, Const) || array->constisnull)
		return NULL;
	held = DatumGetArrayTypeP(array->constvalue);
	element = ARR_ELEMTYPE(held);
	get_typlenbyvalalign(element, &length, &byval, &alignment);
	deconstruct_array(held, element, length, byval, alignment, &values, &nulls,
					  &count);
	if (count == 0 || count > MAX_LIST)
		return NULL;
	result = make_expr(op->useOr ? SQ_EXPR_OR : SQ_EXPR_AND, SQ_TYPE_TRUTH);
	result->nargs = count;
	result->args = palloc(count * sizeof(SqExpr *));
	for (int i = 0; i < count; i++)
	{
		result->args[i] =
			compare(op->opno, getBaseType(exprType(left)), op->inputcollid,
					value, constant(element, values[i], nulls[i]));
		if (result->args[i] == NULL)
			return NULL;
	}
	return result;
}

/* ---- Arithmetic ---- */

typedef struct SqFunction
{
	Oid function;
	SqOp op;
} SqFunction;

static const SqFunction functions[] = {
	{F_INT2PL, SQ_OP_ADD_I},           {F_INT4PL, SQ_OP_ADD_I},
	{F_INT8PL, SQ_OP_ADD_I},           {F_INT24PL, SQ_OP_ADD_I},
	{F_INT42PL, SQ_OP_ADD_I},          {F_INT48PL, SQ_OP_ADD_I},
	{F_INT84PL, SQ_OP_ADD_I},          {F_INT28PL, SQ_OP_ADD_I},
	{F_INT82PL, SQ_OP_ADD_I},          {F_INT2MI, SQ_OP_SUB_I},
	{F_INT4MI, SQ_OP_SUB_I},           {F_INT8MI, SQ_OP_SUB_I},
	{F_INT24MI, SQ_OP_SUB_I},          {F_INT42MI, SQ_OP_SUB_I},
	{F_INT48MI, SQ_OP_SUB_I},          {F_INT84MI, SQ_OP_SUB_I},
	{F_INT28MI, SQ_OP_SUB_I},          {F_INT82MI, SQ_OP_SUB_I},
	{F_INT2MUL, SQ_OP_MUL_I},          {F_INT4MUL, SQ_OP_MUL_I},
	{F_INT8MUL, SQ_OP_MUL_I},          {F_INT24MUL, SQ_OP_MUL_I},
	{F_INT42MUL, SQ_OP_MUL_I},         {F_INT48MUL, SQ_OP_MUL_I},
	{F_INT84MUL, SQ_OP_MUL_I},         {F_INT28MUL, SQ_OP_MUL_I},
	{F_INT82MUL, SQ_OP_MUL_I},         {F_INT2DIV, SQ_OP_DIV_I},
	{F_INT4DIV, SQ_OP_DIV_I},          {F_INT8DIV, SQ_OP_DIV_I},
	{F_INT24DIV, SQ_OP_DIV_I},         {F_INT42DIV, SQ_OP_DIV_I},
	{F_INT48DIV, SQ_OP_DIV_I},         {F_INT84DIV, SQ_OP_DIV_I},
	{F_INT28DIV, SQ_OP_DIV_I},         {F_INT82DIV, SQ_OP_DIV_I},
	{F_INT2MOD, SQ_OP_MOD_I},          {F_INT4MOD, SQ_OP_MOD_I},
	{F_INT8MOD, SQ_OP_MOD_I},          {F_INT2UM, SQ_OP_NEG_I},
	{F_INT4UM, SQ_OP_NEG_I},           {F_INT8UM, SQ_OP_NEG_I},
	{F_INT4_INT2, SQ_OP_CAST_I},       {F_INT8_INT2, SQ_OP_CAST_I},
	{F_INT8_INT4, SQ_OP_CAST_I},       {F_INT4_INT8, SQ_OP_CAST_I},
	{F_INT2_INT4, SQ_OP_CAST_I},       {F_INT2_INT8, SQ_OP_CAST_I},
	{F_FLOAT4PL, SQ_OP_ADD_F},         {F_FLOAT8PL, SQ_OP_ADD_F},
	{F_FLOAT48PL, SQ_OP_ADD_F},        {F_FLOAT84PL, SQ_OP_ADD_F},
	{F_FLOAT4MI, SQ_OP_SUB_F},         {F_FLOAT8MI, SQ_OP_SUB_F},
	{F_FLOAT48MI, SQ_OP_SUB_F},        {F_FLOAT84MI, SQ_OP_SUB_F},
	{F_FLOAT4MUL, SQ_OP_MUL_F},        {F_FLOAT8MUL, SQ_OP_MUL_F},
	{F_FLOAT48MUL, SQ_OP_MUL_F},       {F_FLOAT84MUL, SQ_OP_MUL_F},
	{F_FLOAT4DIV, SQ_OP_DIV_F},        {F_FLOAT8DIV, SQ_OP_DIV_F},
	{F_FLOAT48DIV, SQ_OP_DIV_F},       {F_FLOAT84DIV, SQ_OP_DIV_F},
	{F_FLOAT8_INT2, SQ_OP_FLOAT_I},    {F_FLOAT8_INT4, SQ_OP_FLOAT_I},
	{F_FLOAT8_INT8, SQ_OP_FLOAT_I},    {F_FLOAT4_INT2, SQ_OP_FLOAT_I},
	{F_FLOAT4_INT4, SQ_OP_FLOAT_I},    {F_FLOAT8_FLOAT4, SQ_OP_CAST_F},
	{F_NUMERIC_ADD, SQ_OP_ADD_N},      {F_NUMERIC_SUB, SQ_OP_SUB_N},
	{F_NUMERIC_MUL, SQ_OP_MUL_N},      {F_NUMERIC_UMINUS, SQ_OP_NEG_N},
	{F_NUMERIC_INT2, SQ_OP_NUMERIC_I}, {F_NUMERIC_INT4, SQ_OP_NUMERIC_I},
};

/* A numeric whose digits are known when the plan is made. */
static bool
is_scaled(const SqExpr *expr)
{
	return expr->type == SQ_TYPE_NUMERIC && expr->kind != SQ_EXPR_PARAM;
}

/* A numeric result: how many digits can it have? */
static SqExpr *
make_numeric(SqOp op, SqExpr *a, SqExpr *b)
{
	int precision = a->precision;
	int scale = a->scale;
	SqExpr *expr;

	if (op != SQ_OP_NUMERIC_I &&
		(!is_scaled(a) || (b != NULL && !is_scaled(b))))
		return NULL;
	if (op == SQ_OP_NUMERIC_I)
		precision = a->type == SQ_TYPE_INT2 ? 5 : 10;
	else if (op == SQ_OP_MUL_N)
	{
		precision += b->precision;
		scale += b->scale;
	}
	else if (op != SQ_OP_NEG_N)
	{
		if (!align(&a, &b))
			return NULL;
		precision = Max(a->precision, b->precision) + 1;
		scale = a->scale;
	}
	if (precision > SQ_NUMERIC_PRECISION)
		return NULL;
	expr = make_call(op, SQ_TYPE_NUMERIC, a, b);
	expr->precision = precision;
	expr->scale = scale;
	return expr;
}

static SqExpr *
translate_call(SqTranslation *t, Oid function, Oid type, List *args)
{
	SqExpr *a;
	SqExpr *b = NULL;

	for (int i = 0; i < lengthof(functions); i++)
	{
		SqOp op = functions[i].op;

		if (functions[i].function != function)
			continue;
		a = sq_fdw_translate_value(t, linitial(args));
		if (list_length(args) > 1)
			b = sq_fdw_translate_value(t, lsecond(args));
		if (a == NULL || (list_length(args) > 1 && b == NULL))
			return NULL;
		if (op >= SQ_OP_ADD_N)
			return make_numeric(op, a, b);
		return make_call(op, sq_fdw_native_type(type, -1).type, a, b);
	}
	return NULL;
}

/* ---- Conditions ---- */

static SqExpr *
translate_bool(SqTranslation *t, BoolExpr *node)
{
	static const SqExprKind kinds[] = {[AND_EXPR] = SQ_EXPR_AND,
									   [OR_EXPR] = SQ_EXPR_OR,
									   [NOT_EXPR] = SQ_EXPR_NOT};
	SqExpr *expr = make_expr(kinds[node->boolop], SQ_TYPE_TRUTH);
	ListCell *cell;

	expr->args = palloc(list_length(node->args) * sizeof(SqExpr *));
	foreach (cell, node->args)
	{
		SqExpr *arg = sq_fdw_translate_condition(t, lfirst(cell));

		if (arg == NULL)
			return NULL;
		expr->args[expr->nargs++] = arg;
	}
	return expr;
}

static SqExpr *
translate_null_test(SqTranslation *t, NullTest *node)
{
	SqExpr *arg = sq_fdw_translate_value(t, (Node *) node->arg);

	if (arg == NULL || node->argisrow)
		return NULL;
	return make_one(node->nulltesttype == IS_NULL ? SQ_EXPR_IS_NULL
												  : SQ_EXPR_IS_NOT_NULL,
					SQ_TYPE_TRUTH, arg);
}

static SqExpr *
translate_boolean_test(SqTranslation *t, BooleanTest *node)
{
	static const SqExprKind kinds[] = {
		[IS_TRUE] = SQ_EXPR_IS_TRUE,    [IS_NOT_TRUE] = SQ_EXPR_IS_NOT_TRUE,
		[IS_FALSE] = SQ_EXPR_IS_FALSE,  [IS_NOT_FALSE] = SQ_EXPR_IS_NOT_FALSE,
		[IS_UNKNOWN] = SQ_EXPR_IS_NULL, [IS_NOT_UNKNOWN] = SQ_EXPR_IS_NOT_NULL};
	SqExpr *arg = sq_fdw_translate_condition(t, (Node *) node->arg);

	if (arg == NULL)
		return NULL;
	if (node->booltesttype == IS_UNKNOWN ||
		node->booltesttype == IS_NOT_UNKNOWN)
		arg = make_one(SQ_EXPR_BOOL, SQ_TYPE_BOOL, arg);
	return make_one(kinds[node->booltesttype], SQ_TYPE_TRUTH, arg);
}

/* The condition that a node is, or NULL: not one, or not translated. */
static SqExpr *
own_condition(SqTranslation *t, Node *node)
{
	SqExpr *expr;

	switch (nodeTag(node))
	{
		case T_BoolExpr:
			return translate_bool(t, (BoolExpr *) node);
		case T_NullTest:
			return translate_null_test(t, (NullTest *) node);
		case T_BooleanTest:
			return translate_boolean_test(t, (BooleanTest *) node);
		case T_ScalarArrayOpExpr:
			return translate_list(t, (ScalarArrayOpExpr *) node);
		case T_OpExpr:
			if (list_length(((OpExpr *) node)->args) != 2 ||
				exprType(node) != BOOLOID)
				return NULL;
			return translate_comparison(t, (OpExpr *) node);
		case T_DistinctExpr:
			/* its operator is the equality */
			expr = translate_comparison(t, (OpExpr *) node);
			if (expr != NULL)
				expr->kind = SQ_EXPR_DISTINCT;
			return expr;
		default:
			return NULL;
	}
}

SqExpr *
sq_fdw_translate_condition(SqTranslation *t, Node *node)
{
	SqExpr *condition = own_condition(t, node);
	SqExpr *value;

	if (condition != NULL)
		return condition;
	value = sq_fdw_translate_value(t, node);
	if (value == NULL || value->type != SQ_TYPE_BOOL)
		return NULL;
	if (value->kind == SQ_EXPR_BOOL)
		return value->args[0];
	return make_one(SQ_EXPR_TRUTH, SQ_TYPE_TRUTH, value);
}

/* ---- Values ---- */

/* The results of a CASE or COALESCE must be of one type, so that each is shown
 * as PostgreSQL shows it. */
static bool
add_result(SqExpr *expr, SqExpr *value)
{
	if (value == NULL || value->type == SQ_TYPE_DATUM)
		return false;
	if (expr->type == SQ_TYPE_TRUTH)
	{
		expr->type = value->type;
		expr->scale = value->scale;
	}
	if (expr->type != value->type || expr->scale != value->scale ||
		(value->type == SQ_TYPE_NUMERIC && value->kind == SQ_EXPR_PARAM))
		return false;
	expr->precision = Max(expr->precision, value->precision);
	expr->args[expr->nargs++] = value;
	return true;
}

static SqExpr *
translate_case(SqTranslation *t, CaseExpr *node)
{
	SqExpr *expr = make_expr(SQ_EXPR_CASE, SQ_TYPE_TRUTH);
	ListCell *cell;

	if (node->arg != NULL || node->defresult == NULL)
		return NULL;
	expr->args = palloc((2 * list_length(node->args) + 1) * sizeof(SqExpr *));
	foreach (cell, node->args)
	{
		CaseWhen *when = lfirst(cell);
		SqExpr *condition = sq_fdw_translate_condition(t, (Node *) when->expr);

		if (condition == NULL)
			return NULL;
		expr->args[expr->nargs++] = condition;
		if (!add_result(expr, sq_fdw_translate_value(t, (Node *) when->result)))
			return NULL;
	}
	if (!add_result(expr, sq_fdw_translate_value(t, (Node *) node->defresult)))
		return NULL;
	return expr;
}

static SqExpr *
translate_coalesce(SqTranslation *t, CoalesceExpr *node)
{
	SqExpr *expr = make_expr(SQ_EXPR_COALESCE, SQ_TYPE_TRUTH);
	ListCell *cell;

	expr->args = palloc(list_length(node->args) * sizeof(SqExpr *));
	foreach (cell, node->args)
		if (!add_result(expr, sq_fdw_translate_value(t, lfirst(cell))))
			return NULL;
	return expr;
}

/* Another name for the same bytes: varchar as text. */
static SqExpr *
translate_relabel(SqTranslation *t, RelabelType *node)
{
	SqExpr *arg = sq_fdw_translate_value(t, (Node *) node->arg);

	if (arg == NULL || arg->type != SQ_TYPE_TEXT ||
		sq_fdw_native_type(node->resulttype, -1).type != SQ_TYPE_TEXT)
		return NULL;
	return arg;
}

/* A value that has kernels, or NULL. */
static SqExpr *
own_value(SqTranslation *t, Node *node)
{
	SqExpr *condition;

	switch (nodeTag(node))
	{
		case T_Var:
			return translate_var(t, (Var *) node);
		case T_Const:
			return constant(((Const *) node)->consttype,
							((Const *) node)->constvalue,
							((Const *) node)->constisnull);
		case T_Param:
			return translate_param(t, (Param *) node);
		case T_RelabelType:
			return translate_relabel(t, (RelabelType *) node);
		case T_CaseExpr:
			return translate_case(t, (CaseExpr *) node);
		case T_CoalesceExpr:
			return translate_coalesce(t, (CoalesceExpr *) node);
		case T_FuncExpr:
			return translate_call(t, ((FuncExpr *) node)->funcid,
								  exprType(node), ((FuncExpr *) node)->args);
		case T_OpExpr:
			if (exprType(node) != BOOLOID)
				return translate_call(t, get_opcode(((OpExpr *) node)->opno),
									  exprType(node), ((OpExpr *) node)->args);
			break;
		default:
			break;
	}
	condition = own_condition(t, node);
	return condition != NULL ? make_one(SQ_EXPR_BOOL, SQ_TYPE_BOOL, condition)
							 : NULL;
}

SqExpr *
sq_fdw_translate_value(SqTranslation *t, Node *node)
{
	int nhosts = list_length(t->hosts);
	SqExpr *value = own_value(t, node);
	SqColumn type;

	if (value != NULL)
		return value;
	/* those of its parts are not needed */
	t->hosts = list_truncate(t->hosts, nhosts);
	type = sq_fdw_native_type(exprType(node), exprTypmod(node));
	value = make_typed(SQ_EXPR_HOST, type);
	value->number = sq_fdw_translate_host(t, node);
	return value->number >= 0 ? value : NULL;
}
