/*
 * kafka_property.c
 *		Which properties librdkafka has, and what each is to us.
 *
 * The list comes from the library that is linked, not from a copy that would
 * age: rd_kafka_conf_properties_show prints it as a table. What it can't tell
 * is which of them are secrets, open files, run code or are ours; that is the
 * table below. Properties that only exist for tests are not printed and thus
 * not known.
 *
 * An alias is given back as the property that it stands for, so that two
 * spellings of one are seen as one.
 *
 * Memory: the list is made once and stays. Locks: pthread_once.
 */
#include <librdkafka/rdkafka.h>

#include "kafka/kafka_internal.h"

#include <limits.h>

typedef struct SqPropertyEntry
{
	char *name;             /* as librdkafka spells it */
	char *option;           /* with '_' for '.' */
	const char *stands_for; /* its own name, or that of what it's an alias of */
	int flags;
} SqPropertyEntry;

typedef struct SqPropertyFlag
{
	const char *name;
	int flags;
} SqPropertyFlag;

static const SqPropertyFlag known[] = {
	/* Secrets. PEM texts of certificates are public, of keys not. */
	{"sasl.username", SQ_PROPERTY_SECRET},
	{"sasl.password", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.config", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.client.secret", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.client.credentials.client.secret", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.assertion.private.key.passphrase", SQ_PROPERTY_SECRET},
	{"sasl.oauthbearer.assertion.private.key.pem", SQ_PROPERTY_SECRET},
	{"ssl.key.password", SQ_PROPERTY_SECRET},
	{"ssl.key.pem", SQ_PROPERTY_SECRET},
	{"ssl.keystore.password", SQ_PROPERTY_SECRET},

	/* What reads a file; so does everything called *.location. The URL may
	 * be one of a file. */
	{"ssl.key.location", SQ_PROPERTY_FILE},
	{"ssl.certificate.location", SQ_PROPERTY_FILE},
	{"ssl.ca.location", SQ_PROPERTY_FILE},
	{"ssl.crl.location", SQ_PROPERTY_FILE},
	{"ssl.keystore.location", SQ_PROPERTY_FILE},
	{"https.ca.location", SQ_PROPERTY_FILE},
	{"sasl.oauthbearer.token.endpoint.url", SQ_PROPERTY_FILE},
	{"sasl.oauthbearer.assertion.file", SQ_PROPERTY_FILE},
	{"sasl.oauthbearer.assertion.private.key.file", SQ_PROPERTY_FILE},
	{"sasl.oauthbearer.assertion.jwt.template.file", SQ_PROPERTY_FILE},

	/* What runs or loads code. The default of kinit.cmd puts the principal
	 * and the keytab into a line for the shell as they are, so these two can
	 * run anything as well. */
	{"sasl.kerberos.kinit.cmd", SQ_PROPERTY_CODE},
	{"sasl.kerberos.principal", SQ_PROPERTY_CODE},
	{"sasl.kerberos.keytab", SQ_PROPERTY_CODE | SQ_PROPERTY_FILE},
	{"plugin.library.paths", SQ_PROPERTY_CODE},
	{"ssl.engine.location", SQ_PROPERTY_CODE | SQ_PROPERTY_FILE},
	{"ssl.engine.id", SQ_PROPERTY_CODE},
	{"ssl.providers", SQ_PROPERTY_CODE},

	/* What the extension sets, and what would pull the rug from under it:
	 * groups and commits (offsets are PostgreSQL's), creation of topics by
	 * reading, events and logs that nobody would take out of their queues,
	 * signals between threads, pointers. */
	{"group.id", SQ_PROPERTY_OWNED},
	{"group.instance.id", SQ_PROPERTY_OWNED},
	{"group.protocol", SQ_PROPERTY_OWNED},
	{"group.protocol.type", SQ_PROPERTY_OWNED},
	{"group.remote.assignor", SQ_PROPERTY_OWNED},
	{"partition.assignment.strategy", SQ_PROPERTY_OWNED},
	{"enable.auto.commit", SQ_PROPERTY_OWNED},
	{"enable.auto.offset.store", SQ_PROPERTY_OWNED},
	{"auto.commit.enable", SQ_PROPERTY_OWNED},
	{"auto.commit.interval.ms", SQ_PROPERTY_OWNED},
	{"auto.offset.reset", SQ_PROPERTY_OWNED},
	{"offset.store.method", SQ_PROPERTY_OWNED},
	{"offset.store.path", SQ_PROPERTY_OWNED | SQ_PROPERTY_FILE},
	{"offset.store.sync.interval.ms", SQ_PROPERTY_OWNED},
	{"consume.callback.max.messages", SQ_PROPERTY_OWNED},
	{"enable.partition.eof", SQ_PROPERTY_OWNED},
	{"allow.auto.create.topics", SQ_PROPERTY_OWNED},
	{"transactional.id", SQ_PROPERTY_OWNED},
	{"partitioner", SQ_PROPERTY_OWNED},
	{"msg_order_cmp", SQ_PROPERTY_OWNED},
	{"delivery.report.only.error", SQ_PROPERTY_OWNED},
	{"produce.offset.report", SQ_PROPERTY_OWNED},
	{"enabled_events", SQ_PROPERTY_OWNED},
	{"log.queue", SQ_PROPERTY_OWNED},
	{"internal.termination.signal", SQ_PROPERTY_OWNED},
	{"opaque", SQ_PROPERTY_OWNED},
	{"default_topic_conf", SQ_PROPERTY_OWNED},
	{"interceptors", SQ_PROPERTY_OWNED},
	{"ssl_key", SQ_PROPERTY_OWNED},
	{"ssl_certificate", SQ_PROPERTY_OWNED},
	{"ssl_ca", SQ_PROPERTY_OWNED},
	{"ssl_engine_callback_data", SQ_PROPERTY_OWNED},
};

/* The alias that everyone knows, and the name that nobody does. */
#define BROKERS     "bootstrap.servers"
#define BROKERS_OLD "metadata.broker.list"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static SqPropertyEntry *entries = NULL;
static int entry_count = 0;

/* ---- Reading librdkafka's table ---- */

static bool
ends_with(const char *reason, const char *end)
{
	size_t length = strlen(reason);
	size_t end_length = strlen(end);

	return length >= end_length &&
		   strcmp(reason + length - end_length, end) == 0;
}

static int
flags_of(const char *name)
{
	for (int i = 0; i < lengthof(known); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].flags;
	if (ends_with(name, "_cb") || strncmp(name, "test.", 5) == 0)
		return SQ_PROPERTY_OWNED;
	if (ends_with(name, ".location") || ends_with(name, ".file"))
		return SQ_PROPERTY_FILE;
	if (ends_with(name, ".password") || ends_with(name, ".secret"))
		return SQ_PROPERTY_SECRET;
	return 0;
}

static SqPropertyEntry *
find_name(const char *name)
{
	for (int i = 0; i < entry_count; i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

/* What a description says that it is an alias of, or NULL; malloc'd. */
static char *
alias_of(const char *description)
{
	static const char words[] = "Alias for `";
	const char *start = strstr(description, words);

	if (start == NULL)
		return NULL;
	start += sizeof(words) - 1;
	return strndup(start, strcspn(start, "`"));
}

/* Append the property of one line of the table, if it is one. */
static void
add_line(char *line, char **aliases)
{
	size_t length = strcspn(line, " |");
	char *bar = strchr(line, '|');
	SqPropertyEntry *entry = &entries[entry_count];

	if (bar == NULL || length == 0 || line[0] == '-' ||
		strncmp(line, "Property ", 9) == 0)
		return;
	line[length] = '\0';
	if (find_name(line) != NULL)
		return;
	entry->name = strdup(line);
	entry->option = strdup(line);
	for (char *c = entry->option; *c != '\0'; c++)
		if (*c == '.')
			*c = '_';
	entry->flags = flags_of(line);
	aliases[entry_count++] = alias_of(bar + 1);
}

/* Let each alias stand for its property, with the flags of both. */
static void
resolve_aliases(char **aliases)
{
	for (int i = 0; i < entry_count; i++)
		entries[i].stands_for = entries[i].name;
	for (int i = 0; i < entry_count; i++)
	{
		SqPropertyEntry *of = aliases[i] ? find_name(aliases[i]) : NULL;

		free(aliases[i]);
		if (of == NULL)
			continue;
		entries[i].flags |= of->flags;
		of->flags |= entries[i].flags;
		if (strcmp(entries[i].name, BROKERS) == 0)
			of->stands_for = entries[i].name;
		else
			entries[i].stands_for = of->name;
	}
}

static void
read_table(char *table)
{
	int lines = 0;
	char **aliases;
	char *rest = table;
	char *line;

	for (const char *c = table; *c != '\0'; c++)
		lines += *c == '\n';
	entries = calloc(lines + 1, sizeof(SqPropertyEntry));
	aliases = calloc(lines + 1, sizeof(char *));
	if (entries != NULL && aliases != NULL)
	{
		while ((line = strsep(&rest, "\n")) != NULL)
			add_line(line, aliases);
		resolve_aliases(aliases);
	}
	free(aliases);
}

static void
load(void)
{
	char *table = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&table, &size);

	if (stream == NULL)
		return;
	rd_kafka_conf_properties_show(stream);
	if (fclose(stream) == 0 && table != NULL)
		read_table(table);
	free(table);
}

bool
sq_kafka_property_exists(const char *name)
{
	pthread_once(&once, load);
	return find_name(name) != NULL;
}

/* ---- Finding ---- */

#define MAX_NAME 128

/* Levenshtein's distance; names longer than MAX_NAME are far from all. */
static int
distance(const char *a, const char *b)
{
	int row[MAX_NAME + 1];
	int a_length = (int) strlen(a);
	int b_length = (int) strlen(b);

	if (a_length > MAX_NAME || b_length > MAX_NAME)
		return INT_MAX;
	for (int j = 0; j <= b_length; j++)
		row[j] = j;
	for (int i = 1; i <= a_length; i++)
	{
		int diagonal = row[0];

		row[0] = i;
		for (int j = 1; j <= b_length; j++)
		{
			int change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = Min(change, Min(row[j], row[j - 1]) + 1);
		}
	}
	return row[b_length];
}

/* The nearest option that may be set, or NULL when none is near. */
static const char *
nearest_option(const char *option)
{
	const char *nearest = NULL;
	int least = Max(3, (int) strlen(option) / 2) + 1;

	for (int i = 0; i < entry_count; i++)
	{
		int d;

		if (entries[i].flags & SQ_PROPERTY_OWNED)
			continue;
		d = distance(option, entries[i].option);
		if (d < least)
		{
			least = d;
			nearest = entries[i].option;
		}
	}
	return nearest;
}

SqStatus
sq_kafka_property_find(const char *option, const char **name, int *flags,
					   SqError *error)
{
	const char *nearest;

	pthread_once(&once, load);
	for (int i = 0; i < entry_count; i++)
	{
		if (strcmp(entries[i].option, option) != 0)
			continue;
		*name = entries[i].stands_for;
		*flags = entries[i].flags;
		return SQ_OK;
	}
	sq_error_set(error, ERRCODE_FDW_INVALID_OPTION_NAME,
				 "invalid option \"%s\"", option);
	nearest = nearest_option(option);
	if (nearest != NULL)
		sq_error_hint(error, "Perhaps you meant the option \"%s\".", nearest);
	return SQ_ERROR;
}

/* ---- Values ---- */

SqStatus
sq_kafka_property_check(const char *name, const char *value, SqError *error)
{
	char reason[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_res_t result =
		rd_kafka_conf_set(conf, name, value, reason, sizeof(reason));
	const SqPropertyEntry *entry;

	rd_kafka_conf_destroy(conf);
	if (result == RD_KAFKA_CONF_OK)
		return SQ_OK;
	/* some of its texts end a line, some a sentence */
	for (size_t end = strlen(reason);
		 end > 0 && strchr("\r\n .", reason[end - 1]) != NULL; end--)
		reason[end - 1] = '\0';
	pthread_once(&once, load);
	entry = find_name(name);
	if (flags_of(name) & SQ_PROPERTY_SECRET)
		sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "invalid value for option \"%s\"",
					 entry ? entry->option : name);
	else
		sq_error_set(error, ERRCODE_INVALID_PARAMETER_VALUE,
					 "invalid value for option \"%s\": \"%s\"",
					 entry ? entry->option : name, value);
	sq_error_detail(error, "Kafka's client says: %s.", reason);
	return SQ_ERROR;
}
