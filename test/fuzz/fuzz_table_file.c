/*
 * fuzz_table_file.c
 *		libFuzzer target: any bytes as a snapshot of a table, and as a row of
 *		one.
 *
 * The first byte of the input says as what the others are taken: a file, a file
 * whose checksums are made right first (or nothing beyond them would ever be
 * reached), or the image of one row. What is put must be a row whose values lie
 * within it and that its key finds; nothing else may happen but an error that
 * says so.
 */
#include "fuzz.h"

#include "port/pg_crc32c.h"
#include "table_unit.h"

#include <sys/mman.h>
#include <unistd.h>

#define MAGIC_SIZE 8
#define MAX_ROWS   1000

/* The head of a piece, as table_file.c writes it. */
typedef struct Piece
{
	uint32 kind;
	uint32 crc;
	uint64 length;
	uint64 rows;
} Piece;

static const SqTableColumn columns[] = {
	{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true},
	{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
	{.kind = SQ_TABLE_VARLENA, .alignment = 8, .packable = false},
	{.kind = SQ_TABLE_FIXED, .width = 6, .alignment = 2},
};
static const SqTableIndexSpec indexes[] = {{2, {1, 0}}, {1, {2}}};

static SqTableArena *arena;
static SqTableLayout *layout;
static SqTableWriter *writer;

static void
set_up(void)
{
	arena = unit_arena(4 * MB, 1, 1);
	layout = sq_table_layout_create(columns, lengthof(columns), indexes, 2);
	writer = sq_table_writer_open(arena, 0, layout);
}

/* ---- Rows ---- */

static void
check_row(const SqTableView *view, const SqTableRow *row, size_t size)
{
	SqTableCell value = {
		.null = sq_table_row_is_null(layout, row, 2),
	};
	SqTableCell key[2] = {0};
	const SqTableRow *match;

	FUZZ_CHECK(unit_readable_row(layout, row, size));
	key[0].word = sq_table_row_word(&layout->columns[1], row);
	key[1].bytes = sq_table_row_bytes(&layout->columns[0], row);
	FUZZ_CHECK(sq_table_find(view, key) == row);
	if (value.null)
		return;
	value.bytes = sq_table_row_bytes(&layout->columns[2], row);
	match = sq_table_match_first(view, 1, &value);
	while (match != NULL && match != row)
		match = sq_table_match_next(view, 1, match);
	FUZZ_CHECK(match == row);
}

/* Publish what was put, look at all of it, and delete it again. No row has
 * more than size bytes. */
static void
check_rows(size_t size)
{
	const SqTableRow *rows[MAX_ROWS];
	SqTableScan scan = {0};
	SqTableView view;
	int count;

	sq_table_publish(writer);
	FUZZ_CHECK(sq_table_view_open(&view, arena, 0, layout,
								  sq_table_reader_at(arena, 0)));
	count = sq_table_scan_next(&view, &scan, rows, MAX_ROWS);
	FUZZ_CHECK(count == sq_table_stats(arena, 0).rows);
	for (int i = 0; i < count; i++)
		check_row(&view, rows[i], size);
	sq_table_view_close(&view);
	sq_table_clear(writer);
	sq_table_publish(writer);
	FUZZ_CHECK(unit_settle(writer));
}

static void
put_image(SqSlice image)
{
	SqError error;
	SqStatus status;

	sq_error_clear(&error);
	status = sq_table_put_image(writer, image, &error);
	FUZZ_CHECK(status == SQ_OK || status == SQ_ERROR);
	FUZZ_CHECK((status == SQ_ERROR) ==
			   (error.sqlstate == ERRCODE_DATA_CORRUPTED));
}

/* ---- Files ---- */

/* Make the checksum of every piece right whose length is. */
static void
repair(char *bytes, size_t size)
{
	size_t at = MAGIC_SIZE;
	Piece piece;

	while (at + sizeof(piece) <= size)
	{
		memcpy(&piece, bytes + at, sizeof(piece));
		at += sizeof(piece);
		if (piece.length > size - at)
			return;
		INIT_CRC32C(piece.crc);
		COMP_CRC32C(piece.crc, &piece.kind, sizeof(piece.kind));
		COMP_CRC32C(piece.crc, &piece.length, sizeof(piece.length));
		COMP_CRC32C(piece.crc, &piece.rows, sizeof(piece.rows));
		COMP_CRC32C(piece.crc, bytes + at, piece.length);
		FIN_CRC32C(piece.crc);
		memcpy(bytes + at - sizeof(piece), &piece, sizeof(piece));
		at += piece.length;
	}
}

static void
read_rows(SqTableFileReader *reader, size_t size)
{
	SqStatus status = SQ_OK;
	SqError error;
	SqSlice image;
	int count;

	FUZZ_CHECK(sq_table_file_positions(reader, &count) != NULL);
	FUZZ_CHECK(count >= 0 && count * sizeof(SqTablePosition) < size);
	sq_error_clear(&error);
	for (int row = 0; row < MAX_ROWS && status == SQ_OK; row++)
	{
		status = sq_table_file_read(reader, &image, &error);
		if (status != SQ_OK)
			break;
		FUZZ_CHECK(image.length < size);
		put_image(image);
	}
	FUZZ_CHECK(status != SQ_WAIT);
	FUZZ_CHECK((status == SQ_ERROR) ==
			   (error.sqlstate == ERRCODE_DATA_CORRUPTED));
	if (status == SQ_DONE)
		FUZZ_CHECK(sq_table_file_read(reader, &image, &error) == SQ_DONE);
}

static void
read_file(const char *bytes, size_t size)
{
	SqTableIdentity identity = {.length = 2, .bytes = "id"};
	int fd = memfd_create("snapshot", 0);
	SqTableFileReader *reader;
	SqError error;

	FUZZ_CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t) size &&
			   lseek(fd, 0, SEEK_SET) == 0);
	sq_error_clear(&error);
	reader = sq_table_file_open(fd, &identity, &error);
	FUZZ_CHECK((reader == NULL) ==
			   (error.sqlstate == ERRCODE_DATA_CORRUPTED ||
				error.sqlstate == ERRCODE_INVALID_PARAMETER_VALUE));
	if (reader != NULL)
	{
		read_rows(reader, size);
		sq_table_file_close(reader);
	}
	close(fd);
	check_rows(layout->bitmap + size);
}

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;

	if (size == 0)
		return 0;
	if (writer == NULL)
		set_up();
	/* in memory of its own, which ends where it does */
	bytes = pg_malloc(Max(size - 1, 1));
	memcpy(bytes, data + 1, size - 1);
	switch (data[0] % 3)
	{
		case 0:
			read_file(bytes, size - 1);
			break;
		case 1:
			repair(bytes, size - 1);
			read_file(bytes, size - 1);
			break;
		default:
			put_image((SqSlice){bytes, size - 1});
			check_rows(layout->bitmap + size - 1);
	}
	free(bytes);
	return 0;
}
