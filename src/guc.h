/*
 * guc.h
 *		The settings of the extension, all declared in guc.c.
 */
#ifndef SQ_GUC_H
#define SQ_GUC_H

extern int sq_broker_timeout; /* streamsql.broker_timeout, in ms */
extern int sq_batch_rows;     /* streamsql.batch_rows */

/* Declare them to PostgreSQL. Called once by _PG_init. */
extern void sq_guc_init(void);

#endif
