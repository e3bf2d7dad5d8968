/* nearest.c - which name did they mean?
 * SPDX-License-Identifier: MIT
 * Optimal string alignment: an insertion, a deletion, a change or a swap of neighbours is one edit each. */
#include <ctype.h>
#include <string.h>

#include "common/base/text.h"

#define NAME_MAX_SIZE 64	/* longer ones are no misspelt key */
#define WORDS_MAX 8

static char folded(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	unsigned rows[3][NAME_MAX_SIZE + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_size; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a_size; i++) {
		unsigned *oldest = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_size; j++) {
			bool same = folded(a[i - 1]) == folded(b[j - 1]);

			row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + !same);
			if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
					folded(a[i - 2]) == folded(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_size];
}

static size_t split_words(const char *name, const char *words[WORDS_MAX], size_t sizes[WORDS_MAX])
{
	size_t count = 0;

	while (count < WORDS_MAX) {
		size_t size = strcspn(name, "_-");

		words[count] = name;
		sizes[count++] = size;
		if (!name[size])
			return count;
		name += size + 1;
	}
	return 0;
}

static bool same_words(const char *a, const char *b)
{
	const char *a_words[WORDS_MAX], *b_words[WORDS_MAX];
	size_t a_sizes[WORDS_MAX], b_sizes[WORDS_MAX];
	size_t count = split_words(a, a_words, a_sizes);
	unsigned taken = 0;

	if (count < 2 || split_words(b, b_words, b_sizes) != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t j = 0;

		while (j < count && (taken & 1u << j || a_sizes[i] != b_sizes[j] ||
				strncasecmp(a_words[i], b_words[j], a_sizes[i])))
			j++;
		if (j == count)
			return false;
		taken |= 1u << j;
	}
	return true;
}

const char *nearest_name(const char *name, const char *const *names, size_t count)
{
	size_t size = strnlen(name, NAME_MAX_SIZE + 1);
	unsigned limit = (unsigned)(size / 3);
	const char *nearest = NULL, *reordered = NULL;

	if (!size || size > NAME_MAX_SIZE)
		return NULL;
	limit = limit < 1 ? 1 : limit > 3 ? 3 : limit;
	for (size_t i = 0; i < count; i++) {
		size_t other_size = strlen(names[i]);
		unsigned edits;

		if (other_size > NAME_MAX_SIZE)
			continue;
		if (!reordered && same_words(name, names[i]))
			reordered = names[i];
		edits = distance(name, size, names[i], other_size);
		if (edits < limit || (edits == limit && !nearest)) {
			limit = edits;
			nearest = names[i];
		}
	}
	return nearest ? nearest : reordered;
}
