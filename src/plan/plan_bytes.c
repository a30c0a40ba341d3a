/*
 * plan_bytes.c
 *		Plans as bytes, and back.
 *
 * One walk over a plan does both, so that writing and reading can't disagree:
 * each function of it passes a field through a stream, which either appends
 * the field or sets it. Reading trusts nothing: the first thing out of range
 * makes the stream fail, and what is read afterwards is zero. What is in range
 * but can't be executed is found by plan_check.c.
 *
 * Memory: what is read is palloc'd, at most a constant times the bytes. Locks:
 * none.
 */
#include "plan/plan_internal.h"

#define MAX_DEPTH 1000
#define MAGIC     0x53514c31

typedef struct SqStream
{
	bool reading;
	bool failed;
	int depth;
	char *data;
	size_t length;   /* writing: so far; reading: of all */
	size_t capacity; /* writing */
	size_t position; /* reading */
} SqStream;

/* ---- Fields ---- */

static void
write_bytes(SqStream *s, const void *bytes, size_t length)
{
	if (s->length + length > s->capacity)
	{
		s->capacity = Max(s->capacity * 2, s->length + length);
		s->data = repalloc(s->data, s->capacity);
	}
	if (length > 0)
		memcpy(s->data + s->length, bytes, length);
	s->length += length;
}

static void
pass_bytes(SqStream *s, void *bytes, size_t length)
{
	if (!s->reading)
	{
		write_bytes(s, bytes, length);
		return;
	}
	if (s->failed || s->length - s->position < length)
	{
		s->failed = true;
		memset(bytes, 0, length);
		return;
	}
	memcpy(bytes, s->data + s->position, length);
	s->position += length;
}

/* A number of 0 to limit - 1. */
static void
pass_number(SqStream *s, int *number, int limit)
{
	int32 value = *number;

	pass_bytes(s, &value, sizeof(value));
	if (value < 0 || value >= limit)
	{
		s->failed = true;
		value = 0;
	}
	*number = value;
}

/* An enum of so many values. */
#define PASS_ENUM(s, field, limit)                                             \
	do                                                                         \
	{                                                                          \
		int value_ = (int) (field);                                            \
		pass_number(s, &value_, limit);                                        \
		(field) = value_;                                                      \
	} while (0)

static void
pass_bool(SqStream *s, bool *flag)
{
	int value = *flag;

	pass_number(s, &value, 2);
	*flag = value != 0;
}

/* How many things follow, each of at least four bytes; when reading, makes
 * room for them, of size bytes each. */
static void *
pass_count(SqStream *s, int *count, void *array, size_t size)
{
	pass_number(s, count, PG_INT32_MAX);
	if (!s->reading)
		return array;
	if ((size_t) *count > (s->length - s->position) / sizeof(int32))
		s->failed = true;
	if (s->failed)
		*count = 0;
	return palloc0(Max(*count, 1) * size);
}

static void
pass_text(SqStream *s, SqSlice *slice)
{
	int length = (int) slice->length;

	pass_number(s, &length, PG_INT32_MAX);
	if (!s->reading)
	{
		write_bytes(s, slice->data, slice->length);
		return;
	}
	if (s->failed || s->length - s->position < length)
	{
		s->failed = true;
		length = 0;
	}
	*slice = (SqSlice){palloc(length + 1), length};
	pass_bytes(s, (char *) slice->data, length);
}

static int *
pass_slots(SqStream *s, int *count, int *slots)
{
	slots = pass_count(s, count, slots, sizeof(int));
	for (int i = 0; i < *count; i++)
		pass_number(s, &slots[i], SQ_PLAN_SLOTS);
	return slots;
}

/* ---- Expressions ---- */

static void
pass_type(SqStream *s, SqType *type, int *precision, int *scale)
{
	PASS_ENUM(s, *type, SQ_TYPE_TRUTH + 1);
	pass_number(s, precision, SQ_NUMERIC_PRECISION + 1);
	pass_number(s, scale, SQ_NUMERIC_PRECISION + 1);
}

static SqExpr *
pass_expr(SqStream *s, SqExpr *expr)
{
	if (s->reading)
		expr = palloc0(sizeof(SqExpr));
	if (++s->depth > MAX_DEPTH)
		s->failed = true;
	if (s->failed)
		return expr;
	PASS_ENUM(s, expr->kind, SQ_EXPR_KINDS);
	pass_type(s, &expr->type, &expr->precision, &expr->scale);
	PASS_ENUM(s, expr->op, SQ_OP_COUNT);
	pass_number(s, &expr->number, SQ_PLAN_SLOTS);
	pass_bool(s, &expr->isnull);
	if (expr->kind == SQ_EXPR_CONST && sq_type_is_text(expr->type))
		pass_text(s, &expr->text);
	else if (expr->kind == SQ_EXPR_CONST)
		pass_bytes(s, &expr->i, sizeof(expr->i));
	expr->args = pass_count(s, &expr->nargs, expr->args, sizeof(SqExpr *));
	for (int i = 0; i < expr->nargs; i++)
		expr->args[i] = pass_expr(s, expr->args[i]);
	s->depth--;
	return expr;
}

static SqExpr **
pass_exprs(SqStream *s, int *count, SqExpr **exprs)
{
	exprs = pass_count(s, count, exprs, sizeof(SqExpr *));
	for (int i = 0; i < *count; i++)
		exprs[i] = pass_expr(s, exprs[i]);
	return exprs;
}

/* An expression that need not be there. */
static SqExpr *
pass_option(SqStream *s, SqExpr *expr)
{
	bool there = expr != NULL;

	pass_bool(s, &there);
	return there ? pass_expr(s, expr) : NULL;
}

/* ---- Nodes ---- */

static SqNode *pass_node(SqStream *s, SqNode *node);

static SqNode *
pass_child(SqStream *s, SqNode *node)
{
	bool there = node != NULL;

	pass_bool(s, &there);
	return there ? pass_node(s, node) : NULL;
}

static void
pass_aggregates(SqStream *s, SqNode *node)
{
	node->aggregates = pass_count(s, &node->naggregates, node->aggregates,
								  sizeof(SqAggregate));
	for (int i = 0; i < node->naggregates; i++)
	{
		SqAggregate *aggregate = &node->aggregates[i];

		PASS_ENUM(s, aggregate->kind, SQ_AGG_KINDS);
		pass_number(s, &aggregate->number, SQ_PLAN_SLOTS);
		pass_number(s, &aggregate->slot, SQ_PLAN_SLOTS);
		aggregate->arg = pass_option(s, aggregate->arg);
		aggregate->filter = pass_option(s, aggregate->filter);
	}
}

/* As many expressions as there are keys, or none: NULL. */
static SqExpr **
pass_by_key(SqStream *s, const SqNode *node, SqExpr **exprs)
{
	int count = exprs != NULL ? node->nkeys : 0;

	exprs = pass_exprs(s, &count, exprs);
	if (count != 0 && count != node->nkeys)
		s->failed = true;
	return count > 0 ? exprs : NULL;
}

static SqNode *
pass_node(SqStream *s, SqNode *node)
{
	int keys;

	if (s->reading)
		node = palloc0(sizeof(SqNode));
	if (++s->depth > MAX_DEPTH)
		s->failed = true;
	if (s->failed)
		return node;
	PASS_ENUM(s, node->kind, SQ_NODE_AGGREGATE + 1);
	pass_number(s, &node->number, SQ_PLAN_SLOTS);
	pass_bytes(s, &node->rows, sizeof(node->rows));
	node->slots = pass_slots(s, &node->nslots, node->slots);
	node->conditions = pass_exprs(s, &node->nconditions, node->conditions);
	pass_number(s, &node->relation, SQ_PLAN_SLOTS);
	node->filled = pass_slots(s, &node->nfilled, node->filled);
	PASS_ENUM(s, node->join, SQ_JOIN_ANTI + 1);
	PASS_ENUM(s, node->method, SQ_METHOD_LOOKUP + 1);
	pass_number(s, &node->index, SQ_PLAN_SLOTS);
	node->keys = pass_exprs(s, &node->nkeys, node->keys);
	node->inner_keys = pass_by_key(s, node, node->inner_keys);
	node->images = pass_by_key(s, node, node->images);
	keys = node->key_slots != NULL ? node->nkeys : 0;
	node->key_slots = pass_slots(s, &keys, node->key_slots);
	if (keys != 0 && keys != node->nkeys)
		s->failed = true;
	if (s->reading && keys == 0)
		node->key_slots = NULL;
	pass_aggregates(s, node);
	node->outer = pass_child(s, node->outer);
	node->inner = pass_child(s, node->inner);
	s->depth--;
	return node;
}

static void
pass_plan(SqStream *s, SqPlan *plan)
{
	uint32 magic = MAGIC;

	pass_bytes(s, &magic, sizeof(magic));
	if (magic != MAGIC)
		s->failed = true;
	plan->slots = pass_count(s, &plan->nslots, plan->slots, sizeof(SqColumn));
	for (int i = 0; i < plan->nslots; i++)
		pass_type(s, &plan->slots[i].type, &plan->slots[i].precision,
				  &plan->slots[i].scale);
	pass_number(s, &plan->nrelations, SQ_PLAN_SLOTS);
	pass_number(s, &plan->nparams, SQ_PLAN_SLOTS);
	pass_number(s, &plan->nhosts, SQ_PLAN_SLOTS);
	pass_number(s, &plan->nhost_aggs, SQ_PLAN_SLOTS);
	pass_number(s, &plan->nnodes, SQ_PLAN_SLOTS);
	plan->root = pass_node(s, plan->root);
}

SqSlice
sq_plan_write(const SqPlan *plan)
{
	SqStream s = {.data = palloc(1024), .capacity = 1024};

	/* nothing is changed when writing */
	pass_plan(&s, (SqPlan *) plan);
	return (SqSlice){s.data, s.length};
}

SqPlan *
sq_plan_read(SqSlice bytes, SqError *error)
{
	SqStream s = {
		.reading = true, .data = (char *) bytes.data, .length = bytes.length};
	SqPlan *plan = palloc0(sizeof(SqPlan));

	pass_plan(&s, plan);
	if (!s.failed && s.position == s.length && sq_plan_check(plan))
		return plan;
	sq_error_set(error, ERRCODE_DATA_CORRUPTED, "native plan is damaged");
	return NULL;
}
