/*
 * sink_held.c
 *		Records kept in memory until they may be sent, or are taken back.
 *
 * A record is an SqEntry and behind it, in this order, key, value and headers
 * (name with its NUL, length, value); all in one buffer that is filled at one
 * end and emptied at the other. It starts again at its front whenever it is
 * empty, and doubles when it is full.
 *
 * Memory: the buffer, in the context given; a buffer that has grown large is
 * given back when it is empty. Locks: none.
 */
#include "sink/sink_held.h"

#include "utils/memutils.h"

#define FIRST_CAPACITY 8192
/* A buffer up to this size is kept when it is empty. */
#define KEPT_CAPACITY (1024 * 1024)

typedef struct SqEntry
{
	Size size; /* with all that follows, aligned */
	const char *topic;
	int64 timestamp;
	int32 partition;
	int32 key_length;   /* -1: null */
	int32 value_length; /* -1: null */
	int32 header_count;
} SqEntry;

struct SqHeld
{
	MemoryContext context;
	char *data;
	Size capacity;
	Size begin;  /* of the first record */
	Size end;    /* of the last one */
	uint64 base; /* the position of data[0] */
	SqHeader *headers;
	int header_capacity;
};

SqHeld *
sq_sink_held_create(MemoryContext context)
{
	SqHeld *held = MemoryContextAllocZero(context, sizeof(SqHeld));

	held->context = context;
	return held;
}

Size
sq_sink_held_size(const SqHeld *held)
{
	return held->end - held->begin;
}

uint64
sq_sink_held_position(const SqHeld *held)
{
	return held->base + held->end;
}

/* ---- Adding ---- */

static Size
entry_size(const SqKafkaDraft *draft)
{
	Size size = sizeof(SqEntry) + draft->key.length + draft->value.length;

	for (int i = 0; i < draft->header_count; i++)
		size += strlen(draft->headers[i].name) + 1 + sizeof(int32) +
				draft->headers[i].value.length;
	return MAXALIGN(size);
}

/* Make room for an entry at the end. */
static char *
reserve(SqHeld *held, Size size)
{
	Size capacity = Max(held->capacity, FIRST_CAPACITY);

	while (capacity - held->end < size)
		capacity *= 2;
	if (held->data == NULL)
		held->data = MemoryContextAllocHuge(held->context, capacity);
	else if (capacity > held->capacity)
		held->data = repalloc_huge(held->data, capacity);
	held->capacity = capacity;
	return held->data + held->end;
}

static int32
length_of(SqSlice slice)
{
	return slice.data == NULL ? -1 : (int32) slice.length;
}

static char *
put_bytes(char *to, const void *bytes, Size length)
{
	if (length > 0)
		memcpy(to, bytes, length);
	return to + length;
}

static char *
put_header(char *to, const SqHeader *header)
{
	int32 length = length_of(header->value);

	to = put_bytes(to, header->name, strlen(header->name) + 1);
	to = put_bytes(to, &length, sizeof(length));
	return put_bytes(to, header->value.data, header->value.length);
}

void
sq_sink_held_add(SqHeld *held, const char *topic, const SqKafkaDraft *draft)
{
	SqEntry entry = {.size = entry_size(draft),
					 .topic = topic,
					 .timestamp = draft->timestamp,
					 .partition = draft->partition,
					 .key_length = length_of(draft->key),
					 .value_length = length_of(draft->value),
					 .header_count = draft->header_count};
	char *to = reserve(held, entry.size);

	to = put_bytes(to, &entry, sizeof(entry));
	to = put_bytes(to, draft->key.data, draft->key.length);
	to = put_bytes(to, draft->value.data, draft->value.length);
	for (int i = 0; i < draft->header_count; i++)
		to = put_header(to, &draft->headers[i]);
	held->end += entry.size;
}

/* ---- Taking ---- */

static SqSlice
take_slice(const char **from, int32 length)
{
	SqSlice slice = {length < 0 ? NULL : *from, Max(length, 0)};

	*from += slice.length;
	return slice;
}

static void
take_header(const char **from, SqHeader *header)
{
	int32 length;

	header->name = *from;
	*from += strlen(header->name) + 1;
	memcpy(&length, *from, sizeof(length));
	*from += sizeof(length);
	header->value = take_slice(from, length);
}

static void
make_headers(SqHeld *held, int count)
{
	if (count <= held->header_capacity)
		return;
	if (held->headers != NULL)
		pfree(held->headers);
	held->headers = NULL;
	held->header_capacity = 0;
	held->headers = MemoryContextAlloc(held->context, count * sizeof(SqHeader));
	held->header_capacity = count;
}

bool
sq_sink_held_first(SqHeld *held, const char **topic, SqKafkaDraft *draft)
{
	const char *from = held->data + held->begin;
	const SqEntry *entry = (const SqEntry *) from;

	if (held->begin == held->end)
		return false;
	make_headers(held, entry->header_count);
	from += sizeof(SqEntry);
	*topic = entry->topic;
	draft->partition = entry->partition;
	draft->timestamp = entry->timestamp;
	draft->key = take_slice(&from, entry->key_length);
	draft->value = take_slice(&from, entry->value_length);
	draft->header_count = entry->header_count;
	draft->headers = held->headers;
	for (int i = 0; i < entry->header_count; i++)
		take_header(&from, &held->headers[i]);
	return true;
}

/* Begin at the front again if nothing is left. */
static void
tidy(SqHeld *held)
{
	if (held->begin < held->end)
		return;
	held->base += held->end;
	held->begin = held->end = 0;
	if (held->capacity <= KEPT_CAPACITY)
		return;
	pfree(held->data);
	held->data = NULL;
	held->capacity = 0;
}

void
sq_sink_held_drop(SqHeld *held)
{
	held->begin += ((const SqEntry *) (held->data + held->begin))->size;
	tidy(held);
}

bool
sq_sink_held_take_back(SqHeld *held, uint64 position)
{
	bool all_here = position >= held->base + held->begin;

	held->end = all_here ? (Size) (position - held->base) : held->begin;
	tidy(held);
	return all_here;
}
