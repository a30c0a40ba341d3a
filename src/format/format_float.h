/*
 * format_float.h
 *		Decimal text to binary floating point, correctly rounded, as plain C.
 *
 * Both answer false, leaving the result alone, for what is no plain decimal
 * number ([+-]digits[.digits][e[+-]digits]) or can't be told from overflow or
 * underflow: infinities, NaN, hexadecimal, subnormal results.
 */
#ifndef SQ_FORMAT_FLOAT_H
#define SQ_FORMAT_FLOAT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C"
{
#endif

extern bool sq_format_float8(const char *text, size_t length, double *result);
/* Rounded once, from the text, not by way of a double. */
extern bool sq_format_float4(const char *text, size_t length, float *result);

#ifdef __cplusplus
}
#endif

#endif
