/* fill.c - fills a disk queue by the storage's contract, for tests: fill FOLDER NEW LATER
 * SPDX-License-Identifier: MIT
 * NEW messages that are due, then LATER ones due in an hour, into FOLDER/env and FOLDER/meta. */
#include <stdio.h>
#include <stdlib.h>

#include "t/lib/storage.h"

#define AT_ONCE 100

static unsigned fill(struct place *place, size_t left, int64_t delay_ms)
{
	struct envelope *items[AT_ONCE];
	unsigned code = 0;

	while (left && !code) {
		size_t count = left < AT_ONCE ? left : AT_ONCE;

		for (size_t i = 0; i < count; i++)
			items[i] = message("fill@example.org", "Subject: one of many\r\n\r\nbody\r\n");
		code = do_write(place, items, count, delay_ms);
		for (size_t i = 0; i < count; i++)
			envelope_free(items[i]);
		left -= count;
	}
	return code;
}

int main(int argc, char **argv)
{
	struct place place;
	unsigned code = 1;

	if (argc != 4 || strlen(argv[1]) >= sizeof(scratch))
		return 2;
	snprintf(scratch, sizeof(scratch), "%s", argv[1]);
	if (place_open(&place, STORAGE_FOR_EDGE, "type: disk, envelope_dir: @/env, meta_dir: @/meta, allow_volatile: true")) {
		code = fill(&place, strtoul(argv[2], NULL, 10), 0);
		if (!code)
			code = fill(&place, strtoul(argv[3], NULL, 10), 3600000);
	}
	place_close(&place);
	return code ? 1 : 0;
}
