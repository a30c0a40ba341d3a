/*
 * kafka_fetch.c
 *		Reading ranges of a topic by Fetch requests of our own.
 *
 * Of each broker that leads partitions with ranges left, one answer is decoded
 * while the next one is under way. What is to be asked next is known before
 * anything is decoded: the headers of the batches say where they end. So an
 * answer is looked through when it comes, the next request goes out, and then
 * its records are decoded where they lie, a part for each record set.
 *
 * An answer begins with the partition that had to wait longest: the first one
 * gets a batch however large, so that each comes forward. Nothing is held on
 * the broker's side: every request says all that it asks (no fetch session).
 *
 * A partition is done with a range when its position (kafka_place.c) has
 * passed it: by records, by batches without any, or because the broker had
 * nothing for it though nothing else filled the answer, and says that the
 * partition ends at or past it. Other errors of a partition than those about
 * its leader end the reading.
 *
 * Memory: malloc. An answer's buffer is held by the record sets that have
 * slices into it, and goes back to the broker's connection. Locks: none.
 */
#include "kafka/kafka_wire.h"

/* Wait for another answer after an error, and for a leader. */
#define RETRY_MS 100
/* How long a broker waits for records that end no range. */
#define SHORT_WAIT_MS 10
#define NOTHING       PG_INT64_MAX
/* What the first answer to an assignment may have, in bytes; each one after it
 * twice as much. Who wants one record does not wait for a thousand. */
#define FIRST_BYTES 131072
/* What brokers say of a partition. */
#define OFFSET_OUT_OF_RANGE 1
#define UNKNOWN_TOPIC       3

typedef struct SqFetchPartition
{
	int64 ask;     /* all before it was received; NOTHING: no more is wanted */
	int64 end;     /* of the partition, as last heard; -1: not known */
	int32 bytes;   /* that it may have of an answer */
	int32 replica; /* a follower that is to be asked, or -1 */
	int64 retry_at;
} SqFetchPartition;

/* What was asked for, in order. */
typedef struct SqAsked
{
	int32 partition;
	int64 offset;
} SqAsked;

/* The records of a partition in an answer. */
typedef struct SqPart
{
	int32 partition;
	bool begun; /* the cursor is in it */
	SqSlice records;
	SqKafkaAborted *aborted; /* malloc'd, or NULL */
	int naborted;
} SqPart;

/* The requests to one broker, and its answer. */
typedef struct SqFetchBroker
{
	SqKafkaBroker *broker;
	uint32 sent; /* the request in flight is ours if the broker's is this */
	SqAsked *asked;
	int nasked;
	int first;       /* the partition that is asked first */
	int32 allowance; /* bytes that the next answer may have */

	SqKafkaBlock *block; /* the answer's memory; NULL: there is none */
	SqPart *parts;
	int nparts;
	int part; /* the one being decoded */
} SqFetchBroker;

typedef struct SqFetcher
{
	SqKafkaSource base; /* must be first */
	SqKafkaWire *wire;
	char *topic;
	int max_records;
	SqKafkaPlaces places;
	SqFetchPartition *partitions; /* by number */
	int npartitions;
	const SqKafkaLeaders *leaders; /* NULL: to be asked for */
	int64 fresh;                   /* leaders from before this time are none */
	int64 renew_at; /* ask for them again at this time; 0: no need */
	SqFetchBroker *brokers;
	int nbrokers;
	bool moved; /* a partition is to be read from a broker that may be new */
	int turn;   /* the broker whose answer is decoded first */
	SqKafkaRecords cursor;
} SqFetcher;

/* ---- What is to be asked ---- */

/* The first offset from here on that a range of the partition wants. */
static int64
next_wanted(const SqKafkaPlace *place, int64 offset)
{
	for (const SqKafkaRange *range = place->range;
		 range != NULL && range < place->ranges_end; range++)
		if (offset < range->end)
			return Max(offset, range->begin);
	return NOTHING;
}

/* The broker that a partition is read from, or NULL: that is not known. */
static SqKafkaBroker *
broker_of(const SqFetcher *fetcher, int partition)
{
	int32 id = fetcher->partitions[partition].replica;

	if (fetcher->leaders == NULL || partition >= fetcher->leaders->count)
		return NULL;
	if (id < 0)
		id = fetcher->leaders->ids[partition];
	return sq_kafka_wire_broker(fetcher->wire, id);
}

static bool
is_wanted(const SqFetcher *fetcher, int partition, int64 now)
{
	return fetcher->places.places[partition].range != NULL &&
		   fetcher->partitions[partition].ask != NOTHING &&
		   fetcher->partitions[partition].retry_at <= now;
}

/* The partitions that a broker is to be asked for, in turn; their number. */
static int
choose_partitions(SqFetcher *fetcher, SqFetchBroker *at, int64 now)
{
	int count = 0;

	for (int i = 0; i < fetcher->places.count; i++)
	{
		int p = (at->first + i) % fetcher->places.count;

		if (is_wanted(fetcher, p, now) && broker_of(fetcher, p) == at->broker)
			at->asked[count++] = (SqAsked){p, fetcher->partitions[p].ask};
	}
	return count;
}

/* Ask for the leaders again before long. */
static void
renew_leaders(SqFetcher *fetcher)
{
	if (fetcher->renew_at == 0)
		fetcher->renew_at = sq_kafka_now() + RETRY_MS / 2;
}

/* ---- Requests ---- */

/* Does somebody follow one of the partitions? */
static bool
follows(const SqFetcher *fetcher, const SqFetchBroker *at)
{
	for (int i = 0; i < at->nasked; i++)
	{
		const SqKafkaPlace *place =
			&fetcher->places.places[at->asked[i].partition];

		if (place->range != NULL && place->ranges_end[-1].end == NOTHING)
			return true;
	}
	return false;
}

static void
write_partition(const SqFetcher *fetcher, const SqAsked *asked, int version,
				SqKafkaOutput *writer)
{
	const SqFetchPartition *partition = &fetcher->partitions[asked->partition];
	bool leader = partition->replica < 0;

	sq_kafka_write_int32(writer, asked->partition);
	if (version >= 9)
		sq_kafka_write_int32(
			writer, leader ? fetcher->leaders->epochs[asked->partition] : -1);
	sq_kafka_write_int64(writer, asked->offset);
	if (version >= 5)
		sq_kafka_write_int64(writer, -1);
	sq_kafka_write_int32(writer, partition->bytes);
}

/* Versions: 4 has transactions, 12 is another encoding. */
static void
write_fetch(const SqFetcher *fetcher, const SqFetchBroker *at, int version,
			SqKafkaOutput *writer)
{
	const SqKafkaFetchLimits *limits = sq_kafka_wire_limits(fetcher->wire);
	int32 wait = follows(fetcher, at) ? limits->wait_ms
									  : Min(limits->wait_ms, SHORT_WAIT_MS);

	sq_kafka_write_int32(writer, -1);
	sq_kafka_write_int32(writer, wait);
	sq_kafka_write_int32(writer, limits->least_bytes);
	sq_kafka_write_int32(writer, at->allowance);
	sq_kafka_write_int8(writer, limits->committed);
	if (version >= 7)
	{
		sq_kafka_write_int32(writer, 0);
		sq_kafka_write_int32(writer, -1);
	}
	sq_kafka_write_count(writer, 1, false);
	sq_kafka_write_string(writer, fetcher->topic, false);
	sq_kafka_write_count(writer, at->nasked, false);
	for (int i = 0; i < at->nasked; i++)
		write_partition(fetcher, &at->asked[i], version, writer);
	if (version >= 7)
		sq_kafka_write_count(writer, 0, false);
	if (version >= 11)
		sq_kafka_write_string(writer, limits->rack, false);
}

static bool
is_in_flight(const SqFetchBroker *at)
{
	return at->nasked > 0 && at->broker->request != 0 &&
		   at->broker->sent == at->sent;
}

static int32
grown_allowance(const SqFetcher *fetcher, const SqFetchBroker *at)
{
	int32 most = sq_kafka_wire_limits(fetcher->wire)->most_bytes;

	return at->allowance < most / 2 ? 2 * at->allowance : most;
}

/* Ask a broker for what it has to give, if that is anything. */
static SqStatus
send_fetch(SqFetcher *fetcher, SqFetchBroker *at, SqError *error)
{
	int64 now = sq_kafka_now();
	SqKafkaConnection *connection;
	SqKafkaOutput *writer;
	SqStatus status;
	int version;
	int count;

	if (at->broker->request != 0 || now < at->broker->silent_until ||
		(count = choose_partitions(fetcher, at, now)) == 0)
		return SQ_WAIT;
	status = sq_kafka_broker_ready(fetcher->wire, at->broker, error);
	/* it may be gone for good, and others lead */
	if (status == SQ_WAIT && at->broker->connection == NULL)
		renew_leaders(fetcher);
	if (status != SQ_OK)
		return status;
	connection = at->broker->connection;
	version = sq_kafka_connection_version(connection, SQ_KAFKA_FETCH, 4, 11);
	if (version < 0)
	{
		fetcher->base.unspoken = true;
		return sq_error_set(error, ERRCODE_FEATURE_NOT_SUPPORTED,
							"Kafka at \"%s\" is too old to be read directly",
							sq_kafka_connection_name(connection));
	}
	writer = sq_kafka_connection_request(connection, SQ_KAFKA_FETCH, version);
	if (writer == NULL)
		return SQ_WAIT;
	at->nasked = count;
	write_fetch(fetcher, at, version, writer);
	at->allowance = grown_allowance(fetcher, at);
	sq_kafka_connection_recycle(
		connection,
		sq_kafka_block_pool_buffer(sq_kafka_wire_pool(fetcher->wire)));
	status = sq_kafka_broker_submit(fetcher->wire, at->broker, error);
	at->sent = at->broker->sent;
	return status;
}

/* ---- Answers ---- */

static void
forget_answer(SqFetchBroker *at)
{
	for (int i = 0; i < at->nparts; i++)
		free(at->parts[i].aborted);
	free(at->parts);
	at->parts = NULL;
	at->nparts = at->part = 0;
	sq_kafka_block_release(at->block);
	at->block = NULL;
}

/* The leader is not who it was: ask again, and the partition later. */
static void
doubt_leader(SqFetcher *fetcher, SqFetchPartition *partition)
{
	partition->replica = -1;
	partition->retry_at = sq_kafka_now() + RETRY_MS;
	renew_leaders(fetcher);
}

/* What a broker says of a partition instead of records. */
static SqStatus
take_code(SqFetcher *fetcher, const SqKafkaPlace *place, int16 code,
		  SqError *error)
{
	SqFetchPartition *partition = &fetcher->partitions[place->id];

	/* a topic that is being made or moved is unknown to some for a while */
	if (code == UNKNOWN_TOPIC || sq_kafka_error_is_transient(code) ||
		(code == OFFSET_OUT_OF_RANGE && partition->replica >= 0))
	{
		doubt_leader(fetcher, partition);
		return SQ_OK;
	}
	if (code == OFFSET_OUT_OF_RANGE)
		return sq_kafka_error_deleted(error, fetcher->topic, place);
	return sq_kafka_error_topic(error, code, fetcher->topic, NULL);
}

/* Nothing came, though a whole batch would have been sent if there was one. */
static void
take_nothing(SqFetcher *fetcher, SqKafkaPlace *place)
{
	SqFetchPartition *partition = &fetcher->partitions[place->id];

	if (partition->end <= partition->ask)
		return;
	sq_kafka_place_advance(&fetcher->places, place, partition->end);
	partition->ask = next_wanted(place, partition->end);
}

/* Know what to ask next: behind the whole batches of these records. */
static void
look_through(SqFetcher *fetcher, const SqKafkaPlace *place, SqSlice records)
{
	SqFetchPartition *partition = &fetcher->partitions[place->id];
	size_t missing;
	int64 end = sq_kafka_records_extent(records, partition->ask, &missing);

	if (missing > 0 && end <= partition->ask)
		partition->bytes = (int32) Min(missing, PG_INT32_MAX);
	partition->ask = next_wanted(place, end);
}

static int
compare_aborted(const void *a, const void *b)
{
	int64 first = ((const SqKafkaAborted *) a)->first;
	int64 second = ((const SqKafkaAborted *) b)->first;

	return (first > second) - (first < second);
}

/* Brokers list them in the order of their ends. */
static bool
read_aborted(SqKafkaCursor *cursor, SqPart *part)
{
	int32 count = sq_kafka_read_count(cursor, false, 16);

	if (count == 0 || cursor->failed)
		return true;
	part->aborted = malloc(count * sizeof(SqKafkaAborted));
	if (part->aborted == NULL)
		return false;
	for (int i = 0; i < count; i++)
	{
		part->aborted[i].producer = sq_kafka_read_int64(cursor);
		part->aborted[i].first = sq_kafka_read_int64(cursor);
	}
	qsort(part->aborted, count, sizeof(SqKafkaAborted), compare_aborted);
	part->naborted = count;
	return true;
}

/* What an answer says of a partition, before its records. */
typedef struct SqPartHead
{
	int32 partition;
	int16 code;
	int64 high;
	int64 stable;
	int32 replica;
} SqPartHead;

static bool
read_part(SqKafkaCursor *cursor, int version, SqPartHead *head, SqPart *part)
{
	head->partition = part->partition = sq_kafka_read_int32(cursor);
	head->code = sq_kafka_read_int16(cursor);
	head->high = sq_kafka_read_int64(cursor);
	head->stable = sq_kafka_read_int64(cursor);
	head->replica = -1;
	if (version >= 5)
		sq_kafka_read_int64(cursor);
	if (!read_aborted(cursor, part))
		return false;
	if (version >= 11)
		head->replica = sq_kafka_read_int32(cursor);
	part->records = sq_kafka_read_bytes(cursor, false);
	return true;
}

/* One that is not kept. */
static void
forget_part(SqPart *part)
{
	free(part->aborted);
	*part = (SqPart){0};
}

/* Take what came of a partition: its records are decoded later. */
static SqStatus
take_part(SqFetcher *fetcher, SqFetchBroker *at, const SqPartHead *head,
		  SqError *error)
{
	const SqKafkaFetchLimits *limits = sq_kafka_wire_limits(fetcher->wire);
	SqPart *part = &at->parts[at->nparts];
	SqFetchPartition *partition;
	SqKafkaPlace *place;

	if (head->partition < 0 || head->partition >= fetcher->places.count)
		return SQ_OK;
	partition = &fetcher->partitions[head->partition];
	place = &fetcher->places.places[head->partition];
	if (place->range == NULL || partition->ask == NOTHING)
		return SQ_OK;
	if (head->code != 0)
		return take_code(fetcher, place, head->code, error);
	/* a follower of an old version has no last stable offset */
	partition->end =
		limits->committed && head->stable >= 0 ? head->stable : head->high;
	if (head->replica >= 0)
	{
		partition->replica = head->replica;
		fetcher->moved = true;
	}
	else if (part->records.length > 0)
	{
		look_through(fetcher, place, part->records);
		at->nparts++;
	}
	else if (head->partition == at->asked[0].partition)
		take_nothing(fetcher, place);
	return SQ_OK;
}

/* Go through an answer; its parts are those with records. */
static SqStatus
read_answer(SqFetcher *fetcher, SqFetchBroker *at, const SqKafkaFrame *frame,
			SqError *error)
{
	SqKafkaCursor cursor = sq_kafka_cursor(frame->body);
	SqStatus status = SQ_OK;
	int32 count;
	int16 code = 0;

	at->broker->silent_until = sq_kafka_now() + sq_kafka_read_int32(&cursor);
	if (frame->version >= 7)
	{
		code = sq_kafka_read_int16(&cursor);
		sq_kafka_read_int32(&cursor);
	}
	if (code != 0 && !sq_kafka_error_is_transient(code))
		return sq_kafka_error_topic(error, code, fetcher->topic, NULL);
	count = sq_kafka_read_count(&cursor, false, 6);
	if (count > 0)
		sq_kafka_read_string(&cursor, false);
	count = count > 0 ? sq_kafka_read_count(&cursor, false, 30) : 0;
	/* one more: what is read before it is known to be kept */
	at->parts = calloc(count + 1, sizeof(SqPart));
	if (at->parts == NULL)
		return sq_kafka_error_memory(error);
	for (int i = 0; i < count && status == SQ_OK && !cursor.failed; i++)
	{
		SqPartHead head;

		if (!read_part(&cursor, frame->version, &head, &at->parts[at->nparts]))
			return sq_kafka_error_memory(error);
		if (!cursor.failed)
			status = take_part(fetcher, at, &head, error);
		forget_part(&at->parts[at->nparts]);
	}
	if (cursor.failed)
		sq_kafka_broker_fail(fetcher->wire, at->broker,
							 "an answer could not be read");
	return status;
}

/* Receive an answer, if it is there and the one before it was decoded. */
static SqStatus
receive_answer(SqFetcher *fetcher, SqFetchBroker *at, SqError *error)
{
	SqKafkaFrame frame;
	SqStatus status;

	if (at->block != NULL || !is_in_flight(at))
		return SQ_WAIT;
	status = sq_kafka_broker_receive(fetcher->wire, at->broker, &frame, error);
	if (status != SQ_OK)
		return status;
	at->block =
		sq_kafka_block_wrap(sq_kafka_wire_pool(fetcher->wire), frame.buffer);
	if (at->block == NULL)
		return sq_kafka_error_memory(error);
	status = read_answer(fetcher, at, &frame, error);
	if (at->nparts == 0 || status != SQ_OK)
		forget_answer(at);
	/* what had to wait longest comes first */
	at->first = at->asked[Min(1, at->nasked - 1)].partition;
	return status;
}

/* ---- Records ---- */

static void
begin_part(SqFetcher *fetcher, SqPart *part, const SqKafkaPlace *place)
{
	const SqKafkaFetchLimits *limits = sq_kafka_wire_limits(fetcher->wire);
	SqKafkaRecordsInput input = {
		.topic = fetcher->topic,
		.partition = part->partition,
		.bytes = part->records,
		.begin = Max(place->position, place->range->begin),
		.end = place->range->end,
		.check_crcs = limits->check_crcs,
		.aborted = part->aborted,
		.naborted = part->naborted,
		.limit = limits->batch_bytes,
		.pool = sq_kafka_wire_pool(fetcher->wire),
	};

	part->begun = true;
	sq_kafka_records_begin(&fetcher->cursor, &input);
}

/* Records of the part at hand into the set; the part is left behind when it
 * has no more. */
static SqStatus
decode_part(SqFetcher *fetcher, SqFetchBroker *at, SqKafkaWireSet *set,
			SqError *error)
{
	SqPart *part = &at->parts[at->part];
	SqKafkaPlace *place = &fetcher->places.places[part->partition];
	SqStatus status;

	if (place->range == NULL)
	{
		at->part++;
		return SQ_OK;
	}
	if (!part->begun)
		begin_part(fetcher, part, place);
	status = sq_kafka_records_next(&fetcher->cursor, &set->fill,
								   &fetcher->base.unspoken, error);
	if (status == SQ_ERROR)
		return SQ_ERROR;
	/* of the next range there may be more in here */
	if (sq_kafka_place_advance(&fetcher->places, place,
							   fetcher->cursor.position))
	{
		if (place->range != NULL)
			sq_kafka_records_range(&fetcher->cursor, place->range->begin,
								   place->range->end);
	}
	else if (status == SQ_DONE)
		at->part++;
	return SQ_OK;
}

/* A small answer may be large when it is decompressed: a set has no more than
 * an answer may have, and the rest of a batch. */
static bool
is_full(const SqFetcher *fetcher, const SqKafkaWireSet *set)
{
	return set->fill.count >= set->fill.max ||
		   set->fill.held >
			   (size_t) sq_kafka_wire_limits(fetcher->wire)->most_bytes;
}

/* Records into the set until it is full or the answer is through. */
static SqStatus
fill_set(SqFetcher *fetcher, SqFetchBroker *at, SqKafkaWireSet *set,
		 SqError *error)
{
	while (at->part < at->nparts && !is_full(fetcher, set))
	{
		if (!sq_kafka_wire_set_ready(set))
			return sq_kafka_error_memory(error);
		if (decode_part(fetcher, at, set, error) == SQ_OK)
			continue;
		/* what came before it is handed out first: it will be met again */
		if (set->fill.count == 0)
			return SQ_ERROR;
		break;
	}
	if (set->fill.count > 0)
		sq_kafka_wire_set_hold(set, at->block);
	return SQ_OK;
}

/* The next answer to be decoded: that of the broker whose turn it is. */
static SqFetchBroker *
find_answer(SqFetcher *fetcher)
{
	for (int i = 0; i < fetcher->nbrokers; i++)
	{
		SqFetchBroker *at =
			&fetcher->brokers[(fetcher->turn + i) % fetcher->nbrokers];

		if (at->block != NULL)
			return at;
	}
	return NULL;
}

/* Fill the set from answers that are here; SQ_WAIT: none has records. */
static SqStatus
decode(SqFetcher *fetcher, SqKafkaWireSet *set, SqError *error)
{
	SqFetchBroker *at;

	while ((at = find_answer(fetcher)) != NULL)
	{
		if (fill_set(fetcher, at, set, error) != SQ_OK)
			return SQ_ERROR;
		if (set->fill.count > 0)
			return SQ_OK;
		forget_answer(at);
		fetcher->turn = (int) (at - fetcher->brokers + 1) % fetcher->nbrokers;
	}
	return SQ_WAIT;
}

/* ---- Leaders ---- */

/* Nothing was asked of a broker for this assignment so far; there is room for
 * as many partitions as there are places. */
static bool
start_broker(const SqFetcher *fetcher, SqFetchBroker *at)
{
	SqAsked *asked =
		realloc(at->asked, Max(fetcher->places.count, 1) * sizeof(SqAsked));

	if (asked == NULL)
		return false;
	at->asked = asked;
	at->allowance =
		Min(FIRST_BYTES, sq_kafka_wire_limits(fetcher->wire)->most_bytes);
	return true;
}

static bool
add_broker(SqFetcher *fetcher, SqKafkaBroker *broker)
{
	SqFetchBroker *grown = realloc(fetcher->brokers, (fetcher->nbrokers + 1) *
														 sizeof(SqFetchBroker));

	if (grown == NULL)
		return false;
	fetcher->brokers = grown;
	grown[fetcher->nbrokers] = (SqFetchBroker){.broker = broker};
	return start_broker(fetcher, &grown[fetcher->nbrokers++]);
}

/* Have an entry for each broker that partitions are read from; come back for
 * those that nobody leads. */
static SqStatus
find_brokers(SqFetcher *fetcher, SqError *error)
{
	fetcher->moved = false;
	for (int p = 0; p < fetcher->places.count; p++)
	{
		SqKafkaBroker *broker = broker_of(fetcher, p);
		bool known = false;

		if (fetcher->places.places[p].range == NULL)
			continue;
		if (broker == NULL)
		{
			fetcher->partitions[p].replica = -1;
			renew_leaders(fetcher);
			continue;
		}
		for (int i = 0; i < fetcher->nbrokers && !known; i++)
			known = fetcher->brokers[i].broker == broker;
		if (!known && !add_broker(fetcher, broker))
			return sq_kafka_error_memory(error);
	}
	return SQ_OK;
}

/* Know who leads what; SQ_WAIT: not yet. */
static SqStatus
find_leaders(SqFetcher *fetcher, SqError *error)
{
	int64 now = sq_kafka_now();
	SqStatus status;

	if (fetcher->renew_at != 0 && now >= fetcher->renew_at)
	{
		fetcher->leaders = NULL;
		fetcher->fresh = now;
		fetcher->renew_at = 0;
	}
	if (fetcher->leaders != NULL)
		return fetcher->moved ? find_brokers(fetcher, error) : SQ_OK;
	status = sq_kafka_wire_leaders(fetcher->wire, fetcher->topic,
								   fetcher->fresh, &fetcher->leaders, error);
	return status == SQ_OK ? find_brokers(fetcher, error) : status;
}

/* ---- Steps ---- */

/* Let every broker have a request under way. */
static SqStatus
send_all(SqFetcher *fetcher, SqError *error)
{
	for (int i = 0; i < fetcher->nbrokers && fetcher->leaders != NULL; i++)
		if (send_fetch(fetcher, &fetcher->brokers[i], error) == SQ_ERROR)
			return SQ_ERROR;
	return SQ_OK;
}

/* Take the answers that are there; SQ_WAIT: there is none. */
static SqStatus
receive_all(SqFetcher *fetcher, SqError *error)
{
	SqStatus all = SQ_WAIT;

	for (int i = 0; i < fetcher->nbrokers; i++)
	{
		SqStatus status = receive_answer(fetcher, &fetcher->brokers[i], error);

		if (status == SQ_ERROR)
			return SQ_ERROR;
		if (status == SQ_OK)
			all = SQ_OK;
	}
	return all;
}

/* Is there something to be asked of it? */
static bool
is_needed(const SqFetcher *fetcher, const SqKafkaBroker *broker, int64 now)
{
	for (int p = 0; p < fetcher->places.count; p++)
		if (is_wanted(fetcher, p, now) && broker_of(fetcher, p) == broker)
			return true;
	return false;
}

/* When something is to be done though nothing comes. */
static int64
next_time(const SqFetcher *fetcher)
{
	int64 now = sq_kafka_now();
	int64 at = fetcher->renew_at != 0 ? fetcher->renew_at : NOTHING;

	for (int p = 0; p < fetcher->places.count; p++)
		if (fetcher->places.places[p].range != NULL &&
			fetcher->partitions[p].retry_at > now)
			at = Min(at, fetcher->partitions[p].retry_at);
	for (int i = 0; i < fetcher->nbrokers; i++)
	{
		const SqKafkaBroker *broker = fetcher->brokers[i].broker;

		if (broker->silent_until > now)
			at = Min(at, broker->silent_until);
		if (broker->connection == NULL && is_needed(fetcher, broker, now))
			at = Min(at, broker->retry_at);
	}
	return fetcher->leaders == NULL ? Min(at, now + RETRY_MS) : at;
}

/* Fill the set with what is here or comes: SQ_OK, SQ_WAIT, SQ_DONE or
 * SQ_ERROR. */
static SqStatus
work(SqFetcher *fetcher, SqKafkaWireSet *set, SqError *error)
{
	SqStatus received = SQ_OK;
	SqStatus status;

	while ((status = decode(fetcher, set, error)) == SQ_WAIT)
	{
		if (fetcher->places.unfinished == 0)
			return SQ_DONE;
		if (received != SQ_OK)
			break;
		if (find_leaders(fetcher, error) == SQ_ERROR ||
			(received = receive_all(fetcher, error)) == SQ_ERROR ||
			send_all(fetcher, error) == SQ_ERROR)
			return SQ_ERROR;
	}
	if (status == SQ_WAIT)
		sq_kafka_wire_await(fetcher->wire, next_time(fetcher));
	return status;
}

static SqStatus
next(SqKafkaSource *base, SqRecordSet **set, SqError *error)
{
	SqFetcher *fetcher = (SqFetcher *) base;
	SqKafkaWireSet *filled;
	SqStatus status;

	fetcher->base.unspoken = false;
	filled = sq_kafka_wire_set_take(fetcher->wire, fetcher->max_records);
	if (filled == NULL)
		return sq_kafka_error_memory(error);
	status = work(fetcher, filled, error);
	*set = sq_kafka_wire_set_finish(filled);
	if (status == SQ_OK)
		return SQ_OK;
	sq_kafka_set_release(*set);
	*set = NULL;
	return status;
}

/* ---- Assignment ---- */

/* Forget what was read and asked for. */
static void
give_up(SqFetcher *fetcher)
{
	for (int i = 0; i < fetcher->nbrokers; i++)
	{
		SqFetchBroker *at = &fetcher->brokers[i];

		forget_answer(at);
		/* the answer to a request that nobody has is dropped */
		if (is_in_flight(at))
			at->broker->request = 0;
		at->nasked = at->first = 0;
	}
}

static SqStatus
make_partitions(SqFetcher *fetcher, SqError *error)
{
	int count = fetcher->places.count;
	SqFetchPartition *partitions =
		realloc(fetcher->partitions, Max(count, 1) * sizeof(SqFetchPartition));

	if (partitions == NULL)
		return sq_kafka_error_memory(error);
	fetcher->partitions = partitions;
	for (int p = 0; p < count; p++)
	{
		const SqKafkaPlace *place = &fetcher->places.places[p];

		partitions[p] = (SqFetchPartition){
			.ask = next_wanted(place, place->position),
			.end = -1,
			.bytes = sq_kafka_wire_limits(fetcher->wire)->partition_bytes,
			.replica = -1};
	}
	for (int i = 0; i < fetcher->nbrokers; i++)
		if (!start_broker(fetcher, &fetcher->brokers[i]))
			return sq_kafka_error_memory(error);
	return SQ_OK;
}

static SqStatus
assign(SqKafkaSource *base, const SqKafkaRange *ranges, int count,
	   SqError *error)
{
	SqFetcher *fetcher = (SqFetcher *) base;

	give_up(fetcher);
	if (sq_kafka_places_assign(&fetcher->places, ranges, count, error) !=
			SQ_OK ||
		make_partitions(fetcher, error) != SQ_OK)
		return SQ_ERROR;
	/* for other partitions there may be other brokers */
	fetcher->leaders = NULL;
	return SQ_OK;
}

/* ---- The others ---- */

static int
fetcher_fd(const SqKafkaSource *base)
{
	return sq_kafka_wire_fd(((const SqFetcher *) base)->wire);
}

static int
progress(const SqKafkaSource *base, SqKafkaProgress *progress, int max)
{
	const SqFetcher *fetcher = (const SqFetcher *) base;
	int count = 0;

	for (int p = 0; p < fetcher->places.count && count < max; p++)
	{
		const SqKafkaPlace *place = &fetcher->places.places[p];

		if (place->range != NULL)
			progress[count++] = (SqKafkaProgress){p, place->position,
												  fetcher->partitions[p].end};
	}
	return count;
}

static bool
close_fetcher(SqKafkaSource *base)
{
	SqFetcher *fetcher = (SqFetcher *) base;

	give_up(fetcher);
	for (int i = 0; i < fetcher->nbrokers; i++)
		free(fetcher->brokers[i].asked);
	sq_kafka_records_end(&fetcher->cursor);
	sq_kafka_places_free(&fetcher->places);
	free(fetcher->brokers);
	free(fetcher->partitions);
	free(fetcher->topic);
	free(fetcher);
	return true;
}

static const SqKafkaSourceOps ops = {assign, next, fetcher_fd, progress,
									 close_fetcher};

SqKafkaSource *
sq_kafka_fetch_open(SqKafkaClient *client, const char *topic, int max_records,
					SqError *error)
{
	SqFetcher *fetcher = calloc(1, sizeof(SqFetcher));

	if (fetcher == NULL || (fetcher->topic = strdup(topic)) == NULL)
	{
		free(fetcher);
		sq_kafka_error_memory(error);
		return NULL;
	}
	fetcher->base.ops = &ops;
	fetcher->wire = client->wire;
	fetcher->max_records = max_records;
	sq_kafka_wire_tidy(fetcher->wire);
	return &fetcher->base;
}
