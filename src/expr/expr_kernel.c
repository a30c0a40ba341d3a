/*
 * expr_kernel.c
 *		Operations on typed columns.
 *
 * A kernel computes all 64 rows of a word of the mask at once where that can
 * do no harm, which compilers turn into vector instructions, and then looks at
 * those that count. The results, and what is an error, are PostgreSQL's own:
 * NaN equals itself and is larger than any other float, integers and floats
 * overflow with its messages.
 *
 * Memory: none. Locks: none.
 */
#include "expr/expr_internal.h"

#include <float.h>
#include <math.h>

/* The columns of a step, under the names that all kernels use. */
#define OPERANDS                                                               \
	SqColumn *out = p->registers[step->out];                                   \
	const SqColumn *a = p->registers[step->a];                                 \
	const SqColumn *b = p->registers[step->b];                                 \
	const uint64 *mask = p->masks[step->mask]

/* ---- Comparisons ---- */

#define COMPARE_STEP(name, lane, type, CONDITION)                              \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		OPERANDS;                                                              \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
		{                                                                      \
			const type *xs = a->lane + w * 64;                                 \
			const type *ys = b->lane + w * 64;                                 \
			uint64 active = mask[w] & a->valid[w] & b->valid[w];               \
			uint64 bits = 0;                                                   \
                                                                               \
			for (int r = 0; active != 0 && r < 64; r++)                        \
			{                                                                  \
				type x = xs[r];                                                \
				type y = ys[r];                                                \
                                                                               \
				bits |= (uint64) (CONDITION) << r;                             \
			}                                                                  \
			out->valid[w] = active;                                            \
			out->bits[w] = bits & active;                                      \
		}                                                                      \
	}

COMPARE_STEP(eq_i, i, int64, x == y)
COMPARE_STEP(ne_i, i, int64, x != y)
COMPARE_STEP(lt_i, i, int64, x < y)
COMPARE_STEP(le_i, i, int64, x <= y)
COMPARE_STEP(gt_i, i, int64, x > y)
COMPARE_STEP(ge_i, i, int64, x >= y)

#define FLOAT_EQ(x, y) ((x) == (y) || (isnan(x) && isnan(y)))
#define FLOAT_LT(x, y) ((x) < (y) || (isnan(y) && !isnan(x)))
COMPARE_STEP(eq_f, f, double, FLOAT_EQ(x, y))
COMPARE_STEP(ne_f, f, double, !FLOAT_EQ(x, y))
COMPARE_STEP(lt_f, f, double, FLOAT_LT(x, y))
COMPARE_STEP(le_f, f, double, !FLOAT_LT(y, x))
COMPARE_STEP(gt_f, f, double, FLOAT_LT(y, x))
COMPARE_STEP(ge_f, f, double, !FLOAT_LT(x, y))

static inline bool
same_bytes(SqSlice x, SqSlice y)
{
	return x.length == y.length && memcmp(x.data, y.data, x.length) == 0;
}

static inline int
compare_bytes(SqSlice x, SqSlice y)
{
	int order = memcmp(x.data, y.data, Min(x.length, y.length));

	if (order != 0)
		return order;
	return (x.length > y.length) - (x.length < y.length);
}

static inline SqSlice
trim(SqSlice x)
{
	while (x.length > 0 && x.data[x.length - 1] == ' ')
		x.length--;
	return x;
}

#define COMPARE_TEXT_STEP(name, PREPARE, CONDITION)                            \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		OPERANDS;                                                              \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
		{                                                                      \
			out->valid[w] = mask[w] & a->valid[w] & b->valid[w];               \
			out->bits[w] = 0;                                                  \
		}                                                                      \
		SQ_FOR_EACH_BIT(row, out->valid, p->limit)                             \
		{                                                                      \
			SqSlice x = PREPARE(a->text[row]);                                 \
			SqSlice y = PREPARE(b->text[row]);                                 \
                                                                               \
			if (CONDITION)                                                     \
				sq_bit_set(out->bits, row);                                    \
		}                                                                      \
	}

COMPARE_TEXT_STEP(eq_t, , same_bytes(x, y))
COMPARE_TEXT_STEP(ne_t, , !same_bytes(x, y))
COMPARE_TEXT_STEP(lt_t, , compare_bytes(x, y) < 0)
COMPARE_TEXT_STEP(le_t, , compare_bytes(x, y) <= 0)
COMPARE_TEXT_STEP(gt_t, , compare_bytes(x, y) > 0)
COMPARE_TEXT_STEP(ge_t, , compare_bytes(x, y) >= 0)
COMPARE_TEXT_STEP(eq_b, trim, same_bytes(x, y))
COMPARE_TEXT_STEP(ne_b, trim, !same_bytes(x, y))
COMPARE_TEXT_STEP(lt_b, trim, compare_bytes(x, y) < 0)
COMPARE_TEXT_STEP(le_b, trim, compare_bytes(x, y) <= 0)
COMPARE_TEXT_STEP(gt_b, trim, compare_bytes(x, y) > 0)
COMPARE_TEXT_STEP(ge_b, trim, compare_bytes(x, y) >= 0)

/* ---- Integers ---- */

typedef struct SqRange
{
	int64 low;
	int64 high;
	const char *message;
} SqRange;

static SqRange
range_of(SqType type)
{
	switch (type)
	{
		case SQ_TYPE_INT2:
			return (SqRange){PG_INT16_MIN, PG_INT16_MAX,
							 "smallint out of range"};
		case SQ_TYPE_INT4:
			return (SqRange){PG_INT32_MIN, PG_INT32_MAX,
							 "integer out of range"};
		default:
			return (SqRange){PG_INT64_MIN, PG_INT64_MAX, "bigint out of range"};
	}
}

/* z = f(x, y), with FAILS if that doesn't fit 64 bits. */
#define INTEGER_STEP(name, FAILS)                                              \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		SqRange range = range_of(step->expr->type);                            \
		OPERANDS;                                                              \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
		{                                                                      \
			const int64 *xs = a->i + w * 64;                                   \
			const int64 *ys = b->i + w * 64;                                   \
			uint64 active = mask[w] & a->valid[w] & b->valid[w];               \
			uint64 bad = 0;                                                    \
                                                                               \
			for (int r = 0; active != 0 && r < 64; r++)                        \
			{                                                                  \
				int64 x = xs[r];                                               \
				int64 y = ys[r];                                               \
				int64 z;                                                       \
				bool fails = (FAILS);                                          \
                                                                               \
				(void) y;                                                      \
				bad |= (uint64) (fails | (z < range.low) | (z > range.high))   \
					   << r;                                                   \
				out->i[w * 64 + r] = z;                                        \
			}                                                                  \
			out->valid[w] = active;                                            \
			if (unlikely((bad & active) != 0))                                 \
				sq_expr_fail(p, w * 64 + __builtin_ctzll(bad & active),        \
							 ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,               \
							 range.message);                                   \
		}                                                                      \
	}

INTEGER_STEP(add_i, __builtin_add_overflow(x, y, &z))
INTEGER_STEP(sub_i, __builtin_sub_overflow(x, y, &z))
INTEGER_STEP(mul_i, __builtin_mul_overflow(x, y, &z))
INTEGER_STEP(neg_i, __builtin_sub_overflow(INT64CONST(0), x, &z))
INTEGER_STEP(abs_i, x < 0 ? __builtin_sub_overflow(INT64CONST(0), x, &z)
						  : (z = x, false))
INTEGER_STEP(cast_i, (z = x, false))

/* Division looks at each row that counts: 0 must not be divided by. */
static void
divide(SqProgram *p, const SqStep *step, bool modulo)
{
	SqRange range = range_of(step->expr->type);
	OPERANDS;

	for (int w = 0; w < SQ_WORDS(p); w++)
		out->valid[w] = mask[w] & a->valid[w] & b->valid[w];
	SQ_FOR_EACH_BIT(row, out->valid, p->limit)
	{
		int64 x = a->i[row];
		int64 y = b->i[row];

		if (y == 0)
		{
			sq_expr_fail(p, row, ERRCODE_DIVISION_BY_ZERO, "division by zero");
			return;
		}
		if (y == -1 && !modulo && x == range.low)
		{
			sq_expr_fail(p, row, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
						 range.message);
			return;
		}
		if (y == -1)
			out->i[row] = modulo ? 0 : -x;
		else
			out->i[row] = modulo ? x % y : x / y;
	}
}

static void
div_i(SqProgram *p, const SqStep *step)
{
	divide(p, step, false);
}

static void
mod_i(SqProgram *p, const SqStep *step)
{
	divide(p, step, true);
}

/* ---- Floats ---- */

/* A result of one row; false if it is an error. */
static bool
store_float(SqProgram *p, const SqStep *step, int row, double z, bool infinite,
			bool zero)
{
	if (step->expr->type == SQ_TYPE_FLOAT4)
		z = (float) z;
	if (unlikely(isinf(z)) && !infinite)
		sq_expr_fail(p, row, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					 "value out of range: overflow");
	else if (unlikely(z == 0) && !zero)
		sq_expr_fail(p, row, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
					 "value out of range: underflow");
	else
	{
		p->registers[step->out]->f[row] = z;
		return true;
	}
	return false;
}

/* INFINITE: the result may be infinite, ZERO: it may be zero. */
#define FLOAT_STEP(name, RESULT, INFINITE, ZERO)                               \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		OPERANDS;                                                              \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
			out->valid[w] = mask[w] & a->valid[w] & b->valid[w];               \
		SQ_FOR_EACH_BIT(row, out->valid, p->limit)                             \
		{                                                                      \
			double x = a->f[row];                                              \
			double y = b->f[row];                                              \
                                                                               \
			(void) y;                                                          \
			if (!store_float(p, step, row, RESULT, INFINITE, ZERO))            \
				return;                                                        \
		}                                                                      \
	}

FLOAT_STEP(add_f, x + y, isinf(x) || isinf(y), true)
FLOAT_STEP(sub_f, x - y, isinf(x) || isinf(y), true)
FLOAT_STEP(mul_f, x *y, isinf(x) || isinf(y), x == 0 || y == 0)
FLOAT_STEP(neg_f, -x, true, true)
FLOAT_STEP(abs_f, fabs(x), true, true)
FLOAT_STEP(cast_f, x, isinf(x), x == 0)

static void
div_f(SqProgram *p, const SqStep *step)
{
	OPERANDS;

	for (int w = 0; w < SQ_WORDS(p); w++)
		out->valid[w] = mask[w] & a->valid[w] & b->valid[w];
	SQ_FOR_EACH_BIT(row, out->valid, p->limit)
	{
		double x = a->f[row];
		double y = b->f[row];

		if (unlikely(y == 0) && !isnan(x))
		{
			sq_expr_fail(p, row, ERRCODE_DIVISION_BY_ZERO, "division by zero");
			return;
		}
		if (!store_float(p, step, row, x / y, isinf(x), x == 0 || isinf(y)))
			return;
	}
}

static void
float_i(SqProgram *p, const SqStep *step)
{
	OPERANDS;

	(void) b;
	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		out->valid[w] = mask[w] & a->valid[w];
		for (int r = w * 64; out->valid[w] != 0 && r < w * 64 + 64; r++)
			out->f[r] = step->expr->type == SQ_TYPE_FLOAT4
							? (double) (float) a->i[r]
							: (double) a->i[r];
	}
}

/* ---- NUMERIC ---- */

static const int64 powers[] = {INT64CONST(1),
							   INT64CONST(10),
							   INT64CONST(100),
							   INT64CONST(1000),
							   INT64CONST(10000),
							   INT64CONST(100000),
							   INT64CONST(1000000),
							   INT64CONST(10000000),
							   INT64CONST(100000000),
							   INT64CONST(1000000000),
							   INT64CONST(10000000000),
							   INT64CONST(100000000000),
							   INT64CONST(1000000000000),
							   INT64CONST(10000000000000),
							   INT64CONST(100000000000000),
							   INT64CONST(1000000000000000),
							   INT64CONST(10000000000000000),
							   INT64CONST(100000000000000000),
							   INT64CONST(1000000000000000000)};

/* Of rows that don't count anything may come out, so it's computed without
 * signs. */
#define NUMERIC_STEP(name, RESULT)                                             \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		OPERANDS;                                                              \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
		{                                                                      \
			out->valid[w] = mask[w] & a->valid[w] & b->valid[w];               \
			for (int r = w * 64; out->valid[w] != 0 && r < w * 64 + 64; r++)   \
			{                                                                  \
				uint64 x = (uint64) a->i[r];                                   \
				uint64 y = (uint64) b->i[r];                                   \
                                                                               \
				out->i[r] =                                                    \
					a->i[r] == SQ_NUMERIC_NAN || b->i[r] == SQ_NUMERIC_NAN     \
						? SQ_NUMERIC_NAN                                       \
						: (int64) (RESULT);                                    \
				(void) y;                                                      \
			}                                                                  \
		}                                                                      \
	}

NUMERIC_STEP(add_n, x + y)
NUMERIC_STEP(sub_n, x - y)
NUMERIC_STEP(mul_n, x *y)
NUMERIC_STEP(neg_n, UINT64CONST(0) - x)
NUMERIC_STEP(abs_n, (int64) x < 0 ? UINT64CONST(0) - x : x)

static void
scale_up(SqProgram *p, const SqStep *step, int digits)
{
	int64 factor = powers[Max(digits, 0)];
	OPERANDS;

	(void) b;
	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		out->valid[w] = mask[w] & a->valid[w];
		for (int r = w * 64; out->valid[w] != 0 && r < w * 64 + 64; r++)
			out->i[r] = (int64) ((uint64) a->i[r] * (uint64) factor);
	}
}

static void
rescale_n(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];

	scale_up(p, step, step->expr->scale - step->expr->args[0]->scale);
	SQ_FOR_EACH_BIT(row, out->valid, p->limit)
	{
		if (a->i[row] == SQ_NUMERIC_NAN)
			out->i[row] = SQ_NUMERIC_NAN;
	}
}

static void
numeric_i(SqProgram *p, const SqStep *step)
{
	scale_up(p, step, step->expr->scale);
}

/* ---- The table ---- */

static const SqStepFunction kernels[SQ_OP_COUNT] = {
	[SQ_OP_EQ_I] = eq_i,           [SQ_OP_NE_I] = ne_i,
	[SQ_OP_LT_I] = lt_i,           [SQ_OP_LE_I] = le_i,
	[SQ_OP_GT_I] = gt_i,           [SQ_OP_GE_I] = ge_i,
	[SQ_OP_EQ_F] = eq_f,           [SQ_OP_NE_F] = ne_f,
	[SQ_OP_LT_F] = lt_f,           [SQ_OP_LE_F] = le_f,
	[SQ_OP_GT_F] = gt_f,           [SQ_OP_GE_F] = ge_f,
	[SQ_OP_EQ_T] = eq_t,           [SQ_OP_NE_T] = ne_t,
	[SQ_OP_LT_T] = lt_t,           [SQ_OP_LE_T] = le_t,
	[SQ_OP_GT_T] = gt_t,           [SQ_OP_GE_T] = ge_t,
	[SQ_OP_EQ_B] = eq_b,           [SQ_OP_NE_B] = ne_b,
	[SQ_OP_LT_B] = lt_b,           [SQ_OP_LE_B] = le_b,
	[SQ_OP_GT_B] = gt_b,           [SQ_OP_GE_B] = ge_b,
	[SQ_OP_ADD_I] = add_i,         [SQ_OP_SUB_I] = sub_i,
	[SQ_OP_MUL_I] = mul_i,         [SQ_OP_DIV_I] = div_i,
	[SQ_OP_MOD_I] = mod_i,         [SQ_OP_NEG_I] = neg_i,
	[SQ_OP_ABS_I] = abs_i,         [SQ_OP_CAST_I] = cast_i,
	[SQ_OP_ADD_F] = add_f,         [SQ_OP_SUB_F] = sub_f,
	[SQ_OP_MUL_F] = mul_f,         [SQ_OP_DIV_F] = div_f,
	[SQ_OP_NEG_F] = neg_f,         [SQ_OP_ABS_F] = abs_f,
	[SQ_OP_CAST_F] = cast_f,       [SQ_OP_FLOAT_I] = float_i,
	[SQ_OP_ADD_N] = add_n,         [SQ_OP_SUB_N] = sub_n,
	[SQ_OP_MUL_N] = mul_n,         [SQ_OP_NEG_N] = neg_n,
	[SQ_OP_ABS_N] = abs_n,         [SQ_OP_RESCALE_N] = rescale_n,
	[SQ_OP_NUMERIC_I] = numeric_i,
};

SqStepFunction
sq_expr_kernel(SqOp op)
{
	return kernels[op];
}
