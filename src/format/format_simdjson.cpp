/*
 * format_simdjson.cpp
 *		simdjson's first stage, the part that is vectorised, for the JSON
 *		decoder.
 *
 * Neither of simdjson's interfaces fits our contract: On-Demand does not look
 * at what nobody asks for, while we must refuse a document that is malformed
 * anywhere, and DOM refuses integers above 64 bits and keeps no number's text,
 * which we need for exact decimals. Both stand on stage 1, which checks UTF-8,
 * strings and control characters and lists the structural characters, at
 * gigabytes a second, with the instruction set of the running machine (it is
 * dispatched inside the library, so these lines need no flags of their own).
 * format_json_walk.c walks that list by PostgreSQL's rules.
 *
 * Memory: new/malloc, 4 bytes of index for each byte of the largest recent
 * document; shrinks again when documents stay small. Locks: none, one thread
 * at a time.
 */
#include "format/format_simdjson.h"

#include <memory>
#include <new>

#include <simdjson.h>

using simdjson::internal::dom_parser_implementation;

static constexpr size_t MIN_CAPACITY = 4096;
static constexpr uint32_t SHRINK_AFTER = 4096; /* documents */

struct SqSimdjson
{
	std::unique_ptr<dom_parser_implementation> stage;
	size_t capacity;
	size_t largest;     /* of the documents since the last look */
	uint32_t documents; /* since the last look */
};

extern "C" SqSimdjson *
sq_format_simdjson_create(void)
{
	auto parser = new (std::nothrow) SqSimdjson{nullptr, 0, 0, 0};

	if (parser == nullptr)
		return nullptr;
	auto error =
		simdjson::get_active_implementation()->create_dom_parser_implementation(
			MIN_CAPACITY, 1, parser->stage);
	if (error)
	{
		delete parser;
		return nullptr;
	}
	parser->capacity = MIN_CAPACITY;
	return parser;
}

extern "C" void
sq_format_simdjson_destroy(SqSimdjson *parser)
{
	delete parser;
}

/* Room for documents of that size, and of the next ones. */
static bool
resize(SqSimdjson *parser, size_t length)
{
	size_t capacity = MIN_CAPACITY;

	while (capacity < length)
		capacity *= 2;
	if (capacity > simdjson::SIMDJSON_MAXSIZE_BYTES)
		capacity = length;
	parser->capacity = 0;
	if (parser->stage->set_capacity(capacity))
		return false;
	parser->capacity = capacity;
	return true;
}

/* One large document must not hold its memory for ever. */
static bool
consider_shrinking(SqSimdjson *parser)
{
	size_t largest = parser->largest;

	parser->documents = 0;
	parser->largest = 0;
	if (parser->capacity > MIN_CAPACITY && largest < parser->capacity / 4)
		return resize(parser, largest);
	return true;
}

extern "C" SqSimdjsonResult
sq_format_simdjson_index(SqSimdjson *parser, const char *data, size_t length,
						 SqSimdjsonIndex *index)
{
	auto bytes = reinterpret_cast<const uint8_t *>(data);

	index->message = "";
	if (length > parser->largest)
		parser->largest = length;
	if ((++parser->documents > SHRINK_AFTER && !consider_shrinking(parser)) ||
		(length > parser->capacity && !resize(parser, length)))
		return SQ_SIMDJSON_NO_MEMORY;
	auto error =
		parser->stage->stage1(bytes, length, simdjson::stage1_mode::regular);
	if (!error)
	{
		index->positions = parser->stage->structural_indexes.get();
		index->count = parser->stage->n_structural_indexes;
		return SQ_SIMDJSON_OK;
	}
	index->message = simdjson::error_message(error);
	return simdjson::validate_utf8(data, length) ? SQ_SIMDJSON_MALFORMED
												 : SQ_SIMDJSON_NOT_UTF8;
}

extern "C" size_t
sq_format_simdjson_size(const SqSimdjson *parser)
{
	return sizeof(*parser) + parser->capacity * sizeof(uint32_t);
}

extern "C" bool
sq_format_simdjson_is_utf8(const char *data, size_t length)
{
	return simdjson::validate_utf8(data, length);
}
