/*
 * fdw_native_scan.c
 *		Running a native plan as a foreign scan.
 *
 * Begin parses the plan and takes what the statement sees of its relation;
 * each row is one of the executor's frames, made Datums. This is also the
 * host (expr.h) of the execution: parameters, numerics and files.
 *
 * Memory: the execution has a context of its own, values that the host makes
 * live until the next frame. Files end with the statement's resource owner.
 * Locks: none.
 */
#include "fdw/fdw_native.h"

#include "base/base_version.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "fdw/fdw_explain.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "guc.h"
#include "keyed/keyed.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "portability/instr_time.h"
#include "storage/buffile.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct SqNativeState
{
	const SqFdwKind *kind; /* must be first */
	SqHost host;
	ExprContext *econtext;
	SqPlan *plan;
	const SqNode *scan_node;
	int *attrs;                         /* of the scan's slots */
	Form_pg_attribute *slot_attributes; /* by slot; NULL: made by a node */
	int *output;
	int noutput;
	List *params;              /* of ExprState */
	SqScan scan;               /* of a stream */
	const SqKeyedShape *shape; /* of a table, else NULL */
	const SqKeyedView *view;
	SqTableScan position;
	SqExec *exec;          /* NULL under EXPLAIN without ANALYZE */
	MemoryContext context; /* the execution's */
	MemoryContext values;  /* of the frame at hand */
	MemoryContext param_context;
	BufFile **files; /* NULL: closed */
	int nfiles;
	SqFrame *frame; /* NULL: none yet */
	int row;        /* the next one to look at */
	bool done;
} SqNativeState;

static SqNativeState *
state_of(SqHost *host)
{
	return (SqNativeState *) ((char *) host - offsetof(SqNativeState, host));
}

/* ---- The host ---- */

static void
host_param(SqHost *host, int number, SqColumn *out)
{
	SqNativeState *state = state_of(host);
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
	MemoryContext old = MemoryContextSwitchTo(state_of(host)->values);
	Datum value = sq_fdw_native_numeric(sum, scale, count);

	MemoryContextSwitchTo(old);
	return (int64) value;
}

static size_t
host_datum_size(SqHost *host, int slot, int64 datum)
{
	Form_pg_attribute attribute = state_of(host)->slot_attributes[slot];

	if (attribute->attbyval)
		return 0;
	return datumGetSize((Datum) datum, false, attribute->attlen);
}

static int
host_spill_open(SqHost *host)
{
	SqNativeState *state = state_of(host);
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
	BufFileWrite(state_of(host)->files[file], (void *) bytes, length);
}

static void
host_spill_rewind(SqHost *host, int file)
{
	if (BufFileSeek(state_of(host)->files[file], 0, 0, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not rewind temporary file")));
}

static bool
host_spill_read(SqHost *host, int file, void *bytes, size_t length)
{
	size_t got = BufFileRead(state_of(host)->files[file], bytes, length);

	if (got != 0 && got != length)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read from temporary file")));
	return got == length;
}

static void
host_spill_close(SqHost *host, int file)
{
	SqNativeState *state = state_of(host);

	BufFileClose(state->files[file]);
	state->files[file] = NULL;
}

/* The plans that are made have no expressions or aggregates of the host. */
static const SqHostOps host_ops = {
	.param = host_param,
	.numeric = host_numeric,
	.datum_size = host_datum_size,
	.spill_open = host_spill_open,
	.spill_write = host_spill_write,
	.spill_rewind = host_spill_rewind,
	.spill_read = host_spill_read,
	.spill_close = host_spill_close,
};

/* ---- Begin ---- */

static int *
int_array(List *list)
{
	int *array = palloc(Max(list_length(list), 1) * sizeof(int));
	ListCell *cell;

	foreach (cell, list)
		array[foreach_current_index(cell)] = lfirst_int(cell);
	return array;
}

static void
read_plan(SqNativeState *state, List *private)
{
	bytea *bytes = DatumGetByteaPP(
		((Const *) list_nth(private, SQ_NATIVE_BYTES))->constvalue);
	SqError error;

	state->plan = sq_plan_read(
		(SqSlice){VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}, &error);
	if (state->plan == NULL)
		sq_feed_throw(&error);
	state->scan_node = state->plan->root;
	while (state->scan_node->outer != NULL)
		state->scan_node = state->scan_node->outer;
	state->attrs = int_array(list_nth(private, SQ_PLAN_ATTRIBUTES));
	state->output = int_array(list_nth(private, SQ_NATIVE_OUTPUT));
	state->noutput = list_length(list_nth(private, SQ_NATIVE_OUTPUT));
}

static void
find_slot_attributes(SqNativeState *state, Relation relation)
{
	state->slot_attributes =
		palloc0(Max(state->plan->nslots, 1) * sizeof(Form_pg_attribute));
	for (int c = 0; c < state->scan_node->nfilled; c++)
		state->slot_attributes[state->scan_node->filled[c]] =
			TupleDescAttr(RelationGetDescr(relation), state->attrs[c]);
}

static uint64
read_clock(void)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	return (uint64) INSTR_TIME_GET_MICROSEC(now) * 1000;
}

static int
find_rows(void *arg, const SqTableRow **rows, int max)
{
	SqNativeState *state = arg;

	CHECK_FOR_INTERRUPTS();
	return sq_table_scan_next(&state->view->view, &state->position, rows, max);
}

static void
restart_rows(void *arg)
{
	((SqNativeState *) arg)->position = (SqTableScan){0};
}

/* The rows of the relation as a source. */
static SqSource *
make_source(SqNativeState *state, int capacity)
{
	SqRowFinder finder = {find_rows, restart_rows, state};
	SqExecRelation relation = {0};
	int *columns;

	if (state->shape == NULL)
		return sq_fdw_stream_source(&state->scan, state->econtext, state->plan,
									state->scan_node, state->attrs, capacity);
	columns = palloc(Max(state->scan_node->nfilled, 1) * sizeof(int));
	for (int c = 0; c < state->scan_node->nfilled; c++)
		columns[c] = state->shape->places[state->attrs[c]].column;
	relation.view = &state->view->view;
	relation.columns = columns;
	return sq_exec_row_source(state->plan, state->scan_node, &relation,
							  capacity, &finder);
}

static void
make_exec(ForeignScanState *node, SqNativeState *state)
{
	MemoryContext old;
	SqExecRelation *relation;
	SqExecOptions options = {.capacity = Max(SQ_EXEC_ROWS, sq_batch_rows),
							 .memory = get_hash_memory_limit(),
							 .seed = pg_prng_uint64(&pg_global_prng_state)};

	if (node->ss.ps.state->es_instrument & INSTRUMENT_TIMER)
		options.clock = read_clock;
	state->context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql execution", ALLOCSET_DEFAULT_SIZES);
	state->values = AllocSetContextCreate(state->context, "streamsql values",
										  ALLOCSET_DEFAULT_SIZES);
	state->param_context = AllocSetContextCreate(
		state->context, "streamsql parameters", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(state->context);
	relation = palloc0(sizeof(SqExecRelation));
	relation->source = make_source(state, options.capacity);
	state->exec = sq_exec_create(state->plan, relation, &state->host, &options);
	MemoryContextSwitchTo(old);
}

static void
begin_table(ForeignScanState *node, SqNativeState *state, Relation relation,
			bool explain_only)
{
	EState *estate = node->ss.ps.state;

	if (explain_only)
	{
		state->shape = sq_keyed_shape_acquire(relation, estate->es_query_cxt);
		return;
	}
	state->view = sq_fdw_table_view(estate, relation, sq_fdw_scan_user(node));
	state->shape = state->view->shape;
}

static void
begin_native(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *private = plan->fdw_private;
	EState *estate = node->ss.ps.state;
	SqNativeState *state = palloc0(sizeof(SqNativeState));
	bool explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;
	SqSeekSource seek = {intVal(list_nth(private, SQ_NATIVE_RELID)),
						 list_nth(private, SQ_NATIVE_SEEK),
						 explain_only ? NULL : &node->ss.ps};
	Relation relation = ExecGetRangeTableRelation(estate, SQ_SCAN_RELID(plan));

	node->fdw_state = state;
	state->kind = &sq_fdw_kind_native;
	state->host.ops = &host_ops;
	state->econtext = node->ss.ps.ps_ExprContext;
	read_plan(state, private);
	find_slot_attributes(state, relation);
	if (sq_feed_relation_kind(RelationGetRelid(relation)) == SQ_KIND_TABLE)
		begin_table(node, state, relation, explain_only);
	else
		sq_fdw_scan_init(
			&state->scan, relation, sq_fdw_scan_user(node),
			sq_fdw_attribute_set(list_nth(private, SQ_PLAN_ATTRIBUTES)), &seek);
	if (explain_only)
		return;
	if (state->shape == NULL)
		state->scan.topic =
			sq_fdw_snapshot(estate, state->scan.rel, state->scan.userid);
	state->params = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
	make_exec(node, state);
}

/* ---- Rows ---- */

/* The next frame; false at the end. */
static bool
next_frame(SqNativeState *state)
{
	MemoryContext old;
	SqError error;
	SqStatus status;

	if (state->done)
		return false;
	MemoryContextReset(state->values);
	old = MemoryContextSwitchTo(state->context);
	status = sq_exec_next(state->exec, &state->frame, &error);
	MemoryContextSwitchTo(old);
	if (status == SQ_ERROR)
		sq_feed_throw(&error);
	state->row = 0;
	state->done = status == SQ_DONE;
	if (state->done)
		state->frame = NULL;
	return !state->done;
}

/* The next row that is selected; false at the end. */
static bool
next_row(SqNativeState *state)
{
	for (;;)
	{
		while (state->frame != NULL && state->row < state->frame->nrows)
			if (sq_bit_get(state->frame->selected, state->row++))
				return true;
		if (!next_frame(state))
			return false;
	}
}

static TupleTableSlot *
iterate_native(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	int row;

	ExecClearTuple(slot);
	if (!next_row(state))
		return slot;
	row = state->row - 1;
	for (int c = 0; c < state->noutput; c++)
	{
		const SqColumn *column = state->frame->columns[state->output[c]];

		slot->tts_isnull[c] = !sq_bit_get(column->valid, row);
		slot->tts_values[c] =
			slot->tts_isnull[c] ? (Datum) 0 : sq_feed_column_datum(column, row);
	}
	return ExecStoreVirtualTuple(slot);
}

static void
rescan_native(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;

	if (state->exec == NULL)
		return;
	MemoryContextReset(state->param_context);
	sq_exec_restart(state->exec);
	state->frame = NULL;
	state->done = false;
}

static void
end_native(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;

	for (int f = 0; f < state->nfiles; f++)
		if (state->files[f] != NULL)
			BufFileClose(state->files[f]);
	state->nfiles = 0;
	if (state->scan.feed != NULL)
		sq_feed_stop(state->scan.feed);
}

/* ---- EXPLAIN ---- */

static const char *
node_name(const SqNativeState *state, const SqNode *node)
{
	switch (node->kind)
	{
		case SQ_NODE_SCAN:
			return state->shape != NULL ? "Table Scan" : "Stream Scan";
		case SQ_NODE_FILTER:
			return "Filter";
		case SQ_NODE_JOIN:
			return "Join";
		default:
			return node->nkeys > 0 ? "Hash Aggregate" : "Aggregate";
	}
}

static int64
kilobytes(int64 bytes)
{
	return (bytes + 1023) / 1024;
}

/* What an operator did, as properties of its group or the end of its line. */
static void
explain_text(const SqNativeState *state, const SqNode *node, ExplainState *es)
{
	const SqNodeStats *stats;

	if (es->costs)
		appendStringInfo(es->str, "  (rows=%.0f)", node->rows);
	if (state->exec == NULL)
		return;
	stats = sq_exec_stats(state->exec, node->number);
	appendStringInfoString(es->str, "  (actual ");
	if (es->timing)
		appendStringInfo(es->str, "time=%.3f ", stats->time / 1e6);
	appendStringInfo(es->str, "rows=%lld", (long long) stats->rows);
	if (node->kind == SQ_NODE_AGGREGATE && es->timing)
		appendStringInfo(es->str, " memory=%lldkB",
						 (long long) kilobytes(stats->memory));
	if (stats->files > 0)
		appendStringInfo(es->str, " files=%d spilled=%lldkB", stats->files,
						 (long long) kilobytes(stats->spilled));
	appendStringInfoChar(es->str, ')');
}

static void
explain_properties(const SqNativeState *state, const SqNode *node,
				   ExplainState *es)
{
	const SqNodeStats *stats;

	ExplainPropertyText("Operator", node_name(state, node), es);
	if (es->costs)
		ExplainPropertyFloat("Plan Rows", NULL, node->rows, 0, es);
	if (state->exec == NULL)
		return;
	stats = sq_exec_stats(state->exec, node->number);
	if (es->timing)
		ExplainPropertyFloat("Actual Time", "ms", stats->time / 1e6, 3, es);
	ExplainPropertyInteger("Actual Rows", NULL, stats->rows, es);
	ExplainPropertyInteger("Peak Memory", "kB", kilobytes(stats->memory), es);
	ExplainPropertyInteger("Files", NULL, stats->files, es);
	ExplainPropertyInteger("Spilled", "kB", kilobytes(stats->spilled), es);
}

/* An operator and what is beneath it, outermost first. */
static void
explain_nodes(const SqNativeState *state, ExplainState *es)
{
	bool lines = es->format == EXPLAIN_FORMAT_TEXT;
	int depth = 0;

	ExplainOpenGroup("Native Plan", "Native Plan", false, es);
	for (const SqNode *node = state->plan->root; node != NULL;
		 node = node->outer, depth++)
	{
		if (lines)
		{
			appendStringInfoSpaces(es->str, es->indent * 2);
			if (depth == 0)
				appendStringInfoString(es->str, "Native Plan: ");
			else
				appendStringInfo(es->str, "%*s->  ", depth * 4, "");
			appendStringInfoString(es->str, node_name(state, node));
			explain_text(state, node, es);
			appendStringInfoChar(es->str, '\n');
			continue;
		}
		ExplainOpenGroup("Operator", NULL, true, es);
		explain_properties(state, node, es);
		ExplainCloseGroup("Operator", NULL, true, es);
	}
	ExplainCloseGroup("Native Plan", "Native Plan", false, es);
}

static void
explain_native(ForeignScanState *node, ExplainState *es)
{
	SqNativeState *state = node->fdw_state;
	const SqRelation *rel =
		state->shape != NULL ? state->shape->rel : state->scan.rel;

	explain_nodes(state, es);
	ExplainPropertyText("Topic", rel->topic, es);
	if (state->shape == NULL)
		sq_fdw_explain_reading(&state->scan, es);
}

const SqFdwKind sq_fdw_kind_native = {
	.begin = begin_native,
	.iterate = iterate_native,
	.rescan = rescan_native,
	.end = end_native,
	.explain = explain_native,
};
