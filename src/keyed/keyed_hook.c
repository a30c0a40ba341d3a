/*
 * keyed_hook.c
 *		What the SQL commands of a session mean for those who keep tables.
 *
 * Workers read the catalogs themselves; all they need is to be told when to
 * look. So: the object access hook notes that a relation, server or mapping
 * was touched, and the commit of that transaction nudges launcher and workers.
 * Without a nudge (on a standby) they look now and then.
 *
 * A database that is dropped, copied or renamed must be empty of sessions, and
 * workers are sessions: the utility hook asks them to leave first and keeps
 * them out until the transaction has ended.
 *
 * Memory: the list of touched relations in TopTransactionContext. Locks: the
 * registry's.
 */
#include "keyed/keyed_internal.h"

#include "access/xact.h"
#include "base/base_version.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Longest time that workers have to leave a database. */
#define LEAVE_TIMEOUT_MS 30000

static object_access_hook_type next_object_access = NULL;
static ProcessUtility_hook_type next_utility = NULL;

/* Of this transaction. */
static List *touched = NIL;
static bool worth_a_nudge = false;
static Oid blocked = InvalidOid; /* the database that it keeps workers out of */
static bool databases_changed = false;

/* ---- Touched relations ---- */

static void
note_object(ObjectAccessType access, Oid class, Oid object)
{
	MemoryContext old;

	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER &&
		access != OAT_DROP)
		return;
	if (class == ForeignServerRelationId || class == UserMappingRelationId)
		worth_a_nudge = true;
	if (class != RelationRelationId)
		return;
	/* one that is just created can't be looked up yet, one that is dropped
	 * not any more when the transaction ends; of a column it is either way */
	if (access == OAT_DROP && get_rel_relkind(object) == RELKIND_FOREIGN_TABLE)
		worth_a_nudge = true;
	if (list_member_oid(touched, object))
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	touched = lappend_oid(touched, object);
	MemoryContextSwitchTo(old);
}

static void
object_access(ObjectAccessType access, Oid class, Oid object, int sub,
			  void *arg)
{
	if (next_object_access != NULL)
		next_object_access(access, class, object, sub, arg);
	if (IsTransactionState() && !IsBootstrapProcessingMode())
		note_object(access, class, object);
}

bool
sq_keyed_hook_touched(Oid relid)
{
	return list_member_oid(touched, relid);
}

/* Was one of the relations that were touched a foreign table? */
static bool
touched_foreign_table(void)
{
	ListCell *cell;

	foreach (cell, touched)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			return true;
	return false;
}

/* ---- Databases ---- */

/* The database that a command wants to itself, or InvalidOid. */
static Oid
wanted_database(Node *statement)
{
	const char *name = NULL;
	ListCell *cell;
	Oid oid;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_CreatedbStmt:
			foreach (cell, ((CreatedbStmt *) statement)->options)
			{
				DefElem *option = lfirst(cell);

				if (strcmp(option->defname, "template") == 0 &&
					option->arg != NULL && IsA(option->arg, String))
					name = strVal(option->arg);
			}
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			foreach (cell, ((AlterDatabaseStmt *) statement)->options)
				if (strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") ==
					0)
					name = ((AlterDatabaseStmt *) statement)->dbname;
			break;
		default:
			break;
	}
	if (name == NULL)
		return InvalidOid;
	oid = get_database_oid(name, true);
	/* who may not do it is told so by the command itself */
	return OidIsValid(oid) && SQ_DATABASE_OWNERCHECK(oid, GetUserId())
			   ? oid
			   : InvalidOid;
}

/* Does a statement make or remove databases? */
static bool
changes_databases(Node *statement)
{
	return IsA(statement, DropdbStmt) || IsA(statement, CreatedbStmt);
}

/* Ask the workers of a database to leave; true if none is there. */
static bool
ask_to_leave(Oid oid)
{
	SqKeyedRegistry *registry = sq_keyed_registry;
	SqKeyedDatabase *database;
	bool empty = true;

	LWLockAcquire(registry->lock, LW_EXCLUSIVE);
	database = sq_keyed_database(oid, true);
	if (database != NULL)
	{
		database->blocker = MyProcPid;
		for (int w = 0; w < SQ_KEYED_WORKERS; w++)
			if (database->workers[w].pid != 0)
			{
				SetLatch(database->workers[w].latch);
				empty = false;
			}
	}
	LWLockRelease(registry->lock);
	return empty;
}

static void
empty_database(Oid oid)
{
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LEAVE_TIMEOUT_MS);

	/* what doesn't leave is met by the command itself, which then fails */
	while (!ask_to_leave(oid) && GetCurrentTimestamp() < end)
		ConditionVariableTimedSleep(&sq_keyed_registry->left, 100,
									PG_WAIT_EXTENSION);
	ConditionVariableCancelSleep();
}

/* After a command on databases has ended, whichever way. */
static void
admit_again(void)
{
	SqKeyedDatabase *database;

	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	database = sq_keyed_database(blocked, false);
	if (database != NULL && database->blocker == MyProcPid)
		database->blocker = 0;
	sq_keyed_registry->rescan = true;
	if (sq_keyed_registry->launcher != NULL)
		SetLatch(sq_keyed_registry->launcher);
	LWLockRelease(sq_keyed_registry->lock);
	blocked = InvalidOid;
	databases_changed = false;
}

static void
run_utility(PlannedStmt *pstmt, const char *query, bool read_only,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *environment, DestReceiver *dest,
			QueryCompletion *completion)
{
	ProcessUtility_hook_type run =
		next_utility != NULL ? next_utility : standard_ProcessUtility;
	Node *statement = pstmt->utilityStmt;

	if (sq_keyed_registry != NULL && IsTransactionState())
	{
		Oid oid = wanted_database(statement);

		/* undone when the transaction ends */
		databases_changed = databases_changed || changes_databases(statement);
		if (OidIsValid(oid))
		{
			blocked = oid;
			empty_database(oid);
		}
	}
	run(pstmt, query, read_only, context, params, environment, dest,
		completion);
}

/* ---- The end of a transaction ---- */

/* Nobody may be nudged before the commit is there to be seen. */
static void
end_transaction(XactEvent event, void *arg)
{
	bool nudge = worth_a_nudge && event == XACT_EVENT_COMMIT;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (!worth_a_nudge && touched_foreign_table())
				worth_a_nudge = true;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			/* the list itself goes with the transaction's memory */
			touched = NIL;
			worth_a_nudge = false;
			if (sq_keyed_registry == NULL)
				break;
			if (OidIsValid(blocked) || databases_changed)
				admit_again();
			if (nudge && OidIsValid(MyDatabaseId))
				sq_keyed_nudge(MyDatabaseId);
			break;
		default:
			break;
	}
}

void
sq_keyed_hook_init(void)
{
	next_object_access = object_access_hook;
	object_access_hook = object_access;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = run_utility;
	RegisterXactCallback(end_transaction, NULL);
}
