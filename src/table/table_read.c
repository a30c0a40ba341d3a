/*
 * table_read.c
 *		What readers do: find by key, find by value, scan.
 *
 * Every function enters, follows what it finds with acquiring loads, and
 * leaves; between two calls only rows that the claim sees are kept. See
 * table_arena.c for why that is enough and table_write.c for what a reader may
 * meet.
 *
 * Memory: none. Locks: none.
 */
#include "table/table_internal.h"

/* Keys that are looked up together: as many cache misses under way as a core
 * can have. */
#define GROUP 16

static SqTableIndexSearch
search_of(const SqTableView *view, int index)
{
	return (SqTableIndexSearch){
		view->arena, SQ_LOAD(&view->table->roots[index]), view->layout, index};
}

/* The version of a chain that the view sees, or NULL. */
static const SqTableRow *
visible_version(const SqTableView *view, SqRef ref)
{
	while (ref != 0)
	{
		const SqTableRow *row = sq_table_pointer(view->arena, ref);

		if (sq_table_row_visible(row, view->sequence))
			return row;
		ref = SQ_LOAD(&row->older);
	}
	return NULL;
}

static const SqTableRow *
find_hashed(const SqTableView *view, const SqTableIndexSearch *search,
			uint32 hash, const SqTableCell *key)
{
	return visible_version(view, sq_table_index_lookup(search, hash, key));
}

const SqTableRow *
sq_table_find(const SqTableView *view, const SqTableCell *key)
{
	uint32 hash = sq_table_hash_cells(view->layout, 0, key, view->arena->seed);
	const SqTableRow *row;
	SqTableIndexSearch search;

	sq_table_enter(view->arena, view->reader);
	search = search_of(view, 0);
	row = find_hashed(view, &search, hash, key);
	sq_table_leave(view->reader);
	return row;
}

/* Look up to GROUP keys: first all slots are fetched, then all rows. */
static void
find_group(const SqTableView *view, const SqTableIndexSearch *search,
		   const SqTableCell *keys, int count, const SqTableRow **rows)
{
	int width = view->layout->indexes[0].ncolumns;
	size_t values = view->layout->start + sizeof(uint64);
	uint32 hashes[GROUP];

	for (int i = 0; i < count; i++)
	{
		hashes[i] = sq_table_hash_cells(view->layout, 0, &keys[i * width],
										view->arena->seed);
		sq_table_index_prefetch(view->arena, search->root, hashes[i]);
	}
	for (int i = 0; i < count; i++)
	{
		SqRef ref = sq_table_index_guess(view->arena, search->root, hashes[i]);
		const char *row = sq_table_pointer(view->arena, ref);

		/* Its header, and where values of variable length are, which may be
		 * another line. Not a function of its own: one that only fetches ahead
		 * is taken for one without effect, and left out. */
		if (ref != 0)
		{
			__builtin_prefetch(row);
			__builtin_prefetch(row + values);
		}
	}
	for (int i = 0; i < count; i++)
		rows[i] = find_hashed(view, search, hashes[i], &keys[i * width]);
}

void
sq_table_find_many(const SqTableView *view, const SqTableCell *keys, int count,
				   const SqTableRow **rows)
{
	int width = view->layout->indexes[0].ncolumns;
	SqTableIndexSearch search;

	sq_table_enter(view->arena, view->reader);
	search = search_of(view, 0);
	for (int i = 0; i < count; i += GROUP)
		find_group(view, &search, &keys[i * width], Min(GROUP, count - i),
				   &rows[i]);
	sq_table_leave(view->reader);
}

/* ---- By value ---- */

/* The first row of a list, from ref on, that the view sees. */
static const SqTableRow *
next_visible(const SqTableView *view, int index, SqRef ref)
{
	while (ref != 0)
	{
		const SqTableRow *row = sq_table_pointer(view->arena, ref);

		if (sq_table_row_visible(row, view->sequence))
			return row;
		ref = SQ_LOAD(&row->links[index - 1].next);
	}
	return NULL;
}

const SqTableRow *
sq_table_match_first(const SqTableView *view, int index,
					 const SqTableCell *value)
{
	uint32 hash =
		sq_table_hash_cells(view->layout, index, value, view->arena->seed);
	const SqTableRow *row;
	SqTableIndexSearch search;

	sq_table_enter(view->arena, view->reader);
	search = search_of(view, index);
	row =
		next_visible(view, index, sq_table_index_lookup(&search, hash, value));
	sq_table_leave(view->reader);
	return row;
}

const SqTableRow *
sq_table_match_next(const SqTableView *view, int index, const SqTableRow *row)
{
	const SqTableRow *next;

	sq_table_enter(view->arena, view->reader);
	next = next_visible(view, index, SQ_LOAD(&row->links[index - 1].next));
	sq_table_leave(view->reader);
	return next;
}

/* ---- Scans ---- */

/* The visible rows of a slab from scan->slot on; how many were found. */
static int
scan_slab(const SqTableView *view, SqTableSlab *slab, SqTableScan *scan,
		  const SqTableRow **rows, int max)
{
	uint32 ready = SQ_LOAD(&slab->ready);
	int found = 0;

	while (scan->slot < ready && found < max)
	{
		const SqTableRow *row = sq_table_slab_row(slab, scan->slot++);

		if (sq_table_row_visible(row, view->sequence))
			rows[found++] = row;
	}
	return found;
}

int
sq_table_scan_next(const SqTableView *view, SqTableScan *scan,
				   const SqTableRow **rows, int max)
{
	SqTableVector *vector = &view->table->rowchunks;
	int found = 0;
	uint32 count;
	uint32 *entries;

	sq_table_enter(view->arena, view->reader);
	count = SQ_LOAD(&vector->count);
	entries = sq_table_chunk_pointer(view->arena, SQ_LOAD(&vector->run));
	while (scan->position < count && found < max)
	{
		uint32 run = SQ_LOAD(&entries[scan->position]);

		if (run != 0)
			found += scan_slab(view, sq_table_chunk_pointer(view->arena, run),
							   scan, rows + found, max - found);
		if (found == max)
			break;
		scan->position++;
		scan->slot = 0;
	}
	sq_table_leave(view->reader);
	return found;
}
