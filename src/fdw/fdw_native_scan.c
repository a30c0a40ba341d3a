/*
 * fdw_native_scan.c
 *		Running a native plan as a foreign scan.
 *
 * Begin parses the plan and takes what the statement sees of its relations;
 * each row is one of the executor's frames, made Datums.
 *
 * Memory: the execution has a context of its own, values that the host makes
 * live until the next frame. Locks: none.
 */
#include "fdw/fdw_native_state.h"

#include "base/base_version.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* ---- Begin ---- */

int *
sq_fdw_int_array(List *list)
{
	int *array = palloc(Max(list_length(list), 1) * sizeof(int));
	ListCell *cell;

	foreach (cell, list)
		array[foreach_current_index(cell)] = lfirst_int(cell);
	return array;
}

/* Let the relations know the nodes that read them. */
static void
find_nodes(SqNativeState *state, const SqNode *node)
{
	if (node == NULL)
		return;
	if (node->kind == SQ_NODE_SCAN ||
		(node->kind == SQ_NODE_JOIN && node->method == SQ_METHOD_LOOKUP))
		state->relations[node->relation].node = node;
	find_nodes(state, node->outer);
	find_nodes(state, node->inner);
}

static void
read_plan(SqNativeState *state, ForeignScan *plan)
{
	List *private = plan->fdw_private;
	bytea *bytes = DatumGetByteaPP(
		((Const *) list_nth(private, SQ_NATIVE_BYTES))->constvalue);
	SqError error;
	int relid = -1;

	state->plan = sq_plan_read(
		(SqSlice){VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}, &error);
	if (state->plan == NULL)
		sq_feed_throw(&error);
	state->nrelations = state->plan->nrelations;
	state->relations = palloc0(state->nrelations * sizeof(SqNativeRelation));
	for (int r = 0; r < state->nrelations; r++)
	{
		SqNativeRelation *relation = &state->relations[r];

		relid = bms_next_member(SQ_SCAN_RELIDS(plan), relid);
		relation->relid = relid;
		relation->attr_list =
			list_nth(list_nth(private, SQ_NATIVE_ATTRIBUTES), r);
		relation->attrs = sq_fdw_int_array(relation->attr_list);
	}
	state->step =
		state->relations[0].relid - intVal(list_nth(private, SQ_NATIVE_RELID));
	find_nodes(state, state->plan->root);
	state->output = sq_fdw_int_array(list_nth(private, SQ_NATIVE_OUTPUT));
	state->noutput = list_length(list_nth(private, SQ_NATIVE_OUTPUT));
	state->slot_attributes =
		palloc0(Max(state->plan->nslots, 1) * sizeof(Form_pg_attribute));
}

static void
begin_table(ForeignScanState *node, SqNativeRelation *relation, Relation opened,
			bool shape_only)
{
	EState *estate = node->ss.ps.state;

	if (shape_only)
	{
		relation->shape = sq_keyed_shape_acquire(opened, estate->es_query_cxt);
		return;
	}
	relation->view = sq_fdw_table_view(estate, opened, sq_fdw_scan_user(node));
	relation->shape = relation->view->shape;
}

static void
begin_stream(ForeignScanState *node, SqNativeRelation *relation,
			 Relation opened, const SqSeekSource *seek)
{
	sq_fdw_scan_init(&relation->scan, opened, sq_fdw_scan_user(node),
					 sq_fdw_attribute_set(relation->attr_list), seek);
	if (seek->parent != NULL && !sq_fdw_is_worker_scan(node))
		relation->scan.topic = sq_fdw_snapshot(
			node->ss.ps.state, relation->scan.rel, relation->scan.userid);
}

static void
begin_relation(ForeignScanState *node, SqNativeState *state, int number,
			   bool explain_only)
{
	List *private = ((ForeignScan *) node->ss.ps.plan)->fdw_private;
	SqNativeRelation *relation = &state->relations[number];
	Relation opened =
		ExecGetRangeTableRelation(node->ss.ps.state, relation->relid);
	SqSeekSource seek = {relation->relid - state->step,
						 list_nth(list_nth(private, SQ_NATIVE_SEEK), number),
						 explain_only ? NULL : &node->ss.ps};

	for (int c = 0; c < relation->node->nfilled; c++)
		state->slot_attributes[relation->node->filled[c]] =
			TupleDescAttr(RelationGetDescr(opened), relation->attrs[c]);
	if (sq_feed_relation_kind(RelationGetRelid(opened)) == SQ_KIND_TABLE)
		begin_table(node, relation, opened,
					explain_only || sq_fdw_is_worker_scan(node));
	else
		begin_stream(node, relation, opened, &seek);
}

/* ---- Sources ---- */

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
	SqNativeRelation *relation = arg;

	CHECK_FOR_INTERRUPTS();
	return sq_table_scan_next(&relation->view->view, &relation->position, rows,
							  max);
}

static void
restart_rows(void *arg)
{
	((SqNativeRelation *) arg)->position = (SqTableScan){0};
}

/* A relation as the executor is to see it. */
static void
open_relation(SqNativeState *state, SqNativeRelation *from, int capacity,
			  SqExecRelation *relation)
{
	SqRowFinder finder = {find_rows, restart_rows, from};
	int *columns;

	if (from->shape == NULL)
	{
		relation->source =
			sq_fdw_stream_source(&from->scan, state->econtext, state->plan,
								 from->node, from->attrs, capacity);
		return;
	}
	columns = palloc(Max(from->node->nfilled, 1) * sizeof(int));
	for (int c = 0; c < from->node->nfilled; c++)
		columns[c] = from->shape->places[from->attrs[c]].column;
	relation->view = &from->view->view;
	relation->columns = columns;
	if (from->node->kind == SQ_NODE_SCAN)
		relation->source = sq_exec_row_source(state->plan, from->node, relation,
											  capacity, &finder);
}

void
sq_fdw_native_start(ForeignScanState *node)
{
	SqNativeState *state = node->fdw_state;
	List *private = ((ForeignScan *) node->ss.ps.plan)->fdw_private;
	MemoryContext old;
	SqExecRelation *relations;
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
	sq_fdw_native_host_init(state, &node->ss.ps, private);
	relations = palloc0(state->nrelations * sizeof(SqExecRelation));
	for (int r = 0; r < state->nrelations; r++)
		open_relation(state, &state->relations[r], options.capacity,
					  &relations[r]);
	state->exec =
		sq_exec_create(state->plan, relations, &state->host, &options);
	MemoryContextSwitchTo(old);
}

/* What is made by the plan itself has the types of the scan's rows. */
static void
find_attributes(ForeignScanState *node, SqNativeState *state)
{
	TupleDesc desc = node->ss.ss_ScanTupleSlot->tts_tupleDescriptor;

	for (int c = 0; c < state->noutput; c++)
		if (state->output[c] >= 0 &&
			state->slot_attributes[state->output[c]] == NULL)
			state->slot_attributes[state->output[c]] = TupleDescAttr(desc, c);
}

static void
begin_native(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	SqNativeState *state = palloc0(sizeof(SqNativeState));
	bool explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;

	node->fdw_state = state;
	state->kind = &sq_fdw_kind_native;
	state->econtext = node->ss.ps.ps_ExprContext;
	read_plan(state, plan);
	for (int r = 0; r < state->nrelations; r++)
		begin_relation(node, state, r, explain_only);
	find_attributes(node, state);
	if (explain_only)
		return;
	state->params = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
	/* a worker hears first what the leader sees */
	if (!sq_fdw_is_worker_scan(node))
		sq_fdw_native_start(node);
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
		const SqColumn *column = NULL;

		if (state->output[c] >= 0)
			column = state->frame->columns[state->output[c]];
		slot->tts_isnull[c] = column == NULL || !sq_bit_get(column->valid, row);
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
	if (state->host_aggregates != NULL)
		sq_fdw_host_forget(&state->host);
	for (int r = 0; r < state->nrelations; r++)
		if (state->relations[r].scan.feed != NULL)
			sq_feed_stop(state->relations[r].scan.feed);
}

const SqFdwKind sq_fdw_kind_native = {
	.begin = begin_native,
	.iterate = iterate_native,
	.rescan = rescan_native,
	.end = end_native,
	.explain = sq_fdw_native_explain,
	.estimate_dsm = sq_fdw_native_estimate_dsm,
	.initialize_dsm = sq_fdw_native_initialize_dsm,
	.reinitialize_dsm = sq_fdw_native_reinitialize_dsm,
	.initialize_worker = sq_fdw_native_initialize_worker,
	.shut_down = sq_fdw_native_shutdown,
};
