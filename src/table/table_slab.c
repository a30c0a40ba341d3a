/*
 * table_slab.c
 *		Places for rows: runs of chunks cut into slots of one size.
 *
 * Sizes are rounded up to classes an eighth apart, so that the place of a row
 * fits the next one of about its size. A row that is larger than a quarter of
 * a chunk shares it with at most three others; one that is larger than a chunk
 * has a run of its own. Every run stands in the table's vector of row chunks,
 * where scans find it; a run that becomes empty goes back to the arena and
 * leaves a hole there for the next. Rows never move, so a scan that goes by
 * the vector meets every row that its claim sees exactly once.
 *
 * Memory: the arena's. Locks: none; the writer alone changes anything, readers
 * look at slot_size, nslots and ready.
 */
#include "table/table_internal.h"

#define SLOT_UNIT 16
#define CAPACITY  (SQ_TABLE_CHUNK - sizeof(SqTableSlab))
/* Classes up to a quarter of a chunk; then come thirds, halves, wholes. */
#define STEPPED_CLASSES 54
#define ENTRIES         (SQ_TABLE_CHUNK / sizeof(uint32))

/* ---- Classes ---- */

/* Slot sizes: 32 to 128 in steps of 16, then eight steps a doubling up to a
 * quarter of a chunk, then thirds, halves, wholes. */
static uint32
class_size(int class)
{
	int step;

	if (class < 7)
		return 32 + class * SLOT_UNIT;
	step = class - 7;
	return (uint32) (128 + 16 * (step % 8 + 1)) << (step / 8);
}

/* The class for a size, and its slots' size; -1: a run of its own. */
static int
find_class(size_t size, uint32 *slot_size)
{
	int low = 0, high = STEPPED_CLASSES;

	while (low < high)
	{
		int middle = (low + high) / 2;

		if (class_size(middle) < size)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < STEPPED_CLASSES)
	{
		*slot_size = class_size(low);
		return low;
	}
	for (int share = 3; share > 0; share--)
	{
		*slot_size = (uint32) TYPEALIGN_DOWN(SLOT_UNIT, CAPACITY / share);
		if (size <= *slot_size)
			return STEPPED_CLASSES + 3 - share;
	}
	return -1;
}

/* ---- The vector of row chunks ---- */

static uint32 *
entries_of(const SqTableWriter *writer)
{
	return sq_table_chunk_pointer(writer->arena,
								  SQ_PEEK(&writer->table->rowchunks.run));
}

/* Have room for one entry more; false if the arena is full. */
static bool
grow_vector(SqTableWriter *writer)
{
	SqTableVector *vector = &writer->table->rowchunks;
	uint32 old = SQ_PEEK(&vector->run);
	uint32 count = SQ_PEEK(&vector->count);
	uint32 length =
		old == 0 ? 0 : sq_table_arena_run_length(writer->arena, old);
	uint32 run;

	if (count < length * ENTRIES)
		return true;
	run = sq_table_writer_alloc(writer, Max(1, length * 2));
	if (run == 0)
		return false;
	if (old != 0)
		memcpy(sq_table_chunk_pointer(writer->arena, run), entries_of(writer),
			   count * sizeof(uint32));
	SQ_STORE(&vector->run, run);
	if (old != 0)
		sq_table_writer_retire_run(writer, old);
	return true;
}

/* Put a run into a hole or at the end; it has room. */
static uint32
add_entry(SqTableWriter *writer, uint32 run)
{
	SqTableVector *vector = &writer->table->rowchunks;
	uint32 count = SQ_PEEK(&vector->count);
	uint32 *entries = entries_of(writer);
	uint32 position = count;

	if (writer->holes > 0)
	{
		position = writer->hole_hint;
		while (SQ_PEEK(&entries[position]) != 0)
			position++;
		writer->hole_hint = position + 1;
		writer->holes--;
	}
	SQ_STORE(&entries[position], run);
	if (position == count)
		SQ_STORE(&vector->count, count + 1);
	return position;
}

/* ---- Slabs ---- */

static SqTableSlab *
slab_at(const SqTableWriter *writer, uint32 run)
{
	return sq_table_chunk_pointer(writer->arena, run);
}

static uint32
run_of(const SqTableWriter *writer, const SqTableSlab *slab)
{
	return sq_table_chunk_of(sq_table_ref(writer->arena, slab));
}

/* Into and out of the list of slabs with room. */
static void
link_partial(SqTableWriter *writer, SqTableSlab *slab)
{
	uint32 *head = &writer->table->partial[slab->class];

	slab->prev = 0;
	slab->next = *head;
	if (*head != 0)
		slab_at(writer, *head)->prev = run_of(writer, slab);
	*head = run_of(writer, slab);
}

static void
unlink_partial(SqTableWriter *writer, SqTableSlab *slab)
{
	if (slab->prev != 0)
		slab_at(writer, slab->prev)->next = slab->next;
	else
		writer->table->partial[slab->class] = slab->next;
	if (slab->next != 0)
		slab_at(writer, slab->next)->prev = slab->prev;
}

static SqTableSlab *
make_slab(SqTableWriter *writer, int class, uint32 slot_size, uint32 length)
{
	SqTableSlab *slab;
	uint32 run;

	if (!grow_vector(writer))
		return NULL;
	run = sq_table_writer_alloc(writer, length);
	if (run == 0)
		return NULL;
	slab = slab_at(writer, run);
	memset(slab, 0, sizeof(SqTableSlab));
	slab->slot_size = slot_size;
	slab->nslots = class < SQ_TABLE_SLAB_CLASSES ? CAPACITY / slot_size : 1;
	slab->class = class;
	slab->position = add_entry(writer, run);
	return slab;
}

/* A row too large for a chunk. */
static SqTableSlab *
make_large_slab(SqTableWriter *writer, size_t size)
{
	size_t total = size + sizeof(SqTableSlab);
	size_t length = (total + SQ_TABLE_CHUNK - 1) / SQ_TABLE_CHUNK;

	if (length > writer->arena->nchunks)
		return NULL;
	return make_slab(writer, SQ_TABLE_SLAB_CLASSES,
					 (uint32) TYPEALIGN(SLOT_UNIT, size), (uint32) length);
}

static bool
has_room(const SqTableSlab *slab)
{
	return slab->used < slab->nslots;
}

SqTableRow *
sq_table_slab_alloc(SqTableWriter *writer, size_t size)
{
	uint32 slot_size;
	int class = find_class(size, &slot_size);
	SqTableSlab *slab;
	SqTableRow *row;

	if (class < 0)
		slab = make_large_slab(writer, size);
	else if (writer->table->partial[class] != 0)
		slab = slab_at(writer, writer->table->partial[class]);
	else if ((slab = make_slab(writer, class, slot_size, 1)) != NULL)
		link_partial(writer, slab);
	if (slab == NULL)
		return NULL;
	if (slab->free != 0)
	{
		row = sq_table_pointer(writer->arena, slab->free);
		slab->free = SQ_PEEK(&row->older);
	}
	else
	{
		uint32 ready = SQ_PEEK(&slab->ready);

		row = sq_table_slab_row(slab, ready);
		SQ_STORE(&row->born, 0);
		SQ_STORE(&slab->ready, ready + 1);
	}
	slab->used++;
	if (class >= 0 && !has_room(slab))
		unlink_partial(writer, slab);
	return row;
}

static SqTableSlab *
slab_of(SqTableWriter *writer, SqTableRow *row)
{
	SqRef ref = sq_table_ref(writer->arena, row);

	/* the row of a large run begins in its first chunk, like any other */
	return slab_at(writer, sq_table_chunk_of(ref));
}

static void
drop_slab(SqTableWriter *writer, SqTableSlab *slab)
{
	SQ_STORE(&entries_of(writer)[slab->position], 0);
	writer->holes++;
	writer->hole_hint = Min(writer->hole_hint, slab->position);
	sq_table_writer_retire_run(writer, run_of(writer, slab));
}

void
sq_table_slab_free(SqTableWriter *writer, SqTableRow *row)
{
	SqTableSlab *slab = slab_of(writer, row);

	if (slab->class == SQ_TABLE_SLAB_CLASSES)
	{
		drop_slab(writer, slab);
		return;
	}
	if (!has_room(slab))
		link_partial(writer, slab);
	SQ_STORE(&row->older, slab->free);
	slab->free = sq_table_ref(writer->arena, row);
	if (--slab->used > 0)
		return;
	unlink_partial(writer, slab);
	drop_slab(writer, slab);
}

void
sq_table_slab_forget(SqTableWriter *writer)
{
	SqTable *table = writer->table;
	uint32 count = SQ_PEEK(&table->rowchunks.count);

	memset(table->partial, 0, sizeof(table->partial));
	writer->holes = writer->hole_hint = 0;
	for (uint32 p = 0; p < count; p++)
	{
		uint32 run = SQ_PEEK(&entries_of(writer)[p]);
		SqTableSlab *slab;

		if (run == 0)
		{
			writer->holes++;
			continue;
		}
		slab = slab_at(writer, run);
		slab->free = 0;
		slab->used = SQ_PEEK(&slab->ready);
		if (slab->class < SQ_TABLE_SLAB_CLASSES && has_room(slab))
			link_partial(writer, slab);
	}
}
