/*
 * kafka_protocol.c
 *		Fields of Kafka's protocol, written and read.
 *
 * Facts are from the guide to Kafka's protocol and KIP-482: numbers are big
 * endian; a string has an int16 before it, bytes and arrays an int32, -1 being
 * null; in flexible versions all three have an unsigned varint of length + 1,
 * and every structure ends with its tagged fields.
 *
 * Memory: malloc, for what is written; reading allocates nothing. Locks: none.
 */
#include "kafka/kafka_protocol.h"

#define FIRST_CAPACITY 512

/* ---- Writing ---- */

/* Have room for so many more bytes. */
static bool
grow(SqKafkaOutput *writer, size_t length)
{
	size_t capacity = Max(writer->capacity, FIRST_CAPACITY);
	char *grown;

	while (capacity - writer->length < length)
	{
		if (capacity > SIZE_MAX / 4)
			return false;
		capacity *= 2;
	}
	grown = realloc(writer->data, capacity);
	if (grown == NULL)
		return false;
	writer->data = grown;
	writer->capacity = capacity;
	return true;
}

char *
sq_kafka_write_space(SqKafkaOutput *writer, size_t length)
{
	char *at;

	if (!writer->failed && writer->capacity - writer->length < length)
		writer->failed = !grow(writer, length);
	if (writer->failed)
		return NULL;
	at = writer->data + writer->length;
	writer->length += length;
	return at;
}

void
sq_kafka_write_raw(SqKafkaOutput *writer, const void *data, size_t length)
{
	char *at = length > 0 ? sq_kafka_write_space(writer, length) : NULL;

	if (at != NULL)
		memcpy(at, data, length);
}

void
sq_kafka_write_int8(SqKafkaOutput *writer, int8 value)
{
	sq_kafka_write_raw(writer, &value, sizeof(value));
}

void
sq_kafka_write_int16(SqKafkaOutput *writer, int16 value)
{
	uint16 sent = pg_hton16((uint16) value);

	sq_kafka_write_raw(writer, &sent, sizeof(sent));
}

void
sq_kafka_write_int32(SqKafkaOutput *writer, int32 value)
{
	uint32 sent = pg_hton32((uint32) value);

	sq_kafka_write_raw(writer, &sent, sizeof(sent));
}

void
sq_kafka_write_int64(SqKafkaOutput *writer, int64 value)
{
	uint64 sent = pg_hton64((uint64) value);

	sq_kafka_write_raw(writer, &sent, sizeof(sent));
}

void
sq_kafka_write_varint(SqKafkaOutput *writer, uint64 value)
{
	char sent[10];
	int length = 0;

	while (value > 0x7F)
	{
		sent[length++] = (char) (value | 0x80);
		value >>= 7;
	}
	sent[length++] = (char) value;
	sq_kafka_write_raw(writer, sent, length);
}

void
sq_kafka_write_string(SqKafkaOutput *writer, const char *string, bool compact)
{
	size_t length = string != NULL ? strnlen(string, PG_INT16_MAX) : 0;

	if (compact)
		sq_kafka_write_varint(writer, string != NULL ? length + 1 : 0);
	else
		sq_kafka_write_int16(writer, string != NULL ? (int16) length : -1);
	sq_kafka_write_raw(writer, string, length);
}

void
sq_kafka_write_bytes(SqKafkaOutput *writer, SqSlice bytes, bool compact)
{
	if (bytes.length > PG_INT32_MAX)
	{
		writer->failed = true;
		return;
	}
	sq_kafka_write_count(writer, bytes.data ? (int32) bytes.length : -1,
						 compact);
	sq_kafka_write_raw(writer, bytes.data, bytes.data ? bytes.length : 0);
}

void
sq_kafka_write_count(SqKafkaOutput *writer, int32 count, bool compact)
{
	if (compact)
		sq_kafka_write_varint(writer, (uint64) ((int64) count + 1));
	else
		sq_kafka_write_int32(writer, count);
}

void
sq_kafka_write_no_tags(SqKafkaOutput *writer, bool flexible)
{
	if (flexible)
		sq_kafka_write_varint(writer, 0);
}

void
sq_kafka_write_int32_at(SqKafkaOutput *writer, size_t at, int32 value)
{
	uint32 sent = pg_hton32((uint32) value);

	if (!writer->failed)
		memcpy(writer->data + at, &sent, sizeof(sent));
}

/* ---- Reading ---- */

uint32
sq_kafka_read_varint(SqKafkaCursor *cursor)
{
	uint64 value = 0;
	uint8 byte;

	for (int shift = 0; shift < 35; shift += 7)
	{
		byte = (uint8) sq_kafka_read_int8(cursor);
		value |= (uint64) (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			cursor->failed = cursor->failed || value > PG_UINT32_MAX;
			return cursor->failed ? 0 : (uint32) value;
		}
	}
	cursor->failed = true;
	return 0;
}

/* The length before bytes or an array: -1 for null. */
static int64
read_length(SqKafkaCursor *cursor, bool compact)
{
	int64 length = compact ? (int64) sq_kafka_read_varint(cursor) - 1
						   : sq_kafka_read_int32(cursor);

	if (length < -1)
		cursor->failed = true;
	return cursor->failed ? -1 : length;
}

static SqSlice
read_slice(SqKafkaCursor *cursor, int64 length)
{
	const char *at;

	if (length < 0)
		return SQ_NULL_SLICE;
	at = sq_kafka_read_raw(cursor, (size_t) length);
	return at == NULL ? SQ_NULL_SLICE : (SqSlice){at, (size_t) length};
}

SqSlice
sq_kafka_read_string(SqKafkaCursor *cursor, bool compact)
{
	int64 length;

	if (compact)
		return read_slice(cursor, read_length(cursor, true));
	length = sq_kafka_read_int16(cursor);
	if (length < -1)
		cursor->failed = true;
	return read_slice(cursor, length);
}

SqSlice
sq_kafka_read_bytes(SqKafkaCursor *cursor, bool compact)
{
	return read_slice(cursor, read_length(cursor, compact));
}

int32
sq_kafka_read_count(SqKafkaCursor *cursor, bool compact, size_t least)
{
	int64 count = read_length(cursor, compact);

	if (count <= 0)
		return 0;
	if ((uint64) count > sq_kafka_read_left(cursor) / Max(least, 1) ||
		count > PG_INT32_MAX)
	{
		cursor->failed = true;
		return 0;
	}
	return (int32) count;
}

int32
sq_kafka_read_tags(SqKafkaCursor *cursor)
{
	uint32 count = sq_kafka_read_varint(cursor);

	/* Each has a number and a length. */
	if (count > sq_kafka_read_left(cursor) / 2)
		cursor->failed = true;
	return cursor->failed ? 0 : (int32) count;
}

uint32
sq_kafka_read_tag(SqKafkaCursor *cursor, SqKafkaCursor *value)
{
	uint32 tag = sq_kafka_read_varint(cursor);
	SqSlice bytes = read_slice(cursor, sq_kafka_read_varint(cursor));

	*value = (SqKafkaCursor){bytes.data, bytes.data, cursor->failed};
	if (!cursor->failed)
		value->end += bytes.length;
	return tag;
}

void
sq_kafka_skip_tags(SqKafkaCursor *cursor, bool flexible)
{
	SqKafkaCursor value;

	if (!flexible)
		return;
	for (int32 left = sq_kafka_read_tags(cursor); left > 0; left--)
	{
		sq_kafka_read_tag(cursor, &value);
		if (cursor->failed)
			return;
	}
}

void
sq_kafka_read_text(SqSlice said, char *buffer, size_t size)
{
	size_t length = said.data != NULL ? Min(said.length, size - 1) : 0;

	for (size_t i = 0; i < length; i++)
	{
		uint8 byte = (uint8) said.data[i];

		buffer[i] = byte >= ' ' && byte < 0x7F ? (char) byte : '?';
	}
	while (length > 0 && strchr(" .", buffer[length - 1]) != NULL)
		length--;
	buffer[length] = '\0';
}
