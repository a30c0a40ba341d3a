/*
 * fdw_kind.h
 *		What streams, tables and native plans do differently, as one table of
 *		functions each.
 *
 * PostgreSQL knows one set of callbacks (fdw_handler.c); they go on to those of
 * the relation's kind. Its planner state and its executor state begin with a
 * pointer to the kind, its plan with the kind's number.
 */
#ifndef SQ_FDW_KIND_H
#define SQ_FDW_KIND_H

#include "postgres.h"

#include "commands/explain.h"
#include "feed/feed.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

/* The first item of ForeignScan.fdw_private; the others are the kind's own. */
enum SqPlanPrivateFirst
{
	/* Integer: an SqKind, or SQ_PLAN_NATIVE */
	SQ_PLAN_KIND,
	/* Integer list: wanted attributes, numbers - 1, ascending */
	SQ_PLAN_ATTRIBUTES,
	/* String: why what is done with the rows is not native, or NULL */
	SQ_PLAN_REASON,
	SQ_PLAN_OWN
};

#define SQ_PLAN_NATIVE 100

typedef struct SqFdwKind
{
	/* sets baserel->fdw_private to a struct that begins with the kind */
	void (*get_rel_size)(PlannerInfo *root, RelOptInfo *baserel,
						 Relation relation);
	void (*get_paths)(PlannerInfo *root, RelOptInfo *baserel);
	/* the expressions to be evaluated, and what follows SQ_PLAN_ATTRIBUTES;
	 * clauses are the scan's, none of them is removed */
	List *(*plan_exprs)(PlannerInfo *root, RelOptInfo *baserel,
						ForeignPath *path, List *clauses);
	List *(*plan_private)(PlannerInfo *root, RelOptInfo *baserel,
						  ForeignPath *path);
	/* sets node->fdw_state to a struct that begins with the kind */
	void (*begin)(ForeignScanState *node, int eflags);
	TupleTableSlot *(*iterate)(ForeignScanState *node);
	void (*rescan)(ForeignScanState *node);
	void (*end)(ForeignScanState *node);
	void (*explain)(ForeignScanState *node, ExplainState *es);
	/* of plans that several processes run, else NULL */
	Size (*estimate_dsm)(ForeignScanState *node);
	void (*initialize_dsm)(ForeignScanState *node, void *coordinate);
	void (*reinitialize_dsm)(ForeignScanState *node, void *coordinate);
	void (*initialize_worker)(ForeignScanState *node, void *coordinate);
	void (*shut_down)(ForeignScanState *node);
} SqFdwKind;

extern const SqFdwKind sq_fdw_kind_stream; /* fdw_scan.c */
extern const SqFdwKind sq_fdw_kind_table;  /* fdw_table.c */
extern const SqFdwKind sq_fdw_kind_native; /* fdw_native_scan.c; plans are made
											* by sq_fdw_native_plan */

/* The user whose rights a scan runs with. */
extern Oid sq_fdw_scan_user(ForeignScanState *node);
/* The attributes that target list and clauses need, numbers - 1. */
extern List *sq_fdw_wanted_attributes(RelOptInfo *baserel, int nattributes,
									  List *clauses);

/* ---- Paths that parameters make (fdw_param.c) ---- */

/* Does a clause on the relation narrow what a scan looks at? */
typedef bool (*SqFdwUsable)(RelOptInfo *baserel, Expr *clause, void *arg);

/*
 * The sets of other relations (Relids) whose values make clauses that narrow a
 * scan: join clauses, and what equivalence classes imply for the columns given
 * (attribute numbers - 1).
 */
extern List *sq_fdw_narrowing_outers(PlannerInfo *root, RelOptInfo *baserel,
									 const SqRelation *rel, Bitmapset *columns,
									 SqFdwUsable usable, void *arg);

#endif
