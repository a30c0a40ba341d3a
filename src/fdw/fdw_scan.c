/*
 * fdw_scan.c
 *		Executing a scan of a stream, alone or shared among processes.
 *
 * Begin takes the topic's end offsets (fdw_snapshot.c). The first row after
 * each (re)scan makes offset ranges of the seek clauses with the parameters as
 * they are then, asks the broker for offsets by time where a clause needs
 * them, and starts the feed. A parallel scan does the same in every process
 * but reads one partition at a time, claimed from a shared counter; since each
 * partition has one reader, it doesn't matter that processes ask for offsets
 * by time separately.
 *
 * Memory: state in the query context; ranges in a context that each rescan
 * resets; values of a row in the per-tuple context. Locks: none; see
 * SqSharedScan for what is shared.
 */
#include "fdw/fdw_scan.h"

#include "base/base_version.h"
#include "executor/executor.h"
#include "fdw/fdw_explain.h"
#include "fdw/fdw_plan.h"
#include "feed/feed.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* ---- Begin ---- */

Oid
sq_fdw_scan_user(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Oid user = SQ_SCAN_USER(node->ss.ps.state, plan);

	return OidIsValid(user) ? user : GetUserId();
}

Bitmapset *
sq_fdw_attribute_set(List *list)
{
	Bitmapset *result = NULL;
	ListCell *cell;

	foreach (cell, list)
		result = bms_add_member(result, lfirst_int(cell));
	return result;
}

bool
sq_fdw_is_worker_scan(ForeignScanState *node)
{
	return IsParallelWorker() && node->ss.ps.plan->parallel_aware;
}

void
sq_fdw_scan_init(SqScan *scan, Relation relation, Oid userid, Bitmapset *attrs,
				 const SqSeekSource *seek)
{
	scan->rel = sq_feed_relation_load(relation);
	scan->userid = userid;
	scan->attrs = attrs;
	scan->seek_clauses = seek->clauses;
	scan->seek = sq_fdw_seek_compile(scan->rel, seek->relid, seek->clauses,
									 seek->parent);
	if (seek->parent == NULL)
		return;
	scan->region_context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql ranges", ALLOCSET_SMALL_SIZES);
	scan->feed = sq_feed_create(scan->rel, scan->userid, scan->attrs);
	scan->converter = sq_feed_converter_create(scan->feed);
}

static void
begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	bool explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	SqScan *scan = palloc0(sizeof(SqScan));
	SqSeekSource seek = {plan->scan.scanrelid, plan->fdw_exprs,
						 explain_only ? NULL : &node->ss.ps};

	node->fdw_state = scan;
	scan->kind = &sq_fdw_kind_stream;
	sq_fdw_scan_init(
		scan, node->ss.ss_currentRelation, sq_fdw_scan_user(node),
		sq_fdw_attribute_set(list_nth(plan->fdw_private, SQ_PLAN_ATTRIBUTES)),
		&seek);
	if (explain_only)
		return;
	scan->filter = sq_fdw_filter_compile(scan->feed, plan->scan.scanrelid,
										 plan->scan.plan.qual, &node->ss.ps);
	if (!sq_fdw_is_worker_scan(node))
		scan->topic =
			sq_fdw_snapshot(node->ss.ps.state, scan->rel, scan->userid);
}

/* ---- Starting to read ---- */

/* Ask the broker for offsets by time; the answers in times. */
static void
ask_times(SqScan *scan, SqKafkaTime *times, int count)
{
	SqFeedClient *client = sq_feed_client_acquire(
		scan->rel->serverid, scan->userid, scan->region_context);
	SqKafkaCall *call;
	SqError error;
	int answers;

	call = sq_kafka_ask_times(client->kafka, scan->rel->topic, times, count,
							  sq_broker_timeout, &error);
	sq_feed_call_wait(client, call, &error);
	memcpy(times, sq_kafka_call_times(client->call, &answers),
		   count * sizeof(SqKafkaTime));
	sq_feed_client_end_call(client);
	sq_feed_client_release(client);
}

/* Ranges of the current parameters into scan->ranges. */
static void
make_ranges(SqScan *scan, ExprContext *econtext)
{
	const SqTopicState *topic = scan->topic;
	MemoryContext old;
	SqRegion region;
	SqKafkaTime *times;
	int ntimes;

	MemoryContextReset(scan->region_context);
	old = MemoryContextSwitchTo(scan->region_context);
	region = sq_fdw_seek_region(scan->seek, econtext);
	times = sq_fdw_region_times(&region, topic->watermarks, topic->npartitions,
								&ntimes);
	if (ntimes > 0)
		ask_times(scan, times, ntimes);
	scan->ranges =
		sq_fdw_region_ranges(&region, topic->watermarks, topic->npartitions,
							 times, ntimes, &scan->nranges);
	MemoryContextSwitchTo(old);
}

/* Add what this process has read since the last time to what all have. */
static void
report_stats(SqScan *scan)
{
	SqFeedStats now = scan->feed->stats;

	pg_atomic_fetch_add_u64(&scan->shared->messages,
							now.messages - scan->reported.messages);
	pg_atomic_fetch_add_u64(&scan->shared->bytes,
							now.bytes - scan->reported.bytes);
	pg_atomic_fetch_add_u64(&scan->shared->decode_errors,
							now.decode_errors - scan->reported.decode_errors);
	pg_atomic_fetch_add_u64(&scan->shared->waited,
							now.waited - scan->reported.waited);
	scan->reported = now;
}

/* Claim the next partition with ranges and start reading it. */
static bool
start_partition(SqScan *scan)
{
	SqSharedScan *shared = scan->shared;

	report_stats(scan);
	for (;;)
	{
		uint32 unit = pg_atomic_fetch_add_u32(&shared->next, 1);
		int first = 0, end;

		if (unit >= shared->npartitions)
			return false;
		while (first < scan->nranges && scan->ranges[first].partition !=
											shared->watermarks[unit].partition)
			first++;
		for (end = first; end < scan->nranges; end++)
			if (scan->ranges[end].partition !=
				shared->watermarks[unit].partition)
				break;
		if (first == end)
			continue;
		sq_feed_start(scan->feed, &scan->ranges[first], end - first);
		return true;
	}
}

static bool
is_divided(const SqScan *scan)
{
	return scan->shared != NULL && scan->shared->divided;
}

bool
sq_fdw_scan_continue(SqScan *scan)
{
	return is_divided(scan) && start_partition(scan);
}

bool
sq_fdw_scan_start(SqScan *scan, ExprContext *econtext)
{
	make_ranges(scan, econtext);
	scan->started = true;
	if (scan->filter != NULL)
		sq_fdw_filter_restart(scan->filter);
	if (is_divided(scan))
		return start_partition(scan);
	sq_feed_start(scan->feed, scan->ranges, scan->nranges);
	return scan->nranges > 0;
}

/* ---- Rows ---- */

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	SqScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	if (unlikely(!scan->started) &&
		!sq_fdw_scan_start(scan, node->ss.ps.ps_ExprContext))
		return slot;
	for (;;)
	{
		if (unlikely(!sq_feed_next(scan->feed)))
		{
			if (!sq_fdw_scan_continue(scan))
				return slot;
			continue;
		}
		if (scan->filter != NULL &&
			sq_fdw_filter_skips(scan->filter, scan->feed))
		{
			InstrCountFiltered1(node, 1);
			continue;
		}
		memset(slot->tts_isnull, true,
			   slot->tts_tupleDescriptor->natts * sizeof(bool));
		if (likely(sq_feed_convert_row(scan->converter, slot->tts_values,
									   slot->tts_isnull)))
			return ExecStoreVirtualTuple(slot);
		ResetExprContext(node->ss.ps.ps_ExprContext);
	}
}

static void
rescan(ForeignScanState *node)
{
	((SqScan *) node->fdw_state)->started = false;
}

static void
end_scan(ForeignScanState *node)
{
	SqScan *scan = node->fdw_state;

	if (scan != NULL && scan->feed != NULL)
		sq_feed_stop(scan->feed);
}

SqFeedStats
sq_fdw_scan_stats(const SqScan *scan)
{
	SqSharedScan *shared = scan->shared;

	if (shared == NULL)
		return scan->feed->stats;
	return (SqFeedStats){.messages = pg_atomic_read_u64(&shared->messages),
						 .bytes = pg_atomic_read_u64(&shared->bytes),
						 .decode_errors =
							 pg_atomic_read_u64(&shared->decode_errors),
						 .waited = pg_atomic_read_u64(&shared->waited)};
}

/* ---- Several processes ---- */

Size
sq_fdw_shared_scan_size(const SqTopicState *topic)
{
	return add_size(offsetof(SqSharedScan, watermarks),
					mul_size(topic->npartitions, sizeof(SqKafkaWatermark)));
}

void
sq_fdw_share_scan(SqScan *scan, SqSharedScan *shared, bool divided)
{
	pg_atomic_init_u32(&shared->next, 0);
	pg_atomic_init_u64(&shared->messages, 0);
	pg_atomic_init_u64(&shared->bytes, 0);
	pg_atomic_init_u64(&shared->decode_errors, 0);
	pg_atomic_init_u64(&shared->waited, 0);
	shared->divided = divided;
	shared->npartitions = scan->topic->npartitions;
	memcpy(shared->watermarks, scan->topic->watermarks,
		   shared->npartitions * sizeof(SqKafkaWatermark));
	scan->shared = shared;
}

void
sq_fdw_reshare_scan(SqScan *scan, SqSharedScan *shared)
{
	scan->shared = shared;
	pg_atomic_write_u32(&shared->next, 0);
}

void
sq_fdw_join_scan(SqScan *scan, SqSharedScan *shared)
{
	SqTopicState *topic = palloc(sizeof(SqTopicState));

	topic->npartitions = shared->npartitions;
	topic->watermarks = shared->watermarks;
	scan->topic = topic;
	scan->shared = shared;
}

void
sq_fdw_unshare_scan(SqScan *scan)
{
	if (scan->shared == NULL)
		return;
	report_stats(scan);
	if (IsParallelWorker())
		return;
	/* the shared memory goes away before EXPLAIN looks */
	scan->feed->stats = sq_fdw_scan_stats(scan);
	scan->shared = NULL;
}

static Size
estimate_dsm(ForeignScanState *node)
{
	return sq_fdw_shared_scan_size(((SqScan *) node->fdw_state)->topic);
}

static void
initialize_dsm(ForeignScanState *node, void *coordinate)
{
	sq_fdw_share_scan(node->fdw_state, coordinate, true);
}

static void
reinitialize_dsm(ForeignScanState *node, void *coordinate)
{
	sq_fdw_reshare_scan(node->fdw_state, coordinate);
}

static void
initialize_worker(ForeignScanState *node, void *coordinate)
{
	sq_fdw_join_scan(node->fdw_state, coordinate);
}

static void
shut_down(ForeignScanState *node)
{
	sq_fdw_unshare_scan(node->fdw_state);
}

const SqFdwKind sq_fdw_kind_stream = {
	.get_rel_size = sq_fdw_stream_rel_size,
	.get_paths = sq_fdw_stream_paths,
	.plan_exprs = sq_fdw_stream_exprs,
	.plan_private = sq_fdw_stream_private,
	.begin = begin_scan,
	.iterate = iterate_scan,
	.rescan = rescan,
	.end = end_scan,
	.explain = sq_fdw_explain_scan,
	.estimate_dsm = estimate_dsm,
	.initialize_dsm = initialize_dsm,
	.reinitialize_dsm = reinitialize_dsm,
	.initialize_worker = initialize_worker,
	.shut_down = shut_down,
};
