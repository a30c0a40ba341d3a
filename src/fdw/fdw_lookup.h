/*
 * fdw_lookup.h
 *		Conditions that find rows of a table by key or indexed column.
 */
#ifndef SQ_FDW_LOOKUP_H
#define SQ_FDW_LOOKUP_H

#include "postgres.h"

#include "keyed/keyed.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

/* What a column of an index is compared with: one value, or any of an array. */
typedef struct SqLookupValue
{
	Expr *expr;
	bool array;
	RestrictInfo *rinfo; /* that it comes from */
} SqLookupValue;

/* A lookup by all columns of an index. */
typedef struct SqLookup
{
	int index; /* of the layout */
	int nvalues;
	SqLookupValue values[SQ_TABLE_KEY_COLUMNS]; /* at most one is an array */
} SqLookup;

/* Can this clause be (part of) a lookup of the relation? */
extern bool sq_fdw_lookup_usable(const SqKeyedShape *shape, Index relid,
								 Expr *clause);

/* The lookup by an index that these clauses (RestrictInfo) allow; false if a
 * column of it has none. */
extern bool sq_fdw_lookup_match(const SqKeyedShape *shape, Index relid,
								int index, List *rinfos, SqLookup *lookup);

/* ---- Execution ---- */

/* Values of a lookup as cells to look for. */
typedef struct SqProbe SqProbe;

/* exprs are those of the lookup's values, array the one that is an array or
 * -1. Palloc'd in the current context. */
extern SqProbe *sq_fdw_probe_compile(const SqKeyedShape *shape, int index,
									 List *exprs, int array, PlanState *parent);

/* The keys that the parameters as they are ask for: distinct, each of as many
 * cells as the index has columns. In the current context, or pointing into the
 * parameters' values. Their number. */
extern int sq_fdw_probe_keys(SqProbe *probe, ExprContext *econtext,
							 SqTableCell **keys);

#endif
