/*
 * feed_relation.c
 *		What a foreign table is: its options and columns, checked together.
 *
 * The validator sees the options of one object at a time and no types. What
 * needs the whole table is checked here: at CREATE and ALTER by the event
 * trigger (fdw_check.c), and again by every plan and scan, since a table may
 * have come past the trigger, from a dump.
 *
 * Memory: palloc'd in the current context; option texts are part of the lists
 * read from the catalogs, which live there too. Locks: the caller's on the
 * relation.
 */
#include "feed/feed_relation.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "feed/feed_option.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* The precision of timestamps in PostgreSQL, and of those in Kafka. */
#define NATIVE_PRECISION 6
#define KAFKA_PRECISION  3

/* ---- Whose it is ---- */

bool
sq_feed_server_is_ours(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	HeapTuple tuple;
	Datum symbol;
	bool isnull;
	bool ours;

	if (!OidIsValid(wrapper->fdwhandler))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(wrapper->fdwhandler));
	if (!HeapTupleIsValid(tuple))
		return false;
	symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	ours = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId &&
		   !isnull &&
		   strcmp(TextDatumGetCString(symbol), "streamsql_fdw_handler") == 0;
	ReleaseSysCache(tuple);
	return ours;
}

bool
sq_feed_relation_is_ours(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE &&
		   sq_feed_server_is_ours(GetForeignTable(relid)->serverid);
}

/* ---- Types ---- */

/* The type of the array of streamsql.header, InvalidOid if there is none. */
static Oid
headers_type(void)
{
	Oid namespace = get_namespace_oid("streamsql", true);
	Oid header =
		GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						CStringGetDatum("header"), ObjectIdGetDatum(namespace));

	return OidIsValid(header) ? get_array_type(header) : InvalidOid;
}

/* The types a column of this source may have. */
static int
source_types(SqAttributeSource source, Oid types[2])
{
	switch (source)
	{
		case SQ_SOURCE_PARTITION:
			types[0] = INT4OID;
			return 1;
		case SQ_SOURCE_OFFSET:
			types[0] = INT8OID;
			return 1;
		case SQ_SOURCE_TIMESTAMP:
			types[0] = TIMESTAMPTZOID;
			return 1;
		case SQ_SOURCE_TIMESTAMP_TYPE:
		case SQ_SOURCE_TOPIC:
		case SQ_SOURCE_ERROR:
			types[0] = TEXTOID;
			return 1;
		case SQ_SOURCE_HEADERS:
			types[0] = headers_type();
			return 1;
		case SQ_SOURCE_HEADER:
		case SQ_SOURCE_RAW_KEY:
		case SQ_SOURCE_RAW_VALUE:
			types[0] = TEXTOID;
			types[1] = BYTEAOID;
			return 2;
		default:
			return 0;
	}
}

static void
refuse_type(const SqAttribute *attribute, const char *but)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_DATATYPE_MISMATCH),
		 errmsg("column \"%s\" is of type %s but %s", attribute->name,
				format_type_with_typemod(attribute->type, attribute->typmod),
				but),
		 get_typtype(attribute->type) == TYPTYPE_DOMAIN
			 ? errdetail("A domain is not accepted here.")
			 : 0));
}

/* Headers and metadata come in one type each; nothing is converted. */
static void
check_source_type(const SqAttribute *attribute)
{
	Oid types[2];
	int ntypes = source_types(attribute->source, types);
	const char *what;

	if (ntypes == 0)
		return;
	if (attribute->type == types[0] ||
		(ntypes == 2 && attribute->type == types[1]))
	{
		/* A lower precision than Kafka's would lose what was sent. */
		if (attribute->source != SQ_SOURCE_TIMESTAMP || attribute->typmod < 0 ||
			attribute->typmod >= KAFKA_PRECISION)
			return;
	}
	what = attribute->source == SQ_SOURCE_HEADER
			   ? "a header"
			   : psprintf("metadata \"%s\"",
						  sq_feed_option_metadata(attribute->source));
	refuse_type(
		attribute,
		ntypes == 1
			? psprintf("%s is of type %s", what, format_type_be(types[0]))
			: psprintf("%s is of type %s or %s", what, format_type_be(types[0]),
					   format_type_be(types[1])));
}

/* Numbers become moments without PostgreSQL's input functions, which alone
 * know how to round to a lower precision. */
static void
check_epoch_type(const SqAttribute *attribute)
{
	if (attribute->epoch == SQ_EPOCH_NONE || attribute->type == DATEOID)
		return;
	if ((attribute->type == TIMESTAMPOID ||
		 attribute->type == TIMESTAMPTZOID) &&
		(attribute->typmod < 0 || attribute->typmod >= NATIVE_PRECISION))
		return;
	refuse_type(attribute, "option \"epoch\" needs type timestamp with time "
						   "zone, timestamp without time zone or date");
}

/* ---- Batch columns ---- */

static SqColumn
numeric_column(int32 typmod)
{
	SqColumn column = {.type = SQ_TYPE_INPUT};
	int precision, scale;

	if (typmod < (int32) VARHDRSZ)
		return column;
	precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	/* eleven bits, in two's complement */
	scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
	if (precision <= 18 && scale >= 0 && scale <= precision)
	{
		column.type = SQ_TYPE_NUMERIC;
		column.precision = precision;
		column.scale = scale;
	}
	return column;
}

/* Types whose JSON form only json_populate_record understands. */
static bool
is_json_type(Oid type)
{
	return type == JSONOID || type == JSONBOID || type_is_array(type) ||
		   type_is_rowtype(type) || get_typtype(type) == TYPTYPE_DOMAIN;
}

SqColumn
sq_feed_column_for(Oid type, int32 typmod, SqFormat format)
{
	bool full = typmod < 0 || typmod >= NATIVE_PRECISION;

	switch (type)
	{
		case BOOLOID:
			return (SqColumn){.type = SQ_TYPE_BOOL};
		case INT2OID:
			return (SqColumn){.type = SQ_TYPE_INT2};
		case INT4OID:
			return (SqColumn){.type = SQ_TYPE_INT4};
		case INT8OID:
			return (SqColumn){.type = SQ_TYPE_INT8};
		case FLOAT4OID:
			return (SqColumn){.type = SQ_TYPE_FLOAT4};
		case FLOAT8OID:
			return (SqColumn){.type = SQ_TYPE_FLOAT8};
		case NUMERICOID:
			return numeric_column(typmod);
		case TEXTOID:
			return (SqColumn){.type = SQ_TYPE_TEXT};
		case VARCHAROID:
			return (SqColumn){.type = SQ_TYPE_TEXT,
							  .max_length = typmod < (int32) VARHDRSZ
												? 0
												: typmod - VARHDRSZ};
		case BPCHAROID:
			return (SqColumn){.type = typmod < (int32) VARHDRSZ
										  ? SQ_TYPE_TEXT
										  : SQ_TYPE_INPUT};
		case BYTEAOID:
			return (SqColumn){.type = SQ_TYPE_BYTEA};
		case DATEOID:
			return (SqColumn){.type = SQ_TYPE_DATE};
		case TIMESTAMPOID:
			return (SqColumn){.type = full ? SQ_TYPE_TIMESTAMP : SQ_TYPE_INPUT};
		case TIMESTAMPTZOID:
			return (SqColumn){.type =
								  full ? SQ_TYPE_TIMESTAMPTZ : SQ_TYPE_INPUT};
		case UUIDOID:
			return (SqColumn){.type = SQ_TYPE_UUID};
		default:
			return (SqColumn){.type =
								  format == SQ_FORMAT_JSON && is_json_type(type)
									  ? SQ_TYPE_JSON
									  : SQ_TYPE_INPUT};
	}
}

/* ---- Loading ---- */

/* A generated column has no place to say where it comes from. */
static void
check_generated(const SqAttribute *attribute)
{
	if (attribute->source != SQ_SOURCE_VALUE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("generated column \"%s\" cannot have option \"%s\"",
						attribute->name,
						attribute->source == SQ_SOURCE_KEY      ? "key"
						: attribute->source == SQ_SOURCE_HEADER ? "header"
																: "metadata")));
}

static void
load_attribute(const SqRelation *rel, Form_pg_attribute form,
			   SqAttribute *attribute)
{
	SqColumnOptions options = sq_feed_option_column(
		GetForeignColumnOptions(rel->relid, form->attnum));
	SqFormat format;

	attribute->key = options.source == SQ_SOURCE_KEY;
	if (attribute->key && rel->key_source == SQ_KEY_SOURCE_VALUE)
		options.source = SQ_SOURCE_VALUE;
	format = options.source == SQ_SOURCE_KEY ? rel->key_format : rel->format;
	attribute->index = options.index;
	attribute->name = pstrdup(NameStr(form->attname));
	attribute->type = form->atttypid;
	attribute->typmod = form->atttypmod;
	attribute->collation = form->attcollation;
	attribute->source = options.source;
	attribute->header = options.header;
	attribute->epoch = options.epoch;
	attribute->path = options.path;
	if (form->attgenerated != '\0')
		check_generated(attribute);
	check_source_type(attribute);
	check_epoch_type(attribute);
	if (attribute->index && rel->kind != SQ_KIND_TABLE)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("option \"index\" of column \"%s\" needs kind \"table\"",
					attribute->name)));
	if (options.has_path && format != SQ_FORMAT_JSON)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("option \"path\" of column \"%s\" needs %s \"json\"",
						attribute->name,
						options.source == SQ_SOURCE_KEY ? "key_format"
														: "format")));
	if (!options.has_path)
		sq_format_path_member(
			pg_server_to_any(attribute->name, strlen(attribute->name), PG_UTF8),
			&attribute->path);
}

static void
refuse_second(const char *relation, const SqAttribute *attribute,
			  const char *part, const char *option)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("foreign table \"%s\" cannot have more than one %s column",
					relation, part),
			 errdetail("With %s \"raw\" the whole %s is one column, and column "
					   "\"%s\" would be the second.",
					   option, part, attribute->name)));
}

/* Number the fields of the value, and see that a raw one has only one. */
static void
place_columns(SqRelation *rel, const char *name)
{
	int nkeys = 0;

	for (int a = 0; a < rel->nattributes; a++)
	{
		SqAttribute *attribute = &rel->attributes[a];

		if (attribute->source == SQ_SOURCE_KEY && nkeys++ > 0 &&
			rel->key_format == SQ_FORMAT_RAW)
			refuse_second(name, attribute, "key", "key_format");
		if (attribute->source != SQ_SOURCE_VALUE)
			continue;
		attribute->position = rel->csv_width++;
		if (attribute->position > 0 && rel->format == SQ_FORMAT_RAW)
			refuse_second(name, attribute, "value", "format");
	}
}

/* Rows of a table are told apart by their keys. */
static void
check_key(const SqRelation *rel, const char *name)
{
	for (int a = 0; a < rel->nattributes; a++)
		if (rel->attributes[a].key)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
			 errmsg("foreign table \"%s\" of kind \"table\" needs a key column",
					name),
			 errhint("Set option \"key\" to \"true\" for the columns that are "
					 "the key.")));
}

/* The option of the server; without looking at its properties, which takes
 * long. */
static SqDelivery
server_delivery(Oid serverid)
{
	ListCell *cell;

	foreach (cell, GetForeignServer(serverid)->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "delivery") == 0)
			return sq_feed_option_delivery(option);
	}
	return SQ_DELIVERY_TRANSACTION;
}

SqRelation *
sq_feed_relation_load(Relation relation)
{
	TupleDesc descriptor = RelationGetDescr(relation);
	ForeignTable *table = GetForeignTable(RelationGetRelid(relation));
	SqTableOptions options = sq_feed_option_table(table->options);
	SqRelation *rel = palloc0(sizeof(SqRelation));

	rel->relid = RelationGetRelid(relation);
	rel->serverid = table->serverid;
	rel->topic = options.topic;
	rel->kind = options.kind;
	rel->key_source = options.key_source;
	rel->format = options.format;
	rel->key_format = options.key_format;
	rel->on_error = options.on_error;
	rel->delivery = options.has_delivery ? options.delivery
										 : server_delivery(table->serverid);
	rel->csv = options.csv;
	rel->nattributes = descriptor->natts;
	rel->attributes = palloc0(descriptor->natts * sizeof(SqAttribute));
	for (int a = 0; a < descriptor->natts; a++)
	{
		Form_pg_attribute form = TupleDescAttr(descriptor, a);

		if (!form->attisdropped)
			load_attribute(rel, form, &rel->attributes[a]);
	}
	place_columns(rel, RelationGetRelationName(relation));
	if (rel->kind == SQ_KIND_TABLE)
		check_key(rel, RelationGetRelationName(relation));
	return rel;
}

SqKind
sq_feed_relation_kind(Oid relid)
{
	ListCell *cell;

	foreach (cell, GetForeignTable(relid)->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "kind") == 0)
			return strcmp(defGetString(option), "table") == 0 ? SQ_KIND_TABLE
															  : SQ_KIND_STREAM;
	}
	return SQ_KIND_STREAM;
}

/* ---- Servers ---- */

/* The options of the mapping of a user (InvalidOid: PUBLIC), and its oid;
 * false if there is none. */
static bool
find_mapping(Oid serverid, Oid userid, Oid *umid, List **options)
{
	HeapTuple tuple =
		SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
						ObjectIdGetDatum(serverid));
	Datum datum;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return false;
	*umid = ((Form_pg_user_mapping) GETSTRUCT(tuple))->oid;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &isnull);
	*options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

/* Where the mapping says something of a property, the server's word does not
 * count. */
static bool
is_overridden(const SqServerOption *property, List *mapping)
{
	ListCell *cell;

	foreach (cell, mapping)
		if (strcmp(((SqServerOption *) lfirst(cell))->name, property->name) ==
			0)
			return true;
	return false;
}

SqKafkaConfig
sq_feed_server_config(Oid serverid, Oid userid, Oid *umid)
{
	SqServerOptions server =
		sq_feed_option_server(GetForeignServer(serverid)->options);
	List *mapping = NIL;
	List *options = NIL;
	SqKafkaProperty *properties;
	SqKafkaConfig config = {.reader = server.reader};
	ListCell *cell;

	*umid = InvalidOid;
	if (find_mapping(serverid, userid, umid, &options) ||
		find_mapping(serverid, InvalidOid, umid, &options))
		mapping = sq_feed_option_mapping(options);
	properties =
		palloc((list_length(server.properties) + list_length(mapping)) *
			   sizeof(SqKafkaProperty));
	config.properties = properties;
	foreach (cell, server.properties)
	{
		const SqServerOption *property = lfirst(cell);

		if (!is_overridden(property, mapping))
			properties[config.count++] =
				(SqKafkaProperty){property->name, property->value};
	}
	foreach (cell, mapping)
	{
		const SqServerOption *property = lfirst(cell);

		properties[config.count++] =
			(SqKafkaProperty){property->name, property->value};
	}
	return config;
}
