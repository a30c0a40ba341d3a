/*
 * table_adopt_test.c
 *		Room table: writers that end anywhere, and positions.
 *
 * A writer is closed in the midst of a batch, with memory waiting to be freed,
 * and another one takes over. Its table must be the published one, and every
 * chunk of it in use again: the runs that something leads to are counted by
 * the room's inside.
 */
#include "table/table_internal.h"

#include "table_unit.h"

#define IDS    3000
#define ROUNDS 400

static const UnitSchema schema = {
	.name = "rows of all sizes",
	.nkeys = IDS,
	.ncolumns = 5,
	.columns = {{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
				{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
				{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
				{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
				{.kind = SQ_TABLE_FIXED, .width = 16, .alignment = 1}},
	.spread = {[1] = 30, [2] = 300},
	.id_column = 0,
	.nindexes = 3,
	.indexes = {{1, {0}}, {1, {1}}, {1, {2}}}};

typedef struct World
{
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableWriter *writer;
	SqTableView view;
	bool viewing;
	int seen[IDS]; /* versions that the view sees */
	int published[IDS];
	int pending[IDS];
	int version;
	uint64 random;
	const char *wrong;
} World;

static bool
expect(World *world, bool good, const char *what)
{
	if (!good && world->wrong == NULL)
		world->wrong = what;
	return good;
}

/* ---- What must hold ---- */

static void
add_run(void *arg, uint32 run)
{
	World *world = ((void **) arg)[0];
	uint64 *chunks = ((void **) arg)[1];

	if (run != 0)
		*chunks += sq_table_arena_run_length(world->arena, run);
}

/* Chunks that something of the table leads to; of them, row runs. */
static uint64
count_reachable(World *world, int *row_runs)
{
	SqTable *table = sq_table_at(world->arena, 0);
	const uint32 *entries =
		sq_table_chunk_pointer(world->arena, table->rowchunks.run);
	uint64 chunks = 0;
	void *arg[] = {world, &chunks};

	*row_runs = 0;
	for (uint32 p = 0; p < table->rowchunks.count; p++)
	{
		add_run(arg, entries[p]);
		*row_runs += entries[p] != 0;
	}
	add_run(arg, table->rowchunks.run);
	add_run(arg, table->positions);
	for (int i = 0; i < SQ_TABLE_INDEXES; i++)
		sq_table_index_runs(world->arena, table->roots[i], add_run, arg);
	return chunks;
}

/* With no view open: all of the table's memory is reachable. */
static int
check_memory(World *world)
{
	SqTableArenaStats stats = sq_table_arena_stats(world->arena);
	uint64 bytes = unit_bytes(world->arena, 0);
	int row_runs;

	expect(world, unit_settle(world->writer), "something waits for ever");
	bytes = unit_bytes(world->arena, 0);
	expect(world, bytes == count_reachable(world, &row_runs) * SQ_TABLE_CHUNK,
		   "memory that nothing leads to");
	stats = sq_table_arena_stats(world->arena);
	expect(world, stats.size - stats.free == bytes,
		   "memory that the table doesn't count");
	return row_runs;
}

static void
check_state(World *world, const SqTableView *view, const int *state)
{
	const SqTableRow *rows[64];
	SqTableCell cells[UNIT_COLUMNS];
	SqTableScan scan = {0};
	int live = 0;
	int count;

	for (int id = 0; id < IDS; id++)
		live += state[id] > 0;
	while ((count = sq_table_scan_next(view, &scan, rows, 64)) > 0)
		for (int i = 0; i < count; i++)
		{
			int id = unit_row_id(&schema, world->layout, rows[i]);

			live--;
			if (!expect(world, state[id] > 0, "a row that is not there"))
				return;
			unit_cells(&schema, id, state[id], cells);
			expect(world, unit_same_row(world->layout, rows[i], cells),
				   "values of a row");
			expect(world, sq_table_find(view, cells) == rows[i],
				   "a row that is not found");
		}
	expect(world, live == 0, "rows that are missing");
}

static void
check_match(World *world, const SqTableView *view, const int *state)
{
	int digit = unit_below(&world->random, schema.spread[1]);
	SqTableCell value = unit_digit_cell(&schema.columns[1], digit);
	const SqTableRow *row = sq_table_match_first(view, 1, &value);
	int count = 0;

	for (int id = 0; id < IDS; id++)
		count +=
			state[id] > 0 && unit_digit(&schema, id, state[id], 1) == digit;
	for (; row != NULL && count >= 0; count--)
		row = sq_table_match_next(view, 1, row);
	expect(world, count == 0, "rows of a match");
}

static void
check_published(World *world)
{
	SqTableView view;

	if (!sq_table_view_open(&view, world->arena, 0, world->layout,
							sq_table_reader_at(world->arena, 1)))
		exit(2);
	check_state(world, &view, world->published);
	check_match(world, &view, world->published);
	sq_table_view_close(&view);
}

/* ---- What is done ---- */

static void
change(World *world)
{
	int id = unit_below(&world->random, IDS);
	SqTableCell cells[UNIT_COLUMNS];
	SqError error;

	if (unit_below(&world->random, 4) == 0)
	{
		cells[0] = unit_word(id - UNIT_ID_OFFSET);
		expect(world,
			   sq_table_delete(world->writer, cells) ==
				   (world->pending[id] > 0),
			   "delete");
		world->pending[id] = 0;
		return;
	}
	unit_cells(&schema, id, ++world->version, cells);
	expect(world, sq_table_put(world->writer, cells, &error) == SQ_OK, "put");
	world->pending[id] = world->version;
}

static void
publish(World *world)
{
	sq_table_publish(world->writer);
	memcpy(world->published, world->pending, sizeof(world->pending));
}

static void
reopen(World *world)
{
	sq_table_writer_close(world->writer);
	world->writer = sq_table_writer_open(world->arena, 0, world->layout);
	memcpy(world->pending, world->published, sizeof(world->pending));
}

static void
open_view(World *world)
{
	world->viewing =
		sq_table_view_open(&world->view, world->arena, 0, world->layout,
						   sq_table_reader_at(world->arena, 0));
	memcpy(world->seen, world->published, sizeof(world->seen));
}

static void
close_view(World *world)
{
	if (!world->viewing)
		return;
	check_state(world, &world->view, world->seen);
	check_match(world, &world->view, world->seen);
	sq_table_view_close(&world->view);
	world->viewing = false;
}

/* Some changes, some of them published, and the writer is gone; now and then
 * the next one, too, before it has settled. */
static void
run_round(World *world)
{
	int nchanges = unit_below(&world->random, 300);
	bool publishes = unit_below(&world->random, 2) == 0;
	int row_runs = check_memory(world);

	if (unit_below(&world->random, 3) == 0)
		open_view(world);
	for (int i = 0; i < nchanges; i++)
	{
		change(world);
		if (publishes && unit_below(&world->random, 100) == 0)
			publish(world);
		if (unit_below(&world->random, 50) == 0)
			sq_table_reclaim(world->writer);
	}
	reopen(world);
	check_published(world);
	for (int again = unit_below(&world->random, 3); again > 0; again--)
	{
		change(world);
		if (unit_below(&world->random, 2) == 0)
			sq_table_reclaim(world->writer);
		reopen(world);
	}
	close_view(world);
	check_published(world);
	if (!publishes)
		expect(world, check_memory(world) == row_runs,
			   "an unpublished batch leaves row chunks");
	else
		check_memory(world);
}

static void
test_adopt(uint64 seed)
{
	World *world = pg_malloc0(sizeof(World));
	int round = 0;

	world->arena = unit_arena(256 * MB, 1, 2);
	world->layout = unit_layout(&schema);
	world->writer = sq_table_writer_open(world->arena, 0, world->layout);
	world->random = seed;
	for (int i = 0; i < IDS; i++)
		change(world);
	publish(world);
	for (; round < ROUNDS && world->wrong == NULL; round++)
		run_round(world);
	if (!CHECK_NAMED(world->wrong == NULL,
					 "a writer that is gone leaves what was published"))
		printf("# seed %llu, round %d: %s\n", (unsigned long long) seed, round,
			   world->wrong);
	sq_table_clear(world->writer);
	reopen(world);
	check_published(world);
	CHECK_NAMED(world->wrong == NULL, "also when it had deleted everything");
	sq_table_clear(world->writer);
	sq_table_publish(world->writer);
	sq_table_writer_close(world->writer);
	world->writer = sq_table_writer_open(world->arena, 0, world->layout);
	CHECK_INT(check_memory(world), 0);
	sq_table_writer_close(world->writer);
	sq_table_drop(world->arena, 0);
	CHECK(sq_table_arena_stats(world->arena).free ==
		  sq_table_arena_stats(world->arena).size);
	unit_free_layout(world->layout);
	free(world->arena);
	free(world);
}

/* ---- Positions ---- */

static SqTablePosition
any_position(int partition, int generation)
{
	uint64 hash = unit_mix((uint64) generation << 32 | partition);

	return (SqTablePosition){.partition = partition,
							 .mark_checksum = (uint32) hash,
							 .mark = (int64) (hash >> 1),
							 .begin = generation,
							 .next = (int64) (hash >> 2),
							 .end = (int64) (hash >> 3)};
}

#define PARTITIONS 5000

static bool
write_positions(SqTableWriter *writer, int count, int generation)
{
	static SqTablePosition positions[PARTITIONS];
	SqError error;

	for (int i = 0; i < count; i++)
		positions[i] = any_position(i, generation);
	if (sq_table_positions_write(writer, positions, count, &error) == SQ_OK)
		return true;
	if (error.sqlstate != ERRCODE_OUT_OF_MEMORY)
		abort();
	return false;
}

static bool
has_positions(SqTableArena *arena, int count, int generation, int max)
{
	static SqTablePosition positions[PARTITIONS + 1];
	SqTableReader *reader = sq_table_reader_at(arena, 0);
	SqTablePosition marker = any_position(-1, -1);
	int stored = Min(count, max);

	memset(positions, 0, sizeof(positions));
	positions[stored] = marker;
	if (sq_table_positions_read(arena, 0, reader, positions, max) != count)
		return false;
	for (int i = 0; i < stored; i++)
	{
		SqTablePosition position = any_position(i, generation);

		if (memcmp(&positions[i], &position, sizeof(position)) != 0)
			return false;
	}
	return memcmp(&positions[stored], &marker, sizeof(marker)) == 0;
}

static void
test_positions(void)
{
	static const int counts[] = {1, 0, 3, 900, 2, 5000, 819, 820, 5000, 0, 7};
	SqTableArena *arena = unit_arena(4 * MB, 2, 1);
	SqTableLayout *layout = unit_layout(&schema);
	SqTableWriter *writer = sq_table_writer_open(arena, 0, layout);
	bool good = has_positions(arena, 0, 0, 10);

	for (int i = 0; i < lengthof(counts); i++)
	{
		good = good && write_positions(writer, counts[i], i);
		good = good && has_positions(arena, counts[i], i, PARTITIONS);
		good = good && has_positions(arena, counts[i], i, 0);
		good = good && has_positions(arena, counts[i], i, 2);
	}
	CHECK_NAMED(good, "positions are read as they were written");
	CHECK(write_positions(writer, 4000, 77));
	sq_table_writer_close(writer);
	writer = sq_table_writer_open(arena, 0, layout);
	CHECK_NAMED(unit_settle(writer) && has_positions(arena, 4000, 77, 5000),
				"another writer keeps them");
	CHECK(unit_bytes(arena, 0) == 7 * SQ_TABLE_CHUNK);
	sq_table_writer_close(writer);
	sq_table_drop(arena, 0);
	CHECK_INT(unit_bytes(arena, 0), 0);
	CHECK(has_positions(arena, 0, 0, 10));
	unit_free_layout(layout);
	free(arena);
}

static void
test_positions_full(void)
{
	SqTableArena *arena = unit_arena(4 * SQ_TABLE_CHUNK, 1, 1);
	SqTableLayout *layout = unit_layout(&schema);
	SqTableWriter *writer = sq_table_writer_open(arena, 0, layout);

	CHECK(write_positions(writer, 700, 1));
	CHECK(!write_positions(writer, PARTITIONS, 2));
	CHECK_NAMED(has_positions(arena, 700, 1, PARTITIONS),
				"no memory for more positions: the old ones stay");
	CHECK(write_positions(writer, 600, 3));
	CHECK(has_positions(arena, 600, 3, PARTITIONS));
	sq_table_writer_close(writer);
	unit_free_layout(layout);
	free(arena);
}

int
main(int argc, char **argv)
{
	test_adopt(argc > 1 ? strtoull(argv[1], NULL, 10) : 20260103);
	test_positions();
	test_positions_full();
	return unit_end();
}
