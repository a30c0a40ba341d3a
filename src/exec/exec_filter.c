/*
 * exec_filter.c
 *		Rows for which all conditions are true.
 *
 * Each condition is asked of those rows only that passed the ones before.
 *
 * Memory: palloc'd at creation. Locks: none.
 */
#include "exec/exec_internal.h"

typedef struct SqFilterOperator
{
	SqOperator op;
	SqProgram **conditions;
} SqFilterOperator;

static SqStatus
next(SqOperator *op)
{
	SqFilterOperator *filter = (SqFilterOperator *) op;
	SqFrame *in = &op->outer->frame;
	SqStatus status = sq_exec_pull(op->outer);
	int limit = in->nrows;

	if (status != SQ_OK)
		return status;
	op->frame.nrows = in->nrows;
	memcpy(op->frame.columns, in->columns, in->ncolumns * sizeof(SqColumn *));
	memcpy(op->frame.selected, in->selected,
		   SQ_BITMAP_WORDS(in->nrows) * sizeof(uint64));
	for (int i = 0; i < op->node->nconditions; i++)
	{
		const SqColumn *truth =
			sq_expr_run(filter->conditions[i], in, op->frame.selected, &limit,
						&op->exec->fault);

		for (int w = 0; w < SQ_BITMAP_WORDS(limit); w++)
			op->frame.selected[w] &= truth->valid[w] & truth->bits[w];
	}
	sq_exec_cut(op, limit);
	return SQ_OK;
}

static void
restart(SqOperator *op)
{
	SqFilterOperator *filter = (SqFilterOperator *) op;

	for (int i = 0; i < op->node->nconditions; i++)
		sq_expr_restart(filter->conditions[i]);
}

static const SqOperatorOps ops = {next, restart};

SqOperator *
sq_exec_filter(SqExec *exec, const SqNode *node)
{
	SqFilterOperator *filter = palloc0(sizeof(SqFilterOperator));

	sq_exec_init(&filter->op, exec, node, &ops);
	filter->conditions =
		sq_exec_compile(exec, node->conditions, node->nconditions);
	return &filter->op;
}
