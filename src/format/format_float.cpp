/*
 * format_float.cpp
 *		Decimal text to binary floating point by std::from_chars.
 *
 * PostgreSQL uses strtod and strtof, which round correctly in glibc and need
 * a terminated string and the C locale's point; from_chars rounds correctly
 * too, needs neither, and is several times as fast.
 *
 * Memory and locks: none.
 */
#include "format/format_float.h"

#include <charconv>
#include <cmath>

/* Does the mantissa hold a digit that is not zero? */
static bool
is_nonzero(const char *text, const char *end)
{
	for (; text < end && *text != 'e' && *text != 'E'; text++)
	{
		if (*text >= '1' && *text <= '9')
			return true;
	}
	return false;
}

template <typename Float>
static bool
convert(const char *text, size_t length, Float *result)
{
	const char *end = text + length;
	const char *digits = text;
	Float value;

	if (digits < end && (*digits == '-' || *digits == '+'))
		digits++;
	if (digits == end || *digits < '0' || *digits > '9')
		return false;
	if (*text == '+')
		text++;
	auto answer = std::from_chars(text, end, value);
	if (answer.ec != std::errc() || answer.ptr != end)
		return false;
	if (!std::isnormal(value) && (value != 0 || is_nonzero(digits, end)))
		return false;
	*result = value;
	return true;
}

extern "C" bool
sq_format_float8(const char *text, size_t length, double *result)
{
	return convert(text, length, result);
}

extern "C" bool
sq_format_float4(const char *text, size_t length, float *result)
{
	return convert(text, length, result);
}
