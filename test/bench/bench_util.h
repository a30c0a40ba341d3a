/*
 * bench_util.h
 *		What the measuring programs share: clocks and busy work.
 */
#ifndef SQ_BENCH_UTIL_H
#define SQ_BENCH_UTIL_H

#include <stdint.h>

/* Seconds of a monotonic clock. */
extern double sq_bench_now(void);
/* Seconds of CPU that all threads of this process have used. */
extern double sq_bench_cpu(void);
/* Measure how fast this machine is, for sq_bench_work. */
extern void sq_bench_calibrate(void);
/* Compute for about this long. Does not look at the clock, so that its cost
 * does not shrink when a thread waits for a core. */
extern void sq_bench_work(int ns);
/* Records a second that so much work alone allows, measured now. */
extern double sq_bench_work_rate(int ns);

#endif
