/*
 * guc.c
 *		One table of all settings.
 *
 * Memory: the variables are static. Locks: none.
 */
#include "postgres.h"

#include <limits.h>

#include "guc.h"
#include "kafka/kafka.h"
#include "miscadmin.h"
#include "utils/guc.h"

int sq_broker_timeout;
int sq_batch_rows;
int sq_table_wait;
int sq_table_memory;
int sq_table_workers;
int sq_snapshot_interval;
int sq_savepoint_memory;
int sq_read_consistency;
bool sq_enable_native_filter;
bool sq_enable_native_join;
bool sq_enable_native_aggregate;
int sq_require_native;
int sq_debug_reader;

typedef struct SqIntSetting
{
	const char *name;
	const char *description;
	const char *detail;
	int *variable;
	int boot;
	int min;
	int max;
	GucContext context;
	int flags;
} SqIntSetting;

static const SqIntSetting int_settings[] = {
	{"streamsql.broker_timeout",
	 "Longest time to wait for a Kafka broker that does not answer.",
	 "A statement fails when no record and no answer came for this long.",
	 &sq_broker_timeout, 30 * 1000, 1, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
	{"streamsql.batch_rows", "Records that are decoded together.",
	 "Larger batches cost memory and delay the first row.", &sq_batch_rows,
	 1024, 1, 65536, PGC_USERSET, 0},
	{"streamsql.table_wait",
	 "Longest time to wait for a table that is being loaded.",
	 "With read_consistency latest, also for it to catch up with its topic.",
	 &sq_table_wait, 60 * 1000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS},
	{"streamsql.snapshot_interval",
	 "Time between two snapshot files of a table that changes.",
	 "0 writes none: after a restart topics are read from their beginning.",
	 &sq_snapshot_interval, 60, 0, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S},
	{"streamsql.savepoint_memory",
	 "Records kept in memory for a savepoint to take them back.",
	 "When they exceed it they are sent to Kafka, and rolling back to a "
	 "savepoint before them fails the transaction. Of each server.",
	 &sq_savepoint_memory, 64 * 1024, 0, MAX_KILOBYTES, PGC_USERSET,
	 GUC_UNIT_KB},
	/* only where shared memory can still be had */
	{"streamsql.table_memory", "Shared memory for all tables.",
	 "Taken when the server starts. When it is full, tables stop applying "
	 "records until there is room.",
	 &sq_table_memory, 256 * 1024, 1024, 64 * 1024 * 1024 - 1, PGC_POSTMASTER,
	 GUC_UNIT_KB},
	{"streamsql.table_workers",
	 "Background workers that keep the tables of one database.",
	 "They count against max_worker_processes.", &sq_table_workers, 2, 1, 64,
	 PGC_POSTMASTER, 0},
};

typedef struct SqBoolSetting
{
	const char *name;
	const char *description;
	bool *variable;
} SqBoolSetting;

static const SqBoolSetting bool_settings[] = {
	{"streamsql.enable_native_filter",
	 "Enables the planner's use of native conditions on streams and tables.",
	 &sq_enable_native_filter},
	{"streamsql.enable_native_join",
	 "Enables the planner's use of native joins of streams and tables.",
	 &sq_enable_native_join},
	{"streamsql.enable_native_aggregate",
	 "Enables the planner's use of native aggregates over streams and tables.",
	 &sq_enable_native_aggregate},
};

static const struct config_enum_entry consistencies[] = {
	{"eventual", SQ_CONSISTENCY_EVENTUAL, false},
	{"latest", SQ_CONSISTENCY_LATEST, false},
	{NULL, 0, false},
};

static const struct config_enum_entry native_requirements[] = {
	{"allow", SQ_NATIVE_ALLOW, false},
	{"require", SQ_NATIVE_REQUIRE, false},
	{"forbid", SQ_NATIVE_FORBID, false},
	{NULL, 0, false},
};

static const struct config_enum_entry readers[] = {
	{"auto", SQ_KAFKA_READER_AUTO, false},
	{"wire", SQ_KAFKA_READER_WIRE, false},
	{"librdkafka", SQ_KAFKA_READER_LIBRDKAFKA, false},
	{NULL, 0, false},
};

void
sq_guc_init(void)
{
	for (int i = 0; i < lengthof(int_settings); i++)
	{
		const SqIntSetting *s = &int_settings[i];

		if (s->context == PGC_POSTMASTER &&
			!process_shared_preload_libraries_in_progress)
			continue;
		DefineCustomIntVariable(s->name, s->description, s->detail, s->variable,
								s->boot, s->min, s->max, s->context, s->flags,
								NULL, NULL, NULL);
	}
	for (int i = 0; i < lengthof(bool_settings); i++)
		DefineCustomBoolVariable(bool_settings[i].name,
								 bool_settings[i].description, NULL,
								 bool_settings[i].variable, true, PGC_USERSET,
								 GUC_EXPLAIN, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"streamsql.read_consistency",
		"What a statement sees of tables: what is there, or all that their "
		"topics held when it started.",
		"With latest a statement asks the cluster, and waits at most "
		"streamsql.table_wait.",
		&sq_read_consistency, SQ_CONSISTENCY_EVENTUAL, consistencies,
		PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"streamsql.debug_require_native",
		"Whether joins, aggregates and conditions on streams and tables may, "
		"must or must not run in the native executor.",
		"With require a statement fails where one of them does not, naming the "
		"reason.",
		&sq_require_native, SQ_NATIVE_ALLOW, native_requirements, PGC_USERSET,
		GUC_EXPLAIN | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"streamsql.debug_reader",
		"Who reads from servers that have no option \"reader\".", NULL,
		&sq_debug_reader, SQ_KAFKA_READER_AUTO, readers, PGC_USERSET,
		GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("streamsql");
}
