/*
 * feed_populate.c
 *		json_populate_record for one value of any type.
 *
 * How JSON becomes an array, a composite, a domain or json is defined by
 * PostgreSQL's json_populate_record, so that very function does it: it is
 * given a record of one column of the type, and an object of one member.
 *
 * Memory: the function's own caches live in the context given at creation.
 * Locks: none.
 */
#include "feed/feed_populate.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

struct SqPopulate
{
	TupleDesc tupdesc;
	Datum base; /* a record of one NULL */
	FmgrInfo function;
};

SqPopulate *
sq_feed_populate_create(Oid type, int32 typmod, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	SqPopulate *populate = palloc0(sizeof(SqPopulate));
	Datum value = (Datum) 0;
	bool isnull = true;
	Node *arg;

	populate->tupdesc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(populate->tupdesc, 1, "v", type, typmod, 0);
	populate->tupdesc = BlessTupleDesc(populate->tupdesc);
	populate->base =
		HeapTupleGetDatum(heap_form_tuple(populate->tupdesc, &value, &isnull));
	fmgr_info_cxt(F_JSON_POPULATE_RECORD, &populate->function, context);
	arg = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSON_POPULATE_RECORD, RECORDOID,
											 list_make1(arg), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &populate->function);
	MemoryContextSwitchTo(old);
	return populate;
}

Datum
sq_feed_populate(SqPopulate *populate, const char *json, bool *isnull)
{
	char *object = psprintf("{\"v\":%s}", json);
	Datum record =
		FunctionCall3(&populate->function, populate->base,
					  CStringGetTextDatum(object), BoolGetDatum(false));
	HeapTupleData tuple;
	HeapTupleHeader header = DatumGetHeapTupleHeader(record);

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	return heap_getattr(&tuple, 1, populate->tupdesc, isnull);
}
