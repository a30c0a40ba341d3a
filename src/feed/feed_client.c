/*
 * feed_client.c
 *		Ownership of Kafka clients by memory contexts.
 *
 * Errors and cancels leave a scan by longjmp; what it had open is then ended
 * by the reset callback of its memory context. Nothing here blocks: the room
 * kafka closes what is in an unknown state in threads of its own.
 *
 * Memory: the handle lives in the owner's context; the callback can't be taken
 * back, so a released handle stays there empty. Locks: none.
 */
#include "feed/feed_client.h"

#include "feed/feed_relation.h"
#include "feed/feed_wait.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* Longest time a leaving process waits for its Kafka threads. */
#define EXIT_TIMEOUT_MS 1000

void
sq_feed_client_end_call(SqFeedClient *client)
{
	if (client->call != NULL)
		sq_kafka_call_free(client->call);
	client->call = NULL;
}

void
sq_feed_client_end_set(SqFeedClient *client)
{
	if (client->set != NULL)
		sq_kafka_set_release(client->set);
	client->set = NULL;
}

void
sq_feed_client_release(SqFeedClient *client)
{
	bool healthy = !client->broken && client->call == NULL;

	if (client->kafka == NULL)
		return;
	sq_feed_client_end_call(client);
	sq_feed_client_end_set(client);
	if (client->reader != NULL && !sq_kafka_reader_close(client->reader))
		healthy = false;
	client->reader = NULL;
	sq_kafka_client_release(client->kafka, healthy);
	client->kafka = NULL;
}

static void
release_callback(void *arg)
{
	sq_feed_client_release((SqFeedClient *) arg);
}

static void
shutdown_pool(int code, Datum arg)
{
	sq_kafka_pool_shutdown(EXIT_TIMEOUT_MS);
}

/* Threads of librdkafka must not run while the process is taken apart. Done
 * by each process itself: a child of the postmaster forgets what was
 * registered there. */
static void
register_shutdown(void)
{
	static int registered = 0;

	if (registered == MyProcPid)
		return;
	on_proc_exit(shutdown_pool, (Datum) 0);
	registered = MyProcPid;
}

SqFeedClient *
sq_feed_client_acquire(Oid serverid, Oid userid, MemoryContext owner)
{
	SqFeedClient *client = MemoryContextAllocZero(owner, sizeof(SqFeedClient));
	Oid umid;
	SqKafkaConfig config = sq_feed_server_config(serverid, userid, &umid);
	SqError error;

	register_shutdown();
	client->callback.func = release_callback;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(owner, &client->callback);
	client->kafka = sq_kafka_client_acquire(&config, &error);
	if (client->kafka == NULL)
		sq_feed_throw(&error);
	return client;
}
