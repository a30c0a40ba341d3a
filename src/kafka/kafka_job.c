/*
 * kafka_job.c
 *		Work that a connection gives to a thread, and gives up at will.
 *
 * Looking up a name and asking a Kerberos server can't be done without
 * waiting, nor be interrupted. The thread works on memory of its own and tells
 * the end by an eventfd, which is the owner's to wait for like a socket.
 *
 * Memory: malloc; the job is shared by its owner and its thread, the last one
 * frees it. Locks: none; the eventfd orders what the thread has written before
 * what the owner reads.
 */
#include "kafka/kafka_internal.h"
#include "kafka/kafka_transport.h"

#include <sys/eventfd.h>
#include <unistd.h>

bool
sq_kafka_job_init(SqKafkaJob *job, void (*run)(SqKafkaJob *),
				  void (*end)(SqKafkaJob *))
{
	job->run = run;
	job->end = end;
	atomic_init(&job->references, 1);
	job->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return job->fd >= 0;
}

void
sq_kafka_job_drop(SqKafkaJob *job)
{
	int fd;

	if (job == NULL || atomic_fetch_sub(&job->references, 1) > 1)
		return;
	fd = job->fd;
	job->end(job);
	if (fd >= 0)
		close(fd);
}

static void
run_job(void *argument)
{
	SqKafkaJob *job = argument;
	const uint64 one = 1;

	job->run(job);
	if (write(job->fd, &one, sizeof(one)) != sizeof(one))
		Assert(false); /* nobody else adds to it */
	sq_kafka_job_drop(job);
}

bool
sq_kafka_job_start(SqKafkaJob *job)
{
	atomic_fetch_add(&job->references, 1);
	if (sq_kafka_thread_start(run_job, job))
		return true;
	atomic_fetch_sub(&job->references, 1);
	return false;
}

bool
sq_kafka_job_done(SqKafkaJob *job)
{
	uint64 count;

	return read(job->fd, &count, sizeof(count)) == sizeof(count);
}
