/*
 * exec_unit.h
 *		What tests of the executor share: plans written by hand, a host and
 *		sources that are arrays.
 */
#ifndef SQ_EXEC_UNIT_H
#define SQ_EXEC_UNIT_H

#include "exec/exec.h"

#include <math.h>

#include "unit.h"

/* Plans and executions are palloc'd: in a server their memory ends with a
 * context, here with the program. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- Random numbers, the same everywhere ---- */

static uint64 exec_seed = 1;

static inline uint32
exec_random(uint32 limit)
{
	exec_seed =
		exec_seed * UINT64CONST(6364136223846793005) + 1442695040888963407;
	return (uint32) (exec_seed >> 33) % limit;
}

/* ---- Expressions ---- */

static inline SqExpr *
exec_expr(SqExprKind kind, SqType type, int nargs, SqExpr *a, SqExpr *b)
{
	SqExpr *expr = palloc0(sizeof(SqExpr));

	expr->kind = kind;
	expr->type = type;
	expr->nargs = nargs;
	expr->args = palloc(2 * sizeof(SqExpr *));
	expr->args[0] = a;
	expr->args[1] = b;
	return expr;
}

static inline SqExpr *
exec_slot(SqType type, int slot)
{
	SqExpr *expr = exec_expr(SQ_EXPR_COLUMN, type, 0, NULL, NULL);

	expr->number = slot;
	return expr;
}

static inline SqExpr *
exec_int(SqType type, int64 value)
{
	SqExpr *expr = exec_expr(SQ_EXPR_CONST, type, 0, NULL, NULL);

	expr->i = value;
	return expr;
}

static inline SqExpr *
exec_call(SqOp op, SqType type, SqExpr *a, SqExpr *b)
{
	SqExpr *expr = exec_expr(SQ_EXPR_CALL, type, b != NULL ? 2 : 1, a, b);

	expr->op = op;
	return expr;
}

/* ---- A host without PostgreSQL ---- */

#define EXEC_FILES 65536

typedef struct ExecHost
{
	SqHost host;
	int nfiles;
	int open;
	struct
	{
		char *data;
		size_t length;
		size_t position;
	} files[EXEC_FILES];
	int params; /* how often one was asked for */
} ExecHost;

static inline void
exec_param(SqHost *host, int number, SqColumn *out)
{
	((ExecHost *) host)->params++;
	sq_column_set_int(out, 0, number + 100);
}

static inline size_t
exec_datum_size(SqHost *host, int slot, int64 datum)
{
	return 0;
}

/* Small numbers only: sum, or average rounded down, as the Datum itself. */
static inline int64
exec_numeric(SqHost *host, int128 sum, int scale, int64 count)
{
	return (int64) (count == 0 ? sum : sum / count);
}

static inline int
exec_spill_open(SqHost *base)
{
	ExecHost *host = (ExecHost *) base;

	if (host->open++ == 0)
		host->nfiles = 0;
	return host->nfiles++;
}

static inline void
exec_spill_close(SqHost *base, int file)
{
	ExecHost *host = (ExecHost *) base;

	host->open--;
	free(host->files[file].data);
	host->files[file].data = NULL;
	host->files[file].length = 0;
}

static inline void
exec_spill_write(SqHost *base, int file, const void *bytes, size_t length)
{
	ExecHost *host = (ExecHost *) base;
	size_t old = host->files[file].length;

	host->files[file].length += length;
	host->files[file].data =
		realloc(host->files[file].data, host->files[file].length);
	memcpy(host->files[file].data + old, bytes, length);
}

static inline void
exec_spill_rewind(SqHost *base, int file)
{
	((ExecHost *) base)->files[file].position = 0;
}

static inline bool
exec_spill_read(SqHost *base, int file, void *bytes, size_t length)
{
	ExecHost *host = (ExecHost *) base;

	if (host->files[file].position + length > host->files[file].length)
		return false;
	memcpy(bytes, host->files[file].data + host->files[file].position, length);
	host->files[file].position += length;
	return true;
}

static const SqHostOps exec_host_ops = {.param = exec_param,
										.datum_size = exec_datum_size,
										.numeric = exec_numeric,
										.spill_open = exec_spill_open,
										.spill_close = exec_spill_close,
										.spill_write = exec_spill_write,
										.spill_rewind = exec_spill_rewind,
										.spill_read = exec_spill_read};

/* ---- Rows that are there ---- */

#define EXEC_WIDTH 3

/* A number, a float, a text; each may be missing. */
typedef struct ExecRow
{
	bool there[EXEC_WIDTH];
	int64 number;
	double real;
	char text[12];
} ExecRow;

static const SqType exec_types[EXEC_WIDTH] = {SQ_TYPE_INT4, SQ_TYPE_FLOAT8,
											  SQ_TYPE_TEXT};

/* Few values, so that many are equal; -0 and 0, NaN among them. */
static inline ExecRow
exec_random_row(uint32 values)
{
	ExecRow row = {{false}};

	for (int c = 0; c < EXEC_WIDTH; c++)
		row.there[c] = exec_random(10) > 0;
	row.number = exec_random(values);
	row.real = (int) exec_random(7) - 3;
	if (exec_random(9) == 0)
		row.real = exec_random(2) == 0 ? -0.0 : NAN;
	snprintf(row.text, sizeof(row.text), "%.*s%u", (int) exec_random(3), "éx",
			 exec_random(values));
	return row;
}

/* A source of an array, whose columns are slots first, first + 1, first + 2; a
 * row whose number is negative is not selected. */
typedef struct ExecSource
{
	SqSource source;
	const ExecRow *rows;
	int count;
	int next;
	int first;
	SqColumn *columns[EXEC_WIDTH];
} ExecSource;

static inline void
exec_fill(ExecSource *source, int row, const ExecRow *from)
{
	for (int c = 0; c < EXEC_WIDTH; c++)
		if (!from->there[c])
			sq_bit_clear(source->columns[c]->valid, row);
		else
			sq_bit_set(source->columns[c]->valid, row);
	source->columns[0]->i[row] = from->number;
	source->columns[1]->f[row] = from->real;
	source->columns[2]->text[row] = (SqSlice){from->text, strlen(from->text)};
}

static inline SqStatus
exec_source_next(SqSource *base, SqFrame *frame, SqError *error)
{
	ExecSource *source = (ExecSource *) base;
	int count = 1 + (int) exec_random(700);

	if (source->next == source->count)
		return SQ_DONE;
	count = Min(count, source->count - source->next);
	if (exec_random(20) == 0)
		count = 0; /* a frame may be empty */
	for (int r = 0; r < count; r++)
		exec_fill(source, r, &source->rows[source->next + r]);
	for (int c = 0; c < EXEC_WIDTH; c++)
		frame->columns[source->first + c] = source->columns[c];
	frame->nrows = count;
	sq_bits_fill(frame->selected, count);
	source->next += count;
	return SQ_OK;
}

static inline void
exec_source_restart(SqSource *base)
{
	((ExecSource *) base)->next = 0;
}

static const SqSourceOps exec_source_ops = {exec_source_next,
											exec_source_restart};

static inline SqSource *
exec_source(const ExecRow *rows, int count, int first)
{
	ExecSource *source = palloc0(sizeof(ExecSource));

	source->source.ops = &exec_source_ops;
	source->rows = rows;
	source->count = count;
	source->first = first;
	for (int c = 0; c < EXEC_WIDTH; c++)
	{
		SqColumn template = {.type = exec_types[c]};

		source->columns[c] = sq_column_create(&template, SQ_EXEC_ROWS);
	}
	return &source->source;
}

static inline int *
exec_slots(int first, int count)
{
	int *slots = palloc(Max(count, 1) * sizeof(int));

	for (int s = 0; s < count; s++)
		slots[s] = first + s;
	return slots;
}

static inline SqNode *
exec_scan(int relation, int number)
{
	SqNode *node = palloc0(sizeof(SqNode));

	node->kind = SQ_NODE_SCAN;
	node->number = number;
	node->relation = relation;
	node->nfilled = node->nslots = EXEC_WIDTH;
	node->filled = node->slots = exec_slots(relation * EXEC_WIDTH, EXEC_WIDTH);
	return node;
}

/* ---- Rows that come out ---- */

/* Lines of text, to be compared without regard to order. */
typedef struct ExecResult
{
	int count;
	int room;
	char **lines;
} ExecResult;

static inline void
exec_add(ExecResult *result, const char *line)
{
	if (result->count == result->room)
	{
		result->room = result->room * 2 + 64;
		result->lines = realloc(result->lines, result->room * sizeof(char *));
	}
	result->lines[result->count++] = strdup(line);
}

static inline int
exec_compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static inline bool
exec_same(ExecResult *a, ExecResult *b)
{
	if (a->count > 0)
		qsort(a->lines, a->count, sizeof(char *), exec_compare_lines);
	if (b->count > 0)
		qsort(b->lines, b->count, sizeof(char *), exec_compare_lines);
	for (int i = 0; i < Min(a->count, b->count); i++)
		if (strcmp(a->lines[i], b->lines[i]) != 0)
		{
			printf("# row %d: %s instead of %s\n", i, a->lines[i], b->lines[i]);
			return false;
		}
	if (a->count != b->count)
		printf("# %d rows instead of %d\n", a->count, b->count);
	return a->count == b->count;
}

static inline void
exec_free(ExecResult *result)
{
	for (int i = 0; i < result->count; i++)
		free(result->lines[i]);
	free(result->lines);
}

static inline int
exec_print_value(char *at, size_t room, const SqColumn *column, int row)
{
	if (!sq_bit_get(column->valid, row))
		return snprintf(at, room, "|-");
	if (column->text != NULL)
		return snprintf(at, room, "|%.*s", (int) column->text[row].length,
						column->text[row].data);
	if (sq_type_is_float(column->type))
		return snprintf(at, room, "|%g",
						column->f[row] == 0 ? 0 : column->f[row]);
	return snprintf(at, room, "|%lld", (long long) column->i[row]);
}

/* Run a plan to its end; false on an error. */
static inline bool
exec_run(SqExec *exec, const SqPlan *plan, ExecResult *result, SqError *error)
{
	const SqNode *root = plan->root;
	SqFrame *frame;
	SqStatus status;

	while ((status = sq_exec_next(exec, &frame, error)) == SQ_OK)
		SQ_FOR_EACH_BIT(row, frame->selected, frame->nrows)
		{
			char line[512];
			int length = 0;

			line[0] = '\0';
			for (int s = 0; s < root->nslots; s++)
				length += exec_print_value(line + length, sizeof(line) - length,
										   frame->columns[root->slots[s]], row);
			exec_add(result, line);
		}
	return status == SQ_DONE;
}

#endif
