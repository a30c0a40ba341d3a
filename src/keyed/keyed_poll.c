/*
 * keyed_poll.c
 *		The descriptors that a worker waits for, as one.
 *
 * A loader that finds nothing to do asks to be woken once; whoever is woken has
 * to ask again. So a descriptor that nobody reads any more (of a client that
 * is idle, with the last answer to a table that was dropped) wakes a worker at
 * most one more time.
 *
 * Memory: one descriptor of the process. Locks: none.
 */
#include "keyed/keyed_internal.h"

#include <sys/epoll.h>

static int poll_fd = -1;

int
sq_keyed_poll_fd(void)
{
	if (poll_fd < 0)
		poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll_fd < 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not make a descriptor for tables: %m")));
	return poll_fd;
}

void
sq_keyed_poll_once(int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};

	if (epoll_ctl(sq_keyed_poll_fd(), EPOLL_CTL_MOD, fd, &event) != 0 &&
		epoll_ctl(sq_keyed_poll_fd(), EPOLL_CTL_ADD, fd, &event) != 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not wait for Kafka: %m")));
}

void
sq_keyed_poll_clear(void)
{
	struct epoll_event events[64];

	/* those beyond wake the worker again */
	epoll_wait(sq_keyed_poll_fd(), events, lengthof(events), 0);
}
