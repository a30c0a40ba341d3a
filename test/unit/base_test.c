/*
 * base_test.c
 *		Rooms base and batch: errors as values, arenas, batches.
 */
#include "base/base.h"
#include "batch/batch.h"

#include "unit.h"

static void
test_errors(void)
{
	SqError error;
	char longest[3 * SQ_ERROR_TEXT];

	CHECK(sq_error_set(&error, ERRCODE_UNDEFINED_TABLE, "no \"%s\"", "t") ==
		  SQ_ERROR);
	CHECK(error.sqlstate == ERRCODE_UNDEFINED_TABLE);
	CHECK_STR(error.message, "no \"t\"");
	CHECK_STR(error.detail, "");
	sq_error_detail(&error, "Detail %d.", 1);
	sq_error_hint(&error, "Hint %d.", 2);
	CHECK_STR(error.detail, "Detail 1.");
	CHECK_STR(error.hint, "Hint 2.");
	sq_error_set(&error, ERRCODE_UNDEFINED_TABLE, "again");
	CHECK_NAMED(error.detail[0] == '\0' && error.hint[0] == '\0',
				"a new error has no old detail or hint");

	/* a cut text ends with a whole character: two bytes each, odd space */
	for (size_t i = 0; i + 1 < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xa9", 2);
	longest[sizeof(longest) - 1] = '\0';
	sq_error_set(&error, ERRCODE_UNDEFINED_TABLE, "%s", longest);
	CHECK(strlen(error.message) == SQ_ERROR_TEXT - 2);
	sq_error_clear(&error);
	CHECK(error.sqlstate == 0 && error.message[0] == '\0');
}

static void
test_arena(void)
{
	SqArena *arena = sq_arena_create(1024);
	size_t size = sq_arena_size(arena);
	char *first = sq_arena_alloc(arena, 10);
	char *large;

	memset(first, 'a', 10);
	CHECK((uintptr_t) first % 8 == 0);
	CHECK((uintptr_t) sq_arena_alloc(arena, 3) % 8 == 0);
	large = sq_arena_alloc(arena, 100000);
	memset(large, 'b', 100000);
	CHECK_NAMED(first[9] == 'a', "a large request leaves the others alone");
	for (int i = 0; i < 1000; i++)
		memset(sq_arena_alloc(arena, 100), 'c', 100);
	CHECK(sq_arena_size(arena) > 200000);
	sq_arena_reset(arena);
	CHECK_NAMED(sq_arena_size(arena) == size, "reset keeps one block");
	CHECK_NAMED(sq_arena_alloc(arena, 10) == first, "... and uses it again");
	sq_arena_destroy(arena);
}

static void
test_batch(void)
{
	SqColumn types[3] = {{.type = SQ_TYPE_INT8},
						 {.type = SQ_TYPE_NUMERIC, .precision = 18, .scale = 2},
						 {.type = SQ_TYPE_TEXT}};
	SqBatch *batch = sq_batch_create(types, 3, 130);
	SqColumn *columns = batch->columns;
	SqSlice word = {"word", 4};

	CHECK(batch->capacity == 130 && batch->nrows == 0);
	CHECK(columns[1].scale == 2 && columns[2].type == SQ_TYPE_TEXT);
	sq_column_set_int(&columns[0], 129, -7);
	sq_column_set_pending(&columns[1], 64, word);
	sq_column_set_text(&columns[2], 0, word);
	batch->nrows = 130;
	CHECK(sq_bit_get(columns[0].valid, 129) && columns[0].i[129] == -7);
	CHECK(!sq_bit_get(columns[0].valid, 128));
	CHECK(sq_bit_get(columns[1].pending, 64) &&
		  !sq_bit_get(columns[1].valid, 64));
	CHECK(columns[2].text[0].length == 4);
	sq_column_set_null(&columns[1], 64);
	CHECK(!sq_bit_get(columns[1].pending, 64));
	CHECK_NAMED(sq_bit_get(columns[0].valid, 129), "other rows stay");
	sq_batch_reset(batch);
	CHECK(batch->nrows == 0 && !sq_bit_get(columns[0].valid, 129) &&
		  !sq_bit_get(columns[2].valid, 0));
	sq_batch_destroy(batch);
	batch = sq_batch_create(NULL, 0, 10);
	CHECK_NAMED(batch->ncolumns == 0, "a batch may have no columns");
	sq_batch_destroy(batch);
}

int
main(void)
{
	test_errors();
	test_arena();
	test_batch();
	return unit_end();
}
