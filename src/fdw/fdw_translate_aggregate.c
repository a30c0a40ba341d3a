/*
 * fdw_translate_aggregate.c
 *		PostgreSQL's aggregates as the native executor's.
 *
 * Recognised by function; those that the executor has no state for, and those
 * of values that are distinct or in order, are the host's. Where PostgreSQL
 * merges what several processes have, the result is a state of its own: for
 * most the same value, for sums that are wider one that the host makes.
 *
 * Memory: the planner's. Locks: none.
 */
#include "fdw/fdw_native.h"

#include "catalog/pg_aggregate.h"
#include "utils/fmgroids.h"
#include "utils/pg_locale.h"
#include "utils/regproc.h"

typedef struct SqAggFunctionKind
{
	Oid function;
	SqAggregateKind kind;
	SqType result;
} SqAggFunctionKind;

static const SqAggFunctionKind aggregates[] = {
	{F_COUNT_, SQ_AGG_COUNT, SQ_TYPE_INT8},
	{F_COUNT_ANY, SQ_AGG_COUNT, SQ_TYPE_INT8},
	{F_SUM_INT2, SQ_AGG_SUM_I, SQ_TYPE_INT8},
	{F_SUM_INT4, SQ_AGG_SUM_I, SQ_TYPE_INT8},
	{F_SUM_INT8, SQ_AGG_SUM_WIDE, SQ_TYPE_DATUM},
	{F_SUM_NUMERIC, SQ_AGG_SUM_WIDE, SQ_TYPE_DATUM},
	{F_SUM_FLOAT4, SQ_AGG_SUM_F, SQ_TYPE_FLOAT4},
	{F_SUM_FLOAT8, SQ_AGG_SUM_F, SQ_TYPE_FLOAT8},
	{F_AVG_INT2, SQ_AGG_AVG_WIDE, SQ_TYPE_DATUM},
	{F_AVG_INT4, SQ_AGG_AVG_WIDE, SQ_TYPE_DATUM},
	{F_AVG_INT8, SQ_AGG_AVG_WIDE, SQ_TYPE_DATUM},
	{F_AVG_NUMERIC, SQ_AGG_AVG_WIDE, SQ_TYPE_DATUM},
	{F_AVG_FLOAT4, SQ_AGG_AVG_F, SQ_TYPE_FLOAT8},
	{F_AVG_FLOAT8, SQ_AGG_AVG_F, SQ_TYPE_FLOAT8},
	{F_VARIANCE_FLOAT8, SQ_AGG_VAR_SAMP_F, SQ_TYPE_FLOAT8},
	{F_VAR_SAMP_FLOAT8, SQ_AGG_VAR_SAMP_F, SQ_TYPE_FLOAT8},
	{F_VAR_POP_FLOAT8, SQ_AGG_VAR_POP_F, SQ_TYPE_FLOAT8},
	{F_STDDEV_FLOAT8, SQ_AGG_STDDEV_SAMP_F, SQ_TYPE_FLOAT8},
	{F_STDDEV_SAMP_FLOAT8, SQ_AGG_STDDEV_SAMP_F, SQ_TYPE_FLOAT8},
	{F_STDDEV_POP_FLOAT8, SQ_AGG_STDDEV_POP_F, SQ_TYPE_FLOAT8},
	{F_BOOL_AND, SQ_AGG_AND, SQ_TYPE_BOOL},
	{F_BOOL_OR, SQ_AGG_OR, SQ_TYPE_BOOL},
	{F_EVERY, SQ_AGG_AND, SQ_TYPE_BOOL},
};

/* min and max of a type: built in, by the type's order. */
static bool
find_extreme(Aggref *aggref, const SqExpr *arg, SqAggregate *aggregate)
{
	bool min = false;
	SqAggregateKind kind;

	switch (aggref->aggfnoid)
	{
		case F_MIN_INT2:
		case F_MIN_INT4:
		case F_MIN_INT8:
		case F_MIN_NUMERIC:
		case F_MIN_FLOAT4:
		case F_MIN_FLOAT8:
		case F_MIN_TEXT:
		case F_MIN_DATE:
		case F_MIN_TIMESTAMP:
		case F_MIN_TIMESTAMPTZ:
			min = true;
			break;
		case F_MAX_INT2:
		case F_MAX_INT4:
		case F_MAX_INT8:
		case F_MAX_NUMERIC:
		case F_MAX_FLOAT4:
		case F_MAX_FLOAT8:
		case F_MAX_TEXT:
		case F_MAX_DATE:
		case F_MAX_TIMESTAMP:
		case F_MAX_TIMESTAMPTZ:
			break;
		default:
			return false;
	}
	if (sq_type_is_text(arg->type))
	{
		if (!OidIsValid(aggref->inputcollid) ||
			!lc_collate_is_c(aggref->inputcollid))
			return false;
		kind = min ? SQ_AGG_MIN_T : SQ_AGG_MAX_T;
	}
	else if (sq_type_is_float(arg->type))
		kind = min ? SQ_AGG_MIN_F : SQ_AGG_MAX_F;
	else
		kind = min ? SQ_AGG_MIN_I : SQ_AGG_MAX_I;
	aggregate->kind = kind;
	return arg->type != SQ_TYPE_DATUM;
}

static bool
find_aggregate(Aggref *aggref, SqAggregate *aggregate, SqColumn *result)
{
	const SqExpr *arg = aggregate->arg;

	for (int i = 0; i < lengthof(aggregates); i++)
	{
		if (aggregates[i].function != aggref->aggfnoid)
			continue;
		aggregate->kind = aggregates[i].kind;
		*result = (SqColumn){.type = aggregates[i].result};
		return arg == NULL || arg->type != SQ_TYPE_DATUM ||
			   aggregate->kind == SQ_AGG_COUNT;
	}
	if (arg == NULL || !find_extreme(aggref, arg, aggregate))
		return false;
	*result = (SqColumn){
		.type = arg->type, .precision = arg->precision, .scale = arg->scale};
	return true;
}

/* An aggregate that the executor has states for. */
static bool
own_aggregate(SqTranslation *t, Aggref *aggref, SqAggregate *aggregate,
			  SqColumn *result)
{
	if (aggref->aggorder != NIL || aggref->aggdistinct != NIL ||
		list_length(aggref->args) > 1)
		return false;
	if (aggref->args != NIL)
	{
		TargetEntry *entry = linitial(aggref->args);

		aggregate->arg = sq_fdw_translate_value(t, (Node *) entry->expr);
		if (aggregate->arg == NULL ||
			(aggregate->arg->type == SQ_TYPE_NUMERIC &&
			 aggregate->arg->kind == SQ_EXPR_PARAM))
			return false;
	}
	return find_aggregate(aggref, aggregate, result);
}

/* Have its state as result, which PostgreSQL merges; false if the executor's
 * is another one. */
static bool
own_state(SqTranslation *t, Aggref *aggref, SqAggregate *aggregate,
		  SqColumn *result)
{
	switch (aggregate->kind)
	{
		case SQ_AGG_AVG_F:
		case SQ_AGG_VAR_POP_F:
		case SQ_AGG_VAR_SAMP_F:
		case SQ_AGG_STDDEV_POP_F:
		case SQ_AGG_STDDEV_SAMP_F:
			return false;
		case SQ_AGG_SUM_WIDE:
		case SQ_AGG_AVG_WIDE:
			aggregate->kind = SQ_AGG_STATE_WIDE;
			aggregate->number = sq_fdw_translate_state(t, aggref);
			*result = sq_fdw_native_type(aggref->aggtype, -1);
			return true;
		default:
			return true;
	}
}

/* One that PostgreSQL's transition functions compute. */
static bool
host_aggregate(SqTranslation *t, Aggref *aggref, SqAggregate *aggregate,
			   SqColumn *result)
{
	aggregate->kind = SQ_AGG_HOST;
	aggregate->arg = NULL;
	aggregate->number = sq_fdw_translate_host_aggregate(t, aggref);
	*result = sq_fdw_native_type(aggref->aggtype, -1);
	return aggregate->number >= 0;
}

static bool
translate_aggregate(SqTranslation *t, Aggref *aggref, SqAggregate *aggregate)
{
	bool partial = aggref->aggsplit == AGGSPLIT_INITIAL_SERIAL;
	SqColumn result;
	int nhosts;

	*aggregate = (SqAggregate){.kind = SQ_AGG_COUNT};
	if ((aggref->aggsplit != AGGSPLIT_SIMPLE && !partial) ||
		aggref->agglevelsup != 0 || aggref->aggvariadic ||
		aggref->aggkind != AGGKIND_NORMAL)
		return false;
	if (aggref->aggfilter != NULL)
	{
		aggregate->filter =
			sq_fdw_translate_condition(t, (Node *) aggref->aggfilter);
		if (aggregate->filter == NULL)
			return false;
	}
	nhosts = list_length(t->hosts);
	if (!own_aggregate(t, aggref, aggregate, &result) ||
		(partial && !own_state(t, aggref, aggregate, &result)))
	{
		/* those of its argument are not needed */
		t->hosts = list_truncate(t->hosts, nhosts);
		if (!host_aggregate(t, aggref, aggregate, &result))
			return false;
	}
	aggregate->slot = sq_fdw_translation_slot(t, result);
	return true;
}

bool
sq_fdw_translate_aggregate(SqTranslation *t, Aggref *aggref,
						   SqAggregate *aggregate)
{
	t->reason = NULL;
	if (translate_aggregate(t, aggref, aggregate))
		return true;
	if (t->reason == NULL)
		t->reason = psprintf("aggregate %s has no native form",
							 format_procedure(aggref->aggfnoid));
	return false;
}
