/*
 * table_internal.h
 *		What the files of room table share; nobody else includes this.
 *
 * Who may touch a field of shared memory is said at the field:
 *	const	written before anybody else can see it
 *	writer	the table's writer alone
 *	atomic	written by the writer (or the owner said), read by all, through
 *			SQ_LOAD and SQ_STORE
 */
#ifndef SQ_TABLE_INTERNAL_H
#define SQ_TABLE_INTERNAL_H

#include "table/table.h"

/* Acquire and release, and the one order of all where two fields matter. */
#define SQ_LOAD(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define SQ_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define SQ_PEEK(p)     __atomic_load_n((p), __ATOMIC_RELAXED)

/* A place in the arena, in units of 16 bytes; 0: none. */
typedef uint32 SqRef;

#define SQ_REF_SHIFT 4

/* ---- Arena (table_arena.c) ---- */

typedef struct SqTableChunk
{
	uint32 owner;  /* under lock: table number + 1; 0: free */
	uint32 length; /* under lock: of the run that begins here, else 0 */
	uint32 used;   /* writer: of an index's segment, slots not empty. Not in
					* the segment, where each look would miss the caches:
					* chunks lie a power of two apart */
} SqTableChunk;

/* One per process (or thread, in tests) that reads. The owner writes; writers
 * of tables read. */
struct SqTableReader
{
	uint64 active; /* atomic: the epoch it entered in; 0: outside */
	uint64 used[SQ_TABLE_CLAIMS / 64]; /* atomic: bits of claims in use */
	struct
	{
		uint64 table;    /* atomic: number */
		uint64 sequence; /* atomic */
	} claims[SQ_TABLE_CLAIMS];
	uint64 filler[3]; /* to whole cache lines */
};

struct SqTableArena
{
	uint64 size;       /* const */
	uint64 seed;       /* const */
	uint32 nchunks;    /* const; chunk numbers count from the arena's
								 * own first byte */
	uint32 first;      /* const: the first that is not ours */
	uint32 ntables;    /* const */
	uint32 nreaders;   /* const */
	size_t tables_at;  /* const: offsets of the arrays */
	size_t readers_at; /* const */
	size_t map_at;     /* const */
	uint32 lock;       /* of map, hint and free, see table_arena.c */
	uint32 hint;       /* under lock: no free chunk before it */
	uint32 free;       /* under lock; peeked at for statistics */
	char filler[60];   /* the epoch is in every reader's cache */
	uint64 epoch;      /* atomic, by any writer */
	char filler2[56];
};

static inline void *
sq_table_pointer(const SqTableArena *arena, SqRef ref)
{
	return (char *) arena + ((size_t) ref << SQ_REF_SHIFT);
}

static inline SqRef
sq_table_ref(const SqTableArena *arena, const void *pointer)
{
	return (SqRef) (((const char *) pointer - (const char *) arena) >>
					SQ_REF_SHIFT);
}

static inline void *
sq_table_chunk_pointer(const SqTableArena *arena, uint32 chunk)
{
	return (char *) arena + (size_t) chunk * SQ_TABLE_CHUNK;
}

static inline uint32
sq_table_chunk_of(SqRef ref)
{
	return (uint32) (((uint64) ref << SQ_REF_SHIFT) / SQ_TABLE_CHUNK);
}

/* A run of length chunks for a table; 0 if there is none. */
extern uint32 sq_table_arena_alloc(SqTableArena *arena, int number,
								   uint32 length);
extern void sq_table_arena_free(SqTableArena *arena, uint32 chunk);
/* The count of used slots of a segment. */
extern uint32 *sq_table_arena_used(const SqTableArena *arena, uint32 chunk);
extern uint32 sq_table_arena_run_length(const SqTableArena *arena,
										uint32 chunk);
/* The next run of a table from chunk on, 0 if none. */
extern uint32 sq_table_arena_next_run(SqTableArena *arena, int number,
									  uint32 chunk);

/* A reader goes in and out of where memory is safe to follow. */
extern void sq_table_enter(SqTableArena *arena, SqTableReader *reader);

static inline void
sq_table_leave(SqTableReader *reader)
{
	SQ_STORE(&reader->active, 0);
}

/* Begin a new epoch, and answer it. What was unlinked before can be met only by
 * readers who are active in an earlier one. */
extern uint64 sq_table_arena_advance(SqTableArena *arena);
/* The epoch of the reader who entered first, at most the one given. */
extern uint64 sq_table_arena_oldest(SqTableArena *arena, uint64 epoch);
/* Sequence numbers claimed of a table, sorted, into claims (malloc'd, grown as
 * needed); their number, -1 without memory for them. */
extern int sq_table_arena_claims(SqTableArena *arena, int number,
								 uint64 **claims, int *capacity);

/* ---- Tables ---- */

/* An array of chunk numbers that grows by being replaced. */
typedef struct SqTableVector
{
	uint32 run;   /* atomic: the chunks it lies in; 0: none */
	uint32 count; /* atomic; stored after run */
} SqTableVector;

#define SQ_TABLE_SLAB_CLASSES 64

struct SqTable
{
	int32 number;                          /* const */
	uint32 chunks;                         /* atomic: taken from the arena */
	uint64 published;                      /* atomic: the state to be seen */
	int64 rows;                            /* atomic */
	int64 pending_rows;                    /* writer: rows, to be published */
	uint64 roots[SQ_TABLE_INDEXES];        /* atomic, see table_index.c */
	SqTableVector rowchunks;               /* runs that hold rows */
	uint32 partial[SQ_TABLE_SLAB_CLASSES]; /* writer: chunks with room */
	uint32 positions;                      /* atomic: run of positions */
	uint32 npositions;                     /* atomic */
	uint64 positions_version;              /* atomic: odd while changing */
};

/* ---- Rows (table_layout.c, table_slab.c) ---- */

#define SQ_TABLE_NEVER PG_UINT64_MAX

typedef struct SqTableLink
{
	SqRef next; /* atomic */
	SqRef prev; /* writer */
} SqTableLink;

/* Then: links of every index but the key, bitmap, values. */
struct SqTableRow
{
	uint64 born;   /* atomic: first state that has it; 0: no row */
	uint64 died;   /* atomic: first state that has it no more */
	SqRef older;   /* atomic: an earlier version; of a free slot: the next */
	uint32 length; /* const: bytes, header included */
	SqTableLink links[FLEXIBLE_ARRAY_MEMBER];
};

StaticAssertDecl(sizeof(SqTableRow) == 24, "the header of a row has grown");

static inline bool
sq_table_row_visible(const SqTableRow *row, uint64 sequence)
{
	uint64 born = SQ_LOAD(&row->born);

	return born != 0 && born <= sequence && sequence < SQ_LOAD(&row->died);
}

extern size_t sq_table_row_size(const SqTableLayout *layout,
								const SqTableCell *cells);
/* Fill everything after the header; the row has the size said above. */
extern void sq_table_row_fill(const SqTableLayout *layout, SqTableRow *row,
							  const SqTableCell *cells);
/* Is this the inside of a row of this layout? */
extern bool sq_table_row_sound(const SqTableLayout *layout,
							   const SqTableRow *row);
/* Hash values of the columns of an index; cells in the order of its columns. */
extern uint32 sq_table_hash_cells(const SqTableLayout *layout, int index,
								  const SqTableCell *cells, uint64 seed);
extern uint32 sq_table_hash_row(const SqTableLayout *layout, int index,
								const SqTableRow *row, uint64 seed);
extern bool sq_table_row_equals(const SqTableLayout *layout, int index,
								const SqTableRow *row,
								const SqTableCell *cells);
extern bool sq_table_rows_equal(const SqTableLayout *layout, int index,
								const SqTableRow *row, const SqTableRow *other);

/* The head of a run that holds rows of one size. */
typedef struct SqTableSlab
{
	uint32 slot_size; /* const, bytes */
	uint32 nslots;    /* const */
	uint32 ready;     /* atomic: slots that were ever handed out */
	uint32 used;      /* writer */
	SqRef free;       /* writer: slots given back, linked by older */
	uint32 class;     /* const; SLAB_CLASSES: a run for one row */
	uint32 prev;      /* writer: in the list of those with room */
	uint32 next;      /* writer */
	uint32 position;  /* const: in rowchunks */
	uint32 filler[7];
} SqTableSlab;

StaticAssertDecl(sizeof(SqTableSlab) == 64, "rows begin at 64 bytes");

static inline SqTableRow *
sq_table_slab_row(SqTableSlab *slab, uint32 slot)
{
	return (SqTableRow *) ((char *) slab + sizeof(SqTableSlab) +
						   (size_t) slot * slab->slot_size);
}

/* A slot with room for size bytes, not yet a row (born is 0); NULL if full. */
extern SqTableRow *sq_table_slab_alloc(SqTableWriter *writer, size_t size);
/* Nobody can see it any more. */
extern void sq_table_slab_free(SqTableWriter *writer, SqTableRow *row);
/* After another writer: who has room is not known, every slot that was handed
 * out counts as used. */
extern void sq_table_slab_forget(SqTableWriter *writer);

/* ---- Index (table_index.c) ---- */

/* What a search goes through; an index is empty when its root is 0. */
typedef struct SqTableIndexSearch
{
	SqTableArena *arena;
	uint64 root;
	const SqTableLayout *layout;
	int index;
} SqTableIndexSearch;

/* The slot of what has this hash value and is equal to cells, or to the
 * columns of another row, or NULL. */
extern uint64 *sq_table_index_find(const SqTableIndexSearch *search,
								   uint32 hash, const SqTableCell *cells);
/* The same for readers: what the slot held, 0 for NULL. The slot itself may
 * hold something else by then. */
extern SqRef sq_table_index_lookup(const SqTableIndexSearch *search,
								   uint32 hash, const SqTableCell *cells);
extern uint64 *sq_table_index_find_row(const SqTableIndexSearch *search,
									   uint32 hash, const SqTableRow *other);
/* The first row with this hash value, most likely the one that a find gives,
 * or 0 if there is none. Doesn't look at rows. */
extern SqRef sq_table_index_guess(SqTableArena *arena, uint64 root,
								  uint32 hash);
/* Have room for one more with this hash value; false if the arena is full. */
extern bool sq_table_index_reserve(SqTableWriter *writer, int index,
								   uint32 hash);
/* Add one that is not there yet; needs a reserve just before. */
extern void sq_table_index_insert(SqTableWriter *writer, int index, uint32 hash,
								  SqRef ref);
extern void sq_table_index_change(uint64 *slot, SqRef ref);
extern void sq_table_index_remove(SqTableWriter *writer, int index,
								  uint64 *slot);
/* Fetch ahead what a find will look at first. */
extern void sq_table_index_prefetch(SqTableArena *arena, uint64 root,
									uint32 hash);
/* Call visit for every run that the index lies in. */
extern void sq_table_index_runs(SqTableArena *arena, uint64 root,
								void (*visit)(void *arg, uint32 run),
								void *arg);

static inline SqRef
sq_table_slot_ref(uint64 slot)
{
	return (SqRef) slot;
}

/* ---- Writer (table_write.c, table_adopt.c) ---- */

/* What was unlinked: a row, or a run of chunks. */
typedef struct SqTableRetired
{
	uint64 epoch; /* begun since; no reader is to be active before it */
	SqRef row;    /* 0: a run */
	uint32 run;
} SqTableRetired;

typedef struct SqTableQueue
{
	SqTableRetired *items; /* a ring */
	size_t capacity;
	size_t first;
	size_t count;
	size_t fresh; /* the last of them: unlinked in the present epoch */
} SqTableQueue;

typedef struct SqTableRefs
{
	SqRef *items;
	size_t capacity;
	size_t count;
} SqTableRefs;

/* A row that is filled and has room in every index, waiting to be linked. */
typedef struct SqTableStaged
{
	SqTableRow *row;
	uint32 hash; /* of its key */
} SqTableStaged;

#define SQ_TABLE_STAGED 16

struct SqTableWriter
{
	SqTableArena *arena;
	SqTable *table;
	const SqTableLayout *layout;
	uint64 sequence; /* of the state being made */
	bool changed;    /* that state differs from the published one */
	SqTableStaged staged[SQ_TABLE_STAGED]; /* a ring */
	uint32 staged_first;
	uint32 staged_count;
	uint32 holes;         /* entries of rowchunks that are empty */
	uint32 hole_hint;     /* none of them is before this one */
	SqTableRefs dying;    /* versions replaced or deleted, not looked at yet */
	SqTableRefs retained; /* of those, the ones that a claim can see */
	SqTableQueue retired; /* unlinked: waiting for readers to move on */
	uint64 *claims;       /* as of the last reclaim */
	int nclaims;
	int claims_capacity;
	uint64 claims_hash;
};

/* Memory of the table: chunks from the arena, counted. */
extern uint32 sq_table_writer_alloc(SqTableWriter *writer, uint32 length);
/* Give a run back once readers have moved on. */
extern void sq_table_writer_retire_run(SqTableWriter *writer, uint32 run);
extern void sq_table_writer_retire_row(SqTableWriter *writer, SqTableRow *row);
/* Take a version out of chain and lists, and retire it. */
extern void sq_table_writer_unlink(SqTableWriter *writer, SqTableRow *row);
extern void sq_table_refs_add(SqTableRefs *refs, SqRef ref);
/* Take over what an earlier writer left. */
extern void sq_table_writer_adopt(SqTableWriter *writer);
extern SqStatus sq_table_error_full(SqError *error);

#endif
