/*
 * base_error.c
 *		Errors as values: a state and three texts of fixed size.
 *
 * Memory: none of its own; the caller owns the SqError. Locks: none.
 */
#include "base/base.h"

void
sq_error_clear(SqError *error)
{
	error->sqlstate = 0;
	error->message[0] = error->detail[0] = error->hint[0] = '\0';
}

/* Format into a text of an SqError, cut where a UTF-8 character ends. */
static void
format_text(char *buffer, const char *format, va_list args)
{
	int length = vsnprintf(buffer, SQ_ERROR_TEXT, format, args);

	if (length >= SQ_ERROR_TEXT)
	{
		length = SQ_ERROR_TEXT - 1;
		while (length > 0 && (buffer[length - 1] & 0xC0) == 0x80)
			length--;
		if (length > 0 && (buffer[length - 1] & 0x80))
			length--;
		buffer[length] = '\0';
	}
}

SqStatus
sq_error_set(SqError *error, int sqlstate, const char *format, ...)
{
	va_list args;

	sq_error_clear(error);
	error->sqlstate = sqlstate;
	va_start(args, format);
	format_text(error->message, format, args);
	va_end(args);
	return SQ_ERROR;
}

void
sq_error_detail(SqError *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_text(error->detail, format, args);
	va_end(args);
}

void
sq_error_hint(SqError *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_text(error->hint, format, args);
	va_end(args);
}
