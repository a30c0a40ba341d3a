/*
 * expr.c
 *		Compiling and running expressions.
 *
 * Each expression becomes a step that fills a register (a column), after the
 * steps of its arguments. Steps work under masks (bitmaps over rows); mask 0 is
 * what the caller asks for, the others are made by steps of AND, OR, CASE and
 * COALESCE, which leave fewer rows to their later arguments.
 *
 * Memory: all of it is palloc'd when compiling. Locks: none.
 */
#include "expr/expr_internal.h"

/* ---- Compiling ---- */

static int
add_register(SqProgram *p, SqColumn *column, int slot)
{
	int n = p->nregisters++;

	p->registers = repalloc(p->registers, p->nregisters * sizeof(SqColumn *));
	p->slots = repalloc(p->slots, p->nregisters * sizeof(int));
	p->known = repalloc(p->known, p->nregisters * sizeof(bool));
	p->registers[n] = column;
	p->slots[n] = slot;
	p->known[n] = false;
	return n;
}

static int
add_column(SqProgram *p, SqType type, int scale)
{
	SqColumn template = {.type = type, .scale = scale};

	return add_register(p, sq_column_create(&template, p->capacity), -1);
}

static int
add_mask(SqProgram *p)
{
	p->masks = repalloc(p->masks, (p->nmasks + 1) * sizeof(uint64 *));
	p->masks[p->nmasks] =
		palloc0(SQ_BITMAP_WORDS(p->capacity) * sizeof(uint64));
	return p->nmasks++;
}

static int
add_step(SqProgram *p, SqStep step)
{
	p->steps = repalloc(p->steps, (p->nsteps + 1) * sizeof(SqStep));
	p->steps[p->nsteps++] = step;
	return step.out;
}

static int compile(SqProgram *p, const SqExpr *expr, int mask);

/* ---- Values that are there ---- */

static void
set_row(SqColumn *column, const SqExpr *expr, int row)
{
	if (column->text != NULL)
		column->text[row] = expr->text;
	else if (sq_type_is_float(column->type))
		column->f[row] = expr->f;
	else
		column->i[row] = expr->i;
}

/* Row 0's value for all rows. */
static void
spread(SqColumn *column, int capacity)
{
	if (!sq_bit_get(column->valid, 0))
		return;
	sq_bits_fill(column->valid, capacity);
	for (int r = 1; r < capacity; r++)
		if (column->text != NULL)
			column->text[r] = column->text[0];
		else
			column->i[r] = column->i[0];
}

static int
compile_const(SqProgram *p, const SqExpr *expr)
{
	int out = add_column(p, expr->type, expr->scale);
	SqColumn *column = p->registers[out];

	if (expr->isnull)
		return out;
	sq_bit_set(column->valid, 0);
	set_row(column, expr, 0);
	spread(column, p->capacity);
	return out;
}

static int
compile_column(SqProgram *p, const SqExpr *expr)
{
	for (int r = 0; r < p->nregisters; r++)
		if (p->slots[r] == expr->number)
			return r;
	return add_register(p, NULL, expr->number);
}

static bool
is_empty(const SqProgram *p, int mask)
{
	for (int w = 0; w < SQ_WORDS(p); w++)
		if (p->masks[mask][w] != 0)
			return false;
	return true;
}

/* Known at first need, since finding it out may be an error. */
static void
run_param(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];

	if (p->known[step->out] || is_empty(p, step->mask))
		return;
	memset(out->valid, 0, SQ_BITMAP_WORDS(p->capacity) * sizeof(uint64));
	p->host->ops->param(p->host, step->expr->number, out);
	spread(out, p->capacity);
	p->known[step->out] = true;
}

static void
run_host(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];

	memset(out->valid, 0, SQ_BITMAP_WORDS(p->capacity) * sizeof(uint64));
	if (!is_empty(p, step->mask))
		p->host->ops->evaluate(p->host, step->expr->number, p->frame,
							   p->masks[step->mask], out);
}

/* ---- Conditions ---- */

static void
run_and_begin(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];

	for (int w = 0; w < SQ_WORDS(p); w++)
		out->valid[w] = out->bits[w] = p->masks[step->mask][w];
}

static void
run_or_begin(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		out->valid[w] = p->masks[step->mask][w];
		out->bits[w] = 0;
	}
}

/* One more argument: what is false is so for good, the others are asked on. */
static void
run_and(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];
	const uint64 *mask = p->masks[step->mask];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		uint64 no = mask[w] & a->valid[w] & ~a->bits[w];

		out->valid[w] = (out->valid[w] & ~(mask[w] & ~a->valid[w])) | no;
		out->bits[w] &= ~no;
		p->masks[step->next][w] = mask[w] & ~no;
	}
}

static void
run_or(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];
	const uint64 *mask = p->masks[step->mask];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		uint64 yes = mask[w] & a->valid[w] & a->bits[w];

		out->valid[w] = (out->valid[w] & ~(mask[w] & ~a->valid[w])) | yes;
		out->bits[w] |= yes;
		p->masks[step->next][w] = mask[w] & ~yes;
	}
}

static int
compile_logic(SqProgram *p, const SqExpr *expr, int mask)
{
	bool is_and = expr->kind == SQ_EXPR_AND;
	int out = add_column(p, SQ_TYPE_TRUTH, 0);

	add_step(p, (SqStep){.run = is_and ? run_and_begin : run_or_begin,
						 .out = out,
						 .mask = mask});
	for (int i = 0; i < expr->nargs; i++)
	{
		int a = compile(p, expr->args[i], mask);
		int next = add_mask(p);

		add_step(p, (SqStep){.run = is_and ? run_and : run_or,
							 .out = out,
							 .a = a,
							 .mask = mask,
							 .next = next});
		mask = next;
	}
	return out;
}

/* The tests of one condition, valid everywhere but for NOT. */
#define TEST_STEP(name, VALID, BITS)                                           \
	static void name(SqProgram *p, const SqStep *step)                         \
	{                                                                          \
		SqColumn *out = p->registers[step->out];                               \
		const SqColumn *a = p->registers[step->a];                             \
		const uint64 *masks = p->masks[step->mask];                            \
                                                                               \
		for (int w = 0; w < SQ_WORDS(p); w++)                                  \
		{                                                                      \
			uint64 mask = masks[w];                                            \
			uint64 valid = a->valid[w];                                        \
                                                                               \
			out->valid[w] = mask & (VALID);                                    \
			out->bits[w] = mask & (BITS);                                      \
		}                                                                      \
	}

#define ALL (~UINT64CONST(0))
TEST_STEP(run_not, valid, valid & ~a->bits[w])
TEST_STEP(run_is_null, ALL, ~valid)
TEST_STEP(run_is_not_null, ALL, valid)
TEST_STEP(run_is_true, ALL, valid & a->bits[w])
TEST_STEP(run_is_not_true, ALL, ~(valid & a->bits[w]))
TEST_STEP(run_is_false, ALL, valid & ~a->bits[w])
TEST_STEP(run_is_not_false, ALL, ~(valid & ~a->bits[w]))

static void
run_truth(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		uint64 active = p->masks[step->mask][w] & a->valid[w];
		uint64 bits = 0;

		for (int r = 0; active != 0 && r < 64; r++)
			bits |= (uint64) (a->i[w * 64 + r] != 0) << r;
		out->valid[w] = active;
		out->bits[w] = bits & active;
	}
}

static void
run_bool(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		out->valid[w] = p->masks[step->mask][w] & a->valid[w];
		for (int r = 0; out->valid[w] != 0 && r < 64; r++)
			out->i[w * 64 + r] = (a->bits[w] >> r) & 1;
	}
}

/* b is the equality of both, which is NULL if one of them is. */
static void
run_distinct(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];
	const SqColumn *b = p->registers[step->b];
	const SqColumn *equal = out;

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		uint64 same = equal->valid[w] & equal->bits[w];
		uint64 neither = ~a->valid[w] & ~b->valid[w];

		out->valid[w] = p->masks[step->mask][w];
		out->bits[w] = out->valid[w] & ~same & ~neither;
	}
}

static SqStepFunction
test_function(SqExprKind kind)
{
	switch (kind)
	{
		case SQ_EXPR_NOT:
			return run_not;
		case SQ_EXPR_IS_NULL:
			return run_is_null;
		case SQ_EXPR_IS_NOT_NULL:
			return run_is_not_null;
		case SQ_EXPR_IS_TRUE:
			return run_is_true;
		case SQ_EXPR_IS_NOT_TRUE:
			return run_is_not_true;
		case SQ_EXPR_IS_FALSE:
			return run_is_false;
		case SQ_EXPR_IS_NOT_FALSE:
			return run_is_not_false;
		case SQ_EXPR_TRUTH:
			return run_truth;
		default:
			return run_bool;
	}
}

/* ---- Choices ---- */

static void
run_clear(SqProgram *p, const SqStep *step)
{
	memset(p->registers[step->out]->valid, 0,
		   SQ_BITMAP_WORDS(p->capacity) * sizeof(uint64));
}

/* Take the values of a for the rows of the mask. */
static void
run_blend(SqProgram *p, const SqStep *step)
{
	SqColumn *out = p->registers[step->out];
	const SqColumn *a = p->registers[step->a];
	const uint64 *mask = p->masks[step->mask];

	for (int w = 0; w < SQ_WORDS(p); w++)
		out->valid[w] = (out->valid[w] & ~mask[w]) | (a->valid[w] & mask[w]);
	SQ_FOR_EACH_BIT(row, mask, p->limit)
	{
		if (out->text != NULL)
			out->text[row] = a->text[row];
		else
			out->i[row] = a->i[row];
	}
}

/* The rows where a condition is true, into mask next; the others into the
 * mask after that. */
static void
run_split(SqProgram *p, const SqStep *step)
{
	const SqColumn *a = p->registers[step->a];
	const uint64 *mask = p->masks[step->mask];

	for (int w = 0; w < SQ_WORDS(p); w++)
	{
		uint64 yes = mask[w] & a->valid[w] & a->bits[w];

		p->masks[step->next][w] = yes;
		p->masks[step->next + 1][w] = mask[w] & ~yes;
	}
}

/* The rows where a value is NULL, into mask next. */
static void
run_missing(SqProgram *p, const SqStep *step)
{
	const SqColumn *a = p->registers[step->a];

	for (int w = 0; w < SQ_WORDS(p); w++)
		p->masks[step->next][w] = p->masks[step->mask][w] & ~a->valid[w];
}

static void
compile_blend(SqProgram *p, int out, int a, int mask)
{
	add_step(p, (SqStep){.run = run_blend, .out = out, .a = a, .mask = mask});
}

static int
compile_case(SqProgram *p, const SqExpr *expr, int mask)
{
	int out = add_column(p, expr->type, expr->scale);

	add_step(p, (SqStep){.run = run_clear, .out = out});
	for (int i = 0; i + 1 < expr->nargs; i += 2)
	{
		int condition = compile(p, expr->args[i], mask);
		int yes = add_mask(p);
		int no = add_mask(p);

		add_step(p, (SqStep){.run = run_split,
							 .a = condition,
							 .mask = mask,
							 .next = yes});
		compile_blend(p, out, compile(p, expr->args[i + 1], yes), yes);
		mask = no;
	}
	compile_blend(p, out, compile(p, expr->args[expr->nargs - 1], mask), mask);
	return out;
}

static int
compile_coalesce(SqProgram *p, const SqExpr *expr, int mask)
{
	int out = add_column(p, expr->type, expr->scale);

	add_step(p, (SqStep){.run = run_clear, .out = out});
	for (int i = 0; i < expr->nargs; i++)
	{
		int a = compile(p, expr->args[i], mask);
		int next = add_mask(p);

		compile_blend(p, out, a, mask);
		add_step(
			p,
			(SqStep){.run = run_missing, .a = a, .mask = mask, .next = next});
		mask = next;
	}
	return out;
}

/* ---- Everything ---- */

static int
compile_call(SqProgram *p, const SqExpr *expr, int mask)
{
	SqStep step = {.run = sq_expr_kernel(expr->op), .expr = expr, .mask = mask};

	step.a = compile(p, expr->args[0], mask);
	step.b = expr->nargs > 1 ? compile(p, expr->args[1], mask) : step.a;
	step.out = add_column(p, expr->type, expr->scale);
	add_step(p, step);
	if (expr->kind == SQ_EXPR_DISTINCT)
	{
		step.run = run_distinct;
		add_step(p, step);
	}
	return step.out;
}

static int
compile_unknown(SqProgram *p, const SqExpr *expr, int mask)
{
	SqStep step = {.run = expr->kind == SQ_EXPR_PARAM ? run_param : run_host,
				   .expr = expr,
				   .out = add_column(p, expr->type, expr->scale),
				   .mask = mask};

	return add_step(p, step);
}

static int
compile_test(SqProgram *p, const SqExpr *expr, int mask)
{
	SqStep step = {.run = test_function(expr->kind), .mask = mask};

	step.a = compile(p, expr->args[0], mask);
	step.out = add_column(p, expr->type, 0);
	return add_step(p, step);
}

static int
compile(SqProgram *p, const SqExpr *expr, int mask)
{
	switch (expr->kind)
	{
		case SQ_EXPR_COLUMN:
			return compile_column(p, expr);
		case SQ_EXPR_CONST:
			return compile_const(p, expr);
		case SQ_EXPR_PARAM:
		case SQ_EXPR_HOST:
			return compile_unknown(p, expr, mask);
		case SQ_EXPR_CALL:
		case SQ_EXPR_DISTINCT:
			return compile_call(p, expr, mask);
		case SQ_EXPR_AND:
		case SQ_EXPR_OR:
			return compile_logic(p, expr, mask);
		case SQ_EXPR_CASE:
			return compile_case(p, expr, mask);
		case SQ_EXPR_COALESCE:
			return compile_coalesce(p, expr, mask);
		default:
			return compile_test(p, expr, mask);
	}
}

SqProgram *
sq_expr_compile(const SqExpr *expr, int capacity, SqHost *host)
{
	SqProgram *p = palloc0(sizeof(SqProgram));

	p->host = host;
	p->capacity = SQ_BITMAP_ROWS(capacity);
	p->registers = palloc(sizeof(SqColumn *));
	p->slots = palloc(sizeof(int));
	p->known = palloc(sizeof(bool));
	p->masks = palloc(sizeof(uint64 *));
	p->steps = palloc(sizeof(SqStep));
	add_mask(p);
	p->result = compile(p, expr, 0);
	return p;
}

void
sq_expr_restart(SqProgram *p)
{
	memset(p->known, 0, p->nregisters * sizeof(bool));
}

/* ---- Running ---- */

void
sq_expr_fail(SqProgram *p, int row, int sqlstate, const char *message)
{
	for (int m = 0; m < p->nmasks; m++)
		sq_bits_cut(p->masks[m], row, p->limit);
	p->limit = row;
	sq_error_set(p->error, sqlstate, "%s", message);
}

const SqColumn *
sq_expr_run(SqProgram *p, const SqFrame *frame, const uint64 *mask, int *limit,
			SqError *error)
{
	p->frame = frame;
	p->limit = *limit;
	p->error = error;
	memcpy(p->masks[0], mask, SQ_WORDS(p) * sizeof(uint64));
	sq_bits_cut(p->masks[0], p->limit, p->limit);
	for (int r = 0; r < p->nregisters; r++)
		if (p->slots[r] >= 0)
			p->registers[r] = frame->columns[p->slots[r]];
	for (int i = 0; i < p->nsteps; i++)
		p->steps[i].run(p, &p->steps[i]);
	*limit = p->limit;
	return p->registers[p->result];
}
