/*
 * fdw_translate_host.c
 *		Expressions without kernels, for PostgreSQL's own evaluation.
 *
 * They stay as they are but for their columns, which become attributes of a
 * row of its own for each of them, filled from the slots listed beside it.
 * They lie where setrefs.c looks for nothing, so what it would do is done
 * here; their parameters are listed besides where it does look.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

/* ---- What can be evaluated ---- */

static bool
refuse(SqTranslation *t, const char *reason)
{
	t->reason = reason;
	return true;
}

/* Is there something in it that has no value for a row of these relations? */
static bool
is_beyond(Node *node, SqTranslation *t)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			if (sq_fdw_translation_has(t, (Var *) node))
				return false;
			return refuse(t, "a whole row or system column is used");
		case T_Param:
			if (((Param *) node)->paramkind == PARAM_EXTERN ||
				((Param *) node)->paramkind == PARAM_EXEC)
				return false;
			return refuse(t, "a parameter of the statement's own is used");
		case T_SubLink:
		case T_SubPlan:
		case T_AlternativeSubPlan:
			return refuse(t, "a subquery is evaluated for each row");
		case T_PlaceHolderVar:
			return refuse(t, "an expression is computed beneath an outer join");
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_CurrentOfExpr:
			return refuse(t, "an expression needs more than a row");
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcretset)
				return refuse(t, "a function returns a set");
			break;
		case T_OpExpr:
			if (((OpExpr *) node)->opretset)
				return refuse(t, "a function returns a set");
			break;
		default:
			break;
	}
	return expression_tree_walker(node, is_beyond, t);
}

static bool
can_evaluate(SqTranslation *t, Node *node)
{
	if (contain_volatile_functions(node))
		return !refuse(t, "a function is volatile");
	if (get_typtype(exprType(node)) == TYPTYPE_PSEUDO)
		return !refuse(t, "an expression has a pseudo-type");
	return !is_beyond(node, t);
}

/* ---- Rewriting ---- */

typedef struct SqRewrite
{
	SqTranslation *t;
	List *slots; /* by attribute number - 1 of the row */
} SqRewrite;

/* The attribute of the row that a slot is. */
static AttrNumber
attribute_for(SqRewrite *rewrite, int slot)
{
	ListCell *cell;

	foreach (cell, rewrite->slots)
		if (lfirst_int(cell) == slot)
			return foreach_current_index(cell) + 1;
	rewrite->slots = lappend_int(rewrite->slots, slot);
	return list_length(rewrite->slots);
}

static Node *
rewrite_columns(Node *node, SqRewrite *rewrite)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
		rewrite->t->params =
			lappend(rewrite->t->params, copyObject((Param *) node));
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		return (Node *) makeVar(
			1,
			attribute_for(rewrite, sq_fdw_translation_column(rewrite->t, var)),
			var->vartype, var->vartypmod, var->varcollid, 0);
	}
	return expression_tree_mutator(node, rewrite_columns, rewrite);
}

/* A node of our own, and the slots of its columns. */
static List *
rewrite_node(SqTranslation *t, Node *node)
{
	SqRewrite rewrite = {t, NIL};
	Node *own = rewrite_columns(node, &rewrite);

	fix_opfuncids(own);
	return list_make2(own, rewrite.slots);
}

int
sq_fdw_translate_host(SqTranslation *t, Node *node)
{
	if (!can_evaluate(t, node))
		return -1;
	t->hosts = lappend(t->hosts, rewrite_node(t, node));
	return list_length(t->hosts) - 1;
}

int
sq_fdw_translate_host_aggregate(SqTranslation *t, Aggref *aggref)
{
	Aggref *own = copyObject(aggref);
	ListCell *cell;

	own->aggfilter = NULL;
	foreach (cell, own->args)
		if (!can_evaluate(t, (Node *) lfirst_node(TargetEntry, cell)->expr))
			return -1;
	t->aggregates = lappend(t->aggregates, rewrite_node(t, (Node *) own));
	return list_length(t->aggregates) - 1;
}

int
sq_fdw_translate_state(SqTranslation *t, Aggref *aggref)
{
	Aggref *own = copyObject(aggref);

	own->aggfilter = NULL;
	own->args = NIL;
	t->aggregates = lappend(t->aggregates, list_make2(own, NIL));
	return list_length(t->aggregates) - 1;
}
