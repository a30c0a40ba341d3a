/*
 * fdw_filter.c
 *		Simple conditions on a batch, before rows are formed.
 *
 * A comparison of a column with a constant or parameter, for types whose order
 * is that of their lane (integers, dates, times, numerics of one scale) and for
 * equality of text, is decided for all rows of a batch in one loop. What it
 * rules out is never made a tuple. PostgreSQL still checks every condition of
 * the rows that are left, so a condition that is not understood costs nothing
 * but time.
 *
 * A row with a pending value is never ruled out: converting it may be an error
 * that has to be raised, whatever the filter says.
 *
 * Memory: in the context current at compilation; values of text parameters in
 * a context that every start resets. Locks: none.
 */
#include "fdw/fdw_filter.h"

#include "access/stratnum.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* column strategy value */
typedef struct SqCondition
{
	const SqColumn *column;
	int strategy; /* of btree, seen with the column on the left */
	Oid type;     /* of the value */
	ExprState *state;
	bool usable; /* the value can be compared in the column's lane */
	bool isnull;
	int64 number;
	SqSlice string;
} SqCondition;

struct SqFilter
{
	int nconditions;
	SqCondition *conditions;
	ExprContext *econtext;
	MemoryContext values; /* of this start */
	bool started;         /* values are those of the current parameters */
	int64 batch;          /* messages of the feed when skip was made */
	uint64 *skip;         /* bitmap over the rows of the batch */
};

/* ---- Compiling ---- */

/* The column of the batch behind an expression, or NULL. */
static const SqColumn *
batch_column(SqFeed *feed, Index relid, Expr *expr, Oid *type)
{
	Var *var;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	var = (Var *) expr;
	if (!IsA(expr, Var) || var->varno != relid || var->varlevelsup != 0 ||
		var->varattno <= 0 || feed->columns[var->varattno - 1] < 0)
		return NULL;
	*type = var->vartype;
	return &feed->batch->columns[feed->columns[var->varattno - 1]];
}

/* The btree strategy of an operator between a column of one type and a value
 * of another, if the lane has that order; else 0. */
static int
lane_strategy(Oid operator, SqType lane, Oid type, Oid value)
{
	bool fits;

	switch (lane)
	{
		case SQ_TYPE_INT2:
		case SQ_TYPE_INT4:
		case SQ_TYPE_INT8:
			fits = value == INT2OID || value == INT4OID || value == INT8OID;
			break;
		case SQ_TYPE_DATE:
		case SQ_TYPE_TIMESTAMP:
		case SQ_TYPE_TIMESTAMPTZ:
		case SQ_TYPE_NUMERIC:
			fits = value == type;
			break;
		default:
			fits = false;
			break;
	}
	if (!fits)
		return 0;
	return get_op_opfamily_strategy(
		operator, lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf);
}

/* Is this text equality that compares bytes? */
static bool
is_text_equality(const OpExpr *op, SqType lane, Oid value)
{
	return lane == SQ_TYPE_TEXT && value == TEXTOID &&
		   get_opcode(op->opno) == F_TEXTEQ &&
		   get_collation_isdeterministic(op->inputcollid);
}

/* Recognise column op value, either way round. */
static bool
match_condition(SqFeed *feed, Index relid, OpExpr *op, SqCondition *condition,
				Expr **value)
{
	Oid operator= op->opno;
	Expr *left, *right;
	Oid type;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	left = linitial(op->args);
	right = lsecond(op->args);
	condition->column = batch_column(feed, relid, left, &type);
	if (condition->column == NULL)
	{
		*value = left;
		operator= get_commutator(operator);
		condition->column = batch_column(feed, relid, right, &type);
	}
	else
		*value = right;
	if (condition->column == NULL || !OidIsValid(operator) ||
		!(IsA(*value, Const) || IsA(*value, Param)))
		return false;
	condition->type = exprType((Node *) *value);
	condition->strategy =
		is_text_equality(op, condition->column->type, condition->type)
			? BTEqualStrategyNumber
			: lane_strategy(operator, condition->column->type, type,
							condition->type);
	return condition->strategy != 0;
}

/* Can a wanted attribute raise an error in a row without pending values? */
static bool
may_fail_otherwise(const SqFeed *feed)
{
	int a = -1;

	if (GetDatabaseEncoding() != PG_UTF8)
		return true;
	while ((a = bms_next_member(feed->attrs, a)) >= 0)
		if (sq_feed_source_may_fail(feed->rel->attributes[a].source))
			return true;
	return false;
}

SqFilter *
sq_fdw_filter_compile(SqFeed *feed, Index relid, List *quals, PlanState *parent)
{
	SqFilter *filter = palloc0(sizeof(SqFilter));
	ListCell *cell;

	if (may_fail_otherwise(feed))
		return NULL;
	filter->conditions =
		palloc0(Max(list_length(quals), 1) * sizeof(SqCondition));
	foreach (cell, quals)
	{
		SqCondition *condition = &filter->conditions[filter->nconditions];
		Expr *value;

		if (!match_condition(feed, relid, lfirst(cell), condition, &value))
			continue;
		condition->state = ExecInitExpr(value, parent);
		filter->nconditions++;
	}
	if (filter->nconditions == 0)
		return NULL;
	filter->econtext = parent->ps_ExprContext;
	filter->values = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql filter", ALLOCSET_SMALL_SIZES);
	filter->skip = palloc0((feed->batch->capacity / 64 + 1) * sizeof(uint64));
	filter->batch = -1;
	return filter;
}

/* ---- Values ---- */

static void
set_value(SqCondition *condition, Datum value)
{
	condition->usable = true;
	switch (condition->type)
	{
		case INT2OID:
			condition->number = DatumGetInt16(value);
			break;
		case INT4OID:
			condition->number = DatumGetInt32(value);
			break;
		case DATEOID:
			condition->number = DatumGetDateADT(value);
			break;
		case NUMERICOID:
			condition->usable = sq_feed_numeric_word(
				value, condition->column->scale, &condition->number);
			break;
		case TEXTOID:
		{
			text *string = DatumGetTextPP(value);

			condition->string =
				(SqSlice){VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)};
			break;
		}
		default:
			condition->number = DatumGetInt64(value);
			break;
	}
}

/* Take the values as the parameters are now. */
static void
start(SqFilter *filter)
{
	MemoryContext old;

	MemoryContextReset(filter->values);
	old = MemoryContextSwitchTo(filter->values);
	for (int i = 0; i < filter->nconditions; i++)
	{
		SqCondition *condition = &filter->conditions[i];
		Datum value = ExecEvalExpr(condition->state, filter->econtext,
								   &condition->isnull);

		condition->usable = true;
		if (!condition->isnull)
			set_value(condition, value);
	}
	MemoryContextSwitchTo(old);
	filter->started = true;
}

void
sq_fdw_filter_restart(SqFilter *filter)
{
	filter->started = false;
	filter->batch = -1;
}

/* ---- Running ---- */

/* Bits of up to 64 rows for which the comparison holds. */
#define COMPARE_ROWS(OP)                                                       \
	for (int r = 0; r < count; r++)                                            \
	bits |= (uint64) (lane[r] OP number) << r

static uint64
compare_numbers(const SqCondition *condition, int first, int count)
{
	const int64 *lane = condition->column->i + first;
	int64 number = condition->number;
	uint64 bits = 0;

	switch (condition->strategy)
	{
		case BTLessStrategyNumber:
			COMPARE_ROWS(<);
			break;
		case BTLessEqualStrategyNumber:
			COMPARE_ROWS(<=);
			break;
		case BTEqualStrategyNumber:
			COMPARE_ROWS(==);
			break;
		case BTGreaterEqualStrategyNumber:
			COMPARE_ROWS(>=);
			break;
		default:
			COMPARE_ROWS(>);
			break;
	}
	return bits;
}

static uint64
compare_strings(const SqCondition *condition, int first, int count)
{
	const SqColumn *column = condition->column;
	SqSlice string = condition->string;
	uint64 bits = 0;

	for (int r = 0; r < count; r++)
	{
		const SqSlice *other = &column->text[first + r];

		if (sq_bit_get(column->valid, first + r) &&
			other->length == string.length &&
			memcmp(other->data, string.data, string.length) == 0)
			bits |= UINT64CONST(1) << r;
	}
	return bits;
}

/* Bits of the rows of one word of the bitmaps that may satisfy everything. */
static uint64
passing_rows(const SqFilter *filter, int word, int count)
{
	uint64 pass = ~UINT64CONST(0);

	for (int i = 0; i < filter->nconditions; i++)
	{
		const SqCondition *condition = &filter->conditions[i];

		if (!condition->usable)
			continue;
		if (condition->isnull)
			return 0;
		pass &= condition->column->valid[word];
		if (condition->column->type == SQ_TYPE_TEXT)
			pass &= compare_strings(condition, word * 64, count);
		else
			pass &= compare_numbers(condition, word * 64, count);
	}
	return pass;
}

static void
run(SqFilter *filter, const SqFeed *feed)
{
	const SqBatch *batch = feed->batch;

	for (int word = 0; word * 64 < feed->nrows; word++)
	{
		uint64 pass =
			passing_rows(filter, word, Min(feed->nrows - word * 64, 64));

		for (int c = 0; c < batch->ncolumns; c++)
			pass |= batch->columns[c].pending[word];
		filter->skip[word] = ~pass;
	}
	filter->batch = feed->batches;
}

bool
sq_fdw_filter_skips(SqFilter *filter, const SqFeed *feed)
{
	if (unlikely(filter->batch != feed->batches))
	{
		if (!filter->started)
			start(filter);
		run(filter, feed);
	}
	return sq_bit_get(filter->skip, feed->row);
}
