/*
 * unit.h
 *		The few lines that a unit test needs: checks told in TAP.
 *
 * A test is one C program: CHECKs, then «return unit_end();».
 * Each CHECK is one test point; a failed one says where, and makes the program
 * exit 1.
 */
#ifndef SQ_UNIT_H
#define SQ_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int unit_points = 0;
static int unit_failures = 0;

/* One test point with a printf-style name; answers whether it was good. */
static inline __attribute__((unused, format(printf, 4, 5))) bool
unit_point(bool good, const char *file, int line, const char *format, ...)
{
	va_list args;

	unit_points++;
	printf("%s %d - ", good ? "ok" : "not ok", unit_points);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!good)
	{
		unit_failures++;
		printf("# at %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

/* The plan, at the end because it is known then; the exit code. */
static inline int
unit_end(void)
{
	printf("1..%d\n", unit_points);
	return unit_failures > 0 ? 1 : 0;
}

/* A condition, named by itself. */
#define CHECK(cond) unit_point((cond), __FILE__, __LINE__, "%s", #cond)

/* A condition with a name (printf style). */
#define CHECK_NAMED(cond, ...)                                                 \
	unit_point((cond), __FILE__, __LINE__, __VA_ARGS__)

/* Two strings that must be equal; tells both when they are not. */
#define CHECK_STR(actual, expected)                                            \
	do                                                                         \
	{                                                                          \
		const char *actual_ = (actual);                                        \
		const char *expected_ = (expected);                                    \
                                                                               \
		if (!unit_point(strcmp(actual_, expected_) == 0, __FILE__, __LINE__,   \
						"%s is \"%s\"", #actual, expected_))                   \
			printf("# got \"%s\"\n", actual_);                                 \
	} while (0)

/* Two integers that must be equal. */
#define CHECK_INT(actual, expected)                                            \
	do                                                                         \
	{                                                                          \
		long long actual_ = (long long) (actual);                              \
		long long expected_ = (long long) (expected);                          \
                                                                               \
		if (!unit_point(actual_ == expected_, __FILE__, __LINE__,              \
						"%s is %lld", #actual, expected_))                     \
			printf("# got %lld\n", actual_);                                   \
	} while (0)

#endif
