/* newline.c - the one rule for line ends
 * SPDX-License-Identifier: MIT */
#include "common/smtp/newline.h"

#include <string.h>

/* Between two feeds. A dot, and a CR, are withheld until it is known what they are. */
enum { LINE_START, TEXT, AFTER_CR, AFTER_DOT, AFTER_DOT_CR };

void newline_init(struct newline *n, bool dots, bool normalize)
{
	*n = (struct newline){ .dots = dots, .normalize = normalize, .state = LINE_START };
}

typedef unsigned char octets16 __attribute__((vector_size(16)));

static inline bool is_special(char c)
{
	return c == '\r' || c == '\n' || c == '\0';
}

/* Where the first octet that is not 0 stands in memory. */
static unsigned first_of(const unsigned long long halves[2])
{
	unsigned half = halves[0] ? 0 : 1;
	unsigned long long bits = halves[half];
	bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

	return half * 8 + (unsigned)(little ? __builtin_ctzll(bits) : __builtin_clzll(bits)) / 8;
}

/* The first CR, LF or NUL, or `end`. Sixteen octets a step: control characters other than these are
 * rare in mail, so one comparison finds the steps that need a closer look. */
static const char *find_special(const char *at, const char *end)
{
	static const octets16 beyond = { 14, 14, 14, 14, 14, 14, 14, 14,
		14, 14, 14, 14, 14, 14, 14, 14 };

	while (end - at >= 16) {
		octets16 octets, low;
		unsigned long long halves[2];

		memcpy(&octets, at, sizeof(octets));
		low = (octets16)(octets < beyond);
		memcpy(halves, &low, sizeof(halves));
		if (!(halves[0] | halves[1])) {
			at += 16;
			continue;
		}
		at += first_of(halves);
		if (is_special(*at))
			return at;
		at++;
	}
	while (at < end && !is_special(*at))
		at++;
	return at;
}

static inline void emit(const char *from, const char *to, newline_sink_fn *sink, void *arg)
{
	if (to > from)
		sink(arg, from, (size_t)(to - from));
}

/* A CR that was withheld, and is not followed by LF. */
static void release_bare_cr(struct newline *n, newline_sink_fn *sink, void *arg)
{
	n->found |= NEWLINE_BARE_CR;
	sink(arg, "\r\n", n->normalize ? 2 : 1);
}

/* One octet, or none, in any state but TEXT; the next octet to look at. */
static const char *feed_state(struct newline *n, const char *at, newline_sink_fn *sink, void *arg)
{
	switch (n->state) {
	case LINE_START:
		n->state = n->dots && *at == '.' ? AFTER_DOT : TEXT;
		return n->state == AFTER_DOT ? at + 1 : at;
	case AFTER_DOT:
		/* Whatever follows, the first dot is not data. */
		n->state = *at == '\r' ? AFTER_DOT_CR : TEXT;
		return n->state == AFTER_DOT_CR ? at + 1 : at;
	case AFTER_DOT_CR:
		if (*at == '\n') {
			n->ended = true;
			return at + 1;
		}
		break;
	default:
		if (*at == '\n') {
			sink(arg, "\r\n", 2);
			n->state = LINE_START;
			return at + 1;
		}
	}
	release_bare_cr(n, sink, arg);
	n->state = TEXT;
	return at;
}

/* Within lines, as far as one run of octets goes; the next octet to look at. */
static const char *feed_text(struct newline *n, const char *at, const char *end,
	newline_sink_fn *sink, void *arg)
{
	const char *run = at;

	for (;;) {
		at = find_special(at, end);
		if (at == end)
			break;
		if (*at == '\r' && at + 1 == end) {
			n->state = AFTER_CR;
			emit(run, at, sink, arg);
			return end;
		}
		if (*at == '\r' && at[1] == '\n') {
			at += 2;
			if (at < end && !(n->dots && *at == '.'))
				continue;
			n->state = LINE_START;
			break;
		}
		n->found |= *at == '\r' ? NEWLINE_BARE_CR :
			*at == '\n' ? NEWLINE_BARE_LF : NEWLINE_NUL;
		if (*at && n->normalize) {
			emit(run, at, sink, arg);
			sink(arg, "\r\n", 2);
			run = at + 1;
		}
		at++;
	}
	emit(run, at, sink, arg);
	return at;
}

size_t newline_feed(struct newline *n, const char *data, size_t size, newline_sink_fn *sink,
	void *arg)
{
	const char *at = data, *end = data + size;

	while (at < end && !n->ended) {
		if (n->state == TEXT)
			at = feed_text(n, at, end, sink, arg);
		else
			at = feed_state(n, at, sink, arg);
	}
	return (size_t)(at - data);
}

void newline_finish(struct newline *n, newline_sink_fn *sink, void *arg)
{
	if (n->state == AFTER_CR)
		release_bare_cr(n, sink, arg);
	n->state = TEXT;
}
