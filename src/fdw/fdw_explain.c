/*
 * fdw_explain.c
 *		What EXPLAIN says of a scan of a stream.
 *
 * Without ANALYZE no broker is asked: partitions and offsets are what the
 * constants of the query say, and clauses with parameters are shown as the
 * Seek Cond. With ANALYZE they are the ranges that were read (of the last
 * rescan), followed by counts.
 *
 * Memory: the current context. Locks: none.
 */
#include "fdw/fdw_explain.h"

#include "common/int.h"
#include "fdw/fdw_scan.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

/* Ranges that are written out before the rest is only counted. */
#define MAX_SHOWN 16

/* An interval of a dimension as people write it. */
static void
append_interval(StringInfo out, int64 low, int64 high)
{
	if (low == high)
		appendStringInfo(out, "%lld", (long long) low);
	else if (high == PG_INT64_MAX)
		appendStringInfo(out, "from %lld", (long long) low);
	else if (low == PG_INT64_MIN)
		appendStringInfo(out, "up to %lld", (long long) high);
	else
		appendStringInfo(out, "%lld to %lld", (long long) low,
						 (long long) high);
}

typedef struct SqInterval
{
	int64 low;
	int64 high;
} SqInterval;

static int
compare_intervals(const void *a, const void *b)
{
	int64 x = ((const SqInterval *) a)->low;
	int64 y = ((const SqInterval *) b)->low;

	return (x > y) - (x < y);
}

/* The intervals of a region in one dimension, ordered and joined. */
static SqInterval *
region_intervals(const SqRegion *region, SqDimension dimension, int *count)
{
	SqInterval *all = palloc(Max(region->nboxes, 1) * sizeof(SqInterval));
	int last = 0;

	*count = 0;
	if (region->nboxes == 0)
		return all;
	for (int i = 0; i < region->nboxes; i++)
		all[i] = (SqInterval){region->boxes[i].low[dimension],
							  region->boxes[i].high[dimension]};
	qsort(all, region->nboxes, sizeof(SqInterval), compare_intervals);
	for (int i = 1; i < region->nboxes; i++)
	{
		if (all[last].high == PG_INT64_MAX || all[i].low <= all[last].high + 1)
			all[last].high = Max(all[last].high, all[i].high);
		else
			all[++last] = all[i];
	}
	*count = last + 1;
	return all;
}

/* What a region says of one dimension: all, none, or its intervals. */
static char *
region_text(const SqRegion *region, SqDimension dimension)
{
	StringInfoData out;
	int count;
	SqInterval *intervals = region_intervals(region, dimension, &count);

	if (count == 0)
		return "none";
	if (intervals[0].low == PG_INT64_MIN && intervals[0].high == PG_INT64_MAX)
		return "all";
	initStringInfo(&out);
	for (int i = 0; i < Min(count, MAX_SHOWN); i++)
	{
		appendStringInfoString(&out, i > 0 ? ", " : "");
		append_interval(&out, intervals[i].low, intervals[i].high);
	}
	if (count > MAX_SHOWN)
		appendStringInfo(&out, ", and %d more", count - MAX_SHOWN);
	return out.data;
}

/* The first moment of a region, if it has one. */
static void
explain_time(const SqRegion *region, ExplainState *es)
{
	int64 first = PG_INT64_MAX;
	TimestampTz time;

	for (int i = 0; i < region->nboxes; i++)
		first = Min(first, region->boxes[i].low[SQ_DIM_TIME]);
	if (region->nboxes == 0 || first == PG_INT64_MIN || first == PG_INT64_MAX)
		return;
	if (pg_mul_s64_overflow(first - SQ_EPOCH_SECONDS * 1000, 1000, &time) ||
		!IS_VALID_TIMESTAMP(time))
		return;
	ExplainPropertyText("Timestamps",
						psprintf("from %s", timestamptz_to_str(time)), es);
}

/* What the query's constants say. */
static void
explain_constants(const SqScan *scan, ExplainState *es)
{
	SqRegion region = sq_fdw_seek_constant_region(scan->seek);

	ExplainPropertyText("Partitions", region_text(&region, SQ_DIM_PARTITION),
						es);
	ExplainPropertyText("Offsets", region_text(&region, SQ_DIM_OFFSET), es);
	explain_time(&region, es);
}

/* What was read: partition: offsets, offsets; partition: … */
static void
explain_ranges(const SqScan *scan, ExplainState *es)
{
	StringInfoData out;
	int partitions = 0;

	initStringInfo(&out);
	for (int i = 0; i < scan->nranges; i++)
	{
		const SqKafkaRange *range = &scan->ranges[i];
		bool first = i == 0 || range[-1].partition != range->partition;

		partitions += first;
		if (i >= MAX_SHOWN)
			continue;
		if (i > 0)
			appendStringInfoString(&out, first ? "; " : ", ");
		if (first)
			appendStringInfo(&out, "%d: ", range->partition);
		append_interval(&out, range->begin, range->end - 1);
	}
	if (scan->nranges > MAX_SHOWN)
		appendStringInfo(&out, ", and %d more", scan->nranges - MAX_SHOWN);
	ExplainPropertyText(
		"Partitions",
		psprintf("%d of %d", partitions, scan->topic->npartitions), es);
	ExplainPropertyText("Offsets", scan->nranges > 0 ? out.data : "none", es);
}

static void
explain_stats(const SqScan *scan, ExplainState *es)
{
	SqFeedStats stats = sq_fdw_scan_stats(scan);

	ExplainPropertyInteger("Messages", NULL, stats.messages, es);
	ExplainPropertyInteger("Bytes", NULL, stats.bytes, es);
	ExplainPropertyInteger("Decode Errors", NULL, stats.decode_errors, es);
	if (es->timing)
		ExplainPropertyFloat("Waiting Time", "ms", stats.waited / 1000.0, 3,
							 es);
}

/* Is there a clause whose value only execution knows? */
static bool
has_runtime_clause(List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
		if (!sq_fdw_seek_is_constant(lfirst(cell)))
			return true;
	return false;
}

static void
explain_seek(ForeignScanState *node, const SqScan *scan, ExplainState *es)
{
	Plan *plan = node->ss.ps.plan;
	List *context;
	char *condition;

	if (!has_runtime_clause(scan->seek_clauses))
		return;
	context = set_deparse_context_plan(es->deparse_cxt, plan, NIL);
	condition =
		deparse_expression((Node *) make_ands_explicit(scan->seek_clauses),
						   context, list_length(es->rtable) > 1, false);
	ExplainPropertyText("Seek Cond", condition, es);
}

/* By whom, and why by librdkafka if not because it was asked for. */
static void
explain_reader(const SqScan *scan, ExplainState *es)
{
	char reason[256];
	Oid mapping;
	SqKafkaConfig config =
		sq_feed_server_config(scan->rel->serverid, scan->userid, &mapping);
	SqKafkaReaderKind kind =
		sq_kafka_config_reader(&config, reason, sizeof(reason));
	const char *name = kind == SQ_KAFKA_READER_WIRE ? "wire" : "librdkafka";

	if (kind != SQ_KAFKA_READER_WIRE && reason[0] != '\0')
		name = psprintf("%s (wire does not speak %s)", name, reason);
	ExplainPropertyText("Reader", name, es);
}

void
sq_fdw_explain_reading(const SqScan *scan, ExplainState *es)
{
	explain_reader(scan, es);
	if (!es->analyze)
	{
		explain_constants(scan, es);
		return;
	}
	explain_ranges(scan, es);
	explain_stats(scan, es);
}

void
sq_fdw_explain_scan(ForeignScanState *node, ExplainState *es)
{
	SqScan *scan = node->fdw_state;

	ExplainPropertyText("Topic", scan->rel->topic, es);
	explain_seek(node, scan, es);
	sq_fdw_explain_reading(scan, es);
}
