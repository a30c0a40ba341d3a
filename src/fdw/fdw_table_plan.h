/*
 * fdw_table_plan.h
 *		Planning a scan of a table, and what the plan hands to execution.
 */
#ifndef SQ_FDW_TABLE_PLAN_H
#define SQ_FDW_TABLE_PLAN_H

#include "postgres.h"

#include "fdw/fdw_kind.h"

/* A plan that is made while a table is empty may be used when it is not: a
 * scan never costs less than of so many rows. */
#define SQ_FEW_ROWS 100.0

/* What follows SQ_PLAN_OWN in fdw_private; fdw_exprs holds the values of the
 * lookup, one for each column of its index. */
enum SqTablePlanPrivate
{
	/* Integer: the index of the lookup, -1: a scan of all rows */
	SQ_TABLE_PLAN_INDEX = SQ_PLAN_OWN,
	/* Integer: which of the values is an array, -1: none */
	SQ_TABLE_PLAN_ARRAY
};

extern void sq_fdw_table_rel_size(PlannerInfo *root, RelOptInfo *baserel,
								  Relation relation);
extern void sq_fdw_table_paths(PlannerInfo *root, RelOptInfo *baserel);
extern List *sq_fdw_table_exprs(PlannerInfo *root, RelOptInfo *baserel,
								ForeignPath *path, List *clauses);
extern List *sq_fdw_table_private(PlannerInfo *root, RelOptInfo *baserel,
								  ForeignPath *path);

#endif
