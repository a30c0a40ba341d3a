/*
 * fdw_analyze.c
 *		Statistics of a stream.
 *
 * A small topic is read whole; of a large one, windows spread evenly over its
 * offsets, so that ANALYZE costs about the same however much the topic holds.
 * Rows are sampled from what is read by reservoir, as file_fdw does.
 *
 * Memory: the sample in ANALYZE's context, a feed of its own. Locks: none.
 */
#include "fdw/fdw_analyze.h"

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "keyed/keyed.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

/* Up to this many records per sampled row all are read. */
#define WHOLE_FACTOR 10
/* Else this many windows. */
#define WINDOWS 200
/* Rows of a table that are looked at together. */
#define TABLE_BATCH 256

/* What is being sampled. */
typedef struct SqSample
{
	SqFeed *feed;
	SqConverter *converter;
	TupleDesc tupdesc;
	MemoryContext row_context;
	HeapTuple *rows;
	int target;
	int count;   /* rows kept */
	double seen; /* rows read */
	double skip; /* rows to pass before the next is kept; -1: not set */
	ReservoirStateData reservoir;
} SqSample;

static int64
topic_records(const SqTopicState *topic)
{
	int64 total = 0;

	for (int p = 0; p < topic->npartitions; p++)
		total += topic->watermarks[p].high - topic->watermarks[p].low;
	return total;
}

/* The whole topic. */
static SqKafkaRange *
whole_ranges(const SqTopicState *topic, int *count)
{
	SqKafkaRange *ranges =
		palloc(Max(topic->npartitions, 1) * sizeof(SqKafkaRange));

	*count = 0;
	for (int p = 0; p < topic->npartitions; p++)
	{
		const SqKafkaWatermark *mark = &topic->watermarks[p];

		if (mark->low < mark->high)
			ranges[(*count)++] =
				(SqKafkaRange){mark->partition, mark->low, mark->high};
	}
	return ranges;
}

/* Windows of size records every stride records, partition after partition. */
static SqKafkaRange *
window_ranges(const SqTopicState *topic, int64 stride, int64 size, int *count)
{
	SqKafkaRange *ranges =
		palloc((WINDOWS + topic->npartitions) * sizeof(SqKafkaRange));

	*count = 0;
	for (int p = 0; p < topic->npartitions; p++)
	{
		const SqKafkaWatermark *mark = &topic->watermarks[p];

		for (int64 begin = mark->low; begin < mark->high; begin += stride)
			ranges[(*count)++] = (SqKafkaRange){mark->partition, begin,
												Min(begin + size, mark->high)};
	}
	return ranges;
}

static int64
range_records(const SqKafkaRange *ranges, int count)
{
	int64 total = 0;

	for (int i = 0; i < count; i++)
		total += ranges[i].end - ranges[i].begin;
	return total;
}

/* Where in the sample the current row goes, or -1. */
static int
sample_place(SqSample *sample)
{
	if (sample->count < sample->target)
		return sample->count++;
	if (sample->skip < 0)
		sample->skip = reservoir_get_next_S(&sample->reservoir, sample->seen,
											sample->target);
	if (sample->skip-- > 0)
		return -1;
	sample->skip = -1;
	return (int) (sample->target *
				  sampler_random_fract(&sample->reservoir.randstate));
}

/* Put a row into the sample, if it is to be in it. */
static void
keep_row(SqSample *sample, const Datum *values, const bool *nulls)
{
	int place = sample_place(sample);

	if (place >= 0)
	{
		if (sample->seen >= sample->target)
			heap_freetuple(sample->rows[place]);
		sample->rows[place] =
			heap_form_tuple(sample->tupdesc, (Datum *) values, (bool *) nulls);
	}
	sample->seen++;
}

static void
sample_table_row(SqSample *sample, const SqKeyedShape *shape,
				 const SqTableRow *row)
{
	int natts = sample->tupdesc->natts;
	MemoryContext old = MemoryContextSwitchTo(sample->row_context);
	Datum *values;
	bool *nulls;

	MemoryContextReset(sample->row_context);
	values = palloc0(natts * sizeof(Datum));
	nulls = palloc(natts * sizeof(bool));
	memset(nulls, true, natts * sizeof(bool));
	for (int a = 0; a < natts; a++)
		if (shape->places[a].column >= 0)
			values[a] = sq_keyed_shape_datum(shape, a, row, &nulls[a]);
	MemoryContextSwitchTo(old);
	keep_row(sample, values, nulls);
}

/* Read all that the feed gives, keeping a sample. */
static void
sample_rows(SqSample *sample)
{
	Datum *values = palloc(sample->tupdesc->natts * sizeof(Datum));
	bool *nulls = palloc(sample->tupdesc->natts * sizeof(bool));

	while (sq_feed_next(sample->feed))
	{
		MemoryContext old = MemoryContextSwitchTo(sample->row_context);
		bool decoded;

		MemoryContextReset(sample->row_context);
		memset(nulls, true, sample->tupdesc->natts * sizeof(bool));
		decoded = sq_feed_convert_row(sample->converter, values, nulls);
		MemoryContextSwitchTo(old);
		if (decoded)
			keep_row(sample, values, nulls);
	}
}

static int
acquire_sample(Relation relation, int elevel, HeapTuple *rows, int targrows,
			   double *totalrows, double *totaldeadrows)
{
	SqRelation *rel = sq_feed_relation_load(relation);
	SqTopicState *topic = sq_fdw_topic_state(rel, GetUserId());
	int64 total = topic_records(topic);
	SqSample sample = {.rows = rows, .target = targrows, .skip = -1};
	Bitmapset *attrs = NULL;
	SqKafkaRange *ranges;
	int nranges;

	for (int a = 0; a < rel->nattributes; a++)
		if (rel->attributes[a].source != SQ_SOURCE_NONE)
			attrs = bms_add_member(attrs, a);
	if (total <= (int64) WHOLE_FACTOR * targrows)
		ranges = whole_ranges(topic, &nranges);
	else
		ranges =
			window_ranges(topic, total / WINDOWS,
						  (int64) WHOLE_FACTOR * targrows / WINDOWS, &nranges);
	sample.tupdesc = RelationGetDescr(relation);
	sample.row_context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql sample", ALLOCSET_DEFAULT_SIZES);
	sample.feed = sq_feed_create(rel, GetUserId(), attrs);
	sample.converter = sq_feed_converter_create(sample.feed);
	reservoir_init_selection_state(&sample.reservoir, targrows);
	sq_feed_start(sample.feed, ranges, nranges);
	sample_rows(&sample);

	*totaldeadrows = 0;
	*totalrows = 0;
	if (nranges > 0)
		*totalrows = sample.seen * total / range_records(ranges, nranges);
	ereport(elevel,
			(errmsg("\"%s\": read %.0f of %lld records; %d rows in sample",
					RelationGetRelationName(relation), sample.seen,
					(long long) total, sample.count)));
	return sample.count;
}

/* Rows of a table are all looked at: that is quick. */
static int
acquire_table_sample(Relation relation, int elevel, HeapTuple *rows,
					 int targrows, double *totalrows, double *totaldeadrows)
{
	SqSample sample = {.rows = rows, .target = targrows, .skip = -1};
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql sample", ALLOCSET_DEFAULT_SIZES);
	const SqKeyedShape *shape = sq_keyed_shape_acquire(relation, context);
	SqKeyedView *view = sq_keyed_view_open(shape, GetUserId(), context);
	const SqTableRow *batch[TABLE_BATCH];
	SqTableScan scan = {0};
	int count;

	sample.tupdesc = RelationGetDescr(relation);
	sample.row_context = AllocSetContextCreate(context, "streamsql sample row",
											   ALLOCSET_DEFAULT_SIZES);
	reservoir_init_selection_state(&sample.reservoir, targrows);
	while ((count =
				sq_table_scan_next(&view->view, &scan, batch, TABLE_BATCH)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		for (int r = 0; r < count; r++)
			sample_table_row(&sample, shape, batch[r]);
	}
	MemoryContextDelete(context);
	*totaldeadrows = 0;
	*totalrows = sample.seen;
	ereport(elevel, (errmsg("\"%s\": table has %.0f rows; %d rows in sample",
							RelationGetRelationName(relation), sample.seen,
							sample.count)));
	return sample.count;
}

bool
sq_fdw_analyze(Relation relation, AcquireSampleRowsFunc *function,
			   BlockNumber *totalpages)
{
	*function =
		sq_feed_relation_kind(RelationGetRelid(relation)) == SQ_KIND_TABLE
			? acquire_table_sample
			: acquire_sample;
	*totalpages = 1; /* a topic has no pages */
	return true;
}
