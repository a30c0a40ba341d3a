/*
 * exec.c
 *		Operators as a tree, and what all of them have in common.
 *
 * Memory: palloc'd at creation. Locks: none.
 */
#include "exec/exec_internal.h"

static SqOperator *
create(SqExec *exec, const SqNode *node)
{
	SqOperator *op;

	switch (node->kind)
	{
		case SQ_NODE_SCAN:
			op = sq_exec_scan(exec, node);
			break;
		case SQ_NODE_FILTER:
			op = sq_exec_filter(exec, node);
			break;
		case SQ_NODE_JOIN:
			op = sq_exec_join(exec, node);
			break;
		default:
			op = sq_exec_aggregate(exec, node);
			break;
	}
	if (node->outer != NULL)
		op->outer = create(exec, node->outer);
	if (node->inner != NULL)
		op->inner = create(exec, node->inner);
	return op;
}

SqExec *
sq_exec_create(const SqPlan *plan, const SqExecRelation *relations,
			   SqHost *host, const SqExecOptions *options)
{
	SqExec *exec = palloc0(sizeof(SqExec));

	exec->plan = plan;
	exec->relations = relations;
	exec->host = host;
	exec->options = *options;
	exec->options.capacity =
		SQ_BITMAP_ROWS(Max(options->capacity, SQ_EXEC_ROWS));
	exec->stats = palloc0(plan->nnodes * sizeof(SqNodeStats));
	exec->root = create(exec, plan->root);
	return exec;
}

void
sq_exec_init(SqOperator *op, SqExec *exec, const SqNode *node,
			 const SqOperatorOps *ops)
{
	op->ops = ops;
	op->exec = exec;
	op->node = node;
	op->stats = &exec->stats[node->number];
	op->frame.ncolumns = exec->plan->nslots;
	op->frame.columns =
		palloc0(Max(exec->plan->nslots, 1) * sizeof(SqColumn *));
	op->frame.selected =
		palloc0(SQ_BITMAP_WORDS(exec->options.capacity) * sizeof(uint64));
}

SqProgram **
sq_exec_compile(SqExec *exec, SqExpr *const *exprs, int count)
{
	SqProgram **programs = palloc(Max(count, 1) * sizeof(SqProgram *));

	for (int i = 0; i < count; i++)
		programs[i] =
			sq_expr_compile(exprs[i], exec->options.capacity, exec->host);
	return programs;
}

/* ---- Running ---- */

SqStatus
sq_exec_fail(SqOperator *op)
{
	*op->exec->error = op->exec->fault;
	return SQ_ERROR;
}

void
sq_exec_cut(SqOperator *op, int limit)
{
	if (limit >= op->frame.nrows)
		return;
	sq_bits_cut(op->frame.selected, limit, op->frame.nrows);
	op->frame.nrows = limit;
	op->failed = true;
}

static SqStatus
next_rows(SqOperator *op)
{
	SqStatus status;

	if (op->failed)
		return sq_exec_fail(op);
	status = op->ops->next(op);
	if (status == SQ_OK)
		op->stats->rows += sq_bits_count(op->frame.selected, op->frame.nrows);
	return status;
}

SqStatus
sq_exec_pull(SqOperator *op)
{
	uint64 (*clock)(void) = op->exec->options.clock;
	SqStatus status;
	uint64 start;

	if (clock == NULL)
		return next_rows(op);
	start = clock();
	status = next_rows(op);
	op->stats->time += clock() - start;
	return status;
}

SqStatus
sq_exec_next(SqExec *exec, SqFrame **frame, SqError *error)
{
	exec->error = error;
	*frame = &exec->root->frame;
	return sq_exec_pull(exec->root);
}

static void
restart(SqOperator *op)
{
	op->failed = false;
	op->ops->restart(op);
	if (op->outer != NULL)
		restart(op->outer);
	if (op->inner != NULL)
		restart(op->inner);
}

void
sq_exec_restart(SqExec *exec)
{
	restart(exec->root);
}

const SqNodeStats *
sq_exec_stats(const SqExec *exec, int node)
{
	return &exec->stats[node];
}
