/*
 * table_row_test.c
 *		Room table against a model: many random operations on one table, with
 *		views of several states open meanwhile.
 *
 * The model of a state is the version of each id, 0 where there is none. Every
 * state that a view sees is held against the model by scans, finds and matches,
 * also by scans and matches that the writer goes on between the steps of. A
 * failure tells the seed; «table_row_test SEED» runs with another one.
 */
#include "table_unit.h"

#define VIEWS      6
#define OPERATIONS 60000
#define MAX_IDS    500
#define AT_ONCE    64

typedef struct View
{
	bool open;
	SqTableView view;
	int state[MAX_IDS];
	/* a scan (index 0) or a match that goes on between changes */
	int index;
	int digit;
	SqTableScan scan;
	const SqTableRow *row;
	int seen[MAX_IDS];
} View;

typedef struct World
{
	const UnitSchema *schema;
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableWriter *writer;
	uint64 random;
	int version;
	int published[MAX_IDS];
	int pending[MAX_IDS];
	View views[VIEWS];
	const char *wrong; /* what, or NULL */
} World;

static bool
expect(World *world, bool good, const char *what)
{
	if (!good && world->wrong == NULL)
		world->wrong = what;
	return good;
}

static int
below(World *world, int limit)
{
	return unit_below(&world->random, limit);
}

/* ---- Checks of a view ---- */

/* A row that a view gave: is it the one of the model? Counts it. */
static void
count_row(World *world, const int *state, const SqTableRow *row, int *seen)
{
	SqTableCell cells[UNIT_COLUMNS];
	int id = unit_row_id(world->schema, world->layout, row);

	if (!expect(world, id >= 0 && id < world->schema->nkeys, "id of a row") ||
		!expect(world, state[id] > 0, "a row that is not there"))
		return;
	unit_cells(world->schema, id, state[id], cells);
	expect(world, unit_same_row(world->layout, row, cells), "values of a row");
	seen[id]++;
}

/* Has everything that a scan or a match gives been seen once? */
static void
check_seen(World *world, const int *state, int index, int digit,
		   const int *seen)
{
	int column = world->schema->indexes[index].columns[0];

	for (int id = 0; id < world->schema->nkeys; id++)
	{
		bool there = state[id] > 0;

		if (index > 0)
			there = there &&
					unit_digit(world->schema, id, state[id], column) == digit;
		expect(world, seen[id] == there,
			   index > 0 ? "rows of a match" : "rows of a scan");
	}
}

static void
check_scan(World *world, const View *view)
{
	const SqTableRow *rows[AT_ONCE];
	int seen[MAX_IDS] = {0};
	SqTableScan scan = {0};
	int count;

	while ((count = sq_table_scan_next(&view->view, &scan, rows,
									   1 + below(world, AT_ONCE))) > 0)
		for (int i = 0; i < count; i++)
			count_row(world, view->state, rows[i], seen);
	check_seen(world, view->state, 0, 0, seen);
}

static void
check_match(World *world, const View *view, int index, int digit)
{
	int column = world->schema->indexes[index].columns[0];
	SqTableCell value = unit_digit_cell(&world->schema->columns[column], digit);
	const SqTableRow *row = sq_table_match_first(&view->view, index, &value);
	int seen[MAX_IDS] = {0};

	for (; row != NULL && world->wrong == NULL;
		 row = sq_table_match_next(&view->view, index, row))
		count_row(world, view->state, row, seen);
	check_seen(world, view->state, index, digit, seen);
}

static void
check_found(World *world, const View *view, int id, const SqTableRow *row)
{
	int seen[MAX_IDS] = {0};

	if (!expect(world, (row != NULL) == (view->state[id] > 0), "find") ||
		row == NULL)
		return;
	count_row(world, view->state, row, seen);
	expect(world, seen[id] == 1, "find gives the key");
}

static void
check_finds(World *world, const View *view)
{
	int width = world->schema->indexes[0].ncolumns;
	int count = 1 + below(world, world->schema->nkeys);
	SqTableCell keys[MAX_IDS * 4] = {{0}};
	const SqTableRow *rows[MAX_IDS];
	int ids[MAX_IDS];

	for (int i = 0; i < count; i++)
	{
		ids[i] = below(world, world->schema->nkeys);
		unit_key(world->schema, ids[i], &keys[i * width]);
	}
	sq_table_find_many(&view->view, keys, count, rows);
	for (int i = 0; i < count && world->wrong == NULL; i++)
	{
		check_found(world, view, ids[i], rows[i]);
		expect(world, sq_table_find(&view->view, &keys[i * width]) == rows[i],
			   "find_many is find");
	}
}

static void
check_view(World *world, const View *view)
{
	check_scan(world, view);
	check_finds(world, view);
	for (int index = 1; index < world->schema->nindexes; index++)
	{
		int column = world->schema->indexes[index].columns[0];

		/* one value that no row has */
		for (int digit = 0; digit <= world->schema->spread[column]; digit++)
			check_match(world, view, index, digit);
	}
}

/* ---- Scans and matches that take long ---- */

static void
begin_walk(World *world, View *view)
{
	int column;
	SqTableCell value;

	memset(view->seen, 0, sizeof(view->seen));
	view->scan = (SqTableScan){0};
	view->index = below(world, world->schema->nindexes);
	if (view->index == 0)
		return;
	column = world->schema->indexes[view->index].columns[0];
	view->digit = below(world, world->schema->spread[column]);
	value = unit_digit_cell(&world->schema->columns[column], view->digit);
	view->row = sq_table_match_first(&view->view, view->index, &value);
}

/* A few rows more; begins again at the end. */
static void
walk(World *world, View *view)
{
	const SqTableRow *rows[AT_ONCE];
	int max = 1 + below(world, AT_ONCE);
	int count = 0;

	if (view->index == 0)
		count = sq_table_scan_next(&view->view, &view->scan, rows, max);
	else
		while (count < max && view->row != NULL)
		{
			rows[count++] = view->row;
			view->row =
				sq_table_match_next(&view->view, view->index, view->row);
		}
	for (int i = 0; i < count; i++)
		count_row(world, view->state, rows[i], view->seen);
	if (count > 0)
		return;
	check_seen(world, view->state, view->index, view->digit, view->seen);
	begin_walk(world, view);
}

/* ---- Operations ---- */

static void
put(World *world, int id)
{
	SqTableCell cells[UNIT_COLUMNS];
	SqError error;

	unit_cells(world->schema, id, ++world->version, cells);
	expect(world, sq_table_put(world->writer, cells, &error) == SQ_OK, "put");
	world->pending[id] = world->version;
}

static void delete (World *world, int id)
{
	SqTableCell key[SQ_TABLE_KEY_COLUMNS];

	unit_key(world->schema, id, key);
	expect(world,
		   sq_table_delete(world->writer, key) == (world->pending[id] > 0),
		   "delete");
	world->pending[id] = 0;
}

static void
publish(World *world)
{
	int64 count = 0;

	sq_table_publish(world->writer);
	memcpy(world->published, world->pending, sizeof(world->pending));
	for (int id = 0; id < world->schema->nkeys; id++)
		count += world->published[id] > 0;
	expect(world, sq_table_stats(world->arena, 0).rows == count,
		   "number of rows");
}

static void
toggle_view(World *world, View *view)
{
	if (view->open)
	{
		sq_table_view_close(&view->view);
		view->open = false;
		return;
	}
	view->open =
		sq_table_view_open(&view->view, world->arena, 0, world->layout,
						   sq_table_reader_at(world->arena, below(world, 2)));
	expect(world, view->open, "open a view");
	memcpy(view->state, world->published, sizeof(view->state));
	begin_walk(world, view);
}

/* Another writer takes over: what was not published is as if never done. */
static void
reopen(World *world)
{
	sq_table_writer_close(world->writer);
	world->writer = sq_table_writer_open(world->arena, 0, world->layout);
	memcpy(world->pending, world->published, sizeof(world->pending));
}

static void
clear(World *world)
{
	sq_table_clear(world->writer);
	memset(world->pending, 0, sizeof(world->pending));
}

static void
operate(World *world)
{
	View *view = &world->views[below(world, VIEWS)];
	int id = below(world, world->schema->nkeys);
	int choice = below(world, 1000);

	if (choice < 600)
		put(world, id);
	else if (choice < 750)
		delete (world, id);
	else if (choice < 800)
		publish(world);
	else if (choice < 840)
		toggle_view(world, view);
	else if (choice < 950 && view->open)
		walk(world, view);
	else if (choice < 960)
		sq_table_reclaim(world->writer);
	else if (choice < 965)
		reopen(world);
	else if (choice < 966)
		clear(world);
	else if (choice >= 970 && view->open)
		check_view(world, view);
}

/* ---- Schemas ---- */

#define WORD(w)                                                                \
	{                                                                          \
		.kind = SQ_TABLE_WORD, .width = (w), .alignment = (w)                  \
	}
#define FIXED(w, a)                                                            \
	{                                                                          \
		.kind = SQ_TABLE_FIXED, .width = (w), .alignment = (a)                 \
	}
#define VARLENA(a, p)                                                          \
	{                                                                          \
		.kind = SQ_TABLE_VARLENA, .alignment = (a), .packable = (p)            \
	}

static const UnitSchema schemas[] = {
	{.name = "int8 key alone",
	 .nkeys = 300,
	 .ncolumns = 1,
	 .columns = {WORD(8)},
	 .nindexes = 1,
	 .indexes = {{1, {0}}}},
	{.name = "text key, text values, two indexes",
	 .nkeys = 400,
	 .ncolumns = 6,
	 .columns = {VARLENA(4, true), WORD(4), VARLENA(4, true), WORD(8),
				 VARLENA(4, true), WORD(2)},
	 .spread = {[2] = 20, [3] = 7},
	 .id_column = 1,
	 .nindexes = 3,
	 .indexes = {{1, {0}}, {1, {2}}, {1, {3}}}},
	{.name = "key of three kinds, one of its columns indexed",
	 .nkeys = 500,
	 .ncolumns = 7,
	 .columns = {WORD(1), VARLENA(8, false), FIXED(16, 1), VARLENA(4, true),
				 WORD(2), FIXED(12, 8), WORD(4)},
	 .spread = {[0] = 10, [1] = 5, [5] = 3},
	 .id_column = 4,
	 .nindexes = 4,
	 .indexes = {{3, {0, 1, 2}}, {1, {0}}, {1, {5}}, {1, {1}}}},
	{.name = "every index, one value for nearly all rows",
	 .nkeys = 200,
	 .ncolumns = 10,
	 .columns = {WORD(4), WORD(1), WORD(2), WORD(4), WORD(8), FIXED(6, 2),
				 FIXED(8, 4), VARLENA(4, true), VARLENA(8, true),
				 VARLENA(4, false)},
	 .spread = {[1] = 1, 2, 3, 50, 4, 100, 1, 5},
	 .id_column = 0,
	 .nindexes = 9,
	 .indexes = {{1, {0}},
				 {1, {1}},
				 {1, {2}},
				 {1, {3}},
				 {1, {4}},
				 {1, {5}},
				 {1, {6}},
				 {1, {7}},
				 {1, {8}}}},
};

/* ---- Running ---- */

static World *
make_world(const UnitSchema *schema, uint64 seed)
{
	World *world = pg_malloc0(sizeof(World));

	world->schema = schema;
	world->arena = unit_arena(64 * MB, 1, 2);
	world->layout = unit_layout(schema);
	world->writer = sq_table_writer_open(world->arena, 0, world->layout);
	world->random = seed;
	return world;
}

static void
close_world(World *world)
{
	sq_table_writer_close(world->writer);
	unit_free_layout(world->layout);
	free(world->arena);
	free(world);
}

/* At the end: with no views, nothing waits; with no rows, the table can be
 * filled again. */
static void
finish_world(World *world)
{
	for (int v = 0; v < VIEWS; v++)
		if (world->views[v].open)
			toggle_view(world, &world->views[v]);
	publish(world);
	expect(world, unit_settle(world->writer), "all is reclaimed");
	clear(world);
	publish(world);
	for (int id = 0; id < world->schema->nkeys; id++)
		put(world, id);
	publish(world);
	toggle_view(world, &world->views[0]);
	check_view(world, &world->views[0]);
}

static void
test_schema(const UnitSchema *schema, uint64 seed)
{
	World *world = make_world(schema, seed);
	int done = 0;

	for (; done < OPERATIONS && world->wrong == NULL; done++)
		operate(world);
	if (world->wrong == NULL)
		finish_world(world);
	if (!CHECK_NAMED(world->wrong == NULL, "%s: as the model", schema->name))
		printf("# seed %llu, operation %d: %s\n", (unsigned long long) seed,
			   done, world->wrong);
	close_world(world);
}

int
main(int argc, char **argv)
{
	uint64 seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260101;

	for (int s = 0; s < lengthof(schemas); s++)
		test_schema(&schemas[s], seed + s);
	return unit_end();
}
