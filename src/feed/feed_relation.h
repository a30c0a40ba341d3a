/*
 * feed_relation.h
 *		What the options of a foreign table and its columns say, checked.
 */
#ifndef SQ_FEED_RELATION_H
#define SQ_FEED_RELATION_H

#include "postgres.h"

#include "access/attnum.h"
#include "format/format.h"
#include "kafka/kafka.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/* COPY's words: what to do with a record that can't be decoded. */
typedef enum SqOnError
{
	SQ_ON_ERROR_STOP,
	SQ_ON_ERROR_IGNORE,
	SQ_ON_ERROR_SET_NULL
} SqOnError;

/* Every record, or the last one of each key. */
typedef enum SqKind
{
	SQ_KIND_STREAM,
	SQ_KIND_TABLE
} SqKind;

/* Where a table's key columns come from. */
typedef enum SqKeySource
{
	SQ_KEY_SOURCE_KEY,
	SQ_KEY_SOURCE_VALUE
} SqKeySource;

/* Where a column's value comes from. */
typedef enum SqAttributeSource
{
	SQ_SOURCE_NONE,  /* a dropped column */
	SQ_SOURCE_VALUE, /* a field of the value */
	SQ_SOURCE_KEY,   /* (a field of) the key: option key 'true' */
	SQ_SOURCE_HEADER,
	SQ_SOURCE_PARTITION, /* from here on: option metadata */
	SQ_SOURCE_OFFSET,
	SQ_SOURCE_TIMESTAMP,
	SQ_SOURCE_TIMESTAMP_TYPE,
	SQ_SOURCE_RAW_KEY,
	SQ_SOURCE_RAW_VALUE,
	SQ_SOURCE_HEADERS,
	SQ_SOURCE_TOPIC,
	SQ_SOURCE_ERROR
} SqAttributeSource;

/* When what is written is there for others. */
typedef enum SqDelivery
{
	SQ_DELIVERY_TRANSACTION, /* when the transaction commits */
	SQ_DELIVERY_STATEMENT    /* when the statement ends, come what may */
} SqDelivery;

typedef struct SqAttribute
{
	const char *name;
	Oid type;
	int32 typmod;
	Oid collation;
	SqAttributeSource source;
	bool key;           /* (part of) the key of a record or table, from
						 * wherever it comes */
	bool index;         /* kind table: rows are found by it */
	const char *header; /* SQ_SOURCE_HEADER: its name */
	SqPath path;        /* VALUE and KEY under json */
	int position;       /* VALUE under csv: field of the line, from 0 */
	SqEpoch epoch;
} SqAttribute;

typedef struct SqRelation
{
	Oid relid;
	Oid serverid;
	const char *topic;
	SqKind kind;
	SqKeySource key_source;
	SqFormat format;
	SqFormat key_format;
	SqOnError on_error;
	SqDelivery delivery; /* the table's option, else the server's */
	SqCsvOptions csv;
	int csv_width;
	int nattributes;
	SqAttribute *attributes; /* by attribute number - 1 */
} SqRelation;

/*
 * The checked description of a foreign table, palloc'd in the current
 * context. Throws what the event trigger throws at CREATE: column types that
 * don't fit their metadata, epoch on other types, several raw fields …
 */
extern SqRelation *sq_feed_relation_load(Relation relation);

/* The kind of a foreign table of ours, without the rest of it. */
extern SqKind sq_feed_relation_kind(Oid relid);

/* Does a server, or a relation of any kind (then: a foreign table), belong to
 * a wrapper with our handler, whatever the wrapper's name? */
extern bool sq_feed_relation_is_ours(Oid relid);
extern bool sq_feed_server_is_ours(Oid serverid);

/* The batch column that a SQL type decodes into (type, precision, scale and
 * length; no arrays). Domains, arrays and composites: SQ_TYPE_JSON. */
extern SqColumn sq_feed_column_for(Oid type, int32 typmod, SqFormat format);

/*
 * The librdkafka properties of a server with the mapping of a user (or of
 * PUBLIC, or none), those the extension owns not included; palloc'd.
 * *umid gets the mapping's oid or InvalidOid.
 */
extern SqKafkaConfig sq_feed_server_config(Oid serverid, Oid userid, Oid *umid);

#endif
