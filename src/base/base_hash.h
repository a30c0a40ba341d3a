/*
 * base_hash.h
 *		Hashing of bytes and words, for every hash table of ours.
 *
 * Of the kind of wyhash: sixteen bytes a multiplication, both factors made
 * unpredictable by the seed, so that nobody can choose keys that collide.
 * Lookups of many keys at once wait for memory less the fewer instructions are
 * between two of them, and this is a third of hash_bytes_extended.
 */
#ifndef SQ_BASE_HASH_H
#define SQ_BASE_HASH_H

#include "base/base.h"
#include "common/hashfn.h"

static inline uint64
load_8(const char *at)
{
	uint64 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

#ifdef HAVE_INT128

#define SALT UINT64CONST(0x9E3779B97F4A7C15)

static inline uint64
multiply_fold(uint64 a, uint64 b)
{
	uint128 product = (uint128) a * b;

	return (uint64) product ^ (uint64) (product >> 64);
}

static inline uint64
load_4(const char *at)
{
	uint32 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* One to three bytes: the first, the middle and the last. */
static inline uint64
load_few(const char *at, size_t length)
{
	const uint8 *bytes = (const uint8 *) at;

	return bytes[0] | bytes[length / 2] << 8 | bytes[length - 1] << 16;
}

static inline uint64
mix(uint64 seed, uint64 a, uint64 b)
{
	return multiply_fold(a ^ seed, b ^ (seed >> 32 | seed << 32) ^ SALT);
}

static inline uint64
sq_hash_bytes(SqSlice bytes, uint64 seed)
{
	const char *at = bytes.data;
	size_t left = bytes.length;
	uint64 a = 0;
	uint64 b = 0;

	for (; left > 16; left -= 16, at += 16)
		seed = mix(seed, load_8(at), load_8(at + 8));
	if (left >= 8)
	{
		a = load_8(at);
		b = load_8(at + left - 8);
	}
	else if (left >= 4)
	{
		a = load_4(at);
		b = load_4(at + left - 4);
	}
	else if (left > 0)
		a = load_few(at, left);
	return multiply_fold(mix(seed, a, b) ^ SALT, seed ^ bytes.length);
}

#else

static inline uint64
sq_hash_bytes(SqSlice bytes, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) bytes.data,
							   (int) bytes.length, seed);
}

#endif

/* The same of a word; another value than of its bytes. */
static inline uint64
sq_hash_word(int64 word, uint64 seed)
{
#ifdef HAVE_INT128
	return multiply_fold((uint64) word ^ seed,
						 (seed >> 32 | seed << 32) ^ SALT);
#else
	return hash_bytes_extended((const unsigned char *) &word, sizeof(word),
							   seed);
#endif
}

#endif
