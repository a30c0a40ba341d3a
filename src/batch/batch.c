/*
 * batch.c
 *		Making, emptying and freeing batches.
 *
 * Memory: one palloc per array, all owned by the batch. Locks: none.
 */
#include "batch/batch.h"

#define BITMAP_WORDS(rows) (((rows) + 63) / 64)
#define ARENA_BLOCK        (64 * 1024)

static void
init_column(SqColumn *column, const SqColumn *template, int capacity)
{
	*column = *template;
	column->valid = palloc0(BITMAP_WORDS(capacity) * sizeof(uint64));
	column->pending = palloc0(BITMAP_WORDS(capacity) * sizeof(uint64));
	column->i = palloc(capacity * sizeof(int64));
	column->text = palloc(capacity * sizeof(SqSlice));
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
	size_t bytes = BITMAP_WORDS(batch->nrows) * sizeof(uint64);

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
