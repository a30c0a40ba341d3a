/*
 * kafka_records.c
 *		Record batches as records, where they lie.
 *
 * A batch has a header of 61 bytes, the checksum of what follows the checksum,
 * and records of fields that are varints. Those of an uncompressed batch are
 * found in the answer itself; others are decompressed first, whole.
 *
 * Under read_committed the answer says which transactions in it were aborted.
 * A producer is one of an aborted transaction from that one's first offset up
 * to the marker (a control batch) that ends it; its batches in between are
 * passed over. Control batches are never handed out.
 *
 * Memory: malloc; the list of producers, and the block of the batch at hand.
 * Locks: none.
 */
#include "kafka/kafka_records.h"

#include "port/pg_crc32c.h"

/* Where fields of a batch's header are. */
enum
{
	BATCH_OFFSET = 0,
	BATCH_LENGTH = 8,
	BATCH_MAGIC = 16,
	BATCH_CRC = 17,
	BATCH_ATTRIBUTES = 21,
	BATCH_LAST_DELTA = 23,
	BATCH_TIMESTAMP = 27,
	BATCH_MAX_TIMESTAMP = 35,
	BATCH_PRODUCER = 43,
	BATCH_COUNT = 57,
	BATCH_HEADER = 61
};

/* What is before the length's bytes, and what all formats have. */
#define LENGTH_END 12
#define MAGIC_END  17

#define ATTRIBUTE_CODEC         0x07
#define ATTRIBUTE_APPEND_TIME   0x08
#define ATTRIBUTE_TRANSACTIONAL 0x10
#define ATTRIBUTE_CONTROL       0x20

#define MARKER_ABORT 0

/* ---- Fields ---- */

static int16
int16_at(const char *at)
{
	uint16 value;

	memcpy(&value, at, sizeof(value));
	return (int16) pg_ntoh16(value);
}

static int32
int32_at(const char *at)
{
	uint32 value;

	memcpy(&value, at, sizeof(value));
	return (int32) pg_ntoh32(value);
}

static int64
int64_at(const char *at)
{
	uint64 value;

	memcpy(&value, at, sizeof(value));
	return (int64) pg_ntoh64(value);
}

/* A varint of more than two bytes; NULL: it ends behind the end, or never. */
static const char *
long_varint(const char *at, const char *end, uint64 *value)
{
	*value = 0;
	for (int shift = 0; shift < 70; shift += 7)
	{
		uint8 byte;

		if (at == end)
			return NULL;
		byte = (uint8) *at++;
		*value |= (uint64) (byte & 0x7F) << Min(shift, 63);
		if (byte < 0x80)
			return at;
	}
	return NULL;
}

/* A signed varint (zigzag): what follows it, or NULL. */
static inline const char *
read_varint(const char *at, const char *end, int64 *value)
{
	uint64 raw;

	if (likely(end - at >= 2 && (int8) at[0] >= 0))
		raw = (uint8) *at++;
	else if (likely(end - at >= 2 && (int8) at[1] >= 0))
	{
		raw = ((uint8) at[0] & 0x7F) | (uint64) (uint8) at[1] << 7;
		at += 2;
	}
	else if ((at = long_varint(at, end, &raw)) == NULL)
		return NULL;
	*value = (int64) (raw >> 1) ^ -(int64) (raw & 1);
	return at;
}

/* Bytes behind their length, -1 for none: what follows them, or NULL. */
static inline const char *
read_slice(const char *at, const char *end, SqSlice *slice)
{
	int64 length;

	at = read_varint(at, end, &length);
	if (at == NULL || length > end - at || length < -1)
		return NULL;
	if (length < 0)
	{
		*slice = (SqSlice){NULL, 0};
		return at;
	}
	*slice = (SqSlice){at, (size_t) length};
	return at + length;
}

/* ---- Batches ---- */

/* The bytes of the batch here, or 0 if it is not whole. */
static size_t
batch_size(const char *at, const char *end)
{
	int32 length;

	if (end - at < MAGIC_END)
		return 0;
	length = int32_at(at + BATCH_LENGTH);
	if (length < MAGIC_END - LENGTH_END || length > end - at - LENGTH_END)
		return 0;
	return (size_t) length + LENGTH_END;
}

/* The offset behind a batch of either format. */
static int64
batch_end(const char *at, size_t size)
{
	int64 offset = Max(int64_at(at + BATCH_OFFSET), 0);
	int64 more = 1;

	if (at[BATCH_MAGIC] >= 2 && size >= BATCH_HEADER)
		more += Max(int32_at(at + BATCH_LAST_DELTA), 0);
	return offset > PG_INT64_MAX - more ? PG_INT64_MAX : offset + more;
}

int64
sq_kafka_records_extent(SqSlice bytes, int64 from, size_t *missing)
{
	const char *at = bytes.data;
	const char *end = bytes.data + bytes.length;
	size_t size;
	bool any = false;

	*missing = 0;
	while ((size = batch_size(at, end)) > 0)
	{
		from = Max(from, batch_end(at, size));
		at += size;
		any = true;
	}
	if (!any && bytes.length > 0)
		*missing =
			bytes.length < LENGTH_END
				? LENGTH_END
				: (size_t) Max(int32_at(at + BATCH_LENGTH), 0) + LENGTH_END;
	return from;
}

static SqStatus
damaged(const SqKafkaRecords *cursor, const char *what, SqError *error)
{
	sq_error_set(error, ERRCODE_DATA_CORRUPTED,
				 "topic \"%s\", partition %d is damaged at offset %lld",
				 cursor->input.topic, cursor->input.partition,
				 (long long) cursor->position);
	sq_error_detail(error, "%s.", what);
	return SQ_ERROR;
}

/* ---- Transactions ---- */

static bool
add_producer(SqKafkaProducers *producers, int64 id)
{
	if (producers->count == producers->capacity)
	{
		int capacity = Max(producers->capacity * 2, 8);
		int64 *ids = realloc(producers->ids, capacity * sizeof(int64));

		if (ids == NULL)
			return false;
		producers->ids = ids;
		producers->capacity = capacity;
	}
	producers->ids[producers->count++] = id;
	return true;
}

static int
find_producer(const SqKafkaProducers *producers, int64 id)
{
	for (int i = 0; i < producers->count; i++)
		if (producers->ids[i] == id)
			return i;
	return -1;
}

/* Transactions that began up to this offset: their producers' are aborted. */
static bool
begin_aborted(SqKafkaRecords *cursor, int64 last)
{
	const SqKafkaRecordsInput *input = &cursor->input;

	while (cursor->aborted < input->naborted &&
		   input->aborted[cursor->aborted].first <= last)
	{
		int64 id = input->aborted[cursor->aborted++].producer;

		if (find_producer(&cursor->producers, id) < 0 &&
			!add_producer(&cursor->producers, id))
			return false;
	}
	return true;
}

/* A control batch: the end of a transaction, or nothing to us. */
static void
take_marker(SqKafkaRecords *cursor, const char *batch, size_t size)
{
	const char *at = batch + BATCH_HEADER;
	const char *end = batch + size;
	int64 number;
	SqSlice key = {NULL, 0};
	int producer;

	/* length, attributes, time, offset, key */
	at = read_varint(at, end, &number);
	at = at != NULL && at < end ? at + 1 : NULL;
	at = at != NULL ? read_varint(at, end, &number) : NULL;
	at = at != NULL ? read_varint(at, end, &number) : NULL;
	at = at != NULL ? read_slice(at, end, &key) : NULL;
	if (at == NULL || key.length < 4 || int16_at(key.data + 2) != MARKER_ABORT)
		return;
	producer =
		find_producer(&cursor->producers, int64_at(batch + BATCH_PRODUCER));
	if (producer >= 0)
		cursor->producers.ids[producer] =
			cursor->producers.ids[--cursor->producers.count];
}

/* ---- From batch to batch ---- */

/* Is there nothing to be handed out of this batch? */
static bool
is_passed_over(SqKafkaRecords *cursor, const char *batch, size_t size)
{
	int16 attributes = int16_at(batch + BATCH_ATTRIBUTES);

	if (attributes & ATTRIBUTE_CONTROL)
	{
		take_marker(cursor, batch, size);
		return true;
	}
	if (int32_at(batch + BATCH_COUNT) <= 0 ||
		batch_end(batch, size) <= cursor->input.begin)
		return true;
	return (attributes & ATTRIBUTE_TRANSACTIONAL) != 0 &&
		   find_producer(&cursor->producers,
						 int64_at(batch + BATCH_PRODUCER)) >= 0;
}

static bool
is_sound(const char *batch, size_t size)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, batch + BATCH_ATTRIBUTES, size - BATCH_ATTRIBUTES);
	FIN_CRC32C(crc);
	return crc == (pg_crc32c) int32_at(batch + BATCH_CRC);
}

/* Find the records of a batch, decompressed if need be. */
static SqStatus
open_batch(SqKafkaRecords *cursor, const char *batch, size_t size,
		   SqError *error)
{
	int16 attributes = int16_at(batch + BATCH_ATTRIBUTES);
	SqSlice bytes = {batch + BATCH_HEADER, size - BATCH_HEADER};

	if (cursor->input.check_crcs && !is_sound(batch, size))
		return damaged(cursor, "The checksum of a record batch is wrong",
					   error);
	if ((attributes & ATTRIBUTE_CODEC) != SQ_KAFKA_PLAIN)
	{
		cursor->block =
			sq_kafka_decompress((SqKafkaCodec) (attributes & ATTRIBUTE_CODEC),
								bytes, cursor->input.limit, cursor->input.pool);
		if (cursor->block == NULL)
			return damaged(cursor, "A record batch could not be decompressed",
						   error);
		bytes = (SqSlice){cursor->block->buffer.data, cursor->block->length};
	}
	cursor->at += size;
	cursor->left = int32_at(batch + BATCH_COUNT);
	cursor->record = bytes.data;
	cursor->record_end = bytes.data + bytes.length;
	cursor->base_offset = int64_at(batch + BATCH_OFFSET);
	cursor->last_offset = batch_end(batch, size) - 1;
	cursor->base_timestamp = int64_at(batch + BATCH_TIMESTAMP);
	cursor->append_time = (attributes & ATTRIBUTE_APPEND_TIME) != 0;
	cursor->append_timestamp = int64_at(batch + BATCH_MAX_TIMESTAMP);
	return SQ_OK;
}

/* Of an old format, and nobody needs to read it: it is before the range. */
static bool
is_old_and_before(const SqKafkaRecords *cursor, const char *batch, size_t size)
{
	return (uint8) batch[BATCH_MAGIC] < 2 &&
		   batch_end(batch, size) <= cursor->input.begin;
}

/* What is not a batch of ours: SQ_OK if it is one. */
static SqStatus
check_format(SqKafkaRecords *cursor, size_t size, bool *unspoken,
			 SqError *error)
{
	int magic = cursor->at[BATCH_MAGIC];

	if (magic == 2 && size >= BATCH_HEADER &&
		int64_at(cursor->at + BATCH_OFFSET) >= 0)
		return SQ_OK;
	if (magic != 0 && magic != 1)
		return damaged(cursor, "There is no record batch", error);
	*unspoken = true;
	return sq_error_set(error, ERRCODE_FEATURE_NOT_SUPPORTED,
						"topic \"%s\" has records of an old format that cannot "
						"be read directly",
						cursor->input.topic);
}

/* Go to the next batch with records; SQ_DONE at the end. */
static SqStatus
next_batch(SqKafkaRecords *cursor, bool *unspoken, SqError *error)
{
	const char *end = cursor->input.bytes.data + cursor->input.bytes.length;
	size_t size;

	while ((size = batch_size(cursor->at, end)) > 0)
	{
		const char *batch = cursor->at;

		if (cursor->position >= cursor->input.end)
			return SQ_DONE;
		if (!is_old_and_before(cursor, batch, size))
		{
			if (check_format(cursor, size, unspoken, error) != SQ_OK)
				return SQ_ERROR;
			if (!begin_aborted(cursor, batch_end(batch, size) - 1))
				return sq_error_set(error, ERRCODE_OUT_OF_MEMORY,
									"out of memory");
			if (!is_passed_over(cursor, batch, size))
				return open_batch(cursor, batch, size, error);
		}
		cursor->at += size;
		cursor->position = Max(cursor->position, batch_end(batch, size));
	}
	return SQ_DONE;
}

static void
close_batch(SqKafkaRecords *cursor)
{
	sq_kafka_block_release(cursor->block);
	cursor->block = NULL;
	cursor->left = 0;
	cursor->position = Max(cursor->position, cursor->last_offset + 1);
}

/* ---- Records ---- */

/* The record here into *record; what follows it, or NULL. */
static inline const char *
read_record(const SqKafkaRecords *cursor, SqRecord *record, SqSlice *headers)
{
	const char *at = cursor->record;
	const char *end;
	int64 length;
	int64 timestamp;
	int64 offset;

	at = read_varint(at, cursor->record_end, &length);
	if (at == NULL || length < 1 || length > cursor->record_end - at)
		return NULL;
	end = at + length;
	at = read_varint(at + 1, end, &timestamp);
	at = at != NULL ? read_varint(at, end, &offset) : NULL;
	at = at != NULL ? read_slice(at, end, &record->key) : NULL;
	at = at != NULL ? read_slice(at, end, &record->value) : NULL;
	if (at == NULL || offset < 0 ||
		offset > cursor->last_offset - cursor->base_offset)
		return NULL;
	record->offset = cursor->base_offset + offset;
	record->timestamp =
		cursor->append_time
			? cursor->append_timestamp
			: (int64) ((uint64) cursor->base_timestamp + (uint64) timestamp);
	record->timestamp_type =
		cursor->append_time ? SQ_TIMESTAMP_APPEND : SQ_TIMESTAMP_CREATE;
	record->partition = cursor->input.partition;
	/* a count of zero is one byte */
	*headers =
		end - at > 1 ? (SqSlice){at, (size_t) (end - at)} : (SqSlice){NULL, 0};
	return end;
}

/* Records of the batch at hand. */
static SqStatus
take_records(SqKafkaRecords *cursor, SqKafkaFill *fill, SqError *error)
{
	int64 begin = Max(cursor->input.begin, cursor->position);
	int before = fill->count;

	while (cursor->left > 0 && fill->count < fill->max)
	{
		SqRecord *record = &fill->records[fill->count];
		const char *next =
			read_record(cursor, record, &fill->headers[fill->count]);

		if (unlikely(next == NULL ||
					 (fill->headers[fill->count].data != NULL &&
					  sq_kafka_count_headers(fill->headers[fill->count]) < 0)))
		{
			/* those before it come first */
			if (fill->count > before)
				break;
			return damaged(cursor, "A record could not be read", error);
		}
		if (unlikely(record->offset >= cursor->input.end))
		{
			/* it may be in the next range */
			cursor->position = Max(cursor->position, cursor->input.end);
			break;
		}
		cursor->record = next;
		cursor->left--;
		if (unlikely(record->offset < begin))
			continue;
		begin = cursor->position = record->offset + 1;
		fill->bytes += record->key.length + record->value.length;
		fill->count++;
	}
	return SQ_OK;
}

void
sq_kafka_records_begin(SqKafkaRecords *cursor, const SqKafkaRecordsInput *input)
{
	sq_kafka_block_release(cursor->block);
	cursor->block = NULL;
	cursor->input = *input;
	cursor->at = input->bytes.data;
	cursor->position = input->begin;
	cursor->aborted = 0;
	cursor->producers.count = 0;
	cursor->left = 0;
}

void
sq_kafka_records_range(SqKafkaRecords *cursor, int64 begin, int64 end)
{
	cursor->input.begin = begin;
	cursor->input.end = end;
}

SqStatus
sq_kafka_records_next(SqKafkaRecords *cursor, SqKafkaFill *fill, bool *unspoken,
					  SqError *error)
{
	int before = fill->count;
	SqStatus status;

	if (cursor->position >= cursor->input.end)
		return SQ_DONE;
	if (cursor->left == 0)
	{
		status = next_batch(cursor, unspoken, error);
		if (status != SQ_OK)
			return status;
	}
	status = take_records(cursor, fill, error);
	if (cursor->block != NULL && fill->count > before)
	{
		fill->blocks[fill->nblocks++] = sq_kafka_block_hold(cursor->block);
		fill->held += cursor->block->length;
	}
	if (cursor->left == 0)
		close_batch(cursor);
	return status;
}

void
sq_kafka_records_end(SqKafkaRecords *cursor)
{
	sq_kafka_block_release(cursor->block);
	cursor->block = NULL;
	free(cursor->producers.ids);
	cursor->producers = (SqKafkaProducers){0};
}

/* ---- Headers ---- */

/* One header: what follows it, or NULL. */
static const char *
read_header(const char *at, const char *end, SqSlice *name, SqSlice *value)
{
	at = read_slice(at, end, name);
	if (at == NULL || name->data == NULL)
		return NULL;
	return read_slice(at, end, value);
}

int
sq_kafka_count_headers(SqSlice bytes)
{
	const char *end;
	const char *at;
	int64 count = 0;
	SqSlice name;
	SqSlice value;

	if (bytes.data == NULL)
		return 0;
	end = bytes.data + bytes.length;
	at = read_varint(bytes.data, end, &count);
	if (at == NULL || count < 0 || count > (int64) bytes.length)
		return -1;
	for (int64 i = 0; i < count; i++)
		if ((at = read_header(at, end, &name, &value)) == NULL)
			return -1;
	return (int) count;
}

void
sq_kafka_read_headers(SqSlice bytes, SqSlice *names, SqSlice *values)
{
	const char *end = bytes.data + bytes.length;
	int64 count = 0;
	const char *at = read_varint(bytes.data, end, &count);

	for (int64 i = 0; i < count && at != NULL; i++)
		at = read_header(at, end, &names[i], &values[i]);
}
