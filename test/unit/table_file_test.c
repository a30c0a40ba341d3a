/*
 * table_file_test.c
 *		Room table: snapshot files, whole and damaged, and images of rows that
 *		nobody wrote.
 *
 * Files are made in memory (memfd). Whatever is done to one, reading it must
 * end with an error; a row that came before the damage may be given, since
 * nothing counts before the end has been read. An image must be refused or be
 * a row whose values lie within it.
 */
#include "table_unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const UnitSchema schema = {
	.name = "snapshot",
	.nkeys = 3000,
	.ncolumns = 6,
	.columns = {{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
				{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
				{.kind = SQ_TABLE_FIXED, .width = 16, .alignment = 1},
				{.kind = SQ_TABLE_VARLENA, .alignment = 8, .packable = false},
				{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
				{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true}},
	.spread = {[1] = 100},
	.id_column = 0,
	.nindexes = 2,
	.indexes = {{2, {1, 0}}, {1, {1}}}};

/* (text, int4) with the text as key: small files */
static const UnitSchema small_schema = {
	.name = "small snapshot",
	.nkeys = 5,
	.ncolumns = 2,
	.columns = {{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
				{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4}},
	.id_column = 1,
	.nindexes = 1,
	.indexes = {{1, {0}}}};

typedef struct Bench
{
	const UnitSchema *schema;
	SqTableArena *arena;
	SqTableLayout *layout;
	SqTableWriter *writer;
} Bench;

static Bench
open_bench(const UnitSchema *of, size_t size)
{
	Bench bench = {.schema = of, .arena = unit_arena(size, 1, 1)};

	bench.layout = unit_layout(of);
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

static void
fill(Bench *bench, int count)
{
	SqTableCell cells[UNIT_COLUMNS];
	SqError error;

	for (int id = 0; id < count; id++)
	{
		unit_cells(bench->schema, id, 1, cells);
		if (sq_table_put(bench->writer, cells, &error) != SQ_OK)
			exit(2);
	}
	sq_table_publish(bench->writer);
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

/* The rows are those of ids below count, in this version each. */
static bool
has_rows(Bench *bench, int count)
{
	SqTableView view = open_view(bench);
	SqTableCell cells[UNIT_COLUMNS];
	SqTableCell key[UNIT_COLUMNS];
	bool good = sq_table_stats(bench->arena, 0).rows == count;

	for (int id = 0; id < count && good; id++)
	{
		const SqTableRow *row;

		unit_key(bench->schema, id, key);
		unit_cells(bench->schema, id, 1, cells);
		row = sq_table_find(&view, key);
		good = row != NULL && unit_same_row(bench->layout, row, cells);
	}
	sq_table_view_close(&view);
	return good;
}

/* ---- Files ---- */

static SqTableIdentity
make_identity(const char *name)
{
	SqTableIdentity identity = {.length = (uint32) strlen(name)};

	memcpy(identity.bytes, name, identity.length);
	return identity;
}

static int
open_memory(void)
{
	int fd = memfd_create("snapshot", 0);

	if (fd < 0)
		exit(2);
	return fd;
}

/* A snapshot of all rows. */
static int
write_file(Bench *bench, const SqTableIdentity *identity,
		   const SqTablePosition *positions, int npositions)
{
	SqTableView view = open_view(bench);
	int fd = open_memory();
	SqError error;
	SqTableFileWriter *writer =
		sq_table_file_create(fd, identity, positions, npositions, &error);
	const SqTableRow *rows[100];
	SqTableScan scan = {0};
	int count;

	while ((count = sq_table_scan_next(&view, &scan, rows, 100)) > 0)
		for (int i = 0; i < count; i++)
			if (sq_table_file_add(writer, bench->layout, rows[i], &error) !=
				SQ_OK)
				exit(2);
	if (sq_table_file_finish(writer, &error) != SQ_OK)
		exit(2);
	sq_table_view_close(&view);
	return fd;
}

/* Read a file to its end, into a table if there is one. The state of the
 * error, 0 if there was none. */
static int
read_file(int fd, const SqTableIdentity *identity, Bench *into)
{
	SqTableFileReader *reader;
	SqStatus status = SQ_OK;
	SqError error;
	SqSlice image;

	sq_error_clear(&error);
	lseek(fd, 0, SEEK_SET);
	reader = sq_table_file_open(fd, identity, &error);
	if (reader == NULL)
		return error.sqlstate;
	while (status == SQ_OK)
	{
		status = sq_table_file_read(reader, &image, &error);
		if (status == SQ_OK && into != NULL)
			status = sq_table_put_image(into->writer, image, &error);
	}
	sq_table_file_close(reader);
	return status == SQ_DONE ? 0 : error.sqlstate;
}

static char *
file_bytes(int fd, size_t *size)
{
	struct stat status;
	char *bytes;

	fstat(fd, &status);
	*size = status.st_size;
	bytes = pg_malloc(*size);
	if (pread(fd, bytes, *size, 0) != (ssize_t) *size)
		exit(2);
	return bytes;
}

static int
file_of(const void *bytes, size_t size)
{
	int fd = open_memory();

	if (size > 0 && write(fd, bytes, size) != (ssize_t) size)
		exit(2);
	return fd;
}

/* What reading a file of these bytes comes to. */
static int
read_bytes(const void *bytes, size_t size)
{
	SqTableIdentity identity = make_identity("small");
	int fd = file_of(bytes, size);
	int sqlstate = read_file(fd, &identity, NULL);

	close(fd);
	return sqlstate;
}

static void
test_round_trip(void)
{
	static const SqTablePosition positions[] = {
		{.partition = 0, .mark = -1, .next = 17, .end = 20},
		{.partition = 5,
		 .mark_checksum = 0xDEADBEEF,
		 .mark = PG_INT64_MAX,
		 .begin = 3,
		 .next = 4,
		 .end = PG_INT64_MIN}};
	Bench bench = open_bench(&schema, 64 * MB);
	Bench other = open_bench(&schema, 64 * MB);
	SqTableIdentity identity = make_identity("one");
	const SqTablePosition *read;
	SqTableFileReader *reader;
	SqError error;
	int count;
	int fd;

	fill(&bench, schema.nkeys);
	CHECK(has_rows(&bench, schema.nkeys));
	fd = write_file(&bench, &identity, positions, 2);
	CHECK(lseek(fd, 0, SEEK_END) > 2 * MB);
	CHECK_INT(read_file(fd, &identity, &other), 0);
	sq_table_publish(other.writer);
	CHECK_NAMED(has_rows(&other, schema.nkeys),
				"rows come back from a file as they went into it");
	CHECK_INT(read_file(fd, &identity, &other), 0);
	sq_table_publish(other.writer);
	CHECK_NAMED(has_rows(&other, schema.nkeys), "... and replace those there");
	lseek(fd, 0, SEEK_SET);
	reader = sq_table_file_open(fd, &identity, &error);
	read = sq_table_file_positions(reader, &count);
	CHECK(count == 2 && memcmp(read, positions, sizeof(positions)) == 0);
	sq_table_file_close(reader);
	close(fd);
	close_bench(&bench);
	close_bench(&other);
}

/* A row larger than a block, between small ones. */
static void
test_large_rows(void)
{
	static const size_t lengths[] = {5,      262000, 3,      262144, MB - 9,
									 262143, 262100, 262136, 262128, 1};
	Bench bench = open_bench(&small_schema, 16 * MB);
	Bench other = open_bench(&small_schema, 16 * MB);
	SqTableIdentity identity = make_identity("");
	SqTableView view;
	SqError error;
	bool good = true;
	int fd;

	for (int i = 0; i < lengthof(lengths); i++)
	{
		SqTableCell cells[] = {unit_slice(unit_pool(), lengths[i]),
							   unit_word(i)};

		good = good && sq_table_put(bench.writer, cells, &error) == SQ_OK;
	}
	sq_table_publish(bench.writer);
	fd = write_file(&bench, &identity, NULL, 0);
	CHECK(good && read_file(fd, &identity, &other) == 0);
	sq_table_publish(other.writer);
	CHECK_INT(sq_table_stats(other.arena, 0).rows, lengthof(lengths));
	view = open_view(&other);
	for (int i = 0; i < lengthof(lengths); i++)
	{
		SqTableCell cells[] = {unit_slice(unit_pool(), lengths[i]),
							   unit_word(i)};
		const SqTableRow *row = sq_table_find(&view, cells);

		good = good && row != NULL && unit_same_row(other.layout, row, cells);
	}
	CHECK_NAMED(good, "rows as large as a block and larger");
	sq_table_view_close(&view);
	close(fd);
	close_bench(&bench);
	close_bench(&other);
}

static void
test_empty_table(void)
{
	Bench bench = open_bench(&small_schema, MB);
	SqTableIdentity identity = make_identity("");
	int fd = write_file(&bench, &identity, NULL, 0);

	CHECK_INT(read_file(fd, &identity, &bench), 0);
	CHECK_NAMED(sq_table_stats(bench.arena, 0).rows == 0,
				"a snapshot without rows, positions and identity");
	close(fd);
	close_bench(&bench);
}

static void
test_identity(void)
{
	static const char *const others[] = {"", "on", "ones", "onf", "One"};
	Bench bench = open_bench(&small_schema, MB);
	SqTableIdentity identity = make_identity("one");
	SqTableIdentity longest = {.length = SQ_TABLE_FILE_IDENTITY};
	SqTableIdentity nearly;
	int fd;

	fill(&bench, 5);
	fd = write_file(&bench, &identity, NULL, 0);
	for (int i = 0; i < lengthof(others); i++)
	{
		SqTableIdentity other = make_identity(others[i]);

		CHECK_INT(read_file(fd, &other, NULL), ERRCODE_INVALID_PARAMETER_VALUE);
	}
	close(fd);
	memcpy(longest.bytes, unit_pool(), SQ_TABLE_FILE_IDENTITY);
	nearly = longest;
	nearly.bytes[SQ_TABLE_FILE_IDENTITY - 1]++;
	fd = write_file(&bench, &longest, NULL, 0);
	CHECK_INT(read_file(fd, &longest, NULL), 0);
	CHECK_INT(read_file(fd, &nearly, NULL), ERRCODE_INVALID_PARAMETER_VALUE);
	close(fd);
	close_bench(&bench);
}

/* ---- Damage ---- */

/* The bytes of a small snapshot with two positions. */
static char *
small_file(size_t *size)
{
	static const SqTablePosition positions[2] = {{.partition = 1}};
	Bench bench = open_bench(&small_schema, MB);
	SqTableIdentity identity = make_identity("small");
	char *bytes;
	int fd;

	fill(&bench, 5);
	fd = write_file(&bench, &identity, positions, 2);
	bytes = file_bytes(fd, size);
	close(fd);
	close_bench(&bench);
	return bytes;
}

static void
test_flipped(void)
{
	size_t size;
	char *bytes = small_file(&size);
	size_t accepted = 0;

	CHECK_INT(read_bytes(bytes, size), 0);
	for (size_t bit = 0; bit < size * 8; bit++)
	{
		bytes[bit / 8] ^= 1 << (bit % 8);
		accepted += read_bytes(bytes, size) != ERRCODE_DATA_CORRUPTED;
		bytes[bit / 8] ^= 1 << (bit % 8);
	}
	for (size_t at = 0; at < size; at++)
	{
		char before = bytes[at];

		bytes[at] = (char) ~before;
		accepted += read_bytes(bytes, size) != ERRCODE_DATA_CORRUPTED;
		bytes[at] = before;
	}
	CHECK_NAMED(accepted == 0, "every bit and byte of %zu matters", size);
	free(bytes);
}

static void
test_cut(void)
{
	size_t size;
	char *bytes = small_file(&size);
	char *longer = pg_malloc0(size + 1000);
	size_t accepted = 0;

	for (size_t length = 0; length < size; length++)
		accepted += read_bytes(bytes, length) != ERRCODE_DATA_CORRUPTED;
	CHECK_NAMED(accepted == 0, "a file cut anywhere is refused");
	memcpy(longer, bytes, size);
	for (size_t more = 1; more <= 1000; more++)
		accepted += read_bytes(longer, size + more) != ERRCODE_DATA_CORRUPTED;
	memcpy(longer + size, bytes, Min(size, 1000));
	accepted +=
		read_bytes(longer, size + Min(size, 1000)) != ERRCODE_DATA_CORRUPTED;
	CHECK_NAMED(accepted == 0, "and one with anything after its end");
	free(bytes);
	free(longer);
}

/* Numbers in the head of every piece replaced by extreme ones. */
static void
test_lengths(void)
{
	static const uint64 values[] = {0,
									1,
									0x7fffffff,
									0x80000000,
									0xffffffff,
									UINT64CONST(0x100000000),
									PG_INT64_MAX,
									UINT64CONST(0x8000000000000000),
									PG_UINT64_MAX - 24,
									PG_UINT64_MAX};
	size_t size;
	char *bytes = small_file(&size);
	char *changed = pg_malloc(size);
	size_t accepted = 0;

	for (size_t at = 0; at + sizeof(uint64) <= size; at++)
		for (int v = 0; v < lengthof(values); v++)
		{
			memcpy(changed, bytes, size);
			memcpy(changed + at, &values[v], sizeof(uint64));
			if (memcmp(changed, bytes, size) != 0)
				accepted += read_bytes(changed, size) != ERRCODE_DATA_CORRUPTED;
		}
	CHECK_NAMED(accepted == 0, "lengths that cannot be are refused");
	free(bytes);
	free(changed);
}

static void
test_random_files(uint64 seed)
{
	uint64 random = seed;
	size_t size;
	char *bytes = small_file(&size);
	size_t accepted = 0;

	for (int i = 0; i < 2000; i++)
	{
		size_t length = unit_below(&random, 3000);
		size_t kept = i % 2 == 0 ? unit_below(&random, size) : 0;
		char *file = pg_malloc(length + 1);

		memcpy(file, unit_pool() + unit_below(&random, UNIT_POOL / 2), length);
		/* with a good beginning */
		memcpy(file, bytes, Min(kept, length));
		accepted += read_bytes(file, length) != ERRCODE_DATA_CORRUPTED;
		free(file);
	}
	if (!CHECK_NAMED(accepted == 0, "random bytes are no snapshot"))
		printf("# seed %llu\n", (unsigned long long) seed);
	free(bytes);
}

/* A descriptor that cannot be read or written. */
static void
test_io_errors(void)
{
	SqTableIdentity identity = make_identity("x");
	int fd = open("/dev/full", O_WRONLY);
	SqError error;

	CHECK(sq_table_file_open(-1, &identity, &error) == NULL);
	CHECK_INT(error.sqlstate, ERRCODE_IO_ERROR);
	CHECK(sq_table_file_create(-1, &identity, NULL, 0, &error) == NULL);
	CHECK_INT(error.sqlstate, ERRCODE_IO_ERROR);
	CHECK(sq_table_file_create(fd, &identity, NULL, 0, &error) == NULL);
	CHECK_INT(error.sqlstate, ERRCODE_IO_ERROR);
	CHECK(strstr(error.message, strerror(ENOSPC)) != NULL);
	close(fd);
}

/* ---- Images ---- */

/* Put an image into a table of its own; false: taken, but not as a row. */
static bool
refused_or_row(Bench *bench, const char *bytes, size_t length, int *taken)
{
	char *exact = pg_malloc(Max(length, 1));
	const SqTableRow *rows[2];
	SqTableScan scan = {0};
	SqStatus status;
	SqTableView view;
	SqError error;
	bool good = true;

	memcpy(exact, bytes, length);
	sq_error_clear(&error);
	status =
		sq_table_put_image(bench->writer, (SqSlice){exact, length}, &error);
	free(exact);
	sq_table_publish(bench->writer);
	if (status == SQ_ERROR)
		return error.sqlstate == ERRCODE_DATA_CORRUPTED &&
			   sq_table_stats(bench->arena, 0).rows == 0;
	++*taken;
	view = open_view(bench);
	good = sq_table_scan_next(&view, &scan, rows, 2) == 1 &&
		   unit_readable_row(bench->layout, rows[0],
							 bench->layout->bitmap + length);
	sq_table_view_close(&view);
	sq_table_clear(bench->writer);
	sq_table_publish(bench->writer);
	return good;
}

/* The images of a few rows, from a file. */
#define IMAGES 20

static int
read_images(SqSlice *images)
{
	SqTableIdentity identity = make_identity("");
	Bench bench = open_bench(&schema, 16 * MB);
	SqTableFileReader *reader;
	SqError error;
	SqSlice image;
	int count = 0;
	int fd;

	fill(&bench, IMAGES);
	fd = write_file(&bench, &identity, NULL, 0);
	lseek(fd, 0, SEEK_SET);
	reader = sq_table_file_open(fd, &identity, &error);
	while (sq_table_file_read(reader, &image, &error) == SQ_OK)
	{
		char *copy = pg_malloc(image.length);

		memcpy(copy, image.data, image.length);
		images[count++] = (SqSlice){copy, image.length};
	}
	sq_table_file_close(reader);
	close(fd);
	close_bench(&bench);
	return count;
}

/* One image with every byte as every value that could mean something. */
static int
try_bytes(Bench *bench, SqSlice image, int *taken)
{
	static const uint8 values[] = {0,  1,  2,    3,    4,    5,    8,   16,
								   24, 32, 0x7f, 0x80, 0xfd, 0xfe, 0xff};
	char *copy = pg_malloc(image.length);
	int wrong = 0;

	for (size_t at = 0; at < Min(image.length, 400); at++)
	{
		memcpy(copy, image.data, image.length);
		for (int v = 0; v < lengthof(values); v++)
		{
			copy[at] = (char) values[v];
			wrong += !refused_or_row(bench, copy, image.length, taken);
		}
	}
	free(copy);
	return wrong;
}

static void
test_mutated_images(uint64 seed)
{
	Bench bench = open_bench(&schema, 2 * MB);
	uint64 random = seed;
	SqSlice images[IMAGES];
	int count = read_images(images);
	int taken = 0;
	int wrong = 0;

	CHECK_INT(count, IMAGES);
	for (int i = 0; i < count; i++)
	{
		size_t length = Min(images[i].length, 3000);

		wrong += try_bytes(&bench, images[i], &taken);
		for (size_t cut = 0; cut < length; cut++)
			wrong += !refused_or_row(&bench, images[i].data, cut, &taken);
		for (int r = 0; r < 500; r++)
		{
			char *copy = pg_malloc(length);

			memcpy(copy, images[i].data, length);
			for (int m = 1 + unit_below(&random, 8); m > 0; m--)
				copy[unit_below(&random, Min(length, 150))] =
					(char) unit_random(&random);
			wrong += !refused_or_row(&bench, copy, length, &taken);
			free(copy);
		}
	}
	CHECK_NAMED(taken > 1000, "%d changed images are rows still", taken);
	if (!CHECK_NAMED(wrong == 0, "the others are refused"))
		printf("# seed %llu: %d are not\n", (unsigned long long) seed, wrong);
	for (int i = 0; i < count; i++)
		free((char *) images[i].data);
	CHECK(unit_settle(bench.writer));
	close_bench(&bench);
}

static void
test_random_images(uint64 seed)
{
	Bench bench = open_bench(&schema, 2 * MB);
	uint64 random = seed;
	int taken = 0;
	int wrong = 0;

	for (int i = 0; i < 100000; i++)
		wrong += !refused_or_row(
			&bench, unit_pool() + unit_below(&random, UNIT_POOL / 2),
			unit_below(&random, i % 100 == 0 ? 100000 : 200), &taken);
	if (!CHECK_NAMED(wrong == 0, "random bytes are refused, or a row"))
		printf("# seed %llu: %d are not\n", (unsigned long long) seed, wrong);
	CHECK(unit_settle(bench.writer));
	close_bench(&bench);
}

int
main(int argc, char **argv)
{
	uint64 seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20260104;

	test_round_trip();
	test_large_rows();
	test_empty_table();
	test_identity();
	test_flipped();
	test_cut();
	test_lengths();
	test_random_files(seed);
	test_io_errors();
	test_mutated_images(seed);
	test_random_images(seed);
	return unit_end();
}
