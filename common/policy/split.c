/* split.c - recipient_split and recipient_domain_split: a copy for each recipient, or for each of their domains
 * SPDX-License-Identifier: MIT
 * A message that has one group of recipients only stays as it is, with its id. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"
#include "common/policy/drivers.h"

static const struct option rows[] = { { 0 } };

/* --- which recipients stay together --- */

struct domain {
	UT_hash_handle hh;
	size_t group;
	char name[];			/* in lower case */
};

static struct domain *find_domain(struct domain **domains, const char *text, size_t new_group)
{
	size_t size = strlen(text) + 1;
	struct domain *domain = xcalloc(1, sizeof(*domain) + size), *known;

	memcpy(domain->name, text, size);
	text_lower(domain->name);
	HASH_FIND_STR(*domains, domain->name, known);
	if (known) {
		free(domain);
		return known;
	}
	domain->group = new_group;
	HASH_ADD_STR(*domains, name, domain);
	return domain;
}

/* The group of each recipient, numbered as they are first seen; gives how many there are. */
static size_t group_by_domain(const struct envelope *envelope, size_t *groups)
{
	struct domain *domains = NULL, *domain, *next;
	size_t count = 0;

	for (size_t i = 0; i < envelope->recipient_count; i++) {
		const char *text = address_domain(envelope->recipients[i].address);

		groups[i] = text ? find_domain(&domains, text, count)->group : count;
		count += groups[i] == count;
	}
	HASH_ITER(hh, domains, domain, next) {
		HASH_DEL(domains, domain);
		free(domain);
	}
	return count;
}

static size_t group_alone(const struct envelope *envelope, size_t *groups)
{
	for (size_t i = 0; i < envelope->recipient_count; i++)
		groups[i] = i;
	return envelope->recipient_count;
}

/* --- copies --- */

static void move_recipient(struct envelope *to, struct recipient *from)
{
	to->recipients = xgrow(to->recipients, to->recipient_count, sizeof(to->recipients[0]));
	to->recipients[to->recipient_count++] = *from;
	*from = (struct recipient){ 0 };
}

static int make_copies(const struct envelope *envelope, size_t count, struct envelope **copies, struct reply *why)
{
	for (size_t i = 0; i < count; i++) {
		copies[i] = envelope_copy(envelope);
		if (copies[i])
			continue;
		log_error("policy", "could not copy a message", LOG_TEXT("id", envelope->id),
			LOG_TEXT("error", strerror(errno)));
		reply_set(why, 451, "4.3.0", "Error queuing message");
		while (i)
			envelope_free(copies[--i]);
		return -1;
	}
	return 0;
}

/* The recipients are moved from hand to hand: copied with each copy, they would take time by their square. */
static int split(struct envelope **in, const size_t *groups, size_t count, struct envelopes *out, struct reply *why)
{
	struct envelope *envelope = *in, **copies = xcalloc(count, sizeof(struct envelope *));
	size_t recipients = envelope->recipient_count;
	int result;

	envelope->recipient_count = 0;
	result = make_copies(envelope, count, copies, why);
	envelope->recipient_count = recipients;
	for (size_t i = 0; result == 0 && i < recipients; i++)
		move_recipient(copies[groups[i]], &envelope->recipients[i]);
	for (size_t i = 0; result == 0 && i < count; i++) {
		log_info("policy", "split", LOG_TEXT("id", copies[i]->id), LOG_TEXT("origin", copies[i]->origin),
			LOG_INT("recipients", copies[i]->recipient_count));
		envelopes_add(out, &copies[i]);
	}
	if (result == 0) {
		envelope_free(envelope);
		*in = NULL;
	}
	free(copies);
	return result;
}

static int apply_by(size_t (*group)(const struct envelope *, size_t *), struct envelope **in, struct envelopes *out,
	struct reply *why)
{
	size_t *groups = xcalloc((*in)->recipient_count + 1, sizeof(*groups)), count = group(*in, groups);
	int result = count > 1 ? split(in, groups, count, out, why) : 0;

	free(groups);
	return result;
}

static int apply_alone(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	(void)policy;
	return apply_by(group_alone, in, out, why);
}

static int apply_by_domain(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	(void)policy;
	return apply_by(group_by_domain, in, out, why);
}

const struct policy_driver policy_recipient_split = {
	.type = "recipient_split",
	.size = sizeof(struct policy),
	.options = rows,
	.apply = apply_alone,
};

const struct policy_driver policy_recipient_domain_split = {
	.type = "recipient_domain_split",
	.size = sizeof(struct policy),
	.options = rows,
	.apply = apply_by_domain,
};
