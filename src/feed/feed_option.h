/*
 * feed_option.h
 *		The options of servers, user mappings, tables and columns.
 *
 * Each level has one function that turns a list of DefElem, as the catalogs
 * and GetForeign...() give it, into a struct, throwing what is wrong with it:
 * 	HV00D	an option that this level does not know or may not have
 *	22023	a value that the option can't take, or options that exclude each
 *			other
 *	0A000	a value that a later version will take
 *	HV002	a required option that is missing
 * The validator calls them to check, the loader to read: one rule, one place.
 * Results are palloc'd in the current context; texts that meet Kafka's bytes
 * (header names, paths, csv's null) are UTF-8 whatever the database's encoding.
 */
#ifndef SQ_FEED_OPTION_H
#define SQ_FEED_OPTION_H

#include "postgres.h"

#include "feed/feed_relation.h"
#include "nodes/parsenodes.h"

/* An option of a server or a user mapping: a librdkafka property. */
typedef struct SqServerOption
{
	const char *option; /* as written in SQL */
	const char *name;   /* as librdkafka spells it */
	const char *value;
	int flags; /* SQ_PROPERTY_... */
} SqServerOption;

typedef struct SqServerOptions
{
	List *properties; /* of SqServerOption */
	SqKafkaReaderKind reader;
} SqServerOptions;

typedef struct SqTableOptions
{
	const char *topic;
	SqKind kind;
	SqKeySource key_source;
	bool has_key_source;
	SqFormat format;
	SqFormat key_format;
	SqOnError on_error;
	SqDelivery delivery;
	bool has_delivery;
	SqCsvOptions csv;       /* its defaults unless format is csv */
	const char *csv_option; /* one of csv's options that was given, or NULL */
} SqTableOptions;

typedef struct SqColumnOptions
{
	SqAttributeSource source; /* VALUE unless an option says otherwise */
	const char *header;
	bool has_path;
	SqPath path;
	SqEpoch epoch;
	bool index;
} SqColumnOptions;

/* Properties are by no means checked for the rights of anybody: the validator
 * does that once, when somebody sets them. */
extern SqServerOptions sq_feed_option_server(List *options);
/* A list of SqServerOption. */
extern List *sq_feed_option_mapping(List *options);
extern SqTableOptions sq_feed_option_table(List *options);
extern SqColumnOptions sq_feed_option_column(List *options);
/* The value of an option "delivery". */
extern SqDelivery sq_feed_option_delivery(DefElem *option);
/* The word of option delivery that stands for one. */
extern const char *sq_feed_option_delivery_word(SqDelivery delivery);
/* The wrapper itself has no options: throws if there is one. */
extern void sq_feed_option_wrapper(List *options);

/* The word of option metadata that stands for a source. */
extern const char *sq_feed_option_metadata(SqAttributeSource source);

#endif
