/* resolver.h - names to addresses, domains to the hosts that take their mail, on the loop
 * SPDX-License-Identifier: MIT
 * Literals, /etc/hosts and localhost are known here; for the rest libunbound asks the servers of process.resolver, or
 * those of /etc/resolv.conf. A cache is part of it. */
#ifndef SLIMTA_NET_RESOLVER_H
#define SLIMTA_NET_RESOLVER_H

#include "common/config/process.h"
#include "common/message/reply.h"
#include "common/net/hosts.h"
#include "common/net/mx.h"

struct event_base;
struct resolver;
struct resolver_query;

/* To be made by the process that uses it, not before a fork. Reads /etc/hosts. NULL (logged) where the servers or,
 * with dnssec, the trust anchor of the root cannot be had. */
struct resolver *resolver_new(struct event_base *, const struct process_resolver *);
/* Below this key, one or more lines of a zone file, answers are believed too; for tests, before the first query. 0 or -1. */
int resolver_add_anchor(struct resolver *, const char *path);
/* Queries under way are dropped: their callbacks do not run. NULL is fine. */
void resolver_free(struct resolver *);

/* `why` NULL: at least one address, borrowed, IPv6 first (of /etc/hosts: in its order). 550 5.1.2: there is none by that name.
 * 451 4.4.3: nobody could say, or not within the time. */
typedef void resolver_addresses_fn(void *arg, const struct reply *why, const struct host_address *, size_t count);

/* Calls back once, from the loop, never inside this call. The query is gone then. */
struct resolver_query *resolver_addresses(struct resolver *, const char *name, resolver_addresses_fn *, void *arg);

/* `why` NULL: the hosts that take the mail of a domain; with a count of 0 it is the domain itself, which has no MX record.
 * 550 5.1.2: there is no such domain, or none of its MX records names a host. 556 5.1.10: it takes no mail (RFC 7505).
 * 451 4.4.3: nobody could say, not within the time, or nothing that can be read. `records` are borrowed. `secure`: DNSSEC
 * proves the records, or that there are none. */
typedef void resolver_mx_fn(void *arg, const struct reply *why, const struct mx_records *records, bool secure);
/* As resolver_addresses(); `domain` as idn_to_ascii() gives it. */
struct resolver_query *resolver_mx(struct resolver *, const char *domain, resolver_mx_fn *, void *arg);

/* `name`, in lower case: one that /etc/hosts, or else the DNS, has for an address, and that leads back to it; NULL where there
 * is none or nobody could say. Borrowed. */
typedef void resolver_host_fn(void *arg, const char *name);
/* At most RESOLVER_HOST_NAMES are tried, all within the time. Calls back once, from the loop, never inside this call, and is
 * gone then. To be cancelled before its resolver is freed. */
struct resolver_host;
struct resolver_host *resolver_host(struct resolver *, const struct host_address *, int64_t timeout_ms, resolver_host_fn *,
	void *arg);
void resolver_host_cancel(struct resolver_host *);	/* its callback does not run; NULL is fine */
#define RESOLVER_HOST_NAMES 5
#define RESOLVER_HOST_ADDRESSES 10	/* of each; more are not looked at */

void resolver_cancel(struct resolver_query *);	/* its callback does not run; NULL is fine */

#endif
