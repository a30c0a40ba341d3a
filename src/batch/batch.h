/*
 * batch.h
 *		The door of room batch: typed columns of a bounded number of rows.
 *
 * Between Kafka's bytes and PostgreSQL's tuples stands a batch: decoders write
 * into it, the executor reads from it. A value is in one of three states:
 *
 *	valid	its native value is in the column's lane
 *	pending	its text is in text[row]; only PostgreSQL can convert it (or say
 *			what is wrong with it), see below
 *	NULL	neither
 *
 * Decoders convert what they can convert exactly as PostgreSQL would, which is
 * nearly everything in real topics, and leave the rest pending: unusual date
 * formats, numbers out of range, values of the wrong kind. So there is one
 * authority on what a text means, PostgreSQL's input function, and kernels
 * need only know the common forms.
 */
#ifndef SQ_BATCH_H
#define SQ_BATCH_H

#include "base/base.h"

#ifdef __cplusplus
extern "C"
{
#endif

/* Kinds of column. The lane says where a valid value lies. */
typedef enum SqType
{
	SQ_TYPE_BOOL,        /* i: 0 or 1 */
	SQ_TYPE_INT2,        /* i */
	SQ_TYPE_INT4,        /* i */
	SQ_TYPE_INT8,        /* i */
	SQ_TYPE_FLOAT4,      /* f, already rounded to float */
	SQ_TYPE_FLOAT8,      /* f */
	SQ_TYPE_NUMERIC,     /* i, scaled by 10^scale; for numeric(p<=18, s>=0);
						  * SQ_NUMERIC_NAN stands for NaN, the largest */
	SQ_TYPE_TEXT,        /* text: UTF-8 without NUL bytes */
	SQ_TYPE_BYTEA,       /* text: the bytes */
	SQ_TYPE_DATE,        /* i: days since 2000-01-01 */
	SQ_TYPE_TIMESTAMP,   /* i: microseconds since 2000-01-01 */
	SQ_TYPE_TIMESTAMPTZ, /* i: the same, UTC */
	SQ_TYPE_UUID,        /* text: 16 bytes */
	SQ_TYPE_INPUT, /* always pending: text for the type's input function */
	SQ_TYPE_JSON,  /* always pending: a JSON value as it stands in the
						  * document, for json_populate_record (arrays,
						  * composites, domains, json, jsonb) */
	/* from here on: only in the executor, never decoded */
	SQ_TYPE_BPCHAR, /* text: like TEXT, but spaces at the end don't count */
	SQ_TYPE_DATUM,  /* i: a Datum of any other type */
	SQ_TYPE_TRUTH   /* bits: what a condition says */
} SqType;

#define SQ_NUMERIC_NAN       PG_INT64_MAX
#define SQ_NUMERIC_PRECISION 18

/* Days and seconds between Kafka's epoch (1970) and PostgreSQL's (2000). */
#define SQ_EPOCH_DAYS    INT64CONST(10957)
#define SQ_EPOCH_SECONDS (SQ_EPOCH_DAYS * INT64CONST(86400))

typedef struct SqColumn
{
	SqType type;
	int precision;  /* SQ_TYPE_NUMERIC: digits, 1 to 18; else 0 */
	int scale;      /* SQ_TYPE_NUMERIC: digits after the point; else 0 */
	int max_length; /* SQ_TYPE_TEXT: of varchar(n) in characters; 0: no limit */
	uint64 *valid;  /* bitmap over rows */
	uint64 *pending; /* bitmap over rows, disjoint from valid */
	union
	{
		int64 *i;
		double *f;
		uint64 *bits; /* bitmap over rows */
	};
	SqSlice *text; /* lane of text kinds, and of every pending value; lives as
					* long as the payload it points into or the batch's arena */
} SqColumn;

/*
 * A batch of up to capacity rows. The column arrays belong to the batch, the
 * arena holds what a decoder had to build (unescaped strings, bytea, uuid)
 * until the next reset.
 */
typedef struct SqBatch
{
	int capacity;
	int nrows;
	int ncolumns;
	SqColumn *columns;
	SqArena *arena;
} SqBatch;

/*
 * Make a batch of ncolumns columns whose type fields are copied from
 * templates (their pointers are ignored). Palloc'd in the current context;
 * sq_batch_destroy frees it all.
 */
extern SqBatch *sq_batch_create(const SqColumn *templates, int ncolumns,
								int capacity);
/*
 * Some rows of typed columns, by the numbers of a plan's slots; what operators
 * hand to each other. Columns belong to whoever made them and live until it is
 * asked for more; a slot that has no column yet is NULL.
 */
typedef struct SqFrame
{
	int nrows;
	uint64 *selected; /* bitmap over rows: those that are still there */
	int ncolumns;
	SqColumn **columns;
} SqFrame;

#define SQ_BITMAP_WORDS(rows) (((rows) + 63) / 64)
/* Lanes have room for whole words of bitmaps: kernels compute all rows of a
 * word and ignore those that don't count. */
#define SQ_BITMAP_ROWS(rows) (SQ_BITMAP_WORDS(rows) * 64)

/* Does a type have its values in lane text? */
static inline bool
sq_type_is_text(SqType type)
{
	return type == SQ_TYPE_TEXT || type == SQ_TYPE_BYTEA ||
		   type == SQ_TYPE_UUID || type == SQ_TYPE_BPCHAR;
}

static inline bool
sq_type_is_float(SqType type)
{
	return type == SQ_TYPE_FLOAT4 || type == SQ_TYPE_FLOAT8;
}

/* A float as bits that are equal where floats are: one zero, one NaN. */
static inline int64
sq_float_image(double value)
{
	int64 bits;

	if (value == 0)
		value = 0; /* not its negative */
	if (value != value)
		return INT64CONST(0x7FF8000000000000);
	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Make a column for the executor: valid and its lane, all NULL, nothing
 * pending. Palloc'd, and filled with type fields of template. */
extern SqColumn *sq_column_create(const SqColumn *template, int capacity);

/* Zero rows, every value NULL, arena empty. */
extern void sq_batch_reset(SqBatch *batch);
extern void sq_batch_destroy(SqBatch *batch);

/* The bits of the first rows, all set. */
static inline void
sq_bits_fill(uint64 *bits, int rows)
{
	for (int w = 0; w < rows / 64; w++)
		bits[w] = ~UINT64CONST(0);
	if (rows % 64 != 0)
		bits[rows / 64] = (UINT64CONST(1) << (rows % 64)) - 1;
}

/* Forget the bits from a row on, up to nrows. */
static inline void
sq_bits_cut(uint64 *bits, int row, int nrows)
{
	if (row % 64 != 0)
		bits[row / 64] &= (UINT64CONST(1) << (row % 64)) - 1;
	for (int w = SQ_BITMAP_WORDS(row); w < SQ_BITMAP_WORDS(nrows); w++)
		bits[w] = 0;
}

static inline int
sq_bits_count(const uint64 *bits, int rows)
{
	int count = 0;

	for (int w = 0; w < SQ_BITMAP_WORDS(rows); w++)
		count += __builtin_popcountll(bits[w]);
	return count;
}

/* For each row whose bit is set; word and bits are scratch of the loop. */
#define SQ_FOR_EACH_BIT(row, bitmap, rows)                                     \
	for (int row##_w = 0; row##_w < SQ_BITMAP_WORDS(rows); row##_w++)          \
		for (uint64 row##_b = (bitmap)[row##_w], row = 0;                      \
			 row##_b != 0 &&                                                   \
			 (row = row##_w * 64 + __builtin_ctzll(row##_b), true);            \
			 row##_b &= row##_b - 1)

static inline bool
sq_bit_get(const uint64 *bits, int row)
{
	return (bits[row >> 6] >> (row & 63)) & 1;
}

static inline void
sq_bit_set(uint64 *bits, int row)
{
	bits[row >> 6] |= UINT64CONST(1) << (row & 63);
}

static inline void
sq_bit_clear(uint64 *bits, int row)
{
	bits[row >> 6] &= ~(UINT64CONST(1) << (row & 63));
}

/* The three ways to give a row of a column its value. */
static inline void
sq_column_set_int(SqColumn *column, int row, int64 value)
{
	column->i[row] = value;
	sq_bit_set(column->valid, row);
}

static inline void
sq_column_set_float(SqColumn *column, int row, double value)
{
	column->f[row] = value;
	sq_bit_set(column->valid, row);
}

static inline void
sq_column_set_text(SqColumn *column, int row, SqSlice value)
{
	column->text[row] = value;
	sq_bit_set(column->valid, row);
}

static inline void
sq_column_set_pending(SqColumn *column, int row, SqSlice value)
{
	column->text[row] = value;
	sq_bit_set(column->pending, row);
}

static inline void
sq_column_set_null(SqColumn *column, int row)
{
	sq_bit_clear(column->valid, row);
	sq_bit_clear(column->pending, row);
}

#ifdef __cplusplus
}
#endif

#endif
