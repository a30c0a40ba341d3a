/*
 * kafka_resolve.c
 *		The addresses of a host.
 *
 * getaddrinfo waits for name servers, for as long as resolv.conf says, so it
 * is a job for a thread; but an address in figures is answered at once.
 *
 * Memory: malloc; the lookup is freed by kafka_job.c's rule. Locks: none.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <netdb.h>
#include <sys/socket.h>

static void
ask(SqKafkaLookup *lookup, int flags)
{
	const struct addrinfo hints = {.ai_family = lookup->family,
								   .ai_socktype = SOCK_STREAM,
								   .ai_flags = flags | AI_NUMERICSERV};

	lookup->code =
		getaddrinfo(lookup->host, lookup->port, &hints, &lookup->addresses);
}

static void
run_lookup(SqKafkaJob *job)
{
	ask((SqKafkaLookup *) job, AI_ADDRCONFIG);
}

static void
end_lookup(SqKafkaJob *job)
{
	SqKafkaLookup *lookup = (SqKafkaLookup *) job;

	if (lookup->addresses != NULL)
		freeaddrinfo(lookup->addresses);
	free(lookup->host);
	free(lookup->port);
	free(lookup);
}

SqKafkaLookup *
sq_kafka_lookup_start(const char *host, int port, int family, SqError *error)
{
	SqKafkaLookup *lookup = calloc(1, sizeof(SqKafkaLookup));
	char digits[16];

	if (lookup == NULL)
	{
		sq_kafka_error_memory(error);
		return NULL;
	}
	snprintf(digits, sizeof(digits), "%d", port);
	lookup->family = family;
	lookup->host = strdup(host);
	lookup->port = strdup(digits);
	if (!sq_kafka_job_init(&lookup->job, run_lookup, end_lookup))
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not make a descriptor for Kafka");
	else if (lookup->host == NULL || lookup->port == NULL)
		sq_kafka_error_memory(error);
	else
	{
		ask(lookup, AI_NUMERICHOST);
		lookup->numeric = lookup->code == 0;
		if (lookup->numeric || sq_kafka_job_start(&lookup->job))
			return lookup;
		sq_error_set(error, ERRCODE_INSUFFICIENT_RESOURCES,
					 "could not start a thread for Kafka");
	}
	sq_kafka_job_drop(&lookup->job);
	return NULL;
}
