/*
 * fdw_analyze.h
 *		Statistics of a stream.
 */
#ifndef SQ_FDW_ANALYZE_H
#define SQ_FDW_ANALYZE_H

#include "postgres.h"

#include "foreign/fdwapi.h"

extern bool sq_fdw_analyze(Relation relation, AcquireSampleRowsFunc *function,
						   BlockNumber *totalpages);

#endif
