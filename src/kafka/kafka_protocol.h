/*
 * kafka_protocol.h
 *		Fields of Kafka's protocol, written and read.
 *
 * Reading trusts nothing: a cursor never leaves its bytes, and once a field
 * did not fit it has failed, answers zeros and empty slices, and stays so; who
 * reads looks at «failed» once, at the end. Counts are bounded by the bytes
 * that are left. Slices point into what is read. Writing goes into a buffer
 * that grows; without memory it has failed, and stays so.
 *
 * «compact» is how flexible versions (KIP-482) write a length: a varint of
 * one more than it, zero being null.
 */
#ifndef SQ_KAFKA_PROTOCOL_H
#define SQ_KAFKA_PROTOCOL_H

#include "base/base.h"
#include "port/pg_bswap.h"

/* ---- Writing ---- */

typedef struct SqKafkaOutput
{
	char *data; /* malloc'd, the owner's to free */
	size_t length;
	size_t capacity;
	bool failed; /* no memory */
} SqKafkaOutput;

/* Room for so many bytes at the end, which become part of it; NULL and failed
 * without memory. */
extern char *sq_kafka_write_space(SqKafkaOutput *writer, size_t length);
extern void sq_kafka_write_raw(SqKafkaOutput *writer, const void *data,
							   size_t length);
extern void sq_kafka_write_int8(SqKafkaOutput *writer, int8 value);
extern void sq_kafka_write_int16(SqKafkaOutput *writer, int16 value);
extern void sq_kafka_write_int32(SqKafkaOutput *writer, int32 value);
extern void sq_kafka_write_int64(SqKafkaOutput *writer, int64 value);
/* An unsigned varint. */
extern void sq_kafka_write_varint(SqKafkaOutput *writer, uint64 value);
/* Text of at most 32767 bytes, or NULL. */
extern void sq_kafka_write_string(SqKafkaOutput *writer, const char *string,
								  bool compact);
/* Bytes, or null (data NULL). */
extern void sq_kafka_write_bytes(SqKafkaOutput *writer, SqSlice bytes,
								 bool compact);
/* How many elements of an array follow; -1: the array is null. */
extern void sq_kafka_write_count(SqKafkaOutput *writer, int32 count,
								 bool compact);
/* That there are no tagged fields; nothing unless the version is flexible. */
extern void sq_kafka_write_no_tags(SqKafkaOutput *writer, bool flexible);
/* Put a number where one was written before. */
extern void sq_kafka_write_int32_at(SqKafkaOutput *writer, size_t at,
									int32 value);

/* ---- Reading ---- */

typedef struct SqKafkaCursor
{
	const char *at;
	const char *end;
	bool failed;
} SqKafkaCursor;

static inline SqKafkaCursor
sq_kafka_cursor(SqSlice bytes)
{
	return (SqKafkaCursor){bytes.data, bytes.data + bytes.length, false};
}

static inline size_t
sq_kafka_read_left(const SqKafkaCursor *cursor)
{
	return (size_t) (cursor->end - cursor->at);
}

/* So many bytes as they are, or NULL and failed. */
static inline const char *
sq_kafka_read_raw(SqKafkaCursor *cursor, size_t length)
{
	const char *at = cursor->at;

	if (cursor->failed || length > sq_kafka_read_left(cursor))
	{
		cursor->failed = true;
		return NULL;
	}
	cursor->at += length;
	return at;
}

static inline int8
sq_kafka_read_int8(SqKafkaCursor *cursor)
{
	const char *at = sq_kafka_read_raw(cursor, 1);

	return at == NULL ? 0 : (int8) *at;
}

static inline int16
sq_kafka_read_int16(SqKafkaCursor *cursor)
{
	const char *at = sq_kafka_read_raw(cursor, 2);
	uint16 value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return (int16) pg_ntoh16(value);
}

static inline int32
sq_kafka_read_int32(SqKafkaCursor *cursor)
{
	const char *at = sq_kafka_read_raw(cursor, 4);
	uint32 value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return (int32) pg_ntoh32(value);
}

static inline int64
sq_kafka_read_int64(SqKafkaCursor *cursor)
{
	const char *at = sq_kafka_read_raw(cursor, 8);
	uint64 value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return (int64) pg_ntoh64(value);
}

/* An unsigned varint of at most 32 bits. */
extern uint32 sq_kafka_read_varint(SqKafkaCursor *cursor);
/* Text or null (data NULL); not ended by NUL. */
extern SqSlice sq_kafka_read_string(SqKafkaCursor *cursor, bool compact);
extern SqSlice sq_kafka_read_bytes(SqKafkaCursor *cursor, bool compact);
/* How many elements follow, each of at least so many bytes: never more than
 * there can be, and 0 for an array that is null. */
extern int32 sq_kafka_read_count(SqKafkaCursor *cursor, bool compact,
								 size_t least);
/* How many tagged fields follow, and one of them: its number, and its bytes
 * in *value. */
extern int32 sq_kafka_read_tags(SqKafkaCursor *cursor);
extern uint32 sq_kafka_read_tag(SqKafkaCursor *cursor, SqKafkaCursor *value);
/* Pass over all tagged fields; nothing unless the version is flexible. */
extern void sq_kafka_skip_tags(SqKafkaCursor *cursor, bool flexible);

/* Copy a text of a broker for a message: nothing but printable ASCII, without
 * a period or blanks at the end. */
extern void sq_kafka_read_text(SqSlice said, char *buffer, size_t size);

#endif
