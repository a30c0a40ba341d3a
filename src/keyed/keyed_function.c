/*
 * keyed_function.c
 *		SQL functions of tables: table_states and wait_for.
 *
 * Memory: the caller's. Locks: the registry's, shared; AccessShareLock on a
 * table that is waited for.
 */
#include "keyed/keyed_internal.h"

#include "access/relation.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(streamsql_table_states);
PG_FUNCTION_INFO_V1(streamsql_wait_for);

#define STATE_COLUMNS 12
#define MSECS_PER_DAY INT64CONST(86400000)

/* ---- table_states() ---- */

/* Is it still a table, and may the caller know? Errors may quote records. */
static bool
may_see(Oid relid)
{
	return OidIsValid(relid) &&
		   get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE &&
		   sq_feed_relation_kind(relid) == SQ_KIND_TABLE &&
		   (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
			has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS));
}

/* The relation of an entry of this database that is not dropped, or
 * InvalidOid; and what its table has. */
static Oid
look_at(int number, SqTableStats *stats)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[number];
	Oid relid = InvalidOid;

	LWLockAcquire(sq_keyed_registry->lock, LW_SHARED);
	if (entry->database == MyDatabaseId && !entry->dropped)
	{
		relid = entry->relid;
		*stats = sq_table_stats(sq_keyed_registry->arena, number);
	}
	LWLockRelease(sq_keyed_registry->lock);
	return relid;
}

static double
caught_up(const SqKeyedProgress *progress)
{
	if (progress->total > 0)
		return (double) progress->done / progress->total;
	return progress->state == SQ_KEYED_READY ? 1 : 0;
}

Datum
streamsql_table_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int n = 0; sq_keyed_registry != NULL && n < SQ_KEYED_TABLES; n++)
	{
		SqTableStats stats;
		Oid relid = look_at(n, &stats);
		SqKeyedProgress progress;
		Datum values[STATE_COLUMNS];
		bool nulls[STATE_COLUMNS] = {false};

		if (!may_see(relid))
			continue;
		progress = sq_keyed_progress(n);
		values[0] = ObjectIdGetDatum(relid);
		values[1] = CStringGetTextDatum(sq_keyed_state_name(progress.state));
		values[2] = Int64GetDatum(stats.rows);
		values[3] = Int64GetDatum((int64) stats.bytes);
		values[4] = Float8GetDatum(caught_up(&progress));
		values[5] = Int64GetDatum(progress.lag);
		values[6] = Int64GetDatum(progress.applied);
		values[7] = Int64GetDatum(progress.deleted);
		values[8] = Int64GetDatum(progress.skipped_null_key);
		values[9] = Int64GetDatum(progress.decode_errors);
		values[10] = CStringGetTextDatum(progress.last_error);
		nulls[10] = progress.last_error[0] == '\0';
		values[11] = TimestampTzGetDatum(progress.last_applied);
		nulls[11] = progress.last_applied == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- wait_for(table, timeout) ---- */

static int64
timeout_ms(const Interval *interval)
{
	double ms = interval->month * (30.0 * MSECS_PER_DAY) +
				interval->day * (double) MSECS_PER_DAY +
				interval->time / 1000.0;

	return ms <= 0 ? 0 : ms >= INT_MAX ? INT_MAX : (int64) ms;
}

Datum
streamsql_wait_for(PG_FUNCTION_ARGS)
{
	Oid relid;
	AclResult access;
	Relation relation;
	const SqKeyedShape *shape;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	relid = PG_GETARG_OID(0);
	access = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);
	if (access != ACLCHECK_OK)
		aclcheck_error(access, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
	relation = relation_open(relid, AccessShareLock);
	if (!sq_feed_relation_is_ours(relid) ||
		sq_feed_relation_load(relation)->kind != SQ_KIND_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a foreign table of streamsql of "
							   "kind \"table\"",
							   RelationGetRelationName(relation))));
	shape = sq_keyed_shape_acquire(relation, CurrentMemoryContext);
	relation_close(relation, NoLock);
	sq_keyed_wait(shape, GetUserId(),
				  PG_ARGISNULL(1) ? sq_table_wait
								  : timeout_ms(PG_GETARG_INTERVAL_P(1)));
	PG_RETURN_VOID();
}
