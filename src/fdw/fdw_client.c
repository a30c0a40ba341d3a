/*
 * fdw_client.c
 *		Ownership of Kafka clients by memory contexts.
 *
 * Errors and cancels leave a scan by longjmp; what it had open is then ended
 * by the reset callback of its memory context. Nothing here blocks: the room
 * kafka closes what is in an unknown state in threads of its own.
 *
 * Memory: the handle lives in the owner's context; the callback can't be taken
 * back, so a released handle stays there empty. Locks: none.
 */
#include "fdw/fdw_client.h"

#include "fdw/fdw_relation.h"
#include "fdw/fdw_wait.h"
#include "miscadmin.h"
#include "storage/ipc.h"

/* Longest time a leaving process waits for its Kafka threads. */
#define EXIT_TIMEOUT_MS 1000

void
sq_fdw_client_end_call(SqFdwClient *client)
{
	if (client->call != NULL)
		sq_kafka_call_free(client->call);
	client->call = NULL;
}

void
sq_fdw_client_end_set(SqFdwClient *client)
{
	if (client->set != NULL)
		sq_kafka_set_release(client->set);
	client->set = NULL;
}

void
sq_fdw_client_release(SqFdwClient *client)
{
	bool healthy = !client->broken && client->call == NULL;

	if (client->kafka == NULL)
		return;
	sq_fdw_client_end_call(client);
	sq_fdw_client_end_set(client);
	if (client->reader != NULL && !sq_kafka_reader_close(client->reader))
		healthy = false;
	client->reader = NULL;
	sq_kafka_client_release(client->kafka, healthy);
	client->kafka = NULL;
}

static void
release_callback(void *arg)
{
	sq_fdw_client_release((SqFdwClient *) arg);
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

SqFdwClient *
sq_fdw_client_acquire(Oid serverid, Oid userid, MemoryContext owner)
{
	SqFdwClient *client = MemoryContextAllocZero(owner, sizeof(SqFdwClient));
	Oid umid;
	SqKafkaConfig config = sq_fdw_server_config(serverid, userid, &umid);
	SqError error;

	register_shutdown();
	client->callback.func = release_callback;
	client->callback.arg = client;
	MemoryContextRegisterResetCallback(owner, &client->callback);
	client->kafka = sq_kafka_client_acquire(&config, &error);
	if (client->kafka == NULL)
		sq_fdw_throw(&error);
	return client;
}
