/*
 * table_concurrent_test.c
 *		Room table: two writers and their readers at once, under TSAN.
 *
 * Each of two tables in one small arena has a thread that writes it; other
 * threads read both. What must hold in every published state, and so in every
 * view:
 *	 - rows come in pairs: both are there or none, their amounts sum to zero,
 *	   and group and generation are the same;
 *	 - each row's mirror is its amount negated, the bytes of its text are of its
 *	   amount;
 *	 - a ledger row says how many rows there are, and the state's generation.
 * Writers grow and shrink their tables, so that indexes split and memory goes
 * from one table to the other; now and then one ends in the midst of a batch
 * (at the latest when the arena is full) and another one takes over. Work is
 * counted: readers open so many views, writers go on until all have.
 *
 * Run as «table_concurrent_test probe» it does nothing: does TSAN start here?
 */
#include "table/table_internal.h"

#include "table_unit.h"

#include <pthread.h>

#define TABLES      2
#define READERS     3
#define PAIRS       6000
#define HOT         8 /* pairs that come and go in nearly every batch */
#define GROUPS      20
#define VIEWS       350 /* that each reader opens */
#define KEPT        4
#define BATCH       60
#define AT_ONCE     50
#define MIN_BATCHES 1500
#define PARTITIONS  5

/* Columns; the key is a text so that it is compared byte by byte. */
enum
{
	NAME,
	ID, /* pair * 2 + side; the ledger: -1 */
	GROUP,
	AMOUNT,
	MIRROR,
	GENERATION,
	TEXT,
	NCOLUMNS
};

static const SqTableColumn columns[NCOLUMNS] = {
	[NAME] = {.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
	[ID] = {.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
	[GROUP] = {.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
	[AMOUNT] = {.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
	[MIRROR] = {.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
	[GENERATION] = {.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
	[TEXT] = {.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
};
static const SqTableIndexSpec indexes[] = {{1, {NAME}}, {1, {GROUP}}};

static SqTableArena *arena;
static SqTableLayout *layout;
static const char *wrong; /* atomic: what went wrong first */
static int reading;       /* atomic: readers that have not finished */

static bool
expect(bool good, const char *what)
{
	if (!good)
		__atomic_store_n(&wrong, what, __ATOMIC_RELAXED);
	return good;
}

static bool
go_on(void)
{
	return __atomic_load_n(&wrong, __ATOMIC_RELAXED) == NULL;
}

/* ---- Rows ---- */

static SqTableCell
name_cell(int id, char *buffer)
{
	return unit_slice(buffer, sprintf(buffer, "row %d", id));
}

/* Mostly short, sometimes a run of its own. */
static size_t
text_length(int64 amount, int64 generation)
{
	uint64 hash = unit_mix(amount ^ unit_mix(generation));

	return hash % 400 == 0 ? hash / 400 % 50000 : hash / 400 % 200;
}

static bool
put_row(SqTableWriter *writer, int id, int group, int64 amount,
		int64 generation)
{
	static __thread char bytes[50000];
	char name[32];
	SqTableCell cells[NCOLUMNS];
	size_t length = text_length(amount, generation);
	SqError error;

	memset(bytes, (uint8) amount, length);
	cells[NAME] = name_cell(id, name);
	cells[ID] = unit_word(id);
	cells[GROUP] = group == 0 ? (SqTableCell){.null = true} : unit_word(group);
	cells[AMOUNT] = unit_word(amount);
	cells[MIRROR] = unit_word(-amount);
	cells[GENERATION] = unit_word(generation);
	cells[TEXT] = unit_slice(bytes, length);
	return sq_table_put(writer, cells, &error) == SQ_OK;
}

static int64
word_of(const SqTableRow *row, int column)
{
	return sq_table_row_word(&layout->columns[column], row);
}

static int
group_of(const SqTableRow *row)
{
	return sq_table_row_is_null(layout, row, GROUP) ? 0
													: (int) word_of(row, GROUP);
}

/* What one row by itself promises. */
static void
check_row(const SqTableRow *row)
{
	int64 amount = word_of(row, AMOUNT);
	SqSlice bytes = sq_table_row_bytes(&layout->columns[TEXT], row);
	SqSlice name = sq_table_row_bytes(&layout->columns[NAME], row);
	char expected[32];
	bool same = true;

	expect(amount + word_of(row, MIRROR) == 0, "a row's mirror");
	if (!expect(bytes.length == text_length(amount, word_of(row, GENERATION)),
				"length of a text"))
		return;
	for (size_t i = 0; i < bytes.length; i += 1 + bytes.length / 16)
		same = same && (uint8) bytes.data[i] == (uint8) amount;
	expect(same, "a text");
	sprintf(expected, "row %d", (int) word_of(row, ID));
	expect(name.length == strlen(expected) &&
			   memcmp(name.data, expected, name.length) == 0,
		   "a key");
}

/* The rows found of a pair. */
static void
check_pair(const SqTableRow *one, const SqTableRow *other, int pair)
{
	if (!expect((one == NULL) == (other == NULL), "half a pair") || one == NULL)
		return;
	check_row(one);
	check_row(other);
	expect(word_of(one, ID) == pair * 2 && word_of(other, ID) == pair * 2 + 1,
		   "another key's row");
	expect(word_of(one, AMOUNT) + word_of(other, AMOUNT) == 0, "sum of a pair");
	expect(word_of(one, GENERATION) == word_of(other, GENERATION) &&
			   group_of(one) == group_of(other),
		   "a pair of two states");
}

/* ---- Writers ---- */

typedef struct Pair
{
	bool there;
	int group;
	int64 amount;
} Pair;

typedef struct Author
{
	int number;
	SqTableWriter *writer;
	uint64 random;
	int64 generation;
	int rows;
	Pair pairs[PAIRS];
	int touched[BATCH + HOT]; /* in this batch, and how they were before */
	Pair before[BATCH + HOT];
	int ntouched;
	bool shrinking;
	/* what happened */
	int batches;
	int takeovers;
	int roots;
	int shrunk;
	uint64 root;
	uint64 bytes;
} Author;

static void
delete_row(Author *author, int id)
{
	char name[32];
	SqTableCell key = name_cell(id, name);

	expect(sq_table_delete(author->writer, &key), "delete");
}

static void
set_there(Author *author, Pair *pair, bool there)
{
	author->rows += 2 * (there - pair->there);
	pair->there = there;
}

/* Insert, change or delete a pair; false: no memory. */
static bool
change_pair(Author *author, int number, bool remove)
{
	Pair *pair = &author->pairs[number];

	author->touched[author->ntouched] = number;
	author->before[author->ntouched++] = *pair;
	if (remove)
	{
		if (!pair->there)
			return true;
		delete_row(author, number * 2);
		delete_row(author, number * 2 + 1);
		set_there(author, pair, false);
		return true;
	}
	set_there(author, pair, true);
	pair->amount = (int64) (unit_random(&author->random) >> 20);
	if (unit_below(&author->random, 3) == 0)
		pair->group = unit_below(&author->random, GROUPS);
	return put_row(author->writer, number * 2, pair->group, pair->amount,
				   author->generation) &&
		   put_row(author->writer, number * 2 + 1, pair->group, -pair->amount,
				   author->generation);
}

/* The writer is gone, and the next one finds what was published. */
static void
take_over(Author *author)
{
	while (author->ntouched > 0)
	{
		Pair *pair = &author->pairs[author->touched[--author->ntouched]];

		set_there(author, pair, author->before[author->ntouched].there);
		*pair = author->before[author->ntouched];
	}
	author->takeovers++;
	sq_table_writer_close(author->writer);
	author->writer = sq_table_writer_open(arena, author->number, layout);
	sq_table_reclaim(author->writer);
}

static bool
change_batch(Author *author)
{
	int count = unit_below(&author->random, BATCH);

	for (int i = 0; i < HOT; i++)
		if (unit_below(&author->random, 2) == 0 &&
			!change_pair(author, i, author->pairs[i].there))
			return false;
	for (int i = 0; i < count; i++)
	{
		int number = HOT + unit_below(&author->random, PAIRS - HOT);
		bool remove = author->shrinking && unit_below(&author->random, 10) > 0;

		if (!change_pair(author, number, remove))
			return false;
	}
	return true;
}

static void
write_positions(Author *author)
{
	SqTablePosition positions[PARTITIONS];
	int count = 1 + (int) (author->generation % PARTITIONS);
	SqError error;

	memset(positions, 0, sizeof(positions));
	for (int p = 0; p < count; p++)
		positions[p].next = positions[p].end = author->generation;
	expect(sq_table_positions_write(author->writer, positions, count, &error) ==
				   SQ_OK ||
			   error.sqlstate == ERRCODE_OUT_OF_MEMORY,
		   "positions");
}

/* Count what tells that the test tests something. */
static void
observe(Author *author)
{
	uint64 root = SQ_LOAD(&sq_table_at(arena, author->number)->roots[0]);
	uint64 bytes = unit_bytes(arena, author->number);

	author->batches++;
	author->roots += root != author->root;
	author->shrunk += bytes < author->bytes;
	author->root = root;
	author->bytes = bytes;
}

static void
write_batch(Author *author)
{
	bool full;

	author->ntouched = 0;
	author->generation++;
	full = !change_batch(author) ||
		   !put_row(author->writer, -1, 0, author->rows, author->generation);
	if (full || unit_below(&author->random, 40) == 0)
	{
		author->shrinking = author->shrinking || full;
		take_over(author);
		return;
	}
	sq_table_publish(author->writer);
	write_positions(author);
	observe(author);
	if (author->rows > PAIRS * 3 / 2)
		author->shrinking = true;
	else if (author->rows < PAIRS / 10)
		author->shrinking = false;
}

static void *
write_table(void *arg)
{
	Author *author = arg;

	author->writer = sq_table_writer_open(arena, author->number, layout);
	while (go_on() && (author->batches < MIN_BATCHES ||
					   __atomic_load_n(&reading, __ATOMIC_RELAXED) > 0))
		write_batch(author);
	return NULL;
}

/* ---- Readers ---- */

typedef struct Kept
{
	bool open;
	SqTableView view;
	uint64 sum; /* of all that a scan gave, first time */
	int64 rows;
	int64 generation;
} Kept;

typedef struct Visitor
{
	int number;
	SqTableReader *reader;
	uint64 random;
	Kept kept[KEPT];
	int64 found;
	int64 matched;
	int64 scanned;
} Visitor;

/* All rows: they are as many as the ledger says, and sum to zero. The same
 * whenever one view is scanned. */
static void
check_scan(Visitor *visitor, Kept *kept)
{
	const SqTableRow *rows[AT_ONCE];
	SqTableScan scan = {0};
	uint64 sum = 0;
	int64 total = 0;
	int64 scanned = 0;
	int count;

	while ((count = sq_table_scan_next(&kept->view, &scan, rows, AT_ONCE)) > 0)
		for (int i = 0; i < count; i++)
		{
			if (i % 8 == 0)
				check_row(rows[i]);
			sum += unit_mix(word_of(rows[i], ID) ^
							unit_mix(word_of(rows[i], AMOUNT)) ^
							unit_mix(word_of(rows[i], GENERATION)));
			if (word_of(rows[i], ID) < 0)
				continue;
			scanned++;
			total += word_of(rows[i], AMOUNT);
		}
	expect(total == 0, "sum of a scan");
	expect(scanned == kept->rows, "rows of a scan");
	expect(kept->sum == 0 || kept->sum == sum, "a view that changes");
	kept->sum = sum;
	visitor->scanned += scanned;
}

static int
any_pair(Visitor *visitor)
{
	return unit_below(&visitor->random,
					  unit_below(&visitor->random, 2) ? HOT : PAIRS);
}

static void
check_finds(Visitor *visitor, Kept *kept)
{
	for (int i = 0; i < 60; i++)
	{
		int pair = any_pair(visitor);
		char names[2][32];
		SqTableCell one = name_cell(pair * 2, names[0]);
		SqTableCell other = name_cell(pair * 2 + 1, names[1]);
		const SqTableRow *row = sq_table_find(&kept->view, &one);

		check_pair(row, sq_table_find(&kept->view, &other), pair);
		expect(row == sq_table_find(&kept->view, &one), "a find that changes");
		visitor->found += row != NULL;
	}
}

static void
check_find_many(Visitor *visitor, Kept *kept)
{
	char names[AT_ONCE * 2][32];
	SqTableCell keys[AT_ONCE * 2];
	const SqTableRow *rows[AT_ONCE * 2];
	int pairs[AT_ONCE];

	for (int i = 0; i < AT_ONCE; i++)
	{
		pairs[i] = any_pair(visitor);
		keys[i] = name_cell(pairs[i] * 2, names[i]);
		keys[AT_ONCE + i] = name_cell(pairs[i] * 2 + 1, names[AT_ONCE + i]);
	}
	sq_table_find_many(&kept->view, keys, AT_ONCE * 2, rows);
	for (int i = 0; i < AT_ONCE; i++)
		check_pair(rows[i], rows[AT_ONCE + i], pairs[i]);
}

/* The rows of a group are pairs. */
static int64
check_match(Visitor *visitor, Kept *kept, int group)
{
	SqTableCell value = unit_word(group);
	const SqTableRow *row = sq_table_match_first(&kept->view, 1, &value);
	int64 total = 0;
	int64 count = 0;
	int pairs = 0;

	for (; row != NULL && go_on();
		 row = sq_table_match_next(&kept->view, 1, row))
	{
		check_row(row);
		expect(group_of(row) == group, "a row of another group");
		total += word_of(row, AMOUNT);
		pairs ^= (int) word_of(row, ID) >> 1;
		count++;
	}
	expect(total == 0 && pairs == 0 && count % 2 == 0, "sum of a group");
	visitor->matched += count;
	return count;
}

/* Rows with a group by group, the others by a scan: together all. */
static void
check_groups(Visitor *visitor, Kept *kept)
{
	const SqTableRow *rows[AT_ONCE];
	SqTableScan scan = {0};
	int64 total = 0;
	int count;

	for (int group = 1; group < GROUPS; group++)
		total += check_match(visitor, kept, group);
	while ((count = sq_table_scan_next(&kept->view, &scan, rows, AT_ONCE)) > 0)
		for (int i = 0; i < count; i++)
			total += group_of(rows[i]) == 0 && word_of(rows[i], ID) >= 0;
	expect(total == kept->rows, "rows of all groups");
}

static void
check_view(Visitor *visitor, Kept *kept)
{
	int choice = unit_below(&visitor->random, 20);

	if (choice == 0)
		check_scan(visitor, kept);
	else if (choice == 1)
		check_groups(visitor, kept);
	else if (choice < 5)
		check_match(visitor, kept,
					1 + unit_below(&visitor->random, GROUPS - 1));
	else if (choice < 10)
		check_find_many(visitor, kept);
	else
		check_finds(visitor, kept);
}

/* Positions first, then a view: it sees what they speak of. */
static void
open_view(Visitor *visitor, Kept *kept)
{
	int number = unit_below(&visitor->random, TABLES);
	SqTablePosition positions[PARTITIONS];
	int count = sq_table_positions_read(arena, number, visitor->reader,
										positions, PARTITIONS);
	char name[32];
	SqTableCell key = name_cell(-1, name);
	const SqTableRow *row;

	*kept = (Kept){.open = sq_table_view_open(&kept->view, arena, number,
											  layout, visitor->reader),
				   .view = kept->view};
	if (!expect(kept->open, "open a view"))
		return;
	row = sq_table_find(&kept->view, &key);
	if (row != NULL)
	{
		kept->rows = word_of(row, AMOUNT);
		kept->generation = word_of(row, GENERATION);
	}
	for (int p = 0; p < count; p++)
		expect(positions[p].next == positions[0].next &&
				   positions[p].end == positions[0].next &&
				   positions[p].next % PARTITIONS == count - 1 &&
				   positions[p].next <= kept->generation,
			   "positions of one moment, not of a later one");
}

static void *
read_tables(void *arg)
{
	Visitor *visitor = arg;

	for (int opened = 0; opened < VIEWS && go_on();)
	{
		Kept *kept = &visitor->kept[unit_below(&visitor->random, KEPT)];

		if (!kept->open)
		{
			open_view(visitor, kept);
			opened++;
		}
		/* the first of them stays open for long */
		else if (unit_below(&visitor->random, kept == visitor->kept ? 50 : 4) >
				 0)
			check_view(visitor, kept);
		else
		{
			check_scan(visitor, kept);
			sq_table_view_close(&kept->view);
			kept->open = false;
		}
	}
	for (int k = 0; k < KEPT; k++)
		if (visitor->kept[k].open)
			sq_table_view_close(&visitor->kept[k].view);
	__atomic_sub_fetch(&reading, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* ---- Running ---- */

static void
check_author(Author *author)
{
	sq_table_publish(author->writer);
	CHECK_NAMED(unit_settle(author->writer), "table %d: all is reclaimed",
				author->number);
	CHECK_NAMED(
		author->roots >= 2 && author->shrunk >= 5 && author->takeovers >= 5,
		"%d batches: index replaced %d times, memory given back %d "
		"times, %d writers",
		author->batches, author->roots, author->shrunk, author->takeovers);
	sq_table_writer_close(author->writer);
}

static void
check_visitor(const Visitor *visitor)
{
	CHECK_NAMED(visitor->found > 1000 && visitor->matched > 1000 &&
					visitor->scanned > 10000,
				"reader %d: %lld found, %lld matched, %lld scanned",
				visitor->number, (long long) visitor->found,
				(long long) visitor->matched, (long long) visitor->scanned);
}

static void
start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	if (pthread_create(thread, NULL, run, arg) != 0)
		exit(2);
}

int
main(int argc, char **argv)
{
	static Author authors[TABLES];
	static Visitor visitors[READERS];
	pthread_t threads[TABLES + READERS];
	uint64 seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260105;

	if (argc > 1 && strcmp(argv[1], "probe") == 0)
		return 0;
	arena = unit_arena(5 * MB, TABLES, READERS);
	layout = sq_table_layout_create(columns, NCOLUMNS, indexes, 2);
	reading = READERS;
	for (int t = 0; t < TABLES; t++)
	{
		authors[t].number = t;
		authors[t].random = seed + t;
		start(&threads[t], write_table, &authors[t]);
	}
	for (int r = 0; r < READERS; r++)
	{
		visitors[r].number = r;
		visitors[r].reader = sq_table_reader_at(arena, r);
		visitors[r].random = seed + TABLES + r;
		start(&threads[TABLES + r], read_tables, &visitors[r]);
	}
	for (int t = 0; t < TABLES + READERS; t++)
		pthread_join(threads[t], NULL);
	if (!CHECK_NAMED(wrong == NULL, "every view sees one published state"))
		printf("# seed %llu: %s\n", (unsigned long long) seed, wrong);
	for (int t = 0; t < TABLES; t++)
		check_author(&authors[t]);
	for (int r = 0; r < READERS; r++)
		check_visitor(&visitors[r]);
	unit_free_layout(layout);
	free(arena);
	return unit_end();
}
