/* destinations.c - the domains that most messages are for, in bounded memory
 * SPDX-License-Identifier: MIT
 * Where there is no room for one more domain, it takes the place, and the count, of the rarest ("space saving" by
 * Metwally, Agrawal, El Abbadi): one that is frequent is never lost, and by how much its count may be too great is known. */
#include "queuectl/destinations.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/hash.h"
#include "common/message/address.h"
#include "queuectl/output.h"
#include "queuectl/walk.h"

#define COUNTED 4000

struct destination {
	UT_hash_handle hh;
	char *domain;			/* in small letters; "": an address without one */
	uint64_t messages, too_many;	/* at most, of these */
	uint64_t deferred;
	int64_t oldest_ms;
	size_t last;			/* the number of the message that was counted last */
};

struct counting {
	struct walk walk;
	struct destination *all;
};

static char *domain_of(const char *address)
{
	const char *domain = address_domain(address);
	char *small = xstrdup(domain ? domain : "");

	for (char *at = small; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at |= 0x20;
	return small;
}

static struct destination *rarest(struct destination *all)
{
	struct destination *found = all;

	for (struct destination *one = all; one; one = one->hh.next)
		if (one->messages < found->messages)
			found = one;
	return found;
}

/* Takes the domain. */
static struct destination *destination_add(struct counting *counting, char *domain)
{
	struct destination *one;

	if (HASH_COUNT(counting->all) < COUNTED) {
		one = xcalloc(1, sizeof(*one));
	} else {
		one = rarest(counting->all);
		HASH_DEL(counting->all, one);
		free(one->domain);
		*one = (struct destination){ .messages = one->messages, .too_many = one->messages };
	}
	one->domain = domain;
	HASH_ADD_KEYPTR(hh, counting->all, one->domain, strlen(one->domain), one);
	return one;
}

static void count_recipient(struct counting *counting, const struct list_entry *entry, const char *address)
{
	char *domain = domain_of(address);
	struct destination *one;

	HASH_FIND(hh, counting->all, domain, strlen(domain), one);
	if (one)
		free(domain);
	else
		one = destination_add(counting, domain);
	if (one->last == counting->walk.count + 1)
		return;
	one->last = counting->walk.count + 1;
	one->messages++;
	one->deferred += entry->place == PLACE_DEFERRED;
	if (entry->age_ms > one->oldest_ms)
		one->oldest_ms = entry->age_ms;
}

static void count_each(struct walk *walk, struct queue *queue, const struct list_entry *entry)
{
	(void)queue;
	for (size_t i = 0; i < entry->recipient_count; i++)
		count_recipient((struct counting *)walk, entry, entry->recipients[i].address);
}

static int by_messages(const struct destination *one, const struct destination *other)
{
	if (one->messages != other->messages)
		return one->messages > other->messages ? -1 : 1;
	return strcmp(one->domain, other->domain);
}

static void print_one(const struct operator *operator, const struct destination *one)
{
	char messages[SHORT_SIZE], deferred[SHORT_SIZE], age[SHORT_SIZE];
	struct buffer domain = { 0 };

	if (operator->json) {
		print_json(json_pack("{s:o, s:I, s:I, s:I, s:I}", "destination", json_text(one->domain), "messages",
			(json_int_t)one->messages, "messages_least", (json_int_t)(one->messages - one->too_many),
			"deferred", (json_int_t)one->deferred, "oldest_age_ms", (json_int_t)one->oldest_ms));
		return;
	}
	put_column(&domain, *one->domain ? one->domain : "-", 40);
	printf("%s %s%*s %9s %7s\n", buffer_str(&domain), one->too_many ? "~" : " ", 9,
		grouped_number(messages, one->messages), grouped_number(deferred, one->deferred),
		short_duration(age, one->oldest_ms));
	buffer_release(&domain);
}

static void destinations_free(struct destination *all)
{
	struct destination *one, *next;

	HASH_ITER(hh, all, one, next) {
		HASH_DEL(all, one);
		free(one->domain);
		free(one);
	}
}

void print_destinations(struct operator *operator, const struct arguments *arguments, size_t most)
{
	struct counting counting = { .walk = { .operator = operator, .arguments = arguments, .each = count_each } };
	struct destination *one;

	fflush(stdout);		/* what is there already need not wait */
	walk_messages(&counting.walk);
	HASH_SORT(counting.all, by_messages);
	if (counting.all && !operator->json)
		printf("\n%-40s %10s %9s %7s\n", "DESTINATION", "MESSAGES", "DEFERRED", "OLDEST");
	for (one = counting.all; one && most--; one = one->hh.next)
		print_one(operator, one);
	destinations_free(counting.all);
}
