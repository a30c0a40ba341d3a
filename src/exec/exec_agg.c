/*
 * exec_agg.c
 *		Aggregate functions: one table of what each does with a column.
 *
 * A state begins as zeros. Sums of integers and scaled numerics are kept in 128
 * bits, so that only the end can overflow, as in PostgreSQL. Floats are added
 * in the order of the rows, with PostgreSQL's formulas (float8_accum: Youngs
 * and Cramer), and what it finds out of range.
 *
 * Memory: texts that are kept go to the states' arena. Locks: none.
 */
#include "exec/exec_internal.h"

#include <math.h>

/* The rows that count, each with the state of its group. */
#define FOR_EACH_STATE(args, type, state, row)                                 \
	SQ_FOR_EACH_BIT(row, (args)->mask, (args)->nrows)                          \
	for (type *state = sq_state((args)->states,                                \
								(args)->groups ? (args)->groups[row] : 0,      \
								(args)->offset);                               \
		 state != NULL; state = NULL)

static void
fail(SqAggArgs *args, int row, const char *message)
{
	args->fault = row;
	sq_error_set(&args->exec->fault, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "%s",
				 message);
}

/* ---- count ---- */

static void
count_advance(SqAggArgs *args)
{
	if (args->groups == NULL)
	{
		*(int64 *) sq_state(args->states, 0, args->offset) +=
			sq_bits_count(args->mask, args->nrows);
		return;
	}
	FOR_EACH_STATE(args, int64, state, row)
	{
		(*state)++;
	}
}

static void
count_finish(SqExec *exec, const SqAggregate *aggregate, const void *state,
			 SqColumn *out, int row)
{
	sq_column_set_int(out, row, *(const int64 *) state);
}

/* ---- Sums of words ---- */

/* Numerics are at most 10^18 apart from zero, and there are fewer than 2^63
 * rows: no sum overflows 128 bits. */
typedef struct SqWide
{
	int128 sum;
	int64 count;
	bool nan; /* a NUMERIC was NaN */
} SqWide;

static void
wide_advance_one(SqAggArgs *args)
{
	SqWide *state = sq_state(args->states, 0, args->offset);
	bool numeric = args->column->type == SQ_TYPE_NUMERIC;
	const int64 *values = args->column->i;
	int128 sum = 0;
	int64 count = 0;

	SQ_FOR_EACH_BIT(row, args->mask, args->nrows)
	{
		if (unlikely(values[row] == SQ_NUMERIC_NAN) && numeric)
			state->nan = true;
		else
			sum += values[row];
		count++;
	}
	state->sum += sum;
	state->count += count;
}

static void
wide_advance(SqAggArgs *args)
{
	bool numeric = args->column->type == SQ_TYPE_NUMERIC;
	const int64 *values = args->column->i;

	if (args->groups == NULL)
	{
		wide_advance_one(args);
		return;
	}
	FOR_EACH_STATE(args, SqWide, state, row)
	{
		if (unlikely(values[row] == SQ_NUMERIC_NAN) && numeric)
			state->nan = true;
		else
			state->sum += values[row];
		state->count++;
	}
}

static void
wide_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			SqColumn *out, int row)
{
	const SqWide *state = at;
	bool average = aggregate->kind == SQ_AGG_AVG_WIDE;
	SqHost *host = exec->host;

	if (state->count == 0)
		return;
	sq_column_set_int(
		out, row,
		host->ops->numeric(host, state->sum,
						   state->nan ? -1 : aggregate->arg->scale,
						   average ? state->count : 0));
}

static void
wide_state_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
				  SqColumn *out, int row)
{
	const SqWide *state = at;
	SqSum sum = {state->sum, state->nan ? -1 : aggregate->arg->scale,
				 state->count};

	if (state->count > 0)
		exec->host->ops->state(exec->host, aggregate->number, &sum, out, row);
}

/* PostgreSQL adds int2 and int4 in a bigint, and says so when it is full. */
typedef struct SqNarrow
{
	int64 sum;
	bool any;
} SqNarrow;

static void
narrow_advance(SqAggArgs *args)
{
	const int64 *values = args->column->i;

	FOR_EACH_STATE(args, SqNarrow, state, row)
	{
		if (unlikely(
				__builtin_add_overflow(state->sum, values[row], &state->sum)))
		{
			fail(args, row, "bigint out of range");
			return;
		}
		state->any = true;
	}
}

static void
narrow_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			  SqColumn *out, int row)
{
	const SqNarrow *state = at;

	if (state->any)
		sq_column_set_int(out, row, state->sum);
}

/* ---- Floats ---- */

typedef struct SqFloatSum
{
	double sum;
	bool any;
} SqFloatSum;

static void
float_sum_advance(SqAggArgs *args)
{
	bool narrow = args->column->type == SQ_TYPE_FLOAT4;
	const double *values = args->column->f;

	FOR_EACH_STATE(args, SqFloatSum, state, row)
	{
		double sum = state->any ? state->sum + values[row] : values[row];

		if (narrow)
			sum = (float) sum;
		if (unlikely(isinf(sum)) && state->any && !isinf(state->sum) &&
			!isinf(values[row]))
		{
			fail(args, row, "value out of range: overflow");
			return;
		}
		state->sum = sum;
		state->any = true;
	}
}

static void
float_sum_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
				 SqColumn *out, int row)
{
	const SqFloatSum *state = at;

	if (state->any)
		sq_column_set_float(out, row, state->sum);
}

typedef struct SqMoments
{
	double n;
	double sx;
	double sxx; /* sum of the squares of what differs from the mean */
} SqMoments;

/* One more value; false if the sums overflow by it. */
static bool
add_moment(SqMoments *m, double value)
{
	double sx = m->sx + value;
	double tmp;

	m->n += 1.0;
	if (m->n == 1.0)
	{
		m->sx = sx;
		if (isnan(value) || isinf(value))
			m->sxx = NAN;
		return true;
	}
	tmp = value * m->n - sx;
	m->sxx += tmp * tmp / (m->n * (m->n - 1.0));
	if (isinf(sx) || isinf(m->sxx))
	{
		if (!isinf(m->sx) && !isinf(value))
			return false;
		m->sxx = NAN;
	}
	m->sx = sx;
	return true;
}

static void
moments_advance(SqAggArgs *args)
{
	FOR_EACH_STATE(args, SqMoments, state, row)
	{
		if (unlikely(!add_moment(state, args->column->f[row])))
		{
			fail(args, row, "value out of range: overflow");
			return;
		}
	}
}

static void
moments_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			   SqColumn *out, int row)
{
	const SqMoments *m = at;
	bool sample = aggregate->kind == SQ_AGG_VAR_SAMP_F ||
				  aggregate->kind == SQ_AGG_STDDEV_SAMP_F;
	double result;

	if (m->n < (sample ? 2.0 : 1.0))
		return;
	if (aggregate->kind == SQ_AGG_AVG_F)
		result = m->sx / m->n;
	else
		result = m->sxx / (sample ? m->n - 1.0 : m->n);
	if (aggregate->kind == SQ_AGG_STDDEV_POP_F ||
		aggregate->kind == SQ_AGG_STDDEV_SAMP_F)
		result = sqrt(result);
	sq_column_set_float(out, row, result);
}

/* ---- min and max ---- */

typedef struct SqBest
{
	union
	{
		int64 i;
		double f;
	};
	bool any;
} SqBest;

/* Of equal values PostgreSQL keeps the later one: -0 after 0. */
#define BEST_ADVANCE(name, type, lane, KEEPS)                                  \
	static void name(SqAggArgs *args)                                          \
	{                                                                          \
		const type *values = args->column->lane;                               \
                                                                               \
		FOR_EACH_STATE(args, SqBest, state, row)                               \
		{                                                                      \
			type x = state->lane;                                              \
			type y = values[row];                                              \
                                                                               \
			if (!state->any || !(KEEPS))                                       \
				state->lane = y;                                               \
			state->any = true;                                                 \
		}                                                                      \
	}

#define FLOAT_LT(x, y) ((x) < (y) || (isnan(y) && !isnan(x)))
BEST_ADVANCE(min_i_advance, int64, i, x < y)
BEST_ADVANCE(max_i_advance, int64, i, x > y)
BEST_ADVANCE(min_f_advance, double, f, FLOAT_LT(x, y))
BEST_ADVANCE(max_f_advance, double, f, FLOAT_LT(y, x))

static void
best_i_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			  SqColumn *out, int row)
{
	const SqBest *state = at;

	if (state->any)
		sq_column_set_int(out, row, state->i);
}

static void
best_f_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			  SqColumn *out, int row)
{
	const SqBest *state = at;

	if (state->any)
		sq_column_set_float(out, row, state->f);
}

typedef struct SqBestText
{
	char *data; /* NULL: none yet */
	size_t length;
	size_t room;
} SqBestText;

static int
compare_bytes(SqSlice x, SqSlice y)
{
	int order = memcmp(x.data, y.data, Min(x.length, y.length));

	if (order != 0)
		return order;
	return (x.length > y.length) - (x.length < y.length);
}

static void
keep_text(SqAggArgs *args, SqBestText *state, SqSlice value)
{
	if (state->data == NULL || value.length > state->room)
	{
		state->room = Max(value.length, 2 * state->room) + 1;
		state->data = sq_arena_alloc(args->states->arena, state->room);
	}
	if (value.length > 0)
		memcpy(state->data, value.data, value.length);
	state->length = value.length;
}

static void
text_advance(SqAggArgs *args)
{
	int sign = args->aggregate->kind == SQ_AGG_MIN_T ? 1 : -1;

	FOR_EACH_STATE(args, SqBestText, state, row)
	{
		SqSlice value = args->column->text[row];
		SqSlice best = {state->data, state->length};

		if (state->data == NULL || sign * compare_bytes(value, best) < 0)
			keep_text(args, state, value);
	}
}

static void
text_finish(SqExec *exec, const SqAggregate *aggregate, const void *at,
			SqColumn *out, int row)
{
	const SqBestText *state = at;

	if (state->data != NULL)
		sq_column_set_text(out, row, (SqSlice){state->data, state->length});
}

/* ---- bool_and, bool_or ---- */

BEST_ADVANCE(and_advance, int64, i, !x || y)
BEST_ADVANCE(or_advance, int64, i, x || !y)

/* ---- The table ---- */

static const SqAggFunction functions[SQ_AGG_KINDS] = {
	[SQ_AGG_COUNT] = {sizeof(int64), count_advance, count_finish},
	[SQ_AGG_SUM_I] = {sizeof(SqNarrow), narrow_advance, narrow_finish},
	[SQ_AGG_SUM_WIDE] = {sizeof(SqWide), wide_advance, wide_finish},
	[SQ_AGG_AVG_WIDE] = {sizeof(SqWide), wide_advance, wide_finish},
	[SQ_AGG_SUM_F] = {sizeof(SqFloatSum), float_sum_advance, float_sum_finish},
	[SQ_AGG_AVG_F] = {sizeof(SqMoments), moments_advance, moments_finish},
	[SQ_AGG_VAR_POP_F] = {sizeof(SqMoments), moments_advance, moments_finish},
	[SQ_AGG_VAR_SAMP_F] = {sizeof(SqMoments), moments_advance, moments_finish},
	[SQ_AGG_STDDEV_POP_F] = {sizeof(SqMoments), moments_advance,
							 moments_finish},
	[SQ_AGG_STDDEV_SAMP_F] = {sizeof(SqMoments), moments_advance,
							  moments_finish},
	[SQ_AGG_MIN_I] = {sizeof(SqBest), min_i_advance, best_i_finish},
	[SQ_AGG_MAX_I] = {sizeof(SqBest), max_i_advance, best_i_finish},
	[SQ_AGG_MIN_F] = {sizeof(SqBest), min_f_advance, best_f_finish},
	[SQ_AGG_MAX_F] = {sizeof(SqBest), max_f_advance, best_f_finish},
	[SQ_AGG_MIN_T] = {sizeof(SqBestText), text_advance, text_finish},
	[SQ_AGG_MAX_T] = {sizeof(SqBestText), text_advance, text_finish},
	[SQ_AGG_AND] = {sizeof(SqBest), and_advance, best_i_finish},
	[SQ_AGG_OR] = {sizeof(SqBest), or_advance, best_i_finish},
	[SQ_AGG_STATE_WIDE] = {sizeof(SqWide), wide_advance, wide_state_finish},
};

const SqAggFunction *
sq_exec_agg_function(SqAggregateKind kind)
{
	return functions[kind].size > 0 ? &functions[kind] : NULL;
}
