/*
 * guc.c
 *		One table of all settings.
 *
 * Memory: the variables are static. Locks: none.
 */
#include "postgres.h"

#include <limits.h>

#include "guc.h"
#include "utils/guc.h"

int sq_broker_timeout;
int sq_batch_rows;

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
};

void
sq_guc_init(void)
{
	for (int i = 0; i < lengthof(int_settings); i++)
	{
		const SqIntSetting *s = &int_settings[i];

		DefineCustomIntVariable(s->name, s->description, s->detail, s->variable,
								s->boot, s->min, s->max, s->context, s->flags,
								NULL, NULL, NULL);
	}
	MarkGUCPrefixReserved("streamsql");
}
