/*
 * sink_held.h
 *		Records kept in memory until they may be sent, or are taken back.
 */
#ifndef SQ_SINK_HELD_H
#define SQ_SINK_HELD_H

#include "postgres.h"

#include "kafka/kafka.h"

/*
 * A queue of copies. Positions count bytes since its creation, so that a
 * position noted once says later whether what was added after it is still
 * there. Everything is palloc'd in the context it was made in.
 */
typedef struct SqHeld SqHeld;

extern SqHeld *sq_sink_held_create(MemoryContext context);
/* Bytes held now. */
extern Size sq_sink_held_size(const SqHeld *held);
/* Where the next record will begin. */
extern uint64 sq_sink_held_position(const SqHeld *held);

/* Append a copy; the topic's name is not copied and must live as long. */
extern void sq_sink_held_add(SqHeld *held, const char *topic,
							 const SqKafkaDraft *draft);

/* The first record, pointing into the queue, valid until the next call; false
 * if there is none. */
extern bool sq_sink_held_first(SqHeld *held, const char **topic,
							   SqKafkaDraft *draft);
/* Forget the first record. */
extern void sq_sink_held_drop(SqHeld *held);

/* Take back all that was added since a position. False: part of it is not
 * here any more; the rest is taken back. Allocates nothing. */
extern bool sq_sink_held_take_back(SqHeld *held, uint64 position);

#endif
