/* fuzz-dns-answer.c - answers of the DNS, as anybody may send them
 * SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "common/base/memory.h"
#include "common/net/dns_answer.h"
#include "common/net/hosts.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct host_address found[HOST_ADDRESSES];
	struct hosts *hosts = hosts_new((const char *)data, size);

	hosts_find(hosts, "mail", found);
	hosts_free(hosts);
	read_as(data, size, DNS_A, 4);
	read_as(data, size, DNS_AAAA, 16);
	return 0;
}
