/*
 * table_lookup.c
 *		How fast room table finds and takes rows, on one core.
 *
 * Rows are (text, text, text, int8) with keys like 'user123456', in a shared
 * mapping as a server has it. Keys to find lie in memory in the order in which
 * they are asked for, as records of a topic do; making their cells is part of
 * the time. One line «name value» each; the best of several rounds, since what
 * else runs on a machine only makes it slower.
 *
 *	table_lookup [ROWS]...		(default: 50000 5000000)
 *
 * Memory: the mapping, and the keys. Locks: none, one thread.
 */
#include "table/table.h"

#include <inttypes.h>
#include <sys/mman.h>

#include "bench_util.h"

#define BATCH      1024
#define LOOKUPS    (BATCH * 1024)
#define ROUNDS     7
#define KEY_SIZE   20
#define ROW_MEMORY 256 /* more than a row with its slots needs */

static const SqTableColumn columns[] = {
	{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
	{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
	{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
	{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8}};
static const SqTableIndexSpec key_index = {1, {0}};

/* Keys one after the other: a byte of length, then the text. */
typedef struct Keys
{
	char *bytes;
	const char *at;
} Keys;

typedef struct Bench
{
	int64 rows;
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableView view;
	Keys keys;
	int64 found;
} Bench;

static void
die(const char *what)
{
	fprintf(stderr, "table_lookup: %s\n", what);
	exit(1);
}

static uint64
next_random(void)
{
	static uint64 state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void
report(const Bench *bench, const char *name, double value)
{
	printf("%s_%" PRId64 " %.4g\n", name, bench->rows, value);
	fflush(stdout);
}

/* ---- Keys ---- */

/* Random keys, so many of a hundred of them of no row. */
static void
make_keys(Bench *bench, int misses)
{
	char *at = bench->keys.bytes;

	for (int i = 0; i < LOOKUPS; i++)
	{
		int64 id = (int64) (next_random() % bench->rows);

		if ((int) (next_random() % 100) < misses)
			id += bench->rows;
		*at = (char) sprintf(at + 1, "user%" PRId64, id);
		at += 1 + *at;
	}
}

static inline SqTableCell
next_key(Keys *keys)
{
	SqTableCell cell = {.bytes = {keys->at + 1, *keys->at}};

	keys->at += 1 + *keys->at;
	return cell;
}

/* ---- What is measured ---- */

static double
insert_all(Bench *bench)
{
	SqTableWriter *writer =
		sq_table_writer_open(bench->arena, 0, bench->layout);
	double start = sq_bench_now();

	for (int64 id = 0; id < bench->rows; id++)
	{
		char key[KEY_SIZE];
		SqTableCell cells[] = {
			{.bytes = {key, sprintf(key, "user%" PRId64, id)}},
			{.bytes = {"customer", 8}},
			{.bytes = {"berlin", 6}},
			{.word = id}};
		SqError error;

		if (sq_table_put(writer, cells, &error) != SQ_OK)
			die(error.message);
		if (id % BATCH == 0)
			sq_table_publish(writer);
	}
	sq_table_publish(writer);
	start = sq_bench_now() - start;
	sq_table_writer_close(writer);
	return bench->rows / start;
}

static void
find_each(Bench *bench)
{
	for (int i = 0; i < LOOKUPS; i++)
	{
		SqTableCell key = next_key(&bench->keys);

		bench->found += sq_table_find(&bench->view, &key) != NULL;
	}
}

static void
find_batches(Bench *bench)
{
	static SqTableCell keys[BATCH];
	static const SqTableRow *rows[BATCH];

	for (int b = 0; b < LOOKUPS / BATCH; b++)
	{
		for (int i = 0; i < BATCH; i++)
			keys[i] = next_key(&bench->keys);
		sq_table_find_many(&bench->view, keys, BATCH, rows);
		for (int i = 0; i < BATCH; i++)
			bench->found += rows[i] != NULL;
	}
}

/* Lookups a second. */
static double
measure(Bench *bench, void (*find)(Bench *bench), int misses)
{
	double best = 0;

	make_keys(bench, misses);
	for (int round = 0; round < ROUNDS; round++)
	{
		double start = sq_bench_now();

		bench->found = 0;
		bench->keys.at = bench->keys.bytes;
		find(bench);
		best = Max(best, LOOKUPS / (sq_bench_now() - start));
		if (misses == 0 ? bench->found != LOOKUPS
						: bench->found < LOOKUPS / 2 || bench->found == LOOKUPS)
			die("not the rows that are there");
	}
	return best;
}

static void
run(int64 rows)
{
	size_t size = rows * ROW_MEMORY + (8 << 20);
	Bench bench = {.rows = rows};
	SqTableArenaStats stats;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
						MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory");
	bench.arena = sq_table_arena_init(memory, size, 1, 1, 12345);
	bench.layout =
		sq_table_layout_create(columns, lengthof(columns), &key_index, 1);
	bench.keys.bytes = malloc((size_t) LOOKUPS * KEY_SIZE);
	report(&bench, "insert", insert_all(&bench));
	stats = sq_table_arena_stats(bench.arena);
	report(&bench, "bytes_a_row", (double) (stats.size - stats.free) / rows);
	if (!sq_table_view_open(&bench.view, bench.arena, 0, bench.layout,
							sq_table_reader_at(bench.arena, 0)))
		die("no view");
	report(&bench, "find", measure(&bench, find_each, 0));
	report(&bench, "find_many", measure(&bench, find_batches, 0));
	report(&bench, "find_10%_missing", measure(&bench, find_each, 10));
	report(&bench, "find_many_10%_missing", measure(&bench, find_batches, 10));
	sq_table_view_close(&bench.view);
	free(bench.keys.bytes);
	munmap(memory, size);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
	{
		run(50000);
		run(5000000);
	}
	for (int i = 1; i < argc; i++)
	{
		if (atoll(argv[i]) < 1)
			die("ROWS is a number");
		run(atoll(argv[i]));
	}
	return 0;
}
