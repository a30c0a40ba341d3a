/*
 * fdw_seek.h
 *		Conditions on partition, offset and timestamp as seeks.
 */
#ifndef SQ_FDW_SEEK_H
#define SQ_FDW_SEEK_H

#include "postgres.h"

#include "fdw/fdw_region.h"
#include "feed/feed.h"
#include "nodes/execnodes.h"
#include "nodes/primnodes.h"

/* Does this clause on the relation with this range table index narrow what
 * has to be read? Its other side may hold parameters and, for parameterised
 * paths, columns of other relations. */
extern bool sq_fdw_seek_usable(const SqRelation *rel, Index relid,
							   Expr *clause);

/* Does what a usable clause narrows to stand in the clause itself, without
 * parameters or functions to be run? */
extern bool sq_fdw_seek_is_constant(Expr *clause);

/* The narrowing clauses of a scan, ready to be evaluated. */
typedef struct SqSeek SqSeek;

/* Compile clauses (AND between them); parent may be NULL when only constants
 * will be evaluated. */
extern SqSeek *sq_fdw_seek_compile(const SqRelation *rel, Index relid,
								   List *clauses, PlanState *parent);

/* The region with the parameters as they are now. Palloc'd in the current
 * context, which should be short-lived. */
extern SqRegion sq_fdw_seek_region(SqSeek *seek, ExprContext *econtext);

/* The same where only constants count: for EXPLAIN without execution; parts
 * with parameters don't narrow. */
extern SqRegion sq_fdw_seek_constant_region(SqSeek *seek);

#endif
