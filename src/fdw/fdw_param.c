/*
 * fdw_param.c
 *		Which other relations' values narrow a scan: for parameterised paths.
 *
 * A nested loop that hands each outer row's value to a scan is worth it if the
 * scan then looks at less. PostgreSQL has to be told for which outer relations
 * there is such a path; here they are found, for streams (seeks) and tables
 * (lookups) alike.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_kind.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"

/* Add a set of outer relations to a list of distinct ones. */
static List *
add_outer(List *outers, RelOptInfo *baserel, RestrictInfo *rinfo)
{
	Relids outer = bms_difference(rinfo->clause_relids, baserel->relids);
	ListCell *cell;

	outer = bms_add_members(outer, baserel->lateral_relids);
	if (bms_is_empty(outer))
		return outers;
	foreach (cell, outers)
		if (bms_equal(lfirst(cell), outer))
			return outers;
	return lappend(outers, outer);
}

/* Does an equivalence member name a column, perhaps under another name of its
 * type? */
static bool
member_matches(PlannerInfo *root, RelOptInfo *baserel, EquivalenceClass *ec,
			   EquivalenceMember *em, void *arg)
{
	return equal(strip_implicit_coercions((Node *) em->em_expr), arg);
}

static bool
is_narrowing(RelOptInfo *baserel, RestrictInfo *rinfo, SqFdwUsable usable,
			 void *arg)
{
	return join_clause_is_movable_to(rinfo, baserel) &&
		   usable(baserel, rinfo->clause, arg);
}

List *
sq_fdw_narrowing_outers(PlannerInfo *root, RelOptInfo *baserel,
						const SqRelation *rel, Bitmapset *columns,
						SqFdwUsable usable, void *arg)
{
	List *clauses = list_copy(baserel->joininfo);
	List *outers = NIL;
	ListCell *cell;
	int a = -1;

	while (baserel->has_eclass_joins && (a = bms_next_member(columns, a)) >= 0)
	{
		const SqAttribute *attribute = &rel->attributes[a];
		Var *var = makeVar(baserel->relid, a + 1, attribute->type,
						   attribute->typmod, attribute->collation, 0);

		clauses = list_concat(clauses, generate_implied_equalities_for_column(
										   root, baserel, member_matches, var,
										   baserel->lateral_referencers));
	}
	foreach (cell, clauses)
		if (is_narrowing(baserel, lfirst(cell), usable, arg))
			outers = add_outer(outers, baserel, lfirst(cell));
	return outers;
}
