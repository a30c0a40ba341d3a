/*
 * table_memory_test.c
 *		Room table: what memory a table takes, gives back, and finds again.
 *
 * Includes the room's inside: hash values that collide are looked for, and
 * empty row chunks are counted, neither of which the door tells.
 */
#include "table/table_internal.h"

#include "table_unit.h"

#include <sys/mman.h>

typedef struct Bench
{
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableWriter *writer;
} Bench;

/* id int8, group int8 (indexed), text */
static const SqTableColumn columns[] = {
	{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
	{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
	{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true}};
static const SqTableIndexSpec indexes[] = {{1, {0}}, {1, {1}}};

static Bench
open_bench(size_t size, int ntables)
{
	Bench bench = {.arena = unit_arena(size, ntables, 2)};

	bench.layout = sq_table_layout_create(columns, 3, indexes, 2);
	bench.writer = sq_table_writer_open(bench.arena, 0, bench.layout);
	return bench;
}

static void
close_bench(Bench *bench)
{
	sq_table_writer_close(bench->writer);
	unit_free_layout(bench->layout);
	free(bench->arena);
}

static SqStatus
put_into(SqTableWriter *writer, int64 id, int64 group, size_t length)
{
	SqTableCell cells[] = {unit_word(id), unit_word(group),
						   unit_slice(unit_pool() + id % 1000, length)};
	SqError error;
	SqStatus status = sq_table_put(writer, cells, &error);

	if (status == SQ_ERROR && error.sqlstate != ERRCODE_OUT_OF_MEMORY)
		abort();
	return status;
}

static bool
put(Bench *bench, int64 id, int64 group, size_t length)
{
	return put_into(bench->writer, id, group, length) == SQ_OK;
}

static bool
drop_row(Bench *bench, int64 id)
{
	SqTableCell key = unit_word(id);

	return sq_table_delete(bench->writer, &key);
}

static SqTableView
open_view(Bench *bench)
{
	SqTableView view;

	if (!sq_table_view_open(&view, bench->arena, 0, bench->layout,
							sq_table_reader_at(bench->arena, 0)))
		exit(2);
	return view;
}

/* Runs that hold rows. */
static int
count_row_runs(const Bench *bench)
{
	const SqTableVector *vector = &sq_table_at(bench->arena, 0)->rowchunks;
	const uint32 *entries = sq_table_chunk_pointer(bench->arena, vector->run);
	int count = 0;

	for (uint32 p = 0; p < vector->count; p++)
		count += entries[p] != 0;
	return count;
}

/* The ids of a view's rows are first .. last, each found with this group. */
static bool
has_rows(Bench *bench, int64 first, int64 last, int64 group)
{
	SqTableView view = open_view(bench);
	const SqTableRow *rows[100];
	SqTableScan scan = {0};
	int64 scanned = 0;
	bool good = true;
	int count;

	while ((count = sq_table_scan_next(&view, &scan, rows, 100)) > 0)
		scanned += count;
	for (int64 id = first; id <= last; id++)
	{
		SqTableCell key = unit_word(id);
		const SqTableRow *row = sq_table_find(&view, &key);

		good = good && row != NULL &&
			   sq_table_row_word(&bench->layout->columns[1], row) == group;
	}
	sq_table_view_close(&view);
	return good && scanned == last - first + 1;
}

/* ---- Updates ---- */

#define ROWS 10000

/* One round of updates: every row once, published every so many. */
static uint64
update_all(Bench *bench, int round, int step)
{
	uint64 most = 0;

	for (int id = 0; id < ROWS; id++)
	{
		if (!put(bench, id, round % 10, 10 + (id + round) % 4))
			return UINT64_MAX;
		if (id % step == step - 1)
		{
			sq_table_publish(bench->writer);
			most = Max(most, unit_bytes(bench->arena, 0));
		}
	}
	return most;
}

static void
test_updates(void)
{
	Bench bench = open_bench(64 * MB, 1);
	uint64 early = 0;
	uint64 late = 0;
	uint64 whole;

	for (int round = 0; round < 100; round++)
	{
		uint64 most = update_all(&bench, round, 500);

		if (round < 5)
			early = Max(early, most);
		else
			late = Max(late, most);
	}
	CHECK_NAMED(late <= early, "100 updates of each row: no more memory "
							   "than after 5");
	if (late > early)
		printf("# %llu, then %llu bytes\n", (unsigned long long) early,
			   (unsigned long long) late);
	CHECK(has_rows(&bench, 0, ROWS - 1, 99 % 10));
	/* published at once: the state before has to stay until then */
	whole = update_all(&bench, 100, ROWS);
	CHECK(whole <= 3 * early);
	CHECK(unit_settle(bench.writer));
	close_bench(&bench);
}

static void
test_old_view(void)
{
	Bench bench = open_bench(64 * MB, 1);
	SqTableView view;
	uint64 before;
	uint64 most = 0;

	for (int round = 0; round < 5; round++)
		update_all(&bench, round, 100);
	unit_settle(bench.writer);
	before = unit_bytes(bench.arena, 0);
	view = open_view(&bench);
	for (int round = 5; round < 30; round++)
		most = Max(most, update_all(&bench, round, 100));
	CHECK_NAMED(most <= before * 9 / 4,
				"an old view keeps no more than a second version of each row");
	if (most > before * 9 / 4)
		printf("# %llu, then %llu bytes\n", (unsigned long long) before,
			   (unsigned long long) most);
	CHECK_NAMED(sq_table_reclaim(bench.writer), "which waits for it");
	sq_table_view_close(&view);
	CHECK(unit_settle(bench.writer));
	sq_table_clear(bench.writer);
	sq_table_publish(bench.writer);
	CHECK(unit_settle(bench.writer));
	CHECK_INT(count_row_runs(&bench), 0);
	close_bench(&bench);
}

/* One key many times in a batch: the versions that nobody can see go at once,
 * or publishing would walk a chain of all of them for each of them. */
static void
test_hot_key(void)
{
	Bench bench = open_bench(64 * MB, 1);
	uint64 most = 0;

	put(&bench, 1, 0, 20);
	sq_table_publish(bench.writer);
	for (int i = 1; i <= 300000; i++)
	{
		if (!put(&bench, 1, i, 20))
			break;
		if (i % 3 == 0)
			drop_row(&bench, 1);
		if (i % 1000 == 0)
			sq_table_reclaim(bench.writer);
		most = Max(most, unit_bytes(bench.arena, 0));
	}
	CHECK_NAMED(most <= 1 * MB,
				"a key changed 300000 times in a batch keeps no versions");
	if (most > 1 * MB)
		printf("# %llu bytes\n", (unsigned long long) most);
	put(&bench, 1, 77, 20);
	sq_table_publish(bench.writer);
	CHECK(has_rows(&bench, 1, 1, 77));
	CHECK(unit_settle(bench.writer));
	close_bench(&bench);
}

/* ---- Deletes ---- */

static void
test_delete_all(void)
{
	Bench bench = open_bench(64 * MB, 1);
	uint64 filled;
	uint64 emptied;
	bool good = true;

	for (int id = 0; id < ROWS; id++)
		good = good && put(&bench, id, id % 100, 100 + id % 3000);
	sq_table_publish(bench.writer);
	filled = unit_bytes(bench.arena, 0);
	CHECK(good && filled > 16 * MB);
	for (int id = 0; id < ROWS; id++)
		good = good && drop_row(&bench, id);
	sq_table_publish(bench.writer);
	CHECK(good && unit_settle(bench.writer));
	CHECK_INT(sq_table_stats(bench.arena, 0).rows, 0);
	CHECK_INT(count_row_runs(&bench), 0);
	emptied = unit_bytes(bench.arena, 0);
	CHECK_NAMED(emptied < 1 * MB, "without rows a table has its indexes only");
	CHECK(sq_table_arena_stats(bench.arena).free ==
		  sq_table_arena_stats(bench.arena).size - emptied);
	for (int id = 0; id < ROWS; id++)
		good = good && put(&bench, id, 5, 100 + id % 3000);
	sq_table_publish(bench.writer);
	CHECK(good && has_rows(&bench, 0, ROWS - 1, 5));
	close_bench(&bench);
}

/* Other keys all the time: marks of removed slots don't pile up. */
static void
test_churn(void)
{
	Bench bench = open_bench(64 * MB, 1);
	uint64 early = 0;
	uint64 late = 0;
	bool good = true;

	for (int64 id = 0; id < 400000; id++)
	{
		good = good && put(&bench, id, id, 8);
		good = good && (id < 1000 || drop_row(&bench, id - 1000));
		if (id % 100 != 99)
			continue;
		sq_table_publish(bench.writer);
		if (id < 50000)
			early = Max(early, unit_bytes(bench.arena, 0));
		else
			late = Max(late, unit_bytes(bench.arena, 0));
	}
	CHECK_NAMED(good, "400000 keys come and go");
	CHECK_INT(sq_table_stats(bench.arena, 0).rows, 1000);
	CHECK_NAMED(late <= early, "... without taking more memory");
	if (late > early)
		printf("# %llu, then %llu bytes\n", (unsigned long long) early,
			   (unsigned long long) late);
	close_bench(&bench);
}

/* ---- A full arena ---- */

/* Put until it is full, with what was retired on the way used too, and
 * publish; how many were put. */
static int64
fill(SqTableWriter *writer, int64 from, size_t length)
{
	int64 id = from;
	int64 before;

	do
	{
		before = id;
		while (put_into(writer, id, id % 3, length) == SQ_OK)
			id++;
		sq_table_publish(writer);
		unit_settle(writer);
	} while (id > before);
	return id - from;
}

static void
test_full(void)
{
	Bench bench = open_bench(8 * MB, 2);
	SqTableWriter *other = sq_table_writer_open(bench.arena, 1, bench.layout);
	int64 count;
	int64 more;
	uint64 bytes;

	for (int64 id = 0; id < 10000; id++)
		put_into(other, id, 0, 200);
	sq_table_publish(other);
	count = fill(bench.writer, 0, 50);
	CHECK_NAMED(count > 10000, "filled by %lld rows", (long long) count);
	CHECK_INT(sq_table_stats(bench.arena, 0).rows, count);
	bytes = unit_bytes(bench.arena, 0);
	for (int i = 0; i < 1000; i++)
		if (put(&bench, count + i, 0, 20000))
			break;
	sq_table_publish(bench.writer);
	CHECK_NAMED(sq_table_stats(bench.arena, 0).rows == count &&
					unit_bytes(bench.arena, 0) <= bytes,
				"puts that fail change nothing");
	CHECK(drop_row(&bench, count - 1));
	sq_table_publish(bench.writer);
	CHECK_NAMED(put(&bench, count - 1, count % 3, 50),
				"the place of a deleted row is there again");
	sq_table_writer_close(other);
	sq_table_drop(bench.arena, 1);
	CHECK_INT(unit_bytes(bench.arena, 1), 0);
	more = fill(bench.writer, count, 50);
	CHECK_NAMED(more > 5000, "after a drop of another table %lld rows more",
				(long long) more);
	CHECK_INT(sq_table_stats(bench.arena, 0).rows, count + more);
	close_bench(&bench);
}

/* Full in the midst of anything: the rows that were put are all there, the
 * one that was not is not, and what it had begun is given back. */
static void
test_full_anywhere(void)
{
	bool good = true;

	for (int chunks = 1; chunks < 40; chunks++)
	{
		Bench bench = open_bench(chunks * SQ_TABLE_CHUNK, 1);
		int64 count = fill(bench.writer, 0, chunks * 37);
		uint64 taken;

		good = good && sq_table_stats(bench.arena, 0).rows == count;
		taken = sq_table_arena_stats(bench.arena).size -
				sq_table_arena_stats(bench.arena).free;
		good = good && taken == unit_bytes(bench.arena, 0);
		sq_table_clear(bench.writer);
		sq_table_publish(bench.writer);
		good = good && unit_settle(bench.writer);
		good = good && count_row_runs(&bench) == 0;
		for (int64 id = 0; id < count; id++)
			good = good && put(&bench, id, 4, chunks * 37);
		sq_table_publish(bench.writer);
		good = good && has_rows(&bench, 0, count - 1, 4);
		close_bench(&bench);
		if (!good &&
			printf("# %d chunks, %lld rows\n", chunks, (long long) count))
			break;
	}
	CHECK_NAMED(good, "full arenas of 1 to 39 chunks");
}

static void
test_too_large(void)
{
	Bench bench = open_bench(2 * MB, 1);
	SqTableArena *small = pg_malloc(4096);

	CHECK(!put(&bench, 1, 1, UNIT_POOL * 2));
	CHECK(put(&bench, 1, 1, UNIT_POOL / 2));
	sq_table_publish(bench.writer);
	CHECK(has_rows(&bench, 1, 1, 1));
	close_bench(&bench);
	CHECK(sq_table_arena_init(small, 4096, 1, 1, 0) == NULL);
	free(small);
}

/* Places are numbers of 32 bits: what lies beyond is not used. */
static void
test_arena_limit(void)
{
	size_t limit = (size_t) 64 << 30;
	size_t size = limit + limit / 4;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	SqTableArena *arena;

	if (!CHECK(memory != MAP_FAILED))
		return;
	arena = sq_table_arena_init(memory, size, 1, 1, 1);
	CHECK(sq_table_arena_stats(arena).size < limit);
	CHECK(sq_table_arena_stats(arena).size > limit - 64 * MB);
	munmap(memory, size);
}

/* What the overhead says is what an arena takes. */
static void
test_overhead(void)
{
	bool good = true;

	for (int i = 0; i < 60; i++)
	{
		size_t size = (1 + i * i) * (size_t) SQ_TABLE_CHUNK;
		SqTableArena *arena = unit_arena(size, 1 + i, 1 + i * 3);
		SqTableArenaStats stats = sq_table_arena_stats(arena);

		good = good && stats.free == stats.size && stats.size >= size &&
			   stats.size <= size + 3 * SQ_TABLE_CHUNK;
		free(arena);
	}
	CHECK_NAMED(good, "an arena with its overhead has the size asked for");
}

/* ---- Indexes ---- */

static void
test_many_rows(void)
{
	Bench bench = open_bench(64 * MB, 1);
	bool good = true;

	for (int64 id = 0; id < 200000; id++)
		good = good && put(&bench, id, 9, 3);
	sq_table_publish(bench.writer);
	CHECK_NAMED(good && has_rows(&bench, 0, 199999, 9), "200000 rows");
	close_bench(&bench);
}

/* Two ids with one hash value, after those given before. */
static bool
next_collision(const Bench *bench, uint32 *owners, int64 *from, int64 *other)
{
	for (; *from < INT64CONST(3000000); ++*from)
	{
		SqTableCell key = unit_word(*from);
		uint32 hash =
			sq_table_hash_cells(bench->layout, 0, &key, bench->arena->seed);
		uint32 *owner = &owners[hash >> 8];
		SqTableCell before = unit_word(*owner);

		if (*owner != 0 && sq_table_hash_cells(bench->layout, 0, &before,
											   bench->arena->seed) == hash)
		{
			*other = *owner;
			*owner = 0;
			return true;
		}
		*owner = (uint32) *from;
	}
	return false;
}

/* Keys, and indexed values, that differ but have one hash value. */
static void
test_collisions(void)
{
	Bench bench = open_bench(16 * MB, 1);
	uint32 *owners = pg_malloc0(sizeof(uint32) << 24);
	int64 one = 1;
	int64 other;
	int pairs = 0;
	bool good = true;

	for (; pairs < 20 && next_collision(&bench, owners, &one, &other); pairs++)
	{
		SqTableCell values[] = {unit_word(one), unit_word(other)};
		SqTableView view;

		good = good && put(&bench, one, one, 5) && put(&bench, other, other, 5);
		sq_table_publish(bench.writer);
		view = open_view(&bench);
		for (int i = 0; i < 2; i++)
		{
			const SqTableRow *row = sq_table_find(&view, &values[i]);

			good = good && row != NULL &&
				   row == sq_table_match_first(&view, 1, &values[i]) &&
				   sq_table_match_next(&view, 1, row) == NULL;
			good = good && sq_table_row_word(&bench.layout->columns[0], row) ==
							   values[i].word;
		}
		good = good && sq_table_delete(bench.writer, &values[0]) &&
			   !sq_table_delete(bench.writer, &values[0]);
		sq_table_publish(bench.writer);
		sq_table_view_close(&view);
		view = open_view(&bench);
		good = good && sq_table_find(&view, &values[0]) == NULL &&
			   sq_table_match_first(&view, 1, &values[0]) == NULL &&
			   sq_table_find(&view, &values[1]) != NULL &&
			   sq_table_match_first(&view, 1, &values[1]) != NULL;
		sq_table_view_close(&view);
		one++;
	}
	CHECK_INT(pairs, 20);
	CHECK_NAMED(good, "keys with one hash value are different keys");
	free(owners);
	close_bench(&bench);
}

/* ---- Two tables, claims ---- */

static void
test_two_tables(void)
{
	Bench bench = open_bench(32 * MB, 2);
	SqTableWriter *other = sq_table_writer_open(bench.arena, 1, bench.layout);
	SqTableArenaStats stats;
	SqTableView view;
	bool good = true;

	for (int64 id = 0; id < 20000; id++)
	{
		good = good && put(&bench, id, 1, 50) &&
			   put_into(other, id, 2, 500) == SQ_OK;
		if (id % 1000 == 0)
		{
			sq_table_publish(bench.writer);
			sq_table_publish(other);
		}
	}
	sq_table_publish(bench.writer);
	CHECK(good && has_rows(&bench, 0, 19999, 1));
	CHECK_NAMED(sq_table_stats(bench.arena, 1).rows == 19001,
				"the other one is not published");
	view = open_view(&bench);
	sq_table_clear(other);
	sq_table_publish(other);
	CHECK_NAMED(unit_settle(other), "a view of one table holds nothing of "
									"another");
	sq_table_view_close(&view);
	CHECK(has_rows(&bench, 0, 19999, 1));
	stats = sq_table_arena_stats(bench.arena);
	CHECK(stats.size - stats.free ==
		  unit_bytes(bench.arena, 0) + unit_bytes(bench.arena, 1));
	sq_table_writer_close(other);
	sq_table_drop(bench.arena, 1);
	CHECK(has_rows(&bench, 0, 19999, 1));
	stats = sq_table_arena_stats(bench.arena);
	CHECK(stats.size - stats.free == unit_bytes(bench.arena, 0));
	close_bench(&bench);
}

static void
test_claims(void)
{
	static SqTableView views[SQ_TABLE_CLAIMS];
	Bench bench = open_bench(16 * MB, 1);
	SqTableReader *reader = sq_table_reader_at(bench.arena, 0);
	SqTableCell key = unit_word(1);
	SqTableView extra;
	bool good = true;

	for (int v = 0; v < SQ_TABLE_CLAIMS; v++)
	{
		put(&bench, 1, v, 5);
		sq_table_publish(bench.writer);
		good = good && sq_table_view_open(&views[v], bench.arena, 0,
										  bench.layout, reader);
	}
	CHECK_NAMED(good, "%d views", SQ_TABLE_CLAIMS);
	CHECK(!sq_table_view_open(&extra, bench.arena, 0, bench.layout, reader));
	for (int v = 0; v < SQ_TABLE_CLAIMS; v++)
	{
		const SqTableRow *row = sq_table_find(&views[v], &key);

		good = good && row != NULL &&
			   sq_table_row_word(&bench.layout->columns[1], row) == v;
	}
	CHECK_NAMED(good, "each sees its own version");
	sq_table_view_close(&views[100]);
	CHECK(sq_table_view_open(&extra, bench.arena, 0, bench.layout, reader));
	CHECK(sq_table_reclaim(bench.writer));
	sq_table_reader_reset(reader);
	CHECK_NAMED(unit_settle(bench.writer), "a reset forgets all claims");
	CHECK(sq_table_view_open(&extra, bench.arena, 0, bench.layout, reader));
	close_bench(&bench);
}

/* Another slot sees what a view sees, also after that has gone. */
static void
test_join(void)
{
	Bench bench = open_bench(4 * MB, 2);
	SqTableReader *reader = sq_table_reader_at(bench.arena, 1);
	SqTableCell key = unit_word(1);
	SqTableView first;
	SqTableView second;
	const SqTableRow *row;

	put(&bench, 1, 1, 10);
	sq_table_publish(bench.writer);
	first = open_view(&bench);
	put(&bench, 1, 2, 10);
	sq_table_publish(bench.writer);
	CHECK(sq_table_view_join(&second, bench.arena, sq_table_view_number(&first),
							 bench.layout, reader, first.sequence));
	sq_table_view_close(&first);
	put(&bench, 1, 3, 10);
	sq_table_publish(bench.writer);
	CHECK_NAMED(sq_table_reclaim(bench.writer), "a version is kept");
	row = sq_table_find(&second, &key);
	CHECK(row != NULL &&
		  sq_table_row_word(&bench.layout->columns[1], row) == 1);
	sq_table_view_close(&second);
	CHECK_NAMED(unit_settle(bench.writer), "nobody needs it any more");
	CHECK(has_rows(&bench, 1, 1, 3));
	close_bench(&bench);
}

int
main(void)
{
	test_updates();
	test_old_view();
	test_hot_key();
	test_delete_all();
	test_churn();
	test_full();
	test_full_anywhere();
	test_too_large();
	test_arena_limit();
	test_overhead();
	test_many_rows();
	test_collisions();
	test_two_tables();
	test_claims();
	test_join();
	return unit_end();
}
