/*
 * base.h
 *		The door of room base: what every other room stands on.
 *
 * Errors are values here, not longjmps, so that the pure rooms can be
 * compiled with -DFRONTEND, without a server, and reached by sanitizers and
 * fuzzers. In a server the drivers (fdw, job) turn an SqError into ereport().
 *
 * Memory: palloc in both worlds (libpgcommon's in a frontend program, where
 * running out of memory ends the program).
 */
#ifndef SQ_BASE_H
#define SQ_BASE_H

#ifdef FRONTEND
#include "postgres_fe.h"
#include "base/base_sqlstate.h"
#else
#include "postgres.h"
#endif

#ifdef __cplusplus
extern "C"
{
#endif

/* What a step answers. The caller waits and throws, never the step. */
typedef enum SqStatus
{
	SQ_OK,   /* done, or: here is the next piece */
	SQ_WAIT, /* nothing now; wait for the object's fd, then ask again */
	SQ_DONE, /* nothing more will come */
	SQ_ERROR /* the SqError says why */
} SqStatus;

#define SQ_ERROR_TEXT 1024

/* An error as a value; sqlstate 0 means none. The texts are complete
 * PostgreSQL-style messages, empty when there is nothing to say. */
typedef struct SqError
{
	int sqlstate;
	char message[SQ_ERROR_TEXT];
	char detail[SQ_ERROR_TEXT];
	char hint[SQ_ERROR_TEXT];
} SqError;

/* Forget an earlier error. */
extern void sq_error_clear(SqError *error);

/* Set state and message (printf style), emptying detail and hint; answers
 * SQ_ERROR, so that a step can end with «return sq_error_set(...)». Long
 * texts are cut at a character boundary. */
extern SqStatus sq_error_set(SqError *error, int sqlstate, const char *format,
							 ...) pg_attribute_printf(3, 4);
extern void sq_error_detail(SqError *error, const char *format, ...)
	pg_attribute_printf(2, 3);
extern void sq_error_hint(SqError *error, const char *format, ...)
	pg_attribute_printf(2, 3);

/* Bytes somewhere else; whoever hands one out says how long they live.
 * data == NULL is Kafka's null, different from empty (length 0). */
typedef struct SqSlice
{
	const char *data;
	size_t length;
} SqSlice;

#define SQ_NULL_SLICE ((SqSlice){NULL, 0})

/*
 * Arena: many small allocations that end together. Reset keeps one block for
 * the next round. Owned by whoever created it; in a server it also dies with
 * the memory context that was current at creation.
 */
typedef struct SqArena SqArena;

extern SqArena *sq_arena_create(size_t block_size);
extern void *sq_arena_alloc(SqArena *arena, size_t size); /* 8-aligned */
extern void sq_arena_reset(SqArena *arena);
extern void sq_arena_destroy(SqArena *arena);
/* Bytes held from the allocator now, for tests and statistics. */
extern size_t sq_arena_size(const SqArena *arena);

/* Grow an array, or make one (NULL), of any size; in the current context. */
extern void *sq_base_resize(void *array, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
