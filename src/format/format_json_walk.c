/*
 * format_json_walk.c
 *		One pass over a document's structural characters: checks all of it and
 *		notes where the wanted values stand.
 *
 * simdjson has listed every bracket, colon and comma outside of strings, every
 * opening quote, and the first character of every other run of characters (a
 * number, a literal, or rubbish). The grammar over that list, the numbers, the
 * literals and the escapes are checked here by PostgreSQL's rules. Two facts
 * spare us most of the bytes: a string ends at the last quote before the next
 * listed position, for only white space stands between; and a document without
 * a single backslash, nearly every one, needs no look into its strings.
 *
 * Nesting is a stack of frames, not recursion: depth costs heap, no C stack.
 *
 * Memory: frames belong to the tree and grow with the deepest document, up to
 * SQ_JSON_MAX_DEPTH. Locks: none.
 */
#include "format/format_json.h"

typedef struct Walk
{
	const char *text;
	uint32 length;
	const uint32 *next; /* the next listed position */
	const uint32 *last; /* behind the last one */
	bool escapes;       /* there is a backslash somewhere */
	int depth;
	SqJsonTree *tree;
	SqArena *arena;
	SqError *error;
} Walk;

/* ---- Errors ---- */

/* What stands at a position, as much of it as is worth showing. */
static int
excerpt_length(const Walk *walk, uint32 position)
{
	uint32 end = position + 1;
	const uint32 limit = Min(walk->length, position + 24);

	while (end < limit && strchr(" \t\n\r,:[]{}", walk->text[end]) == NULL)
		end++;
	while (end < walk->length && (walk->text[end] & 0xC0) == 0x80)
		end++;
	return (int) (end - position);
}

static SqStatus
fail(Walk *walk, uint32 position, const char *expected)
{
	if (position >= walk->length)
	{
		sq_error_set(walk->error, ERRCODE_INVALID_TEXT_REPRESENTATION,
					 "invalid JSON: expected %s, but the document ends",
					 expected);
		return SQ_ERROR;
	}
	sq_error_set(walk->error, ERRCODE_INVALID_TEXT_REPRESENTATION,
				 "invalid JSON at byte %u: expected %s", position + 1,
				 expected);
	sq_error_detail(walk->error, "Found \"%.*s\".",
					excerpt_length(walk, position), walk->text + position);
	return SQ_ERROR;
}

/* ---- Reading the list ---- */

/* The next listed position, or the document's end. */
static inline uint32
peek(const Walk *walk)
{
	return walk->next < walk->last ? *walk->next : walk->length;
}

/* The character there; '\0', which is good for nothing in JSON, at the end. */
static inline char
peek_char(const Walk *walk)
{
	return walk->next < walk->last ? walk->text[*walk->next] : '\0';
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* ---- Marking ---- */

/* Forget what stands under a node: its object or array came again. */
static void
forget_children(SqJsonNode *node)
{
	for (uint32 i = 0; node->members != NULL && i <= node->mask; i++)
	{
		if (node->members[i].name == NULL)
			continue;
		node->members[i].node->seen = 0;
		forget_children(node->members[i].node);
	}
	for (int i = 0; i < node->nelements; i++)
	{
		node->elements[i].node->seen = 0;
		forget_children(node->elements[i].node);
	}
}

/* A value stands at a node. The last of duplicate keys wins. */
static inline void
mark(Walk *walk, SqJsonNode *node, char kind, uint32 start)
{
	if (node->seen == walk->tree->document)
		forget_children(node);
	node->seen = walk->tree->document;
	node->kind = kind;
	node->start = start;
	node->escaped = false;
}

/* ---- Scalars ---- */

/* A string whose opening quote is at start; finds its closing quote, and
 * checks its escapes. */
static inline SqStatus
walk_string(Walk *walk, uint32 start, uint32 *close, bool *escaped)
{
	const char *inside = walk->text + start + 1;
	uint32 end = peek(walk) - 1;

	while (is_blank(walk->text[end]))
		end--;
	/* Stage 1 promises both. */
	if (unlikely(end <= start || walk->text[end] != '"'))
		return fail(walk, start, "a terminated string");
	*close = end;
	*escaped = false;
	if (likely(!walk->escapes))
		return SQ_OK;
	*escaped = memchr(inside, '\\', end - start - 1) != NULL;
	if (!*escaped)
		return SQ_OK;
	return sq_format_json_check_string(inside, end - start - 1, start + 1,
									   walk->error);
}

static SqStatus
walk_string_value(Walk *walk, SqJsonNode *node, uint32 start)
{
	uint32 close = 0;
	bool escaped;

	if (walk_string(walk, start, &close, &escaped) != SQ_OK)
		return SQ_ERROR;
	if (node != NULL)
	{
		mark(walk, node, '"', start + 1);
		node->length = close - start - 1;
		node->escaped = escaped;
	}
	return SQ_OK;
}

static inline const char *
skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Where a JSON number ends, or NULL if there is none. */
static inline const char *
number_end(const char *p, const char *end)
{
	const char *start;

	p += *p == '-';
	start = p;
	p = skip_digits(p, end);
	if (p == start || (*start == '0' && p > start + 1))
		return NULL;
	if (p < end && *p == '.')
	{
		start = ++p;
		p = skip_digits(p, end);
		if (p == start)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		start = p;
		p = skip_digits(p, end);
		if (p == start)
			return NULL;
	}
	return p;
}

static inline const char *
literal_end(const char *p, const char *end)
{
	if (end - p >= 4 &&
		(memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0))
		return p + 4;
	if (end - p >= 5 && memcmp(p, "false", 5) == 0)
		return p + 5;
	return NULL;
}

static inline bool
is_number(char first)
{
	return first == '-' || (first >= '0' && first <= '9');
}

uint32
sq_format_json_bare(const char *input, const char *end)
{
	const char *stop =
		is_number(*input) ? number_end(input, end) : literal_end(input, end);
	const char *p = stop;

	if (unlikely(stop == NULL))
		return 0;
	while (p < end && is_blank(*p))
		p++;
	return p < end ? 0 : (uint32) (stop - input);
}

/* A number or literal, and nothing behind it up to the next listed position. */
static inline SqStatus
walk_bare_value(Walk *walk, SqJsonNode *node, uint32 start)
{
	const char *input = walk->text + start;
	uint32 length = sq_format_json_bare(input, walk->text + peek(walk));

	if (unlikely(length == 0))
		return fail(walk, start,
					is_number(*input) ? "a JSON number" : "a JSON value");
	if (node != NULL)
	{
		mark(walk, node, is_number(*input) ? '0' : *input, start);
		node->length = length;
	}
	return SQ_OK;
}

/* ---- Arrays and objects ---- */

static SqStatus
open_frame(Walk *walk, SqJsonNode *node, uint32 start)
{
	SqJsonTree *tree = walk->tree;
	char kind = walk->text[start];

	if (unlikely(walk->depth == tree->capacity))
	{
		if (walk->depth >= SQ_JSON_MAX_DEPTH)
		{
			sq_error_set(walk->error, ERRCODE_STATEMENT_TOO_COMPLEX,
						 "JSON is nested too deeply");
			sq_error_detail(walk->error,
							"Arrays and objects may be nested up to %d deep.",
							SQ_JSON_MAX_DEPTH);
			return SQ_ERROR;
		}
		tree->capacity = Min(tree->capacity * 2, SQ_JSON_MAX_DEPTH);
		tree->frames =
			repalloc(tree->frames, tree->capacity * sizeof(SqJsonFrame));
	}
	tree->frames[walk->depth++] =
		(SqJsonFrame){.node = node,
					  .start = start,
					  .closer = kind == '{' ? '}' : ']',
					  .position = -1};
	if (node != NULL)
		mark(walk, node, kind, start);
	return SQ_OK;
}

/* The innermost frame's closing bracket is at a position. */
static inline void
close_frame(Walk *walk, uint32 position)
{
	SqJsonFrame *frame = &walk->tree->frames[--walk->depth];

	if (frame->node != NULL)
		frame->node->length = position + 1 - frame->start;
}

/* A member's name and colon; *node becomes the place of its value. */
static inline SqStatus
walk_name(Walk *walk, const SqJsonFrame *frame, SqJsonNode **node)
{
	uint32 start = peek(walk);
	SqSlice name;
	uint32 close = 0;
	bool escaped;

	if (unlikely(peek_char(walk) != '"'))
		return fail(walk, start, "a string as member name");
	walk->next++;
	if (walk_string(walk, start, &close, &escaped) != SQ_OK)
		return SQ_ERROR;
	if (unlikely(peek_char(walk) != ':'))
		return fail(walk, peek(walk), "\":\" after a member name");
	walk->next++;
	*node = NULL;
	if (frame->node == NULL)
		return SQ_OK;
	name = (SqSlice){walk->text + start + 1, close - start - 1};
	if (unlikely(escaped))
		name = sq_format_json_unescape(name.data, name.length, walk->arena);
	*node = sq_format_json_member(frame->node, name.data, name.length);
	return SQ_OK;
}

/* The place of an array's next element. */
static inline SqJsonNode *
next_element(SqJsonFrame *frame)
{
	const SqJsonNode *node = frame->node;

	frame->position++;
	if (node == NULL || frame->cursor == node->nelements ||
		node->elements[frame->cursor].index != frame->position)
		return NULL;
	return node->elements[frame->cursor++].node;
}

/* Up to the next value in the innermost frame. */
static inline SqStatus
enter_next(Walk *walk, SqJsonNode **node)
{
	SqJsonFrame *frame = &walk->tree->frames[walk->depth - 1];

	if (frame->closer == '}')
		return walk_name(walk, frame, node);
	*node = next_element(frame);
	return SQ_OK;
}

/* ---- The walk ---- */

/* Behind a value: closing brackets and a comma, up to the next value; SQ_DONE
 * at the end of the outermost one. */
static inline SqStatus
walk_on(Walk *walk, SqJsonNode **node)
{
	while (walk->depth > 0)
	{
		char closer = walk->tree->frames[walk->depth - 1].closer;
		char c = peek_char(walk);

		if (c == ',')
		{
			walk->next++;
			return enter_next(walk, node);
		}
		if (c != closer)
			return fail(walk, peek(walk),
						closer == '}' ? "\",\" or \"}\"" : "\",\" or \"]\"");
		close_frame(walk, peek(walk));
		walk->next++;
	}
	return SQ_DONE;
}

/* The value that comes next, up to the one after it. */
static inline SqStatus
walk_value(Walk *walk, SqJsonNode **node)
{
	uint32 start = peek(walk);
	char c = peek_char(walk);
	SqStatus status;

	if (unlikely(start == walk->length))
		return fail(walk, start, "a JSON value");
	walk->next++;
	if (c == '"')
		status = walk_string_value(walk, *node, start);
	else if (c != '{' && c != '[')
		status = walk_bare_value(walk, *node, start);
	else
	{
		status = open_frame(walk, *node, start);
		/* An empty one is closed by walk_on. */
		if (status == SQ_OK &&
			peek_char(walk) != walk->tree->frames[walk->depth - 1].closer)
			return enter_next(walk, node);
	}
	return status == SQ_OK ? walk_on(walk, node) : status;
}

SqStatus
sq_format_json_walk(SqJsonTree *tree, SqSlice document,
					const SqSimdjsonIndex *index, SqArena *arena,
					SqError *error)
{
	Walk walk = {
		.text = document.data,
		.length = (uint32) document.length,
		.next = index->positions,
		.last = index->positions + index->count,
		.escapes = memchr(document.data, '\\', document.length) != NULL,
		.tree = tree,
		.arena = arena,
		.error = error,
	};
	SqJsonNode *node = tree->root;
	SqStatus status;

	tree->document++;
	do
		status = walk_value(&walk, &node);
	while (status == SQ_OK);
	if (status == SQ_DONE && walk.next < walk.last)
		return fail(&walk, *walk.next, "the end of the document");
	return status == SQ_DONE ? SQ_OK : status;
}
