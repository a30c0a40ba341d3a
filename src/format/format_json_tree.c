/*
 * format_json_tree.c
 *		The tree of places in a document that fields ask for, and looking up
 *		a member in it.
 *
 * Objects have few or hundreds of wanted members among few or hundreds of
 * others, so members are in a hash table keyed by length and by the first and
 * last bytes of the name, and a bitmap of lengths turns most others away.
 *
 * Memory: palloc'd, freed with the tree. Locks: none.
 */
#include "format/format_json.h"

/* ---- Names as words ---- */

/* The first and the last bytes of a name, which together are all of it up to
 * 16 bytes. */
static inline void
name_words(const char *name, size_t length, uint64 *head, uint64 *tail)
{
	*head = *tail = 0;
	if (length >= 8)
	{
		memcpy(head, name, 8);
		memcpy(tail, name + length - 8, 8);
	}
	else if (length >= 4)
	{
		memcpy(head, name, 4);
		memcpy(tail, name + length - 4, 4);
	}
	else if (length > 0)
		*head = (uint64) (unsigned char) name[0] |
				(uint64) (unsigned char) name[length / 2] << 8 |
				(uint64) (unsigned char) name[length - 1] << 16;
}

static inline uint32
name_hash(size_t length, uint64 head, uint64 tail)
{
	uint64 hash = (head ^ length) * UINT64CONST(0x9E3779B97F4A7C15);

	hash ^= hash >> 32;
	hash = (hash ^ tail) * UINT64CONST(0xD6E8FEB86659FD93);
	return (uint32) (hash >> 32);
}

static inline uint64
length_bit(size_t length)
{
	return UINT64CONST(1) << Min(length, 63);
}

/* The place of a name in a node's table: its own or a free one. */
static inline SqJsonMember *
find_place(const SqJsonNode *node, const char *name, size_t length)
{
	uint64 head;
	uint64 tail;
	uint32 place;

	name_words(name, length, &head, &tail);
	place = name_hash(length, head, tail);
	for (;; place++)
	{
		SqJsonMember *member = &node->members[place & node->mask];

		if (member->name == NULL)
			return member;
		if (member->head == head && member->tail == tail &&
			member->length == length &&
			(length <= 16 || memcmp(member->name, name, length) == 0))
			return member;
	}
}

SqJsonNode *
sq_format_json_member(const SqJsonNode *node, const char *name, size_t length)
{
	if (!(node->lengths & length_bit(length)))
		return NULL;
	return find_place(node, name, length)->node;
}

/* ---- Building ---- */

static void
resize_table(SqJsonNode *node, uint32 nplaces)
{
	SqJsonMember *old = node->members;
	uint32 nold = old != NULL ? node->mask + 1 : 0;

	node->members = palloc0(nplaces * sizeof(SqJsonMember));
	node->mask = nplaces - 1;
	for (uint32 i = 0; i < nold; i++)
	{
		if (old[i].name != NULL)
			*find_place(node, old[i].name, old[i].length) = old[i];
	}
	if (old != NULL)
		pfree(old);
}

/* A node's child by name, made if it is not there. */
static SqJsonNode *
add_member(SqJsonNode *node, const char *name, size_t length)
{
	SqJsonMember *member;
	char *copy;

	if (node->members == NULL || (uint32) node->nmembers * 2 > node->mask)
		resize_table(node, node->members == NULL ? 8 : (node->mask + 1) * 2);
	member = find_place(node, name, length);
	if (member->name == NULL)
	{
		copy = palloc(length + 1);
		memcpy(copy, name, length);
		member->name = copy;
		member->length = length;
		name_words(name, length, &member->head, &member->tail);
		member->node = palloc0(sizeof(SqJsonNode));
		node->nmembers++;
		node->lengths |= length_bit(length);
	}
	return member->node;
}

/* A node's child by index, made if it is not there. */
static SqJsonNode *
add_element(SqJsonNode *node, int64 index)
{
	int i = 0;

	while (i < node->nelements && node->elements[i].index < index)
		i++;
	if (i < node->nelements && node->elements[i].index == index)
		return node->elements[i].node;
	if (node->elements == NULL)
		node->elements = palloc(sizeof(SqJsonElement));
	else
		node->elements = repalloc(node->elements, (node->nelements + 1) *
													  sizeof(SqJsonElement));
	memmove(&node->elements[i + 1], &node->elements[i],
			(node->nelements - i) * sizeof(SqJsonElement));
	node->elements[i].index = index;
	node->elements[i].node = palloc0(sizeof(SqJsonNode));
	node->nelements++;
	return node->elements[i].node;
}

static SqJsonNode *
add_path(SqJsonNode *node, const SqPath *path)
{
	for (int i = 0; i < path->nsteps; i++)
	{
		const SqPathStep *step = &path->steps[i];

		if (step->member != NULL)
			node = add_member(node, step->member, step->member_length);
		else
			node = add_element(node, step->index);
	}
	return node;
}

void
sq_format_json_tree_build(SqJsonTree *tree, const SqField *fields, int nfields,
						  SqJsonNode **nodes)
{
	tree->root = palloc0(sizeof(SqJsonNode));
	tree->document = 0;
	tree->capacity = 16;
	tree->frames = palloc(tree->capacity * sizeof(SqJsonFrame));
	for (int i = 0; i < nfields; i++)
		nodes[i] = add_path(tree->root, &fields[i].path);
}

/* ---- Freeing ---- */

static void
free_node(SqJsonNode *node)
{
	for (uint32 i = 0; node->members != NULL && i <= node->mask; i++)
	{
		if (node->members[i].name == NULL)
			continue;
		free_node(node->members[i].node);
		pfree((char *) node->members[i].name);
	}
	for (int i = 0; i < node->nelements; i++)
		free_node(node->elements[i].node);
	if (node->members != NULL)
		pfree(node->members);
	if (node->elements != NULL)
		pfree(node->elements);
	pfree(node);
}

void
sq_format_json_tree_free(SqJsonTree *tree)
{
	free_node(tree->root);
	pfree(tree->frames);
}
