/*
 * base_arena.c
 *		Bump allocation for what lives as long as one batch.
 *
 * Memory: a list of blocks, newest first; a request larger than a block gets a
 * block of its own. Reset frees all but the oldest block, so a scan settles at
 * the size of an ordinary batch. Locks: none, one thread at a time.
 */
#include "base/base.h"

typedef struct SqArenaBlock
{
	struct SqArenaBlock *older;
	size_t size; /* usable bytes that follow */
	size_t used;
} SqArenaBlock;

struct SqArena
{
	SqArenaBlock *newest;
	size_t block_size;
	size_t total;
#ifndef FRONTEND
	MemoryContext context;
#endif
};

#define BLOCK_DATA(block) ((char *) (block) + MAXALIGN(sizeof(SqArenaBlock)))

static void
add_block(SqArena *arena, size_t size)
{
	size_t bytes = MAXALIGN(sizeof(SqArenaBlock)) + size;
	SqArenaBlock *block;

#ifdef FRONTEND
	block = pg_malloc(bytes);
#else
	block = MemoryContextAllocHuge(arena->context, bytes);
#endif
	block->older = arena->newest;
	block->size = size;
	block->used = 0;
	arena->newest = block;
	arena->total += bytes;
}

SqArena *
sq_arena_create(size_t block_size)
{
	SqArena *arena = palloc0(sizeof(SqArena));

	arena->block_size = MAXALIGN(block_size);
#ifndef FRONTEND
	arena->context = CurrentMemoryContext;
#endif
	add_block(arena, arena->block_size);
	return arena;
}

void *
sq_arena_alloc(SqArena *arena, size_t size)
{
	SqArenaBlock *block = arena->newest;
	void *result;

	size = MAXALIGN(size);
	if (unlikely(block->size - block->used < size))
	{
		add_block(arena, Max(size, arena->block_size));
		block = arena->newest;
	}
	result = BLOCK_DATA(block) + block->used;
	block->used += size;
	return result;
}

void
sq_arena_reset(SqArena *arena)
{
	while (arena->newest->older != NULL)
	{
		SqArenaBlock *block = arena->newest;

		arena->newest = block->older;
		arena->total -= MAXALIGN(sizeof(SqArenaBlock)) + block->size;
		pfree(block);
	}
	arena->newest->used = 0;
}

void
sq_arena_destroy(SqArena *arena)
{
	sq_arena_reset(arena);
	pfree(arena->newest);
	pfree(arena);
}

size_t
sq_arena_size(const SqArena *arena)
{
	return arena->total;
}

void *
sq_base_resize(void *array, size_t bytes)
{
#ifdef FRONTEND
	return pg_realloc(array, bytes);
#else
	if (array == NULL)
		return MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	return repalloc_huge(array, bytes);
#endif
}
