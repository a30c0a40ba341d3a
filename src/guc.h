/*
 * guc.h
 *		The settings of the extension, all declared in guc.c.
 */
#ifndef SQ_GUC_H
#define SQ_GUC_H

extern int sq_broker_timeout;    /* streamsql.broker_timeout, in ms */
extern int sq_batch_rows;        /* streamsql.batch_rows */
extern int sq_table_wait;        /* streamsql.table_wait, in ms */
extern int sq_table_memory;      /* streamsql.table_memory, in kB */
extern int sq_table_workers;     /* streamsql.table_workers */
extern int sq_snapshot_interval; /* streamsql.snapshot_interval, in s */
extern int sq_savepoint_memory;  /* streamsql.savepoint_memory, in kB */

typedef enum SqConsistency
{
	SQ_CONSISTENCY_EVENTUAL,
	SQ_CONSISTENCY_LATEST
} SqConsistency;

extern int sq_read_consistency; /* streamsql.read_consistency */

extern bool sq_enable_native_filter;    /* streamsql.enable_native_filter */
extern bool sq_enable_native_join;      /* … */
extern bool sq_enable_native_aggregate; /* … */

typedef enum SqRequireNative
{
	SQ_NATIVE_ALLOW,
	SQ_NATIVE_REQUIRE,
	SQ_NATIVE_FORBID
} SqRequireNative;

extern int sq_require_native; /* streamsql.debug_require_native */

extern int sq_debug_reader; /* streamsql.debug_reader: an SqKafkaReaderKind */

/* Declare them to PostgreSQL. Called once by _PG_init. */
extern void sq_guc_init(void);

#endif
