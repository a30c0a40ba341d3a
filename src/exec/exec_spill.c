/*
 * exec_spill.c
 *		Rows in temporary files.
 *
 * A row is its length and, for each value, whether it is there, and eight
 * bytes, or a length and bytes. Rows are divided among the files by four
 * bits of their hash, other ones at each depth, so that rows of one key are in
 * one file.
 *
 * Memory: a buffer for a row, columns for a frame; files are the host's. Locks:
 * none.
 */
#include "exec/exec_internal.h"

#define ARENA_BLOCK (256 * 1024)

SqSpill *
sq_exec_spill_create(SqOperator *op, const int *slots, int nslots, int depth)
{
	SqSpill *spill = palloc0(sizeof(SqSpill));

	spill->exec = op->exec;
	spill->op = op;
	spill->slots = slots;
	spill->ncolumns = nslots;
	spill->depth = depth;
	for (int f = 0; f < SQ_SPILL_FILES; f++)
		spill->files[f] = -1;
	return spill;
}

static void
close_file(SqSpill *spill, int file)
{
	SqHost *host = spill->exec->host;

	if (spill->files[file] >= 0)
		host->ops->spill_close(host, spill->files[file]);
	spill->files[file] = -1;
}

void
sq_exec_spill_destroy(SqSpill *spill)
{
	for (int f = 0; f < SQ_SPILL_FILES; f++)
		close_file(spill, f);
	if (spill->buffer != NULL)
		pfree(spill->buffer);
	pfree(spill);
}

/* ---- Writing ---- */

static void
put(SqSpill *spill, const void *bytes, size_t length)
{
	if (spill->length + length > spill->capacity)
	{
		spill->capacity = Max(spill->length + length, spill->capacity * 2);
		spill->buffer = sq_base_resize(spill->buffer, spill->capacity);
	}
	if (length > 0)
		memcpy(spill->buffer + spill->length, bytes, length);
	spill->length += length;
}

static void
put_bytes(SqSpill *spill, const char *bytes, size_t length)
{
	uint32 size = (uint32) length;

	put(spill, &size, sizeof(size));
	put(spill, bytes, length);
}

static void
put_value(SqSpill *spill, int slot, const SqColumn *column, int row)
{
	SqHost *host = spill->exec->host;
	size_t size = 0;

	if (column->text != NULL)
	{
		put_bytes(spill, column->text[row].data, column->text[row].length);
		return;
	}
	if (column->type == SQ_TYPE_DATUM)
	{
		size = host->ops->datum_size(host, slot, column->i[row]);
		put_bytes(spill,
				  size > 0 ? (const char *) (uintptr_t) column->i[row] : NULL,
				  size);
	}
	if (size == 0)
		put(spill, &column->i[row], sizeof(int64));
}

static void
put_row(SqSpill *spill, const SqFrame *frame, int row)
{
	uint32 length = 0;

	spill->length = 0;
	put(spill, &length, sizeof(length));
	for (int c = 0; c < spill->ncolumns; c++)
	{
		const SqColumn *column = frame->columns[spill->slots[c]];
		bool there = sq_bit_get(column->valid, row);

		put(spill, &there, sizeof(there));
		if (there)
			put_value(spill, spill->slots[c], column, row);
	}
	length = (uint32) (spill->length - sizeof(length));
	memcpy(spill->buffer, &length, sizeof(length));
}

void
sq_exec_spill_write(SqSpill *spill, const SqFrame *frame, const uint64 *mask,
					const uint64 *hashes)
{
	SqHost *host = spill->exec->host;

	SQ_FOR_EACH_BIT(row, mask, frame->nrows)
	{
		int file =
			(int) (hashes[row] >> (4 * spill->depth)) & (SQ_SPILL_FILES - 1);

		if (spill->files[file] < 0)
		{
			spill->files[file] = host->ops->spill_open(host);
			spill->op->stats->files++;
		}
		put_row(spill, frame, row);
		host->ops->spill_write(host, spill->files[file], spill->buffer,
							   spill->length);
		spill->rows[file]++;
		spill->op->stats->spilled += spill->length;
	}
}

/* ---- Reading ---- */

struct SqSpillReader
{
	SqExec *exec;
	SqSpill *spill;
	int file;
	int ncolumns;
	SqColumn **columns;
	SqArena *arena; /* bytes of the rows of the frame at hand */
};

SqSpillReader *
sq_exec_spill_reader_create(SqSpill *spill)
{
	SqSpillReader *reader = palloc0(sizeof(SqSpillReader));
	SqExec *exec = spill->exec;

	reader->exec = exec;
	reader->ncolumns = spill->ncolumns;
	reader->columns = palloc(Max(spill->ncolumns, 1) * sizeof(SqColumn *));
	for (int c = 0; c < spill->ncolumns; c++)
		reader->columns[c] = sq_column_create(
			&exec->plan->slots[spill->slots[c]], exec->options.capacity);
	reader->arena = sq_arena_create(ARENA_BLOCK);
	return reader;
}

void
sq_exec_spill_rewind(SqSpillReader *reader, SqSpill *spill, int file)
{
	SqHost *host = reader->exec->host;

	reader->spill = spill;
	reader->file = file;
	if (spill->files[file] >= 0)
		host->ops->spill_rewind(host, spill->files[file]);
}

static const char *
take(const char **at, size_t length)
{
	const char *bytes = *at;

	*at += length;
	return bytes;
}

static void
take_value(SqSpillReader *reader, SqColumn *column, int row, const char **at)
{
	uint32 length = 0;
	char *datum;

	sq_bit_set(column->valid, row);
	if (column->text != NULL || column->type == SQ_TYPE_DATUM)
		memcpy(&length, take(at, sizeof(length)), sizeof(length));
	if (column->text != NULL)
		column->text[row] = (SqSlice){take(at, length), length};
	else if (length == 0)
		memcpy(&column->i[row], take(at, sizeof(int64)), sizeof(int64));
	else
	{
		/* used in place, so it has to be aligned */
		datum = sq_arena_alloc(reader->arena, length);
		memcpy(datum, take(at, length), length);
		column->i[row] = (int64) (uintptr_t) datum;
	}
}

static bool
read_row(SqSpillReader *reader, int row)
{
	SqHost *host = reader->exec->host;
	int file = reader->spill->files[reader->file];
	uint32 length;
	char *bytes;
	const char *at;

	if (!host->ops->spill_read(host, file, &length, sizeof(length)))
		return false;
	bytes = sq_arena_alloc(reader->arena, Max(length, 1));
	host->ops->spill_read(host, file, bytes, length);
	at = bytes;
	for (int c = 0; c < reader->ncolumns; c++)
	{
		bool there;

		memcpy(&there, take(&at, sizeof(there)), sizeof(there));
		if (there)
			take_value(reader, reader->columns[c], row, &at);
	}
	return true;
}

bool
sq_exec_spill_read(SqSpillReader *reader, SqFrame *frame)
{
	int nrows = 0;

	if (reader->spill->files[reader->file] < 0)
		return false;
	sq_arena_reset(reader->arena);
	for (int c = 0; c < reader->ncolumns; c++)
	{
		memset(reader->columns[c]->valid, 0,
			   SQ_BITMAP_WORDS(reader->exec->options.capacity) *
				   sizeof(uint64));
		frame->columns[reader->spill->slots[c]] = reader->columns[c];
	}
	while (nrows < SQ_EXEC_ROWS && read_row(reader, nrows))
		nrows++;
	frame->nrows = nrows;
	sq_bits_fill(frame->selected, nrows);
	if (nrows == 0)
		close_file(reader->spill, reader->file);
	return nrows > 0;
}
