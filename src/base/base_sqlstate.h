/*
 * base_sqlstate.h
 *		PostgreSQL's error codes for programs without a server.
 *
 * utils/errcodes.h is generated in terms of MAKE_SQLSTATE, which elog.h
 * defines for the backend alone; the encoding is part of the wire contract of
 * every extension and has not changed since 7.4.
 */
#ifndef SQ_BASE_SQLSTATE_H
#define SQ_BASE_SQLSTATE_H

#define SQ_SIXBIT(ch) (((ch) - '0') & 0x3F)
#define MAKE_SQLSTATE(ch1, ch2, ch3, ch4, ch5)                                 \
	(SQ_SIXBIT(ch1) + (SQ_SIXBIT(ch2) << 6) + (SQ_SIXBIT(ch3) << 12) +         \
	 (SQ_SIXBIT(ch4) << 18) + (SQ_SIXBIT(ch5) << 24))

#include "utils/errcodes.h"

#endif
