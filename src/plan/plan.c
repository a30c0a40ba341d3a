/*
 * plan.c
 *		What plans are made of.
 *
 * Memory: none. Locks: none.
 */
#include "plan/plan.h"

static const char *const op_lanes[] = {
#define OP_LANES(name, lanes) lanes,
	SQ_OPS(OP_LANES)};

static const char *const op_names[] = {
#define OP_STRING(name, lanes) #name,
	SQ_OPS(OP_STRING)};

const char *
sq_plan_op_lanes(SqOp op)
{
	return op_lanes[op];
}

const char *
sq_plan_op_name(SqOp op)
{
	return op_names[op];
}

bool
sq_plan_op_compares(SqOp op)
{
	return op <= SQ_OP_GE_B;
}

bool
sq_plan_is_equality(const SqExpr *expr)
{
	return expr->kind == SQ_EXPR_CALL &&
		   (expr->op == SQ_OP_EQ_I || expr->op == SQ_OP_EQ_F ||
			expr->op == SQ_OP_EQ_T || expr->op == SQ_OP_EQ_B);
}
