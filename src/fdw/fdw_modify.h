/*
 * fdw_modify.h
 *		Writing to streams and tables: PostgreSQL's callbacks, as fdwhandler
 *		describes them.
 */
#ifndef SQ_FDW_MODIFY_H
#define SQ_FDW_MODIFY_H

#include "postgres.h"

#include "commands/explain.h"
#include "foreign/fdwapi.h"

/* Streams take INSERT; tables UPDATE, too, and DELETE unless their key is in
 * the value, which a tombstone has none of. */
extern int sq_fdw_is_updatable(Relation relation);
extern void sq_fdw_add_update_targets(PlannerInfo *root, Index rtindex,
									  RangeTblEntry *target_rte,
									  Relation target_relation);
extern List *sq_fdw_plan_modify(PlannerInfo *root, ModifyTable *plan,
								Index result_relation, int subplan_index);
extern void sq_fdw_begin_modify(ModifyTableState *node, ResultRelInfo *result,
								List *private, int subplan_index, int eflags);
extern void sq_fdw_begin_insert(ModifyTableState *node, ResultRelInfo *result);
extern TupleTableSlot *sq_fdw_insert(EState *estate, ResultRelInfo *result,
									 TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
extern TupleTableSlot *sq_fdw_update(EState *estate, ResultRelInfo *result,
									 TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
extern TupleTableSlot *sq_fdw_delete(EState *estate, ResultRelInfo *result,
									 TupleTableSlot *slot,
									 TupleTableSlot *plan_slot);
extern void sq_fdw_end_modify(EState *estate, ResultRelInfo *result);
extern void sq_fdw_explain_modify(ModifyTableState *node, ResultRelInfo *result,
								  List *private, int subplan_index,
								  ExplainState *es);

#endif
