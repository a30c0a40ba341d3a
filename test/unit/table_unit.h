/*
 * table_unit.h
 *		What the tests of room table share: arenas, random numbers, cells, and
 *		rows that follow from a key and a version.
 *
 * A UnitSchema says columns and indexes; the row number id in version v always
 * has the same values, so that a model of a table is one version for each id.
 */
#ifndef SQ_TABLE_UNIT_H
#define SQ_TABLE_UNIT_H

#include "table/table.h"

#include "unit.h"

#define UNIT_COLUMNS 16
#define UNIT_POOL    (1 << 20)
#define MB           ((size_t) 1024 * 1024)

/* ---- Random numbers ---- */

/* splitmix64: good enough, and the same everywhere. */
static inline uint64
unit_mix(uint64 x)
{
	x += UINT64CONST(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

static inline uint64
unit_random(uint64 *state)
{
	*state += UINT64CONST(0x9E3779B97F4A7C15);
	return unit_mix(*state);
}

static inline int
unit_below(uint64 *state, int limit)
{
	return (int) (unit_random(state) % limit);
}

/* Bytes that values are cut from; the same ones in each run. */
static inline const char *
unit_pool(void)
{
	static char *pool = NULL;

	if (pool == NULL)
	{
		uint64 state = 1;

		pool = pg_malloc(UNIT_POOL);
		for (size_t i = 0; i < UNIT_POOL; i += sizeof(uint64))
		{
			uint64 bytes = unit_random(&state);

			memcpy(pool + i, &bytes, sizeof(bytes));
		}
	}
	return pool;
}

/* ---- Arenas ---- */

static inline SqTableArena *
unit_arena(size_t size, int ntables, int nreaders)
{
	size_t total = size + sq_table_arena_overhead(size, ntables, nreaders);
	void *memory;

	if (posix_memalign(&memory, 64, total) != 0)
		exit(2);
	/* not zeros: nothing may depend on fresh memory */
	memset(memory, 0xA5, total);
	return sq_table_arena_init(memory, total, ntables, nreaders,
							   UINT64CONST(0x5EED));
}

static inline uint64
unit_bytes(SqTableArena *arena, int number)
{
	return sq_table_stats(arena, number).bytes;
}

/* Reclaim until nothing waits; false if something goes on waiting. */
static inline __attribute__((unused)) bool
unit_settle(SqTableWriter *writer)
{
	for (int i = 0; i < 10; i++)
		if (!sq_table_reclaim(writer))
			return true;
	return false;
}

static inline __attribute__((unused)) void
unit_free_layout(SqTableLayout *layout)
{
	pfree(layout->columns);
	pfree(layout);
}

/* ---- Cells ---- */

static inline SqTableCell
unit_word(int64 word)
{
	return (SqTableCell){.word = word};
}

static inline SqTableCell
unit_slice(const char *data, size_t length)
{
	return (SqTableCell){.bytes = {data, length}};
}

static inline __attribute__((unused)) SqTableCell
unit_text(const char *string)
{
	return unit_slice(string, strlen(string));
}

/* Is the value of a row that of a cell, and laid out as its column says? */
static inline bool
unit_same_value(const SqTableColumn *column, const SqTableRow *row,
				const SqTableCell *cell)
{
	const char *at;
	SqSlice bytes;
	bool small;

	if (column->kind == SQ_TABLE_WORD)
		return sq_table_row_word(column, row) == cell->word;
	at = sq_table_row_pointer(column, row);
	bytes = sq_table_row_bytes(column, row);
	if (bytes.length != cell->bytes.length ||
		(bytes.length > 0 &&
		 memcmp(bytes.data, cell->bytes.data, bytes.length) != 0))
		return false;
	if (column->kind == SQ_TABLE_FIXED)
		return (uintptr_t) at % column->alignment == 0 && bytes.data == at;
	/* a header of one byte only where it may be, and never where it is not
	 * known from PostgreSQL's of four bytes */
	small = bytes.data == at + 1;
	if (small)
		return column->packable && (uint8) *at == ((bytes.length + 1) << 1 | 1);
	return bytes.data == at + 4 &&
		   (uintptr_t) at % Max(column->alignment, 4) == 0 &&
		   *(const uint32 *) at == (bytes.length + 4) << 2;
}

static inline bool
unit_same_row(const SqTableLayout *layout, const SqTableRow *row,
			  const SqTableCell *cells)
{
	for (int c = 0; c < layout->ncolumns; c++)
	{
		if (sq_table_row_is_null(layout, row, c) != cells[c].null)
			return false;
		if (!cells[c].null &&
			!unit_same_value(&layout->columns[c], row, &cells[c]))
			return false;
	}
	return true;
}

/* Are the values of a row of so many bytes inside of it, and datums as
 * PostgreSQL would read them: headers of one byte where they may be, of four
 * bytes aligned and not compressed? */
static inline __attribute__((unused)) bool
unit_readable_row(const SqTableLayout *layout, const SqTableRow *row,
				  size_t size)
{
	const char *end = (const char *) row + size;

	for (int c = 0; c < layout->ncolumns; c++)
	{
		const SqTableColumn *column = &layout->columns[c];
		SqTableCell cell;

		if (column->kind != SQ_TABLE_VARLENA ||
			sq_table_row_is_null(layout, row, c))
			continue;
		cell = unit_slice(NULL, 0);
		cell.bytes = sq_table_row_bytes(column, row);
		if (sq_table_row_pointer(column, row) <
				(const char *) row + layout->start ||
			cell.bytes.data > end ||
			cell.bytes.length > (size_t) (end - cell.bytes.data) ||
			!unit_same_value(column, row, &cell))
			return false;
	}
	return true;
}

/* ---- Rows that follow from id and version ---- */

typedef struct UnitSchema
{
	const char *name;
	int nkeys; /* ids are below */
	int ncolumns;
	SqTableColumn columns[UNIT_COLUMNS];
	int spread[UNIT_COLUMNS]; /* different values of an indexed column, or a
							   * column of the key but its last */
	int id_column;            /* a WORD that holds the id */
	int nindexes;
	SqTableIndexSpec indexes[SQ_TABLE_INDEXES];
} UnitSchema;

#define UNIT_ID_OFFSET 7

static inline SqTableLayout *
unit_layout(const UnitSchema *schema)
{
	return sq_table_layout_create(schema->columns, schema->ncolumns,
								  schema->indexes, schema->nindexes);
}

/* The value number digit of a column; different for different digits. */
static inline SqTableCell
unit_digit_cell(const SqTableColumn *column, int digit)
{
	const char *from = unit_pool() + (size_t) digit * 16 % (UNIT_POOL / 2);

	if (column->kind == SQ_TABLE_WORD)
		return unit_word(digit - UNIT_ID_OFFSET);
	if (column->kind == SQ_TABLE_FIXED)
		return unit_slice(from, column->width);
	return unit_slice(from, digit == 0 ? 0 : 6 + digit * 37 % 150);
}

/* Which number is in a column of a row: -1 NULL, -2 none. */
static inline int
unit_digit(const UnitSchema *schema, int id, int version, int column)
{
	const SqTableIndexSpec *key = &schema->indexes[0];
	int rest = id;
	uint64 hash;

	for (int k = 0; k < key->ncolumns; k++)
	{
		int spread = schema->spread[key->columns[k]];

		if (key->columns[k] == column)
			return k + 1 < key->ncolumns ? rest % spread : rest;
		rest /= Max(spread, 1);
	}
	if (column == schema->id_column)
		return id;
	hash = unit_mix(unit_mix((uint64) id << 32 | version) + column);
	if (hash % 5 == 0)
		return -1;
	if (schema->spread[column] == 0)
		return -2;
	return (int) ((hash >> 8) % schema->spread[column]);
}

static inline size_t
unit_length(uint64 hash)
{
	int kind = (int) (hash % 100);

	hash >>= 8;
	if (kind < 40)
		return hash % 30;
	if (kind < 60)
		return 120 + hash % 12;
	if (kind < 70)
		return 0;
	if (kind < 99)
		return hash % 3000;
	return 9000 + hash % 60000;
}

/* Any value of a column: follows from hash. */
static inline SqTableCell
unit_free_cell(const SqTableColumn *column, uint64 hash)
{
	const char *from = unit_pool() + hash % (UNIT_POOL / 2);
	int shift = 64 - 8 * column->width;

	if (column->kind == SQ_TABLE_WORD)
		return unit_word((int64) (hash << shift) >> shift);
	if (column->kind == SQ_TABLE_FIXED)
		return unit_slice(from, column->width);
	return unit_slice(from, unit_length(unit_mix(hash)));
}

static inline SqTableCell
unit_cell(const UnitSchema *schema, int id, int version, int column)
{
	int digit = unit_digit(schema, id, version, column);

	if (digit == -1)
		return (SqTableCell){.null = true};
	if (digit >= 0)
		return unit_digit_cell(&schema->columns[column], digit);
	return unit_free_cell(
		&schema->columns[column],
		unit_mix((uint64) version << 40 | (uint64) id << 8 | column));
}

static inline void
unit_cells(const UnitSchema *schema, int id, int version, SqTableCell *cells)
{
	for (int c = 0; c < schema->ncolumns; c++)
		cells[c] = unit_cell(schema, id, version, c);
}

static inline void
unit_key(const UnitSchema *schema, int id, SqTableCell *cells)
{
	const SqTableIndexSpec *key = &schema->indexes[0];

	for (int k = 0; k < key->ncolumns; k++)
		cells[k] = unit_cell(schema, id, 0, key->columns[k]);
}

static inline int
unit_row_id(const UnitSchema *schema, const SqTableLayout *layout,
			const SqTableRow *row)
{
	return (int) sq_table_row_word(&layout->columns[schema->id_column], row) +
		   UNIT_ID_OFFSET;
}

#endif
