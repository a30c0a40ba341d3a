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
	SQ_TYPE_NUMERIC,     /* i, scaled by 10^scale; for numeric(p<=18, s>=0) */
	SQ_TYPE_TEXT,        /* text: UTF-8 without NUL bytes */
	SQ_TYPE_BYTEA,       /* text: the bytes */
	SQ_TYPE_DATE,        /* i: days since 2000-01-01 */
	SQ_TYPE_TIMESTAMP,   /* i: microseconds since 2000-01-01 */
	SQ_TYPE_TIMESTAMPTZ, /* i: the same, UTC */
	SQ_TYPE_UUID,        /* text: 16 bytes */
	SQ_TYPE_INPUT, /* always pending: text for the type's input function */
	SQ_TYPE_JSON   /* always pending: a JSON value as it stands in the
						  * document, for json_populate_record (arrays,
						  * composites, domains, json, jsonb) */
} SqType;

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
/* Zero rows, every value NULL, arena empty. */
extern void sq_batch_reset(SqBatch *batch);
extern void sq_batch_destroy(SqBatch *batch);

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
