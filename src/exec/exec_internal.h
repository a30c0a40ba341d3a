/*
 * exec_internal.h
 *		Shared by the files of room exec.
 */
#ifndef SQ_EXEC_INTERNAL_H
#define SQ_EXEC_INTERNAL_H

#include "exec/exec.h"

/* ---- Operators (exec.c) ---- */

typedef struct SqOperator SqOperator;

typedef struct SqOperatorOps
{
	/* Fills op->frame. */
	SqStatus (*next)(SqOperator *op);
	/* Forget everything; children are restarted by the caller. */
	void (*restart)(SqOperator *op);
} SqOperatorOps;

/* Each file's operator begins with this. */
struct SqOperator
{
	const SqOperatorOps *ops;
	SqExec *exec;
	const SqNode *node;
	SqOperator *outer;
	SqOperator *inner;
	SqFrame frame; /* its rows; columns are an array of its own */
	SqNodeStats *stats;
	bool failed; /* the rows given are the last ones, then comes the error */
};

struct SqExec
{
	const SqPlan *plan;
	const SqExecRelation *relations;
	SqHost *host;
	SqExecOptions options;
	SqOperator *root;
	SqNodeStats *stats;
	SqError *error; /* of the caller's call */
	SqError fault;  /* of the operator that failed */
};

/* Ask an operator, counting. Parents call this, not ops->next. */
extern SqStatus sq_exec_pull(SqOperator *op);
/* The rows from limit on are at fault, as exec->fault says: keep those
 * before. */
extern void sq_exec_cut(SqOperator *op, int limit);
/* The same for an operator that can't give what it has: SQ_ERROR. */
extern SqStatus sq_exec_fail(SqOperator *op);

/* Common beginnings: palloc'd, with a frame that has its own selection. */
extern void sq_exec_init(SqOperator *op, SqExec *exec, const SqNode *node,
						 const SqOperatorOps *ops);
extern SqProgram **sq_exec_compile(SqExec *exec, SqExpr *const *exprs,
								   int count);

extern SqOperator *sq_exec_scan(SqExec *exec, const SqNode *node);
extern SqOperator *sq_exec_filter(SqExec *exec, const SqNode *node);
extern SqOperator *sq_exec_join(SqExec *exec, const SqNode *node);
extern SqOperator *sq_exec_aggregate(SqExec *exec, const SqNode *node);

/* ---- Rows of kept tables (exec_gather.c) ---- */

/* Which columns of a table's rows go into which slots. */
typedef struct SqGather
{
	const SqTableLayout *layout;
	int nslots;
	const int *slots;
	const int *columns; /* of the layout, in the order of the slots */
} SqGather;

/* The values of rows[r] for each row of mask into the columns of the slots,
 * whose other rows become NULL. */
extern void sq_exec_gather(const SqGather *from, SqFrame *frame,
						   const SqTableRow *const *rows, const uint64 *mask,
						   int nrows);

/* ---- Keys (exec_key.c) ---- */

/* Expressions that rows are found by, as words and bytes that are equal where
 * the values are. */
typedef struct SqKeys
{
	SqExec *exec;
	int count;
	SqProgram **programs;
	SqProgram **image_programs; /* by key; NULL: the value has an image */
	const SqColumn **values;    /* as computed */
	const SqColumn **images;    /* the same, or of the other program, or columns
								 * of our own */
	SqColumn **own;             /* NULL: it is one of the others */
} SqKeys;

/* images: NULL, or the expressions' own or others. */
extern void sq_exec_keys_init(SqKeys *keys, SqExec *exec, SqExpr *const *exprs,
							  SqExpr *const *images, int count);
extern void sq_exec_keys_restart(SqKeys *keys);
/* Compute values and images for the rows of mask up to *limit. */
extern void sq_exec_keys_run(SqKeys *keys, const SqFrame *frame,
							 const uint64 *mask, int *limit);
/* Take away the rows where some key is NULL. */
extern void sq_exec_keys_drop_nulls(const SqKeys *keys, uint64 *mask,
									int nrows);
/* The hash of each row of mask. */
extern void sq_exec_keys_hash(const SqKeys *keys, const uint64 *mask, int nrows,
							  uint64 *hashes);

/* ---- Stores (exec_store.c) ---- */

#define SQ_STORE_SHIFT 10
#define SQ_STORE_ROWS  (1 << SQ_STORE_SHIFT)

/* Rows that are kept, by number, column by column. */
typedef struct SqStore
{
	SqExec *exec;
	int ncolumns;
	SqColumn *templates;
	int *slots; /* by column: for the host to tell Datums; -1: words */
	SqArena *arena;
	uint32 count;
	int nchunks;
	int maxchunks;
	SqColumn **chunks; /* of SQ_STORE_ROWS rows: ncolumns columns each */
} SqStore;

extern void sq_exec_store_init(SqStore *store, SqExec *exec,
							   const SqColumn *templates, const int *slots,
							   int ncolumns);
extern void sq_exec_store_clear(SqStore *store);
/* Add one row of these columns; its number. */
extern uint32 sq_exec_store_add(SqStore *store, const SqColumn *const *columns,
								int row);
extern size_t sq_exec_store_size(const SqStore *store);

static inline SqColumn *
sq_exec_store_column(const SqStore *store, uint32 entry, int column)
{
	return &store->chunks[entry >> SQ_STORE_SHIFT][column];
}

#define SQ_STORE_ROW(entry) ((int) ((entry) & (SQ_STORE_ROWS - 1)))

/* Copy a value, or that it is NULL, between columns of one type. */
static inline void
sq_copy_value(SqColumn *to, int to_row, const SqColumn *from, int from_row)
{
	if (!sq_bit_get(from->valid, from_row))
	{
		sq_bit_clear(to->valid, to_row);
		return;
	}
	sq_bit_set(to->valid, to_row);
	if (to->text != NULL)
		to->text[to_row] = from->text[from_row];
	else
		to->i[to_row] = from->i[from_row];
}

/* ---- Hash tables over stores (exec_hash.c) ---- */

/* Finds the entries of a store by its first nkeys columns, which are images. */
typedef struct SqHash
{
	SqStore *store;
	int nkeys;
	bool nulls; /* NULL equals NULL: groups; else no entry has one */
	uint32 nbuckets;
	uint32 *buckets; /* entry + 1, or 0 */
	uint32 nentries; /* room for */
	uint32 *chain;   /* by entry: the next of the bucket, + 1 */
	uint64 *hashes;  /* by entry */
} SqHash;

extern void sq_exec_hash_init(SqHash *hash, SqStore *store, int nkeys,
							  bool nulls);
extern void sq_exec_hash_clear(SqHash *hash);
extern size_t sq_exec_hash_size(const SqHash *hash);
/* The store's last row becomes an entry, which is found if it is linked. */
extern void sq_exec_hash_add(SqHash *hash, uint64 value, bool linked);
/* The entry + 1 with the same images as these columns' row, or 0. */
extern uint32 sq_exec_hash_find(const SqHash *hash, uint64 value,
								const SqColumn *const *images, int row);
/* For each row of mask, at once: memory is fetched ahead. */
extern void sq_exec_hash_find_many(const SqHash *hash, const uint64 *values,
								   const SqColumn *const *images,
								   const uint64 *mask, int nrows,
								   uint32 *found);

/* ---- Inner sides of joins (exec_lookup.c, exec_build.c) ---- */

/* A match of an outer row: a row of a table, or an entry + 1. 0: none. */
typedef uintptr_t SqMatch;

typedef struct SqInner SqInner;

typedef struct SqInnerOps
{
	/* the first match of each row of mask, into refs */
	void (*find)(SqInner *inner, const SqKeys *keys, const uint64 *mask,
				 int nrows, SqMatch *refs);
	/* the match after this one, or 0 */
	SqMatch (*next)(SqInner *inner, SqMatch ref);
	/* values of the matches of the rows of mask into the frame's columns of
	 * the inner slots; other rows become NULL */
	void (*gather)(SqInner *inner, SqFrame *frame, const SqMatch *refs,
				   const uint64 *mask, int nrows);
} SqInnerOps;

struct SqInner
{
	const SqInnerOps *ops;
	bool unique; /* no row has more than one match */
	int nslots;
	const int *slots; /* that gather fills */
};

extern SqInner *sq_exec_lookup_create(SqExec *exec, const SqNode *node);

/* The rows of an operator in a hash table. */
typedef struct SqBuild
{
	SqInner inner;
	SqOperator *op; /* the join */
	SqKeys keys;
	SqStore store; /* images of the keys, then the slots */
	SqHash hash;
	bool keeps_nulls; /* rows whose key is NULL are wanted too */
	uint32 nsame;
	uint32 *same;  /* by entry: the next one of its key, + 1 */
	uint64 *marks; /* bitmap over entries: they had a match */
	uint64 *mask;  /* scratch */
	uint64 *hashes;
	uint32 *found;
	const SqColumn **columns;
} SqBuild;

extern SqBuild *sq_exec_build_create(SqOperator *op);
extern void sq_exec_build_clear(SqBuild *build);
/* Add the rows of a frame; SQ_ERROR as exec->fault says. */
extern SqStatus sq_exec_build_add(SqBuild *build, const SqFrame *frame);
/* The hash of a frame's rows, as rows are divided by when they spill. */
extern SqStatus sq_exec_build_hash(SqBuild *build, const SqFrame *frame);
extern size_t sq_exec_build_size(const SqBuild *build);
/* The rows of a chunk of the store as a frame, all of them selected; false if
 * there is no such chunk. */
extern bool sq_exec_build_frame(SqBuild *build, int chunk, SqFrame *frame);

/* ---- Spilling (exec_spill.c) ---- */

#define SQ_SPILL_FILES 16
#define SQ_SPILL_DEPTH 8

/* Rows in files of the host, divided by four bits of their hash that the depth
 * chooses. */
typedef struct SqSpill
{
	SqExec *exec;
	SqOperator *op; /* whose rows, for the statistics */
	int ncolumns;
	const int *slots;
	int depth;
	int files[SQ_SPILL_FILES]; /* of the host, -1: none */
	int64 rows[SQ_SPILL_FILES];
	char *buffer; /* a row on its way */
	size_t length;
	size_t capacity;
} SqSpill;

extern SqSpill *sq_exec_spill_create(SqOperator *op, const int *slots,
									 int nslots, int depth);
/* Write these rows of a frame. */
extern void sq_exec_spill_write(SqSpill *spill, const SqFrame *frame,
								const uint64 *mask, const uint64 *hashes);
/* Read a file from its beginning: frames of rows, in columns of the reader. */
typedef struct SqSpillReader SqSpillReader;
extern SqSpillReader *sq_exec_spill_reader_create(SqSpill *spill);
extern void sq_exec_spill_rewind(SqSpillReader *reader, SqSpill *spill,
								 int file);
extern bool sq_exec_spill_read(SqSpillReader *reader, SqFrame *frame);
extern void sq_exec_spill_destroy(SqSpill *spill);

/* ---- Aggregate functions (exec_agg.c) ---- */

/* Where the states of groups are: nothing but zeros is a state's beginning. */
typedef struct SqStates
{
	int stride; /* bytes of a group */
	SqArena *arena;
	int nchunks;
	int maxchunks;
	char **chunks; /* of SQ_STORE_ROWS groups */
} SqStates;

static inline void *
sq_state(const SqStates *states, uint32 group, int offset)
{
	return states->chunks[group >> SQ_STORE_SHIFT] +
		   (size_t) SQ_STORE_ROW(group) * states->stride + offset;
}

typedef struct SqAggArgs
{
	SqExec *exec;
	const SqAggregate *aggregate;
	SqStates *states;
	int offset;             /* of the state in a group's bytes */
	const SqColumn *column; /* the argument; NULL: count(*) */
	const uint64 *mask;     /* the rows that count, NULLs taken out */
	int nrows;
	const uint32 *groups; /* by row; NULL: all of group 0 */
	int fault;            /* set: the row that is at fault, else -1 */
} SqAggArgs;

typedef struct SqAggFunction
{
	int size; /* of a state */
	void (*advance)(SqAggArgs *args);
	/* into a row of out, which is NULL so far */
	void (*finish)(SqExec *exec, const SqAggregate *aggregate,
				   const void *state, SqColumn *out, int row);
} SqAggFunction;

/* NULL for SQ_AGG_HOST. */
extern const SqAggFunction *sq_exec_agg_function(SqAggregateKind kind);

#endif
