/*
 * keyed_loader.c
 *		Keeping one table: from its topic into its rows, for ever.
 *
 * A loader asks where the partitions begin and end, decides where to go on,
 * and then reads without an end, applying what comes. It never waits: a step
 * does what can be done now, so that one worker keeps many tables.
 *
 * Going on. For each partition the loader knows the offset after the last
 * record it applied, and a checksum of that record (its mark). It knows them
 * from this process, from shared memory (another worker kept the table
 * before), or from a snapshot file. Reading begins at the mark, whose record
 * must be the same: another one, or a partition that ends before, or begins
 * after what was applied, means that the topic is not the one the rows came
 * from or that records are missing, and the table begins again from nothing.
 * A mark that compaction has removed can't be checked and is believed.
 *
 * What is applied is published when nothing more is there, or every few
 * milliseconds; then positions are stored, then waiting readers are woken.
 *
 * Errors. A step catches what it throws. What was applied before is published
 * and stays. Trouble with the connection is tried again and leaves a table that
 * was ready as it is, only older; everything else (a record that can't be
 * decoded under on_error stop, a missing topic, refused access) makes the
 * state error until it goes away. When memory is full the record at hand waits
 * until there is room.
 *
 * Values are converted with the rights of the table's owner, who wrote the
 * definition: a domain's check may run anybody's function.
 *
 * Memory: the loader's context; a child of it, run, holds all that an error
 * ends (client, feed, batch). Locks: the registry's, to store the identity.
 */
#include "keyed/keyed_internal.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define SLICE_MS         20
#define CHECK_MS         10000
#define FULL_RETRY_MS    200
#define BACKOFF_MIN_MS   250
#define BACKOFF_MAX_MS   10000
#define NOTHING_TO_DO_MS 1000
/* The reader is asked again and again while records are known to be missing:
 * it must be, to wake a broker's thread that fell asleep over a full queue. */
#define ASK_MIN_MS 2
#define ASK_MAX_MS 100

typedef enum SqPhase
{
	SQ_PHASE_REST, /* until retry_at */
	SQ_PHASE_ASK,  /* where the partitions begin and end */
	SQ_PHASE_READ
} SqPhase;

struct SqKeyedLoader
{
	int number;
	const SqKeyedShape *shape;
	Oid owner;
	MemoryContext context;
	SqTableWriter *writer;
	SqKeyedProgress progress;
	SqPhase phase;
	TimestampTz retry_at;
	int backoff_ms;
	int64 stuck_at; /* sum of positions at the last error that lasts */
	bool begun;     /* positions are those of the rows */
	bool was_ready; /* since it last began from nothing */

	SqTablePosition *positions; /* by number of partition */
	int npositions;
	bool moved;   /* positions or state, since they were published */
	bool applied; /* a record was, since then */

	/* until the next error or restart: in run */
	MemoryContext run;
	SqFeedClient *asking;
	SqFeed *feed;
	SqConverter *converter;
	MemoryContext row_context;
	Datum *values;
	bool *nulls;
	SqTableCell *cells;
	SqTableCell key[SQ_TABLE_KEY_COLUMNS];
	int64 *targets;        /* by partition: loaded when it is there */
	bool *verify;          /* by partition: the mark comes next */
	const SqRecord **last; /* by partition: of the window, last applied */
	bool in_window;        /* rows of the feed's batch are to be applied */
	int64 counted_errors;  /* of the feed's, in progress already */
	TimestampTz check_at;
	int ask_ms; /* how long to leave the reader alone */
};

/* ---- Publishing ---- */

static void
count_progress(SqKeyedLoader *loader)
{
	SqKeyedProgress *progress = &loader->progress;

	progress->done = progress->total = progress->lag = 0;
	for (int p = 0; p < loader->npositions; p++)
	{
		const SqTablePosition *position = &loader->positions[p];
		int64 end = Max(position->end, position->next);

		progress->done += position->next - position->begin;
		progress->total += end - position->begin;
		progress->lag += end - position->next;
	}
}

static void
tell(SqKeyedLoader *loader)
{
	count_progress(loader);
	sq_keyed_tell(loader->number, &loader->progress);
}

/* Show readers what was applied. */
static void
publish(SqKeyedLoader *loader)
{
	SqError error;

	sq_table_publish(loader->writer);
	if (sq_table_positions_write(loader->writer, loader->positions,
								 loader->npositions, &error) != SQ_OK)
	{
		loader->progress.state = SQ_KEYED_FULL;
		strlcpy(loader->progress.last_error, error.message,
				SQ_KEYED_ERROR_TEXT);
	}
	loader->moved = false;
	if (loader->applied)
		loader->progress.last_applied = GetCurrentTimestamp();
	loader->applied = false;
	tell(loader);
}

/* ---- Beginning ---- */

static void
make_identity(const SqKeyedLoader *loader, const char *cluster,
			  SqTableIdentity *identity)
{
	const SqKeyedShape *shape = loader->shape;

	memset(identity, 0, sizeof(*identity));
	identity->length = snprintf(
		identity->bytes, sizeof(identity->bytes),
		"streamsql 1, system " UINT64_FORMAT
		", database %u, relation %u, definition %016llx%016llx, topic %s, "
		"cluster %s",
		GetSystemIdentifier(), MyDatabaseId, shape->rel->relid,
		(unsigned long long) shape->fingerprint[0],
		(unsigned long long) shape->fingerprint[1], shape->rel->topic,
		cluster != NULL ? cluster : "");
	identity->length =
		Min(identity->length, (uint32) sizeof(identity->bytes) - 1);
}

static void
forget_positions(SqKeyedLoader *loader)
{
	if (loader->positions != NULL)
		pfree(loader->positions);
	loader->positions = NULL;
	loader->npositions = 0;
}

/* Begin again from nothing. */
static void
forget_contents(SqKeyedLoader *loader, const char *why)
{
	ereport(LOG, (errmsg("table %u of database %u is loaded again: %s",
						 loader->shape->rel->relid, MyDatabaseId, why)));
	loader->progress.state = SQ_KEYED_LOADING;
	loader->was_ready = false;
	tell(loader);
	sq_table_clear(loader->writer);
	forget_positions(loader);
	publish(loader);
}

/* Another worker may have kept this table before. */
static void
take_over(SqKeyedLoader *loader)
{
	SqTableArena *arena = sq_keyed_registry->arena;
	int count = sq_table_positions_read(arena, loader->number,
										sq_keyed_reader(), NULL, 0);

	loader->positions = MemoryContextAllocZero(
		loader->context, Max(count, 1) * sizeof(SqTablePosition));
	loader->npositions = sq_table_positions_read(
		arena, loader->number, sq_keyed_reader(), loader->positions, count);
}

static void
restore_file(SqKeyedLoader *loader, const SqTableIdentity *identity)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[loader->number];
	MemoryContext old = MemoryContextSwitchTo(loader->context);
	SqTablePosition *positions = NULL;
	int npositions = 0;
	char *why;

	if (sq_keyed_file_restore(loader->number, loader->writer, identity,
							  &positions, &npositions, &why))
	{
		forget_positions(loader);
		loader->positions = positions;
		loader->npositions = npositions;
		/* the file has this state: it need not be written */
		entry->saved_sequence =
			sq_table_stats(sq_keyed_registry->arena, loader->number).sequence;
		entry->saved_at = GetCurrentTimestamp();
	}
	else if (why != NULL)
		ereport(LOG, (errmsg("snapshot file of table %u of database %u is not "
							 "used: %s",
							 loader->shape->rel->relid, MyDatabaseId, why)));
	MemoryContextSwitchTo(old);
}

/* Make rows and positions those to go on from. */
static void
begin_contents(SqKeyedLoader *loader, const char *cluster)
{
	SqKeyedEntry *entry = &sq_keyed_registry->entries[loader->number];
	SqTableIdentity identity;
	bool other;

	make_identity(loader, cluster, &identity);
	other =
		entry->identity.length > 0 &&
		(entry->identity.length != identity.length ||
		 memcmp(entry->identity.bytes, identity.bytes, identity.length) != 0);
	if (other)
		forget_contents(loader, "its cluster is another one");
	else if (!loader->begun && entry->identity.length == 0)
		restore_file(loader, &identity);
	else if (!loader->begun)
		take_over(loader);
	loader->begun = true;
	LWLockAcquire(sq_keyed_registry->lock, LW_EXCLUSIVE);
	entry->identity = identity;
	LWLockRelease(sq_keyed_registry->lock);
}

/* Why can reading not go on from here, or NULL. */
static const char *
why_not(const SqTablePosition *position, const SqKafkaWatermark *mark)
{
	if (position->next > mark->high)
		return psprintf("partition %d of its topic ends at offset %lld, "
						"before what was read",
						mark->partition, (long long) mark->high);
	if (position->next < mark->low)
		return psprintf("records of partition %d of its topic from offset "
						"%lld on were deleted before they were read",
						mark->partition, (long long) position->next);
	return NULL;
}

/* Have a position for every partition, beginning again if need be. */
static void
place_positions(SqKeyedLoader *loader, const SqKafkaWatermark *marks, int count)
{
	SqTablePosition *positions;

	for (int p = 0; p < loader->npositions; p++)
	{
		const char *why = p < count
							  ? why_not(&loader->positions[p], &marks[p])
							  : "its topic has fewer partitions than before";

		if (why == NULL)
			continue;
		forget_contents(loader, why);
		break;
	}
	positions = MemoryContextAllocZero(loader->context,
									   Max(count, 1) * sizeof(SqTablePosition));
	for (int p = 0; p < count; p++)
	{
		if (p < loader->npositions)
			positions[p] = loader->positions[p];
		else
			positions[p] = (SqTablePosition){.partition = marks[p].partition,
											 .mark = -1,
											 .begin = marks[p].low,
											 .next = marks[p].low};
		positions[p].end = marks[p].high;
	}
	forget_positions(loader);
	loader->positions = positions;
	loader->npositions = count;
}

/* ---- Reading ---- */

static void
prepare_run(SqKeyedLoader *loader)
{
	const SqKeyedShape *shape = loader->shape;
	const SqRelation *rel = shape->rel;
	int count = Max(loader->npositions, 1);
	Bitmapset *all = NULL;
	Bitmapset *leave = NULL;

	for (int a = 0; a < rel->nattributes; a++)
	{
		if (shape->places[a].column < 0)
			continue;
		all = bms_add_member(all, a);
		if (!sq_keyed_shape_wants_datum(shape, a))
			leave = bms_add_member(leave, a);
	}
	loader->feed = sq_feed_create(rel, loader->owner, all);
	loader->converter = sq_feed_converter_create(loader->feed);
	sq_feed_converter_leave(loader->converter, leave);
	loader->row_context = AllocSetContextCreate(
		loader->run, "streamsql table row", ALLOCSET_DEFAULT_SIZES);
	loader->values = palloc0(rel->nattributes * sizeof(Datum));
	loader->nulls = palloc0(rel->nattributes * sizeof(bool));
	loader->cells = palloc0(shape->layout->ncolumns * sizeof(SqTableCell));
	for (int c = 0; c < shape->layout->ncolumns; c++)
		loader->cells[c].null = true;
	loader->targets = palloc0(count * sizeof(int64));
	loader->verify = palloc0(count * sizeof(bool));
	loader->last = palloc0(count * sizeof(SqRecord *));
	loader->counted_errors = 0;
	loader->in_window = false;
}

/* The answer is there: read from where the table is. */
static void
start_reading(SqKeyedLoader *loader)
{
	int count;
	const SqKafkaWatermark *marks =
		sq_kafka_call_watermarks(loader->asking->call, &count);
	char *cluster = sq_kafka_client_cluster(loader->asking->kafka);
	char *copy = cluster != NULL ? pstrdup(cluster) : NULL;
	SqKafkaRange *ranges = palloc(Max(count, 1) * sizeof(SqKafkaRange));

	free(cluster);
	begin_contents(loader, copy);
	place_positions(loader, marks, count);
	prepare_run(loader);
	for (int p = 0; p < count; p++)
	{
		SqTablePosition *position = &loader->positions[p];

		loader->targets[p] = marks[p].high;
		loader->verify[p] = position->mark >= marks[p].low;
		ranges[p] = (SqKafkaRange){.partition = marks[p].partition,
								   .begin = loader->verify[p] ? position->mark
															  : position->next,
								   .end = PG_INT64_MAX};
	}
	sq_feed_client_end_call(loader->asking);
	sq_feed_client_release(loader->asking);
	loader->asking = NULL;
	sq_feed_start(loader->feed, ranges, count);
	sq_keyed_poll_once(sq_feed_fd(loader->feed));
	loader->check_at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CHECK_MS);
	loader->phase = SQ_PHASE_READ;
	publish(loader);
}

static void
ask(SqKeyedLoader *loader, SqFeedClient *client)
{
	SqError error;

	client->call = sq_kafka_ask_watermarks(
		client->kafka, loader->shape->rel->topic, sq_broker_timeout, &error);
	if (client->call == NULL)
		sq_feed_throw(&error);
	sq_keyed_poll_once(sq_kafka_call_fd(client->call));
}

/* The answer, if there is one; throws what the cluster says. */
static bool
is_answered(SqFeedClient *client)
{
	SqError error;

	sq_feed_client_check(client);
	switch (sq_kafka_call_poll(client->call, &error))
	{
		case SQ_OK:
			return true;
		case SQ_WAIT:
			sq_keyed_poll_once(sq_kafka_call_fd(client->call));
			return false;
		default:
			client->broken = ERRCODE_TO_CATEGORY(error.sqlstate) ==
							 ERRCODE_CONNECTION_EXCEPTION;
			sq_feed_throw(&error);
			pg_unreachable();
	}
}

/* ---- Applying ---- */

static uint32
record_checksum(const SqRecord *record)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &record->timestamp, sizeof(record->timestamp));
	COMP_CRC32C(crc, record->key.data, record->key.length);
	COMP_CRC32C(crc, record->value.data, record->value.length);
	FIN_CRC32C(crc);
	return crc;
}

/* The window's last records become marks, while they are there. */
static void
end_window(SqKeyedLoader *loader)
{
	for (int p = 0; p < loader->npositions; p++)
	{
		if (loader->last[p] == NULL)
			continue;
		loader->positions[p].mark = loader->last[p]->offset;
		loader->positions[p].mark_checksum = record_checksum(loader->last[p]);
		loader->last[p] = NULL;
	}
	loader->in_window = false;
}

/* The values of the current row as cells. False: it is to be skipped. */
static bool
make_cells(SqKeyedLoader *loader)
{
	const SqKeyedShape *shape = loader->shape;
	const bool *left = sq_feed_converter_left(loader->converter);
	SqFeed *feed = loader->feed;

	if (!sq_feed_convert_row(loader->converter, loader->values, loader->nulls))
		return false;
	for (int a = 0; a < shape->rel->nattributes; a++)
	{
		SqTableCell *cell;

		if (shape->places[a].column < 0)
			continue;
		cell = &loader->cells[shape->places[a].column];
		cell->null = loader->nulls[a];
		if (cell->null)
			continue;
		if (left[a])
			sq_keyed_shape_take(shape, a,
								&feed->batch->columns[feed->columns[a]],
								feed->row, cell);
		else
			sq_keyed_shape_store(shape, a, loader->values[a], cell);
	}
	sq_keyed_shape_images(shape, loader->values, loader->cells);
	return true;
}

/* The cells of the key; false if one is NULL. */
static bool
make_key(SqKeyedLoader *loader)
{
	const SqTableIndexSpec *spec = &loader->shape->layout->indexes[0];

	for (int i = 0; i < spec->ncolumns; i++)
	{
		loader->key[i] = loader->cells[spec->columns[i]];
		if (loader->key[i].null)
			return false;
	}
	return true;
}

/* Apply the record at hand; false if there is no memory for it. */
static bool
apply_record(SqKeyedLoader *loader, const SqRecord *record)
{
	SqKeyedProgress *progress = &loader->progress;
	SqError error;

	if (!make_cells(loader))
		return true;
	if (!make_key(loader))
		progress->skipped_null_key++;
	else if (record->value.data == NULL)
		progress->deleted += sq_table_delete(loader->writer, loader->key);
	else if (sq_table_put(loader->writer, loader->cells, &error) == SQ_OK)
		progress->applied++;
	else
	{
		strlcpy(progress->last_error, error.message, SQ_KEYED_ERROR_TEXT);
		return false;
	}
	return true;
}

/* A record from before the position: it was applied already, but must be what
 * it was. */
static void
verify_mark(SqKeyedLoader *loader, const SqRecord *record)
{
	const SqTablePosition *position = &loader->positions[record->partition];

	if (record->offset == position->mark &&
		record_checksum(record) != position->mark_checksum)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION),
				 errmsg("offset %lld of partition %d of its topic has another "
						"record than before",
						(long long) record->offset, record->partition)));
}

/* Apply what is left of the feed's batch; false if memory is full. */
static bool
apply_window(SqKeyedLoader *loader)
{
	SqFeed *feed = loader->feed;
	MemoryContext old = MemoryContextSwitchTo(loader->row_context);
	bool room = true;

	memset(loader->nulls, true, loader->shape->rel->nattributes);
	for (; feed->row < feed->nrows && room; feed->row++)
	{
		const SqRecord *record = sq_feed_record(feed);
		SqTablePosition *position = &loader->positions[record->partition];

		if (unlikely(record->offset < position->next))
		{
			verify_mark(loader, record);
			continue;
		}
		MemoryContextReset(loader->row_context);
		room = apply_record(loader, record);
		if (!room)
			break;
		position->next = record->offset + 1;
		loader->last[record->partition] = record;
		loader->moved = loader->applied = true;
	}
	MemoryContextSwitchTo(old);
	loader->progress.decode_errors +=
		feed->stats.decode_errors - loader->counted_errors;
	loader->counted_errors = feed->stats.decode_errors;
	if (room)
		end_window(loader);
	return room;
}

/* ---- Steps ---- */

/* Nothing more is there: what the broker said of ends counts as read. */
static void
take_ends(SqKeyedLoader *loader)
{
	SqKafkaProgress *ends =
		palloc(Max(loader->npositions, 1) * sizeof(SqKafkaProgress));
	int count = sq_kafka_reader_progress(loader->feed->client->reader, ends,
										 loader->npositions);

	for (int i = 0; i < count; i++)
	{
		SqTablePosition *position = &loader->positions[ends[i].partition];

		if (ends[i].position > position->next)
		{
			position->next = ends[i].position;
			loader->moved = true;
		}
		if (ends[i].end > position->end)
			position->end = ends[i].end;
	}
	pfree(ends);
}

static bool
is_loaded(const SqKeyedLoader *loader)
{
	for (int p = 0; p < loader->npositions; p++)
		if (loader->positions[p].next < loader->targets[p])
			return false;
	return true;
}

/* How far all partitions are. */
static int64
sum_positions(const SqKeyedLoader *loader)
{
	int64 sum = 0;

	for (int p = 0; p < loader->npositions; p++)
		sum += loader->positions[p].next;
	return sum;
}

/* The state after something went well. An error is over when what it stood
 * before was passed. */
static void
settle_state(SqKeyedLoader *loader)
{
	SqKeyedState before = loader->progress.state;

	if (before == SQ_KEYED_ERROR && !is_loaded(loader) &&
		sum_positions(loader) <= loader->stuck_at)
		return;

	if (!loader->was_ready && is_loaded(loader))
		loader->was_ready = true;
	loader->progress.state =
		loader->was_ready ? SQ_KEYED_READY : SQ_KEYED_LOADING;
	loader->backoff_ms = 0;
	if (before != loader->progress.state)
		loader->moved = true;
	if (loader->progress.last_error[0] != '\0')
	{
		loader->progress.last_error[0] = '\0';
		loader->moved = true;
	}
}

static void
run_again(SqKeyedLoader *loader, int delay_ms)
{
	loader->asking = NULL;
	loader->feed = NULL;
	loader->in_window = false;
	/* a step may be in it */
	if (CurrentMemoryContext == loader->run ||
		CurrentMemoryContext == loader->row_context)
		MemoryContextSwitchTo(loader->context);
	loader->row_context = NULL;
	if (loader->run != NULL)
		MemoryContextDelete(loader->run);
	loader->run = NULL;
	loader->phase = SQ_PHASE_REST;
	loader->retry_at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay_ms);
}

/* The answer to a check in mid reading: has the topic changed? */
static void
take_check(SqKeyedLoader *loader)
{
	SqFeedClient *client = loader->feed->client;
	int count;
	const SqKafkaWatermark *marks;
	bool same;

	if (client->call == NULL)
	{
		if (GetCurrentTimestamp() >= loader->check_at)
			ask(loader, client);
		return;
	}
	if (!is_answered(client))
		return;
	marks = sq_kafka_call_watermarks(client->call, &count);
	same = count == loader->npositions;
	for (int p = 0; p < count && same; p++)
		same = why_not(&loader->positions[p], &marks[p]) == NULL;
	sq_feed_client_end_call(client);
	loader->check_at =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CHECK_MS);
	if (!same)
		run_again(loader, 0);
}

/* When to ask the reader again if it says nothing. */
static long
until_ask(SqKeyedLoader *loader)
{
	if (loader->progress.lag == 0)
		return NOTHING_TO_DO_MS;
	loader->ask_ms = Min(Max(loader->ask_ms * 2, ASK_MIN_MS), ASK_MAX_MS);
	return loader->ask_ms;
}

static long
read_slice(SqKeyedLoader *loader)
{
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SLICE_MS);
	SqStatus status = SQ_OK;
	bool room = true;

	do
	{
		if (!loader->in_window)
			status = sq_feed_poll(loader->feed);
		if (status != SQ_OK)
			break;
		loader->in_window = true;
		loader->ask_ms = 0;
		room = apply_window(loader);
	} while (room && GetCurrentTimestamp() < end);
	if (status == SQ_WAIT)
	{
		sq_keyed_poll_once(sq_feed_fd(loader->feed));
		take_ends(loader);
		count_progress(loader);
	}
	if (room)
		settle_state(loader);
	else if (loader->progress.state != SQ_KEYED_FULL)
	{
		loader->progress.state = SQ_KEYED_FULL;
		loader->moved = true;
	}
	if (loader->moved)
		publish(loader);
	if (status != SQ_OK)
		take_check(loader);
	if (!room)
	{
		sq_table_reclaim(loader->writer);
		return FULL_RETRY_MS;
	}
	if (status == SQ_OK || loader->phase != SQ_PHASE_READ)
		return 0;
	return Min(sq_table_reclaim(loader->writer) ? SLICE_MS : NOTHING_TO_DO_MS,
			   until_ask(loader));
}

static long
advance(SqKeyedLoader *loader)
{
	switch (loader->phase)
	{
		case SQ_PHASE_REST:
			loader->run = AllocSetContextCreate(
				loader->context, "streamsql loading", ALLOCSET_DEFAULT_SIZES);
			MemoryContextSwitchTo(loader->run);
			loader->asking = sq_feed_client_acquire(
				loader->shape->rel->serverid, loader->owner, loader->run);
			ask(loader, loader->asking);
			loader->phase = SQ_PHASE_ASK;
			return NOTHING_TO_DO_MS;
		case SQ_PHASE_ASK:
			MemoryContextSwitchTo(loader->run);
			if (!is_answered(loader->asking))
				return NOTHING_TO_DO_MS;
			start_reading(loader);
			return 0;
		default:
			MemoryContextSwitchTo(loader->run);
			return read_slice(loader);
	}
}

/* ---- Errors ---- */

/* Does trying again help, sooner or later? */
static bool
is_transient(int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_CONNECTION_EXCEPTION ||
		   category == ERRCODE_INSUFFICIENT_RESOURCES ||
		   category == ERRCODE_OPERATOR_INTERVENTION ||
		   sqlstate == ERRCODE_FDW_ERROR;
}

static void
describe(const ErrorData *error, char *into)
{
	StringInfoData all;
	StringInfoData line;

	initStringInfo(&all);
	appendStringInfoString(&all, error->message);
	if (error->detail != NULL)
		appendStringInfo(&all, " (%s)", error->detail);
	if (error->context != NULL)
		appendStringInfo(&all, "\n%s", error->context);
	initStringInfo(&line);
	for (const char *c = all.data; *c != '\0'; c++)
	{
		if (*c == '\n')
			appendStringInfoString(&line, ", ");
		else
			appendStringInfoChar(&line, *c);
	}
	/* not cut in the middle of a character */
	line.data[pg_mbcliplen(line.data, line.len, SQ_KEYED_ERROR_TEXT - 1)] =
		'\0';
	strlcpy(into, line.data, SQ_KEYED_ERROR_TEXT);
	pfree(all.data);
	pfree(line.data);
}

/* After an error was caught: keep what was applied, say why, try again. */
static void
recover(SqKeyedLoader *loader, const ErrorData *error)
{
	char before[SQ_KEYED_ERROR_TEXT];

	strlcpy(before, loader->progress.last_error, sizeof(before));
	if (loader->in_window)
		end_window(loader);
	if (error->sqlerrcode == ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION)
	{
		forget_contents(loader, error->message);
		run_again(loader, 0);
		return;
	}
	describe(error, loader->progress.last_error);
	if (!is_transient(error->sqlerrcode))
	{
		loader->progress.state = SQ_KEYED_ERROR;
		loader->stuck_at = sum_positions(loader);
	}
	if (strcmp(before, loader->progress.last_error) != 0)
		ereport(LOG, (errmsg("table %u of database %u: %s",
							 loader->shape->rel->relid, MyDatabaseId,
							 loader->progress.last_error)));
	publish(loader);
	loader->backoff_ms =
		Min(Max(loader->backoff_ms * 2, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
	run_again(loader, loader->backoff_ms);
}

/* A step in a transaction of its own, with the owner's rights. */
static long
guarded_step(SqKeyedLoader *loader)
{
	Oid user;
	int security;
	long next;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(loader->owner, security |
											  SECURITY_LOCAL_USERID_CHANGE |
											  SECURITY_RESTRICTED_OPERATION);
	next = advance(loader);
	SetUserIdAndSecContext(user, security);
	PopActiveSnapshot();
	MemoryContextSwitchTo(loader->context);
	CommitTransactionCommand();
	return next;
}

long
sq_keyed_loader_step(SqKeyedLoader *loader)
{
	MemoryContext old = CurrentMemoryContext;
	TimestampTz now = GetCurrentTimestamp();
	volatile long next = 0;

	if (loader->phase == SQ_PHASE_REST && now < loader->retry_at)
		return TimestampDifferenceMilliseconds(now, loader->retry_at);
	PG_TRY();
	{
		next = guarded_step(loader);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(loader->context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(loader->context);
		recover(loader, error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return next;
}

/* ---- Life ---- */

SqKeyedLoader *
sq_keyed_loader_create(int number, const SqKeyedShape *shape, Oid owner,
					   MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	SqKeyedLoader *loader = palloc0(sizeof(SqKeyedLoader));

	loader->number = number;
	loader->shape = shape;
	loader->owner = owner;
	loader->context = context;
	loader->progress = sq_keyed_progress(number);
	/* a worker before may have left it so */
	loader->was_ready = loader->progress.state == SQ_KEYED_READY;
	loader->writer =
		sq_table_writer_open(sq_keyed_registry->arena, number, shape->layout);
	MemoryContextSwitchTo(old);
	return loader;
}

void
sq_keyed_loader_restart(SqKeyedLoader *loader, Oid owner)
{
	loader->owner = owner;
	if (loader->in_window)
		end_window(loader);
	if (loader->progress.state == SQ_KEYED_ERROR)
	{
		/* its reason may be gone: who reads waits for what comes of it */
		loader->progress.state = SQ_KEYED_LOADING;
		loader->progress.last_error[0] = '\0';
		loader->moved = true;
	}
	if (loader->moved)
		publish(loader);
	loader->backoff_ms = 0;
	run_again(loader, 0);
}

int
sq_keyed_loader_number(const SqKeyedLoader *loader)
{
	return loader->number;
}

void
sq_keyed_loader_close(SqKeyedLoader *loader)
{
	if (loader->in_window)
		end_window(loader);
	if (loader->moved)
		publish(loader);
	run_again(loader, 0);
	sq_table_writer_close(loader->writer);
	MemoryContextDelete(loader->context);
}
