/* dns_answer.h - the records in an answer of the DNS
 * SPDX-License-Identifier: MIT
 * Nothing in a packet is believed: every length and name is checked against its end. */
#ifndef SLIMTA_NET_DNS_ANSWER_H
#define SLIMTA_NET_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_AAAA = 28 };
enum dns_rcode { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };
#define DNS_NAME_SIZE 254	/* of a name as text, with its NUL */

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
/* The name that fills the data of a record from `offset` on, as text in lower case without the dot at its end; "" is
 * the root. What no name of a host has (other than letters, digits, "-" and "_") becomes a "?". False if it is not
 * well-formed: it is cut, too long, ends before the record does, or a pointer in it leads anywhere but back. */
bool dns_answer_name(const unsigned char *packet, size_t size, const struct dns_record *, size_t offset,
	char name[DNS_NAME_SIZE]);
/* Two octets of a record's data, the first of them at `at`, as they stand for a number. */
unsigned dns_get16(const unsigned char *at);

#endif
