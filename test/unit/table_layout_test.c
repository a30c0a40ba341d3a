/*
 * table_layout_test.c
 *		Room table: how rows lie in memory, whatever their columns are.
 *
 * A table of one row is enough: it is put, found and read. What a server's
 * tuple would need is checked on the bytes: alignment, varlena headers.
 */
#include "table_unit.h"

#define WIDE 300

typedef struct Bench
{
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableWriter *writer;
	SqTableView view;
} Bench;

static Bench
open_bench(const SqTableColumn *columns, int ncolumns,
		   const SqTableIndexSpec *indexes, int nindexes)
{
	Bench bench = {.arena = unit_arena(16 * MB, 1, 1)};

	bench.layout = sq_table_layout_create(columns, ncolumns, indexes, nindexes);
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

/* Put, publish, and look at the row through a view of its own. */
static bool
stored(Bench *bench, const SqTableCell *cells, const SqTableCell *key)
{
	const SqTableRow *row;
	SqError error;
	bool same;

	if (sq_table_put(bench->writer, cells, &error) != SQ_OK)
		return false;
	sq_table_publish(bench->writer);
	if (!sq_table_view_open(&bench->view, bench->arena, 0, bench->layout,
							sq_table_reader_at(bench->arena, 0)))
		return false;
	row = sq_table_find(&bench->view, key);
	same = row != NULL && (uintptr_t) row % 8 == 0 &&
		   unit_same_row(bench->layout, row, cells);
	sq_table_view_close(&bench->view);
	return same;
}

/* ---- Words ---- */

static void
test_words(void)
{
	static const int64 values[] = {
		0,     1,      -1,           127,          -128,         128,
		32767, -32768, PG_INT32_MAX, PG_INT32_MIN, PG_INT64_MAX, PG_INT64_MIN};
	SqTableIndexSpec key = {1, {0}};

	for (int width = 1; width <= 8; width *= 2)
	{
		SqTableColumn column = {
			.kind = SQ_TABLE_WORD, .width = width, .alignment = width};
		Bench bench = open_bench(&column, 1, &key, 1);
		bool good = true;
		int count = 0;

		for (int v = 0; v < lengthof(values); v++)
		{
			int shift = 64 - 8 * width;
			SqTableCell cell = unit_word(values[v]);

			/* those that the width can hold, found by themselves */
			if ((int64) ((uint64) values[v] << shift) >> shift != values[v])
				continue;
			good = good && stored(&bench, &cell, &cell);
			count++;
		}
		CHECK_NAMED(good, "words of %d bytes, with sign", width);
		CHECK_INT(sq_table_stats(bench.arena, 0).rows, count);
		close_bench(&bench);
	}
}

/* ---- Values by reference ---- */

/* A value after a byte that spoils every alignment. */
static void
test_fixed(void)
{
	static const int widths[] = {1, 3, 6, 12, 16, 24, 64, 1000};
	SqTableIndexSpec key = {1, {1}};
	bool good = true;

	for (int w = 0; w < lengthof(widths); w++)
		for (int alignment = 1; alignment <= 8; alignment *= 2)
		{
			SqTableColumn columns[] = {
				{.kind = SQ_TABLE_WORD, .width = 1, .alignment = 1},
				{.kind = SQ_TABLE_FIXED,
				 .width = widths[w],
				 .alignment = alignment},
				{.kind = SQ_TABLE_FIXED, .width = 1, .alignment = 1}};
			SqTableCell cells[] = {unit_word(-1),
								   unit_slice(unit_pool(), widths[w]),
								   unit_slice(unit_pool() + 7, 1)};
			Bench bench = open_bench(columns, 3, &key, 1);

			good = good && stored(&bench, cells, &cells[1]);
			close_bench(&bench);
		}
	CHECK_NAMED(good, "fixed values of every width and alignment");
}

/* Lengths around where headers, slots, chunks and runs change. */
static void
test_varlena_lengths(void)
{
	static const size_t lengths[] = {
		0,     1,     2,     3,      124,   125,    126,
		127,   128,   1000,  4000,   8100,  8176,   10900,
		16300, 32650, 32704, 32768,  65536, 100001, 0,
		125,   126,   3,     MB - 1, MB,    7,      UNIT_POOL - 9,
		16};
	SqTableIndexSpec key = {1, {0}};

	for (int alignment = 1; alignment <= 8; alignment *= 2)
		for (int packable = 0; packable <= 1; packable++)
		{
			SqTableColumn columns[] = {
				{.kind = SQ_TABLE_WORD, .width = 2, .alignment = 2},
				{.kind = SQ_TABLE_VARLENA,
				 .alignment = alignment,
				 .packable = packable},
				{.kind = SQ_TABLE_VARLENA,
				 .alignment = alignment,
				 .packable = packable}};
			Bench bench = open_bench(columns, 3, &key, 1);
			bool good = true;

			for (int i = 0; i < lengthof(lengths); i++)
			{
				SqTableCell cells[] = {
					unit_word(i), unit_slice(unit_pool(), lengths[i]),
					unit_slice(unit_pool() + 5, lengths[i] % 1000 / 3)};

				good = good && stored(&bench, cells, &cells[0]);
			}
			CHECK_NAMED(good, "texts of all lengths, alignment %d, packable %d",
						alignment, packable);
			CHECK_INT(sq_table_stats(bench.arena, 0).rows, lengthof(lengths));
			close_bench(&bench);
		}
}

/* Empty, short, long and very long keys: each is found, and no other. */
static void
test_varlena_keys(void)
{
	static const size_t lengths[] = {0,   1,   2,   124,  125,
									 126, 127, 128, 5000, MB - 1};
	SqTableColumn column = {
		.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true};
	SqTableIndexSpec key = {1, {0}};
	Bench bench = open_bench(&column, 1, &key, 1);
	bool good = true;

	for (int i = 0; i < lengthof(lengths); i++)
	{
		SqTableCell cell = unit_slice(unit_pool(), lengths[i]);

		good = good && stored(&bench, &cell, &cell);
	}
	CHECK_NAMED(good, "text keys of all lengths");
	CHECK_INT(sq_table_stats(bench.arena, 0).rows, lengthof(lengths));
	close_bench(&bench);
}

/* A value that begins elsewhere is the same value: 'ab','c' is not 'a','bc'. */
static void
test_composite_texts(void)
{
	SqTableColumn varlena = {
		.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true};
	SqTableColumn columns[] = {varlena, varlena};
	SqTableIndexSpec key = {2, {1, 0}};
	SqTableCell one[] = {unit_text("ab"), unit_text("c")};
	SqTableCell other[] = {unit_text("a"), unit_text("bc")};
	SqTableCell one_key[] = {one[1], one[0]};
	SqTableCell other_key[] = {other[1], other[0]};
	Bench bench = open_bench(columns, 2, &key, 1);

	CHECK(stored(&bench, one, one_key));
	CHECK(stored(&bench, other, other_key));
	CHECK_NAMED(!sq_table_delete(bench.writer, one),
				"the cells of a key are in the key's order");
	CHECK(sq_table_delete(bench.writer, one_key));
	CHECK(!sq_table_delete(bench.writer, one_key));
	CHECK(sq_table_delete(bench.writer, other_key));
	close_bench(&bench);
}

/* ---- Many columns ---- */

static SqTableColumn
any_column(uint64 *random)
{
	static const int widths[] = {1, 2, 4, 8};
	int width = widths[unit_below(random, 4)];

	switch (unit_below(random, 3))
	{
		case 0:
			return (SqTableColumn){
				.kind = SQ_TABLE_WORD, .width = width, .alignment = width};
		case 1:
			return (SqTableColumn){.kind = SQ_TABLE_FIXED,
								   .width = 1 + unit_below(random, 40),
								   .alignment = width};
		default:
			return (SqTableColumn){.kind = SQ_TABLE_VARLENA,
								   .alignment = width,
								   .packable = unit_below(random, 2)};
	}
}

/* Rows of one random layout: all NULL but the key, none NULL, some. */
static bool
check_layout(uint64 *random, int ncolumns)
{
	static const SqTableIndexSpec key = {1, {0}};
	SqTableColumn columns[WIDE] = {
		{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4}};
	SqTableCell cells[WIDE];
	Bench bench;
	bool good = true;

	for (int c = 1; c < ncolumns; c++)
		columns[c] = any_column(random);
	bench = open_bench(columns, ncolumns, &key, 1);
	for (int r = 0; r < 20; r++)
	{
		for (int c = 0; c < ncolumns; c++)
		{
			cells[c] = unit_free_cell(&columns[c], unit_random(random));
			if (columns[c].kind == SQ_TABLE_VARLENA)
				cells[c].bytes.length %= 3000;
			if (c > 0 && r != 1 && (r == 0 || unit_below(random, 3) == 0))
				cells[c] = (SqTableCell){.null = true};
		}
		good = good && stored(&bench, cells, &cells[0]);
	}
	close_bench(&bench);
	return good;
}

static void
test_random_layouts(uint64 seed)
{
	uint64 random = seed;
	int failed = 0;

	for (int i = 0; i < 150; i++)
		failed += !check_layout(&random, 1 + unit_below(&random, 40));
	if (!CHECK_NAMED(failed == 0, "random layouts"))
		printf("# seed %llu: %d of them\n", (unsigned long long) seed, failed);
	for (int i = 0; i < 5; i++)
		failed += !check_layout(&random, WIDE);
	if (!CHECK_NAMED(failed == 0, "%d columns", WIDE))
		printf("# seed %llu\n", (unsigned long long) seed);
}

/* Key and values only by reference, and by value only: no other kind. */
static void
test_single_kinds(void)
{
	static const SqTableColumn kinds[] = {
		{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
		{.kind = SQ_TABLE_FIXED, .width = 16, .alignment = 1},
		{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true}};
	SqTableIndexSpec key = {3, {2, 0, 1}};

	for (int k = 0; k < lengthof(kinds); k++)
	{
		SqTableColumn columns[] = {kinds[k], kinds[k], kinds[k]};
		SqTableCell cells[] = {unit_digit_cell(&kinds[k], 1),
							   unit_digit_cell(&kinds[k], 2),
							   unit_digit_cell(&kinds[k], 3)};
		SqTableCell of_key[] = {cells[2], cells[0], cells[1]};
		Bench bench = open_bench(columns, 3, &key, 1);

		CHECK_NAMED(stored(&bench, cells, of_key), "only columns of kind %d",
					k);
		close_bench(&bench);
	}
}

int
main(int argc, char **argv)
{
	uint64 seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260102;

	test_words();
	test_fixed();
	test_varlena_lengths();
	test_varlena_keys();
	test_composite_texts();
	test_single_kinds();
	test_random_layouts(seed);
	return unit_end();
}
