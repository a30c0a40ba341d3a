/*
 * feed_option.c
 *		One table of all options, and what each of them takes.
 *
 * An option is a row of the array "options": the catalog whose objects have
 * it, its name, and the function that parses its value into the struct of that
 * level. Servers and user mappings have one row each without a name, since most
 * of their options are librdkafka's properties and librdkafka knows them. What
 * options of one object mean together is checked after all were parsed.
 *
 * Words are matched exactly, as COPY matches its formats, but for on_error and
 * booleans, where PostgreSQL itself ignores case.
 *
 * Memory: everything is palloc'd in the current context, and short. Locks:
 * none.
 */
#include "feed/feed_option.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "feed/feed_wait.h"
#include "guc.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#define TOPIC_MAX_LENGTH 249

typedef struct SqOption
{
	Oid catalog;
	const char *name; /* NULL: any name that parse takes */
	void (*parse)(const char *name, const char *value, void *into);
} SqOption;

/* ---- Values ---- */

/* A word of an enumerated option. */
typedef struct SqWord
{
	const char *word;
	int value; /* SQ_WORD_LATER: of a later version */
} SqWord;

#define SQ_WORD_LATER (-1)

static void
refuse_word(const char *option, const char *value, const SqWord *words,
			int nwords)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (int i = 0; i < nwords; i++)
		if (words[i].value != SQ_WORD_LATER)
			appendStringInfo(&valid, "%s\"%s\"", valid.len > 0 ? ", " : "",
							 words[i].word);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", option, value),
			 errhint("Valid values are: %s.", valid.data)));
}

static int
parse_word(const char *option, const char *value, const SqWord *words,
		   int nwords, int (*compare)(const char *, const char *))
{
	for (int i = 0; i < nwords; i++)
	{
		if (compare(value, words[i].word) != 0)
			continue;
		if (words[i].value == SQ_WORD_LATER)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("%s \"%s\" is not supported in this version",
								   option, words[i].word)));
		return words[i].value;
	}
	refuse_word(option, value, words, nwords);
	pg_unreachable();
}

#define PARSE_WORD(option, value, words)                                       \
	parse_word(option, value, words, lengthof(words), strcmp)

static void
refuse_empty(const char *option, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"%s\" must not be empty", option)));
}

/* Kafka's side of a comparison is UTF-8. */
static const char *
to_utf8(const char *value)
{
	return pg_server_to_any(value, strlen(value), PG_UTF8);
}

/* ---- Servers and user mappings ---- */

/* What may differ between users without being a secret. Nothing here changes
 * where a connection goes or whom it trusts. */
static const char *const mapping_properties[] = {
	"client.id",
	"client.rack",
	"sasl.kerberos.keytab",
	"sasl.kerberos.principal",
	"sasl.mechanisms",
	"sasl.oauthbearer.client.id",
	"sasl.oauthbearer.extensions",
	"sasl.oauthbearer.scope",
	"ssl.certificate.location",
	"ssl.certificate.pem",
	"ssl.key.location",
	"ssl.keystore.location",
};

static bool
is_mapping_property(const SqServerOption *property)
{
	if (property->flags & SQ_PROPERTY_SECRET)
		return true;
	for (int i = 0; i < lengthof(mapping_properties); i++)
		if (strcmp(property->name, mapping_properties[i]) == 0)
			return true;
	return false;
}

/* Find the property and append it to the list; two spellings of one are
 * refused, since only one of them could count. */
static SqServerOption *
add_property(const char *option, const char *value, List **properties)
{
	SqServerOption *property = palloc0(sizeof(SqServerOption));
	SqError error;
	ListCell *cell;

	property->option = option;
	property->value = value;
	if (sq_kafka_property_find(option, &property->name, &property->flags,
							   &error) != SQ_OK)
		sq_feed_throw(&error);
	if (property->flags & SQ_PROPERTY_OWNED)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						errmsg("option \"%s\" cannot be set", option),
						errdetail("The extension sets this property itself.")));
	refuse_empty(option, value);
	foreach (cell, *properties)
	{
		const SqServerOption *other = lfirst(cell);

		if (strcmp(other->name, property->name) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("options \"%s\" and \"%s\" are the same "
								   "property",
								   other->option, option)));
	}
	*properties = lappend(*properties, property);
	return property;
}

static const SqWord readers[] = {
	{"auto", SQ_KAFKA_READER_AUTO},
	{"wire", SQ_KAFKA_READER_WIRE},
	{"librdkafka", SQ_KAFKA_READER_LIBRDKAFKA},
};

static void
parse_reader(const char *name, const char *value, void *into)
{
	((SqServerOptions *) into)->reader = PARSE_WORD(name, value, readers);
}

static const SqWord deliveries[] = {
	{"transaction", SQ_DELIVERY_TRANSACTION},
	{"statement", SQ_DELIVERY_STATEMENT},
};

/* Checked only: a relation asks for it by sq_feed_option_delivery. */
static void
parse_server_delivery(const char *name, const char *value, void *into)
{
	PARSE_WORD(name, value, deliveries);
}

static void
parse_server(const char *name, const char *value, void *into)
{
	SqServerOption *property =
		add_property(name, value, &((SqServerOptions *) into)->properties);

	if (property->flags & SQ_PROPERTY_SECRET)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" cannot be set on a server", name),
				 errdetail("It is a secret, and everyone can read the options "
						   "of a server."),
				 errhint("Set it in a user mapping.")));
}

static void
parse_mapping(const char *name, const char *value, void *into)
{
	SqServerOption *property = add_property(name, value, into);

	if (!is_mapping_property(property))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" cannot be set in a user mapping", name),
				 errhint("Set it on the server.")));
}

static void
check_server(List *properties)
{
	ListCell *cell;

	foreach (cell, properties)
	{
		const SqServerOption *property = lfirst(cell);

		if (strcmp(property->name, "bootstrap.servers") == 0)
			return;
	}
	ereport(ERROR, (errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
					errmsg("option \"bootstrap_servers\" is required"),
					errhint("Name one or more brokers of the cluster as "
							"host:port, separated by commas.")));
}

/* ---- Tables ---- */

static const SqWord kinds[] = {
	{"stream", SQ_KIND_STREAM},
	{"table", SQ_KIND_TABLE},
};

static const SqWord key_sources[] = {
	{"key", SQ_KEY_SOURCE_KEY},
	{"value", SQ_KEY_SOURCE_VALUE},
};

static const SqWord formats[] = {
	{"json", SQ_FORMAT_JSON},    {"csv", SQ_FORMAT_CSV},
	{"raw", SQ_FORMAT_RAW},      {"avro", SQ_WORD_LATER},
	{"protobuf", SQ_WORD_LATER},
};

static const SqWord key_formats[] = {
	{"raw", SQ_FORMAT_RAW},
	{"json", SQ_FORMAT_JSON},
	{"avro", SQ_WORD_LATER},
	{"protobuf", SQ_WORD_LATER},
};

static const SqWord on_errors[] = {
	{"stop", SQ_ON_ERROR_STOP},
	{"ignore", SQ_ON_ERROR_IGNORE},
	{"set_null", SQ_ON_ERROR_SET_NULL},
};

static void
parse_topic(const char *name, const char *value, void *into)
{
	size_t length = strlen(value);
	size_t legal = strspn(value, "abcdefghijklmnopqrstuvwxyz"
								 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
								 "0123456789._-");

	if (length == 0 || legal < length || length > TOPIC_MAX_LENGTH ||
		strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errdetail("The name of a Kafka topic has 1 to %d ASCII "
						   "letters, digits, \".\", \"_\" and \"-\", and is "
						   "neither \".\" nor \"..\".",
						   TOPIC_MAX_LENGTH)));
	((SqTableOptions *) into)->topic = value;
}

static void
parse_kind(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->kind = PARSE_WORD(name, value, kinds);
}

static void
parse_key_source(const char *name, const char *value, void *into)
{
	SqTableOptions *table = into;

	table->key_source = PARSE_WORD(name, value, key_sources);
	table->has_key_source = true;
}

static void
parse_format(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->format = PARSE_WORD(name, value, formats);
}

static void
parse_key_format(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->key_format =
		PARSE_WORD(name, value, key_formats);
}

static void
parse_on_error(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->on_error =
		parse_word(name, value, on_errors, lengthof(on_errors), pg_strcasecmp);
}

static void
parse_table_delivery(const char *name, const char *value, void *into)
{
	SqTableOptions *table = into;

	table->delivery = PARSE_WORD(name, value, deliveries);
	table->has_delivery = true;
}

/* Payloads are UTF-8, where only ASCII characters have one byte. */
static char
parse_byte(const char *name, const char *value, SqTableOptions *table)
{
	if (strlen(value) != 1 || IS_HIGHBIT_SET(value[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"%s\" must be a single one-byte "
						"character",
						name)));
	if (value[0] == '\n' || value[0] == '\r')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("value of option \"%s\" cannot be newline or "
							   "carriage return",
							   name)));
	table->csv_option = name;
	return value[0];
}

static void
parse_delimiter(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->csv.delimiter = parse_byte(name, value, into);
}

static void
parse_quote(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->csv.quote = parse_byte(name, value, into);
}

static void
parse_escape(const char *name, const char *value, void *into)
{
	((SqTableOptions *) into)->csv.escape = parse_byte(name, value, into);
}

static void
parse_null(const char *name, const char *value, void *into)
{
	SqTableOptions *table = into;

	if (strpbrk(value, "\r\n") != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("value of option \"%s\" cannot use newline or "
							   "carriage return",
							   name)));
	table->csv.null_text = to_utf8(value);
	table->csv_option = name;
}

/* COPY's rules for its options together. */
static void
check_csv(const SqCsvOptions *csv)
{
	if (csv->delimiter == csv->quote)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values of options \"delimiter\" and \"quote\" must "
						"be different")));
	if (strchr(csv->null_text, csv->delimiter) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"delimiter\" must not appear in "
						"the value of option \"null\"")));
	if (strchr(csv->null_text, csv->quote) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of option \"quote\" must not appear in the "
						"value of option \"null\"")));
}

static void
check_table(SqTableOptions *table)
{
	if (table->topic == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
						errmsg("option \"topic\" is required")));
	if (table->csv_option != NULL && table->format != SQ_FORMAT_CSV)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("option \"%s\" is available only with format "
							   "\"csv\"",
							   table->csv_option)));
	if (table->has_key_source && table->kind != SQ_KIND_TABLE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("option \"%s\" is available only with kind "
							   "\"table\"",
							   "key_source")));
	if (table->csv.escape == '\0')
		table->csv.escape = table->csv.quote;
	check_csv(&table->csv);
}

/* ---- Columns ---- */

static const SqWord metadata_words[] = {
	{"partition", SQ_SOURCE_PARTITION},
	{"offset", SQ_SOURCE_OFFSET},
	{"timestamp", SQ_SOURCE_TIMESTAMP},
	{"timestamp_type", SQ_SOURCE_TIMESTAMP_TYPE},
	{"key", SQ_SOURCE_RAW_KEY},
	{"value", SQ_SOURCE_RAW_VALUE},
	{"headers", SQ_SOURCE_HEADERS},
	{"topic", SQ_SOURCE_TOPIC},
	{"error", SQ_SOURCE_ERROR},
};

static const SqWord epochs[] = {
	{"s", SQ_EPOCH_S},
	{"ms", SQ_EPOCH_MS},
	{"us", SQ_EPOCH_US},
	{"ns", SQ_EPOCH_NS},
};

const char *
sq_feed_option_metadata(SqAttributeSource source)
{
	for (int i = 0; i < lengthof(metadata_words); i++)
		if (metadata_words[i].value == (int) source)
			return metadata_words[i].word;
	return NULL;
}

const char *
sq_feed_option_delivery_word(SqDelivery delivery)
{
	for (int i = 0; i < lengthof(deliveries); i++)
		if (deliveries[i].value == (int) delivery)
			return deliveries[i].word;
	return NULL;
}

/* Which option gave a column its source so far, NULL if none did. */
static const char *
source_option(const SqColumnOptions *column)
{
	switch (column->source)
	{
		case SQ_SOURCE_NONE:
		case SQ_SOURCE_VALUE:
			return NULL;
		case SQ_SOURCE_KEY:
			return "key";
		case SQ_SOURCE_HEADER:
			return "header";
		default:
			return "metadata";
	}
}

static void
refuse_pair(const char *first, const char *second)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("options \"%s\" and \"%s\" cannot be used together",
						   first, second)));
}

/* metadata, header and key each say where the value comes from. */
static void
set_source(SqColumnOptions *column, const char *option,
		   SqAttributeSource source)
{
	const char *earlier = source_option(column);

	if (earlier != NULL)
		refuse_pair(earlier, option);
	column->source = source;
}

static void
parse_metadata(const char *name, const char *value, void *into)
{
	set_source(into, name, PARSE_WORD(name, value, metadata_words));
}

static void
parse_header(const char *name, const char *value, void *into)
{
	refuse_empty(name, value);
	set_source(into, name, SQ_SOURCE_HEADER);
	((SqColumnOptions *) into)->header = to_utf8(value);
}

static void
parse_path(const char *name, const char *value, void *into)
{
	SqColumnOptions *column = into;
	SqError error;

	if (sq_format_path_parse(to_utf8(value), &column->path, &error) != SQ_OK)
		sq_feed_throw(&error);
	column->has_path = true;
}

static void
parse_epoch(const char *name, const char *value, void *into)
{
	((SqColumnOptions *) into)->epoch = PARSE_WORD(name, value, epochs);
}

static bool
parse_flag(const char *name, const char *value)
{
	bool flag;

	if (!parse_bool(value, &flag))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Valid values are: \"true\", \"false\".")));
	return flag;
}

static void
parse_key(const char *name, const char *value, void *into)
{
	if (parse_flag(name, value))
		set_source(into, name, SQ_SOURCE_KEY);
}

static void
parse_index(const char *name, const char *value, void *into)
{
	((SqColumnOptions *) into)->index = parse_flag(name, value);
}

/* Paths and epochs are of fields; headers and metadata have none. */
static void
check_column(const SqColumnOptions *column)
{
	const char *source = source_option(column);

	if (source == NULL || column->source == SQ_SOURCE_KEY)
		return;
	if (column->has_path)
		refuse_pair(source, "path");
	if (column->epoch != SQ_EPOCH_NONE)
		refuse_pair(source, "epoch");
}

/* ---- The table ---- */

static const SqOption options[] = {
	{ForeignServerRelationId, "reader", parse_reader},
	{ForeignServerRelationId, "delivery", parse_server_delivery},
	{ForeignServerRelationId, NULL, parse_server},
	{UserMappingRelationId, NULL, parse_mapping},
	{ForeignTableRelationId, "topic", parse_topic},
	{ForeignTableRelationId, "kind", parse_kind},
	{ForeignTableRelationId, "key_source", parse_key_source},
	{ForeignTableRelationId, "format", parse_format},
	{ForeignTableRelationId, "key_format", parse_key_format},
	{ForeignTableRelationId, "on_error", parse_on_error},
	{ForeignTableRelationId, "delivery", parse_table_delivery},
	{ForeignTableRelationId, "delimiter", parse_delimiter},
	{ForeignTableRelationId, "quote", parse_quote},
	{ForeignTableRelationId, "escape", parse_escape},
	{ForeignTableRelationId, "null", parse_null},
	{AttributeRelationId, "metadata", parse_metadata},
	{AttributeRelationId, "header", parse_header},
	{AttributeRelationId, "path", parse_path},
	{AttributeRelationId, "epoch", parse_epoch},
	{AttributeRelationId, "key", parse_key},
	{AttributeRelationId, "index", parse_index},
};

/* The option of a level that a wrong name is most like: at most half of its
 * letters wrong, and not more than four. */
static const char *
nearest_option(Oid catalog, const char *name)
{
	const char *nearest = NULL;
	int length = strlen(name);
	int limit = Min(4, length / 2);

	for (int i = 0; i < lengthof(options); i++)
	{
		int distance;

		/* those of librdkafka are found by room kafka */
		if (options[i].catalog != catalog || options[i].name == NULL)
			continue;
		distance = varstr_levenshtein(name, length, options[i].name,
									  strlen(options[i].name), 1, 1, 1, true);
		if (distance > limit)
			continue;
		nearest = options[i].name;
		limit = distance - 1;
	}
	return nearest;
}

static const char *
list_options(Oid catalog)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(options); i++)
		if (options[i].catalog == catalog)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
							 options[i].name);
	return list.data;
}

static void
refuse_option(Oid catalog, const char *name)
{
	const char *nearest = nearest_option(catalog, name);
	const char *list = list_options(catalog);

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 nearest != NULL
				 ? errhint("Perhaps you meant the option \"%s\".", nearest)
			 : list[0] != '\0'
				 ? errhint("Valid options in this context are: %s.", list)
				 : errhint("There are no valid options in this context.")));
}

static void
parse_options(Oid catalog, List *definitions, void *into)
{
	ListCell *cell;

	foreach (cell, definitions)
	{
		DefElem *definition = lfirst_node(DefElem, cell);
		const SqOption *option = NULL;

		for (int i = 0; i < lengthof(options) && option == NULL; i++)
			if (options[i].catalog == catalog &&
				(options[i].name == NULL ||
				 strcmp(options[i].name, definition->defname) == 0))
				option = &options[i];
		if (option == NULL)
			refuse_option(catalog, definition->defname);
		option->parse(definition->defname, defGetString(definition), into);
	}
}

SqServerOptions
sq_feed_option_server(List *definitions)
{
	SqServerOptions server = {.reader = sq_debug_reader};

	parse_options(ForeignServerRelationId, definitions, &server);
	check_server(server.properties);
	return server;
}

List *
sq_feed_option_mapping(List *definitions)
{
	List *properties = NIL;

	parse_options(UserMappingRelationId, definitions, &properties);
	return properties;
}

SqTableOptions
sq_feed_option_table(List *definitions)
{
	SqTableOptions table = {
		.format = SQ_FORMAT_JSON,
		.key_format = SQ_FORMAT_RAW,
		.on_error = SQ_ON_ERROR_STOP,
		.csv = {.delimiter = ',', .quote = '"', .null_text = ""}};

	parse_options(ForeignTableRelationId, definitions, &table);
	check_table(&table);
	return table;
}

SqColumnOptions
sq_feed_option_column(List *definitions)
{
	SqColumnOptions column = {.source = SQ_SOURCE_VALUE};

	parse_options(AttributeRelationId, definitions, &column);
	check_column(&column);
	return column;
}

SqDelivery
sq_feed_option_delivery(DefElem *option)
{
	return PARSE_WORD(option->defname, defGetString(option), deliveries);
}

void
sq_feed_option_wrapper(List *definitions)
{
	parse_options(ForeignDataWrapperRelationId, definitions, NULL);
}
