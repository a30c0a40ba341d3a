/*
 * fdw_plan.h
 *		Planning a scan of a stream, and what the plan hands to execution.
 */
#ifndef SQ_FDW_PLAN_H
#define SQ_FDW_PLAN_H

#include "postgres.h"

#include "foreign/fdwapi.h"

/* The items of ForeignScan.fdw_private; fdw_exprs holds the seek clauses. */
enum SqPlanPrivate
{
	/* Integer list: wanted attributes, numbers - 1, ascending */
	SQ_PLAN_ATTRIBUTES
};

extern void sq_fdw_get_rel_size(PlannerInfo *root, RelOptInfo *baserel,
								Oid relid);
extern void sq_fdw_get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid);
extern ForeignScan *sq_fdw_get_plan(PlannerInfo *root, RelOptInfo *baserel,
									Oid relid, ForeignPath *path, List *tlist,
									List *scan_clauses, Plan *outer_plan);

#endif
