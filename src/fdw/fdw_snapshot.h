/*
 * fdw_snapshot.h
 *		Where topics begin and end for a statement or transaction.
 */
#ifndef SQ_FDW_SNAPSHOT_H
#define SQ_FDW_SNAPSHOT_H

#include "postgres.h"

#include "feed/feed.h"
#include "keyed/keyed.h"
#include "nodes/execnodes.h"

/*
 * The state of a relation's topic that this statement sees: asked of the
 * cluster once, with the rights of a user, when the statement (from REPEATABLE
 * READ up: the transaction) first touches the topic. Lives as long as the
 * statement or transaction. Waits and throws.
 */
extern const SqTopicState *sq_fdw_snapshot(EState *estate,
										   const SqRelation *rel, Oid userid);

/* The state of a table that this statement (or transaction) sees, claimed when
 * it first touches the table; its shape is held as long. Waits and throws. */
extern const SqKeyedView *sq_fdw_table_view(EState *estate, Relation relation,
											Oid userid);

/* Ask the cluster now and let the planner know, palloc'd in the current
 * context. Waits and throws. */
extern SqTopicState *sq_fdw_topic_state(const SqRelation *rel, Oid userid);

/* How many records and partitions the topic had when this backend last asked,
 * or -1. For the planner, which doesn't talk to brokers. */
extern double sq_fdw_known_records(Oid relid, int *partitions);

#endif
