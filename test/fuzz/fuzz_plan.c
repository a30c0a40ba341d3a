/*
 * fuzz_plan.c
 *		libFuzzer target: any bytes as a native plan.
 *
 * What is read as a plan must be written as bytes that are read as the same
 * plan; anything else must be refused with an error, and nothing else may
 * happen. A first byte of 0 damages a good plan by the rest of the input
 * instead (pairs of place and value), since chance seldom makes one.
 */
#include "fuzz.h"

#include "exec_unit.h"

/* of the sanitizers' run time; its header comes with clang alone */
extern int __sanitizer_install_malloc_and_free_hooks(
	void (*malloc_hook)(const volatile void *, size_t),
	void (*free_hook)(const volatile void *));

static SqSlice good;

/* ---- What was allocated for an input ---- */

#define MAX_HELD 100000

static const volatile void *held[MAX_HELD];
static int nheld;
static bool holding;

static void
note_malloc(const volatile void *pointer, size_t size)
{
	if (holding && nheld < MAX_HELD)
		held[nheld++] = pointer;
}

static void
note_free(const volatile void *pointer)
{
	for (int i = nheld - 1; holding && i >= 0; i--)
		if (held[i] == pointer)
		{
			held[i] = held[--nheld];
			return;
		}
}

/* In a server a memory context does this. */
static void
free_held(void)
{
	holding = false;
	for (int i = 0; i < nheld; i++)
		free((void *) held[i]);
	nheld = 0;
}

/* ---- Plans ---- */

/* Groups over a join with a condition: a bit of everything. */
static SqPlan *
make_plan(void)
{
	SqPlan *plan = palloc0(sizeof(SqPlan));
	SqNode *join = palloc0(sizeof(SqNode));
	SqNode *filter = palloc0(sizeof(SqNode));

	join->kind = SQ_NODE_JOIN;
	join->number = 1;
	join->join = SQ_JOIN_LEFT;
	join->nkeys = 1;
	join->keys = palloc(sizeof(SqExpr *));
	join->inner_keys = palloc(sizeof(SqExpr *));
	join->keys[0] = exec_slot(SQ_TYPE_INT4, 0);
	join->inner_keys[0] = exec_slot(SQ_TYPE_INT4, EXEC_WIDTH);
	join->outer = exec_scan(0, 2);
	join->inner = exec_scan(1, 3);
	join->nslots = 2 * EXEC_WIDTH;
	join->slots = exec_slots(0, join->nslots);
	filter->kind = SQ_NODE_FILTER;
	filter->outer = join;
	filter->nslots = join->nslots;
	filter->slots = join->slots;
	filter->nconditions = 1;
	filter->conditions = palloc(sizeof(SqExpr *));
	filter->conditions[0] =
		exec_call(SQ_OP_LT_F, SQ_TYPE_TRUTH, exec_slot(SQ_TYPE_FLOAT8, 1),
				  exec_slot(SQ_TYPE_FLOAT8, EXEC_WIDTH + 1));
	plan->nslots = 2 * EXEC_WIDTH;
	plan->slots = palloc0(plan->nslots * sizeof(SqColumn));
	for (int i = 0; i < plan->nslots; i++)
		plan->slots[i].type = exec_types[i % EXEC_WIDTH];
	plan->nrelations = 2;
	plan->nnodes = 4;
	plan->root = filter;
	return plan;
}

static void
check(const uint8_t *data, size_t size)
{
	SqError error;
	SqPlan *plan = sq_plan_read((SqSlice){(const char *) data, size}, &error);
	SqSlice once;
	SqSlice twice;

	if (plan == NULL)
		return;
	once = sq_plan_write(plan);
	plan = sq_plan_read(once, &error);
	FUZZ_CHECK(plan != NULL);
	twice = sq_plan_write(plan);
	FUZZ_CHECK(once.length == twice.length &&
			   memcmp(once.data, twice.data, once.length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *input;
	size_t length = size;

	if (good.data == NULL)
	{
		SqError error;

		good = sq_plan_write(make_plan());
		FUZZ_CHECK(sq_plan_read(good, &error) != NULL);
		__sanitizer_install_malloc_and_free_hooks(note_malloc, note_free);
	}
	if (size == 0)
		return 0;
	if (data[0] == 0)
		length = good.length;
	/* of its very size, so that reading beyond it is noticed */
	input = malloc(length);
	memcpy(input, data[0] == 0 ? (const uint8_t *) good.data : data, length);
	for (size_t i = 1; data[0] == 0 && i + 2 < size; i += 3)
		input[(data[i] << 8 | data[i + 1]) % length] = data[i + 2];
	holding = true;
	check(input, length);
	free_held();
	free(input);
	return 0;
}
