/* fuzz-dns-answer.c - answers of the DNS, as anybody may send them
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/dns_answer.h"
#include "common/net/hosts.h"
#include "common/net/idn.h"
#include "common/net/mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const uint8_t *data, size_t size, enum dns_type type, size_t wanted)
{
	struct dns_record records[4];
	long count = dns_answer_records(data, size, type, records, 4);

	for (long i = 0; i < count && i < 4; i++) {
		if (records[i].size != wanted || records[i].data < data || records[i].data + wanted > data + size)
			BUG("a record outside of its packet");
	}
}

static void read_names(const uint8_t *data, size_t size)
{
	struct dns_record records[4];
	long count = dns_answer_records(data, size, DNS_PTR, records, 4);
	char name[DNS_NAME_SIZE];

	for (long i = 0; i < count && i < 4; i++) {
		if (dns_answer_name(data, size, &records[i], 0, name) && strlen(name) >= DNS_NAME_SIZE)
			BUG("a name too long");
	}
}

static void read_mx(const uint8_t *data, size_t size)
{
	struct mx_records records;
	enum mx_result result = mx_records_read(&records, data, size);

	if (records.count > MX_RECORDS || (records.count > 0) != (result == MX_FOUND))
		BUG("%zu records where the result is %u", records.count, result);
	for (size_t i = 0; i < records.count; i++) {
		char *name = idn_to_ascii(records.items[i].name);

		if (i && records.items[i].preference < records.items[i - 1].preference)
			BUG("not in order");
		if (strchr(records.items[i].name, '?') || strlen(records.items[i].name) >= DNS_NAME_SIZE)
			BUG("no name of a host");
		free(name);
	}
	mx_records_release(&records);
}

static void read_domain(const uint8_t *data, size_t size)
{
	char *text = xstrndup((const char *)data, size), *name = idn_to_ascii(text), *again;

	again = name ? idn_to_ascii(name) : NULL;
	if (name && (!again || strcmp(name, again) != 0))
		BUG("a domain that is none");
	free(text);
	free(name);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_address found[HOST_ADDRESSES];
	struct hosts *hosts = hosts_new((const char *)data, size);

	hosts_find(hosts, "mail", found);
	hosts_free(hosts);
	read_as(data, size, DNS_A, 4);
	read_as(data, size, DNS_AAAA, 16);
	read_names(data, size);
	read_mx(data, size);
	read_domain(data, size);
	return 0;
}
