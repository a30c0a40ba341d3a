/*
 * fdw_modify.c
 *		INSERT, UPDATE and DELETE as records of a topic.
 *
 * A row inserted is a record. A row of a table that is updated is one, too,
 * with a tombstone for its old key before it if the key has changed; a row
 * deleted is a tombstone. The old row comes as a whole-row attribute of the
 * subplan, as PostgreSQL's core fetches it for triggers.
 *
 * What a topic can't check, we do: NOT NULL, CHECK and, where no routing has
 * seen to it, the bounds of a partition.
 *
 * Memory: state in the query context. Locks: none. Errors leave records to
 * room sink, which ends them with the transaction.
 */
#include "fdw/fdw_modify.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "base/base_version.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "feed/feed.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "parser/parsetree.h"
#include "sink/sink.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

/* ResultRelInfo.ri_FdwState */
typedef struct SqModify
{
	const SqRelation *rel;
	TupleDesc descriptor;
	SqEncoder *encoder;
	SqSink *sink;
	int users;         /* a statement's own and that of tuple routing */
	Datum *values;     /* of the row to be written */
	bool *nulls;       /* … */
	Datum *old_values; /* of the row before an update or delete */
	bool *old_nulls;   /* … */
	Bitmapset *own;    /* columns of the old record alone, numbers - 1 */
	StringInfoData old_key;
} SqModify;

/* ---- Planning ---- */

int
sq_fdw_is_updatable(Relation relation)
{
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	SqTableOptions options = sq_feed_option_table(table->options);

	if (options.kind != SQ_KIND_TABLE)
		return 1 << CMD_INSERT;
	if (options.key_source == SQ_KEY_SOURCE_VALUE)
		return (1 << CMD_INSERT) | (1 << CMD_UPDATE);
	return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE);
}

/* The old row; for updates the core asks for it by itself. */
void
sq_fdw_add_update_targets(PlannerInfo *root, Index rtindex,
						  RangeTblEntry *target_rte, Relation target_relation)
{
	Var *row;

	if (root->parse->commandType == CMD_UPDATE)
		return;
	row = makeVar(rtindex, InvalidAttrNumber, RECORDOID, -1, InvalidOid, 0);
	add_row_identity_var(root, row, rtindex, "wholerow");
}

List *
sq_fdw_plan_modify(PlannerInfo *root, ModifyTable *plan, Index result_relation,
				   int subplan_index)
{
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT is not supported for Kafka topics"),
				 errdetail("A topic takes every record. In a table a record "
						   "takes the place of an earlier one with its key.")));
	return NIL;
}

/* ---- Begin and end ---- */

/* Columns that say where a record lies and how it came about: an update keeps
 * them only in so far as they make sense for another record. */
static Bitmapset *
columns_of_record(const SqRelation *rel)
{
	Bitmapset *result = NULL;

	for (int a = 0; a < rel->nattributes; a++)
		switch (rel->attributes[a].source)
		{
			case SQ_SOURCE_OFFSET:
			case SQ_SOURCE_TIMESTAMP:
			case SQ_SOURCE_TIMESTAMP_TYPE:
			case SQ_SOURCE_RAW_KEY:
			case SQ_SOURCE_RAW_VALUE:
			case SQ_SOURCE_TOPIC:
			case SQ_SOURCE_ERROR:
				result = bms_add_member(result, a);
				break;
			default:
				break;
		}
	return result;
}

/* The state of a relation to write to, in the query context. */
static SqModify *
make_modify(Relation relation)
{
	SqModify *modify = palloc0(sizeof(SqModify));
	int natts = RelationGetDescr(relation)->natts;

	modify->rel = sq_feed_relation_load(relation);
	modify->descriptor = RelationGetDescr(relation);
	modify->encoder = sq_sink_encoder_create(modify->rel, modify->descriptor);
	modify->values = palloc(natts * sizeof(Datum));
	modify->nulls = palloc(natts * sizeof(bool));
	modify->old_values = palloc(natts * sizeof(Datum));
	modify->old_nulls = palloc(natts * sizeof(bool));
	modify->own = columns_of_record(modify->rel);
	initStringInfo(&modify->old_key);
	return modify;
}

/* Join the state of a result relation, made if there is none. A partition may
 * be written to by the statement itself and by tuple routing. */
static void
join(ResultRelInfo *result, EState *estate)
{
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	SqModify *modify = result->ri_FdwState;

	if (modify == NULL)
	{
		Oid user = SQ_RESULT_USER(result, estate);

		modify = make_modify(result->ri_RelationDesc);
		modify->sink =
			sq_sink_open(modify->rel, OidIsValid(user) ? user : GetUserId());
		result->ri_FdwState = modify;
	}
	modify->users++;
	MemoryContextSwitchTo(old);
}

void
sq_fdw_begin_modify(ModifyTableState *node, ResultRelInfo *result,
					List *private, int subplan_index, int eflags)
{
	join(result, node->ps.state);
}

void
sq_fdw_begin_insert(ModifyTableState *node, ResultRelInfo *result)
{
	join(result, node->ps.state);
}

void
sq_fdw_end_modify(EState *estate, ResultRelInfo *result)
{
	SqModify *modify = result->ri_FdwState;

	if (modify == NULL || --modify->users > 0)
		return;
	sq_sink_finish(modify->sink);
	result->ri_FdwState = NULL;
}

/* ---- Rows ---- */

/* What the relation demands of a row. Rows that tuple routing has brought are
 * known to be within its bounds. */
static void
check_row(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
		  bool is_routed)
{
	Relation relation = result->ri_RelationDesc;

	if (relation->rd_att->constr != NULL)
		ExecConstraints(result, slot, estate);
	if (relation->rd_rel->relispartition && !is_routed)
		ExecPartitionCheck(result, slot, estate, true);
}

TupleTableSlot *
sq_fdw_insert(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
			  TupleTableSlot *plan_slot)
{
	SqModify *modify = result->ri_FdwState;

	check_row(estate, result, slot, result->ri_RootResultRelInfo != NULL);
	slot_getallattrs(slot);
	sq_sink_put(modify->sink,
				sq_sink_encode_row(modify->encoder, slot->tts_values,
								   slot->tts_isnull));
	return slot;
}

/* The row before an update or delete, into old_values; the tuple itself. */
static HeapTupleData
fetch_old_row(SqModify *modify, ResultRelInfo *result,
			  TupleTableSlot *plan_slot)
{
	HeapTupleData tuple = {0};
	bool isnull;
	Datum row = ExecGetJunkAttribute(plan_slot, result->ri_RowIdAttNo, &isnull);

	/* a row that was found is none of an outer join */
	if (isnull)
		elog(ERROR, "wholerow is NULL");
	tuple.t_data = DatumGetHeapTupleHeader(row);
	tuple.t_len = HeapTupleHeaderGetDatumLength(tuple.t_data);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = RelationGetRelid(result->ri_RelationDesc);
	heap_deform_tuple(&tuple, modify->descriptor, modify->old_values,
					  modify->old_nulls);
	return tuple;
}

/* The partition that the old row came from, if a column tells; else -1. */
static int32
old_partition(const SqModify *modify)
{
	for (int a = 0; a < modify->rel->nattributes; a++)
		if (modify->rel->attributes[a].source == SQ_SOURCE_PARTITION &&
			!modify->old_nulls[a])
			return DatumGetInt32(modify->old_values[a]);
	return -1;
}

/* The tombstone of the old row, to where the row was. */
static SqKafkaDraft
make_tombstone(SqModify *modify)
{
	SqKafkaDraft draft = *sq_sink_encode_tombstone(
		modify->encoder, modify->old_values, modify->old_nulls);

	draft.partition = old_partition(modify);
	return draft;
}

/* Is an attribute (number - 1) set by the statement? */
static bool
is_assigned(Bitmapset *assigned, int attribute)
{
	return bms_is_member(attribute + 1 - FirstLowInvalidHeapAttributeNumber,
						 assigned);
}

/* The new row, without what was only true of the old record. A key that is
 * still the same is written as it was, since Kafka looks at its bytes. */
static void
fetch_new_row(SqModify *modify, TupleTableSlot *slot, Bitmapset *assigned,
			  bool moved)
{
	const SqRelation *rel = modify->rel;

	slot_getallattrs(slot);
	for (int a = 0; a < rel->nattributes; a++)
	{
		bool dropped =
			!is_assigned(assigned, a) &&
			(bms_is_member(a, modify->own) ||
			 (moved && rel->attributes[a].source == SQ_SOURCE_PARTITION));

		modify->values[a] = slot->tts_values[a];
		modify->nulls[a] = dropped || slot->tts_isnull[a];
		if (rel->attributes[a].key && !moved)
			modify->values[a] = modify->old_values[a];
	}
}

/* Remember the key of the old row. */
static void
note_old_key(SqModify *modify)
{
	SqSlice key = make_tombstone(modify).key;

	resetStringInfo(&modify->old_key);
	appendBinaryStringInfo(&modify->old_key, key.data, key.length);
}

static bool
is_old_key(const SqModify *modify, SqSlice key)
{
	return key.length == (size_t) modify->old_key.len &&
		   memcmp(key.data, modify->old_key.data, key.length) == 0;
}

/* Are the key columns of the old row equal to these? */
static bool
equal_keys(const SqModify *modify, const Datum *values, const bool *nulls)
{
	for (int a = 0; a < modify->rel->nattributes; a++)
	{
		const SqAttribute *attribute = &modify->rel->attributes[a];
		TypeCacheEntry *type;

		if (!attribute->key)
			continue;
		if (nulls[a] || modify->old_nulls[a])
			return false;
		type = lookup_type_cache(attribute->type, TYPECACHE_EQ_OPR_FINFO);
		if (!DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo,
											attribute->collation,
											modify->old_values[a], values[a])))
			return false;
	}
	return true;
}

/* Does the new row have another key than the old one? Equal ones that print
 * differently (1.5 and 1.50) are the same key. */
static bool
is_moved(SqModify *modify, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	note_old_key(modify);
	return !is_old_key(modify, sq_sink_encode_tombstone(modify->encoder,
														slot->tts_values,
														slot->tts_isnull)
								   ->key) &&
		   !equal_keys(modify, slot->tts_values, slot->tts_isnull);
}

/* A row whose key is in its value can't be deleted, so it can't move. */
static void
refuse_move(ResultRelInfo *result)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change the key of a row of foreign table \"%s\"",
					RelationGetRelationName(result->ri_RelationDesc)),
			 errdetail("Its key is in the value, which a tombstone for the old "
					   "key would not have.")));
}

TupleTableSlot *
sq_fdw_update(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
			  TupleTableSlot *plan_slot)
{
	SqModify *modify = result->ri_FdwState;
	bool moved;

	check_row(estate, result, slot, false);
	fetch_old_row(modify, result, plan_slot);
	moved = is_moved(modify, slot);
	if (moved && modify->rel->key_source == SQ_KEY_SOURCE_VALUE)
		refuse_move(result);
	fetch_new_row(modify, slot, ExecGetUpdatedCols(result, estate), moved);
	if (moved)
	{
		SqKafkaDraft tombstone = make_tombstone(modify);

		sq_sink_put(modify->sink, &tombstone);
	}
	sq_sink_put(
		modify->sink,
		sq_sink_encode_row(modify->encoder, modify->values, modify->nulls));
	return slot;
}

TupleTableSlot *
sq_fdw_delete(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
			  TupleTableSlot *plan_slot)
{
	SqModify *modify = result->ri_FdwState;
	HeapTupleData row = fetch_old_row(modify, result, plan_slot);
	SqKafkaDraft tombstone = make_tombstone(modify);

	sq_sink_put(modify->sink, &tombstone);
	if (result->ri_projectReturning != NULL)
		ExecForceStoreHeapTuple(heap_copytuple(&row), slot, true);
	return slot;
}

/* ---- EXPLAIN ---- */

void
sq_fdw_explain_modify(ModifyTableState *node, ResultRelInfo *result,
					  List *private, int subplan_index, ExplainState *es)
{
	SqModify *modify = result->ri_FdwState;
	const SqSinkStats *stats;

	ExplainPropertyText("Topic", modify->rel->topic, es);
	ExplainPropertyText(
		"Delivery", sq_feed_option_delivery_word(modify->rel->delivery), es);
	if (!es->analyze)
		return;
	/* the time it takes is this statement's, though it may end later */
	sq_sink_flush(modify->sink);
	stats = sq_sink_stats(modify->sink);
	ExplainPropertyInteger("Records", NULL, stats->records, es);
	ExplainPropertyInteger("Bytes", NULL, stats->bytes, es);
	if (es->timing)
		ExplainPropertyFloat("Acknowledgement Time", "ms",
							 stats->waited / 1000.0, 3, es);
}
