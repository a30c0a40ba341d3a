/*
 * table_arena.c
 *		Chunks of shared memory, and when they may be used again.
 *
 * The arena begins with its own header, the controls of tables, the slots of
 * readers and the map of chunks; the rest is chunks of SQ_TABLE_CHUNK bytes,
 * handed out in runs. Every piece of a table lies in such runs: rows, indexes
 * and their directories, positions.
 *
 * Lock: arena->lock, a spinlock, guards map, hint and free. It is held for the
 * search of a free run and nothing else; nothing in between can fail, throw or
 * wait, and a process that is killed there takes the whole server down with
 * it, which begins again with a new arena.
 *
 * Readers take no lock. What they need is kept by two promises:
 *
 * 1. Claims: what a statement sees. A reader writes the sequence number
 *    published into a claim of its slot, marks it used, and looks again
 *    whether that is still the number published; if not it does so again. A
 *    writer who wants to unlink a version that is not in the published state
 *    reads all claims after publishing. In the one order of all these
 *    (sequentially consistent) operations, either the writer sees the claim,
 *    or the reader sees the newer number and claims that. So a version with
 *    born <= s < died of some claim s is never unlinked. While one slot has
 *    such a claim, another one may claim the same s (join): whichever of them
 *    the writer sees holds the versions.
 *
 * 2. Epochs: what a reader is looking at this moment. Even what no claim sees
 *    may be stood upon by a reader on its way through a chain. So a reader
 *    enters, writing the arena's epoch into its slot, and looks again whether
 *    it is still the epoch; and leaves, writing 0, before it does anything that
 *    takes long. What a writer unlinked is used again only after it has begun
 *    another epoch e and no reader is active in one before e: whoever entered
 *    in e or later has seen what was done before e began.
 *
 * A row that is visible to a claim is held by promise 1, so a reader may keep
 * pointers to such rows, and the place in lists that they mark, from one
 * entering to the next. It keeps nothing else.
 *
 * Memory: the arena's, given by the caller. Threads: as said above.
 */
#include "table/table_internal.h"

#include <sched.h>

#define LINE        64
#define CLAIM_WORDS (SQ_TABLE_CLAIMS / 64)
/* All that a ref of 32 bits can name. */
#define MAX_CHUNKS ((UINT64CONST(1) << (32 + SQ_REF_SHIFT)) / SQ_TABLE_CHUNK)

static size_t
align_line(size_t size)
{
	return (size + LINE - 1) & ~(size_t) (LINE - 1);
}

static SqTableChunk *
map_of(const SqTableArena *arena)
{
	return (SqTableChunk *) ((char *) arena + arena->map_at);
}

/* ---- Making one ---- */

/* Bytes before the map, and chunks that are not for tables. */
static size_t
map_place(int ntables, int nreaders)
{
	return align_line(sizeof(SqTableArena)) +
		   align_line(ntables * sizeof(SqTable)) +
		   nreaders * sizeof(SqTableReader);
}

static size_t
own_chunks(size_t nchunks, int ntables, int nreaders)
{
	size_t used = map_place(ntables, nreaders) + nchunks * sizeof(SqTableChunk);

	return (used + SQ_TABLE_CHUNK - 1) / SQ_TABLE_CHUNK;
}

size_t
sq_table_arena_overhead(size_t size, int ntables, int nreaders)
{
	size_t nchunks = size / SQ_TABLE_CHUNK;
	size_t own = own_chunks(nchunks, ntables, nreaders);

	/* the map has the chunks that it lies in */
	while (own < own_chunks(nchunks + own, ntables, nreaders))
		own++;
	return own * SQ_TABLE_CHUNK;
}

SqTableArena *
sq_table_arena_init(void *memory, size_t size, int ntables, int nreaders,
					uint64 seed)
{
	SqTableArena *arena = memory;
	size_t tables_at = align_line(sizeof(SqTableArena));
	size_t readers_at = tables_at + align_line(ntables * sizeof(SqTable));
	size_t map_at = map_place(ntables, nreaders);
	size_t nchunks = Min(size / SQ_TABLE_CHUNK, MAX_CHUNKS);
	size_t first = own_chunks(nchunks, ntables, nreaders);

	if (first >= nchunks)
		return NULL;
	memset(memory, 0, map_at + nchunks * sizeof(SqTableChunk));
	arena->size = size;
	arena->seed = seed;
	arena->nchunks = (uint32) nchunks;
	arena->first = arena->hint = (uint32) first;
	arena->ntables = ntables;
	arena->nreaders = nreaders;
	arena->tables_at = tables_at;
	arena->readers_at = readers_at;
	arena->map_at = map_at;
	arena->free = (uint32) (nchunks - first);
	arena->epoch = 1;
	for (int i = 0; i < ntables; i++)
		sq_table_init(arena, i);
	return arena;
}

SqTableArenaStats
sq_table_arena_stats(SqTableArena *arena)
{
	return (SqTableArenaStats){
		.size = (uint64) (arena->nchunks - arena->first) * SQ_TABLE_CHUNK,
		.free = (uint64) SQ_PEEK(&arena->free) * SQ_TABLE_CHUNK};
}

SqTable *
sq_table_at(SqTableArena *arena, int number)
{
	return (SqTable *) ((char *) arena + arena->tables_at) + number;
}

SqTableReader *
sq_table_reader_at(SqTableArena *arena, int number)
{
	return (SqTableReader *) ((char *) arena + arena->readers_at) + number;
}

/* ---- Chunks ---- */

static void
lock_arena(SqTableArena *arena)
{
	while (__atomic_exchange_n(&arena->lock, 1, __ATOMIC_ACQUIRE) != 0)
		sched_yield();
}

static void
unlock_arena(SqTableArena *arena)
{
	SQ_STORE(&arena->lock, 0);
}

/* The first free run of this length at or after from; 0 if there is none. */
static uint32
find_run(const SqTableArena *arena, uint32 from, uint32 length)
{
	const SqTableChunk *map = map_of(arena);
	uint32 found = 0;

	for (uint32 c = from; c < arena->nchunks; c++)
	{
		found = map[c].owner == 0 ? found + 1 : 0;
		if (found == length)
			return c + 1 - length;
	}
	return 0;
}

uint32
sq_table_arena_alloc(SqTableArena *arena, int number, uint32 length)
{
	SqTableChunk *map = map_of(arena);
	uint32 chunk;

	lock_arena(arena);
	chunk = length <= arena->free ? find_run(arena, arena->hint, length) : 0;
	if (chunk != 0)
	{
		for (uint32 c = chunk; c < chunk + length; c++)
			map[c] = (SqTableChunk){.owner = number + 1};
		map[chunk].length = length;
		__atomic_store_n(&arena->free, arena->free - length, __ATOMIC_RELAXED);
		/* it was the first free one: none is before its end */
		if (length == 1 || chunk == arena->hint)
			arena->hint = chunk + length;
	}
	unlock_arena(arena);
	return chunk;
}

void
sq_table_arena_free(SqTableArena *arena, uint32 chunk)
{
	SqTableChunk *map = map_of(arena);
	uint32 length;

	lock_arena(arena);
	length = map[chunk].length;
	for (uint32 c = chunk; c < chunk + length; c++)
		map[c] = (SqTableChunk){0};
	__atomic_store_n(&arena->free, arena->free + length, __ATOMIC_RELAXED);
	arena->hint = Min(arena->hint, chunk);
	unlock_arena(arena);
}

uint32 *
sq_table_arena_used(const SqTableArena *arena, uint32 chunk)
{
	return &map_of(arena)[chunk].used;
}

uint32
sq_table_arena_run_length(const SqTableArena *arena, uint32 chunk)
{
	return map_of(arena)[chunk].length;
}

uint32
sq_table_arena_next_run(SqTableArena *arena, int number, uint32 chunk)
{
	const SqTableChunk *map = map_of(arena);
	uint32 found = 0;

	lock_arena(arena);
	for (uint32 c = Max(chunk, arena->first); c < arena->nchunks; c++)
		if (map[c].owner == number + 1 && map[c].length > 0)
		{
			found = c;
			break;
		}
	unlock_arena(arena);
	return found;
}

/* ---- Claims ---- */

void
sq_table_reader_reset(SqTableReader *reader)
{
	for (int w = 0; w < lengthof(reader->used); w++)
		SQ_STORE(&reader->used[w], 0);
	SQ_STORE(&reader->active, 0);
}

/* A claim of the slot that is not in use, or -1. */
static int
find_unused(const SqTableReader *reader)
{
	for (int c = 0; c < SQ_TABLE_CLAIMS; c++)
		if ((SQ_PEEK(&reader->used[c / 64]) >> (c % 64) & 1) == 0)
			return c;
	return -1;
}

static void
store_claim(SqTableReader *reader, int claim, uint64 sequence)
{
	SQ_STORE(&reader->claims[claim].sequence, sequence);
	__atomic_fetch_or(&reader->used[claim / 64], UINT64CONST(1) << (claim % 64),
					  __ATOMIC_SEQ_CST);
}

bool
sq_table_view_open(SqTableView *view, SqTableArena *arena, int number,
				   const SqTableLayout *layout, SqTableReader *reader)
{
	SqTable *table = sq_table_at(arena, number);
	int claim = find_unused(reader);
	uint64 sequence;

	if (claim < 0)
		return false;
	SQ_STORE(&reader->claims[claim].table, number);
	do
	{
		sequence = __atomic_load_n(&table->published, __ATOMIC_SEQ_CST);
		store_claim(reader, claim, sequence);
	} while (__atomic_load_n(&table->published, __ATOMIC_SEQ_CST) != sequence);
	*view = (SqTableView){arena, table, layout, reader, claim, sequence};
	return true;
}

bool
sq_table_view_join(SqTableView *view, SqTableArena *arena, int number,
				   const SqTableLayout *layout, SqTableReader *reader,
				   uint64 sequence)
{
	int claim = find_unused(reader);

	if (claim < 0)
		return false;
	SQ_STORE(&reader->claims[claim].table, number);
	store_claim(reader, claim, sequence);
	*view = (SqTableView){
		arena, sq_table_at(arena, number), layout, reader, claim, sequence};
	return true;
}

int
sq_table_view_number(const SqTableView *view)
{
	return view->table->number;
}

void
sq_table_view_close(SqTableView *view)
{
	__atomic_fetch_and(&view->reader->used[view->claim / 64],
					   ~(UINT64CONST(1) << (view->claim % 64)),
					   __ATOMIC_SEQ_CST);
}

static bool
add_claim(uint64 **claims, int *capacity, int count, uint64 sequence)
{
	if (count == *capacity)
	{
		int more = Max(16, *capacity * 2);
		uint64 *larger = realloc(*claims, more * sizeof(uint64));

		if (larger == NULL)
			return false;
		*claims = larger;
		*capacity = more;
	}
	(*claims)[count] = sequence;
	return true;
}

static int
compare_sequences(const void *a, const void *b)
{
	uint64 one = *(const uint64 *) a;
	uint64 other = *(const uint64 *) b;

	return (one > other) - (one < other);
}

int
sq_table_arena_claims(SqTableArena *arena, int number, uint64 **claims,
					  int *capacity)
{
	int count = 0;

	for (uint32 w = 0; w < arena->nreaders * CLAIM_WORDS; w++)
	{
		SqTableReader *reader = sq_table_reader_at(arena, w / CLAIM_WORDS);
		int c = w % CLAIM_WORDS * 64;
		uint64 used =
			__atomic_load_n(&reader->used[w % CLAIM_WORDS], __ATOMIC_SEQ_CST);

		for (; used != 0; c++, used >>= 1)
		{
			if ((used & 1) == 0 || SQ_LOAD(&reader->claims[c].table) != number)
				continue;
			if (!add_claim(claims, capacity, count,
						   SQ_LOAD(&reader->claims[c].sequence)))
				return -1;
			count++;
		}
	}
	if (count > 1)
		qsort(*claims, count, sizeof(uint64), compare_sequences);
	return count;
}

bool
sq_table_is_claimed(SqTableArena *arena, int number)
{
	uint64 *claims = NULL;
	int capacity = 0;
	int count = sq_table_arena_claims(arena, number, &claims, &capacity);

	free(claims);
	/* without memory to count them: perhaps */
	return count != 0;
}

/* ---- Epochs ---- */

void
sq_table_enter(SqTableArena *arena, SqTableReader *reader)
{
	uint64 epoch;

	do
	{
		epoch = __atomic_load_n(&arena->epoch, __ATOMIC_SEQ_CST);
		__atomic_exchange_n(&reader->active, epoch, __ATOMIC_SEQ_CST);
	} while (__atomic_load_n(&arena->epoch, __ATOMIC_SEQ_CST) != epoch);
}

uint64
sq_table_arena_advance(SqTableArena *arena)
{
	return __atomic_add_fetch(&arena->epoch, 1, __ATOMIC_SEQ_CST);
}

uint64
sq_table_arena_oldest(SqTableArena *arena, uint64 epoch)
{
	uint64 oldest = epoch;

	for (uint32 r = 0; r < arena->nreaders; r++)
	{
		uint64 active = __atomic_load_n(&sq_table_reader_at(arena, r)->active,
										__ATOMIC_SEQ_CST);

		if (active != 0)
			oldest = Min(oldest, active);
	}
	return oldest;
}

/* ---- Tables ---- */

void
sq_table_init(SqTableArena *arena, int number)
{
	SqTable *table = sq_table_at(arena, number);

	memset(table, 0, sizeof(SqTable));
	table->number = number;
	/* 0 is no row's birth */
	table->published = 1;
}

void
sq_table_drop(SqTableArena *arena, int number)
{
	uint32 run = 0;

	while ((run = sq_table_arena_next_run(arena, number, run)) != 0)
		sq_table_arena_free(arena, run);
	sq_table_init(arena, number);
}

SqTableStats
sq_table_stats(SqTableArena *arena, int number)
{
	SqTable *table = sq_table_at(arena, number);

	return (SqTableStats){.rows = SQ_LOAD(&table->rows),
						  .bytes =
							  (uint64) SQ_LOAD(&table->chunks) * SQ_TABLE_CHUNK,
						  .sequence = SQ_LOAD(&table->published)};
}
