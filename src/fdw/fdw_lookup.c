/*
 * fdw_lookup.c
 *		Which conditions are lookups, and what they look for.
 *
 * A lookup is an equality of every column of an index with something that
 * doesn't depend on the relation: constants, parameters, columns of an outer
 * relation, or any of an array. The operator must be the equality of the
 * column's own type, or of one that is compared with it exactly and stored the
 * same way (integers of other widths, floats of the other). The condition is
 * still checked on the rows, so a lookup may only err by giving too many.
 *
 * Memory: the planner's, and the context given. Locks: none.
 */
#include "fdw/fdw_lookup.h"

#include "access/stratnum.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* ---- Matching ---- */

/* How a value of a type may stand for a column's. */
typedef enum SqFamily
{
	SQ_FAMILY_OWN, /* only the type itself */
	SQ_FAMILY_INTEGER,
	SQ_FAMILY_FLOAT,
	SQ_FAMILY_TEXT
} SqFamily;

static SqFamily
family_of(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return SQ_FAMILY_INTEGER;
		case FLOAT4OID:
		case FLOAT8OID:
			return SQ_FAMILY_FLOAT;
		case TEXTOID:
		case VARCHAROID:
			return SQ_FAMILY_TEXT;
		default:
			return SQ_FAMILY_OWN;
	}
}

/* The type itself, one of its family, or the type that its operators are made
 * for (inet for cidr). One declared operator serves all enums, like arrays and
 * the like, so it can't be asked. */
static bool
is_comparable(Oid column, Oid value, Oid opclass)
{
	SqFamily family = family_of(column);

	return column == value || value == get_opclass_input_type(opclass) ||
		   (family != SQ_FAMILY_OWN && family == family_of(value));
}

/* Is this the equality that the column's B-tree operator class goes by, of
 * values that are found by their bytes? */
static bool
is_equality(Oid operator, Oid column, Oid value)
{
	Oid type = getBaseType(column);
	Oid opclass = GetDefaultOpClass(type, BTREE_AM_OID);

	return OidIsValid(opclass) &&
		   is_comparable(type, getBaseType(value), opclass) &&
		   get_op_opfamily_strategy(operator, get_opclass_family(opclass)) ==
			   BTEqualStrategyNumber;
}

/* A clause taken apart: an attribute of the relation and what it equals. */
typedef struct SqEquality
{
	int attr;
	Expr *value;
	bool array;
} SqEquality;

/* The attribute number - 1 that an expression is, or -1. */
static int
attribute_of(Node *expr, Index relid)
{
	Var *var = (Var *) strip_implicit_coercions(expr);

	if (IsA(var, Var) && var->varno == relid && var->varlevelsup == 0 &&
		var->varattno > 0)
		return var->varattno - 1;
	return -1;
}

static bool
is_value(Node *expr, Index relid)
{
	return !bms_is_member(relid, pull_varnos(NULL, expr)) &&
		   !contain_volatile_functions(expr);
}

/* Find the sides of a comparison. */
static bool
take_sides(List *args, Index relid, bool commutable, SqEquality *equality)
{
	if (list_length(args) != 2)
		return false;
	for (int side = 0; side < (commutable ? 2 : 1); side++)
	{
		equality->attr = attribute_of(list_nth(args, side), relid);
		equality->value = list_nth(args, 1 - side);
		if (equality->attr >= 0 && is_value((Node *) equality->value, relid))
			return true;
	}
	return false;
}

/* The type of one value that the column is compared with, without what was
 * put around it to fit the operator. */
static Oid
value_type(const SqEquality *equality)
{
	Oid type = exprType((Node *) equality->value);

	return equality->array ? get_element_type(type) : type;
}

static bool
take_apart(const SqKeyedShape *shape, Index relid, Expr *clause,
		   SqEquality *equality)
{
	Oid operator;
	Oid collation;
	Oid type;

	if (IsA(clause, OpExpr))
	{
		OpExpr *op = (OpExpr *) clause;

		equality->array = false;
		operator= op->opno;
		collation = op->inputcollid;
		if (!take_sides(op->args, relid, true, equality))
			return false;
	}
	else if (IsA(clause, ScalarArrayOpExpr))
	{
		ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) clause;

		equality->array = true;
		operator= op->opno;
		collation = op->inputcollid;
		if (!op->useOr || !take_sides(op->args, relid, false, equality))
			return false;
	}
	else
		return false;
	if (equality->attr >= shape->rel->nattributes)
		return false;
	type = shape->rel->attributes[equality->attr].type;
	return OidIsValid(value_type(equality)) &&
		   is_equality(operator, type, value_type(equality)) &&
		   (!OidIsValid(collation) || get_collation_isdeterministic(collation));
}

bool
sq_fdw_lookup_usable(const SqKeyedShape *shape, Index relid, Expr *clause)
{
	SqEquality equality;

	if (!take_apart(shape, relid, clause, &equality))
		return false;
	for (int i = 0; i < shape->layout->nindexes; i++)
		for (int p = 0; p < shape->layout->indexes[i].ncolumns; p++)
			if (shape->parts[i][p].attr == equality.attr)
				return true;
	return false;
}

/* A value for one part: a single one if there is one. */
static bool
match_part(const SqKeyedShape *shape, Index relid, const SqKeyedPart *part,
		   List *rinfos, SqLookupValue *value)
{
	ListCell *cell;

	value->expr = NULL;
	foreach (cell, rinfos)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		SqEquality equality;

		if (!take_apart(shape, relid, rinfo->clause, &equality) ||
			equality.attr != part->attr)
			continue;
		if (value->expr == NULL || (value->array && !equality.array))
			*value = (SqLookupValue){equality.value, equality.array, rinfo};
	}
	return value->expr != NULL;
}

bool
sq_fdw_lookup_match(const SqKeyedShape *shape, Index relid, int index,
					List *rinfos, SqLookup *lookup)
{
	int arrays = 0;

	lookup->index = index;
	lookup->nvalues = shape->layout->indexes[index].ncolumns;
	for (int p = 0; p < lookup->nvalues; p++)
	{
		if (!match_part(shape, relid, &shape->parts[index][p], rinfos,
						&lookup->values[p]))
			return false;
		arrays += lookup->values[p].array;
	}
	return arrays <= 1;
}

/* ---- Probing ---- */

typedef struct SqProbePart
{
	const SqKeyedPart *part;
	ExprState *expr;
	Oid type; /* of one value */
	bool array;
} SqProbePart;

struct SqProbe
{
	const SqKeyedShape *shape;
	int nparts;
	int array; /* the part that is an array, or -1 */
	int16 typlen;
	bool typbyval;
	char typalign;
	SqProbePart parts[SQ_TABLE_KEY_COLUMNS];
};

SqProbe *
sq_fdw_probe_compile(const SqKeyedShape *shape, int index, List *exprs,
					 int array, PlanState *parent)
{
	SqProbe *probe = palloc0(sizeof(SqProbe));
	ListCell *cell;

	probe->shape = shape;
	probe->array = array;
	foreach (cell, exprs)
	{
		SqProbePart *part = &probe->parts[probe->nparts];

		part->part = &shape->parts[index][probe->nparts];
		part->expr = ExecInitExpr(lfirst(cell), parent);
		part->type = exprType(lfirst(cell));
		part->array = probe->nparts == array;
		if (part->array)
		{
			part->type = get_element_type(part->type);
			get_typlenbyvalalign(part->type, &probe->typlen, &probe->typbyval,
								 &probe->typalign);
		}
		part->type = getBaseType(part->type);
		probe->nparts++;
	}
	return probe;
}

/* A value of a comparable type as one of the column's image. */
static bool
make_cell(const SqProbe *probe, const SqProbePart *part, Datum value,
		  SqTableCell *cell)
{
	cell->null = false;
	switch (part->type)
	{
		case INT2OID:
			cell->word = DatumGetInt16(value);
			return true;
		case INT4OID:
			cell->word = DatumGetInt32(value);
			return true;
		case INT8OID:
			cell->word = DatumGetInt64(value);
			return true;
		case FLOAT4OID:
			sq_keyed_shape_probe_float((float8) DatumGetFloat4(value), cell);
			return true;
		case FLOAT8OID:
			sq_keyed_shape_probe_float(DatumGetFloat8(value), cell);
			return true;
		default:
			return sq_keyed_shape_probe(probe->shape, part->part, value, cell);
	}
}

static int
compare_cells(const SqTableCell *a, const SqTableCell *b)
{
	int order;

	if (a->bytes.length != b->bytes.length)
		return a->bytes.length < b->bytes.length ? -1 : 1;
	order = a->bytes.length == 0
				? 0
				: memcmp(a->bytes.data, b->bytes.data, a->bytes.length);
	if (order != 0)
		return order;
	return (a->word > b->word) - (a->word < b->word);
}

static int
compare_pointers(const void *a, const void *b)
{
	return compare_cells(a, b);
}

/* The distinct values of the array, as cells; how many. */
static int
array_cells(SqProbe *probe, const SqProbePart *part, Datum array,
			SqTableCell **cells)
{
	ArrayType *held = DatumGetArrayTypeP(array);
	Datum *values;
	bool *nulls;
	int count;
	int found = 0;
	int distinct = 0;

	/* what the array says it has may be a domain, or varchar for text */
	deconstruct_array(held, ARR_ELEMTYPE(held), probe->typlen, probe->typbyval,
					  probe->typalign, &values, &nulls, &count);
	*cells = palloc0(Max(count, 1) * sizeof(SqTableCell));
	for (int i = 0; i < count; i++)
		if (!nulls[i] && make_cell(probe, part, values[i], &(*cells)[found]))
			found++;
	qsort(*cells, found, sizeof(SqTableCell), compare_pointers);
	for (int i = 0; i < found; i++)
		if (distinct == 0 ||
			compare_cells(&(*cells)[distinct - 1], &(*cells)[i]) != 0)
			(*cells)[distinct++] = (*cells)[i];
	return distinct;
}

int
sq_fdw_probe_keys(SqProbe *probe, ExprContext *econtext, SqTableCell **keys)
{
	SqTableCell single[SQ_TABLE_KEY_COLUMNS] = {0};
	SqTableCell *many = NULL;
	int count = 1;

	for (int p = 0; p < probe->nparts; p++)
	{
		const SqProbePart *part = &probe->parts[p];
		bool isnull;
		Datum value = ExecEvalExpr(part->expr, econtext, &isnull);

		if (isnull)
			return 0;
		if (part->array)
			count = array_cells(probe, part, value, &many);
		else if (!make_cell(probe, part, value, &single[p]))
			return 0;
	}
	*keys = palloc(Max(count, 1) * probe->nparts * sizeof(SqTableCell));
	for (int k = 0; k < count; k++)
	{
		SqTableCell *key = &(*keys)[k * probe->nparts];

		memcpy(key, single, probe->nparts * sizeof(SqTableCell));
		if (probe->array >= 0)
			key[probe->array] = many[k];
	}
	return count;
}
