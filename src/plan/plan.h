/*
 * plan.h
 *		The door of room plan: what the native executor is to do.
 *
 * A plan is a tree of nodes with expressions, made by the planner (room fdw),
 * written into PostgreSQL's plan as bytes, and parsed before execution. It is
 * read-only from then on. It knows nothing of PostgreSQL's catalogs: relations,
 * values known only at execution, and what only PostgreSQL can compute are
 * numbers that the host (expr.h) gives a meaning to.
 *
 * Rows flow as frames (batch.h). Every column that is used anywhere has a slot
 * of the plan; a node says which slots its rows have.
 */
#ifndef SQ_PLAN_H
#define SQ_PLAN_H

#include "batch/batch.h"

/* ---- Expressions ---- */

typedef enum SqExprKind
{
	SQ_EXPR_COLUMN, /* number: the slot */
	SQ_EXPR_CONST,  /* isnull, value */
	SQ_EXPR_PARAM,  /* number: a value that the host knows at execution */
	SQ_EXPR_HOST,   /* number: an expression that the host evaluates */
	SQ_EXPR_CALL,   /* op of args */
	SQ_EXPR_AND,    /* from here to IS_NOT_FALSE: TRUTH */
	SQ_EXPR_OR,
	SQ_EXPR_NOT,
	SQ_EXPR_DISTINCT, /* IS DISTINCT FROM, by op: an equality */
	SQ_EXPR_IS_NULL,
	SQ_EXPR_IS_NOT_NULL,
	SQ_EXPR_IS_TRUE, /* of a condition */
	SQ_EXPR_IS_NOT_TRUE,
	SQ_EXPR_IS_FALSE,
	SQ_EXPR_IS_NOT_FALSE,
	SQ_EXPR_TRUTH,   /* a BOOL as condition */
	SQ_EXPR_BOOL,    /* a condition as BOOL */
	SQ_EXPR_CASE,    /* condition, value, condition, value …, else value */
	SQ_EXPR_COALESCE /* values */
} SqExprKind;

#define SQ_EXPR_KINDS (SQ_EXPR_COALESCE + 1)

/*
 * What a CALL does. Lanes: i word, f float, t text. A comparison is a TRUTH;
 * the other results have the type of the expression: int2, int4, int8 are
 * checked for its range, float4 is rounded to it. _T compare bytes, _B without
 * spaces at the end (bpchar). _N are of NUMERIC: added and subtracted of one
 * scale; a product has the sum of both scales; RESCALE is to no smaller one.
 * The planner sees to it that results have at most SQ_NUMERIC_PRECISION digits.
 */
#define SQ_OPS(X)                                                              \
	X(EQ_I, "ii")                                                              \
	X(NE_I, "ii")                                                              \
	X(LT_I, "ii")                                                              \
	X(LE_I, "ii")                                                              \
	X(GT_I, "ii")                                                              \
	X(GE_I, "ii")                                                              \
	X(EQ_F, "ff")                                                              \
	X(NE_F, "ff")                                                              \
	X(LT_F, "ff")                                                              \
	X(LE_F, "ff")                                                              \
	X(GT_F, "ff")                                                              \
	X(GE_F, "ff")                                                              \
	X(EQ_T, "tt")                                                              \
	X(NE_T, "tt")                                                              \
	X(LT_T, "tt")                                                              \
	X(LE_T, "tt")                                                              \
	X(GT_T, "tt")                                                              \
	X(GE_T, "tt")                                                              \
	X(EQ_B, "tt")                                                              \
	X(NE_B, "tt")                                                              \
	X(LT_B, "tt")                                                              \
	X(LE_B, "tt")                                                              \
	X(GT_B, "tt")                                                              \
	X(GE_B, "tt")                                                              \
	X(ADD_I, "ii")                                                             \
	X(SUB_I, "ii")                                                             \
	X(MUL_I, "ii")                                                             \
	X(DIV_I, "ii")                                                             \
	X(MOD_I, "ii")                                                             \
	X(NEG_I, "i")                                                              \
	X(ABS_I, "i")                                                              \
	X(CAST_I, "i")                                                             \
	X(ADD_F, "ff")                                                             \
	X(SUB_F, "ff")                                                             \
	X(MUL_F, "ff")                                                             \
	X(DIV_F, "ff")                                                             \
	X(NEG_F, "f")                                                              \
	X(ABS_F, "f")                                                              \
	X(CAST_F, "f")                                                             \
	X(FLOAT_I, "i")                                                            \
	X(ADD_N, "ii")                                                             \
	X(SUB_N, "ii")                                                             \
	X(MUL_N, "ii")                                                             \
	X(NEG_N, "i")                                                              \
	X(ABS_N, "i")                                                              \
	X(RESCALE_N, "i")                                                          \
	X(NUMERIC_I, "i")

typedef enum SqOp
{
#define SQ_OP_NAME(name, lanes) SQ_OP_##name,
	SQ_OPS(SQ_OP_NAME)
#undef SQ_OP_NAME
		SQ_OP_COUNT
} SqOp;

/* One letter for each argument. */
extern const char *sq_plan_op_lanes(SqOp op);
/* Is it a comparison, whose result is a TRUTH? */
extern bool sq_plan_op_compares(SqOp op);
extern const char *sq_plan_op_name(SqOp op);

typedef struct SqExpr
{
	SqExprKind kind;
	SqType type; /* of the result, with precision and scale of a NUMERIC */
	int precision;
	int scale;
	SqOp op;
	int number;
	bool isnull; /* a CONST's value, in the lane of its type */
	union
	{
		int64 i;
		double f;
	};
	SqSlice text;
	int nargs;
	struct SqExpr **args;
} SqExpr;

/* Is it a call of an operator for equal values, by which rows can be found? */
extern bool sq_plan_is_equality(const SqExpr *expr);

/* ---- Aggregates ---- */

typedef enum SqAggregateKind
{
	SQ_AGG_COUNT,    /* of rows where arg is not NULL; without arg: of rows */
	SQ_AGG_SUM_I,    /* of int2, int4: int8 */
	SQ_AGG_SUM_WIDE, /* of int8 and NUMERIC: a DATUM, a numeric */
	SQ_AGG_AVG_WIDE, /* of integers and NUMERIC: a DATUM, a numeric */
	SQ_AGG_SUM_F,    /* of the width of its type */
	SQ_AGG_AVG_F,    /* from here on float8, of both widths */
	SQ_AGG_VAR_POP_F,
	SQ_AGG_VAR_SAMP_F,
	SQ_AGG_STDDEV_POP_F,
	SQ_AGG_STDDEV_SAMP_F,
	SQ_AGG_MIN_I,
	SQ_AGG_MAX_I,
	SQ_AGG_MIN_F,
	SQ_AGG_MAX_F,
	SQ_AGG_MIN_T, /* by bytes */
	SQ_AGG_MAX_T,
	SQ_AGG_AND, /* of BOOL */
	SQ_AGG_OR,
	SQ_AGG_STATE_WIDE, /* of integers and NUMERIC: sum and number of values, as
						* the host has the state of its aggregate number */
	SQ_AGG_HOST        /* number: an aggregate that the host computes */
} SqAggregateKind;

#define SQ_AGG_KINDS (SQ_AGG_HOST + 1)

typedef struct SqAggregate
{
	SqAggregateKind kind;
	int number;
	int slot;       /* of the result */
	SqExpr *arg;    /* NULL: count(*), or the host's */
	SqExpr *filter; /* a TRUTH, or NULL */
} SqAggregate;

/* ---- Nodes ---- */

typedef enum SqNodeKind
{
	SQ_NODE_SCAN,
	SQ_NODE_FILTER,
	SQ_NODE_JOIN,
	SQ_NODE_AGGREGATE
} SqNodeKind;

/* What becomes of the outer rows: those with a match, each match; also those
 * without; … RIGHT and FULL are of method HASH only. */
typedef enum SqJoinType
{
	SQ_JOIN_INNER,
	SQ_JOIN_LEFT,
	SQ_JOIN_RIGHT,
	SQ_JOIN_FULL,
	SQ_JOIN_SEMI,
	SQ_JOIN_ANTI /* inner columns are NULL */
} SqJoinType;

typedef enum SqJoinMethod
{
	SQ_METHOD_HASH,  /* a hash table is built of the inner rows */
	SQ_METHOD_LOOKUP /* inner is a table that is kept, found by an index */
} SqJoinMethod;

typedef struct SqNode
{
	SqNodeKind kind;
	int number;  /* from 0, in the order of EXPLAIN */
	double rows; /* estimated */
	struct SqNode *outer;
	struct SqNode *inner; /* JOIN by HASH */

	int nslots; /* that its rows have and somebody above uses */
	int *slots;

	/* FILTER: conditions; JOIN: beside the equalities of keys. All TRUTH. */
	int nconditions;
	SqExpr **conditions;

	/* SCAN, JOIN by LOOKUP: which of the host's relations, and the slots that
	 * are filled from it */
	int relation;
	int nfilled;
	int *filled;

	SqJoinType join;
	SqJoinMethod method;
	int index; /* LOOKUP: of the table's layout, 0 is the key */
	/* JOIN: outer values, never TRUTH; AGGREGATE: what is grouped by */
	int nkeys;
	SqExpr **keys;
	SqExpr **inner_keys; /* HASH: of the same lanes */
	int *key_slots;      /* AGGREGATE: of the results */
	/* AGGREGATE: what tells the groups apart: the keys, or of a DATUM bytes
	 * that are equal where it is */
	SqExpr **images;

	int naggregates;
	SqAggregate *aggregates;
} SqNode;

typedef struct SqPlan
{
	int nslots;
	SqColumn *slots; /* their type fields */
	int nrelations;
	int nparams;
	int nhosts;     /* the host's expressions */
	int nhost_aggs; /* the host's aggregates */
	int nnodes;
	SqNode *root;
} SqPlan;

/* The bytes of a plan, palloc'd. */
extern SqSlice sq_plan_write(const SqPlan *plan);
/* The plan of bytes, palloc'd and independent of them; NULL with XX001 if they
 * are none: every number in it is in range, every expression well typed. */
extern SqPlan *sq_plan_read(SqSlice bytes, SqError *error);

#endif
