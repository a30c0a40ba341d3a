/*
 * fdw_filter.h
 *		Simple conditions on a batch, before rows are formed.
 */
#ifndef SQ_FDW_FILTER_H
#define SQ_FDW_FILTER_H

#include "postgres.h"

#include "feed/feed.h"
#include "nodes/execnodes.h"

typedef struct SqFilter SqFilter;

/*
 * The conditions of a scan that need no PostgreSQL function: a column of the
 * feed compared with a constant or a parameter. NULL if there are none.
 * Palloc'd in the current context.
 */
extern SqFilter *sq_fdw_filter_compile(SqFeed *feed, Index relid, List *quals,
									   PlanState *parent);

/* Parameters may have changed: a rescan. */
extern void sq_fdw_filter_restart(SqFilter *filter);

/* Is the current row of the feed ruled out? */
extern bool sq_fdw_filter_skips(SqFilter *filter, const SqFeed *feed);

#endif
