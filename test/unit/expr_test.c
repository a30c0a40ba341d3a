/*
 * expr_test.c
 *		Expressions: three-valued logic, kernels, what is not computed, faults.
 */
#include "exec_unit.h"

#define ROWS  1000
#define WORDS SQ_BITMAP_WORDS(ROWS)

static ExecHost host = {.host = {&exec_host_ops}};

/* Slots 0, 1: int8; 2, 3: float8; 4, 5: text; 6, 7: bool. */
#define SLOTS 8
static const SqType types[SLOTS] = {
	SQ_TYPE_INT8, SQ_TYPE_INT8, SQ_TYPE_FLOAT8, SQ_TYPE_FLOAT8,
	SQ_TYPE_TEXT, SQ_TYPE_TEXT, SQ_TYPE_BOOL,   SQ_TYPE_BOOL};
static SqColumn *columns[SLOTS];
static SqFrame frame = {.nrows = ROWS, .ncolumns = SLOTS, .columns = columns};
static uint64 all[WORDS];

static void
set_random(SqColumn *column, int row)
{
	static const double floats[] = {0, -0.0, 1, -1, 2.5, INFINITY, NAN};
	static const char *const texts[] = {"", "a", "b", "a ", "ab", "é"};
	const char *chosen = texts[exec_random(lengthof(texts))];

	if (exec_random(5) == 0)
		sq_column_set_null(column, row);
	else if (column->type == SQ_TYPE_TEXT)
		sq_column_set_text(column, row, (SqSlice){chosen, strlen(chosen)});
	else if (column->type == SQ_TYPE_FLOAT8)
		sq_column_set_float(column, row, floats[exec_random(lengthof(floats))]);
	else if (column->type == SQ_TYPE_BOOL)
		sq_column_set_int(column, row, exec_random(2));
	else
		sq_column_set_int(column, row, (int64) exec_random(9) - 4);
}

static void
make_frame(void)
{
	for (int s = 0; s < SLOTS; s++)
	{
		SqColumn template = {.type = types[s]};

		columns[s] = sq_column_create(&template, ROWS);
		columns[s]->pending = palloc0(WORDS * sizeof(uint64));
		for (int r = 0; r < ROWS; r++)
			set_random(columns[s], r);
	}
	sq_bits_fill(all, ROWS);
}

static SqExpr *
slot(int number)
{
	return exec_slot(types[number], number);
}

static SqExpr *
truth(int number)
{
	return exec_expr(SQ_EXPR_TRUTH, SQ_TYPE_TRUTH, 1, slot(number), NULL);
}

/* Run over rows of mask; the limit that came out. */
static int
run(const SqExpr *expr, const uint64 *mask, const SqColumn **result,
	SqError *error)
{
	SqProgram *program = sq_expr_compile(expr, ROWS, &host.host);
	int limit = ROWS;

	*result = sq_expr_run(program, &frame, mask, &limit, error);
	return limit;
}

/* ---- Logic ---- */

/* 0 false, 1 true, 2 NULL. */
static int
value_of(const SqColumn *column, int row)
{
	if (!sq_bit_get(column->valid, row))
		return 2;
	if (column->type == SQ_TYPE_TRUTH)
		return sq_bit_get(column->bits, row);
	return column->i[row] != 0;
}

static int
model_and(int a, int b)
{
	if (a == 0 || b == 0)
		return 0;
	return a == 2 || b == 2 ? 2 : 1;
}

static int
model_not(int a)
{
	return a == 2 ? 2 : 1 - a;
}

static void
check_logic(SqExprKind kind, const char *name)
{
	bool two = kind == SQ_EXPR_AND || kind == SQ_EXPR_OR;
	const SqColumn *result;
	SqError error;
	int wrong = 0;

	run(exec_expr(kind, SQ_TYPE_TRUTH, two ? 2 : 1, truth(6), truth(7)), all,
		&result, &error);
	for (int r = 0; r < ROWS; r++)
	{
		int a = value_of(columns[6], r);
		int b = value_of(columns[7], r);
		int wanted = a;

		if (kind == SQ_EXPR_AND)
			wanted = model_and(a, b);
		else if (kind == SQ_EXPR_OR)
			wanted = model_not(model_and(model_not(a), model_not(b)));
		else if (kind == SQ_EXPR_NOT)
			wanted = model_not(a);
		else if (kind == SQ_EXPR_IS_TRUE)
			wanted = a == 1;
		else if (kind == SQ_EXPR_IS_NOT_TRUE)
			wanted = a != 1;
		else if (kind == SQ_EXPR_IS_FALSE)
			wanted = a == 0;
		else if (kind == SQ_EXPR_IS_NOT_FALSE)
			wanted = a != 0;
		wrong += value_of(result, r) != wanted;
	}
	CHECK_NAMED(wrong == 0, "%s", name);
}

/* ---- Comparisons ---- */

/* -1, 0, 1 of two values that are there. */
static int
order_of(int left, int row)
{
	const SqColumn *a = columns[left];
	const SqColumn *b = columns[left + 1];
	size_t length;
	int order;

	if (a->type == SQ_TYPE_INT8)
		return (a->i[row] > b->i[row]) - (a->i[row] < b->i[row]);
	if (a->type == SQ_TYPE_FLOAT8 && isnan(a->f[row]))
		return isnan(b->f[row]) ? 0 : 1;
	if (a->type == SQ_TYPE_FLOAT8 && isnan(b->f[row]))
		return -1;
	if (a->type == SQ_TYPE_FLOAT8)
		return (a->f[row] > b->f[row]) - (a->f[row] < b->f[row]);
	length = Min(a->text[row].length, b->text[row].length);
	order = memcmp(a->text[row].data, b->text[row].data, length);
	if (order == 0)
		order = (int) a->text[row].length - (int) b->text[row].length;
	return (order > 0) - (order < 0);
}

static bool
holds(int which, int order)
{
	const bool answers[] = {order == 0, order != 0,
							order<0, order <= 0, order> 0, order >= 0};

	return answers[which];
}

static void
check_comparisons(SqOp first, int left)
{
	for (int which = 0; which < 6; which++)
	{
		const SqColumn *result;
		SqError error;
		int wrong = 0;

		run(exec_call(first + which, SQ_TYPE_TRUTH, slot(left), slot(left + 1)),
			all, &result, &error);
		for (int r = 0; r < ROWS; r++)
		{
			bool there = sq_bit_get(columns[left]->valid, r) &&
						 sq_bit_get(columns[left + 1]->valid, r);

			wrong += value_of(result, r) !=
					 (there ? holds(which, order_of(left, r)) : 2);
		}
		CHECK_NAMED(wrong == 0, "%s", sq_plan_op_name(first + which));
	}
}

static void
check_distinct(void)
{
	SqExpr *expr = exec_call(SQ_OP_EQ_T, SQ_TYPE_TRUTH, slot(4), slot(5));
	const SqColumn *result;
	SqError error;
	int wrong = 0;

	expr->kind = SQ_EXPR_DISTINCT;
	run(expr, all, &result, &error);
	for (int r = 0; r < ROWS; r++)
	{
		bool a = sq_bit_get(columns[4]->valid, r);
		bool b = sq_bit_get(columns[5]->valid, r);
		bool wanted = a && b ? order_of(4, r) != 0 : a != b;

		wrong += value_of(result, r) != wanted;
	}
	CHECK_NAMED(wrong == 0, "IS DISTINCT FROM is never NULL");
}

/* ---- Choices, faults ---- */

/* x <> 0 AND 12 / x > 2: no row divides by zero. */
static void
check_guarded(void)
{
	SqExpr *zero = exec_int(SQ_TYPE_INT8, 0);
	SqExpr *guard = exec_call(SQ_OP_NE_I, SQ_TYPE_TRUTH, slot(0), zero);
	SqExpr *divide = exec_call(SQ_OP_DIV_I, SQ_TYPE_INT8,
							   exec_int(SQ_TYPE_INT8, 12), slot(0));
	SqExpr *expr = exec_expr(SQ_EXPR_AND, SQ_TYPE_TRUTH, 2, guard,
							 exec_call(SQ_OP_GT_I, SQ_TYPE_TRUTH, divide,
									   exec_int(SQ_TYPE_INT8, 2)));
	const SqColumn *result;
	SqError error;
	int wrong = 0;

	CHECK(run(expr, all, &result, &error) == ROWS);
	for (int r = 0; r < ROWS; r++)
	{
		int64 x = columns[0]->i[r];
		int wanted = !sq_bit_get(columns[0]->valid, r) ? 2
					 : x == 0                          ? 0
													   : 12 / x > 2;

		wrong += value_of(result, r) != wanted;
	}
	CHECK_NAMED(wrong == 0, "AND does not ask where it is false");
}

/* CASE WHEN x = 0 THEN y ELSE 12 / x END, and COALESCE(x, y, 7). */
static void
check_choices(void)
{
	SqExpr *is_zero = exec_call(SQ_OP_EQ_I, SQ_TYPE_TRUTH, slot(0),
								exec_int(SQ_TYPE_INT8, 0));
	SqExpr *choice = exec_expr(SQ_EXPR_CASE, SQ_TYPE_INT8, 3, is_zero, slot(1));
	SqExpr *first =
		exec_expr(SQ_EXPR_COALESCE, SQ_TYPE_INT8, 3, slot(0), slot(1));
	const SqColumn *chosen;
	const SqColumn *found;
	SqError error;
	int wrong = 0;

	choice->args = repalloc(choice->args, 3 * sizeof(SqExpr *));
	choice->args[2] = exec_call(SQ_OP_DIV_I, SQ_TYPE_INT8,
								exec_int(SQ_TYPE_INT8, 12), slot(0));
	first->args = repalloc(first->args, 3 * sizeof(SqExpr *));
	first->args[2] = exec_int(SQ_TYPE_INT8, 7);
	CHECK(run(choice, all, &chosen, &error) == ROWS);
	CHECK(run(first, all, &found, &error) == ROWS);
	for (int r = 0; r < ROWS; r++)
	{
		bool a = sq_bit_get(columns[0]->valid, r);
		bool b = sq_bit_get(columns[1]->valid, r);
		int64 x = columns[0]->i[r];
		int64 y = columns[1]->i[r];
		bool there = a && (x != 0 || b);

		wrong += sq_bit_get(chosen->valid, r) != there;
		if (there)
			wrong += chosen->i[r] != (x == 0 ? y : 12 / x);
		wrong += found->i[r] != (a ? x : b ? y : 7);
	}
	CHECK_NAMED(wrong == 0, "CASE and COALESCE");
}

/* The first row of the mask that fails sets the limit. */
static void
check_fault(int64 constant, SqOp op, int sqlstate)
{
	SqExpr *expr =
		exec_call(op, SQ_TYPE_INT8, exec_int(SQ_TYPE_INT8, constant), slot(0));
	uint64 mask[WORDS];
	const SqColumn *result;
	SqError error;
	int wanted = 0;
	int64 z;

	for (int w = 0; w < WORDS; w++)
		mask[w] = all[w] & UINT64CONST(0xF0F0F0F0F0F0F0F0);
	while (!sq_bit_get(mask, wanted) ||
		   !sq_bit_get(columns[0]->valid, wanted) ||
		   (op == SQ_OP_DIV_I
				? columns[0]->i[wanted] != 0
				: !__builtin_add_overflow(constant, columns[0]->i[wanted], &z)))
		wanted++;
	CHECK(run(expr, mask, &result, &error) == wanted);
	CHECK_NAMED(error.sqlstate == sqlstate, "%s", error.message);
}

static void
check_param(void)
{
	SqExpr *param = exec_expr(SQ_EXPR_PARAM, SQ_TYPE_INT8, 0, NULL, NULL);
	SqExpr *sum = exec_call(SQ_OP_ADD_I, SQ_TYPE_INT8, slot(0), param);
	SqProgram *program = sq_expr_compile(sum, ROWS, &host.host);
	uint64 none[WORDS] = {0};
	const SqColumn *result;
	SqError error;
	int limit = ROWS;

	sq_expr_run(program, &frame, none, &limit, &error);
	CHECK_NAMED(host.params == 0, "a param is not asked for in vain");
	for (int i = 0; i < 2; i++)
		result = sq_expr_run(program, &frame, all, &limit, &error);
	CHECK_NAMED(host.params == 1, "and once");
	for (int r = 0; r < ROWS; r++)
		if (sq_bit_get(columns[0]->valid, r) &&
			result->i[r] != columns[0]->i[r] + 100)
			limit = r;
	CHECK(limit == ROWS);
	sq_expr_restart(program);
	sq_expr_run(program, &frame, all, &limit, &error);
	CHECK_NAMED(host.params == 2, "again after a restart");
}

int
main(int argc, char **argv)
{
	exec_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1124;
	printf("# seed %llu\n", (unsigned long long) exec_seed);
	make_frame();
	check_logic(SQ_EXPR_AND, "AND");
	check_logic(SQ_EXPR_OR, "OR");
	check_logic(SQ_EXPR_NOT, "NOT");
	check_logic(SQ_EXPR_IS_TRUE, "IS TRUE");
	check_logic(SQ_EXPR_IS_NOT_TRUE, "IS NOT TRUE");
	check_logic(SQ_EXPR_IS_FALSE, "IS FALSE");
	check_logic(SQ_EXPR_IS_NOT_FALSE, "IS NOT FALSE");
	check_comparisons(SQ_OP_EQ_I, 0);
	check_comparisons(SQ_OP_EQ_F, 2);
	check_comparisons(SQ_OP_EQ_T, 4);
	check_distinct();
	check_guarded();
	check_choices();
	check_fault(12, SQ_OP_DIV_I, ERRCODE_DIVISION_BY_ZERO);
	check_fault(PG_INT64_MAX, SQ_OP_ADD_I, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE);
	check_param();
	return unit_end();
}
