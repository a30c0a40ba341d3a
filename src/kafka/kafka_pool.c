/*
 * kafka_pool.c
 *		Idle clients of this process, ready for the next owner.
 *
 * Connecting takes several round trips and threads; a backend asks the same
 * cluster again and again. A client is found by its complete configuration,
 * secrets included, so that nobody gets another's rights. The list is short
 * and in order of use: the longest idle one leaves it.
 *
 * Memory: malloc. Locks: none; the pool belongs to the process's main thread.
 */
#include "kafka/kafka_internal.h"

#define MAX_IDLE 4

static SqKafkaClient *idle = NULL;

static int
compare_properties(const void *a, const void *b)
{
	const SqKafkaProperty *one = a;
	const SqKafkaProperty *other = b;
	int order = strcmp(one->name, other->name);

	return order != 0 ? order : strcmp(one->value, other->value);
}

bool
sq_kafka_client_matches(const SqKafkaClient *client,
						const SqKafkaConfig *config)
{
	if (client->property_count != config->count ||
		client->reader != config->reader)
		return false;
	for (int i = 0; i < config->count; i++)
		if (compare_properties(&client->properties[i],
							   &config->properties[i]) != 0)
			return false;
	return true;
}

/* Take an idle client with this configuration out of the list, or NULL. */
static SqKafkaClient *
take_idle(const SqKafkaConfig *config)
{
	for (SqKafkaClient **link = &idle; *link != NULL; link = &(*link)->next)
	{
		SqKafkaClient *client = *link;

		if (!sq_kafka_client_matches(client, config))
			continue;
		*link = client->next;
		client->next = NULL;
		sq_kafka_client_forget(client);
		return client;
	}
	return NULL;
}

/* Copy the properties, of those set twice the last, sorted; their number. */
static int
sort_properties(const SqKafkaConfig *config, SqKafkaProperty *sorted)
{
	int count = 0;

	for (int i = 0; i < config->count; i++)
	{
		bool again = false;

		for (int j = i + 1; j < config->count && !again; j++)
			again = strcmp(config->properties[i].name,
						   config->properties[j].name) == 0;
		if (!again)
			sorted[count++] = config->properties[i];
	}
	qsort(sorted, count, sizeof(SqKafkaProperty), compare_properties);
	return count;
}

bool
sq_kafka_config_sort(const SqKafkaConfig *config, SqKafkaConfig *sorted)
{
	SqKafkaProperty *properties =
		calloc(config->count + 1, sizeof(SqKafkaProperty));

	if (properties == NULL)
		return false;
	sorted->properties = properties;
	sorted->reader = config->reader;
	sorted->count = sort_properties(config, properties);
	return true;
}

SqKafkaClient *
sq_kafka_client_acquire(const SqKafkaConfig *config, SqError *error)
{
	SqKafkaConfig sorted;
	SqKafkaClient *client;

	if (!sq_kafka_config_sort(config, &sorted))
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	client = take_idle(&sorted);
	if (client == NULL)
		client = sq_kafka_client_create(&sorted, NULL, error);
	free((void *) sorted.properties);
	return client;
}

/* Close what is beyond the first clients of the list. */
static void
trim(int keep)
{
	SqKafkaClient **link = &idle;
	SqKafkaClient *client;

	while (*link != NULL && keep-- > 0)
		link = &(*link)->next;
	client = *link;
	*link = NULL;
	while (client != NULL)
	{
		SqKafkaClient *next = client->next;

		sq_kafka_client_drop(client);
		client = next;
	}
}

void
sq_kafka_client_release(SqKafkaClient *client, bool healthy)
{
	SqError fault;

	if (!healthy || sq_kafka_client_check(client, &fault) != SQ_OK)
	{
		sq_kafka_client_drop(client);
		return;
	}
	client->next = idle;
	idle = client;
	trim(MAX_IDLE);
}

bool
sq_kafka_pool_shutdown(int timeout_ms)
{
	trim(0);
	sq_kafka_writer_close_idle();
	return sq_kafka_thread_wait(timeout_ms);
}
