/*
 * fdw_native_reason.c
 *		Why something is left to PostgreSQL's executor.
 *
 * Asked when the plan of a scan is made: by then the planner has chosen, so
 * whatever the query does with these rows besides is not native.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "guc.h"
#include "optimizer/pathnode.h"

#define CHEAPER "PostgreSQL's plan costs less"

static SqFdwRel *
state_of(const RelOptInfo *rel)
{
	return rel->fdwroutine != NULL ? rel->fdw_private : NULL;
}

/* Of the joins that have this relation, the smallest one without a tree. */
static const char *
join_reason(PlannerInfo *root, const RelOptInfo *rel)
{
	const RelOptInfo *smallest = NULL;
	bool native = false;
	ListCell *cell;

	foreach (cell, root->join_rel_list)
	{
		const RelOptInfo *join = lfirst(cell);
		const SqFdwRel *state = state_of(join);

		if (state == NULL || bms_equal(join->relids, rel->relids) ||
			!bms_is_subset(rel->relids, join->relids))
			continue;
		native |= state->native != NULL && state->reason == NULL;
		if (state->reason != NULL &&
			(smallest == NULL ||
			 bms_num_members(join->relids) < bms_num_members(smallest->relids)))
			smallest = join;
	}
	if (smallest != NULL)
		return state_of(smallest)->reason;
	if (native)
		return CHEAPER;
	return "a join is with other relations than streams and tables of one "
		   "server and user";
}

static const char *
group_reason(PlannerInfo *root)
{
	const SqFdwRel *state =
		fetch_upper_rel(root, UPPERREL_GROUP_AGG, NULL)->fdw_private;

	if (state == NULL)
		return "what is beneath the aggregate is not native";
	return state->reason != NULL ? state->reason : CHEAPER;
}

String *
sq_fdw_not_native(PlannerInfo *root, RelOptInfo *rel, bool conditions)
{
	const Query *parse = root->parse;
	bool alone = bms_is_subset(root->all_baserels, rel->relids);
	bool groups = parse->hasAggs || parse->groupClause != NIL;
	const char *what;
	const char *reason;

	if (!alone)
		what = "join";
	else if (groups)
		what = "aggregate";
	else if (!conditions && rel->baserestrictinfo != NIL)
		what = "condition";
	else
		return NULL;
	/* whatever it is, it needs the rows */
	if (sq_fdw_native_tree(root, rel) == NULL && state_of(rel) != NULL &&
		state_of(rel)->reason != NULL)
		reason = state_of(rel)->reason;
	else if (!alone)
		reason = join_reason(root, rel);
	else
		reason = groups ? group_reason(root) : CHEAPER;
	if (sq_require_native == SQ_NATIVE_REQUIRE)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s does not run natively", what),
						errdetail("Reason: %s.", reason)));
	return makeString(pstrdup(reason));
}
