/*
 * kafka_records.h
 *		The records in an answer to a Fetch request.
 *
 * What a broker sends of a partition is a run of record batches as they lie in
 * its log (KIP-98). A cursor goes through them and fills arrays of records
 * whose slices point into the answer, or into blocks with batches that were
 * decompressed, which the caller holds. Pure: bytes in, slices out; nothing in
 * them is trusted.
 */
#ifndef SQ_KAFKA_RECORDS_H
#define SQ_KAFKA_RECORDS_H

#include "kafka/kafka_block.h"

/* A transaction that was aborted: what its producer wrote from this offset on,
 * up to its marker. */
typedef struct SqKafkaAborted
{
	int64 producer;
	int64 first;
} SqKafkaAborted;

typedef struct SqKafkaRecordsInput
{
	const char *topic; /* for messages */
	int32 partition;
	SqSlice bytes;
	int64 begin; /* of the offsets that are wanted */
	int64 end;   /* ... exclusive */
	bool check_crcs;
	/* those that overlap the answer, in the order of their first offsets; of
	 * read_committed alone */
	const SqKafkaAborted *aborted;
	int naborted;
	size_t limit; /* bytes that a batch may have decompressed */
	SqKafkaBlockPool *pool;
} SqKafkaRecordsInput;

/* Producers whose transaction at hand was aborted. */
typedef struct SqKafkaProducers
{
	int64 *ids;
	int count;
	int capacity;
} SqKafkaProducers;

/* Where a cursor is; starts as zeros. */
typedef struct SqKafkaRecords
{
	SqKafkaRecordsInput input;
	const char *at; /* the next batch */
	int64 position; /* everything before it was walked over */
	int aborted;    /* of the input, not yet begun */
	SqKafkaProducers producers;

	/* the batch at hand: records that are left, and where */
	int32 left;
	const char *record;
	const char *record_end;
	int64 base_offset;
	int64 base_timestamp;
	int64 last_offset;
	bool append_time;
	int64 append_timestamp;
	SqKafkaBlock *block; /* that it was decompressed into, or NULL */
} SqKafkaRecords;

/* What is filled. The caller owns the arrays and holds the blocks. */
typedef struct SqKafkaFill
{
	SqRecord *records;
	SqSlice *headers; /* by record, for sq_kafka_read_headers; NULL: none */
	int max;
	int count;
	size_t bytes; /* of keys and values */
	SqKafkaBlock **blocks;
	int nblocks;
	int maxblocks; /* there must be room for one more before each call */
	size_t held;   /* bytes of the blocks that were decompressed */
} SqKafkaFill;

/* Begin with an input, whatever came before. */
extern void sq_kafka_records_begin(SqKafkaRecords *cursor,
								   const SqKafkaRecordsInput *input);

/* Go on with other offsets, behind those before: a batch that has some of both
 * is read, and decompressed, once. */
extern void sq_kafka_records_range(SqKafkaRecords *cursor, int64 begin,
								   int64 end);

/*
 * Add records, of one batch at most: SQ_OK (perhaps none), SQ_DONE: there are
 * no more (but for a batch that is not whole), SQ_ERROR: XX001, a batch that
 * is damaged; 0A000 with *unspoken: one of an old format; 53200. After an error
 * the cursor stands where it stood, and will say it again.
 */
extern SqStatus sq_kafka_records_next(SqKafkaRecords *cursor, SqKafkaFill *fill,
									  bool *unspoken, SqError *error);

/* Free what a cursor has. */
extern void sq_kafka_records_end(SqKafkaRecords *cursor);

/* The offset behind the last whole batch, at least from. If there is no whole
 * one, the bytes of the first in *missing, else 0. */
extern int64 sq_kafka_records_extent(SqSlice bytes, int64 from,
									 size_t *missing);

/* How many headers there are in a record's bytes; -1: they are damaged. */
extern int sq_kafka_count_headers(SqSlice bytes);
/* The headers: names point into the bytes and are not ended. */
extern void sq_kafka_read_headers(SqSlice bytes, SqSlice *names,
								  SqSlice *values);

/* ---- Codecs (kafka_codec.c) ---- */

typedef enum SqKafkaCodec
{
	SQ_KAFKA_PLAIN,
	SQ_KAFKA_GZIP,
	SQ_KAFKA_SNAPPY,
	SQ_KAFKA_LZ4,
	SQ_KAFKA_ZSTD
} SqKafkaCodec;

/* Decompress into a block of its length; NULL: not such bytes, more than the
 * limit, or no memory. */
extern SqKafkaBlock *sq_kafka_decompress(SqKafkaCodec codec, SqSlice bytes,
										 size_t limit, SqKafkaBlockPool *pool);

#endif
