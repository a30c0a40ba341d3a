/*
 * format_json.h
 *		What the files of the JSON decoder share: the tree of wanted places
 *		and the walk over a document that finds them.
 */
#ifndef SQ_FORMAT_JSON_H
#define SQ_FORMAT_JSON_H

#include "format/format.h"
#include "format/format_simdjson.h"

/*
 * Deepest nesting of arrays and objects that is read: 512 kB of frames.
 * PostgreSQL's own limit follows from max_stack_depth; with its default it
 * lies between 14,000 and 18,000.
 */
#define SQ_JSON_MAX_DEPTH 16384

typedef struct SqJsonNode SqJsonNode;

/* A name under which an object's node has a child; words of the name are kept
 * beside it so that most comparisons need no call. */
typedef struct SqJsonMember
{
	const char *name; /* NULL: free place of the table */
	size_t length;
	uint64 head;
	uint64 tail;
	SqJsonNode *node;
} SqJsonMember;

typedef struct SqJsonElement
{
	int64 index;
	SqJsonNode *node;
} SqJsonElement;

/*
 * A place in documents that some field's path names or leads through. All
 * paths make one tree, so a document is walked once. The last part says what
 * stands there in the document at hand: nothing unless seen is its number.
 */
struct SqJsonNode
{
	uint64 lengths; /* bit n: a member's name has n (63: or more) bytes */
	uint32 mask;    /* places of the table, a power of two, less one */
	int nmembers;   /* used places */
	SqJsonMember *members; /* a hash table, or NULL */
	int nelements;
	SqJsonElement *elements; /* by index */

	uint64 seen;
	uint32 start;  /* of the value's text; inside the quotes of a string */
	uint32 length; /* in bytes */
	char kind;     /* its first character, a digit as '0' */
	bool escaped;  /* a string that holds a backslash */
};

/* An open array or object. */
typedef struct SqJsonFrame
{
	SqJsonNode *node; /* NULL: nothing in it is wanted */
	uint32 start;
	char closer;
	int cursor;     /* array: first of the node's elements not yet passed */
	int64 position; /* array: index of the element at hand */
} SqJsonFrame;

typedef struct SqJsonTree
{
	SqJsonNode *root;
	uint64 document; /* number of the document at hand, from 1 */
	SqJsonFrame *frames;
	int capacity;
} SqJsonTree;

/* ---- format_json_tree.c ---- */

/* The tree of some fields' paths; nodes[i] is where field i's value stands.
 * Palloc'd, freed by sq_format_json_tree_free. */
extern void sq_format_json_tree_build(SqJsonTree *tree, const SqField *fields,
									  int nfields, SqJsonNode **nodes);
extern void sq_format_json_tree_free(SqJsonTree *tree);
/* A node's child by name, or NULL. */
extern SqJsonNode *sq_format_json_member(const SqJsonNode *node,
										 const char *name, size_t length);

/* ---- format_json_walk.c ---- */

/* Check a document whole by PostgreSQL's rules and mark in the tree what
 * stands at its nodes. Unescaped member names go to the arena. */
extern SqStatus sq_format_json_walk(SqJsonTree *tree, SqSlice document,
									const SqSimdjsonIndex *index,
									SqArena *arena, SqError *error);

/* The length of the number or literal that begins here, if there is nothing
 * but blanks between it and the end; else 0. */
extern uint32 sq_format_json_bare(const char *input, const char *end);

/* ---- format_json_shape.c ---- */

/* What documents of one decoder look like. */
typedef struct SqJsonShape SqJsonShape;

/* A shape that no document has yet, for so many fields. Palloc'd. */
extern SqJsonShape *sq_format_json_shape_create(int nfields);
extern void sq_format_json_shape_free(SqJsonShape *shape);
/* Does the document have the shape? Then it is good, and what stands at the
 * fields' nodes is marked, as by sq_format_json_walk. */
extern bool sq_format_json_shape_fit(SqJsonShape *shape, SqJsonTree *tree,
									 SqJsonNode *const *nodes, SqSlice document,
									 const SqSimdjsonIndex *index);
/* Take the shape of a document that was walked and found good. */
extern void sq_format_json_shape_learn(SqJsonShape *shape,
									   const SqJsonTree *tree,
									   SqJsonNode *const *nodes,
									   SqSlice document,
									   const SqSimdjsonIndex *index);

/* ---- format_json_string.c ---- */

/* Check the escapes of a string's inside, which is at that offset of the
 * document. */
extern SqStatus sq_format_json_check_string(const char *input, size_t length,
											size_t offset, SqError *error);

/* Unescape what was checked, into the arena. */
extern SqSlice sq_format_json_unescape(const char *input, size_t length,
									   SqArena *arena);

#endif
