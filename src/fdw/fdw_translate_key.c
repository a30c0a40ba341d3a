/*
 * fdw_translate_key.c
 *		What rows are found by where a value's type has no kernel.
 *
 * Of most types, values are equal exactly if their bytes are: their operator
 * class for B-trees says so (BTEQUALIMAGE). What their type's send function
 * makes is then an image, by which the executor finds them. A numeric gets one
 * without the zeros at its end. Of other types PostgreSQL alone knows what is
 * equal.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "access/nbtree.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* The operator family by which values of a type are equal, or 0, and the type
 * it is for. */
static Oid
family_of(Oid type, Oid *input)
{
	Oid opclass = GetDefaultOpClass(type, BTREE_AM_OID);

	if (!OidIsValid(opclass))
		return InvalidOid;
	*input = get_opclass_input_type(opclass);
	return get_opclass_family(opclass);
}

static bool
is_equal_by_bytes(Oid family, Oid input, Oid collation)
{
	Oid function = get_opfamily_proc(family, input, input, BTEQUALIMAGE_PROC);

	return OidIsValid(function) &&
		   DatumGetBool(OidFunctionCall1Coll(function, collation,
											 ObjectIdGetDatum(input)));
}

static Node *
call(Oid function, Oid result, Node *arg)
{
	return (Node *) makeFuncExpr(function, result, list_make1(arg), InvalidOid,
								 InvalidOid, COERCE_EXPLICIT_CALL);
}

/* An expression of type bytea, equal where the values are; NULL: none. */
static Node *
make_image(Node *node)
{
	Oid type = getBaseType(exprType(node));
	Oid input;
	Oid family = family_of(type, &input);
	Oid send;
	bool varlena;

	if (!OidIsValid(family))
		return NULL;
	if (type == NUMERICOID)
		return call(F_NUMERIC_SEND, BYTEAOID,
					call(F_TRIM_SCALE, NUMERICOID, node));
	if (!is_equal_by_bytes(family, input, exprCollation(node)))
		return NULL;
	getTypeBinaryOutputInfo(type, &send, &varlena);
	return call(send, BYTEAOID, node);
}

SqExpr *
sq_fdw_translate_image(SqTranslation *t, Node *node)
{
	Node *image = make_image(node);

	return image != NULL ? sq_fdw_translate_value(t, image) : NULL;
}

/* The equality of two images that one of values without kernels is, or NULL. */
static SqExpr *
image_equality(SqTranslation *t, const OpExpr *clause)
{
	Node *left = get_leftop((Expr *) clause);
	Node *right = get_rightop((Expr *) clause);
	Oid input;
	Oid family = family_of(getBaseType(exprType(left)), &input);
	SqExpr *expr;
	SqExpr *a;
	SqExpr *b;

	if (!OidIsValid(family) ||
		getBaseType(exprType(left)) != getBaseType(exprType(right)) ||
		get_op_opfamily_strategy(clause->opno, family) != BTEqualStrategyNumber)
		return NULL;
	a = sq_fdw_translate_image(t, left);
	b = sq_fdw_translate_image(t, right);
	if (a == NULL || b == NULL)
		return NULL;
	expr = palloc0(sizeof(SqExpr));
	expr->kind = SQ_EXPR_CALL;
	expr->type = SQ_TYPE_TRUTH;
	expr->op = SQ_OP_EQ_T;
	expr->nargs = 2;
	expr->args = palloc(2 * sizeof(SqExpr *));
	expr->args[0] = a;
	expr->args[1] = b;
	return expr;
}

SqExpr *
sq_fdw_translate_equality(SqTranslation *t, Node *clause)
{
	SqExpr *expr;

	if (!is_opclause(clause) || list_length(((OpExpr *) clause)->args) != 2)
		return NULL;
	expr = sq_fdw_translate_condition(t, clause);
	if (expr == NULL || sq_plan_is_equality(expr))
		return expr;
	return image_equality(t, (OpExpr *) clause);
}
