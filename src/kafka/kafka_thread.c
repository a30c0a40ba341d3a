/*
 * kafka_thread.c
 *		Detached threads that can be waited for, and the clock.
 *
 * librdkafka blocks where an answer or a join takes time; such work is given
 * to a thread of its own. All signals are blocked around its creation: they
 * are for the thread of PostgreSQL.
 *
 * Memory: one small block a thread, freed by it. Locks: «lock» guards the
 * count of threads; nothing else is taken under it.
 */
#include "kafka/kafka_internal.h"

#include <signal.h>
#include <time.h>

typedef struct SqKafkaTask
{
	void (*run)(void *);
	void *argument;
} SqKafkaTask;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int thread_count = 0;

static void
count_threads(int difference)
{
	pthread_mutex_lock(&lock);
	thread_count += difference;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void *
run_task(void *argument)
{
	SqKafkaTask task = *(SqKafkaTask *) argument;

	free(argument);
	task.run(task.argument);
	count_threads(-1);
	return NULL;
}

/* pthread_create with all signals blocked, which the thread inherits. */
static bool
create_thread(SqKafkaTask *task)
{
	pthread_t thread;
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t old;
	bool created;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	created = pthread_create(&thread, &attributes, run_task, task) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return created;
}

bool
sq_kafka_thread_start(void (*run)(void *), void *argument)
{
	SqKafkaTask *task = malloc(sizeof(SqKafkaTask));

	if (task == NULL)
		return false;
	*task = (SqKafkaTask){run, argument};
	count_threads(1);
	if (create_thread(task))
		return true;
	count_threads(-1);
	free(task);
	return false;
}

bool
sq_kafka_thread_wait(int timeout_ms)
{
	struct timespec until;
	bool none;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&lock);
	while (thread_count > 0 &&
		   pthread_cond_timedwait(&changed, &lock, &until) == 0)
		;
	none = thread_count == 0;
	pthread_mutex_unlock(&lock);
	return none;
}

int64
sq_kafka_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
