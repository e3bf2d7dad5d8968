/* dns_answer.h - the records in an answer of the DNS
 * SPDX-License-Identifier: MIT
 * Nothing in a packet is believed: every length and name is checked against its end. */
#ifndef SLIMTA_NET_DNS_ANSWER_H
#define SLIMTA_NET_DNS_ANSWER_H

#include <stddef.h>

enum dns_type { DNS_A = 1, DNS_AAAA = 28 };
enum dns_rcode { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };

/* The data of a record, within the packet. */
struct dns_record {
	const unsigned char *data;
	size_t size;
};

/* The code of the answer (RFC 1035 4.1.1), -1 for what is no answer. */
int dns_answer_rcode(const unsigned char *packet, size_t size);
/* The records of that type and of class IN in the answer section: their number, of which the first `max` stand in
 * `records`; -1 if the packet is not well-formed as far as its answer section. */
long dns_answer_records(const unsigned char *packet, size_t size, enum dns_type, struct dns_record *records, size_t max);

#endif
