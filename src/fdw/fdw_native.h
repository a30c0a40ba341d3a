/*
 * fdw_native.h
 *		Joins, conditions and aggregates that the native executor runs.
 *
 * Planning has three steps. For each relation and each join of relations there
 * is at most one tree (fdw_native_tree.c): how it would be computed natively,
 * with costs; none if a part of it is beyond the executor. Paths are made of
 * trees, beside PostgreSQL's own. When the planner has chosen one, its tree
 * becomes a plan (plan.h; fdw_native_plan.c), with every expression translated
 * (fdw_translate.c). What is not proven equal stays with PostgreSQL.
 */
#ifndef SQ_FDW_NATIVE_H
#define SQ_FDW_NATIVE_H

#include "postgres.h"

#include "exec/exec.h"
#include "fdw/fdw_kind.h"
#include "fdw/fdw_lookup.h"
#include "fdw/fdw_scan.h"
#include "nodes/value.h"
#include "plan/plan.h"

/* What follows SQ_PLAN_KIND in fdw_private. fdw_exprs holds the parameters, by
 * number of the plan's params. The relations of a plan are in the order of
 * their numbers in the range table. */
enum SqNativePrivate
{
	/* of each relation an Integer list: the attributes (numbers - 1) of the
	 * slots that are filled from it */
	SQ_NATIVE_ATTRIBUTES = SQ_PLAN_ATTRIBUTES,
	/* Const: bytea, the plan's bytes */
	SQ_NATIVE_BYTES = SQ_PLAN_OWN,
	/* Integer: the first relation's number when it was planned */
	SQ_NATIVE_RELID,
	/* of each relation a list: expressions that narrow what is read of it */
	SQ_NATIVE_SEEK,
	/* Integer list: of each column of the scan's rows, the slot */
	SQ_NATIVE_OUTPUT,
	/* of each host expression a list: itself, with its columns as attributes
	 * of a row, and an Integer list of their slots */
	SQ_NATIVE_HOSTS,
	/* of each aggregate that the host computes a list: the Aggref, with the
	 * columns of its arguments as above and no filter, and the slots */
	SQ_NATIVE_AGGREGATES,
	/* for EXPLAIN, a list for each: Integer, the node; String, a label; and
	 * expressions */
	SQ_NATIVE_SHOWN
};

/* ---- Trees (fdw_native_tree.c) ---- */

/* Rows of a relation or join, and how they are made. Lists of clauses are of
 * RestrictInfo, in the order that they are evaluated in. */
typedef struct SqNativeTree
{
	RelOptInfo *rel;
	double rows;
	Cost startup;
	Cost cost;     /* total */
	List *filters; /* on the rows */
	/* of joins; outer is the side that is gone through */
	const struct SqNativeTree *outer;
	const struct SqNativeTree *inner;
	SqJoinType join;
	SqJoinMethod method;
	int index;        /* LOOKUP */
	List *equalities; /* the keys */
	List *conditions; /* on pairs of rows */
} SqNativeTree;

/* What the planner's state of each of our relations, and of joins of them,
 * begins with. */
typedef struct SqFdwRel
{
	const SqFdwKind *kind; /* must be first */
	bool native_known;
	SqNativeTree *native; /* the cheapest one; NULL: none, see reason */
	const char *reason;   /* of a grouping's relation: why it is not native */
} SqFdwRel;

/* The tree of a relation or join that is one of ours, or NULL. */
extern const SqNativeTree *sq_fdw_native_tree(PlannerInfo *root,
											  RelOptInfo *rel);
/* The relations that it is made of. */
extern Relids sq_fdw_native_relids(const SqNativeTree *tree);
/* The part of the cost of a row that PostgreSQL's executor reckons with. */
#define SQ_NATIVE_FACTOR 0.2
/* Costs of a native path: under debug_require_native = require next to none. */
extern Cost sq_fdw_native_cost(Cost cost);
/* How many workers may run a tree beside the leader, who share the partitions
 * of the stream that it goes through; 0: one process runs it. */
extern int sq_fdw_native_workers(const SqNativeTree *tree);
/* What each of so many processes has of its cost. */
extern Cost sq_fdw_native_share(const SqNativeTree *tree, double processes);
/* The path of a relation's scan with its conditions. PostgreSQL's scan does
 * this as well, so it is there only where native execution is required. */
extern void sq_fdw_native_scan_paths(PlannerInfo *root, RelOptInfo *rel);
/* Is a relation (not a join) a stream? */
extern bool sq_fdw_is_stream(const RelOptInfo *rel);
/* GetForeignJoinPaths. */
extern void sq_fdw_native_join_paths(PlannerInfo *root, RelOptInfo *joinrel,
									 RelOptInfo *outer, RelOptInfo *inner,
									 JoinType type, JoinPathExtraData *extra);
/* The shape of a relation that is a table. */
extern const SqKeyedShape *sq_fdw_table_shape(const RelOptInfo *rel);

/* ---- Plans (fdw_native_plan.c) ---- */

/* GetForeignUpperPaths. */
extern void sq_fdw_native_upper_paths(PlannerInfo *root,
									  UpperRelationKind stage,
									  RelOptInfo *input, RelOptInfo *output,
									  void *extra);
/* Is it a path of this file or of fdw_native_tree.c? Its fdw_private has two
 * items: Integer SQ_PLAN_NATIVE, and a tree or what plans are made of. */
extern bool sq_fdw_is_native_path(const ForeignPath *path);
/* The plan of such a path. */
extern ForeignScan *sq_fdw_native_plan(PlannerInfo *root, ForeignPath *path,
									   List *tlist);

/* ---- Reasons (fdw_native_reason.c) ---- */

/* Why joins, conditions and aggregates over the rows of a scan of this relation
 * or join are not native, a String; NULL if there are none (conditions: of the
 * scan are native). Throws 55000 where native execution is required. */
extern String *sq_fdw_not_native(PlannerInfo *root, RelOptInfo *rel,
								 bool conditions);

/* ---- Translation (fdw_translate*.c) ---- */

/* The expressions of one query over some relations, on their way into a
 * plan. */
typedef struct SqTranslation
{
	PlannerInfo *root;
	Relids relids; /* whose columns may be met */
	/* by relid and attribute number - 1: its slot, or -1; NULL: none was met */
	int **attribute_slots;
	SqColumn *slots; /* palloc'd, room for maxslots */
	int nslots;
	int maxslots;
	List *params;       /* of Param, by number */
	List *hosts;        /* by number, as in SQ_NATIVE_HOSTS */
	List *aggregates;   /* by number, as in SQ_NATIVE_AGGREGATES */
	const char *reason; /* why the last expression was refused, or NULL */
} SqTranslation;

extern SqTranslation *sq_fdw_translation_create(PlannerInfo *root,
												Relids relids);
/* One more slot with the type fields given; its number. */
extern int sq_fdw_translation_slot(SqTranslation *t, SqColumn type);
/* Is it a column of these relations? Its slot. */
extern bool sq_fdw_translation_has(const SqTranslation *t, const Var *var);
extern int sq_fdw_translation_column(SqTranslation *t, const Var *var);
/* A value (never TRUTH), or a condition (TRUTH); NULL: neither the executor
 * nor its host can compute it for a row. */
extern SqExpr *sq_fdw_translate_value(SqTranslation *t, Node *node);
extern SqExpr *sq_fdw_translate_condition(SqTranslation *t, Node *node);
/* What a value's type has no kernel for, as bytes that are equal where the
 * values are; NULL if there are none. */
extern SqExpr *sq_fdw_translate_image(SqTranslation *t, Node *node);
/* The equality by which a clause finds rows (sq_plan_is_equality), perhaps of
 * images; NULL if it is none. */
extern SqExpr *sq_fdw_translate_equality(SqTranslation *t, Node *clause);
/* The number of the host's expression, or -1. */
extern int sq_fdw_translate_host(SqTranslation *t, Node *node);
/* The number of the host's aggregate, or -1. */
extern int sq_fdw_translate_host_aggregate(SqTranslation *t, Aggref *aggref);
/* The number of one that the host only makes states of. */
extern int sq_fdw_translate_state(SqTranslation *t, Aggref *aggref);
/* An aggregate whose result goes into a new slot; false as above. */
extern bool sq_fdw_translate_aggregate(SqTranslation *t, Aggref *aggref,
									   SqAggregate *aggregate);

/* ---- Values (fdw_native_value.c) ---- */

/* The column kind that values of a type have in the executor. */
extern SqColumn sq_fdw_native_type(Oid type, int32 typmod);
/* sum / 10^scale (scale -1: NaN), over count if that is not 0. */
extern Datum sq_fdw_native_numeric(int128 sum, int scale, int64 count);

/* ---- Sources (fdw_native_source.c) ---- */

/* The rows of a stream's scan, which is started at the first of them, for the
 * slots of a plan's scan node. attrs: of its filled slots. */
extern SqSource *sq_fdw_stream_source(SqScan *scan, ExprContext *econtext,
									  const SqPlan *plan, const SqNode *node,
									  const int *attrs, int capacity);

#endif
