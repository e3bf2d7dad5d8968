/* address.h - mailboxes and paths of RFC 5321 4.1.2 and RFC 6531
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_MESSAGE_ADDRESS_H
#define SLIMTA_MESSAGE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_MAX_LOCAL 64		/* octets, RFC 5321 4.5.3.1.1 */
#define ADDRESS_MAX_DOMAIN 255
#define ADDRESS_MAX_PATH 256

enum address_kind { ADDRESS_REVERSE_PATH, ADDRESS_FORWARD_PATH };

/* Reads a path "<...>" at text[0..size). Takes quoted local parts, address literals and source routes (which
 * are dropped, RFC 5321 appendix C); "<>" for a reverse-path; "<Postmaster>" without domain for a
 * forward-path; "_" in domains, as hosts have it; non-ASCII only with `utf8`, and then valid UTF-8. Returns
 * the octets taken, up to and with ">", and the mailbox in *address (owned, "" for the null path); or -1
 * with *why (a constant text of what was expected). */
long address_parse_path(const char *text, size_t size, enum address_kind kind, bool utf8, char **address,
	const char **why);

/* Whether "<address>" is such a path and all of it the mailbox: what may stand in a command or a field. */
bool address_is_mailbox(const char *address, enum address_kind kind, bool utf8);
/* The text after the last "@", NULL if there is none; borrowed. */
const char *address_domain(const char *address);
bool address_is_ascii(const char *address);
bool address_is_postmaster(const char *address);	/* "postmaster" alone, any case */
/* A Domain or address literal as EHLO takes it: ASCII alone (RFC 5321 4.1.1.1, 6531 3.7.1). */
bool address_is_ehlo_name(const char *text, size_t size);

#endif
