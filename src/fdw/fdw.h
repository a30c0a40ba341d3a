/*
 * fdw.h
 *		The door of room fdw: foreign tables over topics.
 */
#ifndef SQ_FDW_H
#define SQ_FDW_H

#include "postgres.h"

#include "fmgr.h"

/* The SQL functions. Said here once more than PG_FUNCTION_INFO_V1 does,
 * because before PostgreSQL 16 it does not export them. */
extern PGDLLEXPORT Datum streamsql_fdw_handler(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum streamsql_fdw_validator(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum streamsql_check_foreign_table(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum streamsql_topics(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum streamsql_partitions(PG_FUNCTION_ARGS);

#endif
