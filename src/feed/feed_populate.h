/*
 * feed_populate.h
 *		json_populate_record for one value of any type.
 */
#ifndef SQ_FEED_POPULATE_H
#define SQ_FEED_POPULATE_H

#include "postgres.h"

typedef struct SqPopulate SqPopulate;

/* For values of a type; lives in the context given. */
extern SqPopulate *sq_feed_populate_create(Oid type, int32 typmod,
										   MemoryContext context);

/* A JSON value (text in the database's encoding) as a Datum in the current
 * context; throws what json_populate_record throws. */
extern Datum sq_feed_populate(SqPopulate *populate, const char *json,
							  bool *isnull);

#endif
