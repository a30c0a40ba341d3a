/*
 * feed_guard.h
 *		Running what may throw an error of the data, and going on after it.
 */
#ifndef SQ_FEED_GUARD_H
#define SQ_FEED_GUARD_H

#include "postgres.h"

/*
 * Call action(arg). NULL when it returns; the message, palloc'd in the current
 * context, when it throws an error that the data is to blame for. Any other
 * error (cancel, memory, a bug) is thrown on.
 */
extern const char *sq_feed_guard(void (*action)(void *arg), void *arg);

#endif
