/*
 * fdw_native_aggregate.c
 *		Aggregates of the native executor that PostgreSQL's own transition
 *		functions compute.
 *
 * A group's state is a transition value, by number of the group. Functions are
 * called as nodeAgg.c calls them: strict ones skip NULLs, the first value may
 * become the state, and an AggState of ours tells them where what they keep is
 * to live. Values that are to be distinct or in order are sorted first, those
 * of all groups together, after the group; each group takes its own when its
 * result is asked for.
 *
 * Where several processes have a part of the rows each, states are results, in
 * the form in which PostgreSQL merges them.
 *
 * Memory: states in the aggregates' context, which goes with all groups;
 * results in one that goes when the next are asked for. Files of sorts end with
 * the statement's resource owner. Locks: none.
 */
#include "fdw/fdw_native_state.h"

#include "access/htup_details.h"
#include "base/base_version.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "executor/nodeAgg.h"
#include "feed/feed.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_agg.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/tuplesort.h"

/* The state of a group. */
typedef struct SqTransition
{
	Datum value;
	bool isnull;
	bool none; /* the first value that is not NULL becomes the state */
} SqTransition;

/* How values are sorted before they count. Columns of the rows: the group,
 * then the arguments. */
typedef struct SqHostSort
{
	int ncolumns; /* sorted by, the group among them */
	AttrNumber *columns;
	Oid *operators;
	Oid *collations;
	bool *nulls_first;
	FmgrInfo *equal; /* DISTINCT: by column; else NULL */
	TupleDesc desc;
	TupleTableSlot *input;
	TupleTableSlot *row;      /* the next one; empty: none is left */
	TupleTableSlot *previous; /* the one before it */
	Tuplesortstate *state;    /* NULL: no rows yet */
	bool sorted;
} SqHostSort;

typedef struct SqHostAggregate
{
	Aggref *aggref;
	SqHostRow row;
	List *args; /* of ExprState: arguments, then what else is sorted by */
	int nargs;  /* of the function */
	FmgrInfo transition;
	FunctionCallInfo call;
	FmgrInfo final;              /* or what serializes the state */
	FunctionCallInfo final_call; /* NULL: the state is the result */
	int16 length;                /* of the state's type */
	bool byval;
	Datum initial;
	bool initial_null;
	SqHostSort *sort;            /* or NULL */
	AggStatePerTransData called; /* what a function may ask for */
	MemoryContext results;
	SqTransition *groups; /* in the aggregates' context */
	uint32 ngroups;
	uint32 maxgroups;
} SqHostAggregate;

struct SqHostAggregates
{
	int count;
	SqHostAggregate *all;
	AggState *caller;
	ExprContext *kept; /* its memory holds the states */
};

static MemoryContext
kept_context(const SqNativeState *state)
{
	return state->host_aggregates->kept->ecxt_per_tuple_memory;
}

/* ---- Creation ---- */

static void
check_execute(Oid function, Oid user, ObjectType kind)
{
	AclResult result = SQ_FUNCTION_ACLCHECK(function, user);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, kind, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

static Oid
owner_of(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

static FunctionCallInfo
make_call_info(FmgrInfo *function, int nargs, const Aggref *aggref,
			   AggState *caller)
{
	FunctionCallInfo call = palloc0(SizeForFunctionCallInfo(nargs));

	InitFunctionCallInfoData(*call, function, nargs, aggref->inputcollid,
							 (Node *) caller, NULL);
	return call;
}

static void
init_final(SqHostAggregate *agg, Form_pg_aggregate form, Oid *types,
		   AggState *caller)
{
	Aggref *aggref = agg->aggref;
	int nargs = form->aggfinalextra ? agg->nargs + 1 : 1;
	Expr *expr;

	check_execute(form->aggfinalfn, owner_of(aggref->aggfnoid),
				  OBJECT_FUNCTION);
	build_aggregate_finalfn_expr(types, nargs, aggref->aggtranstype,
								 aggref->aggtype, aggref->inputcollid,
								 form->aggfinalfn, &expr);
	fmgr_info(form->aggfinalfn, &agg->final);
	fmgr_info_set_expr((Node *) expr, &agg->final);
	agg->final_call = make_call_info(&agg->final, nargs, aggref, caller);
}

/* The state itself is the result: one that other processes understand. */
static void
init_serialize(SqHostAggregate *agg, Form_pg_aggregate form, AggState *caller)
{
	Expr *expr;

	if (agg->aggref->aggtranstype != INTERNALOID)
		return;
	check_execute(form->aggserialfn, owner_of(agg->aggref->aggfnoid),
				  OBJECT_FUNCTION);
	build_aggregate_serialfn_expr(form->aggserialfn, &expr);
	fmgr_info(form->aggserialfn, &agg->final);
	fmgr_info_set_expr((Node *) expr, &agg->final);
	agg->final_call = make_call_info(&agg->final, 1, agg->aggref, caller);
}

static void
init_functions(SqHostAggregate *agg, Form_pg_aggregate form, AggState *caller)
{
	Aggref *aggref = agg->aggref;
	Oid types[FUNC_MAX_ARGS];
	Expr *expr;

	get_aggregate_argtypes(aggref, types);
	check_execute(form->aggtransfn, owner_of(aggref->aggfnoid),
				  OBJECT_FUNCTION);
	build_aggregate_transfn_expr(types, agg->nargs, 0, false,
								 aggref->aggtranstype, aggref->inputcollid,
								 form->aggtransfn, InvalidOid, &expr, NULL);
	fmgr_info(form->aggtransfn, &agg->transition);
	fmgr_info_set_expr((Node *) expr, &agg->transition);
	agg->call =
		make_call_info(&agg->transition, agg->nargs + 1, aggref, caller);
	if (DO_AGGSPLIT_SKIPFINAL(aggref->aggsplit))
		init_serialize(agg, form, caller);
	else if (OidIsValid(form->aggfinalfn))
		init_final(agg, form, types, caller);
}

static void
init_state(SqHostAggregate *agg, HeapTuple tuple)
{
	Oid type = agg->aggref->aggtranstype;
	Oid input;
	Oid param;
	Datum written = SysCacheGetAttr(
		AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &agg->initial_null);

	get_typlenbyval(type, &agg->length, &agg->byval);
	if (agg->initial_null)
		return;
	getTypeInputInfo(type, &input, &param);
	agg->initial =
		OidInputFunctionCall(input, TextDatumGetCString(written), param, -1);
}

static void
init_sort_column(SqHostSort *sort, const Aggref *aggref,
				 const SortGroupClause *clause, bool distinct)
{
	TargetEntry *entry =
		get_sortgroupref_tle(clause->tleSortGroupRef, aggref->args);
	int column = sort->ncolumns++;

	sort->columns[column] = entry->resno + 1;
	sort->operators[column] = clause->sortop;
	sort->collations[column] = exprCollation((Node *) entry->expr);
	sort->nulls_first[column] = clause->nulls_first;
	if (distinct)
		fmgr_info(get_opcode(clause->eqop), &sort->equal[column]);
}

static SqHostSort *
make_sort(const Aggref *aggref)
{
	/* what is distinct begins with what is in order */
	bool distinct = aggref->aggdistinct != NIL;
	List *clauses = distinct ? aggref->aggdistinct : aggref->aggorder;
	int count = list_length(clauses) + 1;
	SqHostSort *sort = palloc0(sizeof(SqHostSort));
	ListCell *cell;

	sort->columns = palloc(count * sizeof(AttrNumber));
	sort->operators = palloc(count * sizeof(Oid));
	sort->collations = palloc(count * sizeof(Oid));
	sort->nulls_first = palloc(count * sizeof(bool));
	if (distinct)
		sort->equal = palloc0(count * sizeof(FmgrInfo));
	sort->ncolumns = 1;
	sort->columns[0] = 1;
	sort->operators[0] = Int8LessOperator;
	sort->collations[0] = InvalidOid;
	sort->nulls_first[0] = false;
	foreach (cell, clauses)
		init_sort_column(sort, aggref, lfirst(cell), distinct);

	sort->desc = CreateTemplateTupleDesc(list_length(aggref->args) + 1);
	TupleDescInitEntry(sort->desc, 1, NULL, INT8OID, -1, 0);
	foreach (cell, aggref->args)
	{
		TargetEntry *entry = lfirst(cell);

		TupleDescInitEntry(sort->desc, entry->resno + 1, NULL,
						   exprType((Node *) entry->expr),
						   exprTypmod((Node *) entry->expr), 0);
	}
	sort->input = MakeSingleTupleTableSlot(sort->desc, &TTSOpsVirtual);
	sort->row = MakeSingleTupleTableSlot(sort->desc, &TTSOpsMinimalTuple);
	sort->previous = MakeSingleTupleTableSlot(sort->desc, &TTSOpsMinimalTuple);
	return sort;
}

static void
init_aggregate(SqHostAggregate *agg, PlanState *parent, List *item,
			   AggState *caller)
{
	Aggref *aggref = agg->aggref = linitial_node(Aggref, item);
	HeapTuple tuple =
		SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	ListCell *cell;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	check_execute(aggref->aggfnoid, GetUserId(), OBJECT_AGGREGATE);
	agg->nargs = list_length(aggref->aggargtypes);
	init_functions(agg, (Form_pg_aggregate) GETSTRUCT(tuple), caller);
	init_state(agg, tuple);
	ReleaseSysCache(tuple);
	sq_fdw_host_row_init(&agg->row, (Node *) aggref->args, lsecond(item));
	foreach (cell, aggref->args)
		agg->args =
			lappend(agg->args,
					ExecInitExpr(lfirst_node(TargetEntry, cell)->expr, parent));
	if (aggref->aggorder != NIL || aggref->aggdistinct != NIL)
		agg->sort = make_sort(aggref);
	agg->called.aggref = aggref;
	agg->results = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql aggregate", ALLOCSET_DEFAULT_SIZES);
}

void
sq_fdw_host_aggregates_init(SqNativeState *state, PlanState *parent,
							List *aggregates)
{
	SqHostAggregates *host = palloc0(sizeof(SqHostAggregates));
	ListCell *cell;

	host->count = list_length(aggregates);
	host->all = palloc0(host->count * sizeof(SqHostAggregate));
	host->kept = CreateExprContext(parent->state);
	host->caller = makeNode(AggState);
	host->caller->ss.ps.state = parent->state;
	host->caller->curaggcontext = host->kept;
	host->caller->tmpcontext = state->host_econtext;
	foreach (cell, aggregates)
		init_aggregate(&host->all[foreach_current_index(cell)], parent,
					   lfirst(cell), host->caller);
	state->host_aggregates = host;
}

/* ---- States ---- */

/* The state of a group, which may be new. */
static SqTransition *
state_for(SqNativeState *state, SqHostAggregate *agg, uint32 group)
{
	MemoryContext old = MemoryContextSwitchTo(kept_context(state));

	if (group >= agg->maxgroups)
	{
		uint32 room = Max(Max(agg->maxgroups * 2, group + 1), 64);
		Size size = room * sizeof(SqTransition);

		agg->groups = agg->groups == NULL
						  ? MemoryContextAllocHuge(CurrentMemoryContext, size)
						  : repalloc_huge(agg->groups, size);
		agg->maxgroups = room;
	}
	while (agg->ngroups <= group)
		agg->groups[agg->ngroups++] = (SqTransition){
			.value = agg->initial_null
						 ? (Datum) 0
						 : datumCopy(agg->initial, agg->byval, agg->length),
			.isnull = agg->initial_null,
			.none = agg->initial_null};
	MemoryContextSwitchTo(old);
	return &agg->groups[group];
}

static void
forget_value(const SqTransition *at)
{
	if (DatumIsReadWriteExpandedObject(at->value, at->isnull, -1))
		DeleteExpandedObject(at->value);
	else
		pfree(DatumGetPointer(at->value));
}

/* What a function gave becomes the state; it may live anywhere. */
static void
keep_value(SqHostAggregate *agg, SqTransition *at, Datum value, bool isnull,
		   MemoryContext kept)
{
	if (!agg->byval && (at->isnull || isnull ||
						DatumGetPointer(value) != DatumGetPointer(at->value)))
	{
		bool expanded = agg->length == -1 && !isnull &&
						DatumIsReadWriteExpandedObject(value, false, -1);

		if (!isnull &&
			!(expanded &&
			  MemoryContextGetParent(DatumGetEOHP(value)->eoh_context) == kept))
		{
			MemoryContext old = MemoryContextSwitchTo(kept);

			value = datumCopy(value, false, agg->length);
			MemoryContextSwitchTo(old);
		}
		if (!at->isnull)
			forget_value(at);
	}
	at->value = isnull ? (Datum) 0 : value;
	at->isnull = isnull;
	at->none = false;
}

/* One row's arguments, which stand in the call behind the state. */
static void
advance(SqNativeState *state, SqHostAggregate *agg, SqTransition *at)
{
	FunctionCallInfo call = agg->call;
	Datum value;

	if (agg->transition.fn_strict)
	{
		for (int i = 1; i <= agg->nargs; i++)
			if (call->args[i].isnull)
				return;
		if (at->none)
		{
			keep_value(agg, at, call->args[1].value, false,
					   kept_context(state));
			return;
		}
		if (at->isnull)
			return;
	}
	call->args[0].value = at->value;
	call->args[0].isnull = at->isnull;
	call->isnull = false;
	state->host_aggregates->caller->curpertrans = &agg->called;
	value = FunctionCallInvoke(call);
	keep_value(agg, at, value, call->isnull, kept_context(state));
}

/* ---- Values in order ---- */

static void
begin_sort(SqNativeState *state, SqHostSort *sort)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);

	sort->state = tuplesort_begin_heap(
		sort->desc, sort->ncolumns, sort->columns, sort->operators,
		sort->collations, sort->nulls_first, work_mem, NULL, TUPLESORT_NONE);
	MemoryContextSwitchTo(old);
}

/* The next row, while the one before it is kept. */
static void
next_sorted(SqHostSort *sort)
{
	TupleTableSlot *free = sort->previous;

	sort->previous = sort->row;
	sort->row = free;
	(void) tuplesort_gettupleslot(sort->state, true, true, sort->row, NULL);
}

static uint32
sorted_group(SqHostSort *sort)
{
	bool isnull;

	return (uint32) DatumGetInt64(slot_getattr(sort->row, 1, &isnull));
}

/* Is the row of the same values, of the same group, as the one before it? */
static bool
is_repeated(SqHostSort *sort, uint32 group)
{
	bool isnull;

	if (sort->equal == NULL || TupIsNull(sort->previous) ||
		(uint32) DatumGetInt64(slot_getattr(sort->previous, 1, &isnull)) !=
			group)
		return false;
	for (int c = 1; c < sort->ncolumns; c++)
	{
		bool null_before;
		Datum value = slot_getattr(sort->row, sort->columns[c], &isnull);
		Datum before =
			slot_getattr(sort->previous, sort->columns[c], &null_before);

		if (isnull != null_before ||
			(!isnull &&
			 !DatumGetBool(FunctionCall2Coll(
				 &sort->equal[c], sort->collations[c], before, value))))
			return false;
	}
	return true;
}

/* The rows of groups before end count. */
static void
advance_sorted(SqNativeState *state, SqHostAggregate *agg, uint32 end)
{
	SqHostSort *sort = agg->sort;

	if (sort->state == NULL)
		return;
	if (!sort->sorted)
	{
		tuplesort_performsort(sort->state);
		sort->sorted = true;
		next_sorted(sort);
	}
	while (!TupIsNull(sort->row) && sorted_group(sort) < end)
	{
		uint32 group = sorted_group(sort);
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(state->host_econtext);
		old =
			MemoryContextSwitchTo(state->host_econtext->ecxt_per_tuple_memory);
		if (!is_repeated(sort, group))
		{
			for (int i = 1; i <= agg->nargs; i++)
				agg->call->args[i].value =
					slot_getattr(sort->row, i + 1, &agg->call->args[i].isnull);
			advance(state, agg, state_for(state, agg, group));
		}
		MemoryContextSwitchTo(old);
		next_sorted(sort);
	}
}

/* ---- Rows ---- */

static void
put_sorted(SqNativeState *state, SqHostAggregate *agg, uint32 group)
{
	SqHostSort *sort = agg->sort;
	ListCell *cell;

	if (sort->state == NULL)
		begin_sort(state, sort);
	ExecClearTuple(sort->input);
	sort->input->tts_values[0] = Int64GetDatum(group);
	sort->input->tts_isnull[0] = false;
	foreach (cell, agg->args)
	{
		int i = foreach_current_index(cell) + 1;

		sort->input->tts_values[i] =
			ExecEvalExpr((ExprState *) lfirst(cell), state->host_econtext,
						 &sort->input->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(sort->input);
	tuplesort_puttupleslot(sort->state, sort->input);
}

static void
put_row(SqNativeState *state, SqHostAggregate *agg, uint32 group)
{
	ListCell *cell;

	if (agg->sort != NULL)
	{
		put_sorted(state, agg, group);
		return;
	}
	foreach (cell, agg->args)
	{
		NullableDatum *arg = &agg->call->args[foreach_current_index(cell) + 1];

		arg->value = ExecEvalExpr((ExprState *) lfirst(cell),
								  state->host_econtext, &arg->isnull);
	}
	advance(state, agg, state_for(state, agg, group));
}

void
sq_fdw_host_accumulate(SqHost *base, int number, const SqFrame *frame,
					   const uint64 *mask, const uint32 *groups)
{
	SqNativeState *state = sq_fdw_native_state_of(base);
	SqHostAggregate *agg = &state->host_aggregates->all[number];
	MemoryContext old =
		MemoryContextSwitchTo(state->host_econtext->ecxt_per_tuple_memory);

	CHECK_FOR_INTERRUPTS();
	SQ_FOR_EACH_BIT(row, mask, frame->nrows)
	{
		ResetExprContext(state->host_econtext);
		sq_fdw_host_row_fill(&agg->row, frame, row);
		state->host_econtext->ecxt_scantuple = agg->row.slot;
		put_row(state, agg, groups[row]);
	}
	MemoryContextSwitchTo(old);
}

/* ---- Results ---- */

static Datum
finish_state(SqNativeState *state, SqHostAggregate *agg, const SqTransition *at,
			 bool *isnull)
{
	FunctionCallInfo call = agg->final_call;
	Datum value;

	*isnull = at->isnull;
	value = at->value;
	if (agg->length == -1)
		value = MakeExpandedObjectReadOnly(value, at->isnull, -1);
	if (call == NULL)
		return value;
	call->args[0].value = value;
	call->args[0].isnull = at->isnull;
	for (int i = 1; i < call->nargs; i++)
		call->args[i] = (NullableDatum){.isnull = true};
	*isnull = true;
	if (agg->final.fn_strict && (at->isnull || call->nargs > 1))
		return (Datum) 0;
	call->isnull = false;
	state->host_aggregates->caller->curpertrans = &agg->called;
	value = FunctionCallInvoke(call);
	*isnull = call->isnull;
	return value;
}

void
sq_fdw_host_finish(SqHost *base, int number, uint32 first, int count,
				   SqColumn *out)
{
	SqNativeState *state = sq_fdw_native_state_of(base);
	SqHostAggregate *agg = &state->host_aggregates->all[number];
	MemoryContext old;

	if (agg->sort != NULL)
		advance_sorted(state, agg, first + count);
	MemoryContextReset(agg->results);
	old = MemoryContextSwitchTo(agg->results);
	for (int row = 0; row < count; row++)
	{
		bool isnull;
		Datum value = finish_state(state, agg,
								   state_for(state, agg, first + row), &isnull);

		if (!isnull)
			sq_feed_column_store(out, row, value);
	}
	MemoryContextSwitchTo(old);
}

/* ---- States of sums that the executor has ---- */

/* Let a state count a sum of integers, in parts that are in range. */
static void
add_integers(SqNativeState *state, SqHostAggregate *agg, SqTransition *at,
			 int128 sum)
{
	do
	{
		int64 part = (int64) Min(Max(sum, PG_INT64_MIN), PG_INT64_MAX);

		agg->call->args[1] = (NullableDatum){.value = Int64GetDatum(part)};
		advance(state, agg, at);
		sum -= part;
	} while (sum != 0);
}

/* Both forms that states of sums have begin with the number of values. */
static Datum
make_state(SqNativeState *state, SqHostAggregate *agg, const SqSum *sum)
{
	SqTransition at = {.isnull = true};
	Datum value;
	int64 count;
	bool isnull;

	if (agg->aggref->aggtranstype != INTERNALOID)
	{
		Datum parts[] = {Int64GetDatum(sum->count),
						 Int64GetDatum((int64) sum->sum)};

		return PointerGetDatum(construct_array(parts, lengthof(parts), INT8OID,
											   sizeof(int64), FLOAT8PASSBYVAL,
											   TYPALIGN_DOUBLE));
	}
	if (linitial_oid(agg->aggref->aggargtypes) == INT8OID)
		add_integers(state, agg, &at, sum->sum);
	else
	{
		agg->call->args[1] = (NullableDatum){
			.value = sq_fdw_native_numeric(sum->sum, sum->scale, 0)};
		advance(state, agg, &at);
	}
	value = finish_state(state, agg, &at, &isnull);
	count = (int64) pg_hton64(sum->count);
	memcpy(VARDATA(DatumGetPointer(value)), &count, sizeof(count));
	return value;
}

void
sq_fdw_host_state(SqHost *base, int number, const SqSum *sum, SqColumn *out,
				  int row)
{
	SqNativeState *state = sq_fdw_native_state_of(base);
	SqHostAggregate *agg = &state->host_aggregates->all[number];
	AggState *caller = state->host_aggregates->caller;
	MemoryContext old = MemoryContextSwitchTo(state->values);

	/* it is made, serialized and forgotten */
	ResetExprContext(state->host_econtext);
	caller->curaggcontext = state->host_econtext;
	sq_feed_column_store(out, row, make_state(state, agg, sum));
	caller->curaggcontext = state->host_aggregates->kept;
	MemoryContextSwitchTo(old);
}

void
sq_fdw_host_forget(SqHost *base)
{
	SqHostAggregates *host = sq_fdw_native_state_of(base)->host_aggregates;

	for (int i = 0; i < host->count; i++)
	{
		SqHostAggregate *agg = &host->all[i];

		agg->groups = NULL;
		agg->ngroups = agg->maxgroups = 0;
		if (agg->sort == NULL || agg->sort->state == NULL)
			continue;
		ExecClearTuple(agg->sort->row);
		ExecClearTuple(agg->sort->previous);
		tuplesort_end(agg->sort->state);
		agg->sort->state = NULL;
		agg->sort->sorted = false;
	}
	ReScanExprContext(host->kept);
}

size_t
sq_fdw_host_memory(SqHost *base)
{
	return MemoryContextMemAllocated(kept_context(sq_fdw_native_state_of(base)),
									 true);
}
