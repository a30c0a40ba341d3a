/*
 * kafka_old_broker.h
 *		A broker of one topic whose log has message sets (magic 0 and 1) beside
 *		record batches (magic 2), which no broker of today writes.
 *
 * It is a thread of the test. A log is a row of chunks of OLD_CHUNK records; an
 * answer has so many chunks of each partition as the test says.
 * The record of offset n has the value n, and no key if n is odd. It counts the
 * Fetch requests of librdkafka, which tells its name, and of others.
 *
 * Memory: whatever is answered lives for one answer. Locks: none; the counters
 * are atomic, all else is fixed before the thread begins.
 */
#ifndef SQ_KAFKA_OLD_BROKER_H
#define SQ_KAFKA_OLD_BROKER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "kafka/kafka_protocol.h"
#include "port/pg_crc32c.h"

#define OLD_CHUNK 10
#define OLD_TIME  1700000000000 /* of offset 0, in ms; one more each */
/* Message sets with the broker's time have one for all records of a chunk. */
#define OLD_APPEND_TIME 1600000000000
#define OLD_CLIENTS     16

/* How a chunk is written. */
typedef enum OldFormat
{
	OLD_BATCH = '2',
	OLD_V1 = '1',
	OLD_V1_GZIP = 'g',
	OLD_V1_APPEND = 'a',
	OLD_V0 = '0',
	OLD_V0_GZIP = 'z'
} OldFormat;

typedef struct OldClient
{
	int fd;
	bool librdkafka;
	char *got;
	size_t length;
} OldClient;

typedef struct OldBroker
{
	const char *topic;
	int count;              /* of partitions */
	const char *const *log; /* by partition: the OldFormats of its chunks */
	int fetch_most;         /* version of Fetch */
	int chunks;             /* of a partition in an answer */
	int listener;
	int port;
	pthread_t thread;
	OldClient clients[OLD_CLIENTS];
	atomic_bool stop;
	atomic_int fetches[2]; /* of others, of librdkafka */
} OldBroker;

/* ---- Chunks ---- */

static inline void
old_put_zigzag(SqKafkaOutput *out, int64 value)
{
	sq_kafka_write_varint(out, ((uint64) value << 1) ^ (uint64) (value >> 63));
}

static inline SqSlice
old_value(int64 offset)
{
	static _Thread_local char digits[32];

	return (SqSlice){digits, (size_t) snprintf(digits, sizeof(digits), "%lld",
											   (long long) offset)};
}

static inline SqSlice
old_key(int64 offset)
{
	return offset % 2 != 0 ? SQ_NULL_SLICE : (SqSlice){"key", 3};
}

typedef struct OldMessage
{
	int64 offset;
	int magic;
	int attributes;
	int64 timestamp;
	SqSlice key;
	SqSlice value;
} OldMessage;

/* One message of a set. */
static inline void
old_put_message(SqKafkaOutput *out, const OldMessage *message)
{
	size_t start = out->length;
	size_t checked;

	sq_kafka_write_int64(out, message->offset);
	sq_kafka_write_int32(out, 0);
	sq_kafka_write_int32(out, 0);
	checked = out->length;
	sq_kafka_write_int8(out, (int8) message->magic);
	sq_kafka_write_int8(out, (int8) message->attributes);
	if (message->magic == 1)
		sq_kafka_write_int64(out, message->timestamp);
	sq_kafka_write_bytes(out, message->key, false);
	sq_kafka_write_bytes(out, message->value, false);
	sq_kafka_write_int32_at(out, start + 8, (int32) (out->length - start - 12));
	sq_kafka_write_int32_at(out, start + 12,
							(int32) crc32(0,
										  (const Bytef *) out->data + checked,
										  (uInt) (out->length - checked)));
}

static inline int
old_magic(OldFormat format)
{
	return format == OLD_V0 || format == OLD_V0_GZIP ? 0 : 1;
}

/* Messages of a chunk; inside of a compressed one of magic 1 they count from
 * its first. */
static inline void
old_put_messages(SqKafkaOutput *out, int64 base, OldFormat format)
{
	bool append = format == OLD_V1_APPEND;

	for (int64 n = base; n < base + OLD_CHUNK; n++)
	{
		OldMessage message = {format == OLD_V1_GZIP ? n - base : n,
							  old_magic(format),
							  append ? 0x08 : 0,
							  append ? OLD_APPEND_TIME : OLD_TIME + n,
							  old_key(n),
							  old_value(n)};

		old_put_message(out, &message);
	}
}

/* A set as the value of one message, whose offset is that of the last. */
static inline void
old_put_compressed(SqKafkaOutput *out, int64 base, OldFormat format)
{
	int64 last = base + OLD_CHUNK - 1;
	SqKafkaOutput set = {0};
	char packed[4096];
	z_stream stream = {.next_out = (Bytef *) packed,
					   .avail_out = sizeof(packed)};

	old_put_messages(&set, base, format);
	stream.next_in = (Bytef *) set.data;
	stream.avail_in = (uInt) set.length;
	deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	deflate(&stream, Z_FINISH);
	old_put_message(out, &(OldMessage){last,
									   old_magic(format),
									   1,
									   OLD_TIME + last,
									   SQ_NULL_SLICE,
									   {packed, stream.total_out}});
	deflateEnd(&stream);
	free(set.data);
}

static inline void
old_put_varbytes(SqKafkaOutput *out, SqSlice bytes)
{
	old_put_zigzag(out, bytes.data == NULL ? -1 : (int64) bytes.length);
	if (bytes.data != NULL)
		sq_kafka_write_raw(out, bytes.data, bytes.length);
}

static inline void
old_put_batch(SqKafkaOutput *out, int64 base)
{
	size_t start = out->length;
	pg_crc32c crc;

	sq_kafka_write_int64(out, base);
	sq_kafka_write_int32(out, 0);
	sq_kafka_write_int32(out, 0);
	sq_kafka_write_int8(out, 2);
	sq_kafka_write_int32(out, 0);
	sq_kafka_write_int16(out, 0);
	sq_kafka_write_int32(out, OLD_CHUNK - 1);
	sq_kafka_write_int64(out, OLD_TIME + base);
	sq_kafka_write_int64(out, OLD_TIME + base + OLD_CHUNK - 1);
	sq_kafka_write_int64(out, -1);
	sq_kafka_write_int16(out, -1);
	sq_kafka_write_int32(out, -1);
	sq_kafka_write_int32(out, OLD_CHUNK);
	for (int n = 0; n < OLD_CHUNK; n++)
	{
		SqKafkaOutput record = {0};

		sq_kafka_write_int8(&record, 0);
		old_put_zigzag(&record, n);
		old_put_zigzag(&record, n);
		old_put_varbytes(&record, old_key(base + n));
		old_put_varbytes(&record, old_value(base + n));
		old_put_zigzag(&record, 0);
		old_put_varbytes(out, (SqSlice){record.data, record.length});
		free(record.data);
	}
	sq_kafka_write_int32_at(out, start + 8, (int32) (out->length - start - 12));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, out->data + start + 21, out->length - start - 21);
	FIN_CRC32C(crc);
	sq_kafka_write_int32_at(out, start + 17, (int32) crc);
}

static inline void
old_put_chunk(SqKafkaOutput *out, int64 base, OldFormat format)
{
	if (format == OLD_BATCH)
		old_put_batch(out, base);
	else if (format == OLD_V1_GZIP || format == OLD_V0_GZIP)
		old_put_compressed(out, base, format);
	else
		old_put_messages(out, base, format);
}

/* ---- Answers ---- */

static inline void
old_answer_versions(const OldBroker *broker, int version, SqKafkaOutput *out)
{
	const int16 most[][2] = {
		{0, 3}, {1, (int16) broker->fetch_most}, {3, 4}, {10, 0}, {18, 3}};
	bool flexible = version >= 3;

	sq_kafka_write_int16(out, 0);
	sq_kafka_write_count(out, lengthof(most), flexible);
	for (int i = 0; i < lengthof(most); i++)
	{
		sq_kafka_write_int16(out, most[i][0]);
		sq_kafka_write_int16(out, 0);
		sq_kafka_write_int16(out, most[i][1]);
		sq_kafka_write_no_tags(out, flexible);
	}
	if (version >= 1)
		sq_kafka_write_int32(out, 0);
	sq_kafka_write_no_tags(out, flexible);
}

static inline void
old_answer_metadata(const OldBroker *broker, int version, SqKafkaOutput *out)
{
	if (version >= 3)
		sq_kafka_write_int32(out, 0);
	sq_kafka_write_count(out, 1, false);
	sq_kafka_write_int32(out, 1);
	sq_kafka_write_string(out, "127.0.0.1", false);
	sq_kafka_write_int32(out, broker->port);
	if (version >= 1)
		sq_kafka_write_string(out, NULL, false);
	if (version >= 2)
		sq_kafka_write_string(out, "old", false);
	if (version >= 1)
		sq_kafka_write_int32(out, 1);
	sq_kafka_write_count(out, 1, false);
	sq_kafka_write_int16(out, 0);
	sq_kafka_write_string(out, broker->topic, false);
	if (version >= 1)
		sq_kafka_write_int8(out, 0);
	sq_kafka_write_count(out, broker->count, false);
	for (int p = 0; p < broker->count; p++)
	{
		sq_kafka_write_int16(out, 0);
		sq_kafka_write_int32(out, p);
		sq_kafka_write_int32(out, 1);
		for (int list = 0; list < 2; list++)
		{
			sq_kafka_write_count(out, 1, false);
			sq_kafka_write_int32(out, 1);
		}
	}
}

/* No coordinator is there, nor needed. */
static inline void
old_answer_coordinator(SqKafkaOutput *out)
{
	sq_kafka_write_int16(out, 15);
	sq_kafka_write_int32(out, -1);
	sq_kafka_write_string(out, "", false);
	sq_kafka_write_int32(out, -1);
}

/* The chunks of a partition from that of this offset on; is there any? */
static inline bool
old_answer_partition(const OldBroker *broker, int version, int32 partition,
					 int64 offset, SqKafkaOutput *out)
{
	const char *log = broker->log[partition];
	int64 end = (int64) strlen(log) * OLD_CHUNK;
	SqKafkaOutput chunk = {0};
	bool any = offset >= 0 && offset < end;
	int64 at = offset / OLD_CHUNK;

	sq_kafka_write_int32(out, partition);
	sq_kafka_write_int16(out, offset < 0 || offset > end);
	sq_kafka_write_int64(out, end);
	if (version >= 4)
	{
		sq_kafka_write_int64(out, end);
		sq_kafka_write_count(out, 0, false);
	}
	for (int n = 0; any && n < broker->chunks && log[at + n] != '\0'; n++)
		old_put_chunk(&chunk, (at + n) * OLD_CHUNK, (OldFormat) log[at + n]);
	sq_kafka_write_bytes(
		out, any ? (SqSlice){chunk.data, chunk.length} : (SqSlice){"", 0},
		false);
	free(chunk.data);
	return any;
}

/* Versions up to 4. */
static inline void
old_answer_fetch(const OldBroker *broker, int version, SqKafkaCursor *in,
				 SqKafkaOutput *out)
{
	bool any = false;
	int32 count;

	sq_kafka_read_raw(in, 12);
	if (version >= 3)
		sq_kafka_read_int32(in);
	if (version >= 4)
		sq_kafka_read_int8(in);
	if (version >= 1)
		sq_kafka_write_int32(out, 0);
	count = sq_kafka_read_count(in, false, 6);
	sq_kafka_write_count(out, Min(count, 1), false);
	if (count > 0)
	{
		sq_kafka_read_string(in, false);
		sq_kafka_write_string(out, broker->topic, false);
		count = sq_kafka_read_count(in, false, 16);
		sq_kafka_write_count(out, count, false);
	}
	for (int i = 0; i < count; i++)
	{
		int32 partition = sq_kafka_read_int32(in);
		int64 offset = sq_kafka_read_int64(in);

		sq_kafka_read_int32(in);
		any |= old_answer_partition(broker, version, partition, offset, out);
	}
	/* whoever follows comes again at once */
	if (!any)
		usleep(5000);
}

/* ---- Clients ---- */

static inline void
old_send(int fd, const SqKafkaOutput *out)
{
	size_t sent = 0;
	ssize_t now;

	while (sent < out->length &&
		   (now = send(fd, out->data + sent, out->length - sent,
					   MSG_NOSIGNAL)) > 0)
		sent += (size_t) now;
}

/* One request, whole. */
static inline void
old_answer(OldBroker *broker, OldClient *client, SqSlice request)
{
	SqKafkaCursor in = sq_kafka_cursor(request);
	int api = sq_kafka_read_int16(&in);
	int version = sq_kafka_read_int16(&in);
	int32 id = sq_kafka_read_int32(&in);
	SqKafkaOutput out = {0};

	sq_kafka_read_string(&in, false);
	sq_kafka_write_int32(&out, 0);
	sq_kafka_write_int32(&out, id);
	if (api == 18)
	{
		client->librdkafka =
			memmem(in.at, sq_kafka_read_left(&in), "librdkafka", 10) != NULL;
		old_answer_versions(broker, version, &out);
	}
	else if (api == 3)
		old_answer_metadata(broker, version, &out);
	else if (api == 10)
		old_answer_coordinator(&out);
	else if (api == 1)
	{
		atomic_fetch_add(&broker->fetches[client->librdkafka], 1);
		old_answer_fetch(broker, version, &in, &out);
	}
	sq_kafka_write_int32_at(&out, 0, (int32) out.length - 4);
	old_send(client->fd, &out);
	free(out.data);
}

/* Take what a client sent, and answer its whole requests. */
static inline void
old_serve(OldBroker *broker, OldClient *client)
{
	char piece[65536];
	ssize_t got = recv(client->fd, piece, sizeof(piece), 0);
	uint32 size;

	if (got <= 0)
	{
		close(client->fd);
		free(client->got);
		*client = (OldClient){.fd = -1};
		return;
	}
	client->got = realloc(client->got, client->length + got);
	memcpy(client->got + client->length, piece, got);
	client->length += got;
	while (client->length >= sizeof(size))
	{
		memcpy(&size, client->got, sizeof(size));
		size = pg_ntoh32(size);
		if (client->length < sizeof(size) + size)
			break;
		old_answer(broker, client, (SqSlice){client->got + sizeof(size), size});
		client->length -= sizeof(size) + size;
		memmove(client->got, client->got + sizeof(size) + size, client->length);
	}
}

static inline void *
old_run(void *argument)
{
	OldBroker *broker = argument;

	while (!atomic_load(&broker->stop))
	{
		struct pollfd fds[OLD_CLIENTS + 1];

		for (int i = 0; i < OLD_CLIENTS; i++)
			fds[i] = (struct pollfd){broker->clients[i].fd, POLLIN, 0};
		fds[OLD_CLIENTS] = (struct pollfd){broker->listener, POLLIN, 0};
		poll(fds, lengthof(fds), 20);
		for (int i = 0; i < OLD_CLIENTS; i++)
			if (fds[i].revents != 0)
				old_serve(broker, &broker->clients[i]);
		for (int i = 0; i < OLD_CLIENTS && fds[OLD_CLIENTS].revents != 0; i++)
			if (broker->clients[i].fd < 0)
			{
				broker->clients[i].fd = accept(broker->listener, NULL, NULL);
				break;
			}
	}
	return NULL;
}

/* ---- Both ends of its life ---- */

/* Begin; all from topic to chunks is set. */
static inline void
old_start(OldBroker *broker)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	for (int i = 0; i < OLD_CLIENTS; i++)
		broker->clients[i] = (OldClient){.fd = -1};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	broker->listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(broker->listener, (struct sockaddr *) &address, sizeof(address));
	listen(broker->listener, OLD_CLIENTS);
	getsockname(broker->listener, (struct sockaddr *) &address, &size);
	broker->port = ntohs(address.sin_port);
	pthread_create(&broker->thread, NULL, old_run, broker);
}

static inline void
old_stop(OldBroker *broker)
{
	atomic_store(&broker->stop, true);
	pthread_join(broker->thread, NULL);
	for (int i = 0; i < OLD_CLIENTS; i++)
		if (broker->clients[i].fd >= 0)
		{
			close(broker->clients[i].fd);
			free(broker->clients[i].got);
		}
	close(broker->listener);
}

#endif
