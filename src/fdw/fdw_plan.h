/*
 * fdw_plan.h
 *		Planning a scan of a stream.
 */
#ifndef SQ_FDW_PLAN_H
#define SQ_FDW_PLAN_H

#include "postgres.h"

#include "fdw/fdw_kind.h"

/* A process that joins a parallel scan connects first: some milliseconds, in
 * the planner's units. */
#define SQ_CONNECT_COST 2000.0

/* fdw_exprs holds the seek clauses; there is nothing private but what all
 * kinds have. */
extern void sq_fdw_stream_rel_size(PlannerInfo *root, RelOptInfo *baserel,
								   Relation relation);
extern void sq_fdw_stream_paths(PlannerInfo *root, RelOptInfo *baserel);
extern List *sq_fdw_stream_exprs(PlannerInfo *root, RelOptInfo *baserel,
								 ForeignPath *path, List *clauses);
extern List *sq_fdw_stream_private(PlannerInfo *root, RelOptInfo *baserel,
								   ForeignPath *path);

#endif
