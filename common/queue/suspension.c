/* suspension.c - destinations to which nothing is delivered for a while
 * SPDX-License-Identifier: MIT */
#include "common/queue/suspension.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fnv.h"
#include "common/base/memory.h"
#include "common/base/text.h"
#include "common/message/address.h"

#define PREFIX "suspend:"

/* Of a recipient, as SMTP takes it. */
static bool is_domain(const char *text, size_t size)
{
	char *address = xasprintf("x@%.*s", (int)size, text);
	bool good = address_is_mailbox(address, ADDRESS_FORWARD_PATH, true);

	free(address);
	return good;
}

char *suspension_domain(const char *text)
{
	size_t below = text_has_prefix(text, "*.") ? 2 : text_has_prefix(text, ".") ? 1 : 0, size = strlen(text + below);
	char *domain;

	if (size > 1 && text[below + size - 1] == '.')
		size--;
	if (!is_domain(text + below, size) || (below && text[below] == '['))
		return NULL;
	domain = xasprintf("%s%.*s", below ? "." : "", (int)size, text + below);
	text_lower(domain);
	return domain;
}

char *suspension_key(const char *domain)
{
	return xasprintf(PREFIX "%s", domain);
}

char *suspension_value(const char *by, int64_t since_ms, const char *reason)
{
	json_t *value = json_pack("{s:s?, s:I, s:s*}", "by", by, "since", (json_int_t)since_ms, "reason", reason);
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	json_decref(value);
	return text;
}

/* Any number that is the same in all processes; two that share one are recalled together. */
static unsigned group_of(const char *domain)
{
	return fnv1a(domain, strlen(domain)) % ASIDE_GROUPS + 1;
}

static char *copy_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && *text ? xstrdup(text) : NULL;
}

static void read_one(struct suspension *suspension, const struct setting *setting)
{
	json_t *value = json_loads(setting->value, 0, NULL);
	int64_t now_ms = clock_boot_ms();

	suspension->by = copy_text(json_object_get(value, "by"));
	suspension->reason = copy_text(json_object_get(value, "reason"));
	suspension->since_ms = json_integer_value(json_object_get(value, "since"));
	suspension->until_boot_ms = setting->expires_in_ms < INT64_MAX - now_ms ? now_ms + setting->expires_in_ms : INT64_MAX;
	suspension->group = group_of(suspension->domain);
	json_decref(value);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct suspension *)a)->domain, ((const struct suspension *)b)->domain);
}

void suspensions_read(struct suspensions *into, const struct setting *settings, size_t count)
{
	*into = (struct suspensions){ .items = xcalloc(count + 1, sizeof(*into->items)) };
	for (size_t i = 0; i < count; i++) {
		char *domain;

		if (!text_has_prefix(settings[i].key, PREFIX))
			continue;
		domain = suspension_domain(settings[i].key + strlen(PREFIX));
		if (!domain)
			continue;
		into->items[into->count].domain = domain;
		read_one(&into->items[into->count++], &settings[i]);
	}
	qsort(into->items, into->count, sizeof(*into->items), compare);
}

const struct suspension *suspensions_get(const struct suspensions *all, const char *domain)
{
	const struct suspension wanted = { .domain = (char *)domain };

	return all->count ? bsearch(&wanted, all->items, all->count, sizeof(wanted), compare) : NULL;
}

static const struct suspension *get_current(const struct suspensions *all, const char *domain)
{
	const struct suspension *found = suspensions_get(all, domain);

	return found && found->until_boot_ms > clock_boot_ms() ? found : NULL;
}

const struct suspension *suspensions_find(const struct suspensions *all, const char *address)
{
	const struct suspension *found = NULL;
	const char *at = all->count ? address_domain(address) : NULL;
	char *domain = at ? xstrdup(at) : NULL;

	if (domain) {
		text_lower(domain);
		found = get_current(all, domain);
	}
	if (domain && *domain != '[')
		for (at = strchr(domain, '.'); at && !found; at = strchr(at + 1, '.'))
			found = get_current(all, at);
	free(domain);
	return found;
}

void suspensions_release(struct suspensions *all)
{
	for (size_t i = 0; i < all->count; i++) {
		free(all->items[i].domain);
		free(all->items[i].by);
		free(all->items[i].reason);
	}
	free(all->items);
	*all = (struct suspensions){ 0 };
}
