/*
 * fdw_validator.c
 *		SQL function streamsql_fdw_validator: options at CREATE and ALTER.
 *
 * PostgreSQL calls it with all options that an object will have. The rules
 * are feed_option.c's; here is what depends on who sets them, and librdkafka's
 * own opinion of the values. The order matters: librdkafka's setters open
 * files and load libraries, so no value reaches them before the rights to all
 * of them are known. Rights are asked of whoever runs the command, for every
 * option the object keeps: who may not set an option may not change the others
 * of that object either, or a path set by a superuser could be sent elsewhere.
 *
 * Memory: palloc'd in the caller's context. Locks: none.
 */
#include "fdw/fdw.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "feed/feed.h"
#include "keyed/keyed.h"
#include "miscadmin.h"
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(streamsql_fdw_validator);

static void
check_rights(const SqServerOption *property)
{
	if ((property->flags & SQ_PROPERTY_CODE) && !superuser())
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set option \"%s\"", property->option),
			 errdetail("Only superusers may set options that run or load "
					   "code on the server.")));
	if ((property->flags & SQ_PROPERTY_FILE) &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set option \"%s\"", property->option),
			 errdetail("Only roles with privileges of the \"%s\" role may "
					   "set options that read files of the server.",
					   "pg_read_server_files")));
}

static void
check_properties(List *properties)
{
	ListCell *cell;

	foreach (cell, properties)
		check_rights(lfirst(cell));
	foreach (cell, properties)
	{
		const SqServerOption *property = lfirst(cell);
		SqError error;

		if (sq_kafka_property_check(property->name, property->value, &error) !=
			SQ_OK)
			sq_feed_throw(&error);
	}
}

Datum
streamsql_fdw_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));

	switch (PG_GETARG_OID(1))
	{
		case ForeignDataWrapperRelationId:
			sq_feed_option_wrapper(options);
			break;
		case ForeignServerRelationId:
			check_properties(sq_feed_option_server(options).properties);
			break;
		case UserMappingRelationId:
			check_properties(sq_feed_option_mapping(options));
			break;
		case ForeignTableRelationId:
			if (sq_feed_option_table(options).kind == SQ_KIND_TABLE)
				sq_keyed_require();
			break;
		case AttributeRelationId:
			sq_feed_option_column(options);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("catalog with OID %u has no options of foreign "
							"data wrappers",
							PG_GETARG_OID(1))));
	}
	PG_RETURN_VOID();
}
