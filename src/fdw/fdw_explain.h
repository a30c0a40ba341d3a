/*
 * fdw_explain.h
 *		What EXPLAIN says of a scan of a stream.
 */
#ifndef SQ_FDW_EXPLAIN_H
#define SQ_FDW_EXPLAIN_H

#include "postgres.h"

#include "commands/explain.h"
#include "fdw/fdw_scan.h"
#include "nodes/execnodes.h"

/* What a scan reads or has read. */
extern void sq_fdw_explain_reading(const SqScan *scan, ExplainState *es);
extern void sq_fdw_explain_scan(ForeignScanState *node, ExplainState *es);

#endif
