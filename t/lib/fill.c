/* fill.c - fills a queue by the storage's contract, for tests: fill FOLDER|SECTION NEW LATER [domains]
 * SPDX-License-Identifier: MIT
 * NEW messages that are due, then LATER ones due in an hour, into FOLDER/env and FOLDER/meta, or by SECTION ("type: ...").
 * With a fourth word each second message goes to a domain of its own, the others to big.example. */
#include <stdio.h>
#include <stdlib.h>

#include "t/lib/storage.h"

#define AT_ONCE 100

static bool many_domains;
static unsigned made;

static struct envelope *one_of_many(void)
{
	struct envelope *envelope;

	if (!many_domains)
		return message("fill@example.org", "Subject: one of many\r\n\r\nbody\r\n");
	envelope = envelope_new();
	envelope->sender = xstrdup("fill@example.org");
	for (unsigned i = 0; i < 2; i++) {
		char *address = made % 2 ? xasprintf("x%u@d%u.example", i, made) :
			xasprintf("x%u@%s.example", i, i ? "BIG" : "big");

		envelope_add_recipient(envelope, address);
		free(address);
	}
	made++;
	content_finish(&envelope->content);
	return envelope;
}

static unsigned fill(struct place *place, size_t left, int64_t delay_ms)
{
	struct envelope *items[AT_ONCE];
	unsigned code = 0;

	while (left && !code) {
		size_t count = left < AT_ONCE ? left : AT_ONCE;

		for (size_t i = 0; i < count; i++)
			items[i] = one_of_many();
		code = do_write(place, items, count, delay_ms);
		for (size_t i = 0; i < count; i++)
			envelope_free(items[i]);
		left -= count;
	}
	return code;
}

int main(int argc, char **argv)
{
	const char *section = "type: disk, envelope_dir: @/env, meta_dir: @/meta, allow_volatile: true";
	struct place place;
	unsigned code = 1;
	bool by_section = argc > 1 && strncmp(argv[1], "type: ", 6) == 0;

	many_domains = argc == 5;
	if (argc < 4 || argc > 5 || (!by_section && strlen(argv[1]) >= sizeof(scratch)))
		return 2;
	if (by_section) {
		section = argv[1];
		scratch_make();
	} else
		snprintf(scratch, sizeof(scratch), "%s", argv[1]);
	if (place_open(&place, STORAGE_FOR_EDGE, section)) {
		code = fill(&place, strtoul(argv[2], NULL, 10), 0);
		if (!code)
			code = fill(&place, strtoul(argv[3], NULL, 10), 3600000);
	}
	place_close(&place);
	if (by_section)
		scratch_remove();
	return code ? 1 : 0;
}
