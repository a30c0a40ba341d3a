/*
 * base_version.h
 *		What differs between PostgreSQL versions; the only file that asks.
 */
#ifndef SQ_BASE_VERSION_H
#define SQ_BASE_VERSION_H

#include "postgres.h"

/* The base relations of a scan, which may be one of joins and groups; the
 * first of them. */
#if PG_VERSION_NUM >= 160000
#define SQ_SCAN_RELIDS(plan) ((plan)->fs_base_relids)
#else
#define SQ_SCAN_RELIDS(plan) ((plan)->fs_relids)
#endif
#define SQ_SCAN_RELID(plan) bms_next_member(SQ_SCAN_RELIDS(plan), -1)

/* The user whose rights a scan runs with (0: the current one). */
#if PG_VERSION_NUM >= 160000
#define SQ_SCAN_USER(estate, plan) ((plan)->checkAsUser)
#else
#define SQ_SCAN_USER(estate, plan)                                             \
	(exec_rt_fetch(SQ_SCAN_RELID(plan), (estate))->checkAsUser)
#endif

/* The user whose rights a statement writes to a relation with (0: the current
 * one); partitions that rows are routed to have those of their parent. */
#if PG_VERSION_NUM >= 160000
#define SQ_RESULT_USER(result, estate)                                         \
	ExecGetResultRelCheckAsUser(result, estate)
#else
#define SQ_RESULT_USER(result, estate)                                         \
	(exec_rt_fetch((result)->ri_RootResultRelInfo != NULL &&                   \
						   (result)->ri_RangeTableIndex == 0                   \
					   ? (result)->ri_RootResultRelInfo->ri_RangeTableIndex    \
					   : (result)->ri_RangeTableIndex,                         \
				   estate)                                                     \
		 ->checkAsUser)
#endif

/* create_foreign_upper_path without order or outer path. */
#if PG_VERSION_NUM >= 180000
#define SQ_CREATE_UPPER_PATH(root, rel, target, rows, startup, total, private) \
	create_foreign_upper_path(root, rel, target, rows, 0, startup, total, NIL, \
							  NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define SQ_CREATE_UPPER_PATH(root, rel, target, rows, startup, total, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, NIL,    \
							  NULL, NIL, private)
#else
#define SQ_CREATE_UPPER_PATH(root, rel, target, rows, startup, total, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, NIL,    \
							  NULL, private)
#endif

/* create_foreign_join_path without order, parameters or outer path. */
#if PG_VERSION_NUM >= 180000
#define SQ_CREATE_JOIN_PATH(root, rel, rows, startup, total, private)          \
	create_foreign_join_path(root, rel, NULL, rows, 0, startup, total, NIL,    \
							 NULL, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define SQ_CREATE_JOIN_PATH(root, rel, rows, startup, total, private)          \
	create_foreign_join_path(root, rel, NULL, rows, startup, total, NIL, NULL, \
							 NULL, NIL, private)
#else
#define SQ_CREATE_JOIN_PATH(root, rel, rows, startup, total, private)          \
	create_foreign_join_path(root, rel, NULL, rows, startup, total, NIL, NULL, \
							 NULL, private)
#endif

/* create_foreignscan_path for a base relation without pushed-down joins. */
#if PG_VERSION_NUM >= 180000
#define SQ_CREATE_SCAN_PATH(root, rel, rows, startup, total, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, NIL,     \
							outer, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define SQ_CREATE_SCAN_PATH(root, rel, rows, startup, total, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, outer, \
							NULL, NIL, private)
#else
#define SQ_CREATE_SCAN_PATH(root, rel, rows, startup, total, outer, private)   \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, NIL, outer, \
							NULL, private)
#endif

/* How many elements an array expression probably has. */
#if PG_VERSION_NUM >= 170000
#define SQ_ARRAY_LENGTH(root, expr) estimate_array_length(root, expr)
#else
#define SQ_ARRAY_LENGTH(root, expr) ((double) estimate_array_length(expr))
#endif

/* The number of this process among all that can be connected to databases. */
#if PG_VERSION_NUM >= 170000
#define SQ_PROC_NUMBER MyProcNumber
#else
#define SQ_PROC_NUMBER (MyProc->pgprocno)
#endif

/* Subtransactions may start in parallel mode. */
#if PG_VERSION_NUM >= 170000
#define SQ_PARALLEL_SUBTRANSACTIONS true
#else
#define SQ_PARALLEL_SUBTRANSACTIONS false
#endif

/* May a user use a foreign server? Needs utils/acl.h, and on 16 and later
 * catalog/pg_foreign_server.h. Does a user own a database? Needs the same, and
 * catalog/pg_database.h. May he execute a function? catalog/pg_proc.h. */
#if PG_VERSION_NUM >= 160000
#define SQ_FUNCTION_ACLCHECK(oid, userid)                                      \
	object_aclcheck(ProcedureRelationId, oid, userid, ACL_EXECUTE)
#else
#define SQ_FUNCTION_ACLCHECK(oid, userid)                                      \
	pg_proc_aclcheck(oid, userid, ACL_EXECUTE)
#endif
#if PG_VERSION_NUM >= 160000
#define SQ_SERVER_ACLCHECK(serverid, userid)                                   \
	object_aclcheck(ForeignServerRelationId, serverid, userid, ACL_USAGE)
#define SQ_DATABASE_OWNERCHECK(oid, userid)                                    \
	object_ownercheck(DatabaseRelationId, oid, userid)
#else
#define SQ_DATABASE_OWNERCHECK(oid, userid) pg_database_ownercheck(oid, userid)
#define SQ_SERVER_ACLCHECK(serverid, userid)                                   \
	pg_foreign_server_aclcheck(serverid, userid, ACL_USAGE)
#endif

#endif
