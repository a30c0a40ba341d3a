/*
 * fdw_check.c
 *		The event trigger that refuses unsound tables at CREATE and ALTER.
 *
 * A validator sees neither types nor the other columns, so a foreign table is
 * looked at as a whole when the command that made or changed it has ended.
 * Every ALTER TABLE of the database comes by here: what isn't ours, and has no
 * children that might be, costs one small query and a look into the catalog
 * caches. Children are looked at because ALTER TABLE reaches them through
 * their parent without naming them.
 *
 * A dump recreates a table piece by piece, its column options last, so that
 * tables look unsound on the way. Like the validators of languages, which have
 * the same trouble, the trigger keeps quiet when check_function_bodies is off,
 * as dumps set it; every scan checks again.
 *
 * Memory: SPI's, and the caller's for the list of relations. Locks: the
 * command's own on the relations; AccessShareLock on children.
 */
#include "fdw/fdw.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "feed/feed.h"
#include "keyed/keyed.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(streamsql_check_foreign_table);

/* The relations that the command touched, in the current context. */
static List *
touched_relations(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *relations = NIL;

	SPI_connect();
	if (SPI_execute("SELECT classid, objid"
					" FROM pg_catalog.pg_event_trigger_ddl_commands()",
					false, 0) != SPI_OK_SELECT)
		/* a SELECT that succeeds answers nothing else */
		elog(ERROR, "could not read the commands of an event trigger");
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple tuple = SPI_tuptable->vals[row];
		TupleDesc descriptor = SPI_tuptable->tupdesc;
		MemoryContext old;
		bool no_class;
		bool no_object;
		Datum classid = SPI_getbinval(tuple, descriptor, 1, &no_class);
		Datum objid = SPI_getbinval(tuple, descriptor, 2, &no_object);

		if (no_class || no_object ||
			DatumGetObjectId(classid) != RelationRelationId)
			continue;
		old = MemoryContextSwitchTo(caller);
		relations = list_append_unique_oid(relations, DatumGetObjectId(objid));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return relations;
}

static void
check_table(Oid relid)
{
	Relation relation;

	if (!sq_feed_relation_is_ours(relid))
		return;
	relation = relation_open(relid, AccessShareLock);
	if (sq_feed_relation_load(relation)->kind == SQ_KIND_TABLE)
		sq_keyed_shape_create(relation);
	relation_close(relation, NoLock);
}

/* Check a relation and, if it may have some, its children. */
static void
check_family(Oid relid)
{
	char kind = get_rel_relkind(relid);
	ListCell *cell;

	if (kind != RELKIND_FOREIGN_TABLE && kind != RELKIND_RELATION &&
		kind != RELKIND_PARTITIONED_TABLE)
		return;
	if (!has_subclass(relid))
	{
		check_table(relid);
		return;
	}
	foreach (cell, find_all_inheritors(relid, AccessShareLock, NULL))
		check_table(lfirst_oid(cell));
}

Datum
streamsql_check_foreign_table(PG_FUNCTION_ARGS)
{
	ListCell *cell;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by an event trigger",
						"check_foreign_table")));
	if (check_function_bodies)
		foreach (cell, touched_relations())
			check_family(lfirst_oid(cell));
	PG_RETURN_NULL();
}
