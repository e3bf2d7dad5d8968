/* fuzz-proxy.c - PROXY headers, as anybody who reaches the port may send them
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From memory that ends where the octets do. */
static int read_some(const uint8_t *data, size_t size, struct proxy_header *header)
{
	uint8_t *copy = malloc(size + !size);
	const char *why = NULL;
	int taken;

	memcpy(copy, data, size);
	taken = proxy_header_read(copy, size, header, &why);
	free(copy);
	if (taken > (int)size || taken > PROXY_HEADER_MAX || (taken < 0 && !why) || (taken == 0 && size >= PROXY_HEADER_MAX))
		BUG("%d of %zu octets", taken, size);
	return taken;
}

/* However it comes: it is the same header in the end, and none of its beginnings is one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	int taken = read_some(data, size, &whole), cut;

	if (taken > 0 && whole.of == PROXY_OF_CLIENT && whole.client.any.sa_family != AF_INET &&
			whole.client.any.sa_family != AF_INET6)
		BUG("a client without an address");
	if (size > PROXY_HEADER_MAX + 8)
		size = PROXY_HEADER_MAX + 8;
	for (size_t i = 0; i < size; i++) {
		cut = read_some(data, i, &part);
		if (taken > 0 && cut != (i < (size_t)taken ? 0 : taken))
			BUG("a header of %d octets is one of %d after %zu", taken, cut, i);
		if (taken == 0 && cut != 0)
			BUG("a header not whole was %d after %zu octets", cut, i);
		if (taken < 0 && cut > 0)
			BUG("none, and one of %d octets after %zu", cut, i);
	}
	return 0;
}
