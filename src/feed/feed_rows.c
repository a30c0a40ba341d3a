/*
 * feed_rows.c
 *		Ranges of a topic as rows of decoded batches.
 *
 * A record set of the reader is decoded in batches, so that the decoders' code
 * and tables stay in cache; what needs no decoding is handed out as it is.
 * Under on_error stop a batch ends before a record at fault, and the error is
 * thrown when that record is reached: rows before it are returned first, and
 * LIMIT may never get there.
 *
 * Memory: the feed has a context of its own; decoders are closed and the
 * client is given back by reset callbacks. The batch and the set are used
 * again and again. Locks: none.
 */
#include "feed/feed_rows.h"

#include "feed/feed_wait.h"
#include "guc.h"
#include "utils/memutils.h"

/* ---- Creation ---- */

/* Must records that don't decode be found, whatever is selected? */
static bool
decodes_all(const SqRelation *rel, Bitmapset *attrs)
{
	int a = -1;

	if (rel->on_error != SQ_ON_ERROR_STOP)
		return true;
	while ((a = bms_next_member(attrs, a)) >= 0)
		if (rel->attributes[a].source == SQ_SOURCE_ERROR)
			return true;
	return false;
}

static Bitmapset *
all_attributes(const SqRelation *rel)
{
	Bitmapset *attrs = NULL;

	for (int a = 0; a < rel->nattributes; a++)
		if (rel->attributes[a].source != SQ_SOURCE_NONE)
			attrs = bms_add_member(attrs, a);
	return attrs;
}

static void
close_decoders(void *arg)
{
	SqFeed *feed = arg;

	if (feed->value_decoder != NULL)
		sq_format_close(feed->value_decoder);
	if (feed->key_decoder != NULL)
		sq_format_close(feed->key_decoder);
}

/* Open a decoder for the fields that come from one source, if any. */
static SqDecoder *
open_decoder(SqFeed *feed, SqAttributeSource source, SqFormat format,
			 const SqColumn *columns)
{
	const SqRelation *rel = feed->rel;
	SqFormatSpec spec = {.format = format,
						 .columns = columns,
						 .csv_width = rel->csv_width,
						 .csv = rel->csv};
	SqField *fields = palloc(rel->nattributes * sizeof(SqField));
	int a = -1;

	while ((a = bms_next_member(feed->attrs, a)) >= 0)
	{
		const SqAttribute *attr = &rel->attributes[a];

		if (attr->source != source)
			continue;
		fields[spec.nfields++] = (SqField){.column = feed->columns[a],
										   .position = attr->position,
										   .path = attr->path,
										   .epoch = attr->epoch};
	}
	spec.fields = fields;
	return spec.nfields > 0 ? sq_format_open(&spec) : NULL;
}

/* Give each wanted field a column of the batch, and open the decoders. */
static void
make_batch(SqFeed *feed)
{
	const SqRelation *rel = feed->rel;
	SqColumn *columns = palloc(rel->nattributes * sizeof(SqColumn));
	int ncolumns = 0;

	feed->columns = palloc(rel->nattributes * sizeof(int));
	for (int a = 0; a < rel->nattributes; a++)
	{
		const SqAttribute *attr = &rel->attributes[a];
		SqFormat format =
			attr->source == SQ_SOURCE_KEY ? rel->key_format : rel->format;

		feed->columns[a] = -1;
		if (!bms_is_member(a, feed->attrs) ||
			(attr->source != SQ_SOURCE_VALUE && attr->source != SQ_SOURCE_KEY))
			continue;
		columns[ncolumns] =
			sq_feed_column_for(attr->type, attr->typmod, format);
		feed->columns[a] = ncolumns++;
	}
	feed->batch = sq_batch_create(columns, ncolumns, sq_batch_rows);
	feed->callback.func = close_decoders;
	feed->callback.arg = feed;
	MemoryContextRegisterResetCallback(feed->context, &feed->callback);
	feed->value_decoder =
		open_decoder(feed, SQ_SOURCE_VALUE, rel->format, columns);
	feed->key_decoder =
		open_decoder(feed, SQ_SOURCE_KEY, rel->key_format, columns);
}

SqFeed *
sq_feed_create(const SqRelation *rel, Oid userid, Bitmapset *attrs)
{
	MemoryContext context = AllocSetContextCreate(
		CurrentMemoryContext, "streamsql feed", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	SqFeed *feed = palloc0(sizeof(SqFeed));

	feed->rel = rel;
	feed->userid = userid;
	feed->context = context;
	feed->attrs =
		decodes_all(rel, attrs) ? all_attributes(rel) : bms_copy(attrs);
	make_batch(feed);
	feed->errors =
		palloc0(Max(feed->batch->capacity, SQ_SET_RECORDS) * sizeof(char *));
	MemoryContextSwitchTo(old);
	return feed;
}

/* ---- Reading ---- */

static void
forget_batch(SqFeed *feed)
{
	feed->row = feed->nrows = 0;
	feed->failed = false;
	if (feed->has_errors)
		memset(feed->errors, 0, feed->batch->capacity * sizeof(char *));
	feed->has_errors = false;
	sq_batch_reset(feed->batch);
}

void
sq_feed_start(SqFeed *feed, const SqKafkaRange *ranges, int count)
{
	SqError error;

	forget_batch(feed);
	feed->row = -1;
	if (count == 0)
	{
		sq_feed_stop(feed);
		return;
	}
	if (feed->client == NULL)
		feed->client = sq_feed_client_acquire(feed->rel->serverid, feed->userid,
											  feed->context);
	sq_feed_client_end_set(feed->client);
	if (feed->client->reader == NULL)
		feed->client->reader = sq_kafka_reader_open(
			feed->client->kafka, feed->rel->topic, SQ_SET_RECORDS, &error);
	if (feed->client->reader == NULL ||
		sq_kafka_reader_assign(feed->client->reader, ranges, count, &error) !=
			SQ_OK)
		sq_feed_throw(&error);
}

void
sq_feed_stop(SqFeed *feed)
{
	forget_batch(feed);
	feed->row = -1;
	if (feed->client != NULL)
	{
		sq_feed_client_release(feed->client);
		feed->client = NULL;
	}
}

/* ---- Decoding ---- */

void
sq_feed_errcontext(const SqRelation *rel, const SqRecord *record,
				   const char *column)
{
	errcontext("topic \"%s\", partition %d, offset %lld", rel->topic,
			   record->partition, (long long) record->offset);
	if (column != NULL)
		errcontext("column \"%s\"", column);
}

static SqStatus
decode_record(SqFeed *feed, const SqRecord *record, int row, SqError *error)
{
	SqStatus status = SQ_OK;

	if (feed->key_decoder != NULL)
		status = sq_format_decode(feed->key_decoder, record->key, feed->batch,
								  row, error);
	if (status == SQ_OK && feed->value_decoder != NULL)
		status = sq_format_decode(feed->value_decoder, record->value,
								  feed->batch, row, error);
	return status;
}

static void
keep_error(SqFeed *feed, int row, const SqError *error)
{
	size_t length = strlen(error->message) + 1;
	char *copy = sq_arena_alloc(feed->batch->arena, length);

	memcpy(copy, error->message, length);
	feed->errors[row] = copy;
	feed->has_errors = true;
}

/* Does the failure stop the scan? Only the data's own errors can be skipped. */
static bool
stops_scan(const SqFeed *feed)
{
	return feed->rel->on_error == SQ_ON_ERROR_STOP ||
		   ERRCODE_TO_CATEGORY(feed->failure.sqlstate) ==
			   ERRCODE_INSUFFICIENT_RESOURCES;
}

/* Decode a window of the set, up to a record that stops the scan. */
static void
decode_window(SqFeed *feed, int count)
{
	int row;

	for (row = 0; row < count; row++)
	{
		if (likely(decode_record(feed, &feed->records[row], row,
								 &feed->failure) == SQ_OK))
			continue;
		/* the fields of what did not decode are NULL; a key that did stays */
		feed->stats.decode_errors++;
		feed->failed = stops_scan(feed);
		if (feed->failed)
			break;
		keep_error(feed, row, &feed->failure);
	}
	feed->nrows = feed->batch->nrows = row;
}

static void
failure_context(void *arg)
{
	SqFeed *feed = arg;

	sq_feed_errcontext(feed->rel, &feed->records[feed->nrows], NULL);
}

static void
throw_failure(SqFeed *feed)
{
	ErrorContextCallback callback = {error_context_stack, failure_context,
									 feed};

	error_context_stack = &callback;
	sq_feed_throw(&feed->failure);
}

/* The next window of the set at hand; false at its end. */
static bool
next_window(SqFeed *feed)
{
	const SqRecordSet *set = feed->client->set;
	int count;

	feed->first += feed->nrows;
	forget_batch(feed);
	if (set == NULL || feed->first >= set->count)
		return false;
	count = set->count - feed->first;
	feed->records = set->records + feed->first;
	feed->batches++;
	if (feed->value_decoder == NULL && feed->key_decoder == NULL)
		feed->nrows = count;
	else
		decode_window(feed, Min(count, feed->batch->capacity));
	return true;
}

static void
count_set(SqFeed *feed)
{
	feed->stats.messages += feed->client->set->count;
	feed->stats.bytes += feed->client->set->bytes;
}

/* The next set; false at the end of all ranges. */
static bool
next_set(SqFeed *feed)
{
	feed->first = 0;
	if (!sq_feed_reader_wait(feed->client, feed->rel->topic,
							 &feed->stats.waited))
		return false;
	count_set(feed);
	return true;
}

bool
sq_feed_fetch(SqFeed *feed)
{
	if (feed->failed)
		throw_failure(feed);
	if (feed->client == NULL)
		return false;
	while (!next_window(feed))
	{
		if (next_set(feed))
			continue;
		sq_feed_stop(feed);
		return false;
	}
	if (feed->failed && feed->nrows == 0)
		throw_failure(feed);
	return true;
}

SqStatus
sq_feed_poll(SqFeed *feed)
{
	if (feed->failed)
		throw_failure(feed);
	while (!next_window(feed))
	{
		SqStatus status;

		feed->first = 0;
		status = sq_feed_reader_poll(feed->client);
		if (status != SQ_OK)
			return status;
		count_set(feed);
	}
	if (feed->failed && feed->nrows == 0)
		throw_failure(feed);
	return SQ_OK;
}

int
sq_feed_fd(const SqFeed *feed)
{
	return sq_kafka_reader_fd(feed->client->reader);
}
