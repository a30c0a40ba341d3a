/*
 * format_json_shape.c
 *		Documents that look like the one before.
 *
 * A topic's documents mostly have the same members in the same order. Of one
 * that was walked and found good, the shape is kept: its listed characters, and
 * the names among them. A document whose listed characters are the same ones,
 * with the same names, has the same grammar; what is left to be checked are its
 * numbers and literals. Any scalar may stand where a scalar stood. Whatever
 * differs is walked, so a shape decides nothing but how fast it goes.
 *
 * Documents with a backslash have no shape: their strings must be looked into.
 *
 * Memory: two arrays, palloc'd once. Locks: none.
 */
#include "format/format_json.h"

#include "port/pg_bitutils.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Larger documents gain little. */
#define MAX_ITEMS 512
#define MAX_NAMES 4096
/* One document that is different is no reason to forget the shape. After many
 * it is learned only now and then: learning costs as much as it spares. */
#define MIN_MISSES 2
#define MAX_MISSES 8
#define RETRY_MASK 0x3FF

/* What the items of a shape are: a member with a scalar, up to what is behind
 * it; another name, as of an array; another scalar; a character itself. */
#define MEMBER 'm'
#define NAME   'n'
#define SCALAR 's'
/* Listed of a member: name, colon, value, comma or bracket. */
#define MEMBER_LISTED 4

typedef struct SqShapeItem
{
	char kind;
	char closer;   /* MEMBER: what is behind it */
	uint16 length; /* of the name with its closing quote */
	uint16 name;   /* where it is in names */
	uint64 head;   /* its first eight bytes, what is not its own as zeros */
	uint64 mask;   /* ... which bits are */
	uint64 tail;   /* its last eight bytes, of 9 to 16 */
} SqShapeItem;

struct SqJsonShape
{
	uint32 listed; /* characters; 0: there is no shape */
	uint32 nitems;
	SqShapeItem items[MAX_ITEMS];
	char names[MAX_NAMES];
	uint32 nnames;
	int nfields;
	int *values; /* by field: which listed character its value is, -1: none */
	int misses;  /* since one fitted */
	uint32 documents;
};

SqJsonShape *
sq_format_json_shape_create(int nfields)
{
	SqJsonShape *shape = palloc0(sizeof(SqJsonShape));

	shape->nfields = nfields;
	shape->values = palloc(Max(nfields, 1) * sizeof(int));
	return shape;
}

void
sq_format_json_shape_free(SqJsonShape *shape)
{
	pfree(shape->values);
	pfree(shape);
}

/* ---- Fitting ---- */

static inline uint64
word_at(const char *at)
{
	uint64 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Is the name here, its opening quote before it? */
static inline bool
has_name(const SqJsonShape *shape, const SqShapeItem *item, const char *at,
		 const char *end)
{
	const char *name = shape->names + item->name;

	if (unlikely(end - at < Max(item->length, (ptrdiff_t) sizeof(uint64)) + 1))
		return end - at > item->length && *at == '"' &&
			   memcmp(at + 1, name, item->length) == 0;
	if (*at++ != '"' || ((word_at(at) ^ item->head) & item->mask) != 0)
		return false;
	if (item->length <= sizeof(uint64))
		return true;
	if (likely(item->length <= 2 * sizeof(uint64)))
		return word_at(at + item->length - sizeof(uint64)) == item->tail;
	return memcmp(at, name, item->length) == 0;
}

#ifdef __SSE2__

/* Which of the 16 bytes before next are digits; the last is bit 15. */
static inline uint32
digits_before(const char *next)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *) (next - 16));
	__m128i values = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
	__m128i digits =
		_mm_cmpeq_epi8(_mm_min_epu8(values, _mm_set1_epi8(9)), values);

	return (uint32) _mm_movemask_epi8(digits);
}

/* Is it a number of up to 16 characters without an exponent? */
static inline bool
is_short_number(const char *at, uint32 length)
{
	uint32 all = (1U << length) - 1;
	uint32 others = ~(digits_before(at + length) >> (16 - length)) & all;
	uint32 whole = *at == '-'; /* where its digits begin */
	uint32 point;

	others &= ~whole;
	point = others != 0 ? (uint32) pg_rightmost_one_pos32(others) : length;
	if ((others & (others - 1)) != 0 ||
		(others != 0 && (at[point] != '.' || point == length - 1)))
		return false;
	return point > whole && (at[whole] != '0' || point == whole + 1);
}

#else
#define is_short_number(at, length) false
#endif

/* Is there a scalar, and nothing but blanks behind it? */
static inline bool
is_scalar(const char *at, const char *next, const char *begin)
{
	if (*at == '"')
		return true;
	if (next - at <= 16 && next - begin >= 16 &&
		is_short_number(at, (uint32) (next - at)))
		return true;
	return sq_format_json_bare(at, next) != 0;
}

static inline bool
is_member(const SqJsonShape *shape, const SqShapeItem *item,
		  const SqSlice *document, const uint32 *positions)
{
	const char *data = document->data;
	const char *end = data + document->length;

	return has_name(shape, item, data + positions[0], end) &&
		   data[positions[1]] == ':' && data[positions[3]] == item->closer &&
		   is_scalar(data + positions[2], data + positions[3], data);
}

static bool
fits(const SqJsonShape *shape, SqSlice document, const uint32 *positions)
{
	const char *end = document.data + document.length;
	const uint32 *last = positions + shape->listed;

	for (uint32 i = 0; i < shape->nitems; i++)
	{
		const SqShapeItem *item = &shape->items[i];
		const char *at = document.data + *positions;

		if (likely(item->kind == MEMBER))
		{
			if (!is_member(shape, item, &document, positions))
				return false;
			positions += MEMBER_LISTED;
			continue;
		}
		positions++;
		if (item->kind == NAME)
		{
			if (!has_name(shape, item, at, end))
				return false;
		}
		else if (item->kind == SCALAR)
		{
			if (!is_scalar(at,
						   positions < last ? document.data + *positions : end,
						   document.data))
				return false;
		}
		else if (*at != item->kind)
			return false;
	}
	return true;
}

/* Mark the value of a field. */
static void
mark(SqJsonNode *node, uint64 number, const char *data, uint32 start,
	 uint32 next)
{
	const char *at = data + start;

	node->seen = number;
	node->escaped = false;
	if (*at != '"')
	{
		node->kind = *at == '-' || (*at >= '0' && *at <= '9') ? '0' : *at;
		node->start = start;
		node->length = data[next - 1] <= ' '
						   ? sq_format_json_bare(at, data + next)
						   : next - start;
		return;
	}
	/* a string ends at the last quote before what is listed next */
	while (data[--next] != '"')
		;
	node->kind = '"';
	node->start = start + 1;
	node->length = next - node->start;
}

bool
sq_format_json_shape_fit(SqJsonShape *shape, SqJsonTree *tree,
						 SqJsonNode *const *nodes, SqSlice document,
						 const SqSimdjsonIndex *index)
{
	shape->documents++;
	if (shape->listed == 0 || index->count != shape->listed ||
		memchr(document.data, '\\', document.length) != NULL ||
		!fits(shape, document, index->positions))
	{
		shape->misses++;
		return false;
	}
	shape->misses = 0;
	tree->document++;
	tree->root->kind = '{';
	for (int f = 0; f < shape->nfields; f++)
	{
		int at = shape->values[f];

		if (at < 0)
			continue;
		mark(nodes[f], tree->document, document.data, index->positions[at],
			 index->positions[at + 1]);
	}
	return true;
}

/* ---- Learning ---- */

static char
char_at(SqSlice document, const SqSimdjsonIndex *index, uint32 i)
{
	return i < index->count ? document.data[index->positions[i]] : '\0';
}

static bool
is_scalar_start(char c)
{
	return c != '\0' && strchr("{}[]:,", c) == NULL;
}

/* Take a name between its quotes; colon is where that stands. */
static bool
add_name(SqJsonShape *shape, SqShapeItem *item, const char *at,
		 const char *colon)
{
	size_t length;

	while (*--colon != '"')
		;
	length = colon - at;
	if (length > MAX_NAMES - shape->nnames)
		return false;
	item->length = (uint16) length;
	item->name = (uint16) shape->nnames;
	memcpy(shape->names + shape->nnames, at + 1, length);
	memcpy(&item->head, at + 1, Min(length, sizeof(item->head)));
	memset(&item->mask, 0xFF, Min(length, sizeof(item->mask)));
	if (length > sizeof(item->tail))
		item->tail = word_at(at + 1 + length - sizeof(item->tail));
	shape->nnames += length;
	return true;
}

/* Add what is listed from here on; how many characters it took, 0: there is no
 * room. */
static uint32
add_item(SqJsonShape *shape, SqSlice document, const SqSimdjsonIndex *index,
		 uint32 i)
{
	const char *at = document.data + index->positions[i];
	SqShapeItem *item = &shape->items[shape->nitems++];
	char closer = char_at(document, index, i + 3);

	*item = (SqShapeItem){.kind = *at, .closer = closer};
	if (*at == '"' && char_at(document, index, i + 1) == ':')
	{
		bool member = is_scalar_start(char_at(document, index, i + 2)) &&
					  (closer == ',' || closer == '}');

		item->kind = member ? MEMBER : NAME;
		if (!add_name(shape, item, at, document.data + index->positions[i + 1]))
			return 0;
		return member ? MEMBER_LISTED : 1;
	}
	if (is_scalar_start(*at))
		item->kind = SCALAR;
	return 1;
}

/* Which listed character a field's value is; -1: it has none; -2: it is no
 * scalar. */
static int
find_value(const SqJsonTree *tree, const SqJsonNode *node,
		   const SqSimdjsonIndex *index)
{
	uint32 start = node->kind == '"' ? node->start - 1 : node->start;

	if (node->seen != tree->document)
		return -1;
	if (node->kind == '{' || node->kind == '[')
		return -2;
	for (uint32 i = 0; i < index->count; i++)
		if (index->positions[i] == start)
			return (int) i;
	return -2;
}

static bool
is_worth_learning(const SqJsonShape *shape)
{
	if (shape->misses > MAX_MISSES)
		return (shape->documents & RETRY_MASK) == 0;
	return shape->listed == 0 || shape->misses >= MIN_MISSES;
}

void
sq_format_json_shape_learn(SqJsonShape *shape, const SqJsonTree *tree,
						   SqJsonNode *const *nodes, SqSlice document,
						   const SqSimdjsonIndex *index)
{
	uint32 taken = 0;
	uint32 i = 0;

	if (!is_worth_learning(shape))
		return;
	shape->listed = shape->nitems = shape->nnames = 0;
	if (tree->root->kind != '{' || index->count > MAX_ITEMS ||
		memchr(document.data, '\\', document.length) != NULL)
		return;
	for (int f = 0; f < shape->nfields; f++)
	{
		shape->values[f] = find_value(tree, nodes[f], index);
		if (shape->values[f] == -2)
			return;
	}
	while (i < index->count &&
		   (taken = add_item(shape, document, index, i)) > 0)
		i += taken;
	if (i == index->count)
		shape->listed = index->count;
}
