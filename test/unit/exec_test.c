/*
 * exec_test.c
 *		Joins and aggregates against a model that compares every pair of rows.
 */
#include "exec_unit.h"

#include <math.h>

#define ROUNDS 60

static ExecHost host = {.host = {&exec_host_ops}};

/* ---- Values as the model sees them ---- */

static bool
same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

/* Are the first nkeys columns of both there and equal? */
static bool
matches(const ExecRow *a, const ExecRow *b, int nkeys, bool condition)
{
	for (int c = 0; c < nkeys; c++)
		if (!a->there[c] || !b->there[c])
			return false;
	if ((nkeys > 0 && a->number != b->number) ||
		(nkeys > 1 && !same_number(a->real, b->real)) ||
		(nkeys > 2 && strcmp(a->text, b->text) != 0))
		return false;
	if (!condition)
		return true;
	/* the outer float is less than the inner one; NaN is the largest */
	return a->there[1] && b->there[1] && !isnan(a->real) &&
		   (isnan(b->real) || a->real < b->real);
}

static int
print_row(char *at, size_t room, const ExecRow *row)
{
	int length = 0;

	for (int c = 0; c < EXEC_WIDTH; c++)
		if (row == NULL || !row->there[c])
			length += snprintf(at + length, room - length, "|-");
		else if (c == 0)
			length += snprintf(at + length, room - length, "|%lld",
							   (long long) row->number);
		else if (c == 1)
			length += snprintf(at + length, room - length, "|%g",
							   row->real == 0 ? 0 : row->real);
		else
			length += snprintf(at + length, room - length, "|%s", row->text);
	return length;
}

static void
add_pair(ExecResult *result, const ExecRow *a, const ExecRow *b, bool inner)
{
	char line[512];
	int length = print_row(line, sizeof(line), a);

	if (inner)
		print_row(line + length, sizeof(line) - length, b);
	exec_add(result, line);
}

/* ---- Joins ---- */

typedef struct Case
{
	SqJoinType type;
	int nkeys;
	bool condition;
	const ExecRow *outer;
	int nouter;
	const ExecRow *inner;
	int ninner;
} Case;

static void
model_join(const Case *c, ExecResult *result)
{
	bool pairs = c->type < SQ_JOIN_SEMI;
	bool *found = calloc(c->ninner + 1, sizeof(bool));

	for (int o = 0; o < c->nouter; o++)
	{
		bool any = false;

		for (int i = 0; i < c->ninner; i++)
			if (matches(&c->outer[o], &c->inner[i], c->nkeys, c->condition))
			{
				any = found[i] = true;
				if (pairs)
					add_pair(result, &c->outer[o], &c->inner[i], true);
			}
		if (c->type == SQ_JOIN_SEMI ? any : c->type == SQ_JOIN_ANTI && !any)
			add_pair(result, &c->outer[o], NULL, false);
		if (!any && (c->type == SQ_JOIN_LEFT || c->type == SQ_JOIN_FULL))
			add_pair(result, &c->outer[o], NULL, true);
	}
	for (int i = 0; i < c->ninner; i++)
		if (!found[i] && (c->type == SQ_JOIN_RIGHT || c->type == SQ_JOIN_FULL))
			add_pair(result, NULL, &c->inner[i], true);
	free(found);
}

static SqExpr **
key_exprs(int relation, int nkeys)
{
	SqExpr **keys = palloc0(EXEC_WIDTH * sizeof(SqExpr *));

	for (int k = 0; k < nkeys; k++)
		keys[k] = exec_slot(exec_types[k], relation * EXEC_WIDTH + k);
	return keys;
}

static SqPlan *
new_plan(int nslots, SqNode *root, int nnodes)
{
	SqPlan *plan = palloc0(sizeof(SqPlan));

	plan->nslots = nslots;
	plan->slots = palloc0(nslots * sizeof(SqColumn));
	for (int s = 0; s < nslots; s++)
		plan->slots[s].type = exec_types[s % EXEC_WIDTH];
	plan->nrelations = 2;
	plan->nnodes = nnodes;
	plan->root = root;
	return plan;
}

/* As it is after it was written and read. */
static SqPlan *
through_bytes(const SqPlan *plan)
{
	SqError error;
	SqPlan *copy = sq_plan_read(sq_plan_write(plan), &error);

	CHECK_NAMED(copy != NULL, "the plan can be read");
	return copy;
}

static SqPlan *
join_plan(const Case *c)
{
	SqNode *node = palloc0(sizeof(SqNode));

	node->kind = SQ_NODE_JOIN;
	node->join = c->type;
	node->method = SQ_METHOD_HASH;
	node->nkeys = c->nkeys;
	node->keys = key_exprs(0, c->nkeys);
	node->inner_keys = key_exprs(1, c->nkeys);
	node->outer = exec_scan(0, 1);
	node->inner = exec_scan(1, 2);
	node->nslots = c->type < SQ_JOIN_SEMI ? 2 * EXEC_WIDTH : EXEC_WIDTH;
	node->slots = exec_slots(0, node->nslots);
	node->nconditions = c->condition;
	node->conditions = palloc(sizeof(SqExpr *));
	node->conditions[0] =
		exec_call(SQ_OP_LT_F, SQ_TYPE_TRUTH, exec_slot(SQ_TYPE_FLOAT8, 1),
				  exec_slot(SQ_TYPE_FLOAT8, EXEC_WIDTH + 1));
	return through_bytes(new_plan(2 * EXEC_WIDTH, node, 3));
}

static void
check_join(const Case *c, size_t memory, const char *name)
{
	SqPlan *plan = join_plan(c);
	SqExecRelation relations[2] = {
		{.source = exec_source(c->outer, c->nouter, 0)},
		{.source = exec_source(c->inner, c->ninner, EXEC_WIDTH)}};
	SqExecOptions options = {.memory = memory, .seed = exec_random(1000)};
	SqExec *exec = sq_exec_create(plan, relations, &host.host, &options);
	ExecResult wanted = {0};
	SqError error;
	SqFrame *frame;

	model_join(c, &wanted);
	/* a start that is given up leaves nothing behind */
	sq_exec_next(exec, &frame, &error);
	sq_exec_restart(exec);
	for (int again = 0; again < 2; again++)
	{
		ExecResult got = {0};
		bool good = exec_run(exec, plan, &got, &error);

		CHECK_NAMED(good && exec_same(&got, &wanted),
					"%s: join type %d, %d keys, condition %d, %d x %d rows",
					name, c->type, c->nkeys, c->condition, c->nouter,
					c->ninner);
		exec_free(&got);
		sq_exec_restart(exec);
	}
	CHECK_NAMED(host.open == 0, "no file is left open");
	exec_free(&wanted);
}

static ExecRow *
random_rows(int count, uint32 values)
{
	ExecRow *rows = calloc(count + 1, sizeof(ExecRow));

	for (int i = 0; i < count; i++)
		rows[i] = exec_random_row(values);
	return rows;
}

static void
test_joins(void)
{
	for (int round = 0; round < ROUNDS; round++)
	{
		bool large = round % 6 == 5;
		uint32 values = large ? 3000 : 1 + exec_random(60);
		int nouter = large ? 2500 : (int) exec_random(200);
		int ninner = large ? 4000 : (int) exec_random(120);
		ExecRow *outer = random_rows(nouter, values);
		ExecRow *inner = random_rows(ninner, values);
		Case c = {.type = round % 6,
				  .nkeys = large ? 1 : (int) exec_random(EXEC_WIDTH + 1),
				  .condition = exec_random(2) == 0,
				  .outer = outer,
				  .nouter = nouter,
				  .inner = inner,
				  .ninner = ninner};

		for (int type = SQ_JOIN_INNER; type <= SQ_JOIN_ANTI; type++)
		{
			c.type = type;
			check_join(&c, SIZE_MAX, "in memory");
			if (large)
				check_join(&c, 1, "in files");
		}
		free(outer);
		free(inner);
	}
}

/* ---- Joins with kept tables ---- */

#define TABLE_ROWS 400
#define TABLE_SIZE ((size_t) 16 * 1024 * 1024)

/* By number, which is the key, and by text, which is indexed. */
static SqTableLayout *
table_layout(void)
{
	static const SqTableColumn table_columns[EXEC_WIDTH] = {
		{.kind = SQ_TABLE_WORD, .width = 4, .alignment = 4},
		{.kind = SQ_TABLE_WORD, .width = 8, .alignment = 8},
		{.kind = SQ_TABLE_VARLENA, .alignment = 4, .packable = true}};
	static const SqTableIndexSpec indexes[2] = {{1, {0}}, {1, {2}}};

	return sq_table_layout_create(table_columns, EXEC_WIDTH, indexes, 2);
}

static void
put_row(SqTableWriter *writer, const ExecRow *row)
{
	SqTableCell cells[EXEC_WIDTH];
	SqError error;

	for (int c = 0; c < EXEC_WIDTH; c++)
		cells[c] = (SqTableCell){.null = !row->there[c]};
	cells[0].word = row->number;
	memcpy(&cells[1].word, &row->real, sizeof(double));
	cells[2].bytes = (SqSlice){row->text, strlen(row->text)};
	if (sq_table_put(writer, cells, &error) != SQ_OK)
		CHECK_NAMED(false, "%s", error.message);
}

/* The same rows as an array and as a table, whose view is opened. */
static void
make_table(ExecRow *rows, SqTableView *view)
{
	SqTableLayout *layout = table_layout();
	SqTableArena *arena = sq_table_arena_init(
		aligned_alloc(64, TABLE_SIZE), TABLE_SIZE, 2, 2, exec_random(1000));
	SqTableWriter *writer = sq_table_writer_open(arena, 0, layout);

	for (int i = 0; i < TABLE_ROWS; i++)
	{
		rows[i] = exec_random_row(40);
		rows[i].there[0] = true;
		rows[i].number = i;
		put_row(writer, &rows[i]);
	}
	sq_table_publish(writer);
	CHECK(sq_table_view_open(view, arena, 0, layout,
							 sq_table_reader_at(arena, 0)));
}

/* The same model for a join by text alone. */
static void
model_text_join(const Case *c, ExecResult *result)
{
	bool pairs = c->type < SQ_JOIN_SEMI;

	for (int o = 0; o < c->nouter; o++)
	{
		const ExecRow *a = &c->outer[o];
		bool any = false;

		for (int i = 0; i < c->ninner; i++)
		{
			const ExecRow *b = &c->inner[i];

			if (!a->there[2] || !b->there[2] || strcmp(a->text, b->text) != 0 ||
				!matches(a, b, 0, c->condition))
				continue;
			any = true;
			if (pairs)
				add_pair(result, a, b, true);
		}
		if (c->type == SQ_JOIN_SEMI ? any : c->type == SQ_JOIN_ANTI && !any)
			add_pair(result, a, NULL, false);
		if (!any && c->type == SQ_JOIN_LEFT)
			add_pair(result, a, NULL, true);
	}
}

static void
check_lookup(const Case *c, int index, const SqTableView *view)
{
	static const int table_slots[EXEC_WIDTH] = {0, 1, 2};
	SqPlan *plan = join_plan(c);
	SqNode *node = plan->root;
	SqExecRelation relations[2] = {
		{.source = exec_source(c->outer, c->nouter, 0)},
		{.view = view, .columns = table_slots}};
	SqExecOptions options = {.memory = SIZE_MAX};
	ExecResult wanted = {0};
	ExecResult got = {0};
	SqError error;
	bool good;

	node->method = SQ_METHOD_LOOKUP;
	node->inner = NULL;
	node->inner_keys = NULL;
	node->index = index;
	node->relation = 1;
	node->nfilled = EXEC_WIDTH;
	node->filled = exec_slots(EXEC_WIDTH, EXEC_WIDTH);
	plan->nnodes = 2;
	if (index == 1)
		node->keys[0] = exec_slot(SQ_TYPE_TEXT, 2);
	plan = through_bytes(plan);
	if (index == 1)
		model_text_join(c, &wanted);
	else
		model_join(c, &wanted);
	good = exec_run(sq_exec_create(plan, relations, &host.host, &options), plan,
					&got, &error);
	CHECK_NAMED(good && exec_same(&got, &wanted),
				"lookup by index %d: join type %d, condition %d", index,
				c->type, c->condition);
	exec_free(&wanted);
	exec_free(&got);
}

static void
test_lookups(void)
{
	static const SqJoinType kinds[] = {SQ_JOIN_INNER, SQ_JOIN_LEFT,
									   SQ_JOIN_SEMI, SQ_JOIN_ANTI};
	ExecRow inner[TABLE_ROWS];
	ExecRow *outer = random_rows(1500, 2 * TABLE_ROWS);
	ExecRow *narrow = random_rows(300, 40);
	SqTableView view;

	make_table(inner, &view);
	for (int k = 0; k < lengthof(kinds); k++)
		for (int condition = 0; condition < 2; condition++)
		{
			Case c = {kinds[k], 1,     condition != 0, outer,
					  1500,     inner, TABLE_ROWS};

			check_lookup(&c, 0, &view);
			c.outer = narrow;
			c.nouter = 300;
			check_lookup(&c, 1, &view);
		}
	free(outer);
	free(narrow);
}

/* ---- Aggregates ---- */

/* count(*), sum(number), max(text) of all rows, or by number. */
static void
model_groups(const ExecRow *rows, int count, bool by_number, ExecResult *result)
{
	bool *done = calloc(count + 1, sizeof(bool));
	bool none = count == 0 && !by_number;

	for (int i = 0; i < count || none; i++, none = false)
	{
		long long total = 0, numbers = 0, sum = 0;
		const char *best = NULL;
		char line[512];
		char key[32] = "";

		if (count > 0 && done[i])
			continue;
		for (int j = i; j < count; j++)
		{
			if (by_number &&
				(rows[i].there[0] != rows[j].there[0] ||
				 (rows[i].there[0] && rows[i].number != rows[j].number)))
				continue;
			done[j] = true;
			total++;
			if (rows[j].there[0])
			{
				numbers++;
				sum += rows[j].number;
			}
			if (rows[j].there[2] &&
				(best == NULL || strcmp(rows[j].text, best) > 0))
				best = rows[j].text;
		}
		if (by_number && rows[i].there[0])
			snprintf(key, sizeof(key), "|%lld", (long long) rows[i].number);
		else if (by_number)
			snprintf(key, sizeof(key), "|-");
		if (numbers > 0)
			snprintf(line, sizeof(line), "%s|%lld|%lld|%s", key, total, sum,
					 best != NULL ? best : "-");
		else
			snprintf(line, sizeof(line), "%s|%lld|-|%s", key, total,
					 best != NULL ? best : "-");
		exec_add(result, line);
	}
	free(done);
}

static void
set_aggregate(SqAggregate *aggregate, SqAggregateKind kind, int slot,
			  SqExpr *arg)
{
	aggregate->kind = kind;
	aggregate->slot = slot;
	aggregate->arg = arg;
}

static SqPlan *
group_plan(bool by_number)
{
	SqNode *node = palloc0(sizeof(SqNode));
	SqPlan *plan;

	node->kind = SQ_NODE_AGGREGATE;
	node->nkeys = by_number;
	node->keys = key_exprs(0, by_number);
	node->images = node->keys;
	node->key_slots = exec_slots(3, 1);
	node->outer = exec_scan(0, 1);
	node->naggregates = 3;
	node->aggregates = palloc0(3 * sizeof(SqAggregate));
	set_aggregate(&node->aggregates[0], SQ_AGG_COUNT, 4, NULL);
	set_aggregate(&node->aggregates[1], SQ_AGG_SUM_I, 5,
				  exec_slot(SQ_TYPE_INT4, 0));
	set_aggregate(&node->aggregates[2], SQ_AGG_MAX_T, 6,
				  exec_slot(SQ_TYPE_TEXT, 2));
	node->nslots = 3 + by_number;
	node->slots = exec_slots(4 - by_number, node->nslots);
	plan = new_plan(7, node, 2);
	plan->slots[3].type = SQ_TYPE_INT4;
	plan->slots[4].type = plan->slots[5].type = SQ_TYPE_INT8;
	plan->slots[6].type = SQ_TYPE_TEXT;
	return through_bytes(plan);
}

static void
check_groups(const ExecRow *rows, int count, bool by_number, size_t memory)
{
	SqPlan *plan = group_plan(by_number);
	SqExecRelation relations[2] = {{.source = exec_source(rows, count, 0)}};
	SqExecOptions options = {.memory = memory, .seed = exec_random(1000)};
	SqExec *exec = sq_exec_create(plan, relations, &host.host, &options);
	ExecResult wanted = {0};
	SqError error;

	model_groups(rows, count, by_number, &wanted);
	for (int again = 0; again < 2; again++)
	{
		ExecResult got = {0};
		bool good = exec_run(exec, plan, &got, &error);

		CHECK_NAMED(good && exec_same(&got, &wanted), "%d rows, %s, %s", count,
					by_number ? "groups" : "all",
					memory == 1 ? "in files" : "in memory");
		exec_free(&got);
		sq_exec_restart(exec);
	}
	CHECK_NAMED(host.open == 0, "no file is left open");
	exec_free(&wanted);
}

static void
test_groups(void)
{
	static const int counts[] = {0, 1, 50, 1000, 1025, 6000, 60000};

	for (int i = 0; i < lengthof(counts); i++)
	{
		ExecRow *rows = random_rows(counts[i], counts[i] / 2 + 1);

		check_groups(rows, counts[i], false, SIZE_MAX);
		check_groups(rows, counts[i], true, SIZE_MAX);
		check_groups(rows, counts[i], true, 1);
		free(rows);
	}
}

/* ---- Faults ---- */

/* 100 / number over rows 3, 2, 1, 0, 5: three rows, then the error. */
static void
test_fault(void)
{
	ExecRow rows[5] = {{{true}, .number = 3},
					   {{true}, .number = 2},
					   {{true}, .number = 1},
					   {{true}, .number = 0},
					   {{true}, .number = 5}};
	SqNode *node = palloc0(sizeof(SqNode));
	SqExecRelation relations[2] = {{.source = exec_source(rows, 5, 0)}};
	SqExecOptions options = {.memory = SIZE_MAX};
	ExecResult result = {0};
	SqError error;
	SqPlan *plan;
	bool good;

	node->kind = SQ_NODE_FILTER;
	node->outer = exec_scan(0, 1);
	node->nslots = 1;
	node->slots = exec_slots(0, 1);
	node->nconditions = 1;
	node->conditions = palloc(sizeof(SqExpr *));
	node->conditions[0] = exec_call(SQ_OP_GT_I, SQ_TYPE_TRUTH,
									exec_call(SQ_OP_DIV_I, SQ_TYPE_INT4,
											  exec_int(SQ_TYPE_INT4, 100),
											  exec_slot(SQ_TYPE_INT4, 0)),
									exec_int(SQ_TYPE_INT4, 0));
	plan = through_bytes(new_plan(EXEC_WIDTH, node, 2));
	good = exec_run(sq_exec_create(plan, relations, &host.host, &options), plan,
					&result, &error);
	CHECK(!good && error.sqlstate == ERRCODE_DIVISION_BY_ZERO);
	CHECK_STR(error.message, "division by zero");
	CHECK(result.count == 3);
	exec_free(&result);
}

/* Every byte of a plan changed: it is refused, or it can be executed. */
static void
test_damage(void)
{
	SqSlice bytes = sq_plan_write(group_plan(true));
	int refused = 0;

	for (size_t at = 0; at < bytes.length; at++)
	{
		char *copy = malloc(bytes.length);
		SqError error;

		memcpy(copy, bytes.data, bytes.length);
		copy[at] ^= 1 + exec_random(255);
		refused += sq_plan_read((SqSlice){copy, bytes.length}, &error) == NULL;
		refused += sq_plan_read((SqSlice){bytes.data, at}, &error) == NULL;
		free(copy);
	}
	CHECK(refused > (int) bytes.length);
}

int
main(int argc, char **argv)
{
	exec_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20261124;
	printf("# seed %llu\n", (unsigned long long) exec_seed);
	test_joins();
	test_lookups();
	test_groups();
	test_fault();
	test_damage();
	return unit_end();
}
