/*
 * kafka_block.c
 *		Counted memory of record sets, used again and again.
 *
 * Memory: malloc; a few blocks wait in a pool, none that is huge. Locks: none.
 */
#include "kafka/kafka_block.h"

/* How many wait, and how large at most. */
#define MAX_WAITING 4
#define MAX_BYTES   (16 * 1024 * 1024)

struct SqKafkaBlockPool
{
	SqKafkaBlock *waiting;
	int count;
};

SqKafkaBlockPool *
sq_kafka_block_pool_create(void)
{
	return calloc(1, sizeof(SqKafkaBlockPool));
}

static void
free_block(SqKafkaBlock *block)
{
	free(block->buffer.data);
	free(block);
}

/* Take out a block that waits, the largest one; NULL: none does. */
static SqKafkaBlock *
take_waiting(SqKafkaBlockPool *pool)
{
	SqKafkaBlock **best = NULL;
	SqKafkaBlock *block;

	for (SqKafkaBlock **link = &pool->waiting; *link != NULL;
		 link = &(*link)->next)
		if (best == NULL || (*link)->buffer.capacity > (*best)->buffer.capacity)
			best = link;
	if (best == NULL)
		return NULL;
	block = *best;
	*best = block->next;
	pool->count--;
	return block;
}

void
sq_kafka_block_pool_free(SqKafkaBlockPool *pool)
{
	SqKafkaBlock *block;

	if (pool == NULL)
		return;
	while ((block = take_waiting(pool)) != NULL)
		free_block(block);
	free(pool);
}

bool
sq_kafka_block_grow(SqKafkaBlock *block, size_t room)
{
	char *data;

	if (room <= block->buffer.capacity)
		return true;
	data = realloc(block->buffer.data, room);
	if (data == NULL)
		return false;
	block->buffer = (SqKafkaBuffer){data, room};
	return true;
}

SqKafkaBlock *
sq_kafka_block_take(SqKafkaBlockPool *pool, size_t room)
{
	SqKafkaBlock *block = take_waiting(pool);

	if (block == NULL)
		block = calloc(1, sizeof(SqKafkaBlock));
	if (block == NULL)
		return NULL;
	if (!sq_kafka_block_grow(block, room))
	{
		free_block(block);
		return NULL;
	}
	block->references = 1;
	block->length = 0;
	block->pool = pool;
	return block;
}

SqKafkaBlock *
sq_kafka_block_wrap(SqKafkaBlockPool *pool, SqKafkaBuffer buffer)
{
	SqKafkaBlock *block = calloc(1, sizeof(SqKafkaBlock));

	if (block == NULL)
	{
		free(buffer.data);
		return NULL;
	}
	block->references = 1;
	block->buffer = buffer;
	block->pool = pool;
	return block;
}

SqKafkaBuffer
sq_kafka_block_pool_buffer(SqKafkaBlockPool *pool)
{
	SqKafkaBlock *block = take_waiting(pool);
	SqKafkaBuffer buffer = {NULL, 0};

	if (block == NULL)
		return buffer;
	buffer = block->buffer;
	free(block);
	return buffer;
}

SqKafkaBlock *
sq_kafka_block_hold(SqKafkaBlock *block)
{
	block->references++;
	return block;
}

void
sq_kafka_block_release(SqKafkaBlock *block)
{
	SqKafkaBlockPool *pool;

	if (block == NULL || --block->references > 0)
		return;
	pool = block->pool;
	if (pool->count >= MAX_WAITING || block->buffer.capacity > MAX_BYTES)
	{
		free_block(block);
		return;
	}
	block->next = pool->waiting;
	pool->waiting = block;
	pool->count++;
}
