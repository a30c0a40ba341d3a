/*
 * batch.c
 *		Making, emptying and freeing batches.
 *
 * Memory: one palloc per array, all owned by the batch. Locks: none.
 */
#include "batch/batch.h"

#define ARENA_BLOCK (64 * 1024)

static void
init_column(SqColumn *column, const SqColumn *template, int capacity)
{
	*column = *template;
	column->valid = palloc0(SQ_BITMAP_WORDS(capacity) * sizeof(uint64));
	column->pending = palloc0(SQ_BITMAP_WORDS(capacity) * sizeof(uint64));
	column->i = palloc(SQ_BITMAP_ROWS(capacity) * sizeof(int64));
	column->text = palloc(SQ_BITMAP_ROWS(capacity) * sizeof(SqSlice));
}

SqColumn *
sq_column_create(const SqColumn *template, int capacity)
{
	SqColumn *column = palloc(sizeof(SqColumn));

	*column = *template;
	column->valid = palloc0(SQ_BITMAP_WORDS(capacity) * sizeof(uint64));
	column->pending = NULL;
	column->i = NULL;
	column->text = NULL;
	if (column->type == SQ_TYPE_TRUTH)
		column->bits = palloc0(SQ_BITMAP_WORDS(capacity) * sizeof(uint64));
	else if (sq_type_is_text(column->type))
		column->text = palloc0(SQ_BITMAP_ROWS(capacity) * sizeof(SqSlice));
	else
		column->i = palloc0(SQ_BITMAP_ROWS(capacity) * sizeof(int64));
	return column;
}

SqBatch *
sq_batch_create(const SqColumn *templates, int ncolumns, int capacity)
{
	SqBatch *batch = palloc0(sizeof(SqBatch));

	batch->capacity = capacity;
	batch->ncolumns = ncolumns;
	batch->columns = palloc(Max(ncolumns, 1) * sizeof(SqColumn));
	for (int c = 0; c < ncolumns; c++)
		init_column(&batch->columns[c], &templates[c], capacity);
	batch->arena = sq_arena_create(ARENA_BLOCK);
	return batch;
}

void
sq_batch_reset(SqBatch *batch)
{
	size_t bytes = SQ_BITMAP_WORDS(batch->nrows) * sizeof(uint64);

	for (int c = 0; c < batch->ncolumns; c++)
	{
		memset(batch->columns[c].valid, 0, bytes);
		memset(batch->columns[c].pending, 0, bytes);
	}
	batch->nrows = 0;
	sq_arena_reset(batch->arena);
}

void
sq_batch_destroy(SqBatch *batch)
{
	for (int c = 0; c < batch->ncolumns; c++)
	{
		pfree(batch->columns[c].valid);
		pfree(batch->columns[c].pending);
		pfree(batch->columns[c].i);
		pfree(batch->columns[c].text);
	}
	pfree(batch->columns);
	sq_arena_destroy(batch->arena);
	pfree(batch);
}
