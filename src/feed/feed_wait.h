/*
 * feed_wait.h
 *		Waiting and throwing, which the rooms below leave to their driver.
 */
#ifndef SQ_FEED_WAIT_H
#define SQ_FEED_WAIT_H

#include "postgres.h"

#include "base/base.h"
#include "feed/feed_client.h"

/* ereport(ERROR) of an error value. */
extern void sq_feed_throw(const SqError *error) pg_attribute_noreturn();

/* Wait until fd is readable, at most timeout_ms; serves interrupts. */
extern void sq_feed_wait(int fd, long timeout_ms);

/*
 * Wait for the answer of client->call; throws what the cluster says, also when
 * it doesn't answer within streamsql.broker_timeout. The answer is read from
 * client->call; sq_feed_client_end_call frees it. A call that is NULL (it could
 * not be made) throws the error given.
 */
extern void sq_feed_call_wait(SqFeedClient *client, SqKafkaCall *call,
							  const SqError *error);

/* Throw if the connection is in a state that waiting won't cure. */
extern void sq_feed_client_check(SqFeedClient *client);

/* The next set of client->reader into client->set, if there is one now: SQ_OK,
 * SQ_WAIT or SQ_DONE; the one before is ended. Throws what the cluster says. */
extern SqStatus sq_feed_reader_poll(SqFeedClient *client);

/*
 * The next set of client->reader into client->set (the one before is ended),
 * or false at the end of all ranges. Waits, and throws when nothing came for
 * streamsql.broker_timeout. Adds the microseconds waited to *waited.
 */
extern bool sq_feed_reader_wait(SqFeedClient *client, const char *topic,
								int64 *waited);

#endif
