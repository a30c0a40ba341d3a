/*
 * kafka_property.c
 *		librdkafka's properties: their names, and what they are to us.
 *
 * The list of names comes from librdkafka itself, once per process, so a newer
 * library brings its new properties along. What a property is to us stands in
 * a table here; properties of connections that the table doesn't name are
 * ordinary ones.
 *
 * Memory: the list is malloc'd and kept. Locks: none; main thread only.
 */
#include "kafka/kafka_internal.h"

#include <ctype.h>

typedef struct SqPropertyRule
{
	const char *name; /* a trailing * stands for any end */
	int flags;
} SqPropertyRule;

/* The first rule that fits counts. */
static const SqPropertyRule rules[] = {
	{"sasl.username", SQ_PROPERTY_SECRET},
	{"sasl.password", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.config", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.client.id", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.client.secret", SQ_PROPERTY_SECRET},
	{"ssl.key.password", SQ_PROPERTY_SECRET},
	{"ssl.key.pem", SQ_PROPERTY_SECRET},
	{"ssl.keystore.password", SQ_PROPERTY_SECRET},

	{"ssl.key.location", SQ_PROPERTY_FILE},
	{"ssl.certificate.location", SQ_PROPERTY_FILE},
	{"ssl.ca.location", SQ_PROPERTY_FILE},
	{"ssl.crl.location", SQ_PROPERTY_FILE},
	{"ssl.keystore.location", SQ_PROPERTY_FILE},
	{"sasl.kerberos.keytab", SQ_PROPERTY_FILE},

	{"ssl.engine.location", SQ_PROPERTY_CODE},
	{"ssl.engine.id", SQ_PROPERTY_CODE},
	{"ssl.providers", SQ_PROPERTY_CODE},
	{"sasl.kerberos.kinit.cmd", SQ_PROPERTY_CODE},
	{"plugin.library.paths", SQ_PROPERTY_CODE},

	{"group.*", SQ_PROPERTY_OWNED},
	{"enable.auto.*", SQ_PROPERTY_OWNED},
	{"auto.*", SQ_PROPERTY_OWNED},
	{"enable.partition.eof", SQ_PROPERTY_OWNED},
	{"offset.store.path", SQ_PROPERTY_OWNED | SQ_PROPERTY_FILE},
	{"offset.store.*", SQ_PROPERTY_OWNED},
	{"partition.assignment.strategy", SQ_PROPERTY_OWNED},
	{"session.timeout.ms", SQ_PROPERTY_OWNED},
	{"heartbeat.interval.ms", SQ_PROPERTY_OWNED},
	{"coordinator.query.interval.ms", SQ_PROPERTY_OWNED},
	{"max.poll.interval.ms", SQ_PROPERTY_OWNED},
	{"transactional.id", SQ_PROPERTY_OWNED},
	{"partitioner", SQ_PROPERTY_OWNED},
	{"allow.auto.create.topics", SQ_PROPERTY_OWNED},
	{"enabled_events", SQ_PROPERTY_OWNED},
	{"opaque", SQ_PROPERTY_OWNED},
	{"default_topic_conf", SQ_PROPERTY_OWNED},
	{"interceptors", SQ_PROPERTY_OWNED},
	{"msg_order_cmp", SQ_PROPERTY_OWNED},
	{"queuing.strategy", SQ_PROPERTY_OWNED},
	{"consume.callback.max.messages", SQ_PROPERTY_OWNED},
	{"builtin.features", SQ_PROPERTY_OWNED},
	{"internal.termination.signal", SQ_PROPERTY_OWNED},
	{"log.queue", SQ_PROPERTY_OWNED},
	{"ssl_key", SQ_PROPERTY_OWNED},
	{"ssl_certificate", SQ_PROPERTY_OWNED},
	{"ssl_ca", SQ_PROPERTY_OWNED},
	{"ssl_engine_callback_data", SQ_PROPERTY_OWNED},
	{"test.*", SQ_PROPERTY_OWNED},
	{"ut_*", SQ_PROPERTY_OWNED},
};

static char **names = NULL;
static int names_count = 0;

static void
add_name(const char *name, size_t length)
{
	char **grown = realloc(names, (names_count + 1) * sizeof(char *));

	if (grown == NULL)
		return;
	names = grown;
	names[names_count] = strndup(name, length);
	names_count += names[names_count] != NULL;
}

/* Read the names out of librdkafka's table of properties. */
static void
load_names(void)
{
	char *table = NULL;
	size_t size;
	FILE *out = open_memstream(&table, &size);
	char *line, *rest;

	if (out == NULL)
		return;
	rd_kafka_conf_properties_show(out);
	fclose(out);
	rest = table;
	while ((line = strsep(&rest, "\n")) != NULL)
	{
		size_t length = strcspn(line, " |");

		if (islower((unsigned char) line[0]) && strchr(line, '|') != NULL)
			add_name(line, length);
	}
	free(table);
}

/* Does an option name, in which dots are underscores, mean this property? */
static bool
same_name(const char *option, const char *name)
{
	for (; *option != '\0' && *name != '\0'; option++, name++)
		if (*option != *name && !(*option == '_' && *name == '.'))
			return false;
	return *option == *name;
}

static int
property_flags(const char *name)
{
	size_t length = strlen(name);

	for (int i = 0; i < lengthof(rules); i++)
	{
		size_t stem = strcspn(rules[i].name, "*");

		if (strncmp(name, rules[i].name, stem) == 0 &&
			(rules[i].name[stem] == '*' || length == stem))
			return rules[i].flags;
	}
	if (length > 3 && strcmp(name + length - 3, "_cb") == 0)
		return SQ_PROPERTY_OWNED;
	return 0;
}

/* Levenshtein's distance, dots and underscores alike; at most a longest name
 * of 63 bytes matters. */
static int
distance(const char *a, const char *b)
{
	int row[64];
	int length = (int) Min(strlen(b), 63);

	for (int j = 0; j <= length; j++)
		row[j] = j;
	for (int i = 0; a[i] != '\0'; i++)
	{
		int diagonal = row[0];

		row[0] = i + 1;
		for (int j = 0; j < length; j++)
		{
			bool same = a[i] == b[j] || (a[i] == '_' && b[j] == '.');
			int best = diagonal + !same;

			best = Min(best, row[j] + 1);
			best = Min(best, row[j + 1] + 1);
			diagonal = row[j + 1];
			row[j + 1] = best;
		}
	}
	return row[length];
}

/* The nearest property that a user may set, or NULL if none is near. */
static const char *
nearest_name(const char *option)
{
	int best = 1 + (int) strlen(option) / 2;
	const char *result = NULL;

	for (int i = 0; i < names_count; i++)
	{
		int d = distance(option, names[i]);

		if (d < best && !(property_flags(names[i]) & SQ_PROPERTY_OWNED))
		{
			best = d;
			result = names[i];
		}
	}
	return result;
}

SqStatus
sq_kafka_property_find(const char *option, const char **name, int *flags,
					   SqError *error)
{
	const char *near;
	char spelled[128];
	int i;

	if (names == NULL)
		load_names();
	for (i = 0; i < names_count; i++)
	{
		if (!same_name(option, names[i]))
			continue;
		*name = names[i];
		*flags = property_flags(names[i]);
		return SQ_OK;
	}
	sq_error_set(error, ERRCODE_FDW_INVALID_OPTION_NAME,
				 "invalid option \"%s\"", option);
	near = nearest_name(option);
	if (near == NULL)
		return SQ_ERROR;
	for (i = 0; near[i] != '\0' && i < (int) sizeof(spelled) - 1; i++)
		spelled[i] = near[i] == '.' ? '_' : near[i];
	spelled[i] = '\0';
	sq_error_hint(error, "Perhaps you meant the option \"%s\".", spelled);
	return SQ_ERROR;
}

SqStatus
sq_kafka_property_check(const char *name, const char *value, SqError *error)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char reason[512] = "";
	rd_kafka_conf_res_t result =
		rd_kafka_conf_set(conf, name, value, reason, sizeof(reason));

	rd_kafka_conf_destroy(conf);
	if (result == RD_KAFKA_CONF_OK)
		return SQ_OK;
	sq_error_set(error, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
				 "invalid value for Kafka property \"%s\"", name);
	sq_error_detail(error, "%s.", reason);
	return SQ_ERROR;
}
