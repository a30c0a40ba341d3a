/*
 * fdw_table.c
 *		Executing a scan of a table: all rows, or those of a lookup.
 *
 * Begin claims the table's state for the statement (fdw_snapshot.c), waiting
 * for the table if need be. Rows come as pointers into shared memory and their
 * values are used where they lie; the claim keeps them there until the
 * statement ends. The first row after each (re)scan evaluates what is looked
 * for.
 *
 * Memory: state in the query context; keys of a lookup in a context that each
 * rescan resets. Locks: none.
 */
#include "fdw/fdw_kind.h"

#include "executor/executor.h"
#include "fdw/fdw_lookup.h"
#include "fdw/fdw_snapshot.h"
#include "fdw/fdw_table_plan.h"
#include "keyed/keyed.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Rows that are fetched at once. */
#define BATCH 256

/* Executor state of a scan. */
typedef struct SqTableState
{
	const SqFdwKind *kind; /* must be first */
	const SqKeyedShape *shape;
	const SqKeyedView *view; /* NULL under EXPLAIN without ANALYZE */
	int nattrs;
	int *attrs; /* wanted, numbers - 1 */
	int index;  /* of the lookup; -1: all rows */
	SqProbe *probe;
	bool started; /* keys are those of the current parameters */

	MemoryContext key_context; /* reset at every rescan */
	SqTableCell *keys;
	int nkeys;
	int key; /* the next one to look for */

	SqTableScan scan;
	const SqTableRow *rows[BATCH];
	int nrows;
	int row;                 /* the next one to give */
	const SqTableRow *match; /* last one of a value's, or NULL */

	int64 lookups; /* keys that were looked for, in all rescans */
	int64 found;   /* rows */
} SqTableState;

static void
init_attributes(SqTableState *state, List *wanted)
{
	ListCell *cell;

	state->attrs = palloc(Max(list_length(wanted), 1) * sizeof(int));
	foreach (cell, wanted)
		if (state->shape->places[lfirst_int(cell)].column >= 0)
			state->attrs[state->nattrs++] = lfirst_int(cell);
}

static void
begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *private = plan->fdw_private;
	SqTableState *state = palloc0(sizeof(SqTableState));
	bool explain_only = (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0;

	node->fdw_state = state;
	state->kind = &sq_fdw_kind_table;
	if (!explain_only)
		state->view =
			sq_fdw_table_view(node->ss.ps.state, node->ss.ss_currentRelation,
							  sq_fdw_scan_user(node));
	state->shape = explain_only
					   ? sq_keyed_shape_acquire(node->ss.ss_currentRelation,
												node->ss.ps.state->es_query_cxt)
					   : state->view->shape;
	state->index = intVal(list_nth(private, SQ_TABLE_PLAN_INDEX));
	init_attributes(state, list_nth(private, SQ_PLAN_ATTRIBUTES));
	if (state->index >= 0 && !explain_only)
	{
		state->probe = sq_fdw_probe_compile(
			state->shape, state->index, plan->fdw_exprs,
			intVal(list_nth(private, SQ_TABLE_PLAN_ARRAY)), &node->ss.ps);
		state->key_context = AllocSetContextCreate(
			CurrentMemoryContext, "streamsql lookup", ALLOCSET_SMALL_SIZES);
	}
}

/* ---- Rows ---- */

static void
start(ForeignScanState *node)
{
	SqTableState *state = node->fdw_state;
	MemoryContext old;

	state->started = true;
	state->scan = (SqTableScan){0};
	state->nrows = state->row = state->key = state->nkeys = 0;
	state->match = NULL;
	if (state->index < 0)
		return;
	MemoryContextReset(state->key_context);
	old = MemoryContextSwitchTo(state->key_context);
	state->nkeys = sq_fdw_probe_keys(state->probe, node->ss.ps.ps_ExprContext,
									 &state->keys);
	MemoryContextSwitchTo(old);
	state->lookups += state->nkeys;
}

/* Rows of the next keys. */
static bool
fetch_keys(SqTableState *state)
{
	int width = state->shape->layout->indexes[0].ncolumns;
	int count = Min(state->nkeys - state->key, BATCH);

	if (count == 1)
		state->rows[0] =
			sq_table_find(&state->view->view, &state->keys[state->key * width]);
	else if (count > 1)
		sq_table_find_many(&state->view->view, &state->keys[state->key * width],
						   count, state->rows);
	state->key += count;
	state->nrows = 0;
	for (int r = 0; r < count; r++)
		if (state->rows[r] != NULL)
			state->rows[state->nrows++] = state->rows[r];
	return count > 0;
}

/* Rows of an indexed column's values. */
static bool
fetch_matches(SqTableState *state)
{
	const SqTableView *view = &state->view->view;

	state->nrows = 0;
	while (state->nrows < BATCH)
	{
		if (state->match != NULL)
			state->match =
				sq_table_match_next(view, state->index, state->match);
		else if (state->key < state->nkeys)
			state->match = sq_table_match_first(view, state->index,
												&state->keys[state->key++]);
		else
			break;
		if (state->match != NULL)
			state->rows[state->nrows++] = state->match;
	}
	return state->nrows > 0;
}

/* More rows into state->rows, perhaps none; false at the end. */
static bool
fetch_rows(SqTableState *state)
{
	bool more;

	CHECK_FOR_INTERRUPTS();
	state->row = 0;
	if (state->index < 0)
	{
		state->nrows = sq_table_scan_next(&state->view->view, &state->scan,
										  state->rows, BATCH);
		more = state->nrows > 0;
	}
	else if (state->index == 0)
		more = fetch_keys(state);
	else
		more = fetch_matches(state);
	state->found += state->nrows;
	return more;
}

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	SqTableState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	const SqTableRow *row;

	ExecClearTuple(slot);
	if (unlikely(!state->started))
		start(node);
	while (state->row == state->nrows)
		if (!fetch_rows(state))
			return slot;
	row = state->rows[state->row++];
	memset(slot->tts_isnull, true,
		   slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int a = 0; a < state->nattrs; a++)
	{
		int attr = state->attrs[a];

		slot->tts_values[attr] = sq_keyed_shape_datum(state->shape, attr, row,
													  &slot->tts_isnull[attr]);
	}
	return ExecStoreVirtualTuple(slot);
}

static void
rescan(ForeignScanState *node)
{
	((SqTableState *) node->fdw_state)->started = false;
}

static void
end_scan(ForeignScanState *node)
{
	/* the view is the statement's */
}

/* ---- EXPLAIN ---- */

static const char *
index_name(const SqTableState *state)
{
	StringInfoData name;

	initStringInfo(&name);
	for (int p = 0; p < state->shape->layout->indexes[state->index].ncolumns;
		 p++)
	{
		const SqKeyedPart *part = &state->shape->parts[state->index][p];

		appendStringInfo(&name, "%s%s", p > 0 ? ", " : "",
						 state->shape->rel->attributes[part->attr].name);
	}
	return name.data;
}

static void
explain_scan(ForeignScanState *node, ExplainState *es)
{
	SqTableState *state = node->fdw_state;

	ExplainPropertyText("Topic", state->shape->rel->topic, es);
	if (state->index >= 0)
		ExplainPropertyText(state->index == 0 ? "Key Lookup" : "Index Lookup",
							index_name(state), es);
	if (!es->analyze)
		return;
	if (state->index >= 0)
		ExplainPropertyInteger("Lookups", NULL, state->lookups, es);
	ExplainPropertyInteger("Rows Found", NULL, state->found, es);
}

const SqFdwKind sq_fdw_kind_table = {
	.get_rel_size = sq_fdw_table_rel_size,
	.get_paths = sq_fdw_table_paths,
	.plan_exprs = sq_fdw_table_exprs,
	.plan_private = sq_fdw_table_private,
	.begin = begin_scan,
	.iterate = iterate_scan,
	.rescan = rescan,
	.end = end_scan,
	.explain = explain_scan,
};
