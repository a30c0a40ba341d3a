/*
 * feed.h
 *		The door of room feed: a foreign table as its options describe it, and
 *		the records of its topic as rows.
 *
 * Whoever reads a topic for PostgreSQL (a scan, ANALYZE, the loader of a
 * table) does it through here:
 *
 *	feed_option.h	options of every level, checked
 *	feed_relation.h	a foreign table: options and columns together
 *	feed_client.h	a Kafka client owned by a memory context
 *	feed_wait.h		waiting and throwing, which the rooms below leave to us
 *	feed_topic.h	where a topic begins and ends
 *	feed_rows.h		ranges of a topic as decoded batches
 *	feed_convert.h	their rows as Datums
 *	feed_datum.h	values of columns as Datums, and back
 *
 * Everything is palloc'd and owned by a memory context; whatever else is held
 * (clients, sets, parsers) ends by a reset callback of it. Errors are thrown.
 */
#ifndef SQ_FEED_H
#define SQ_FEED_H

#include "feed/feed_client.h"
#include "feed/feed_convert.h"
#include "feed/feed_datum.h"
#include "feed/feed_option.h"
#include "feed/feed_relation.h"
#include "feed/feed_rows.h"
#include "feed/feed_topic.h"
#include "feed/feed_wait.h"

#endif
