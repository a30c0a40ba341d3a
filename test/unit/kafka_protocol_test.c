/*
 * kafka_protocol_test.c
 *		Fields of Kafka's protocol: written, read, and lies.
 *
 * Links: src/kafka, src/base.
 */
#include <stdlib.h>

#include "kafka/kafka_protocol.h"
#include "unit.h"

/* ---- Fields ---- */

static void
test_fields(void)
{
	SqKafkaOutput out = {0};
	SqKafkaCursor in;
	SqSlice slice;

	sq_kafka_write_int8(&out, -1);
	sq_kafka_write_int16(&out, -2);
	sq_kafka_write_int32(&out, 0x12345678);
	sq_kafka_write_int64(&out, PG_INT64_MIN);
	sq_kafka_write_varint(&out, PG_UINT32_MAX);
	for (int compact = 0; compact < 2; compact++)
	{
		sq_kafka_write_string(&out, "text", compact);
		sq_kafka_write_string(&out, "", compact);
		sq_kafka_write_string(&out, NULL, compact);
		sq_kafka_write_bytes(&out, (SqSlice){"\0a", 2}, compact);
		sq_kafka_write_bytes(&out, SQ_NULL_SLICE, compact);
		sq_kafka_write_count(&out, -1, compact);
		sq_kafka_write_count(&out, 2, compact);
	}
	sq_kafka_write_raw(&out, "\2\1\3abc\5\0", 8);
	CHECK(!out.failed);
	in = sq_kafka_cursor((SqSlice){out.data, out.length});
	CHECK_INT(sq_kafka_read_int8(&in), -1);
	CHECK_INT(sq_kafka_read_int16(&in), -2);
	CHECK_INT(sq_kafka_read_int32(&in), 0x12345678);
	CHECK_INT(sq_kafka_read_int64(&in), PG_INT64_MIN);
	CHECK_INT(sq_kafka_read_varint(&in), PG_UINT32_MAX);
	for (int compact = 0; compact < 2; compact++)
	{
		slice = sq_kafka_read_string(&in, compact);
		CHECK(slice.length == 4 && memcmp(slice.data, "text", 4) == 0);
		slice = sq_kafka_read_string(&in, compact);
		CHECK(slice.length == 0 && slice.data != NULL);
		CHECK(sq_kafka_read_string(&in, compact).data == NULL);
		CHECK_INT(sq_kafka_read_bytes(&in, compact).length, 2);
		CHECK(sq_kafka_read_bytes(&in, compact).data == NULL);
		CHECK_INT(sq_kafka_read_count(&in, compact, 1), 0);
		CHECK_INT(sq_kafka_read_count(&in, compact, 1), 2);
	}
	sq_kafka_skip_tags(&in, true);
	CHECK(!in.failed && sq_kafka_read_left(&in) == 0);
	CHECK_INT(sq_kafka_read_int32(&in), 0);
	CHECK(in.failed);
	free(out.data);
}

/* What must fail, and stay so. */
static bool
is_refused(const char *bytes, size_t length, int kind)
{
	SqKafkaCursor in = sq_kafka_cursor((SqSlice){bytes, length});

	switch (kind)
	{
		case 's':
			sq_kafka_read_string(&in, false);
			break;
		case 'S':
			sq_kafka_read_string(&in, true);
			break;
		case 'b':
			sq_kafka_read_bytes(&in, false);
			break;
		case 'c':
			sq_kafka_read_count(&in, false, 4);
			break;
		case 'C':
			sq_kafka_read_count(&in, true, 4);
			break;
		case 'v':
			sq_kafka_read_varint(&in);
			break;
		default:
			sq_kafka_skip_tags(&in, true);
			break;
	}
	return in.failed && sq_kafka_read_raw(&in, 0) == NULL;
}

static void
test_lies(void)
{
	CHECK(is_refused("\0\5text", 6, 's'));
	CHECK(is_refused("\xff\xfetext", 6, 's'));
	CHECK(is_refused("\6text", 5, 'S'));
	CHECK(is_refused("\xff\xff\xff\xff\x0ftext", 9, 'S'));
	CHECK(is_refused("\x7f\xff\xff\xfftext", 8, 'b'));
	CHECK(is_refused("\xff\xff\xff\xfe", 4, 'b'));
	CHECK(is_refused("\0\0\0\2\1\2\3\4\5\6\7", 11, 'c'));
	CHECK(is_refused("\3\1\2\3\4\5\6\7", 8, 'C'));
	CHECK(is_refused("\xff\xff\xff\xff\x1f", 5, 'v'));
	CHECK(is_refused("\xff\xff\xff\xff\xff\xff", 6, 'v'));
	CHECK(is_refused("\x80", 1, 'v'));
	CHECK(is_refused("\2\1\3abc\5", 7, 't'));
	CHECK(is_refused("\1\1\4abc", 6, 't'));
	CHECK(is_refused("\xff\xff\xff\xff\x0f", 5, 't'));
}

static void
test_text(void)
{
	char said[8];

	sq_kafka_read_text((SqSlice){"a\nb\xc3\xa4. ", 7}, said, sizeof(said));
	CHECK_STR(said, "a?b??");
	sq_kafka_read_text((SqSlice){"longer than it", 14}, said, sizeof(said));
	CHECK_STR(said, "longer");
	sq_kafka_read_text(SQ_NULL_SLICE, said, sizeof(said));
	CHECK_STR(said, "");
}

int
main(void)
{
	test_fields();
	test_lies();
	test_text();
	return unit_end();
}
