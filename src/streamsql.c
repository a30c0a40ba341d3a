/*
 * streamsql.c
 *		Loading the library: one call per room that has something to set up.
 *
 * May run in the postmaster (shared_preload_libraries): no room starts a
 * thread or opens a connection here.
 */
#include "postgres.h"

#include "fmgr.h"
#include "guc.h"
#include "keyed/keyed.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	sq_guc_init();
	sq_keyed_init();
}
