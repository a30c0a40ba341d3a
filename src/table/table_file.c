/*
 * table_file.c
 *		Snapshot files: rows and positions of a table, to begin again from.
 *
 * A file is a header (magic, version, identity, positions), blocks of row
 * images, and an end that counts the rows. Each of them carries a CRC-32C, so
 * a file that is damaged or cut off anywhere is noticed, at the latest by its
 * end. An image is the inside of a row from its bitmap on: it holds offsets
 * only, and is put back as it is. Numbers are in the machine's byte order; the
 * magic tells another one.
 *
 * Reading trusts nothing: lengths are held against what the file has before
 * memory is asked for, and images are checked by whoever puts them.
 *
 * Memory: palloc'd in the caller's context; the descriptor is the caller's.
 * Locks: none.
 */
#include "table/table_internal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "port/pg_crc32c.h"

#define MAGIC       UINT64CONST(0x53514C5441424C31) /* SQLTABL1 */
#define BLOCK_SIZE  ((size_t) 256 * 1024)
#define MAX_COUNT   1000000
#define WRITE_PIECE ((size_t) 1 << 20)
#define MAX_PIECE   ((uint64) 0x3fffffff) /* palloc gives no more */

/* Before every piece; the CRC is of kind, length, rows and the piece itself. */
typedef struct SqPiece
{
	uint32 kind;
	pg_crc32c crc;
	uint64 length;
	uint64 rows; /* a block: in it; the end: in the file */
} SqPiece;

enum
{
	PIECE_IDENTITY = 1,
	PIECE_POSITIONS,
	PIECE_BLOCK,
	PIECE_END
};

struct SqTableFileWriter
{
	int fd;
	uint64 rows;
	uint64 block_rows;
	char *block;
	size_t used;
	size_t capacity;
};

struct SqTableFileReader
{
	int fd;
	uint64 left; /* bytes of the file after what was read */
	uint64 rows;
	SqTablePosition *positions;
	int npositions;
	char *block;
	size_t capacity;
	size_t length;
	size_t at;
	bool ended;
};

static SqStatus
io_error(SqError *error, const char *what)
{
	return sq_error_set(error, ERRCODE_IO_ERROR,
						"could not %s a snapshot of a table: %s", what,
						strerror(errno));
}

static SqStatus
damaged(SqError *error)
{
	return sq_error_set(error, ERRCODE_DATA_CORRUPTED,
						"snapshot of a table is damaged");
}

static pg_crc32c
piece_crc(const SqPiece *piece, const void *data)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &piece->kind, sizeof(piece->kind));
	COMP_CRC32C(crc, &piece->length, sizeof(piece->length));
	COMP_CRC32C(crc, &piece->rows, sizeof(piece->rows));
	COMP_CRC32C(crc, data, piece->length);
	FIN_CRC32C(crc);
	return crc;
}

/* ---- Writing ---- */

static SqStatus
write_bytes(int fd, const void *data, size_t length, SqError *error)
{
	const char *at = data;

	while (length > 0)
	{
		ssize_t done = write(fd, at, Min(length, WRITE_PIECE));

		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = ENOSPC;
		if (done <= 0)
			return io_error(error, "write");
		at += done;
		length -= done;
	}
	return SQ_OK;
}

static SqStatus
write_piece(int fd, uint32 kind, uint64 rows, SqSlice data, SqError *error)
{
	SqPiece piece = {.kind = kind, .length = data.length, .rows = rows};

	piece.crc = piece_crc(&piece, data.data);
	if (write_bytes(fd, &piece, sizeof(piece), error) != SQ_OK)
		return SQ_ERROR;
	return write_bytes(fd, data.data, data.length, error);
}

SqTableFileWriter *
sq_table_file_create(int fd, const SqTableIdentity *identity,
					 const SqTablePosition *positions, int count,
					 SqError *error)
{
	uint64 magic = MAGIC;
	SqTableFileWriter *writer;

	if (write_bytes(fd, &magic, sizeof(magic), error) != SQ_OK ||
		write_piece(fd, PIECE_IDENTITY, 0,
					(SqSlice){identity->bytes, identity->length},
					error) != SQ_OK ||
		write_piece(fd, PIECE_POSITIONS, 0,
					(SqSlice){(const char *) positions,
							  count * sizeof(SqTablePosition)},
					error) != SQ_OK)
		return NULL;
	writer = palloc0(sizeof(SqTableFileWriter));
	writer->fd = fd;
	writer->capacity = BLOCK_SIZE;
	writer->block = palloc(writer->capacity);
	return writer;
}

static SqStatus
flush_block(SqTableFileWriter *writer, SqError *error)
{
	SqStatus status =
		write_piece(writer->fd, PIECE_BLOCK, writer->block_rows,
					(SqSlice){writer->block, writer->used}, error);

	writer->used = 0;
	writer->block_rows = 0;
	return status;
}

SqStatus
sq_table_file_add(SqTableFileWriter *writer, const SqTableLayout *layout,
				  const SqTableRow *row, SqError *error)
{
	uint32 length = row->length - layout->bitmap;
	size_t needed = sizeof(length) + length;

	if (writer->used > 0 && writer->used + needed > writer->capacity &&
		flush_block(writer, error) != SQ_OK)
		return SQ_ERROR;
	if (needed > writer->capacity)
	{
		pfree(writer->block);
		writer->capacity = needed;
		writer->block = palloc(needed);
	}
	memcpy(writer->block + writer->used, &length, sizeof(length));
	memcpy(writer->block + writer->used + sizeof(length),
		   (const char *) row + layout->bitmap, length);
	writer->used += needed;
	writer->block_rows++;
	writer->rows++;
	return SQ_OK;
}

void
sq_table_file_abandon(SqTableFileWriter *writer)
{
	pfree(writer->block);
	pfree(writer);
}

SqStatus
sq_table_file_finish(SqTableFileWriter *writer, SqError *error)
{
	SqStatus status = SQ_OK;

	if (writer->used > 0)
		status = flush_block(writer, error);
	if (status == SQ_OK)
		status = write_piece(writer->fd, PIECE_END, writer->rows, SQ_NULL_SLICE,
							 error);
	sq_table_file_abandon(writer);
	return status;
}

/* ---- Reading ---- */

static SqStatus
read_bytes(SqTableFileReader *reader, void *into, size_t length, SqError *error)
{
	char *at = into;

	if (length > reader->left)
		return damaged(error);
	reader->left -= length;
	while (length > 0)
	{
		ssize_t done = read(reader->fd, at, Min(length, WRITE_PIECE));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return io_error(error, "read");
		if (done == 0)
			return damaged(error);
		at += done;
		length -= done;
	}
	return SQ_OK;
}

/* The next piece into reader->block. */
static SqStatus
read_piece(SqTableFileReader *reader, SqPiece *piece, SqError *error)
{
	if (read_bytes(reader, piece, sizeof(*piece), error) != SQ_OK)
		return SQ_ERROR;
	if (piece->length > reader->left)
		return damaged(error);
	if (piece->length > reader->capacity)
	{
		if (piece->length > MAX_PIECE)
			return damaged(error);
		pfree(reader->block);
		reader->capacity = piece->length;
		reader->block = palloc(reader->capacity);
	}
	if (read_bytes(reader, reader->block, piece->length, error) != SQ_OK)
		return SQ_ERROR;
	if (!EQ_CRC32C(piece->crc, piece_crc(piece, reader->block)))
		return damaged(error);
	reader->length = piece->length;
	reader->at = 0;
	return SQ_OK;
}

static SqStatus
read_identity(SqTableFileReader *reader, const SqTableIdentity *identity,
			  SqError *error)
{
	uint64 magic;
	SqPiece piece;

	if (read_bytes(reader, &magic, sizeof(magic), error) != SQ_OK)
		return SQ_ERROR;
	if (magic != MAGIC)
		return damaged(error);
	if (read_piece(reader, &piece, error) != SQ_OK)
		return SQ_ERROR;
	if (piece.kind != PIECE_IDENTITY)
		return damaged(error);
	if (piece.length != identity->length ||
		memcmp(reader->block, identity->bytes, piece.length) != 0)
		return sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
							"snapshot of a table is of another table, or of "
							"an earlier definition of it");
	return SQ_OK;
}

static SqStatus
read_positions(SqTableFileReader *reader, SqError *error)
{
	SqPiece piece;

	if (read_piece(reader, &piece, error) != SQ_OK)
		return SQ_ERROR;
	if (piece.kind != PIECE_POSITIONS ||
		piece.length % sizeof(SqTablePosition) != 0 ||
		piece.length / sizeof(SqTablePosition) > MAX_COUNT)
		return damaged(error);
	reader->npositions = (int) (piece.length / sizeof(SqTablePosition));
	reader->positions = palloc(Max(piece.length, 1));
	memcpy(reader->positions, reader->block, piece.length);
	reader->length = 0;
	return SQ_OK;
}

SqTableFileReader *
sq_table_file_open(int fd, const SqTableIdentity *identity, SqError *error)
{
	SqTableFileReader *reader;
	struct stat status;

	if (fstat(fd, &status) != 0)
	{
		io_error(error, "read");
		return NULL;
	}
	reader = palloc0(sizeof(SqTableFileReader));
	reader->fd = fd;
	reader->left = status.st_size;
	reader->capacity = BLOCK_SIZE;
	reader->block = palloc(reader->capacity);
	if (read_identity(reader, identity, error) == SQ_OK &&
		read_positions(reader, error) == SQ_OK)
		return reader;
	sq_table_file_close(reader);
	return NULL;
}

const SqTablePosition *
sq_table_file_positions(const SqTableFileReader *reader, int *count)
{
	*count = reader->npositions;
	return reader->positions;
}

/* The next block, or the end. */
static SqStatus
next_block(SqTableFileReader *reader, SqError *error)
{
	SqPiece piece;

	if (read_piece(reader, &piece, error) != SQ_OK)
		return SQ_ERROR;
	if (piece.kind == PIECE_BLOCK && piece.length > 0)
		return SQ_OK;
	if (piece.kind != PIECE_END || piece.rows != reader->rows ||
		reader->left > 0)
		return damaged(error);
	reader->ended = true;
	return SQ_DONE;
}

SqStatus
sq_table_file_read(SqTableFileReader *reader, SqSlice *image, SqError *error)
{
	uint32 length;

	if (reader->ended)
		return SQ_DONE;
	if (reader->at == reader->length)
	{
		SqStatus status = next_block(reader, error);

		if (status != SQ_OK)
			return status;
	}
	if (reader->length - reader->at < sizeof(length))
		return damaged(error);
	memcpy(&length, reader->block + reader->at, sizeof(length));
	reader->at += sizeof(length);
	if (length > reader->length - reader->at)
		return damaged(error);
	*image = (SqSlice){reader->block + reader->at, length};
	reader->at += length;
	reader->rows++;
	return SQ_OK;
}

void
sq_table_file_close(SqTableFileReader *reader)
{
	if (reader->positions != NULL)
		pfree(reader->positions);
	pfree(reader->block);
	pfree(reader);
}
