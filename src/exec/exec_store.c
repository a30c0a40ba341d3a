/*
 * exec_store.c
 *		Rows that are kept, column by column.
 *
 * Chunks of SQ_STORE_ROWS rows, each with the lanes of its columns, so that
 * nothing moves when there are more, and a chunk's columns can stand in a
 * frame as they are.
 *
 * Memory: an arena for chunks, texts and Datums; clearing frees it. Locks:
 * none.
 */
#include "exec/exec_internal.h"

#define ARENA_BLOCK (256 * 1024)

void
sq_exec_store_init(SqStore *store, SqExec *exec, const SqColumn *templates,
				   const int *slots, int ncolumns)
{
	store->exec = exec;
	store->ncolumns = ncolumns;
	store->templates = palloc(Max(ncolumns, 1) * sizeof(SqColumn));
	memcpy(store->templates, templates, ncolumns * sizeof(SqColumn));
	store->slots = palloc(Max(ncolumns, 1) * sizeof(int));
	memcpy(store->slots, slots, ncolumns * sizeof(int));
	store->arena = sq_arena_create(ARENA_BLOCK);
	store->maxchunks = 16;
	store->chunks = palloc(store->maxchunks * sizeof(SqColumn *));
}

void
sq_exec_store_clear(SqStore *store)
{
	sq_arena_reset(store->arena);
	store->count = 0;
	store->nchunks = 0;
}

size_t
sq_exec_store_size(const SqStore *store)
{
	return sq_arena_size(store->arena);
}

static void *
alloc_zero(SqStore *store, size_t size)
{
	return memset(sq_arena_alloc(store->arena, size), 0, size);
}

static void
add_chunk(SqStore *store)
{
	SqColumn *columns =
		alloc_zero(store, Max(store->ncolumns, 1) * sizeof(SqColumn));

	if (store->nchunks == store->maxchunks)
	{
		store->maxchunks *= 2;
		store->chunks = sq_base_resize(store->chunks,
									   store->maxchunks * sizeof(SqColumn *));
	}
	for (int c = 0; c < store->ncolumns; c++)
	{
		SqColumn *column = &columns[c];

		*column = store->templates[c];
		column->pending = NULL;
		column->i = NULL;
		column->text = NULL;
		column->valid = alloc_zero(store, SQ_STORE_ROWS / 8);
		if (sq_type_is_text(column->type))
			column->text =
				sq_arena_alloc(store->arena, SQ_STORE_ROWS * sizeof(SqSlice));
		else
			column->i = alloc_zero(store, SQ_STORE_ROWS * sizeof(int64));
	}
	store->chunks[store->nchunks++] = columns;
}

static const char *
keep_bytes(SqStore *store, const char *bytes, size_t length)
{
	char *copy = sq_arena_alloc(store->arena, Max(length, 1));

	if (length > 0)
		memcpy(copy, bytes, length);
	return copy;
}

static void
keep_value(SqStore *store, int c, SqColumn *to, int row)
{
	SqHost *host = store->exec->host;
	size_t size;

	if (!sq_bit_get(to->valid, row))
		return;
	if (to->text != NULL)
	{
		to->text[row].data =
			keep_bytes(store, to->text[row].data, to->text[row].length);
		return;
	}
	if (to->type != SQ_TYPE_DATUM || store->slots[c] < 0)
		return;
	size = host->ops->datum_size(host, store->slots[c], to->i[row]);
	if (size > 0)
		to->i[row] = (int64) (uintptr_t) keep_bytes(
			store, (const char *) (uintptr_t) to->i[row], size);
}

uint32
sq_exec_store_add(SqStore *store, const SqColumn *const *columns, int row)
{
	uint32 entry = store->count++;

	if (entry >> SQ_STORE_SHIFT == store->nchunks)
		add_chunk(store);
	for (int c = 0; c < store->ncolumns; c++)
	{
		SqColumn *to = sq_exec_store_column(store, entry, c);

		sq_copy_value(to, SQ_STORE_ROW(entry), columns[c], row);
		keep_value(store, c, to, SQ_STORE_ROW(entry));
	}
	return entry;
}
