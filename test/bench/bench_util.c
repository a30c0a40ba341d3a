/*
 * bench_util.c
 *		Clocks and busy work for the measuring programs.
 *
 * Memory: static. Locks: none, one thread.
 */
#include "bench_util.h"

#include <sys/resource.h>
#include <time.h>

/* Steps of the generator that take 1000 ns. */
static int steps_per_us = 1000;
static volatile uint64_t sink;

double
sq_bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

double
sq_bench_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 +
		   usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6;
}

static void
run_steps(int steps)
{
	uint64_t state = sink | 1;

	for (int i = 0; i < steps; i++)
	{
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
	}
	sink = state;
}

/* The fastest of some tries: others may have had the core meanwhile. */
void
sq_bench_calibrate(void)
{
	const int steps = 1000 * 1000;
	double best = 1;

	for (int i = 0; i < 10; i++)
	{
		double start = sq_bench_now();
		double took;

		run_steps(steps);
		took = sq_bench_now() - start;
		if (took < best)
			best = took;
	}
	steps_per_us = steps / (best * 1e6);
}

void
sq_bench_work(int ns)
{
	run_steps((int64_t) steps_per_us * ns / 1000);
}

double
sq_bench_work_rate(int ns)
{
	const int records = 200 * 1000;
	double start = sq_bench_now();

	for (int i = 0; i < records; i++)
		sq_bench_work(ns);
	return records / (sq_bench_now() - start);
}
