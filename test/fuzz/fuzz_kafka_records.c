/*
 * fuzz_kafka_records.c
 *		libFuzzer target: any bytes as what an answer has of a partition.
 *
 * The first bytes choose where reading begins and ends, how many records are
 * taken at a time, and transactions that were aborted. The checksum of each
 * batch is made right, so that what is behind it is reached. Slices lie in the
 * bytes or in blocks that are held; offsets ascend within what is wanted; the
 * position never goes back, and ends no earlier than the last record; memory
 * stays within the limit, and all of it is given back.
 */
#include "fuzz.h"

#include "kafka/kafka_records.h"
#include "port/pg_crc32c.h"

#define LIMIT      100000
#define MAX_BLOCKS 1000
#define CHOICES    4
#define CRC        17
#define CHECKED    21

static SqError error;

static bool
is_in(SqSlice slice, const char *data, size_t length)
{
	return slice.data >= data && slice.data + slice.length <= data + length;
}

/* Does it lie in the input, or in a block that is held? */
static void
check_slice(SqSlice slice, SqSlice input, const SqKafkaFill *fill)
{
	bool good = slice.data == NULL || is_in(slice, input.data, input.length);

	for (int b = 0; b < fill->nblocks && !good; b++)
		good =
			is_in(slice, fill->blocks[b]->buffer.data, fill->blocks[b]->length);
	FUZZ_CHECK(good);
	/* read all of it */
	for (size_t i = 0; i < slice.length; i++)
		*(volatile const char *) &slice.data[i];
}

static void
check_headers(SqSlice bytes, SqSlice input, const SqKafkaFill *fill)
{
	int count = sq_kafka_count_headers(bytes);
	SqSlice *slices;

	FUZZ_CHECK(count >= 0);
	if (count == 0)
		return;
	slices = malloc(2 * count * sizeof(SqSlice));
	sq_kafka_read_headers(bytes, slices, slices + count);
	for (int i = 0; i < 2 * count; i++)
		check_slice(slices[i], input, fill);
	free(slices);
}

static void
make_sound(char *bytes, size_t length)
{
	size_t at = 0;

	while (length - at >= CHECKED)
	{
		uint32 size;
		uint32 written;
		pg_crc32c crc;

		memcpy(&size, bytes + at + 8, sizeof(size));
		size = pg_ntoh32(size);
		if (size > length - at - 12 || size < CHECKED - 12)
			return;
		INIT_CRC32C(crc);
		COMP_CRC32C(crc, bytes + at + CHECKED, size + 12 - CHECKED);
		FIN_CRC32C(crc);
		written = pg_hton32(crc);
		memcpy(bytes + at + CRC, &written, sizeof(written));
		at += 12 + size;
	}
}

static void
read_all(SqKafkaRecords *cursor, SqKafkaFill *fill)
{
	const SqKafkaRecordsInput *input = &cursor->input;
	int64 last = input->begin - 1;
	bool unspoken = false;
	SqStatus status = SQ_OK;

	while (status == SQ_OK && fill->nblocks < MAX_BLOCKS)
	{
		int64 position = cursor->position;

		fill->count = 0;
		status = sq_kafka_records_next(cursor, fill, &unspoken, &error);
		FUZZ_CHECK(cursor->position >= position);
		for (int r = 0; r < fill->count; r++)
		{
			const SqRecord *record = &fill->records[r];

			FUZZ_CHECK(record->offset > last && record->offset < input->end);
			last = record->offset;
			check_slice(record->key, input->bytes, fill);
			check_slice(record->value, input->bytes, fill);
			check_headers(fill->headers[r], input->bytes, fill);
		}
		FUZZ_CHECK(cursor->position > last || fill->count == 0);
	}
	if (status == SQ_ERROR)
		FUZZ_CHECK(error.sqlstate != 0 && error.message[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SqKafkaAborted aborted[] = {{1, 0}, {2, 3}};
	SqKafkaRecords cursor = {0};
	SqRecord records[64];
	SqSlice headers[64];
	SqKafkaBlock *blocks[MAX_BLOCKS + 1];
	SqKafkaFill fill = {.records = records,
						.headers = headers,
						.blocks = blocks,
						.maxblocks = MAX_BLOCKS + 1};
	SqKafkaRecordsInput input = {
		.topic = "t", .check_crcs = true, .aborted = aborted, .limit = LIMIT};
	size_t missing;
	char *bytes;

	if (size < CHOICES)
		return 0;
	bytes = malloc(size - CHOICES + 1);
	memcpy(bytes, data + CHOICES, size - CHOICES);
	make_sound(bytes, size - CHOICES);
	input.bytes = (SqSlice){bytes, size - CHOICES};
	input.begin = data[0];
	input.end = data[1] == 255 ? PG_INT64_MAX : data[1];
	fill.max = data[2] % lengthof(records) + 1;
	input.naborted = data[3] % (lengthof(aborted) + 1);
	input.pool = sq_kafka_block_pool_create();
	FUZZ_CHECK(sq_kafka_records_extent(input.bytes, input.begin, &missing) >=
			   input.begin);
	sq_kafka_records_begin(&cursor, &input);
	read_all(&cursor, &fill);
	for (int b = 0; b < fill.nblocks; b++)
	{
		FUZZ_CHECK(blocks[b]->length <= LIMIT);
		sq_kafka_block_release(blocks[b]);
	}
	sq_kafka_records_end(&cursor);
	sq_kafka_block_pool_free(input.pool);
	free(bytes);
	return 0;
}
