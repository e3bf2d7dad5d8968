/* hosts.h - what is known of names without asking: /etc/hosts, localhost, address literals
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_HOSTS_H
#define SLIMTA_NET_HOSTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* An address, its port 0. */
struct host_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};
#define HOST_ADDRESSES 32	/* of one name; more are not looked at */

void host_address_v4(struct host_address *, const void *octets);	/* 4 */
void host_address_v6(struct host_address *, const void *octets);	/* 16 */
socklen_t host_address_size(const struct host_address *);
#define HOST_ADDRESS_TEXT_SIZE 46	/* INET6_ADDRSTRLEN */
/* "192.0.2.1", "2001:db8::1"; returns `out`. */
const char *host_address_text(const struct host_address *, char out[HOST_ADDRESS_TEXT_SIZE]);
/* 192.0.2.1, 2001:db8::1, [192.0.2.1], [IPv6:2001:db8::1], [2001:db8::1]. */
bool host_address_parse(struct host_address *, const char *text);

struct hosts;
/* From the text of a hosts(5) file; lines that are none are passed over. */
struct hosts *hosts_new(const char *text, size_t size);
void hosts_free(struct hosts *);		/* NULL is fine */
/* Addresses of the name, of any case and with or without a dot at its end: their number, 0 if it is not known here.
 * `localhost` and what ends in `.localhost` always is (RFC 6761 6.3). */
size_t hosts_find(const struct hosts *, const char *name, struct host_address found[HOST_ADDRESSES]);
/* The name of an address, the first of its first line, in lower case; NULL if there is none. */
const char *hosts_name(const struct hosts *, const struct host_address *);

#endif
