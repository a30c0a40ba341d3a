/*
 * kafka_records_test.c
 *		Record batches as brokers send them, made here byte by byte.
 *
 * What comes of an input is one line: "offset key=value" for each record, and
 * the position behind a bar; or the sqlstate of its error.
 */
#include "kafka/kafka_records.h"

#include "unit.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "port/pg_crc32c.h"

#define ROOM     (1 << 20)
#define LIMIT    (1 << 22)
#define BLOCKS   256
#define XERIAL   8 /* beyond the codecs: snappy in chunks */
#define CONTROL  0x20
#define IN_TX    0x10
#define APPENDED 0x08

/* ---- Bytes ---- */

typedef struct Bytes
{
	char *data;
	size_t length;
} Bytes;

static void
put(Bytes *out, const void *data, size_t length)
{
	if (length > 0)
		memcpy(out->data + out->length, data, length);
	out->length += length;
}

static void
put_number(Bytes *out, int64 value, int width)
{
	for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
		out->data[out->length++] = (char) (value >> shift);
}

static void
put_varint(Bytes *out, int64 value)
{
	uint64 raw = ((uint64) value << 1) ^ (uint64) (value >> 63);

	for (; raw > 127; raw >>= 7)
		out->data[out->length++] = (char) (raw | 128);
	out->data[out->length++] = (char) raw;
}

static void
put_text(Bytes *out, const char *value)
{
	put_varint(out, value != NULL ? (int64) strlen(value) : -1);
	if (value != NULL)
		put(out, value, strlen(value));
}

/* ---- Batches ---- */

typedef struct Record
{
	int delta;
	const char *key;
	const char *value;
	const char *header; /* name of one, whose value is null; or NULL */
} Record;

typedef struct Batch
{
	int64 offset;
	int attributes;
	int codec;
	int64 producer;
	int last; /* delta of the last offset; 0: of the last record */
	int count;
	Record records[8];
} Batch;

static void
put_record(Bytes *out, const Record *record)
{
	char room[2048];
	Bytes body = {room, 0};

	put_number(&body, 0, 1);
	put_varint(&body, 10 * record->delta);
	put_varint(&body, record->delta);
	put_text(&body, record->key);
	put_text(&body, record->value);
	put_varint(&body, record->header != NULL);
	if (record->header != NULL)
	{
		put_text(&body, record->header);
		put_text(&body, NULL);
	}
	put_varint(out, (int64) body.length);
	put(out, body.data, body.length);
}

static void
deflate_into(Bytes *out, const Bytes *in)
{
	z_stream stream = {.next_in = (Bytef *) in->data,
					   .avail_in = (uInt) in->length,
					   .next_out = (Bytef *) out->data + out->length,
					   .avail_out = 65536};

	deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	deflate(&stream, Z_FINISH);
	out->length += stream.total_out;
	deflateEnd(&stream);
}

static void
snap_into(Bytes *out, const char *data, size_t length)
{
	size_t size = 65536;

	snappy_compress(data, length, out->data + out->length, &size);
	out->length += size;
}

/* As snappy-java does: a header, and chunks with their lengths. */
static void
snap_chunks(Bytes *out, const Bytes *in)
{
	size_t half = in->length / 2;

	put(out, "\x82SNAPPY", 8);
	put_number(out, 1, 4);
	put_number(out, 1, 4);
	for (int chunk = 0; chunk < 2; chunk++)
	{
		size_t before = out->length;
		size_t length = chunk == 0 ? half : in->length - half;
		Bytes size = {out->data + before, 0};

		out->length += 4;
		snap_into(out, in->data + chunk * half, length);
		put_number(&size, (int64) (out->length - before - 4), 4);
	}
}

static void
compress_into(Bytes *out, const Bytes *in, int codec)
{
	if (codec == SQ_KAFKA_PLAIN)
		put(out, in->data, in->length);
	else if (codec == SQ_KAFKA_GZIP)
		deflate_into(out, in);
	else if (codec == SQ_KAFKA_SNAPPY)
		snap_into(out, in->data, in->length);
	else if (codec == XERIAL)
		snap_chunks(out, in);
	else if (codec == SQ_KAFKA_LZ4)
		out->length += LZ4F_compressFrame(out->data + out->length, 65536,
										  in->data, in->length, NULL);
	else
		out->length += ZSTD_compress(out->data + out->length, 65536, in->data,
									 in->length, 3);
}

static void
put_batch(Bytes *out, const Batch *batch)
{
	static char room[65536];
	Bytes records = {room, 0};
	size_t start = out->length;
	int codec = batch->codec == XERIAL ? SQ_KAFKA_SNAPPY : batch->codec;
	int last = batch->last;
	Bytes field;
	pg_crc32c crc;

	for (int r = 0; r < batch->count; r++)
		put_record(&records, &batch->records[r]);
	if (last == 0 && batch->count > 0)
		last = batch->records[batch->count - 1].delta;
	put_number(out, batch->offset, 8);
	put_number(out, 0, 4);
	put_number(out, 7, 4);
	put_number(out, 2, 1);
	put_number(out, 0, 4);
	put_number(out, batch->attributes | codec, 2);
	put_number(out, last, 4);
	put_number(out, 1000, 8);
	put_number(out, 9999, 8);
	put_number(out, batch->producer, 8);
	put_number(out, 0, 2);
	put_number(out, 0, 4);
	put_number(out, batch->count, 4);
	compress_into(out, &records, batch->codec);
	field = (Bytes){out->data + start + 8, 0};
	put_number(&field, (int64) (out->length - start - 12), 4);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, out->data + start + 21, out->length - start - 21);
	FIN_CRC32C(crc);
	field = (Bytes){out->data + start + 17, 0};
	put_number(&field, crc, 4);
}

static void
put_marker(Bytes *out, int64 offset, int64 producer, bool commit)
{
	char key[4];
	Batch batch = {offset, CONTROL | IN_TX, 0, producer, 0, 0, {{0}}};
	size_t start = out->length;
	Bytes records = {NULL, 0};
	char room[64];
	Bytes field = {key, 0};
	pg_crc32c crc;

	put_number(&field, 0, 2);
	put_number(&field, commit, 2);
	put_batch(out, &batch);
	/* its record, by hand: the key is bytes */
	records.data = room;
	put_number(&records, 0, 1);
	put_varint(&records, 0);
	put_varint(&records, 0);
	put_varint(&records, 4);
	put(&records, key, 4);
	put_varint(&records, -1);
	put_varint(&records, 0);
	put_varint(out, (int64) records.length);
	put(out, records.data, records.length);
	field = (Bytes){out->data + start + 8, 0};
	put_number(&field, (int64) (out->length - start - 12), 4);
	field = (Bytes){out->data + start + 57, 0};
	put_number(&field, 1, 4);
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, out->data + start + 21, out->length - start - 21);
	FIN_CRC32C(crc);
	field = (Bytes){out->data + start + 17, 0};
	put_number(&field, crc, 4);
}

/* ---- Reading ---- */

static char room[ROOM];
static Bytes sent = {room, 0};
static SqKafkaRecordsInput input;
static SqKafkaBlockPool *pool;
static SqError error;
static bool unspoken;
static SqTimestampType timestamp_type;
static int64 timestamp;

static const char *
text_of(SqSlice slice)
{
	static char texts[4][256];
	static int turn = 0;
	char *shown = texts[turn++ % 4];

	if (slice.data == NULL)
		return "null";
	snprintf(shown, 256, "%.*s", (int) Min(slice.length, 40), slice.data);
	return shown;
}

static void
begin(void)
{
	sent.length = 0;
	input = (SqKafkaRecordsInput){.topic = "t",
								  .end = PG_INT64_MAX,
								  .check_crcs = true,
								  .limit = LIMIT,
								  .pool = pool};
}

/* What comes of what was sent, so many records at a time. */
static const char *
answer_of(size_t length, int max)
{
	static char shown[4096];
	char *out = shown;
	SqRecord records[64];
	SqSlice headers[64];
	SqKafkaBlock *blocks[BLOCKS];
	SqKafkaFill fill = {records, headers, max, 0, 0, blocks, 0, BLOCKS};
	SqKafkaRecords cursor = {0};
	char *exact = malloc(Max(length, 1));
	SqStatus status;

	memcpy(exact, sent.data, length);
	input.bytes = (SqSlice){exact, length};
	unspoken = false;
	sq_kafka_records_begin(&cursor, &input);
	while ((status = sq_kafka_records_next(&cursor, &fill, &unspoken,
										   &error)) == SQ_OK)
	{
		for (int r = 0; r < fill.count; r++)
		{
			out += sprintf(out, "%lld %s=%s%s ", (long long) records[r].offset,
						   text_of(records[r].key), text_of(records[r].value),
						   headers[r].data != NULL ? "+" : "");
			timestamp = records[r].timestamp;
			timestamp_type = records[r].timestamp_type;
		}
		fill.count = 0;
	}
	sprintf(out, status == SQ_DONE ? "| %lld" : "! %lld",
			(long long) cursor.position);
	for (int b = 0; b < fill.nblocks; b++)
		sq_kafka_block_release(blocks[b]);
	sq_kafka_records_end(&cursor);
	free(exact);
	return shown;
}

static const char *
answer(void)
{
	return answer_of(sent.length, 64);
}

/* ---- Tests ---- */

static const Batch three = {.offset = 10,
							.producer = -1,
							.count = 3,
							.records = {{0, "a", "one", NULL},
										{1, NULL, "", "h"},
										{2, "", NULL, NULL}}};

#define THREE "10 a=one 11 null=+ 12 =null | 13"

static void
test_codecs(void)
{
	for (int codec = SQ_KAFKA_PLAIN; codec <= XERIAL; codec++)
	{
		Batch batch = three;

		if (codec > SQ_KAFKA_ZSTD && codec < XERIAL)
			continue;
		begin();
		batch.codec = codec;
		put_batch(&sent, &batch);
		CHECK_STR(answer(), THREE);
		CHECK_STR(answer_of(sent.length, 1), THREE);
		sent.data[sent.length - 1] ^= 1;
		CHECK_STR(answer(), "! 0");
		CHECK_INT(error.sqlstate, ERRCODE_DATA_CORRUPTED);
		/* without checksums it is found out, or not, but nothing breaks */
		input.check_crcs = false;
		answer();
		sent.data[sent.length - 1] ^= 1;
		CHECK_STR(answer(), THREE);
	}
}

static void
test_ranges(void)
{
	begin();
	put_batch(&sent, &three);
	put_batch(&sent,
			  &(Batch){.offset = 20,
					   .producer = -1,
					   .last = 9,
					   .count = 2,
					   .records = {{3, "b", "x", NULL}, {5, "c", "y", NULL}}});
	CHECK_STR(answer(), "10 a=one 11 null=+ 12 =null 23 b=x 25 c=y | 30");
	input.begin = 11;
	CHECK_STR(answer(), "11 null=+ 12 =null 23 b=x 25 c=y | 30");
	input.begin = 24;
	CHECK_STR(answer(), "25 c=y | 30");
	input.begin = 26;
	CHECK_STR(answer(), "| 30");
	input.begin = 40;
	CHECK_STR(answer(), "| 40");
	input.begin = 0;
	input.end = 12;
	CHECK_STR(answer(), "10 a=one 11 null=+ | 12");
	input.end = 24;
	CHECK_STR(answer(), "10 a=one 11 null=+ 12 =null 23 b=x | 24");
	input.end = 5;
	CHECK_STR(answer(), "| 5");
	CHECK_STR(answer_of(0, 1), "| 0");
}

/* A part of what was sent is as good as all of its whole batches. */
static void
test_truncation(void)
{
	size_t first;
	size_t missing;
	bool good = true;

	begin();
	put_batch(&sent, &three);
	first = sent.length;
	put_batch(&sent, &(Batch){.offset = 13,
							  .producer = -1,
							  .count = 1,
							  .records = {{0, "d", "z", NULL}}});
	for (size_t length = 0; length < sent.length && good; length++)
	{
		bool whole = length >= first;
		SqSlice part = {sent.data, length};

		good = strcmp(answer_of(length, 2), whole ? THREE : "| 0") == 0 &&
			   sq_kafka_records_extent(part, 5, &missing) == (whole ? 13 : 5) &&
			   (missing > 0) == (length > 0 && !whole) &&
			   (length < 12 || whole || missing == first);
	}
	CHECK_NAMED(good, "truncated at every byte");
	CHECK_STR(answer(), "10 a=one 11 null=+ 12 =null 13 d=z | 14");
}

/* A record of a transaction. */
static void
put_written(int64 offset, int64 producer, const char *value)
{
	Batch batch = {.offset = offset,
				   .attributes = producer >= 0 ? IN_TX : 0,
				   .producer = producer,
				   .count = 1,
				   .records = {{0, NULL, value, NULL}}};

	put_batch(&sent, &batch);
}

static void
test_transactions(void)
{
	const SqKafkaAborted aborted[] = {{1, 2}, {2, 4}, {1, 9}};

	begin();
	put_written(0, 1, "committed");
	put_marker(&sent, 1, 1, true);
	put_written(2, 1, "aborted");
	put_written(3, -1, "free");
	put_written(4, 2, "aborted");
	put_written(5, 3, "open");
	put_marker(&sent, 6, 1, false);
	put_written(7, 1, "again");
	put_marker(&sent, 8, 1, true);
	put_written(9, 1, "aborted");
	put_marker(&sent, 10, 2, false);
	put_written(11, 2, "after");
	put_marker(&sent, 12, 1, false);
	CHECK_STR(answer(), "0 null=committed 2 null=aborted 3 null=free "
						"4 null=aborted 5 null=open 7 null=again "
						"9 null=aborted 11 null=after | 13");
	input.aborted = aborted;
	input.naborted = 3;
	CHECK_STR(answer(), "0 null=committed 3 null=free 5 null=open "
						"7 null=again 11 null=after | 13");
	input.begin = 3;
	CHECK_STR(answer(),
			  "3 null=free 5 null=open 7 null=again 11 null=after | 13");
	input.begin = 8;
	CHECK_STR(answer(), "11 null=after | 13");
}

static void
test_timestamps(void)
{
	Batch batch = three;

	begin();
	put_batch(&sent, &batch);
	answer();
	CHECK_INT(timestamp, 1020);
	CHECK_INT(timestamp_type, SQ_TIMESTAMP_CREATE);
	begin();
	batch.attributes = APPENDED;
	put_batch(&sent, &batch);
	answer();
	CHECK_INT(timestamp, 9999);
	CHECK_INT(timestamp_type, SQ_TIMESTAMP_APPEND);
}

static void
test_formats(void)
{
	Batch batch = three;
	Bytes field;

	begin();
	put_batch(&sent, &batch);
	sent.data[16] = 1;
	CHECK_STR(answer(), "! 0");
	CHECK(unspoken);
	sent.data[16] = 3;
	CHECK_STR(answer(), "! 0");
	CHECK(!unspoken);
	/* more records than there are, and fewer */
	input.check_crcs = false;
	sent.data[16] = 2;
	field = (Bytes){sent.data + 57, 0};
	put_number(&field, 4, 4);
	CHECK_STR(answer(), "10 a=one 11 null=+ 12 =null ! 13");
	field.length = 0;
	put_number(&field, 2, 4);
	CHECK_STR(answer(), "10 a=one 11 null=+ | 13");
	/* no batch of records at all: compaction leaves such */
	begin();
	put_batch(&sent, &(Batch){.offset = 5, .producer = -1, .last = 4});
	put_batch(&sent, &three);
	CHECK_STR(answer(), THREE);
	/* as far as offsets go */
	begin();
	batch.offset = PG_INT64_MAX - 3;
	put_batch(&sent, &batch);
	input.begin = PG_INT64_MAX - 3;
	CHECK_STR(answer(), "9223372036854775804 a=one 9223372036854775805 null=+ "
						"9223372036854775806 =null | 9223372036854775807");
}

/* A batch may not become larger than the limit, whatever it is made of. */
static void
test_limit(void)
{
	static char value[1500];
	Batch batch = {.offset = 0, .producer = -1, .count = 8};

	memset(value, 'x', sizeof(value) - 1);
	for (int r = 0; r < 8; r++)
		batch.records[r] = (Record){r, NULL, value, NULL};
	for (int codec = SQ_KAFKA_GZIP; codec <= XERIAL; codec++)
	{
		if (codec > SQ_KAFKA_ZSTD && codec < XERIAL)
			continue;
		begin();
		batch.codec = codec;
		put_batch(&sent, &batch);
		input.limit = 8 * 1500 + 200;
		CHECK_STR(strchr(answer(), '|'), "| 8");
		input.limit = 8 * 1499;
		CHECK_STR(answer(), "! 0");
	}
}

static void
test_headers(void)
{
	char bytes[64];
	Bytes out = {bytes, 0};
	SqSlice names[2];
	SqSlice values[2];

	put_varint(&out, 2);
	put_text(&out, "name");
	put_text(&out, "");
	put_text(&out, "");
	put_text(&out, NULL);
	CHECK_INT(sq_kafka_count_headers((SqSlice){bytes, out.length}), 2);
	sq_kafka_read_headers((SqSlice){bytes, out.length}, names, values);
	CHECK_STR(text_of(names[0]), "name");
	CHECK(values[0].data != NULL && values[0].length == 0);
	CHECK(names[1].data != NULL && names[1].length == 0);
	CHECK(values[1].data == NULL);
	for (size_t length = 1; length < out.length; length++)
		CHECK_INT(sq_kafka_count_headers((SqSlice){bytes, length}), -1);
	CHECK_INT(sq_kafka_count_headers((SqSlice){NULL, 0}), 0);
}

int
main(void)
{
	pool = sq_kafka_block_pool_create();
	test_codecs();
	test_ranges();
	test_truncation();
	test_transactions();
	test_timestamps();
	test_formats();
	test_limit();
	test_headers();
	sq_kafka_block_pool_free(pool);
	return unit_end();
}
