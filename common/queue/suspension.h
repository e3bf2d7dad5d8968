/* suspension.h - destinations to which nothing is delivered for a while: settings of a queue's storage
 * SPDX-License-Identifier: MIT
 * A setting each: key "suspend:DOMAIN", value {"by": USER, "since": ms, "reason": text}, and its expiry. A value that is
 * not understood suspends all the same. */
#ifndef SLIMTA_QUEUE_SUSPENSION_H
#define SLIMTA_QUEUE_SUSPENSION_H

#include "common/queue/storage.h"

struct suspension {
	char *domain;			/* lower case; "example.net" alone, ".example.net" all names below it */
	char *by, *reason;		/* NULL: not known, none */
	int64_t since_ms;		/* wall clock; 0: not known */
	int64_t until_boot_ms;		/* INT64_MAX: until it is resumed */
	unsigned group;			/* for put_aside() */
};
struct suspensions {
	struct suspension *items;	/* in the order of domains */
	size_t count;
};

/* What an operator calls a destination, as it stands in settings: "Example.NET" and "example.net." are example.net,
 * "*.example.net" is ".example.net"; an address literal in its brackets. Owned; NULL: it is none. */
char *suspension_domain(const char *text);
char *suspension_key(const char *domain);
char *suspension_value(const char *by, int64_t since_ms, const char *reason);

/* Those among settings; `*into` holds nothing yet. */
void suspensions_read(struct suspensions *into, const struct setting *, size_t count);
/* For the domain of an address, whose case does not matter: itself, or the nearest name above it for which all below are;
 * NULL: none that has not ended. */
const struct suspension *suspensions_find(const struct suspensions *, const char *address);
/* By its domain as it stands there; NULL: there is none. */
const struct suspension *suspensions_get(const struct suspensions *, const char *domain);
void suspensions_release(struct suspensions *);

#endif
