/*
 * table_write.c
 *		Changing a table, and showing it.
 *
 * A table has a published sequence number. Its writer makes the state after
 * that one: every change is marked with the next number, and publishing is
 * one store. A reader that claimed a number s sees the versions of rows with
 * born <= s < died, whatever the writer does meanwhile.
 *
 * A key's slot in index 0 names its newest version, each version names the
 * next older one that is still there. Putting a row:
 *	 1. a slot for the row, room in every index: all that can fail;
 *	 2. the row is filled; nobody can find it. It is staged, and a few puts
 *	    later, when what comes next has been fetched from memory:
 *	 3. it names the version before it as older, and is put at the head of the
 *	    list of each of its indexed values: lists have all versions in them;
 *	 4. born = next number: scans may look at it, and see it is not for them;
 *	 5. the key's slot is changed to it; who comes by it with an older claim
 *	    goes on to the older version;
 *	 6. the version before it gets died = next number, or goes at once if it
 *	    is of the state being made, too.
 * Deleting is 6 alone. Publishing stores the number, with release: a reader
 * that loads it sees all of that.
 *
 * Afterwards versions that died are looked at. One that no claim can see is
 * taken out of chain and lists and its born set to 0 (unlinked), which readers
 * notice in whatever order they see it; in a later epoch (table_arena.c) its
 * place is given back. One that a claim can see is kept aside, and looked at
 * again when the claims have changed. So a statement that stays open for hours
 * keeps one version of each row, not every version since.
 *
 * Nothing here can be interrupted in the middle: no errors are thrown and no
 * signals served. A process that is asked to leave does so between two calls,
 * and the next writer finds a sound table with perhaps an unpublished state,
 * which it undoes (table_adopt.c).
 *
 * Memory: rows and indexes in the arena; the queues of what is to be freed
 * malloc'd: when there is no memory for them, a place in the arena is lost
 * until the next writer finds it, and nothing worse. Locks: none.
 */
#include "table/table_internal.h"

SqStatus
sq_table_error_full(SqError *error)
{
	sq_error_set(error, ERRCODE_OUT_OF_MEMORY, "memory for tables is full");
	sq_error_hint(error, "Drop tables, or increase streamsql.table_memory and "
						 "restart the server.");
	return SQ_ERROR;
}

/* ---- Queues ---- */

void
sq_table_refs_add(SqTableRefs *refs, SqRef ref)
{
	if (refs->count == refs->capacity)
	{
		size_t capacity = Max(1024, refs->capacity * 2);
		SqRef *items = realloc(refs->items, capacity * sizeof(SqRef));

		if (items == NULL)
			return;
		refs->items = items;
		refs->capacity = capacity;
	}
	refs->items[refs->count++] = ref;
}

static bool
grow_queue(SqTableQueue *queue)
{
	size_t capacity = Max(1024, queue->capacity * 2);
	SqTableRetired *items = malloc(capacity * sizeof(SqTableRetired));

	if (items == NULL)
		return false;
	for (size_t i = 0; i < queue->count; i++)
		items[i] = queue->items[(queue->first + i) % queue->capacity];
	free(queue->items);
	queue->items = items;
	queue->capacity = capacity;
	queue->first = 0;
	return true;
}

static void
retire(SqTableWriter *writer, SqRef row, uint32 run)
{
	SqTableQueue *queue = &writer->retired;

	if (queue->count == queue->capacity && !grow_queue(queue))
		return;
	queue->items[(queue->first + queue->count) % queue->capacity] =
		(SqTableRetired){0, row, run};
	queue->count++;
	queue->fresh++;
}

uint32
sq_table_writer_alloc(SqTableWriter *writer, uint32 length)
{
	uint32 run =
		sq_table_arena_alloc(writer->arena, writer->table->number, length);

	if (run != 0)
		SQ_STORE(&writer->table->chunks,
				 SQ_PEEK(&writer->table->chunks) + length);
	return run;
}

void
sq_table_writer_retire_run(SqTableWriter *writer, uint32 run)
{
	retire(writer, 0, run);
}

void
sq_table_writer_retire_row(SqTableWriter *writer, SqTableRow *row)
{
	retire(writer, sq_table_ref(writer->arena, row), 0);
}

/* ---- Opening and closing ---- */

SqTableWriter *
sq_table_writer_open(SqTableArena *arena, int number,
					 const SqTableLayout *layout)
{
	SqTableWriter *writer = palloc0(sizeof(SqTableWriter));

	writer->arena = arena;
	writer->table = sq_table_at(arena, number);
	writer->layout = layout;
	writer->sequence = SQ_PEEK(&writer->table->published) + 1;
	sq_table_writer_adopt(writer);
	return writer;
}

void
sq_table_writer_close(SqTableWriter *writer)
{
	free(writer->dying.items);
	free(writer->retained.items);
	free(writer->retired.items);
	free(writer->claims);
	pfree(writer);
}

/* ---- Lists of an indexed value ---- */

static SqTableIndexSearch
search_of(const SqTableWriter *writer, int index)
{
	return (SqTableIndexSearch){writer->arena,
								SQ_PEEK(&writer->table->roots[index]),
								writer->layout, index};
}

static SqTableLink *
link_of(SqTableRow *row, int index)
{
	return &row->links[index - 1];
}

static uint32
hash_of(const SqTableWriter *writer, int index, const SqTableRow *row)
{
	return sq_table_hash_row(writer->layout, index, row, writer->arena->seed);
}

static bool
is_indexed(const SqTableWriter *writer, int index, const SqTableRow *row)
{
	return !sq_table_row_is_null(writer->layout, row,
								 writer->layout->indexes[index].columns[0]);
}

/* Put a row at the head of the list of its value. */
static void
link_value(SqTableWriter *writer, int index, SqTableRow *row)
{
	SqTableIndexSearch search = search_of(writer, index);
	uint32 hash = hash_of(writer, index, row);
	uint64 *slot = sq_table_index_find_row(&search, hash, row);
	SqRef ref = sq_table_ref(writer->arena, row);
	SqTableLink *link = link_of(row, index);
	SqRef head;

	link->prev = 0;
	if (slot == NULL)
	{
		SQ_STORE(&link->next, 0);
		sq_table_index_insert(writer, index, hash, ref);
		return;
	}
	head = sq_table_slot_ref(SQ_PEEK(slot));
	SQ_STORE(&link->next, head);
	link_of(sq_table_pointer(writer->arena, head), index)->prev = ref;
	sq_table_index_change(slot, ref);
}

static void
unlink_value(SqTableWriter *writer, int index, SqTableRow *row)
{
	SqTableLink *link = link_of(row, index);
	SqRef next = SQ_PEEK(&link->next);

	if (next != 0)
		link_of(sq_table_pointer(writer->arena, next), index)->prev =
			link->prev;
	if (link->prev != 0)
		SQ_STORE(
			&link_of(sq_table_pointer(writer->arena, link->prev), index)->next,
			next);
	else
	{
		SqTableIndexSearch search = search_of(writer, index);
		uint64 *slot =
			sq_table_index_find_row(&search, hash_of(writer, index, row), row);

		if (next != 0)
			sq_table_index_change(slot, next);
		else
			sq_table_index_remove(writer, index, slot);
	}
}

/* Take a version out of the chain of its key. */
static void
unlink_key(SqTableWriter *writer, SqTableRow *row)
{
	SqTableIndexSearch search = search_of(writer, 0);
	SqRef ref = sq_table_ref(writer->arena, row);
	SqRef older = SQ_PEEK(&row->older);
	uint64 *slot =
		sq_table_index_find_row(&search, hash_of(writer, 0, row), row);
	SqTableRow *newer;

	if (sq_table_slot_ref(SQ_PEEK(slot)) == ref)
	{
		if (older != 0)
			sq_table_index_change(slot, older);
		else
			sq_table_index_remove(writer, 0, slot);
		return;
	}
	newer = sq_table_pointer(writer->arena, sq_table_slot_ref(SQ_PEEK(slot)));
	while (SQ_PEEK(&newer->older) != ref)
		newer = sq_table_pointer(writer->arena, SQ_PEEK(&newer->older));
	SQ_STORE(&newer->older, older);
}

void
sq_table_writer_unlink(SqTableWriter *writer, SqTableRow *row)
{
	for (int i = 1; i < writer->layout->nindexes; i++)
		if (is_indexed(writer, i, row))
			unlink_value(writer, i, row);
	unlink_key(writer, row);
	SQ_STORE(&row->born, 0);
	sq_table_writer_retire_row(writer, row);
}

/* ---- Changing ---- */

/* A row is no more in the state being made. If it never was in another one
 * nobody can see it, and it goes at once: a key that changes many times before
 * a publish has one version of that state, not a chain of them. */
static void
kill_row(SqTableWriter *writer, SqTableRow *row)
{
	writer->changed = true;
	writer->table->pending_rows--;
	if (SQ_PEEK(&row->born) == writer->sequence)
	{
		sq_table_writer_unlink(writer, row);
		return;
	}
	SQ_STORE(&row->died, writer->sequence);
	sq_table_refs_add(&writer->dying, sq_table_ref(writer->arena, row));
}

static bool
is_alive(const SqTableRow *row)
{
	return SQ_PEEK(&row->died) == SQ_TABLE_NEVER;
}

/* Room in every index for a row that is filled but not linked. */
static bool
reserve_indexes(SqTableWriter *writer, const SqTableRow *row, uint32 hash)
{
	if (!sq_table_index_reserve(writer, 0, hash))
		return false;
	for (int i = 1; i < writer->layout->nindexes; i++)
		if (is_indexed(writer, i, row) &&
			!sq_table_index_reserve(writer, i, hash_of(writer, i, row)))
			return false;
	return true;
}

/* Make a filled row part of the state that is being made. */
static void
link_row(SqTableWriter *writer, SqTableRow *row, uint32 hash)
{
	SqTableIndexSearch search = search_of(writer, 0);
	uint64 *slot = sq_table_index_find_row(&search, hash, row);
	SqRef ref = sq_table_ref(writer->arena, row);
	SqRef older = slot != NULL ? sq_table_slot_ref(SQ_PEEK(slot)) : 0;

	writer->changed = true;
	SQ_STORE(&row->older, older);
	SQ_STORE(&row->died, SQ_TABLE_NEVER);
	for (int i = 1; i < writer->layout->nindexes; i++)
		if (is_indexed(writer, i, row))
			link_value(writer, i, row);
	SQ_STORE(&row->born, writer->sequence);
	if (slot == NULL)
		sq_table_index_insert(writer, 0, hash, ref);
	else
		sq_table_index_change(slot, ref);
	writer->table->pending_rows++;
	if (older != 0)
	{
		SqTableRow *before = sq_table_pointer(writer->arena, older);

		if (is_alive(before))
			kill_row(writer, before);
	}
}

/* Link the row that was staged first. */
static void
link_staged(SqTableWriter *writer)
{
	const SqTableStaged *staged = &writer->staged[writer->staged_first];

	link_row(writer, staged->row, staged->hash);
	writer->staged_first = (writer->staged_first + 1) % SQ_TABLE_STAGED;
	writer->staged_count--;
}

static void
link_all_staged(SqTableWriter *writer)
{
	while (writer->staged_count > 0)
		link_staged(writer);
}

/*
 * Stage a filled row, or give it back if there is no room in an index. What
 * linking looks at first is fetched meanwhile: with more keys than the caches
 * hold, waiting for memory would be most of the work. A reserve leaves room for
 * many more rows than can be staged.
 */
static SqStatus
finish_put(SqTableWriter *writer, SqTableRow *row, SqError *error)
{
	uint32 hash = hash_of(writer, 0, row);

	if (unlikely(!reserve_indexes(writer, row, hash)))
	{
		sq_table_slab_free(writer, row);
		return sq_table_error_full(error);
	}
	sq_table_index_prefetch(writer->arena, SQ_PEEK(&writer->table->roots[0]),
							hash);
	if (writer->staged_count == SQ_TABLE_STAGED)
		link_staged(writer);
	writer->staged[(writer->staged_first + writer->staged_count) %
				   SQ_TABLE_STAGED] = (SqTableStaged){row, hash};
	writer->staged_count++;
	return SQ_OK;
}

SqStatus
sq_table_put(SqTableWriter *writer, const SqTableCell *cells, SqError *error)
{
	size_t size = sq_table_row_size(writer->layout, cells);
	SqTableRow *row = NULL;

	if (likely(size <= PG_UINT32_MAX))
		row = sq_table_slab_alloc(writer, size);
	if (unlikely(row == NULL))
		return sq_table_error_full(error);
	row->length = (uint32) size;
	sq_table_row_fill(writer->layout, row, cells);
	return finish_put(writer, row, error);
}

SqStatus
sq_table_put_image(SqTableWriter *writer, SqSlice image, SqError *error)
{
	const SqTableLayout *layout = writer->layout;
	size_t size = layout->bitmap + image.length;
	SqTableRow *row = NULL;
	bool sound = size >= layout->start && size <= PG_UINT32_MAX;

	if (sound)
	{
		row = sq_table_slab_alloc(writer, size);
		if (unlikely(row == NULL))
			return sq_table_error_full(error);
		row->length = (uint32) size;
		memcpy((char *) row + layout->bitmap, image.data, image.length);
		sound = sq_table_row_sound(layout, row);
		for (int k = 0; sound && k < layout->indexes[0].ncolumns; k++)
			sound = !sq_table_row_is_null(layout, row,
										  layout->indexes[0].columns[k]);
	}
	if (unlikely(!sound))
	{
		if (row != NULL)
			sq_table_slab_free(writer, row);
		return sq_error_set(error, ERRCODE_DATA_CORRUPTED,
							"snapshot of a table has a row out of its bounds");
	}
	return finish_put(writer, row, error);
}

bool
sq_table_delete(SqTableWriter *writer, const SqTableCell *key)
{
	uint32 hash =
		sq_table_hash_cells(writer->layout, 0, key, writer->arena->seed);
	SqTableIndexSearch search;
	uint64 *slot;
	SqTableRow *row;

	link_all_staged(writer);
	search = search_of(writer, 0);
	slot = sq_table_index_find(&search, hash, key);
	if (slot == NULL)
		return false;
	row = sq_table_pointer(writer->arena, sq_table_slot_ref(SQ_PEEK(slot)));
	if (!is_alive(row))
		return false;
	kill_row(writer, row);
	return true;
}

void
sq_table_clear(SqTableWriter *writer)
{
	const SqTableVector *vector = &writer->table->rowchunks;
	uint32 *entries =
		sq_table_chunk_pointer(writer->arena, SQ_PEEK(&vector->run));

	link_all_staged(writer);
	for (uint32 p = 0; p < SQ_PEEK(&vector->count); p++)
	{
		uint32 run = SQ_PEEK(&entries[p]);
		SqTableSlab *slab = sq_table_chunk_pointer(writer->arena, run);

		for (uint32 s = 0; run != 0 && s < SQ_PEEK(&slab->ready); s++)
		{
			SqTableRow *row = sq_table_slab_row(slab, s);

			if (SQ_PEEK(&row->born) != 0 && is_alive(row))
				kill_row(writer, row);
		}
	}
}

/* ---- Publishing and reclaiming ---- */

void
sq_table_publish(SqTableWriter *writer)
{
	SqTable *table = writer->table;

	link_all_staged(writer);
	if (!writer->changed)
	{
		sq_table_reclaim(writer);
		return;
	}
	SQ_STORE(&table->rows, table->pending_rows);
	__atomic_store_n(&table->published, writer->sequence, __ATOMIC_SEQ_CST);
	writer->sequence++;
	writer->changed = false;
	sq_table_reclaim(writer);
}

/* Can a claim see this version? */
static bool
is_claimed(const SqTableWriter *writer, const SqTableRow *row)
{
	uint64 born = SQ_PEEK(&row->born);
	uint64 died = SQ_PEEK(&row->died);
	int low = 0, high = writer->nclaims;

	/* the first claim at or after its birth */
	while (low < high)
	{
		int middle = (low + high) / 2;

		if (writer->claims[middle] < born)
			low = middle + 1;
		else
			high = middle;
	}
	return low < writer->nclaims && writer->claims[low] < died;
}

/* Unlink those of a list that no claim sees; the others into kept, which may
 * be the list itself. */
static void
sift(SqTableWriter *writer, const SqTableRefs *refs, SqTableRefs *kept)
{
	size_t count = refs->count;

	if (refs == kept)
		kept->count = 0;
	for (size_t i = 0; i < count; i++)
	{
		SqTableRow *row = sq_table_pointer(writer->arena, refs->items[i]);

		if (is_claimed(writer, row))
			sq_table_refs_add(kept, refs->items[i]);
		else
			sq_table_writer_unlink(writer, row);
	}
}

/* Read the claims; false if that could not be done. *changed: they are others
 * than last time. */
static bool
read_claims(SqTableWriter *writer, bool *changed)
{
	uint64 hash = 0;

	writer->nclaims =
		sq_table_arena_claims(writer->arena, writer->table->number,
							  &writer->claims, &writer->claims_capacity);
	if (writer->nclaims < 0)
		return false;
	for (int c = 0; c < writer->nclaims; c++)
		hash = (hash ^ writer->claims[c]) * UINT64CONST(0x9E3779B97F4A7C15);
	*changed = hash != writer->claims_hash;
	writer->claims_hash = hash;
	return true;
}

static void
free_run(SqTableWriter *writer, uint32 run)
{
	SQ_STORE(&writer->table->chunks,
			 SQ_PEEK(&writer->table->chunks) -
				 sq_table_arena_run_length(writer->arena, run));
	sq_table_arena_free(writer->arena, run);
}

/* Say of what was unlinked since the last time that this epoch is the first
 * whose readers can't meet it. Only now: the epoch that one reads at an unlink
 * may have ended, by another table's writer, before all see the unlink. */
static void
stamp_retired(SqTableQueue *queue, uint64 epoch)
{
	for (size_t i = queue->count - queue->fresh; i < queue->count; i++)
		queue->items[(queue->first + i) % queue->capacity].epoch = epoch;
	queue->fresh = 0;
}

/* Give back what no reader can meet any more. */
static void
free_retired(SqTableWriter *writer)
{
	SqTableQueue *queue = &writer->retired;
	uint64 epoch = sq_table_arena_advance(writer->arena);
	uint64 oldest = sq_table_arena_oldest(writer->arena, epoch);

	stamp_retired(queue, epoch);
	/* freeing a row may retire a run, which stays for the next time */
	while (queue->count > queue->fresh &&
		   queue->items[queue->first].epoch <= oldest)
	{
		SqTableRetired item = queue->items[queue->first];

		queue->first = (queue->first + 1) % queue->capacity;
		queue->count--;
		if (item.row != 0)
			sq_table_slab_free(writer,
							   sq_table_pointer(writer->arena, item.row));
		else
			free_run(writer, item.run);
	}
}

bool
sq_table_reclaim(SqTableWriter *writer)
{
	bool changed;

	if ((writer->dying.count > 0 || writer->retained.count > 0) &&
		read_claims(writer, &changed))
	{
		if (changed && writer->retained.count > 0)
			sift(writer, &writer->retained, &writer->retained);
		/* what is not published yet still belongs to the state before */
		if (!writer->changed && writer->dying.count > 0)
		{
			sift(writer, &writer->dying, &writer->retained);
			writer->dying.count = 0;
		}
	}
	if (writer->retired.count > 0)
		free_retired(writer);
	return writer->dying.count + writer->retained.count +
			   writer->retired.count >
		   0;
}
