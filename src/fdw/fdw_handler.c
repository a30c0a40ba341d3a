/*
 * fdw_handler.c
 *		The table of callbacks that makes a topic a foreign table.
 *
 * Memory: the routine is palloc'd in the caller's context. Locks: none.
 */
#include "fdw/fdw.h"

#include "fdw/fdw_analyze.h"
#include "fdw/fdw_explain.h"
#include "fdw/fdw_plan.h"
#include "fdw/fdw_scan.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"

PG_FUNCTION_INFO_V1(streamsql_fdw_handler);

Datum
streamsql_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = sq_fdw_get_rel_size;
	routine->GetForeignPaths = sq_fdw_get_paths;
	routine->GetForeignPlan = sq_fdw_get_plan;
	routine->BeginForeignScan = sq_fdw_begin_scan;
	routine->IterateForeignScan = sq_fdw_iterate_scan;
	routine->ReScanForeignScan = sq_fdw_rescan;
	routine->EndForeignScan = sq_fdw_end_scan;
	routine->ShutdownForeignScan = sq_fdw_shutdown_scan;
	routine->ExplainForeignScan = sq_fdw_explain_scan;
	routine->AnalyzeForeignTable = sq_fdw_analyze;
	routine->IsForeignScanParallelSafe = sq_fdw_is_parallel_safe;
	routine->EstimateDSMForeignScan = sq_fdw_estimate_dsm;
	routine->InitializeDSMForeignScan = sq_fdw_initialize_dsm;
	routine->ReInitializeDSMForeignScan = sq_fdw_reinitialize_dsm;
	routine->InitializeWorkerForeignScan = sq_fdw_initialize_worker;
	PG_RETURN_POINTER(routine);
}
