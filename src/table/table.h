/*
 * table.h
 *		The door of room table: the last value per key, in shared memory.
 *
 * One arena holds the tables of a server. A table has one writer and any
 * number of readers, in other processes, which take no locks: rows have
 * versions, a reader sees those of the sequence number that it claimed. How
 * that is safe is told in table_arena.c (memory) and table_write.c (rows).
 *
 * Nothing here waits, throws or needs a server, except table_shmem.c. Things in
 * shared memory are found by number (chunk, ref), never by pointer: the arena
 * may be mapped anywhere. What is process-local is palloc'd.
 *
 * Threads and processes: functions that take a writer are for the one process
 * that writes that table; functions that take a view are for anybody, one
 * reader slot per thread of control.
 */
#ifndef SQ_TABLE_H
#define SQ_TABLE_H

#include "batch/batch.h"

/* ---- Layout: how a row lies in memory ---- */

typedef enum SqTableKind
{
	SQ_TABLE_WORD,   /* passed by value: 1, 2, 4 or 8 bytes */
	SQ_TABLE_FIXED,  /* passed by reference, always width bytes */
	SQ_TABLE_VARLENA /* a varlena datum, header included */
} SqTableKind;

typedef struct SqTableColumn
{
	SqTableKind kind;
	int width;     /* WORD, FIXED: bytes */
	int alignment; /* 1, 2, 4 or 8 */
	bool packable; /* VARLENA: may have a one-byte header */
	int offset;    /* from the row's start; set by the layout */
} SqTableColumn;

#define SQ_TABLE_KEY_COLUMNS 32
/* The key, and that many indexed columns. */
#define SQ_TABLE_INDEXES 9

/* Columns that rows are found by. */
typedef struct SqTableIndexSpec
{
	int ncolumns;
	int columns[SQ_TABLE_KEY_COLUMNS];
} SqTableIndexSpec;

/* Read-only once made; everyone who opens the table makes the same one. */
typedef struct SqTableLayout
{
	int ncolumns;
	SqTableColumn *columns;
	int nindexes; /* indexes[0] is the key, unique; the others are not */
	SqTableIndexSpec indexes[SQ_TABLE_INDEXES];
	int bitmap; /* where the bitmap of NULLs is: bit set, value there */
	int start;  /* where values of variable length begin */
} SqTableLayout;

/* One value on its way in, or one that is looked for. */
typedef struct SqTableCell
{
	bool null;
	int64 word;    /* WORD, sign-extended from its width */
	SqSlice bytes; /* FIXED: the value; VARLENA: without its header */
} SqTableCell;

/* Compute a layout for these columns and indexes; palloc'd. */
extern SqTableLayout *sq_table_layout_create(const SqTableColumn *columns,
											 int ncolumns,
											 const SqTableIndexSpec *indexes,
											 int nindexes);

/* Where the bitmap is with so many indexes: all that a snapshot file needs of
 * a layout. */
extern int sq_table_layout_bitmap(int nindexes);

/* ---- Rows ---- */

typedef struct SqTableRow SqTableRow;

static inline bool
sq_table_row_is_null(const SqTableLayout *layout, const SqTableRow *row,
					 int column)
{
	const uint8 *bitmap = (const uint8 *) row + layout->bitmap;

	return (bitmap[column >> 3] & (1 << (column & 7))) == 0;
}

/* A WORD that is not NULL, sign-extended. */
static inline int64
sq_table_row_word(const SqTableColumn *column, const SqTableRow *row)
{
	const char *at = (const char *) row + column->offset;

	switch (column->width)
	{
		case 1:
			return *(const int8 *) at;
		case 2:
			return *(const int16 *) at;
		case 4:
			return *(const int32 *) at;
		default:
			return *(const int64 *) at;
	}
}

/* A FIXED or VARLENA (with its header) that is not NULL; good for as long as
 * the row is visible to a claim. */
static inline const char *
sq_table_row_pointer(const SqTableColumn *column, const SqTableRow *row)
{
	const char *at = (const char *) row + column->offset;

	if (column->kind == SQ_TABLE_VARLENA)
		return (const char *) row + *(const uint32 *) at;
	return at;
}

/* The bytes of a FIXED or VARLENA value, without a header. */
extern SqSlice sq_table_row_bytes(const SqTableColumn *column,
								  const SqTableRow *row);

/* ---- The arena ---- */

typedef struct SqTableArena SqTableArena;
typedef struct SqTable SqTable;

#define SQ_TABLE_CHUNK 32768

typedef struct SqTableArenaStats
{
	uint64 size; /* bytes that tables can have */
	uint64 free; /* of them, those that none has */
} SqTableArenaStats;

/* Make an arena of size bytes at memory (aligned to 64) for this many tables
 * and reader slots; seed makes hash values unpredictable. NULL if it is too
 * small for even one chunk. */
extern SqTableArena *sq_table_arena_init(void *memory, size_t size, int ntables,
										 int nreaders, uint64 seed);
extern SqTableArenaStats sq_table_arena_stats(SqTableArena *arena);
/* Bytes that an arena needs besides the memory of tables. */
extern size_t sq_table_arena_overhead(size_t size, int ntables, int nreaders);

/* ---- Tables ---- */

typedef struct SqTableStats
{
	int64 rows;   /* as published */
	uint64 bytes; /* taken from the arena */
	uint64 sequence;
} SqTableStats;

extern SqTable *sq_table_at(SqTableArena *arena, int number);
/* Make table number empty, with no memory. Nobody reads or writes it. */
extern void sq_table_init(SqTableArena *arena, int number);
/* Give all its memory back. Nobody reads or writes it any more. */
extern void sq_table_drop(SqTableArena *arena, int number);
/* Does any reader have a view of it open? */
extern bool sq_table_is_claimed(SqTableArena *arena, int number);
extern SqTableStats sq_table_stats(SqTableArena *arena, int number);

/* ---- Writing ---- */

typedef struct SqTableWriter SqTableWriter;

/*
 * Become the writer of a table. Takes over what an earlier writer left:
 * changes that it had not published are undone. Palloc'd in the current
 * context; ended by sq_table_writer_close or with the process.
 */
extern SqTableWriter *sq_table_writer_open(SqTableArena *arena, int number,
										   const SqTableLayout *layout);
extern void sq_table_writer_close(SqTableWriter *writer);

/*
 * Insert or replace the row of a key; no key cell is NULL. SQ_ERROR 53200:
 * the arena is full and nothing was changed. Nobody sees it before publish.
 */
extern SqStatus sq_table_put(SqTableWriter *writer, const SqTableCell *cells,
							 SqError *error);
/* Delete by the cells of the key, in the order of the key's columns; false if
 * there is no such row. Needs no memory. */
extern bool sq_table_delete(SqTableWriter *writer, const SqTableCell *key);
/* Delete every row. */
extern void sq_table_clear(SqTableWriter *writer);
/* Show readers all changes since the last time, as one; then reclaim. Without
 * a change the state stays the same. */
extern void sq_table_publish(SqTableWriter *writer);
/* Free what no reader can see any more; call it now and then when idle. True
 * if some memory still waits for readers. */
extern bool sq_table_reclaim(SqTableWriter *writer);

/* Put a row as sq_table_file_read gave it (bytes of the row after its links);
 * checks that it lies within its bounds. SQ_ERROR 53200, or XX001: not a row
 * of this layout. */
extern SqStatus sq_table_put_image(SqTableWriter *writer, SqSlice image,
								   SqError *error);

/* ---- Reading ---- */

typedef struct SqTableReader SqTableReader;

/* Views that a reader slot can have open at once. */
#define SQ_TABLE_CLAIMS 256

extern SqTableReader *sq_table_reader_at(SqTableArena *arena, int number);
/* Forget all claims of a slot: its owner is new, or gone. */
extern void sq_table_reader_reset(SqTableReader *reader);

/* What a statement sees of a table. */
typedef struct SqTableView
{
	SqTableArena *arena;
	SqTable *table;
	const SqTableLayout *layout;
	SqTableReader *reader;
	int claim;
	uint64 sequence;
} SqTableView;

/* Claim the state of a table as of now: its rows stay until the release.
 * False if the slot has no claim left. */
extern bool sq_table_view_open(SqTableView *view, SqTableArena *arena,
							   int number, const SqTableLayout *layout,
							   SqTableReader *reader);
/* Claim the state that another slot's view has, which stays open meanwhile.
 * False as above. */
extern bool sq_table_view_join(SqTableView *view, SqTableArena *arena,
							   int number, const SqTableLayout *layout,
							   SqTableReader *reader, uint64 sequence);
extern void sq_table_view_close(SqTableView *view);
/* The number of the table that a view is of. */
extern int sq_table_view_number(const SqTableView *view);

/* The row of a key, or NULL. The cells are those of the key's columns. */
extern const SqTableRow *sq_table_find(const SqTableView *view,
									   const SqTableCell *key);
/* The same for count keys, each of as many cells as the key has columns, at
 * once: memory is fetched ahead. */
extern void sq_table_find_many(const SqTableView *view, const SqTableCell *keys,
							   int count, const SqTableRow **rows);
/* The first row with a value in the column of indexes[index], and the one
 * after a row that these gave; NULL at the end. */
extern const SqTableRow *sq_table_match_first(const SqTableView *view,
											  int index,
											  const SqTableCell *value);
extern const SqTableRow *sq_table_match_next(const SqTableView *view, int index,
											 const SqTableRow *row);

/* Where a scan of all rows is; starts as zeros. */
typedef struct SqTableScan
{
	uint32 position;
	uint32 slot;
} SqTableScan;

/* The next rows, at most max; 0 at the end. */
extern int sq_table_scan_next(const SqTableView *view, SqTableScan *scan,
							  const SqTableRow **rows, int max);

/* ---- Where in the topic the table is ---- */

/* Of one partition. The mark is the last record that was applied: if another
 * one is there when reading goes on, the topic is not the same any more. */
typedef struct SqTablePosition
{
	int32 partition;
	uint32 mark_checksum; /* of timestamp, key and value */
	int64 mark;           /* its offset; -1: none */
	int64 begin;          /* where the first load began */
	int64 next;           /* everything before it was applied */
	int64 end;            /* of the partition, as last heard */
} SqTablePosition;

/* The writer's: store all of them. SQ_ERROR 53200: there are more than before
 * and the arena is full. */
extern SqStatus sq_table_positions_write(SqTableWriter *writer,
										 const SqTablePosition *positions,
										 int count, SqError *error);
/* Anybody: how many there are, copying at most max of them, all of one
 * moment. */
extern int sq_table_positions_read(SqTableArena *arena, int number,
								   SqTableReader *reader,
								   SqTablePosition *positions, int max);

/* ---- Snapshot files ---- */

#define SQ_TABLE_FILE_IDENTITY 1024

/* What a file must be of, byte by byte, to be believed. */
typedef struct SqTableIdentity
{
	uint32 length;
	char bytes[SQ_TABLE_FILE_IDENTITY];
} SqTableIdentity;

typedef struct SqTableFileWriter SqTableFileWriter;
typedef struct SqTableFileReader SqTableFileReader;

/* Write header and positions of a snapshot to an empty file; palloc'd. Errors
 * (58030) of every call: errno's text. */
extern SqTableFileWriter *sq_table_file_create(int fd,
											   const SqTableIdentity *identity,
											   const SqTablePosition *positions,
											   int count, SqError *error);
extern SqStatus sq_table_file_add(SqTableFileWriter *writer,
								  const SqTableLayout *layout,
								  const SqTableRow *row, SqError *error);
/* Write the end, without which a file is not whole; frees the writer. The
 * caller syncs and renames. */
extern SqStatus sq_table_file_finish(SqTableFileWriter *writer, SqError *error);
extern void sq_table_file_abandon(SqTableFileWriter *writer);

/* Read the header. SQ_ERROR as NULL: XX001 damaged, 58030 cannot be read,
 * 22023 whole but of another identity. */
extern SqTableFileReader *
sq_table_file_open(int fd, const SqTableIdentity *identity, SqError *error);
/* Its positions; belong to the reader. */
extern const SqTablePosition *
sq_table_file_positions(const SqTableFileReader *reader, int *count);
/* The next row image, good until the next call; SQ_DONE after the last one of
 * a file that is whole. */
extern SqStatus sq_table_file_read(SqTableFileReader *reader, SqSlice *image,
								   SqError *error);
extern void sq_table_file_close(SqTableFileReader *reader);

#endif
