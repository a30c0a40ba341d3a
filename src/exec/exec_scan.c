/*
 * exec_scan.c
 *		Rows of a source.
 *
 * Memory: the source's. Locks: none.
 */
#include "exec/exec_internal.h"

static SqSource *
source_of(SqOperator *op)
{
	return op->exec->relations[op->node->relation].source;
}

static SqStatus
next(SqOperator *op)
{
	SqSource *source = source_of(op);

	return source->ops->next(source, &op->frame, op->exec->error);
}

static void
restart(SqOperator *op)
{
	SqSource *source = source_of(op);

	source->ops->restart(source);
}

static const SqOperatorOps ops = {next, restart};

SqOperator *
sq_exec_scan(SqExec *exec, const SqNode *node)
{
	SqOperator *op = palloc0(sizeof(SqOperator));

	sq_exec_init(op, exec, node, &ops);
	return op;
}
