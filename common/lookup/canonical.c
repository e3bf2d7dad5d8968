/* canonical.c - addresses in the one form in which they are compared
 * SPDX-License-Identifier: MIT */
#include "common/lookup/canonical.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/net/idn.h"

char *canonical_domain(const char *domain)
{
	char *canonical = idn_to_ascii(domain);

	if (!canonical) {
		canonical = xstrdup(domain);
		text_lower(canonical);
	}
	return canonical;
}

char *canonical_address(const char *address)
{
	const char *domain = address_domain(address);
	char *canonical, *whole;

	if (!domain)
		return xstrdup(address);
	canonical = canonical_domain(domain);
	whole = xasprintf("%.*s%s", (int)(domain - address), address, canonical);
	free(canonical);
	return whole;
}
