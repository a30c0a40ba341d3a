/*
 * least_fetch.c
 *		The least that reading a topic costs: one socket, Fetch requests,
 *		records counted where they were received.
 *
 * No negotiation, no security, no transactions, no checksums, no compression,
 * one broker that leads all partitions: a limit that no reader of ours can
 * pass, not a reader. Two requests are under way, each for half of the
 * partitions, so that the broker is never idle.
 *
 *	least_fetch -b HOST:PORT -t TOPIC
 *
 * Prints "records=… bytes=… seconds=… rate=… cpu=…"; the clock runs from the
 * first request to the last record.
 *
 * Memory: two buffers. Locks: none.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_util.h"

#define MAX_PARTITIONS  1024
#define ANSWER_BYTES    (4 * 1024 * 1024)
#define PARTITION_BYTES (1024 * 1024)
#define FETCH           1
#define METADATA        3
#define TURNS           2

typedef struct SqLeast
{
	int fd;
	const char *topic;
	int npartitions;
	int64_t offsets[MAX_PARTITIONS];
	bool done[MAX_PARTITIONS];
	int open;
	char *buffer;
	size_t capacity;
	int64_t records;
	int64_t bytes;
} SqLeast;

static void
die(const char *what)
{
	fprintf(stderr, "least_fetch: %s\n", what);
	exit(1);
}

/* ---- Fields ---- */

static uint16_t
get16(const char *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return ntohs(value);
}

static uint32_t
get32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static int64_t
get64(const char *at)
{
	return (int64_t) ((uint64_t) get32(at) << 32 | get32(at + 4));
}

static char *
put16(char *at, int value)
{
	uint16_t field = htons((uint16_t) value);

	memcpy(at, &field, sizeof(field));
	return at + sizeof(field);
}

static char *
put32(char *at, int64_t value)
{
	uint32_t field = htonl((uint32_t) value);

	memcpy(at, &field, sizeof(field));
	return at + sizeof(field);
}

static char *
put64(char *at, int64_t value)
{
	return put32(put32(at, value >> 32), value);
}

static char *
put_text(char *at, const char *value)
{
	at = put16(at, (int) strlen(value));
	memcpy(at, value, strlen(value));
	return at + strlen(value);
}

/* ---- Requests and answers ---- */

static char *
begin_request(char *request, int api, int version)
{
	char *at = put16(put16(request + 4, api), version);

	return put_text(put32(at, 1), "least");
}

static void
send_request(SqLeast *least, char *request, char *end)
{
	put32(request, end - request - 4);
	if (write(least->fd, request, end - request) != end - request)
		die("could not send a request");
}

static void
read_bytes(SqLeast *least, char *into, size_t length)
{
	while (length > 0)
	{
		ssize_t got = read(least->fd, into, length);

		if (got <= 0)
			die("the broker closed the connection");
		into += got;
		length -= got;
	}
}

/* The body of the next answer. */
static const char *
read_answer(SqLeast *least)
{
	char head[4];
	size_t length;

	read_bytes(least, head, sizeof(head));
	length = get32(head);
	if (length > least->capacity)
	{
		least->capacity = length;
		least->buffer = realloc(least->buffer, length);
		if (least->buffer == NULL)
			die("out of memory");
	}
	read_bytes(least, least->buffer, length);
	return least->buffer + 4;
}

static void
ask_partitions(SqLeast *least)
{
	char request[512];
	const char *at;
	uint32_t brokers;

	send_request(
		least, request,
		put_text(put32(begin_request(request, METADATA, 0), 1), least->topic));
	at = read_answer(least);
	brokers = get32(at);
	for (at += 4; brokers > 0; brokers--)
		at += 4 + 2 + get16(at + 4) + 4;
	/* one topic: error, name, partitions */
	at += 4 + 2;
	at += 2 + get16(at);
	least->npartitions = (int) get32(at);
	if (least->npartitions > MAX_PARTITIONS)
		die("too many partitions");
	least->open = least->npartitions;
}

/* Of the partitions of a turn, those that are left. */
static bool
ask_records(SqLeast *least, int turn)
{
	static char request[64 * MAX_PARTITIONS];
	char *at = begin_request(request, FETCH, 4);
	char *count;
	int asked = 0;

	at = put32(put32(put32(put32(at, -1), 10), 1), ANSWER_BYTES);
	*at++ = 0;
	at = put_text(put32(at, 1), least->topic);
	count = at;
	at += 4;
	for (int p = turn; p < least->npartitions; p += TURNS)
	{
		if (least->done[p])
			continue;
		at = put32(put64(put32(at, p), least->offsets[p]), PARTITION_BYTES);
		asked++;
	}
	put32(count, asked);
	if (asked > 0)
		send_request(least, request, at);
	return asked > 0;
}

/* ---- Records ---- */

static const char *
skip_record(const char *at)
{
	uint32_t raw = 0;

	for (int shift = 0;; shift += 7)
	{
		raw |= (uint32_t) (*at & 0x7F) << shift;
		if ((*at++ & 0x80) == 0)
			break;
	}
	return at + (raw >> 1);
}

static void
count_records(SqLeast *least, int partition, const char *at, const char *end)
{
	while (end - at > 61 && end - at >= 12 + (ptrdiff_t) get32(at + 8))
	{
		const char *next = at + 12 + get32(at + 8);
		int64_t last = get64(at) + get32(at + 23);

		if (last >= least->offsets[partition])
		{
			at += 61;
			while (at < next)
			{
				at = skip_record(at);
				least->records++;
			}
			least->offsets[partition] = last + 1;
		}
		at = next;
	}
}

static void
take_answer(SqLeast *least)
{
	const char *at = read_answer(least) + 4 + 4;
	uint32_t partitions;

	at += 2 + get16(at);
	partitions = get32(at);
	for (at += 4; partitions > 0; partitions--)
	{
		int p = (int) get32(at);
		int64_t high = get64(at + 6);
		int32_t aborted = (int32_t) get32(at + 22);
		int32_t length;

		if (get16(at + 4) != 0)
			die("a partition could not be read");
		at += 26 + (aborted > 0 ? 16 * aborted : 0);
		length = (int32_t) get32(at);
		at += 4;
		count_records(least, p, at, at + (length > 0 ? length : 0));
		at += length > 0 ? length : 0;
		least->bytes += length > 0 ? length : 0;
		if (least->offsets[p] >= high && !least->done[p])
		{
			least->done[p] = true;
			least->open--;
		}
	}
}

/* ---- Program ---- */

static int
connect_to(char *broker)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *address;
	char *port = strrchr(broker, ':');
	int fd;

	if (port == NULL)
		die("no port");
	*port++ = '\0';
	if (getaddrinfo(broker, port, &hints, &address) != 0)
		die("no such host");
	fd = socket(address->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0)
		die("could not connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	freeaddrinfo(address);
	return fd;
}

static void
run(SqLeast *least)
{
	bool asked[TURNS];

	for (int turn = 0; turn < TURNS; turn++)
		asked[turn] = ask_records(least, turn);
	while (least->open > 0)
		for (int turn = 0; turn < TURNS; turn++)
			if (asked[turn])
			{
				take_answer(least);
				asked[turn] = ask_records(least, turn);
			}
}

int
main(int argc, char **argv)
{
	SqLeast least = {.fd = -1};
	double start;
	double cpu;
	int option;

	while ((option = getopt(argc, argv, "b:t:")) != -1)
	{
		if (option == 'b')
			least.fd = connect_to(optarg);
		else if (option == 't')
			least.topic = optarg;
	}
	if (least.fd < 0 || least.topic == NULL)
		die("usage: least_fetch -b HOST:PORT -t TOPIC");
	ask_partitions(&least);
	cpu = sq_bench_cpu();
	start = sq_bench_now();
	run(&least);
	start = sq_bench_now() - start;
	printf("records=%lld bytes=%lld seconds=%.6f rate=%.0f cpu=%.3f\n",
		   (long long) least.records, (long long) least.bytes, start,
		   least.records / start, sq_bench_cpu() - cpu);
	return 0;
}
