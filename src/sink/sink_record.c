/*
 * sink_record.c
 *		Rows of a foreign table as the records that would be read as them.
 *
 * An encoder has sorted the columns of its relation once: those of the value,
 * those of the key, headers, and metadata. A row then fills a draft, whose key
 * and value lie in two buffers that are used again for the next row.
 *
 * Memory: what is made for a row in a context that the next row resets. Locks:
 * none.
 */
#include "sink/sink_record.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "sink/sink_internal.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* Between PostgreSQL's epoch and Kafka's, in microseconds. */
#define EPOCH_US                                                               \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Columns of one kind, by number - 1. */
typedef struct SqColumnList
{
	int count;
	int *numbers;
} SqColumnList;

struct SqEncoder
{
	const SqRelation *rel;
	MemoryContext row_context;
	SqSinkColumn *value_columns;
	int nvalues;
	SqSinkColumn *key_columns;
	int nkeys;
	SqSinkDocument value_document; /* format json */
	SqSinkDocument key_document;   /* key_format json */
	SqSinkCsv csv;                 /* format csv */
	SqColumnList headers;          /* option header */
	SqColumnList given;            /* what Kafka gives */
	int partition;                 /* metadata; -1: there is no such column */
	int timestamp;
	int raw_key;
	int raw_value;
	int header_array;
	StringInfoData key;
	StringInfoData value;
	SqHeader *header_space;
	int header_capacity;
	SqKafkaDraft draft;
};

/* ---- Making ---- */

static void
add_number(SqColumnList *list, int number, int most)
{
	if (list->numbers == NULL)
		list->numbers = palloc(most * sizeof(int));
	list->numbers[list->count++] = number;
}

static void
sort_column(SqEncoder *encoder, int number)
{
	const SqRelation *rel = encoder->rel;
	const SqAttribute *attribute = &rel->attributes[number];

	if (attribute->key)
		sq_sink_column_init(&encoder->key_columns[encoder->nkeys++], attribute,
							number);
	switch (attribute->source)
	{
		case SQ_SOURCE_VALUE:
			sq_sink_column_init(&encoder->value_columns[encoder->nvalues++],
								attribute, number);
			break;
		case SQ_SOURCE_HEADER:
			add_number(&encoder->headers, number, rel->nattributes);
			break;
		case SQ_SOURCE_PARTITION:
			encoder->partition = number;
			break;
		case SQ_SOURCE_TIMESTAMP:
			encoder->timestamp = number;
			break;
		case SQ_SOURCE_RAW_KEY:
			encoder->raw_key = number;
			break;
		case SQ_SOURCE_RAW_VALUE:
			encoder->raw_value = number;
			break;
		case SQ_SOURCE_HEADERS:
			encoder->header_array = number;
			break;
		case SQ_SOURCE_OFFSET:
		case SQ_SOURCE_TIMESTAMP_TYPE:
		case SQ_SOURCE_TOPIC:
		case SQ_SOURCE_ERROR:
			add_number(&encoder->given, number, rel->nattributes);
			break;
		default:
			break;
	}
}

SqEncoder *
sq_sink_encoder_create(const SqRelation *rel, TupleDesc descriptor)
{
	SqEncoder *encoder = palloc0(sizeof(SqEncoder));
	Size size = (rel->nattributes + 1) * sizeof(SqSinkColumn);

	encoder->rel = rel;
	encoder->row_context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql record", ALLOCSET_DEFAULT_SIZES);
	encoder->value_columns = palloc0(size);
	encoder->key_columns = palloc0(size);
	encoder->partition = encoder->timestamp = -1;
	encoder->raw_key = encoder->raw_value = encoder->header_array = -1;
	for (int a = 0; a < rel->nattributes; a++)
		sort_column(encoder, a);
	if (rel->format == SQ_FORMAT_JSON)
		encoder->value_document =
			sq_sink_document(encoder->value_columns, encoder->nvalues);
	if (rel->key_format == SQ_FORMAT_JSON || encoder->nkeys > 1)
		encoder->key_document =
			sq_sink_document(encoder->key_columns, encoder->nkeys);
	if (rel->format == SQ_FORMAT_CSV)
		sq_sink_csv_init(&encoder->csv, &rel->csv);
	initStringInfo(&encoder->key);
	initStringInfo(&encoder->value);
	return encoder;
}

/* ---- Metadata ---- */

static const char *
name_of(const SqEncoder *encoder, int number)
{
	return encoder->rel->attributes[number].name;
}

/* What Kafka gives can't be given by others; but for the topic, which is that
 * of the relation. */
static void
check_given(const SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < encoder->given.count; i++)
	{
		int number = encoder->given.numbers[i];
		const SqAttribute *attribute = &encoder->rel->attributes[number];

		if (nulls[number] || (attribute->source == SQ_SOURCE_TOPIC &&
							  strcmp(TextDatumGetCString(values[number]),
									 encoder->rel->topic) == 0))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot insert a non-NULL value into column \"%s\"",
						attribute->name),
				 attribute->source == SQ_SOURCE_ERROR
					 ? errdetail("Only records that are read have an error.")
					 : errdetail("Kafka gives the %s of a record.",
								 sq_feed_option_metadata(attribute->source))));
	}
}

static int32
partition_of(const SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	int32 partition;

	if (encoder->partition < 0 || nulls[encoder->partition])
		return -1;
	partition = DatumGetInt32(values[encoder->partition]);
	if (partition < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("column \"%s\" must not be negative",
							   name_of(encoder, encoder->partition)),
						errdetail("It is the number of a partition.")));
	return partition;
}

/* Milliseconds since 1970, rounded; 0: now. */
static int64
timestamp_of(const SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	Timestamp moment;
	int64 us = 0;

	if (encoder->timestamp < 0 || nulls[encoder->timestamp])
		return 0;
	moment = DatumGetTimestampTz(values[encoder->timestamp]);
	if (!TIMESTAMP_NOT_FINITE(moment) && moment < PG_INT64_MAX - EPOCH_US - 500)
		us = moment + EPOCH_US + 500;
	if (us < 1000)
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("column \"%s\" is out of range",
							   name_of(encoder, encoder->timestamp)),
						errdetail("The timestamp of a record is after 1970, "
								  "and finite.")));
	return us / 1000;
}

/* ---- Headers ---- */

static SqHeader *
next_header(SqEncoder *encoder)
{
	if (encoder->draft.header_count == encoder->header_capacity)
	{
		MemoryContext old =
			MemoryContextSwitchTo(GetMemoryChunkContext(encoder));

		encoder->header_capacity = Max(8, 2 * encoder->header_capacity);
		encoder->header_space = sq_base_resize(
			encoder->header_space, encoder->header_capacity * sizeof(SqHeader));
		MemoryContextSwitchTo(old);
	}
	return &encoder->header_space[encoder->draft.header_count++];
}

static void
refuse_header(const SqEncoder *encoder)
{
	ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					errmsg("column \"%s\" has a header without a name",
						   name_of(encoder, encoder->header_array))));
}

/* One element of the array of headers. */
static void
add_element(SqEncoder *encoder, Datum element)
{
	HeapTupleHeader row = DatumGetHeapTupleHeader(element);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(row),
						   .t_data = row};
	TupleDesc descriptor = lookup_rowtype_tupdesc(
		HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
	Datum values[2];
	bool nulls[2];
	SqHeader *header;
	SqSlice name;

	heap_deform_tuple(&tuple, descriptor, values, nulls);
	ReleaseTupleDesc(descriptor);
	if (nulls[0])
		refuse_header(encoder);
	header = next_header(encoder);
	name = sq_sink_bytes(TEXTOID, values[0]);
	header->name = pnstrdup(name.data, name.length);
	header->value =
		nulls[1] ? SQ_NULL_SLICE : sq_sink_bytes(BYTEAOID, values[1]);
}

static void
add_array(SqEncoder *encoder, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	int16 length;
	bool by_value;
	char align;
	Datum *elements;
	bool *nulls;
	int count;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			refuse_header(encoder);
		add_element(encoder, elements[i]);
	}
}

static bool
same_slice(SqSlice a, SqSlice b)
{
	return a.data != NULL && a.length == b.length &&
		   memcmp(a.data, b.data, a.length) == 0;
}

/* Is this what the last header of its name says already? So a row that was
 * read by both ways does not get headers twice. */
static bool
is_said(const SqEncoder *encoder, const char *name, SqSlice value)
{
	for (int i = encoder->draft.header_count - 1; i >= 0; i--)
		if (strcmp(encoder->header_space[i].name, name) == 0)
			return same_slice(encoder->header_space[i].value, value);
	return false;
}

static void
encode_headers(SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	if (encoder->header_array >= 0 && !nulls[encoder->header_array])
		add_array(encoder, values[encoder->header_array]);
	for (int i = 0; i < encoder->headers.count; i++)
	{
		int number = encoder->headers.numbers[i];
		const SqAttribute *attribute = &encoder->rel->attributes[number];
		SqSlice value;

		if (nulls[number])
			continue;
		value = sq_sink_bytes(attribute->type, values[number]);
		if (!is_said(encoder, attribute->header, value))
			*next_header(encoder) = (SqHeader){attribute->header, value};
	}
	encoder->draft.headers = encoder->header_space;
}

/* ---- Key and value ---- */

static SqSlice
buffer_slice(const StringInfoData *buffer)
{
	return (SqSlice){buffer->data, buffer->len};
}

/* A value as it is, or its text. */
static SqSlice
encode_raw(StringInfo buffer, SqSinkColumn *column, Datum value)
{
	Oid type = getBaseType(column->attribute->type);

	if (column->attribute->epoch == SQ_EPOCH_NONE && type == BYTEAOID)
		return sq_sink_bytes(type, value);
	column->text(buffer, column, value);
	return buffer_slice(buffer);
}

/* The number of key columns that are NULL; of a table none may be. */
static int
count_null_keys(const SqEncoder *encoder, const bool *nulls)
{
	int count = 0;

	for (int i = 0; i < encoder->nkeys; i++)
	{
		if (!nulls[encoder->key_columns[i].number])
			continue;
		count++;
		if (encoder->rel->kind == SQ_KIND_TABLE)
			ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
							errmsg("null value in key column \"%s\"",
								   encoder->key_columns[i].attribute->name),
							errdetail("A record without a key is no row of a "
									  "table.")));
	}
	return count;
}

/* By the key columns. Several of them without a format that could hold them
 * are those of a table whose key is in the value: any form of them will do, as
 * long as equal keys look the same. */
static SqSlice
encode_key(SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	if (count_null_keys(encoder, nulls) == encoder->nkeys)
		return SQ_NULL_SLICE;
	if (encoder->rel->key_format == SQ_FORMAT_RAW && encoder->nkeys == 1)
		return encode_raw(&encoder->key, encoder->key_columns,
						  values[encoder->key_columns[0].number]);
	sq_sink_document_write(&encoder->key, &encoder->key_document, values,
						   nulls);
	return buffer_slice(&encoder->key);
}

static SqSlice
key_of(SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	int raw = encoder->raw_key;
	SqSlice key = encode_key(encoder, values, nulls);

	if (raw < 0 || nulls[raw])
		return key;
	if (key.data != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot insert a non-NULL value into column \"%s\"",
						name_of(encoder, raw)),
				 errdetail("The key of the record is given by column \"%s\".",
						   encoder->key_columns[0].attribute->name)));
	return sq_sink_bytes(encoder->rel->attributes[raw].type, values[raw]);
}

/* A payload that is given as it is leaves nothing to others. */
static SqSlice
given_value(const SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	int raw = encoder->raw_value;

	for (int i = 0; i < encoder->nvalues; i++)
		if (!nulls[encoder->value_columns[i].number])
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot insert a non-NULL value into column \"%s\"",
						name_of(encoder, raw)),
				 errdetail("Part of the value of the record is given by column "
						   "\"%s\".",
						   encoder->value_columns[i].attribute->name)));
	return sq_sink_bytes(encoder->rel->attributes[raw].type, values[raw]);
}

static SqSlice
null_value(const SqEncoder *encoder)
{
	if (encoder->rel->kind == SQ_KIND_TABLE)
		ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
						errmsg("cannot write a row without a value"),
						errdetail("In a table it would delete its key."),
						errhint("Use DELETE.")));
	return SQ_NULL_SLICE;
}

static SqSlice
value_of(SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	const SqRelation *rel = encoder->rel;
	StringInfo buffer = &encoder->value;

	if (encoder->raw_value >= 0 && !nulls[encoder->raw_value])
		return given_value(encoder, values, nulls);
	if (encoder->raw_value >= 0 && encoder->nvalues == 0)
		return null_value(encoder);
	switch (rel->format)
	{
		case SQ_FORMAT_JSON:
			sq_sink_document_write(buffer, &encoder->value_document, values,
								   nulls);
			break;
		case SQ_FORMAT_CSV:
			sq_sink_csv_write(buffer, &encoder->csv, encoder->value_columns,
							  encoder->nvalues, values, nulls);
			break;
		case SQ_FORMAT_RAW:
			if (encoder->nvalues == 0 ||
				nulls[encoder->value_columns[0].number])
				return null_value(encoder);
			return encode_raw(buffer, encoder->value_columns,
							  values[encoder->value_columns[0].number]);
	}
	return buffer_slice(buffer);
}

/* ---- The door ---- */

/* Begin a record, in the context of rows; the context before. */
static MemoryContext
begin_record(SqEncoder *encoder)
{
	MemoryContextReset(encoder->row_context);
	resetStringInfo(&encoder->key);
	resetStringInfo(&encoder->value);
	encoder->draft = (SqKafkaDraft){.partition = -1};
	return MemoryContextSwitchTo(encoder->row_context);
}

const SqKafkaDraft *
sq_sink_encode_row(SqEncoder *encoder, const Datum *values, const bool *nulls)
{
	MemoryContext old = begin_record(encoder);
	SqKafkaDraft *draft = &encoder->draft;

	check_given(encoder, values, nulls);
	draft->partition = partition_of(encoder, values, nulls);
	draft->timestamp = timestamp_of(encoder, values, nulls);
	encode_headers(encoder, values, nulls);
	draft->key = key_of(encoder, values, nulls);
	draft->value = value_of(encoder, values, nulls);
	MemoryContextSwitchTo(old);
	return draft;
}

const SqKafkaDraft *
sq_sink_encode_tombstone(SqEncoder *encoder, const Datum *values,
						 const bool *nulls)
{
	MemoryContext old = begin_record(encoder);

	encoder->draft.key = encode_key(encoder, values, nulls);
	MemoryContextSwitchTo(old);
	return &encoder->draft;
}
