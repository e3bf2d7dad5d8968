/* fuzz-address.c - paths of MAIL and RCPT, names of EHLO
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken holds nothing that could end a line or a path, and is taken again as it is. */
static void parse(const char *text, size_t size, enum address_kind kind, bool utf8)
{
	char *address = NULL, *path, *again = NULL;
	const char *why = NULL;
	long taken = address_parse_path(text, size, kind, utf8, &address, &why);

	if (taken < 0) {
		if (address || !why)
			BUG("refused without a reason");
		return;
	}
	if ((size_t)taken > size || text[taken - 1] != '>')
		BUG("taken beyond the end");
	if (strlen(address) + 2 > ADDRESS_MAX_PATH || !utf8_is_valid(address, strlen(address)) ||
			strpbrk(address, "\r\n\x7f") || (!utf8 && !address_is_ascii(address)))
		BUG("what cannot be in an address is");
	path = xasprintf("<%s>", address);
	if (address_parse_path(path, strlen(path), kind, utf8, &again, &why) != (long)strlen(path) ||
			strcmp(again, address) || !address_is_mailbox(address, kind, utf8))
		BUG("not taken again: %s", path);
	free(address);
	free(again);
	free(path);
}

/* Text of any kind is a mailbox where it makes a path, and no more than one. */
static void ask(const char *text, size_t size)
{
	char *whole = xstrndup(text, size), *path = xasprintf("<%s>", whole), *address = NULL;
	const char *why;
	long taken = address_parse_path(path, strlen(path), ADDRESS_FORWARD_PATH, true, &address, &why);
	bool same = taken == (long)strlen(path) && strcmp(address, whole) == 0;

	if (address_is_mailbox(whole, ADDRESS_FORWARD_PATH, true) != same)
		BUG("a mailbox or not: %s", whole);
	free(address);
	free(path);
	free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	ask(text, size);
	for (int i = 0; i < 4; i++)
		parse(text, size, i & 1 ? ADDRESS_FORWARD_PATH : ADDRESS_REVERSE_PATH, i & 2);
	if (address_is_ehlo_name(text, size) && (!utf8_is_valid(text, size) || memchr(text, ' ', size)))
		BUG("no name for EHLO");
	return 0;
}
