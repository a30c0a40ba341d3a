/*
 * exec_gather.c
 *		Rows of kept tables as columns, and as sources.
 *
 * A value goes into the lane of its slot's type; texts and what is passed by
 * reference stay where they are, in memory that the view's claim keeps.
 *
 * Memory: columns are palloc'd when a source is made. Locks: none.
 */
#include "exec/exec_internal.h"

/* A word of a float column is the Datum's. */
static double
word_float(int64 word, int width)
{
	int32 half = (int32) word;
	float narrow;
	double wide;

	if (width == sizeof(float))
	{
		memcpy(&narrow, &half, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, &word, sizeof(wide));
	return wide;
}

static void
gather_texts(const SqTableColumn *from, SqColumn *to,
			 const SqTableRow *const *rows, int nrows)
{
	SQ_FOR_EACH_BIT(row, to->valid, nrows)
	{
		to->text[row] = sq_table_row_bytes(from, rows[row]);
	}
}

static void
gather_floats(const SqTableColumn *from, SqColumn *to,
			  const SqTableRow *const *rows, int nrows)
{
	SQ_FOR_EACH_BIT(row, to->valid, nrows)
	{
		to->f[row] =
			word_float(sq_table_row_word(from, rows[row]), from->width);
	}
}

static void
gather_pointers(const SqTableColumn *from, SqColumn *to,
				const SqTableRow *const *rows, int nrows)
{
	SQ_FOR_EACH_BIT(row, to->valid, nrows)
	{
		to->i[row] = (int64) (uintptr_t) sq_table_row_pointer(from, rows[row]);
	}
}

static void
gather_words(const SqTableColumn *from, SqColumn *to,
			 const SqTableRow *const *rows, int nrows)
{
	SQ_FOR_EACH_BIT(row, to->valid, nrows)
	{
		to->i[row] = sq_table_row_word(from, rows[row]);
	}
}

static void
gather_column(const SqTableLayout *layout, int column, SqColumn *to,
			  const SqTableRow *const *rows, const uint64 *mask, int nrows)
{
	const SqTableColumn *from = &layout->columns[column];

	memcpy(to->valid, mask, SQ_BITMAP_WORDS(nrows) * sizeof(uint64));
	SQ_FOR_EACH_BIT(row, mask, nrows)
	{
		if (sq_table_row_is_null(layout, rows[row], column))
			sq_bit_clear(to->valid, row);
	}
	if (to->text != NULL)
		gather_texts(from, to, rows, nrows);
	else if (sq_type_is_float(to->type))
		gather_floats(from, to, rows, nrows);
	else if (from->kind != SQ_TABLE_WORD)
		gather_pointers(from, to, rows, nrows);
	else
		gather_words(from, to, rows, nrows);
}

void
sq_exec_gather(const SqGather *from, SqFrame *frame,
			   const SqTableRow *const *rows, const uint64 *mask, int nrows)
{
	for (int s = 0; s < from->nslots; s++)
		gather_column(from->layout, from->columns[s],
					  frame->columns[from->slots[s]], rows, mask, nrows);
}

/* ---- Sources ---- */

typedef struct SqRowSource
{
	SqSource source;
	const SqTableView *view;
	SqGather gather;
	SqColumn **own; /* in the order of the slots */
	const SqTableRow **rows;
	int capacity;
	SqRowFinder finder;
	SqTableScan position; /* of a scan of all */
} SqRowSource;

static SqStatus
next_rows(SqSource *base, SqFrame *frame, SqError *error)
{
	SqRowSource *source = (SqRowSource *) base;
	int count =
		source->finder.next(source->finder.arg, source->rows, source->capacity);

	if (count == 0)
		return SQ_DONE;
	frame->nrows = count;
	sq_bits_fill(frame->selected, count);
	for (int s = 0; s < source->gather.nslots; s++)
		frame->columns[source->gather.slots[s]] = source->own[s];
	sq_exec_gather(&source->gather, frame, source->rows, frame->selected,
				   count);
	return SQ_OK;
}

static void
restart_rows(SqSource *base)
{
	SqRowSource *source = (SqRowSource *) base;

	source->finder.restart(source->finder.arg);
}

static const SqSourceOps row_ops = {next_rows, restart_rows};

static int
find_all(void *arg, const SqTableRow **rows, int max)
{
	SqRowSource *source = arg;

	return sq_table_scan_next(source->view, &source->position, rows, max);
}

static void
restart_all(void *arg)
{
	((SqRowSource *) arg)->position = (SqTableScan){0};
}

SqSource *
sq_exec_row_source(const SqPlan *plan, const SqNode *scan,
				   const SqExecRelation *relation, int capacity,
				   const SqRowFinder *finder)
{
	SqRowSource *source = palloc0(sizeof(SqRowSource));

	source->source.ops = &row_ops;
	source->view = relation->view;
	source->gather = (SqGather){relation->view->layout, scan->nfilled,
								scan->filled, relation->columns};
	source->capacity = capacity;
	source->finder = (SqRowFinder){find_all, restart_all, source};
	if (finder != NULL)
		source->finder = *finder;
	source->rows = palloc(capacity * sizeof(SqTableRow *));
	source->own = palloc(Max(scan->nfilled, 1) * sizeof(SqColumn *));
	for (int s = 0; s < scan->nfilled; s++)
		source->own[s] =
			sq_column_create(&plan->slots[scan->filled[s]], capacity);
	return &source->source;
}
