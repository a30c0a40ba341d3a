/*
 * plan_internal.h
 *		Shared by the files of room plan.
 */
#ifndef SQ_PLAN_INTERNAL_H
#define SQ_PLAN_INTERNAL_H

#include "plan/plan.h"

/* More than any number in a plan. */
#define SQ_PLAN_SLOTS 65536

/* Can a plan be executed: is every number one of what it counts, has every
 * node what its kind needs, are expressions well typed and read only what the
 * rows beneath have? */
extern bool sq_plan_check(const SqPlan *plan);

#endif
