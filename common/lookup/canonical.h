/* canonical.h - addresses in the one form in which they are compared
 * SPDX-License-Identifier: MIT
 * Local parts are compared exactly, domains as the DNS does (RFC 5321 2.4, 5890). */
#ifndef SLIMTA_LOOKUP_CANONICAL_H
#define SLIMTA_LOOKUP_CANONICAL_H

/* A-labels in lower case, no dot at the end; what is no domain (an address literal): its ASCII letters in lower case. Owned. */
char *canonical_domain(const char *domain);
/* The domain behind the last "@" in that form, the rest as it is. Owned. */
char *canonical_address(const char *address);

#endif
