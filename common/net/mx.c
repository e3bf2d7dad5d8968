/* mx.c - the hosts that take mail for a domain, as an answer of the DNS has them
 * SPDX-License-Identifier: MIT */
#include "common/net/mx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/memory.h"
#include "common/net/dns_answer.h"
#include "common/net/hosts.h"

struct candidate {
	unsigned preference;
	uint32_t shuffle;
	const struct dns_record *record;
};

static uint32_t random_number(void)
{
	uint32_t number = 0;

	/* Without it, before the kernel has any, equals are merely not shuffled well. */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
		return (uint32_t)rand();
	return number;
}

static int by_preference(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	if (left->preference != right->preference)
		return left->preference < right->preference ? -1 : 1;
	return (left->shuffle > right->shuffle) - (left->shuffle < right->shuffle);
}

/* An address is no name, also where it is written as one. */
static bool is_host(const char *name)
{
	struct host_address address;

	return *name && !strchr(name, '?') && !host_address_parse(&address, name);
}

static bool is_known(const struct mx_records *records, const char *name)
{
	for (size_t i = 0; i < records->count; i++)
		if (strcmp(records->items[i].name, name) == 0)
			return true;
	return false;
}

static void add(struct mx_records *records, unsigned preference, const char *name)
{
	if (!is_host(name) || is_known(records, name))
		return;
	records->items[records->count].preference = preference;
	records->items[records->count++].name = xstrdup(name);
}

static enum mx_result read_names(struct mx_records *records, const struct candidate *candidates, size_t count,
	const unsigned char *packet, size_t size)
{
	char name[DNS_NAME_SIZE];

	records->items = xcalloc(count, sizeof(*records->items));
	for (size_t i = 0; i < count; i++) {
		if (!dns_answer_name(packet, size, candidates[i].record, 2, name))
			return MX_MALFORMED;
		if (count == 1 && !*name)
			return MX_NULL;
		add(records, candidates[i].preference, name);
	}
	return records->count ? MX_FOUND : MX_UNUSABLE;
}

static enum mx_result read_records(struct mx_records *records, const struct dns_record *raw, size_t count,
	const unsigned char *packet, size_t size)
{
	struct candidate *candidates = xcalloc(count, sizeof(*candidates));
	enum mx_result result;

	for (size_t i = 0; i < count; i++)
		candidates[i] = (struct candidate){ dns_get16(raw[i].data), random_number(), &raw[i] };
	qsort(candidates, count, sizeof(*candidates), by_preference);
	result = read_names(records, candidates, count < MX_RECORDS ? count : MX_RECORDS, packet, size);
	free(candidates);
	return result;
}

enum mx_result mx_records_read(struct mx_records *records, const unsigned char *packet, size_t size)
{
	long count = dns_answer_records(packet, size, DNS_MX, NULL, 0);
	struct dns_record *raw;
	enum mx_result result;

	*records = (struct mx_records){ 0 };
	if (count <= 0)
		return count < 0 ? MX_MALFORMED : MX_NONE;
	raw = xcalloc((size_t)count, sizeof(*raw));
	dns_answer_records(packet, size, DNS_MX, raw, (size_t)count);
	result = read_records(records, raw, (size_t)count, packet, size);
	free(raw);
	if (result != MX_FOUND)
		mx_records_release(records);
	return result;
}

void mx_records_release(struct mx_records *records)
{
	for (size_t i = 0; i < records->count; i++)
		free(records->items[i].name);
	free(records->items);
	*records = (struct mx_records){ 0 };
}
