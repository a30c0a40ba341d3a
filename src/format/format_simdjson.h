/*
 * format_simdjson.h
 *		What room format takes from simdjson, as plain C.
 *
 * Plain C types only: the C++ side must not see PostgreSQL's headers. The
 * parser is malloc'd; nothing here throws, and running out of memory is an
 * answer.
 */
#ifndef SQ_FORMAT_SIMDJSON_H
#define SQ_FORMAT_SIMDJSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

typedef struct SqSimdjson SqSimdjson;

typedef enum SqSimdjsonResult
{
	SQ_SIMDJSON_OK,
	SQ_SIMDJSON_NOT_UTF8,
	SQ_SIMDJSON_MALFORMED,
	SQ_SIMDJSON_NO_MEMORY
} SqSimdjsonResult;

/* A document's structure: where its brackets, colons, commas, opening quotes
 * and the first characters of its other scalars are, in order. Lives until the
 * next call with the same parser. */
typedef struct SqSimdjsonIndex
{
	const uint32_t *positions;
	uint32_t count;
	const char *message; /* of a failure, in simdjson's words; static */
} SqSimdjsonIndex;

/* NULL: out of memory. */
extern SqSimdjson *sq_format_simdjson_create(void);
/* NULL is nothing to destroy. */
extern void sq_format_simdjson_destroy(SqSimdjson *parser);

/* Find the structure of a document of 1 to 2^32 - 65 bytes. When it answers
 * SQ_SIMDJSON_OK the document is UTF-8, its strings are closed and hold no
 * control characters; nothing else about it is known. Reads no byte beyond
 * the document. */
extern SqSimdjsonResult sq_format_simdjson_index(SqSimdjson *parser,
												 const char *data,
												 size_t length,
												 SqSimdjsonIndex *index);

/* Bytes that the parser holds, for tests. */
extern size_t sq_format_simdjson_size(const SqSimdjson *parser);

extern bool sq_format_simdjson_is_utf8(const char *data, size_t length);

#ifdef __cplusplus
}
#endif

#endif
