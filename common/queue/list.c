/* list.c - what list() shows of a message, and of which
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/queue/storage.h"

static const char *const place_names[] = {
	[PLACE_NEW] = "new", [PLACE_DEFERRED] = "deferred", [PLACE_LEASED] = "leased", [PLACE_HELD] = "held",
};

const char *place_name(enum message_place place)
{
	return place_names[place];
}

bool place_find(const char *name, enum message_place *place)
{
	size_t index = name_index(name, place_names, ARRAY_SIZE(place_names));

	if (index == ARRAY_SIZE(place_names))
		return false;
	*place = (enum message_place)index;
	return true;
}

int64_t message_accepted_ms(const char *id, const struct envelope *envelope)
{
	return envelope && id_is_derived(id) ? envelope->timestamp_ms : id_wall_ms(id);
}

void list_entry_describe(struct list_entry *entry, const char *id, const struct envelope *envelope,
	const struct message_state *state)
{
	memcpy(entry->id, id, ID_SIZE);
	entry->age_ms = clock_wall_ms() - message_accepted_ms(id, envelope);
	entry->sender = envelope ? envelope->sender : "";
	if (envelope) {
		memcpy(entry->origin, envelope->origin, ID_SIZE);
		entry->recipients = envelope->recipients;
		entry->recipient_count = envelope->recipient_count;
	}
	entry->attempts = state->attempts;
	entry->held = state->held;
	entry->waits = state->waits;
	entry->done = state->done.count ? &state->done : NULL;
	entry->last = state->last_count ? &state->last[state->last_count - 1].reply : NULL;
}

/* ---- filters */

static unsigned char lower(char octet)
{
	return (unsigned char)(octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet);
}

/* A "*" stands for any octets, also none. From `text + fold` on the letters of ASCII match without case. */
static bool glob_matches(const char *pattern, const char *text, size_t fold)
{
	const char *star = NULL, *tried = NULL, *at = text;

	while (*at) {
		bool folds = (size_t)(at - text) >= fold;

		if (*pattern == '*') {
			star = pattern++;
			tried = at;
		} else if (folds ? lower(*pattern) == lower(*at) : *pattern == *at) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star + 1;
			at = ++tried;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

/* The local part's case belongs to who has the mailbox (RFC 5321 2.4). */
static bool address_matches(const char *pattern, const char *address)
{
	const char *domain = address_domain(address);

	return glob_matches(pattern, address, domain ? (size_t)(domain - address) : strlen(address));
}

static bool recipient_matches(const struct list_filter *filter, const char *address)
{
	const char *domain = address_domain(address);

	return (!filter->recipient || address_matches(filter->recipient, address)) &&
		(!filter->domain || (domain && glob_matches(filter->domain, domain, 0)));
}

static bool addresses_match(const struct list_filter *filter, const struct list_entry *entry)
{
	if (filter->sender && (!entry->recipient_count || !address_matches(filter->sender, entry->sender)))
		return false;
	for (size_t i = 0; i < entry->recipient_count; i++)
		if (recipient_matches(filter, entry->recipients[i].address))
			return true;
	return !filter->recipient && !filter->domain;
}

static bool reply_matches(const char *pattern, const struct reply *reply)
{
	struct buffer text = { 0 };
	bool matches;

	if (!reply || reply_is_none(reply))
		return false;
	reply_append(reply, &text);
	matches = glob_matches(pattern, buffer_str(&text), 0);
	buffer_release(&text);
	return matches;
}

bool list_filter_matches(const struct list_filter *filter, const struct list_entry *entry)
{
	return !filter || ((!filter->id || strcmp(filter->id, entry->id) == 0) &&
		(!filter->places || filter->places & PLACE_BIT(entry->place)) &&
		(!filter->older_ms || entry->age_ms >= filter->older_ms) &&
		(!filter->younger_ms || entry->age_ms <= filter->younger_ms) &&
		entry->attempts >= filter->attempts_least &&
		(!filter->attempts_below || entry->attempts < filter->attempts_below) &&
		addresses_match(filter, entry) &&
		(!filter->reply || reply_matches(filter->reply, entry->last)));
}
