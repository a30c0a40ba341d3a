/*
 * expr_internal.h
 *		Shared by the files of room expr.
 */
#ifndef SQ_EXPR_INTERNAL_H
#define SQ_EXPR_INTERNAL_H

#include "expr/expr.h"

typedef struct SqStep SqStep;

typedef void (*SqStepFunction)(SqProgram *program, const SqStep *step);

/* Registers and masks are numbers into the program's arrays. */
struct SqStep
{
	SqStepFunction run;
	const SqExpr *expr;
	int out;
	int a;
	int b;
	int mask; /* the rows that it computes */
	int next; /* the mask that it leaves to others, or -1 */
};

struct SqProgram
{
	SqHost *host;
	int capacity;
	int nregisters;
	SqColumn **registers;
	int *slots; /* by register: of the frame, or -1 */
	int nmasks;
	uint64 **masks; /* 0: what the caller asks for */
	int nsteps;
	SqStep *steps;
	int result;
	bool *known; /* by register: a param's value is there */

	/* of the run */
	const SqFrame *frame;
	int limit;
	SqError *error;
};

/* The function of an operation. */
extern SqStepFunction sq_expr_kernel(SqOp op);

/* The row is at fault: it and those after it are not computed any more. */
extern void sq_expr_fail(SqProgram *program, int row, int sqlstate,
						 const char *message);

#define SQ_WORDS(program) SQ_BITMAP_WORDS((program)->limit)

#endif
