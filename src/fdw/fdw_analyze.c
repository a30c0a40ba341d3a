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
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

/* Up to this many records per sampled row all are read. */
#define WHOLE_FACTOR 10
/* Else this many windows. */
#define WINDOWS 200

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
		int place = -1;

		MemoryContextReset(sample->row_context);
		memset(nulls, true, sample->tupdesc->natts * sizeof(bool));
		decoded = sq_feed_convert_row(sample->converter, values, nulls);
		MemoryContextSwitchTo(old);
		if (decoded)
			place = sample_place(sample);
		if (place >= 0)
		{
			if (sample->seen >= sample->target)
				heap_freetuple(sample->rows[place]);
			sample->rows[place] =
				heap_form_tuple(sample->tupdesc, values, nulls);
		}
		sample->seen += decoded;
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

bool
sq_fdw_analyze(Relation relation, AcquireSampleRowsFunc *function,
			   BlockNumber *totalpages)
{
	*function = acquire_sample;
	*totalpages = 1; /* a topic has no pages */
	return true;
}
