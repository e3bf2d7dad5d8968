/* unit-smtp-newline.c - the line-end rule: every smuggling variant, cut at every octet
 * SPDX-License-Identifier: MIT
 * S6 P15 */
#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/smtp/newline.h"

static void keep(void *arg, const char *data, size_t size)
{
	buffer_append(arg, data, size);
}

struct outcome {
	struct buffer out;
	size_t taken;
	unsigned found;
	bool ended;
};

/* Feeds the whole in pieces of `first`, then `step` octets. */
static struct outcome feed(const char *data, size_t size, bool dots, bool normalize, size_t first, size_t step)
{
	struct outcome o = { 0 };
	struct newline n;
	size_t piece = first;

	newline_init(&n, dots, normalize);
	while (o.taken < size && !n.ended) {
		if (piece > size - o.taken)
			piece = size - o.taken;
		o.taken += newline_feed(&n, data + o.taken, piece, keep, &o.out);
		piece = step;
	}
	if (!dots)
		newline_finish(&n, keep, &o.out);
	o.found = n.found;
	o.ended = n.ended;
	return o;
}

struct variant {
	const char *in;
	const char *rest;	/* what stands behind the end of data; NULL: it does not end */
	const char *out;
	const char *normalized;
	unsigned found;
};
#define CR NEWLINE_BARE_CR
#define LF NEWLINE_BARE_LF

static const struct variant variants[] = {
	{ ".\r\n", "", "", "", 0 },
	{ "a\r\n.\r\nMAIL", "MAIL", "a\r\n", "a\r\n", 0 },
	{ "..\r\n..a\r\n.b\r\n.\r\n", "", ".\r\n.a\r\nb\r\n", ".\r\n.a\r\nb\r\n", 0 },
	{ "a.\r\n.\r\n", "", "a.\r\n", "a.\r\n", 0 },
	{ "\r\n.\r\n", "", "\r\n", "\r\n", 0 },
	/* none of these is an end */
	{ "a\n.\n", NULL, "a\n.\n", "a\r\n.\r\n", LF },
	{ "a\r\n.\n", NULL, "a\r\n\n", "a\r\n\r\n", LF },
	{ "a\n.\r\n", NULL, "a\n.\r\n", "a\r\n.\r\n", LF },
	{ "a\r.\r\n", NULL, "a\r.\r\n", "a\r\n.\r\n", CR },
	{ "a\r\n.\r", NULL, "a\r\n", "a\r\n", 0 },
	{ "a\r\n.\rb", NULL, "a\r\n\rb", "a\r\n\r\nb", CR },
	{ "a\r\n. \r\n", NULL, "a\r\n \r\n", "a\r\n \r\n", 0 },
	{ "a\r\n.\r\r\n", NULL, "a\r\n\r\r\n", "a\r\n\r\n\r\n", CR },
	{ "a\r\n\r.\r\n", NULL, "a\r\n\r.\r\n", "a\r\n\r\n.\r\n", CR },
	{ "a\r\n\n.\r\n", NULL, "a\r\n\n.\r\n", "a\r\n\r\n.\r\n", LF },
	{ "a\r\r\n.\r\n", "", "a\r\r\n", "a\r\n\r\n", CR },
	{ "a\n\r\n.\r\n", "", "a\n\r\n", "a\r\n\r\n", LF },
	{ "a\r.\r", NULL, "a\r.", "a\r\n.", CR },
	{ "a\n.\r", NULL, "a\n.", "a\r\n.", LF },
	{ ".\n\r\n.\r\n", "", "\n\r\n", "\r\n\r\n", LF },
	{ "a\r\n.\r\n.\r\n", ".\r\n", "a\r\n", "a\r\n", 0 },
	{ "a\r\n...\r\n", NULL, "a\r\n..\r\n", "a\r\n..\r\n", 0 },
	{ "\x0b\r\n.\r\n", "", "\x0b\r\n", "\x0b\r\n", 0 },
};

static void check(const struct variant *v, bool normalize, size_t cut, size_t step)
{
	size_t size = strlen(v->in);
	struct outcome o = feed(v->in, size, true, normalize, cut, step);
	const char *wanted = normalize ? v->normalized : v->out;
	bool good = o.ended == (v->rest != NULL) && o.found == v->found
		&& o.taken == size - (v->rest ? strlen(v->rest) : 0)
		&& strcmp(buffer_str(&o.out), wanted) == 0;

	if (!good) {
		ok(false, "cut at %zu, %s: %s", cut, normalize ? "normalize" : "reject", v->in);
		diag("ended %d found %u taken %zu out \"%s\"", o.ended, o.found, o.taken, buffer_str(&o.out));
	}
	buffer_release(&o.out);
}

static void test_variants(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
		for (size_t cut = 1; cut <= strlen(variants[i].in); cut++) {
			for (size_t step = 1; step < 4; step++) {
				check(&variants[i], false, cut, step);
				check(&variants[i], true, cut, step);
			}
		}
		ok(true, "variant %zu at every cut", i);
	}
}

/* The reference: one octet at a time, as the rule is written. */
static void test_against_octets(void)
{
	static const char alphabet[] = "\r\n\r\n..ab\0";
	char data[48];
	unsigned wrong = 0;

	srand(5321);
	for (unsigned round = 0; round < 20000; round++) {
		size_t size = 1 + (size_t)rand() % sizeof(data);
		bool normalize = round & 1;
		struct outcome one, other;

		for (size_t i = 0; i < size; i++)
			data[i] = rand() % 3 ? 'x' : alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
		one = feed(data, size, true, normalize, 1, 1);
		other = feed(data, size, true, normalize, 1 + (size_t)rand() % size, 64);
		wrong += one.taken != other.taken || one.found != other.found || one.ended != other.ended
			|| one.out.size != other.out.size
			|| (one.out.size && memcmp(one.out.data, other.out.data, one.out.size) != 0);
		buffer_release(&one.out);
		buffer_release(&other.out);
	}
	is_int(wrong, 0, "20000 random inputs: whole pieces give what single octets give");
}

static void test_without_dots(void)
{
	struct outcome o = feed("..\r\n.\r\nx\ry\r", 11, false, false, 4, 3);

	is_str(buffer_str(&o.out), "..\r\n.\r\nx\ry\r", "without dots nothing is taken away");
	is_int(o.found, NEWLINE_BARE_CR, "and a bare CR is found, at the end too");
	ok(!o.ended, "and no dot ends it");
	buffer_release(&o.out);
	o = feed("a\0b\r\n", 5, false, true, 5, 5);
	is_mem(o.out.data, o.out.size, "a\0b\r\n", 5, "a NUL stays");
	is_int(o.found, NEWLINE_NUL, "and is found");
	buffer_release(&o.out);
}

int main(void)
{
	test_variants();
	test_against_octets();
	test_without_dots();
	return done_testing();
}
