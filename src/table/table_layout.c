/*
 * table_layout.c
 *		How the values of a row lie in memory.
 *
 * A row is its header, the links of its indexes, a bitmap of values that are
 * there, the values of fixed width (ordered by alignment, so that nothing is
 * lost between them) and then those of variable length, each where a 32-bit
 * offset from the row's start says. What is passed by reference lies there as
 * a datum of PostgreSQL, so that a query can use it in place.
 *
 * Two values of a column that rows are found by are equal if their bytes are:
 * whoever makes the cells sees to it.
 *
 * Memory: the layout is palloc'd. Locks: none.
 */
#include "table/table_internal.h"

#include "base/base_hash.h"

/* Varlena headers as PostgreSQL lays them out (varatt.h is the server's). */
#define SHORT_MAX 126

static void
set_long_header(char *at, uint32 length)
{
#ifdef WORDS_BIGENDIAN
	uint32 header = length & 0x3FFFFFFF;
#else
	uint32 header = length << 2;
#endif
	memcpy(at, &header, sizeof(header));
}

static void
set_short_header(char *at, uint32 length)
{
#ifdef WORDS_BIGENDIAN
	*at = (char) (length | 0x80);
#else
	*at = (char) ((length << 1) | 1);
#endif
}

static bool
is_short(const char *at)
{
#ifdef WORDS_BIGENDIAN
	return (*(const uint8 *) at & 0x80) != 0;
#else
	return (*(const uint8 *) at & 1) != 0;
#endif
}

/* Is a header of four bytes one of bytes as they are? */
static bool
is_plain(const char *at)
{
#ifdef WORDS_BIGENDIAN
	return (*(const uint8 *) at & 0xC0) == 0;
#else
	return (*(const uint8 *) at & 3) == 0;
#endif
}

/* The bytes of a varlena with header, which it includes. */
static uint32
varlena_size(const char *at)
{
	uint32 header;

	if (is_short(at))
#ifdef WORDS_BIGENDIAN
		return *(const uint8 *) at & 0x7F;
#else
		return *(const uint8 *) at >> 1;
#endif
	memcpy(&header, at, sizeof(header));
#ifdef WORDS_BIGENDIAN
	return header & 0x3FFFFFFF;
#else
	return header >> 2;
#endif
}

/* ---- Layout ---- */

/* The room that a column takes among the fixed ones, and its alignment. */
static int
fixed_width(const SqTableColumn *column)
{
	return column->kind == SQ_TABLE_VARLENA ? (int) sizeof(uint32)
											: column->width;
}

static int
fixed_alignment(const SqTableColumn *column)
{
	return column->kind == SQ_TABLE_VARLENA ? (int) sizeof(uint32)
											: column->alignment;
}

int
sq_table_layout_bitmap(int nindexes)
{
	return (int) (sizeof(SqTableRow) + (nindexes - 1) * sizeof(SqTableLink));
}

SqTableLayout *
sq_table_layout_create(const SqTableColumn *columns, int ncolumns,
					   const SqTableIndexSpec *indexes, int nindexes)
{
	SqTableLayout *layout = palloc0(sizeof(SqTableLayout));
	int at;

	layout->ncolumns = ncolumns;
	layout->columns = palloc(Max(ncolumns, 1) * sizeof(SqTableColumn));
	memcpy(layout->columns, columns, ncolumns * sizeof(SqTableColumn));
	layout->nindexes = nindexes;
	memcpy(layout->indexes, indexes, nindexes * sizeof(SqTableIndexSpec));
	layout->bitmap = sq_table_layout_bitmap(nindexes);
	at = layout->bitmap + (ncolumns + 7) / 8;
	for (int alignment = 8; alignment > 0; alignment /= 2)
		for (int c = 0; c < ncolumns; c++)
		{
			SqTableColumn *column = &layout->columns[c];

			if (fixed_alignment(column) != alignment)
				continue;
			at = TYPEALIGN(alignment, at);
			column->offset = at;
			at += fixed_width(column);
		}
	layout->start = at;
	return layout;
}

/* ---- Building ---- */

/* Where a value of variable length begins that comes at or after at, and
 * where it ends. */
static size_t
varlena_start(const SqTableColumn *column, const SqTableCell *cell, size_t at)
{
	if (column->packable && cell->bytes.length + 1 <= SHORT_MAX)
		return at;
	return TYPEALIGN(Max(column->alignment, 4), at);
}

static size_t
varlena_end(const SqTableColumn *column, const SqTableCell *cell, size_t start)
{
	if (column->packable && cell->bytes.length + 1 <= SHORT_MAX)
		return start + 1 + cell->bytes.length;
	return start + sizeof(uint32) + cell->bytes.length;
}

size_t
sq_table_row_size(const SqTableLayout *layout, const SqTableCell *cells)
{
	size_t at = layout->start;

	for (int c = 0; c < layout->ncolumns; c++)
	{
		const SqTableColumn *column = &layout->columns[c];

		if (column->kind == SQ_TABLE_VARLENA && !cells[c].null)
			at = varlena_end(column, &cells[c],
							 varlena_start(column, &cells[c], at));
	}
	return at;
}

static void
fill_word(const SqTableColumn *column, char *at, int64 word)
{
	switch (column->width)
	{
		case 1:
			*(int8 *) at = (int8) word;
			break;
		case 2:
			*(int16 *) at = (int16) word;
			break;
		case 4:
			*(int32 *) at = (int32) word;
			break;
		default:
			*(int64 *) at = word;
			break;
	}
}

/* Write a varlena that comes at or after an offset; where it ends. */
static size_t
fill_varlena(const SqTableColumn *column, SqTableRow *row,
			 const SqTableCell *cell, size_t at)
{
	size_t start = varlena_start(column, cell, at);
	size_t end = varlena_end(column, cell, start);
	char *base = (char *) row;

	memset(base + at, 0, start - at);
	*(uint32 *) (base + column->offset) = (uint32) start;
	if (column->packable && cell->bytes.length + 1 <= SHORT_MAX)
		set_short_header(base + start, (uint32) (end - start));
	else
		set_long_header(base + start, (uint32) (end - start));
	if (cell->bytes.length > 0)
		memcpy(base + end - cell->bytes.length, cell->bytes.data,
			   cell->bytes.length);
	return end;
}

void
sq_table_row_fill(const SqTableLayout *layout, SqTableRow *row,
				  const SqTableCell *cells)
{
	uint8 *bitmap = (uint8 *) row + layout->bitmap;
	size_t at = layout->start;

	memset(bitmap, 0, layout->start - layout->bitmap);
	for (int c = 0; c < layout->ncolumns; c++)
	{
		const SqTableColumn *column = &layout->columns[c];

		if (cells[c].null)
			continue;
		bitmap[c >> 3] |= 1 << (c & 7);
		if (column->kind == SQ_TABLE_WORD)
			fill_word(column, (char *) row + column->offset, cells[c].word);
		else if (column->kind == SQ_TABLE_FIXED)
			memcpy((char *) row + column->offset, cells[c].bytes.data,
				   column->width);
		else
			at = fill_varlena(column, row, &cells[c], at);
	}
}

/* ---- Reading ---- */

static inline SqSlice
bytes_of(const SqTableColumn *column, const SqTableRow *row)
{
	const char *at = sq_table_row_pointer(column, row);
	int header;

	if (column->kind != SQ_TABLE_VARLENA)
		return (SqSlice){at, column->width};
	header = is_short(at) ? 1 : (int) sizeof(uint32);
	return (SqSlice){at + header, varlena_size(at) - header};
}

SqSlice
sq_table_row_bytes(const SqTableColumn *column, const SqTableRow *row)
{
	return bytes_of(column, row);
}

/* Is there a varlena of this column at an offset? As fill_varlena writes them:
 * not packed where it may not be, nor compressed or elsewhere. */
static bool
varlena_sound(const SqTableLayout *layout, const SqTableColumn *column,
			  const SqTableRow *row, size_t offset)
{
	const char *at = (const char *) row + offset;
	size_t left;

	if (offset < layout->start || offset >= row->length)
		return false;
	left = row->length - offset;
	if (is_short(at))
		return column->packable && varlena_size(at) >= 1 &&
			   varlena_size(at) <= left;
	return TYPEALIGN(Max(column->alignment, 4), offset) == offset &&
		   left >= sizeof(uint32) && is_plain(at) &&
		   varlena_size(at) >= sizeof(uint32) && varlena_size(at) <= left;
}

bool
sq_table_row_sound(const SqTableLayout *layout, const SqTableRow *row)
{
	for (int c = 0; c < layout->ncolumns; c++)
	{
		const SqTableColumn *column = &layout->columns[c];

		if (column->kind == SQ_TABLE_VARLENA &&
			!sq_table_row_is_null(layout, row, c) &&
			!varlena_sound(
				layout, column, row,
				*(const uint32 *) ((const char *) row + column->offset)))
			return false;
	}
	return true;
}

/* ---- Hashing and comparing ---- */

static SqSlice
word_bytes(const int64 *word)
{
	return (SqSlice){(const char *) word, sizeof(*word)};
}

static uint32
fold(uint64 hash)
{
	return (uint32) (hash ^ (hash >> 32));
}

uint32
sq_table_hash_cells(const SqTableLayout *layout, int index,
					const SqTableCell *cells, uint64 seed)
{
	const SqTableIndexSpec *spec = &layout->indexes[index];

	for (int i = 0; i < spec->ncolumns; i++)
	{
		const SqTableColumn *column = &layout->columns[spec->columns[i]];

		seed = sq_hash_bytes(column->kind == SQ_TABLE_WORD
								 ? word_bytes(&cells[i].word)
								 : cells[i].bytes,
							 seed);
	}
	return fold(seed);
}

uint32
sq_table_hash_row(const SqTableLayout *layout, int index, const SqTableRow *row,
				  uint64 seed)
{
	const SqTableIndexSpec *spec = &layout->indexes[index];

	for (int i = 0; i < spec->ncolumns; i++)
	{
		const SqTableColumn *column = &layout->columns[spec->columns[i]];
		int64 word;

		if (column->kind == SQ_TABLE_WORD)
		{
			word = sq_table_row_word(column, row);
			seed = sq_hash_bytes(word_bytes(&word), seed);
		}
		else
			seed = sq_hash_bytes(bytes_of(column, row), seed);
	}
	return fold(seed);
}

/* Keys are short mostly: compared in place, without a call. */
static inline bool
same_bytes(SqSlice a, SqSlice b)
{
	size_t last = a.length - sizeof(uint64);

	if (a.length != b.length)
		return false;
	if (a.length < sizeof(uint64) || a.length > 4 * sizeof(uint64))
		return a.length == 0 || memcmp(a.data, b.data, a.length) == 0;
	for (size_t i = 0; i < last; i += sizeof(uint64))
		if (load_8(a.data + i) != load_8(b.data + i))
			return false;
	return load_8(a.data + last) == load_8(b.data + last);
}

bool
sq_table_row_equals(const SqTableLayout *layout, int index,
					const SqTableRow *row, const SqTableCell *cells)
{
	const SqTableIndexSpec *spec = &layout->indexes[index];

	for (int i = 0; i < spec->ncolumns; i++)
	{
		const SqTableColumn *column = &layout->columns[spec->columns[i]];

		if (sq_table_row_is_null(layout, row, spec->columns[i]))
			return false;
		if (column->kind == SQ_TABLE_WORD
				? sq_table_row_word(column, row) != cells[i].word
				: !same_bytes(bytes_of(column, row), cells[i].bytes))
			return false;
	}
	return true;
}

bool
sq_table_rows_equal(const SqTableLayout *layout, int index,
					const SqTableRow *row, const SqTableRow *other)
{
	const SqTableIndexSpec *spec = &layout->indexes[index];

	for (int i = 0; i < spec->ncolumns; i++)
	{
		int c = spec->columns[i];
		const SqTableColumn *column = &layout->columns[c];

		if (sq_table_row_is_null(layout, row, c) ||
			sq_table_row_is_null(layout, other, c))
			return false;
		if (!same_bytes(column->kind == SQ_TABLE_WORD
							? (SqSlice){(const char *) row + column->offset,
										column->width}
							: bytes_of(column, row),
						column->kind == SQ_TABLE_WORD
							? (SqSlice){(const char *) other + column->offset,
										column->width}
							: bytes_of(column, other)))
			return false;
	}
	return true;
}
