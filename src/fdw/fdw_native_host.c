/*
 * fdw_native_host.c
 *		What the native executor has PostgreSQL do: parameters, numerics,
 *		expressions without kernels, temporary files.
 *
 * An expression is evaluated for the rows asked for, one after the other, each
 * as a virtual tuple of the columns that it looks at.
 *
 * Memory: the execution's context; results of an expression live in a context
 * of its own until it is evaluated again. Files end with the statement's
 * resource owner. Locks: none.
 */
#include "fdw/fdw_native_state.h"

#include "executor/executor.h"
#include "feed/feed.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/memutils.h"

SqNativeState *
sq_fdw_native_state_of(SqHost *host)
{
	return (SqNativeState *) ((char *) host - offsetof(SqNativeState, host));
}

/* ---- Expressions ---- */

void
sq_fdw_host_row_fill(const SqHostRow *row, const SqFrame *frame, int number)
{
	TupleTableSlot *slot = row->slot;

	ExecClearTuple(slot);
	for (int s = 0; s < row->nslots; s++)
	{
		const SqColumn *column = frame->columns[row->slots[s]];

		slot->tts_isnull[s] = !sq_bit_get(column->valid, number);
		slot->tts_values[s] = slot->tts_isnull[s]
								  ? (Datum) 0
								  : sq_feed_column_datum(column, number);
	}
	ExecStoreVirtualTuple(slot);
}

static void
host_evaluate(SqHost *base, int number, const SqFrame *frame,
			  const uint64 *mask, SqColumn *out)
{
	SqNativeState *state = sq_fdw_native_state_of(base);
	SqHostExpr *host = &state->host_exprs[number];
	MemoryContext old;

	CHECK_FOR_INTERRUPTS();
	MemoryContextReset(host->context);
	old = MemoryContextSwitchTo(host->context);
	state->host_econtext->ecxt_scantuple = host->row.slot;
	SQ_FOR_EACH_BIT(row, mask, frame->nrows)
	{
		bool isnull;
		Datum value;

		sq_fdw_host_row_fill(&host->row, frame, row);
		value = ExecEvalExpr(host->expr, state->host_econtext, &isnull);
		if (!isnull)
			sq_feed_column_store(out, row, value);
	}
	MemoryContextSwitchTo(old);
}

/* ---- Values ---- */

static void
host_param(SqHost *host, int number, SqColumn *out)
{
	SqNativeState *state = sq_fdw_native_state_of(host);
	MemoryContext old = MemoryContextSwitchTo(state->param_context);
	bool isnull;
	Datum value = ExecEvalExpr((ExprState *) list_nth(state->params, number),
							   state->econtext, &isnull);

	sq_bit_clear(out->valid, 0);
	if (!isnull)
		sq_feed_column_store(out, 0, value);
	MemoryContextSwitchTo(old);
}

static int64
host_numeric(SqHost *host, int128 sum, int scale, int64 count)
{
	MemoryContext old =
		MemoryContextSwitchTo(sq_fdw_native_state_of(host)->values);
	Datum value = sq_fdw_native_numeric(sum, scale, count);

	MemoryContextSwitchTo(old);
	return (int64) value;
}

/* Slots of Datums are those of relations, and of what a plan gives. */
static size_t
host_datum_size(SqHost *host, int slot, int64 datum)
{
	Form_pg_attribute attribute =
		sq_fdw_native_state_of(host)->slot_attributes[slot];

	if (attribute->attbyval)
		return 0;
	return datumGetSize((Datum) datum, false, attribute->attlen);
}

/* ---- Files ---- */

static int
host_spill_open(SqHost *host)
{
	SqNativeState *state = sq_fdw_native_state_of(host);
	MemoryContext old = MemoryContextSwitchTo(state->context);

	if (state->files == NULL)
		state->files = palloc(sizeof(BufFile *));
	else
		state->files =
			repalloc(state->files, (state->nfiles + 1) * sizeof(BufFile *));
	state->files[state->nfiles] = BufFileCreateTemp(false);
	MemoryContextSwitchTo(old);
	return state->nfiles++;
}

static void
host_spill_write(SqHost *host, int file, const void *bytes, size_t length)
{
	BufFileWrite(sq_fdw_native_state_of(host)->files[file], (void *) bytes,
				 length);
}

static void
host_spill_rewind(SqHost *host, int file)
{
	if (BufFileSeek(sq_fdw_native_state_of(host)->files[file], 0, 0,
					SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not rewind temporary file")));
}

static bool
host_spill_read(SqHost *host, int file, void *bytes, size_t length)
{
	size_t got =
		BufFileRead(sq_fdw_native_state_of(host)->files[file], bytes, length);

	if (got != 0 && got != length)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read from temporary file")));
	return got == length;
}

static void
host_spill_close(SqHost *host, int file)
{
	SqNativeState *state = sq_fdw_native_state_of(host);

	BufFileClose(state->files[file]);
	state->files[file] = NULL;
}

static const SqHostOps host_ops = {
	.evaluate = host_evaluate,
	.param = host_param,
	.accumulate = sq_fdw_host_accumulate,
	.finish = sq_fdw_host_finish,
	.forget = sq_fdw_host_forget,
	.memory = sq_fdw_host_memory,
	.numeric = host_numeric,
	.state = sq_fdw_host_state,
	.datum_size = host_datum_size,
	.spill_open = host_spill_open,
	.spill_write = host_spill_write,
	.spill_rewind = host_spill_rewind,
	.spill_read = host_spill_read,
	.spill_close = host_spill_close,
};

/* ---- Creation ---- */

static TupleDesc
describe_row(Node *expr, int nslots)
{
	TupleDesc desc = CreateTemplateTupleDesc(nslots);
	ListCell *cell;

	foreach (cell, pull_vars_of_level(expr, 0))
	{
		Var *var = lfirst_node(Var, cell);

		TupleDescInitEntry(desc, var->varattno, NULL, var->vartype,
						   var->vartypmod, 0);
	}
	return desc;
}

void
sq_fdw_host_row_init(SqHostRow *row, Node *expr, List *slots)
{
	row->nslots = list_length(slots);
	row->slots = sq_fdw_int_array(slots);
	row->slot = MakeSingleTupleTableSlot(describe_row(expr, row->nslots),
										 &TTSOpsVirtual);
}

void
sq_fdw_native_host_init(SqNativeState *state, PlanState *parent, List *private)
{
	List *hosts = list_nth(private, SQ_NATIVE_HOSTS);
	List *aggregates = list_nth(private, SQ_NATIVE_AGGREGATES);
	ListCell *cell;

	state->host.ops = &host_ops;
	state->host_exprs =
		palloc0(Max(list_length(hosts), 1) * sizeof(SqHostExpr));
	if (hosts != NIL || aggregates != NIL)
		state->host_econtext = CreateExprContext(parent->state);
	foreach (cell, hosts)
	{
		SqHostExpr *host = &state->host_exprs[foreach_current_index(cell)];
		Node *expr = linitial(lfirst_node(List, cell));

		host->expr = ExecInitExpr((Expr *) expr, parent);
		sq_fdw_host_row_init(&host->row, expr,
							 lsecond(lfirst_node(List, cell)));
		host->context =
			AllocSetContextCreate(CurrentMemoryContext, "streamsql expression",
								  ALLOCSET_DEFAULT_SIZES);
	}
	if (aggregates != NIL)
		sq_fdw_host_aggregates_init(state, parent, aggregates);
}
