/*
 * expr.h
 *		The door of room expr: expressions over frames, and who helps with what
 *		only PostgreSQL can compute.
 *
 * An expression is compiled into flat steps, each of which computes a column
 * for those rows of a frame that are asked for. AND, OR, CASE and COALESCE ask
 * their arguments for fewer and fewer rows, as PostgreSQL does, so that x <> 0
 * AND 1 / x > 2 divides by no zero.
 *
 * A row with an error ends a frame: it and those after it are not computed,
 * and the caller learns where and why. Those before it count.
 */
#ifndef SQ_EXPR_H
#define SQ_EXPR_H

#include "plan/plan.h"

/*
 * The host of an execution: the driver in a server, a fake in a unit test. Its
 * functions may throw.
 */
typedef struct SqHost SqHost;

/* Of some values: sum / 10^scale; NaN if the scale is -1. */
typedef struct SqSum
{
	int128 sum;
	int scale;
	int64 count;
} SqSum;

typedef struct SqHostOps
{
	/* expression number of the plan, for the rows of mask, into out, whose
	 * valid bits are all clear; texts live until it is asked again */
	void (*evaluate)(SqHost *host, int number, const SqFrame *frame,
					 const uint64 *mask, SqColumn *out);
	/* value number of the plan, into row 0 of out; lives until restart */
	void (*param)(SqHost *host, int number, SqColumn *out);

	/* aggregate number of the plan: the rows of mask belong to these groups,
	 * which are numbered from 0 */
	void (*accumulate)(SqHost *host, int number, const SqFrame *frame,
					   const uint64 *mask, const uint32 *groups);
	/* its result for groups from first on, into rows 0 to count - 1 of out,
	 * whose valid bits are all clear; all groups of an aggregate are asked for
	 * in order, once. Lives until it is asked again. */
	void (*finish)(SqHost *host, int number, uint32 first, int count,
				   SqColumn *out);
	/* the groups of all aggregates are no more */
	void (*forget)(SqHost *host);
	/* bytes that aggregates hold */
	size_t (*memory)(SqHost *host);

	/* sum / 10^scale (scale -1: NaN), over count if that is not 0: a Datum */
	int64 (*numeric)(SqHost *host, int128 sum, int scale, int64 count);
	/* the state of aggregate number of the plan after count values of that
	 * sum, into a row of out */
	void (*state)(SqHost *host, int number, const SqSum *sum, SqColumn *out,
				  int row);
	/* bytes of a Datum of a slot that is passed by reference, else 0 */
	size_t (*datum_size)(SqHost *host, int slot, int64 datum);

	/* temporary files for what exceeds memory, by number from 0 */
	void (*spill_write)(SqHost *host, int file, const void *bytes,
						size_t length);
	/* begin to read what was written */
	void (*spill_rewind)(SqHost *host, int file);
	/* false at the end */
	bool (*spill_read)(SqHost *host, int file, void *bytes, size_t length);
	int (*spill_open)(SqHost *host);
	void (*spill_close)(SqHost *host, int file);
} SqHostOps;

struct SqHost
{
	const SqHostOps *ops;
};

typedef struct SqProgram SqProgram;

/* Compile for frames of up to capacity rows; palloc'd in the current context,
 * and so is all that it needs. The expression must outlive it. */
extern SqProgram *sq_expr_compile(const SqExpr *expr, int capacity,
								  SqHost *host);
/* The host's params may have changed. */
extern void sq_expr_restart(SqProgram *program);

/*
 * The value for the rows of mask up to *limit: a column whose bits outside of
 * mask mean nothing, good until the next run or until the frame goes. If a row
 * is at fault, *limit becomes its number and *error says why.
 */
extern const SqColumn *sq_expr_run(SqProgram *program, const SqFrame *frame,
								   const uint64 *mask, int *limit,
								   SqError *error);

#endif
