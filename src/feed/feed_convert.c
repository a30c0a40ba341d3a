/*
 * feed_convert.c
 *		Rows of a feed as Datums.
 *
 * A valid value of a batch becomes a Datum by its lane; a pending one goes
 * through PostgreSQL: the type's input function, or json_populate_record for
 * what a JSON value may hold inside (arrays, composites, domains, json). So
 * these, and their errors, are PostgreSQL's own.
 *
 * Under on_error ignore and set_null every conversion that may fail runs under
 * a guard (feed_guard.c) that turns an error of the data into a text.
 *
 * Memory: values in the current context (the scan's per-tuple context), the
 * converter's caches in the context it was created in. Locks: none.
 */
#include "feed/feed_convert.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "common/int.h"
#include "feed/feed_datum.h"
#include "feed/feed_guard.h"
#include "feed/feed_populate.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* How one attribute is made. */
typedef struct SqTarget
{
	int attr; /* attribute number - 1 */
	const SqAttribute *attribute;
	SqColumn *column; /* of the batch; NULL: not a field */
	FmgrInfo input;   /* of the type */
	Oid ioparam;
	bool leave;           /* valid values stay in the batch */
	SqPopulate *populate; /* SQ_TYPE_JSON columns; made at first use */
} SqTarget;

struct SqConverter
{
	SqFeed *feed;
	MemoryContext context;
	bool guarded;        /* records that don't decode are not errors */
	bool other_encoding; /* the database is not UTF-8 */
	bool *left; /* by attribute: this value of the row is in the batch */
	int ntargets;
	SqTarget *targets;
	SqTarget *error_target; /* the column of metadata error, or NULL */
	SqTarget *current;      /* for the error context */
};

/* ---- Creation ---- */

static void
init_target(SqConverter *c, SqTarget *target, int attr)
{
	SqFeed *feed = c->feed;
	Oid function;

	target->attr = attr;
	target->attribute = &feed->rel->attributes[attr];
	if (feed->columns[attr] < 0)
		return;
	target->column = &feed->batch->columns[feed->columns[attr]];
	if (target->column->type == SQ_TYPE_JSON)
		return;
	getTypeInputInfo(target->attribute->type, &function, &target->ioparam);
	fmgr_info_cxt(function, &target->input, c->context);
}

SqConverter *
sq_feed_converter_create(SqFeed *feed)
{
	SqConverter *c = palloc0(sizeof(SqConverter));
	int a = -1;

	c->feed = feed;
	c->context = CurrentMemoryContext;
	c->guarded = feed->rel->on_error != SQ_ON_ERROR_STOP;
	c->other_encoding = GetDatabaseEncoding() != PG_UTF8;
	c->left = palloc0(feed->rel->nattributes * sizeof(bool));
	c->targets =
		palloc0(Max(bms_num_members(feed->attrs), 1) * sizeof(SqTarget));
	while ((a = bms_next_member(feed->attrs, a)) >= 0)
	{
		SqTarget *target = &c->targets[c->ntargets++];

		init_target(c, target, a);
		if (target->attribute->source == SQ_SOURCE_ERROR)
			c->error_target = target;
	}
	return c;
}

void
sq_feed_converter_leave(SqConverter *c, Bitmapset *attrs)
{
	for (int i = 0; i < c->ntargets; i++)
	{
		SqTarget *target = &c->targets[i];

		target->leave =
			target->column != NULL && bms_is_member(target->attr, attrs) &&
			!(c->other_encoding && target->column->type == SQ_TYPE_TEXT);
	}
}

const bool *
sq_feed_converter_left(const SqConverter *c)
{
	return c->left;
}

/* ---- Texts ---- */

/* Bytes that ought to be UTF-8 as text of the database; throws if not. */
static Datum
text_datum(SqSlice slice)
{
	char *converted = pg_any_to_server(slice.data, slice.length, PG_UTF8);

	if (converted != slice.data)
		return CStringGetTextDatum(converted);
	return PointerGetDatum(cstring_to_text_with_len(slice.data, slice.length));
}

static Datum
bytea_datum(SqSlice slice)
{
	return PointerGetDatum(cstring_to_text_with_len(slice.data, slice.length));
}

/* Raw bytes of a record into a column that is text or bytea. */
static Datum
raw_datum(SqSlice slice, Oid type, bool *isnull)
{
	*isnull = slice.data == NULL;
	if (*isnull)
		return (Datum) 0;
	return type == BYTEAOID ? bytea_datum(slice) : text_datum(slice);
}

/* ---- Values of the batch ---- */

static inline Datum
valid_datum(SqConverter *c, const SqColumn *column, int row)
{
	if (unlikely(c->other_encoding) && column->type == SQ_TYPE_TEXT)
		return text_datum(column->text[row]);
	return sq_feed_column_datum(column, row);
}

/* Throw why a number is not a moment. */
static void
throw_epoch(SqTarget *target, SqSlice number)
{
	SqColumn scratch = *target->column;
	uint64 bits[2] = {0, 0};
	int64 value;
	SqError error;

	scratch.valid = &bits[0];
	scratch.pending = &bits[1];
	scratch.i = &value;
	if (sq_format_epoch(&scratch, 0, number, target->attribute->epoch,
						&error) == SQ_OK)
		/* Not reached: the decoder asked the same function. */
		elog(ERROR, "epoch value was left pending although it converts");
	ereport(ERROR, (errcode(error.sqlstate), errmsg("%s", error.message)));
}

/* Let PostgreSQL convert a value, or say what is wrong with it. */
static Datum
pending_datum(SqConverter *c, SqTarget *target, SqSlice source, bool *isnull)
{
	const SqAttribute *attribute = target->attribute;
	char *server;

	if (attribute->epoch != SQ_EPOCH_NONE)
		throw_epoch(target, source);
	server = pg_any_to_server(source.data, source.length, PG_UTF8);
	if (server == source.data)
		server = pnstrdup(source.data, source.length);
	if (target->column->type != SQ_TYPE_JSON)
		return InputFunctionCall(&target->input, server, target->ioparam,
								 attribute->typmod);
	if (target->populate == NULL)
		target->populate = sq_feed_populate_create(
			attribute->type, attribute->typmod, c->context);
	return sq_feed_populate(target->populate, server, isnull);
}

static Datum
field_datum(SqConverter *c, SqTarget *target, int row, bool *isnull)
{
	const SqColumn *column = target->column;

	*isnull = false;
	c->left[target->attr] = target->leave && sq_bit_get(column->valid, row);
	if (c->left[target->attr])
		return (Datum) 0;
	if (likely(sq_bit_get(column->valid, row)))
		return valid_datum(c, column, row);
	if (sq_bit_get(column->pending, row))
		return pending_datum(c, target, column->text[row], isnull);
	*isnull = true;
	return (Datum) 0;
}

/* ---- Metadata ---- */

bool
sq_feed_record_time(const SqRecord *record, int64 *us)
{
	return !pg_mul_s64_overflow(record->timestamp - SQ_EPOCH_SECONDS * 1000,
								1000, us) &&
		   IS_VALID_TIMESTAMP(*us);
}

bool
sq_feed_source_may_fail(SqAttributeSource source)
{
	switch (source)
	{
		case SQ_SOURCE_TIMESTAMP:
		case SQ_SOURCE_RAW_KEY:
		case SQ_SOURCE_RAW_VALUE:
		case SQ_SOURCE_HEADER:
		case SQ_SOURCE_HEADERS:
			return true;
		default:
			return false;
	}
}

static Datum
timestamp_datum(const SqRecord *record, bool *isnull)
{
	int64 us;

	*isnull = record->timestamp_type == SQ_TIMESTAMP_NONE;
	if (*isnull)
		return (Datum) 0;
	if (!sq_feed_record_time(record, &us))
		ereport(ERROR, (errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
						errmsg("timestamp out of range")));
	return TimestampTzGetDatum(us);
}

static Datum
timestamp_type_datum(const SqRecord *record, bool *isnull)
{
	*isnull = record->timestamp_type == SQ_TIMESTAMP_NONE;
	if (*isnull)
		return (Datum) 0;
	return CStringGetTextDatum(record->timestamp_type == SQ_TIMESTAMP_CREATE
								   ? "CreateTime"
								   : "LogAppendTime");
}

static const SqHeader *
record_headers(SqConverter *c, int *count)
{
	return sq_kafka_set_headers(c->feed->client->set,
								c->feed->first + c->feed->row, count);
}

/* One header by name; the last one wins. */
static Datum
header_datum(SqConverter *c, SqTarget *target, bool *isnull)
{
	int count;
	const SqHeader *headers = record_headers(c, &count);

	for (int i = count - 1; i >= 0; i--)
		if (strcmp(headers[i].name, target->attribute->header) == 0)
			return raw_datum(headers[i].value, target->attribute->type, isnull);
	*isnull = true;
	return (Datum) 0;
}

/* All headers as streamsql.header[], in order. */
static Datum
headers_datum(SqConverter *c, SqTarget *target, bool *isnull)
{
	Oid element = get_element_type(target->attribute->type);
	int count;
	const SqHeader *headers = record_headers(c, &count);
	TupleDesc tupdesc;
	Datum *rows;

	*isnull = count == 0;
	if (*isnull)
		return (Datum) 0;
	tupdesc = lookup_rowtype_tupdesc_copy(element, -1);
	rows = palloc(count * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		Datum values[2];
		bool nulls[2] = {false, false};
		SqSlice name = {headers[i].name, strlen(headers[i].name)};

		values[0] = text_datum(name);
		values[1] = raw_datum(headers[i].value, BYTEAOID, &nulls[1]);
		rows[i] = HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
	}
	return PointerGetDatum(
		construct_array(rows, count, element, -1, false, TYPALIGN_DOUBLE));
}

static Datum
metadata_datum(SqConverter *c, SqTarget *target, bool *isnull)
{
	const SqRecord *record = sq_feed_record(c->feed);

	*isnull = false;
	switch (target->attribute->source)
	{
		case SQ_SOURCE_PARTITION:
			return Int32GetDatum(record->partition);
		case SQ_SOURCE_OFFSET:
			return Int64GetDatum(record->offset);
		case SQ_SOURCE_TIMESTAMP:
			return timestamp_datum(record, isnull);
		case SQ_SOURCE_TIMESTAMP_TYPE:
			return timestamp_type_datum(record, isnull);
		case SQ_SOURCE_RAW_KEY:
			return raw_datum(record->key, target->attribute->type, isnull);
		case SQ_SOURCE_RAW_VALUE:
			return raw_datum(record->value, target->attribute->type, isnull);
		case SQ_SOURCE_HEADER:
			return header_datum(c, target, isnull);
		case SQ_SOURCE_HEADERS:
			return headers_datum(c, target, isnull);
		case SQ_SOURCE_TOPIC:
			return CStringGetTextDatum(c->feed->rel->topic);
		default: /* error, which is set when the row is complete */
			*isnull = true;
			return (Datum) 0;
	}
}

/* ---- Rows ---- */

static inline Datum
target_datum(SqConverter *c, SqTarget *target, bool *isnull)
{
	c->current = target;
	if (target->column != NULL)
		return field_datum(c, target, c->feed->row, isnull);
	return metadata_datum(c, target, isnull);
}

/* Can making this attribute of the current row fail? */
static bool
may_fail(SqConverter *c, SqTarget *target)
{
	const SqColumn *column = target->column;

	if (column != NULL)
		return sq_bit_get(column->pending, c->feed->row) ||
			   (c->other_encoding && column->type == SQ_TYPE_TEXT);
	return sq_feed_source_may_fail(target->attribute->source);
}

/* What a guard runs: one attribute of the current row. */
typedef struct SqAttempt
{
	SqConverter *converter;
	SqTarget *target;
	Datum value;
	bool isnull;
} SqAttempt;

static void
attempt_target(void *arg)
{
	SqAttempt *attempt = arg;

	attempt->value =
		target_datum(attempt->converter, attempt->target, &attempt->isnull);
}

/* Make one attribute; on an error of the data its text, else NULL. */
static const char *
guarded_datum(SqConverter *c, SqTarget *target, Datum *value, bool *isnull)
{
	SqAttempt attempt = {.converter = c, .target = target};
	const char *message = NULL;

	if (may_fail(c, target))
		message = sq_feed_guard(attempt_target, &attempt);
	else
		attempt_target(&attempt);
	*value = attempt.value;
	*isnull = message != NULL || attempt.isnull;
	return message;
}

/* A row where records that don't decode are skipped or set to NULL. */
static bool
convert_guarded(SqConverter *c, Datum *values, bool *nulls)
{
	SqFeed *feed = c->feed;
	bool ignore = feed->rel->on_error == SQ_ON_ERROR_IGNORE;
	const char *error = feed->errors[feed->row];

	if (error != NULL && ignore)
		return false;
	for (int i = 0; i < c->ntargets; i++)
	{
		SqTarget *target = &c->targets[i];
		const char *message = guarded_datum(c, target, &values[target->attr],
											&nulls[target->attr]);

		if (message == NULL)
			continue;
		if (error == NULL)
		{
			feed->stats.decode_errors++;
			error = message;
		}
		if (ignore)
			return false;
	}
	if (c->error_target != NULL && error != NULL)
	{
		values[c->error_target->attr] = CStringGetTextDatum(error);
		nulls[c->error_target->attr] = false;
	}
	return true;
}

static void
convert_context(void *arg)
{
	SqConverter *c = arg;

	sq_feed_errcontext(c->feed->rel, sq_feed_record(c->feed),
					   c->current != NULL ? c->current->attribute->name : NULL);
}

bool
sq_feed_convert_row(SqConverter *c, Datum *values, bool *nulls)
{
	ErrorContextCallback callback = {error_context_stack, convert_context, c};
	bool result = true;

	if (c->ntargets == 0)
		return true;
	error_context_stack = &callback;
	c->current = NULL;
	if (unlikely(c->guarded))
		result = convert_guarded(c, values, nulls);
	else
	{
		for (int i = 0; i < c->ntargets; i++)
		{
			SqTarget *target = &c->targets[i];

			values[target->attr] =
				target_datum(c, target, &nulls[target->attr]);
		}
	}
	error_context_stack = callback.previous;
	return result;
}
