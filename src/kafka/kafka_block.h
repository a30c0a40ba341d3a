/*
 * kafka_block.h
 *		Memory that record sets have slices into.
 *
 * A block is an answer of a broker, or a batch of one that was decompressed.
 * Who needs it holds it; when the last one lets go, its memory waits in the
 * pool for the next block. Pools and blocks belong to one thread; a pool goes
 * after all of its blocks.
 */
#ifndef SQ_KAFKA_BLOCK_H
#define SQ_KAFKA_BLOCK_H

#include "kafka/kafka_connection.h"

typedef struct SqKafkaBlockPool SqKafkaBlockPool;

typedef struct SqKafkaBlock
{
	int references;
	size_t length; /* that is used */
	SqKafkaBuffer buffer;
	SqKafkaBlockPool *pool;
	struct SqKafkaBlock *next; /* in the pool */
} SqKafkaBlock;

extern SqKafkaBlockPool *sq_kafka_block_pool_create(void);
extern void sq_kafka_block_pool_free(SqKafkaBlockPool *pool);

/* A block with room for so many bytes at least, held once; NULL without
 * memory. */
extern SqKafkaBlock *sq_kafka_block_take(SqKafkaBlockPool *pool, size_t room);
/* A block of a buffer, which is its own then; NULL without memory. */
extern SqKafkaBlock *sq_kafka_block_wrap(SqKafkaBlockPool *pool,
										 SqKafkaBuffer buffer);
/* More room, for a block that nobody has slices into; false without memory. */
extern bool sq_kafka_block_grow(SqKafkaBlock *block, size_t room);
/* A buffer that waits in the pool, or an empty one. */
extern SqKafkaBuffer sq_kafka_block_pool_buffer(SqKafkaBlockPool *pool);
extern SqKafkaBlock *sq_kafka_block_hold(SqKafkaBlock *block);
/* NULL is fine. */
extern void sq_kafka_block_release(SqKafkaBlock *block);

#endif
