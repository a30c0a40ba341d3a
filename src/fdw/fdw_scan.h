/*
 * fdw_scan.h
 *		Executing a scan of a stream.
 */
#ifndef SQ_FDW_SCAN_H
#define SQ_FDW_SCAN_H

#include "postgres.h"

#include "access/parallel.h"
#include "fdw/fdw_filter.h"
#include "fdw/fdw_kind.h"
#include "fdw/fdw_seek.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "port/atomics.h"

/*
 * What the processes of a parallel scan share. The leader writes npartitions
 * and watermarks before workers start, nobody after; next is the partition to
 * claim next, taken by atomic increment, so each is read by one process; the
 * counters are added to when a process is through with a partition.
 */
typedef struct SqSharedScan
{
	pg_atomic_uint32 next;
	pg_atomic_uint64 messages;
	pg_atomic_uint64 bytes;
	pg_atomic_uint64 decode_errors;
	pg_atomic_uint64 waited;
	int npartitions;
	SqKafkaWatermark watermarks[FLEXIBLE_ARRAY_MEMBER];
} SqSharedScan;

/* Executor state of a scan. */
typedef struct SqScan
{
	const SqFdwKind *kind; /* must be first */
	SqRelation *rel;
	Oid userid;
	Bitmapset *attrs; /* wanted attributes, numbers - 1 */
	SqSeek *seek;
	List *seek_clauses;
	const SqTopicState *topic; /* NULL under EXPLAIN without ANALYZE */
	SqFeed *feed;
	SqConverter *converter;
	SqFilter *filter;     /* NULL: no condition that a batch can decide */
	SqSharedScan *shared; /* NULL: not parallel */
	SqFeedStats reported; /* what shared has of feed->stats */
	MemoryContext region_context; /* reset at every (re)scan */
	SqKafkaRange *ranges;         /* in region_context; ordered by partition */
	int nranges;
	bool started; /* ranges are those of the current parameters */
} SqScan;

/* What narrows a scan: clauses on the relation by this number. parent is the
 * node that has their parameters; NULL: only EXPLAIN wants to know. */
typedef struct SqSeekSource
{
	Index relid;
	List *clauses;
	PlanState *parent;
} SqSeekSource;

/* Set up a scan of a relation for a user: everything but filter and topic. */
extern void sq_fdw_scan_init(SqScan *scan, Relation relation, Oid userid,
							 Bitmapset *attrs, const SqSeekSource *seek);
/* Start reading with the parameters as they are; false if nothing is to be
 * read. */
extern bool sq_fdw_scan_start(SqScan *scan, ExprContext *econtext);
/* The set of an integer list. */
extern Bitmapset *sq_fdw_attribute_set(List *list);

/* PostgreSQL's callbacks that only streams have: tables are not shared. */
extern void sq_fdw_shutdown_scan(ForeignScanState *node);
extern Size sq_fdw_estimate_dsm(ForeignScanState *node, ParallelContext *pcxt);
extern void sq_fdw_initialize_dsm(ForeignScanState *node, ParallelContext *pcxt,
								  void *coordinate);
extern void sq_fdw_reinitialize_dsm(ForeignScanState *node,
									ParallelContext *pcxt, void *coordinate);
extern void sq_fdw_initialize_worker(ForeignScanState *node, shm_toc *toc,
									 void *coordinate);

/* What all processes read for this scan, as far as known now. */
extern SqFeedStats sq_fdw_scan_stats(const SqScan *scan);

#endif
