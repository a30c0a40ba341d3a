/*
 * fdw.h
 *		The door of room fdw: foreign tables over topics.
 */
#ifndef SQ_FDW_H
#define SQ_FDW_H

#include "postgres.h"

/* Called once by _PG_init. */
extern void sq_fdw_init(void);

#endif
