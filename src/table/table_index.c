/*
 * table_index.c
 *		Hash values to rows: an extendible hash of chunks.
 *
 * The root of an index is one word: the run that its directory lies in, and
 * the directory's depth d. The first d bits of a hash value choose an entry of
 * the directory, which names a segment: one chunk with slots of 8 bytes, half
 * of them the hash value, half the ref of a row. Within a segment slots are
 * probed in order, so a search mostly touches one or two cache lines before
 * the row itself.
 *
 * A slot is written whole, so a reader sees the old or the new one. Slots never
 * move within a segment; one that is removed is marked, and used again. When
 * a segment fills up it is copied into two (or into one, if marks filled it),
 * the directory's entries are changed one by one, and the old segment is
 * retired. A reader still in it finds what was there when it was copied: all
 * that a claim of before can see. A directory that is too small is replaced by
 * one twice as large in the same way.
 *
 * Index 0 is of the key: its slots hold the newest version of each key. The
 * others hold, for each value, the head of a list through the rows that have
 * it.
 *
 * Memory: the arena's. Locks: none; the writer changes, readers load.
 */
#include "table/table_internal.h"

#define SLOT_EMPTY   UINT64CONST(0)
#define SLOT_REMOVED UINT64CONST(1) /* chunk 0 holds no row */

#define DEPTH_SHIFT 32
/* Beyond this equal hash values are all that could fill a segment. */
#define DEPTH_MAX 26

typedef struct SqTableSegment
{
	uint32 depth;   /* const: bits that all of it have in common */
	uint32 removed; /* writer: slots with marks */
	uint32 filler[14];
} SqTableSegment;

#define SLOTS ((SQ_TABLE_CHUNK - sizeof(SqTableSegment)) / sizeof(uint64))
#define FULL  (SLOTS * 3 / 4)

static uint64
make_slot(uint32 hash, SqRef ref)
{
	return (uint64) hash << 32 | ref;
}

static uint32
slot_hash(uint64 slot)
{
	return (uint32) (slot >> 32);
}

static uint64
make_root(uint32 run, uint32 depth)
{
	return (uint64) depth << DEPTH_SHIFT | run;
}

static uint32
root_depth(uint64 root)
{
	return (uint32) (root >> DEPTH_SHIFT);
}

static uint32 *
directory_of(SqTableArena *arena, uint64 root)
{
	return sq_table_chunk_pointer(arena, (uint32) root);
}

/* The first bits of a hash value. */
static uint32
entry_of(uint32 hash, uint32 depth)
{
	return depth == 0 ? 0 : hash >> (32 - depth);
}

static uint64 *
slots_of(SqTableSegment *segment)
{
	return (uint64 *) (segment + 1);
}

/* Where probing begins: of all bits, since the first ones are the segment's. */
static uint32
home_of(uint32 hash)
{
	return (uint32) (((uint64) (hash * 0x9E3779B1u) * SLOTS) >> 32);
}

static SqTableSegment *
segment_of(SqTableArena *arena, uint64 root, uint32 hash)
{
	uint32 *entry =
		&directory_of(arena, root)[entry_of(hash, root_depth(root))];

	return sq_table_chunk_pointer(arena, SQ_LOAD(entry));
}

/* ---- Searching ---- */

void
sq_table_index_prefetch(SqTableArena *arena, uint64 root, uint32 hash)
{
	if (root != 0)
		__builtin_prefetch(
			&slots_of(segment_of(arena, root, hash))[home_of(hash)]);
}

SqRef
sq_table_index_guess(SqTableArena *arena, uint64 root, uint32 hash)
{
	uint64 *slots;
	uint32 position = home_of(hash);

	if (root == 0)
		return 0;
	slots = slots_of(segment_of(arena, root, hash));
	for (;;)
	{
		uint64 slot = SQ_LOAD(&slots[position]);

		if (slot == SLOT_EMPTY)
			return 0;
		if (slot_hash(slot) == hash && slot != SLOT_REMOVED)
			return sq_table_slot_ref(slot);
		position = position + 1 < SLOTS ? position + 1 : 0;
	}
}

/* Is this the row that is looked for: by cells, or like another row? */
static inline bool
is_match(SqTableArena *arena, const SqTableLayout *layout, int index,
		 uint64 slot, const SqTableCell *cells, const SqTableRow *other)
{
	const SqTableRow *row = sq_table_pointer(arena, sq_table_slot_ref(slot));

	if (cells != NULL)
		return sq_table_row_equals(layout, index, row, cells);
	return row == other || sq_table_rows_equal(layout, index, row, other);
}

/* Also what the slot held when it was looked at: a writer may have changed it
 * since. */
static inline uint64 *
find_slot(const SqTableIndexSearch *search, uint32 hash,
		  const SqTableCell *cells, const SqTableRow *other, uint64 *held)
{
	uint64 *slots;
	uint32 position = home_of(hash);

	*held = SLOT_EMPTY;
	if (search->root == 0)
		return NULL;
	slots = slots_of(segment_of(search->arena, search->root, hash));
	for (;;)
	{
		uint64 slot = SQ_LOAD(&slots[position]);

		if (slot == SLOT_EMPTY)
			return NULL;
		if (slot_hash(slot) == hash && slot != SLOT_REMOVED &&
			is_match(search->arena, search->layout, search->index, slot, cells,
					 other))
		{
			*held = slot;
			return &slots[position];
		}
		position = position + 1 < SLOTS ? position + 1 : 0;
	}
}

uint64 *
sq_table_index_find(const SqTableIndexSearch *search, uint32 hash,
					const SqTableCell *cells)
{
	uint64 held;

	return find_slot(search, hash, cells, NULL, &held);
}

SqRef
sq_table_index_lookup(const SqTableIndexSearch *search, uint32 hash,
					  const SqTableCell *cells)
{
	uint64 held;

	find_slot(search, hash, cells, NULL, &held);
	return sq_table_slot_ref(held);
}

uint64 *
sq_table_index_find_row(const SqTableIndexSearch *search, uint32 hash,
						const SqTableRow *other)
{
	uint64 held;

	return find_slot(search, hash, NULL, other, &held);
}

/* ---- Growing ---- */

/* Slots of a segment that are not empty. */
static uint32 *
used_of(const SqTableArena *arena, const SqTableSegment *segment)
{
	return sq_table_arena_used(arena,
							   sq_table_chunk_of(sq_table_ref(arena, segment)));
}

static SqTableSegment *
make_segment(SqTableWriter *writer, uint32 depth)
{
	uint32 run = sq_table_writer_alloc(writer, 1);
	SqTableSegment *segment;

	if (run == 0)
		return NULL;
	segment = sq_table_chunk_pointer(writer->arena, run);
	memset(segment, 0, SQ_TABLE_CHUNK);
	segment->depth = depth;
	return segment;
}

static uint32
run_of(const SqTableWriter *writer, const SqTableSegment *segment)
{
	return sq_table_chunk_of(sq_table_ref(writer->arena, segment));
}

/* A directory of one segment. */
static bool
make_index(SqTableWriter *writer, int index)
{
	SqTableSegment *segment = make_segment(writer, 0);
	uint32 run;

	if (segment == NULL)
		return false;
	run = sq_table_writer_alloc(writer, 1);
	if (run == 0)
	{
		sq_table_writer_retire_run(writer, run_of(writer, segment));
		return false;
	}
	*(uint32 *) sq_table_chunk_pointer(writer->arena, run) =
		run_of(writer, segment);
	SQ_STORE(&writer->table->roots[index], make_root(run, 0));
	return true;
}

static bool
double_directory(SqTableWriter *writer, int index)
{
	uint64 root = SQ_PEEK(&writer->table->roots[index]);
	uint32 depth = root_depth(root);
	uint32 length =
		(uint32) (((sizeof(uint32) << (depth + 1)) + SQ_TABLE_CHUNK - 1) /
				  SQ_TABLE_CHUNK);
	uint32 *from = directory_of(writer->arena, root);
	uint32 *into;
	uint32 run;

	if (depth == DEPTH_MAX)
		return false;
	run = sq_table_writer_alloc(writer, length);
	if (run == 0)
		return false;
	into = sq_table_chunk_pointer(writer->arena, run);
	for (uint32 e = 0; e < UINT32_C(1) << depth; e++)
		into[2 * e] = into[2 * e + 1] = SQ_PEEK(&from[e]);
	SQ_STORE(&writer->table->roots[index], make_root(run, depth + 1));
	sq_table_writer_retire_run(writer, (uint32) root);
	return true;
}

static void
add_slot(SqTableArena *arena, SqTableSegment *segment, uint64 slot)
{
	uint64 *slots = slots_of(segment);
	uint32 position = home_of(slot_hash(slot));

	while (SQ_PEEK(&slots[position]) > SLOT_REMOVED)
		position = position + 1 < SLOTS ? position + 1 : 0;
	if (SQ_PEEK(&slots[position]) == SLOT_REMOVED)
		segment->removed--;
	else
		++*used_of(arena, segment);
	SQ_STORE(&slots[position], slot);
}

/* Let the directory's entries for a segment name another one: count of them
 * from the first on. */
static void
set_entries(uint32 *directory, uint32 first, uint32 count, uint32 run)
{
	for (uint32 e = first; e < first + count; e++)
		SQ_STORE(&directory[e], run);
}

/* Replace a full segment by two, or by one if half of it are marks. The
 * directory is deep enough. */
static bool
split_segment(SqTableWriter *writer, int index, SqTableSegment *old,
			  uint32 hash)
{
	uint64 root = SQ_PEEK(&writer->table->roots[index]);
	uint32 *directory = directory_of(writer->arena, root);
	bool split = old->removed * 2 < *used_of(writer->arena, old);
	uint32 depth = old->depth + split;
	uint32 count = UINT32_C(1) << (root_depth(root) - old->depth);
	uint32 first = entry_of(hash, root_depth(root)) & ~(count - 1);
	SqTableSegment *low = make_segment(writer, depth);
	SqTableSegment *high = split && low ? make_segment(writer, depth) : low;
	uint64 *slots = slots_of(old);

	if (high == NULL)
	{
		if (low != NULL)
			sq_table_writer_retire_run(writer, run_of(writer, low));
		return false;
	}
	for (uint32 s = 0; s < SLOTS; s++)
	{
		uint64 slot = SQ_PEEK(&slots[s]);

		if (slot > SLOT_REMOVED)
			add_slot(writer->arena,
					 (entry_of(slot_hash(slot), depth) & 1) ? high : low, slot);
	}
	if (split)
		count /= 2;
	set_entries(directory, first, count, run_of(writer, low));
	if (split)
		set_entries(directory, first + count, count, run_of(writer, high));
	sq_table_writer_retire_run(writer, run_of(writer, old));
	return true;
}

bool
sq_table_index_reserve(SqTableWriter *writer, int index, uint32 hash)
{
	uint64 *root = &writer->table->roots[index];

	if (SQ_PEEK(root) == 0 && !make_index(writer, index))
		return false;
	for (;;)
	{
		SqTableSegment *segment =
			segment_of(writer->arena, SQ_PEEK(root), hash);
		uint32 used = *used_of(writer->arena, segment);

		if (used < FULL)
			return true;
		if (segment->removed * 2 < used &&
			segment->depth == root_depth(SQ_PEEK(root)) &&
			!double_directory(writer, index))
			return false;
		if (!split_segment(writer, index, segment, hash))
			return false;
	}
}

/* ---- Changing ---- */

void
sq_table_index_insert(SqTableWriter *writer, int index, uint32 hash, SqRef ref)
{
	add_slot(
		writer->arena,
		segment_of(writer->arena, SQ_PEEK(&writer->table->roots[index]), hash),
		make_slot(hash, ref));
}

void
sq_table_index_change(uint64 *slot, SqRef ref)
{
	SQ_STORE(slot, make_slot(slot_hash(SQ_PEEK(slot)), ref));
}

void
sq_table_index_remove(SqTableWriter *writer, int index, uint64 *slot)
{
	uint32 hash = slot_hash(SQ_PEEK(slot));

	segment_of(writer->arena, SQ_PEEK(&writer->table->roots[index]), hash)
		->removed++;
	SQ_STORE(slot, SLOT_REMOVED);
}

void
sq_table_index_runs(SqTableArena *arena, uint64 root,
					void (*visit)(void *arg, uint32 run), void *arg)
{
	uint32 *directory;
	uint32 before = 0;

	if (root == 0)
		return;
	visit(arg, (uint32) root);
	directory = directory_of(arena, root);
	for (uint32 e = 0; e < UINT32_C(1) << root_depth(root); e++)
	{
		uint32 run = SQ_PEEK(&directory[e]);

		if (run != before)
			visit(arg, run);
		before = run;
	}
}
