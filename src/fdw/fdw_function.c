/*
 * fdw_function.c
 *		SQL functions topics and partitions: what is there to be read.
 *
 * Both speak to the cluster as the user who calls them: with that user's
 * mapping, and only if the user may use the server or read the table.
 *
 * Memory: answers are copied into the tuplestore that PostgreSQL returns; the
 * client belongs to the context of the call, and is given back before that.
 * Locks: AccessShareLock on the table, until the end of the transaction.
 */
#include "fdw/fdw.h"

#include "access/relation.h"
#include "base/base_version.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_foreign_server.h"
#include "fdw/fdw_snapshot.h"
#include "feed/feed.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "guc.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(streamsql_topics);
PG_FUNCTION_INFO_V1(streamsql_partitions);

/* ---- topics(server) ---- */

/* The server of that name; throws if it isn't ours or the user may not use
 * it. */
static Oid
usable_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	AclResult result = SQ_SERVER_ACLCHECK(server->serverid, GetUserId());

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, name);
	if (!sq_feed_server_is_ours(server->serverid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not a server of streamsql", name)));
	return server->serverid;
}

Datum
streamsql_topics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid serverid = usable_server(NameStr(*PG_GETARG_NAME(0)));
	SqFeedClient *client;
	const SqKafkaTopic *topics;
	SqKafkaCall *call;
	SqError error;
	int count;

	InitMaterializedSRF(fcinfo, 0);
	client =
		sq_feed_client_acquire(serverid, GetUserId(), CurrentMemoryContext);
	call = sq_kafka_ask_topics(client->kafka, sq_broker_timeout, &error);
	sq_feed_call_wait(client, call, &error);
	topics = sq_kafka_call_topics(client->call, &count);
	for (int t = 0; t < count; t++)
	{
		Datum values[2] = {CStringGetTextDatum(topics[t].name),
						   Int32GetDatum(topics[t].partitions)};
		bool nulls[2] = {false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	sq_feed_client_end_call(client);
	sq_feed_client_release(client);
	return (Datum) 0;
}

/* ---- partitions(table) ---- */

/* Open a foreign table of ours that the user may read; the rights come before
 * the lock. */
static Relation
open_readable(Oid relid)
{
	AclResult result = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);
	Relation relation;

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
	relation = relation_open(relid, AccessShareLock);
	if (!sq_feed_relation_is_ours(relid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a foreign table of streamsql",
							   RelationGetRelationName(relation))));
	return relation;
}

Datum
streamsql_partitions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Relation relation = open_readable(PG_GETARG_OID(0));
	SqTopicState *state =
		sq_fdw_topic_state(sq_feed_relation_load(relation), GetUserId());

	relation_close(relation, NoLock);
	InitMaterializedSRF(fcinfo, 0);
	for (int p = 0; p < state->npartitions; p++)
	{
		const SqKafkaWatermark *mark = &state->watermarks[p];
		Datum values[3] = {Int32GetDatum(mark->partition),
						   Int64GetDatum(mark->low), Int64GetDatum(mark->high)};
		bool nulls[3] = {false, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
