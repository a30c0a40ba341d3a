/*
 * fdw_native_source.c
 *		A stream's records as frames.
 *
 * The feed's batch is the frame: what the decoder made valid is used where it
 * lies. A row that is not complete that way (a pending value, a column that
 * the batch doesn't have) goes through the converter, which completes it. Since
 * that may throw, such a row begins a frame of its own: the rows before it have
 * gone through the whole plan by then, as they have in PostgreSQL. Where
 * on_error keeps conversions from throwing there is no need for that.
 *
 * Memory: columns at creation, converted values in a context that is reset
 * with every batch. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Where the column of a slot comes from. */
typedef struct SqStreamColumn
{
	int attr;
	int slot;
	SqColumn *column; /* the batch's, or one of our own */
	bool own;
	SqAttributeSource metadata; /* own: of these it is filled for all rows;
								 * else SQ_SOURCE_NONE */
} SqStreamColumn;

typedef struct SqStreamSource
{
	SqSource source;
	SqScan *scan;
	ExprContext *econtext;
	int capacity;
	int ncolumns;
	SqStreamColumn *columns;
	bool converts_all; /* some column is only had by conversion */
	bool guarded;      /* conversions don't throw errors of the data */
	Datum *values;     /* by attribute */
	bool *nulls;
	MemoryContext context; /* of the batch's converted values */
	bool done;
	int first;   /* of the window at hand, in the feed's */
	int nrows;   /* of the window */
	int row;     /* the next one of the window */
	uint64 *odd; /* rows of the window that have to be converted */
} SqStreamSource;

/* ---- Windows ---- */

/* Which rows of the window aren't complete. A window of decoded rows is the
 * feed's whole one, so that its bitmaps are the batch's. */
static void
find_odd(SqStreamSource *s, SqFeed *feed)
{
	int words = SQ_BITMAP_WORDS(s->nrows);

	if (s->converts_all)
	{
		sq_bits_fill(s->odd, s->nrows);
		return;
	}
	memset(s->odd, 0, words * sizeof(uint64));
	/* a guarded feed decodes every column, and each of them can be at fault */
	for (int c = 0; s->guarded && c < feed->batch->ncolumns; c++)
		for (int w = 0; w < words; w++)
			s->odd[w] |= feed->batch->columns[c].pending[w];
	for (int c = 0; !s->guarded && c < s->ncolumns; c++)
		for (int w = 0; !s->columns[c].own && w < words; w++)
			s->odd[w] |= s->columns[c].column->pending[w];
	for (int r = 0; feed->has_errors && r < s->nrows; r++)
		if (feed->errors[r] != NULL)
			sq_bit_set(s->odd, r);
}

/* Where a record is, without a conversion; moments that are out of range are
 * left to it. */
static void
fill_metadata(SqStreamSource *s, SqStreamColumn *at)
{
	const SqRecord *records = &s->scan->feed->records[s->first];

	memset(at->column->valid, 0, SQ_BITMAP_WORDS(s->nrows) * sizeof(uint64));
	for (int r = 0; r < s->nrows; r++)
	{
		int64 us;

		if (at->metadata == SQ_SOURCE_PARTITION)
			sq_column_set_int(at->column, r, records[r].partition);
		else if (at->metadata == SQ_SOURCE_OFFSET)
			sq_column_set_int(at->column, r, records[r].offset);
		else if (records[r].timestamp_type == SQ_TIMESTAMP_NONE)
			continue;
		else if (!sq_feed_record_time(&records[r], &us))
			sq_bit_set(s->odd, r);
		else
			sq_column_set_int(at->column, r, us);
	}
}

/* The next window of the feed, or the next part of one that is longer than a
 * frame, since nothing of it had to be decoded; false at the end. */
static bool
next_window(SqStreamSource *s)
{
	SqFeed *feed = s->scan->feed;

	s->first += s->nrows;
	s->row = s->nrows = 0;
	if (s->first >= feed->nrows)
	{
		s->first = 0;
		while (!sq_feed_fetch(feed))
			if (!sq_fdw_scan_continue(s->scan))
				return false;
	}
	MemoryContextReset(s->context);
	s->nrows = Min(feed->nrows - s->first, s->capacity);
	find_odd(s, feed);
	for (int c = 0; c < s->ncolumns; c++)
		if (s->columns[c].metadata != SQ_SOURCE_NONE)
			fill_metadata(s, &s->columns[c]);
	return true;
}

/* ---- Rows ---- */

/* Complete a row; false: it is to be skipped. */
static bool
convert_row(SqStreamSource *s, int row)
{
	MemoryContext old = MemoryContextSwitchTo(s->context);
	bool there;

	s->scan->feed->row = s->first + row;
	there = sq_feed_convert_row(s->scan->converter, s->values, s->nulls);
	for (int c = 0; there && c < s->ncolumns; c++)
	{
		SqStreamColumn *at = &s->columns[c];

		if (!at->own && sq_bit_get(at->column->valid, row))
			continue;
		sq_bit_clear(at->column->valid, row);
		if (!s->nulls[at->attr])
			sq_feed_column_store(at->column, row, s->values[at->attr]);
	}
	MemoryContextSwitchTo(old);
	return there;
}

/* Select the rows from the next one on, up to one that has to be converted. */
static void
take_rows(SqStreamSource *s, SqFrame *frame)
{
	int row = s->row;

	memset(frame->selected, 0, SQ_BITMAP_WORDS(s->nrows) * sizeof(uint64));
	do
	{
		if (!sq_bit_get(s->odd, row) || convert_row(s, row))
			sq_bit_set(frame->selected, row);
		row++;
	} while (row < s->nrows && (s->guarded || !sq_bit_get(s->odd, row)));
	s->row = row;
	frame->nrows = s->nrows;
}

static bool
has_odd(const SqStreamSource *s)
{
	for (int w = 0; w < SQ_BITMAP_WORDS(s->nrows); w++)
		if (s->odd[w] != 0)
			return true;
	return false;
}

static void
take_window(SqStreamSource *s, SqFrame *frame)
{
	if (s->row == 0 && !has_odd(s))
	{
		frame->nrows = s->nrows;
		sq_bits_fill(frame->selected, s->nrows);
		s->row = s->nrows;
	}
	else
		take_rows(s, frame);
}

static SqStatus
next(SqSource *base, SqFrame *frame, SqError *error)
{
	SqStreamSource *s = (SqStreamSource *) base;

	if (s->done)
		return SQ_DONE;
	if (!s->scan->started && !sq_fdw_scan_start(s->scan, s->econtext))
	{
		s->done = true;
		return SQ_DONE;
	}
	if (s->row == s->nrows && !next_window(s))
	{
		s->done = true;
		return SQ_DONE;
	}
	CHECK_FOR_INTERRUPTS();
	for (int c = 0; c < s->ncolumns; c++)
		frame->columns[s->columns[c].slot] = s->columns[c].column;
	take_window(s, frame);
	return SQ_OK;
}

static void
restart(SqSource *base)
{
	SqStreamSource *s = (SqStreamSource *) base;

	s->scan->started = false;
	s->done = false;
	s->first = s->row = s->nrows = 0;
}

/* ---- Creation ---- */

static const SqSourceOps ops = {next, restart};

static void
init_column(SqStreamSource *s, SqStreamColumn *at, const SqColumn *type)
{
	SqFeed *feed = s->scan->feed;
	int number = feed->columns[at->attr];
	SqAttributeSource source = s->scan->rel->attributes[at->attr].source;

	if (number >= 0 && feed->batch->columns[number].type == type->type &&
		feed->batch->columns[number].scale == type->scale)
	{
		/* with the lane of its type alone, by which operators tell them */
		at->column = palloc(sizeof(SqColumn));
		*at->column = feed->batch->columns[number];
		if (!sq_type_is_text(type->type))
			at->column->text = NULL;
		return;
	}
	at->own = true;
	at->column = sq_column_create(type, s->capacity);
	if ((source == SQ_SOURCE_PARTITION && type->type == SQ_TYPE_INT4) ||
		(source == SQ_SOURCE_OFFSET && type->type == SQ_TYPE_INT8) ||
		(source == SQ_SOURCE_TIMESTAMP && type->type == SQ_TYPE_TIMESTAMPTZ))
		at->metadata = source;
	else
		s->converts_all = true;
}

SqSource *
sq_fdw_stream_source(SqScan *scan, ExprContext *econtext, const SqPlan *plan,
					 const SqNode *node, const int *attrs, int capacity)
{
	SqStreamSource *s = palloc0(sizeof(SqStreamSource));
	int nattributes = scan->rel->nattributes;
	int a = -1;

	s->source.ops = &ops;
	s->scan = scan;
	s->econtext = econtext;
	s->capacity = capacity;
	s->guarded = scan->rel->on_error != SQ_ON_ERROR_STOP;
	s->ncolumns = node->nfilled;
	s->columns = palloc0(Max(s->ncolumns, 1) * sizeof(SqStreamColumn));
	for (int c = 0; c < s->ncolumns; c++)
	{
		s->columns[c].attr = attrs[c];
		s->columns[c].slot = node->filled[c];
		init_column(s, &s->columns[c], &plan->slots[node->filled[c]]);
	}
	/* a guarded feed wants every attribute, and metadata too can be at fault */
	while (s->guarded && (a = bms_next_member(scan->feed->attrs, a)) >= 0)
		s->converts_all |=
			sq_feed_source_may_fail(scan->rel->attributes[a].source);
	s->values = palloc0(Max(nattributes, 1) * sizeof(Datum));
	s->nulls = palloc0(Max(nattributes, 1) * sizeof(bool));
	s->odd = palloc0(SQ_BITMAP_WORDS(capacity) * sizeof(uint64));
	s->context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql conversions", ALLOCSET_DEFAULT_SIZES);
	return &s->source;
}
