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
 * What the processes of a parallel scan share. The leader writes npartitions,
 * watermarks and divided before workers start, nobody after; next is the
 * partition to claim next, taken by atomic increment, so each is read by one
 * process; the counters are added to when a process is through with a
 * partition.
 */
typedef struct SqSharedScan
{
	bool divided; /* else every process reads all of it */
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
/* After the end of what was started: another part, of a divided scan; false if
 * there is none. */
extern bool sq_fdw_scan_continue(SqScan *scan);
/* Does this process get from the leader what is seen of relations? */
extern bool sq_fdw_is_worker_scan(ForeignScanState *node);
/* The set of an integer list. */
extern Bitmapset *sq_fdw_attribute_set(List *list);

/* ---- Several processes ---- */

/* Bytes to share a scan of this topic. */
extern Size sq_fdw_shared_scan_size(const SqTopicState *topic);
/* The leader: share the scan, and its partitions if it is divided. */
extern void sq_fdw_share_scan(SqScan *scan, SqSharedScan *shared, bool divided);
/* The leader, before a rescan. */
extern void sq_fdw_reshare_scan(SqScan *scan, SqSharedScan *shared);
/* A worker: take part. */
extern void sq_fdw_join_scan(SqScan *scan, SqSharedScan *shared);
/* Anybody, once done: what was read is added to what all have read; the leader
 * then has all of it as his own. */
extern void sq_fdw_unshare_scan(SqScan *scan);

/* What all processes read for this scan, as far as known now. */
extern SqFeedStats sq_fdw_scan_stats(const SqScan *scan);

#endif
