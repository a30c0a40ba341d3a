/*
 * kafka_wire_set.c
 *		Record sets whose slices point into answers of brokers.
 *
 * A set holds the blocks that its records lie in. Released, it waits for the
 * next records: a scan uses one or two of them however long it is.
 *
 * Memory: malloc; a set belongs to whoever took it, a spare one to its wire.
 * Locks: none.
 */
#include "kafka/kafka_wire.h"

/* Names of headers are ended by NUL here, and are not in what brokers send.
 * Without memory there is no way on: a header must not be lost silently, and
 * the door has no error here. */
static void *
resize(void *memory, size_t size)
{
	memory = realloc(memory, Max(size, 1));
	if (memory == NULL)
		abort();
	return memory;
}

static void
make_header_room(SqKafkaWireSet *set, int count, size_t length)
{
	if (count > set->header_capacity)
	{
		set->header_list = resize(set->header_list, count * sizeof(SqHeader));
		set->header_capacity = count;
	}
	if (length > set->names_capacity)
	{
		set->names = resize(set->names, length);
		set->names_capacity = length;
	}
}

static const SqHeader *
headers_of(SqKafkaSet *base, int record, int *count)
{
	SqKafkaWireSet *set = (SqKafkaWireSet *) base;
	SqSlice bytes = set->fill.headers[record];
	SqSlice *slices;
	char *at;

	*count = sq_kafka_count_headers(bytes);
	if (*count <= 0)
		return NULL;
	/* names are part of the bytes, and there is a NUL for each */
	make_header_room(set, *count, bytes.length + *count);
	slices = resize(NULL, 2 * *count * sizeof(SqSlice));
	sq_kafka_read_headers(bytes, slices, slices + *count);
	at = set->names;
	for (int i = 0; i < *count; i++)
	{
		set->header_list[i] = (SqHeader){at, slices[*count + i]};
		memcpy(at, slices[i].data, slices[i].length);
		at += slices[i].length;
		*at++ = '\0';
	}
	free(slices);
	return set->header_list;
}

static void
release(SqKafkaSet *base)
{
	SqKafkaWireSet *set = (SqKafkaWireSet *) base;
	SqKafkaWireSet **spares = sq_kafka_wire_spares(set->wire);

	for (int i = 0; i < set->fill.nblocks; i++)
		sq_kafka_block_release(set->fill.blocks[i]);
	set->fill.nblocks = 0;
	set->next = *spares;
	*spares = set;
}

static const SqKafkaSetOps ops = {headers_of, release};

static void
free_set(SqKafkaWireSet *set)
{
	free(set->fill.records);
	free(set->fill.headers);
	free(set->fill.blocks);
	free(set->header_list);
	free(set->names);
	free(set);
}

void
sq_kafka_wire_set_free_spares(SqKafkaWireSet *spares)
{
	while (spares != NULL)
	{
		SqKafkaWireSet *next = spares->next;

		free_set(spares);
		spares = next;
	}
}

/* Have room for so many records; false without memory. */
static bool
make_room(SqKafkaWireSet *set, int max)
{
	SqRecord *records;
	SqSlice *headers;

	if (max <= set->capacity)
		return true;
	records = realloc(set->fill.records, max * sizeof(SqRecord));
	if (records == NULL)
		return false;
	set->fill.records = records;
	headers = realloc(set->fill.headers, max * sizeof(SqSlice));
	if (headers == NULL)
		return false;
	set->fill.headers = headers;
	set->capacity = max;
	return true;
}

SqKafkaWireSet *
sq_kafka_wire_set_take(SqKafkaWire *wire, int max)
{
	SqKafkaWireSet **spares = sq_kafka_wire_spares(wire);
	SqKafkaWireSet *set = *spares;

	if (set != NULL)
		*spares = set->next;
	else
		set = calloc(1, sizeof(SqKafkaWireSet));
	if (set == NULL)
		return NULL;
	if (!make_room(set, max))
	{
		free_set(set);
		return NULL;
	}
	set->base.ops = &ops;
	set->wire = wire;
	set->fill.max = max;
	set->fill.count = 0;
	set->fill.bytes = 0;
	set->fill.held = 0;
	return set;
}

bool
sq_kafka_wire_set_ready(SqKafkaWireSet *set)
{
	SqKafkaFill *fill = &set->fill;
	int more = fill->maxblocks * 2 + 8;
	SqKafkaBlock **blocks;

	if (fill->nblocks + 2 <= fill->maxblocks)
		return true;
	blocks = realloc(fill->blocks, more * sizeof(SqKafkaBlock *));
	if (blocks == NULL)
		return false;
	fill->blocks = blocks;
	fill->maxblocks = more;
	return true;
}

void
sq_kafka_wire_set_hold(SqKafkaWireSet *set, SqKafkaBlock *block)
{
	set->fill.blocks[set->fill.nblocks++] = sq_kafka_block_hold(block);
}

SqRecordSet *
sq_kafka_wire_set_finish(SqKafkaWireSet *set)
{
	set->base.base = (SqRecordSet){.count = set->fill.count,
								   .records = set->fill.records,
								   .bytes = set->fill.bytes};
	return &set->base.base;
}
