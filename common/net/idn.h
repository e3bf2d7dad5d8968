/* idn.h - domains as the DNS has them
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_IDN_H
#define SLIMTA_NET_IDN_H

/* The A-labels of a domain (RFC 5890; UTS 46, nontransitional) in lower case, without a dot at its end; owned. ASCII is only
 * put into lower case. NULL: it cannot be a domain, as it is empty, is not UTF-8, has labels or octets that no host has, or is
 * too long. An address literal is none. */
char *idn_to_ascii(const char *domain);

#endif
