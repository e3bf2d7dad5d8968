/* mx.h - the hosts that take mail for a domain, as an answer of the DNS has them
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_MX_H
#define SLIMTA_NET_MX_H

#include <stddef.h>

#define MX_RECORDS 100		/* of one domain; of more, those of the best preference are looked at */

struct mx_record {
	unsigned preference;
	char *name;		/* lower case, without the dot at its end */
};

/* Best preference first, equals shuffled (RFC 5321 5.1), no name twice. All-zero is valid and empty. */
struct mx_records {
	struct mx_record *items;
	size_t count;
};

enum mx_result {
	MX_FOUND,
	MX_NONE,		/* the domain itself is the host */
	MX_NULL,		/* it takes no mail (RFC 7505) */
	MX_UNUSABLE,		/* none names a host: addresses, octets that no name has */
	MX_MALFORMED,
};

/* Reads an answer whose code says that there is no error. Only where it gives MX_FOUND are there records. */
enum mx_result mx_records_read(struct mx_records *, const unsigned char *packet, size_t size);
void mx_records_release(struct mx_records *);

#endif
