/* myself.c - the names and addresses by which this host is known to others
 * SPDX-License-Identifier: MIT */
#include "worker/myself.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/net/idn.h"

#define READ_AGAIN_MS 60000
#define ADDRESSES_MAX 1000
#define SMTP_PORT 25

void myself_add_name(struct myself *self, const char *name)
{
	char *ascii = idn_to_ascii(name);

	if (ascii && !strings_contain(&self->names, ascii))
		strings_add(&self->names, ascii);
	free(ascii);
}

void myself_release(struct myself *self)
{
	strings_release(&self->names);
	free(self->addresses);
	*self = (struct myself){ 0 };
}

bool myself_is_name(const struct myself *self, const char *name)
{
	return strings_contain(&self->names, name) || strcmp(name, "localhost") == 0 || text_has_suffix(name, ".localhost");
}

/* The octets of an IPv4 address, also of one within IPv6; NULL: it is none. */
static const unsigned char *v4_of(const struct host_address *address)
{
	if (address->any.sa_family == AF_INET)
		return (const unsigned char *)&address->v4.sin_addr;
	return IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) ? &address->v6.sin6_addr.s6_addr[12] : NULL;
}

static bool is_loopback(const struct host_address *address)
{
	const unsigned char *v4 = v4_of(address);

	return v4 ? v4[0] == 127 : IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

/* To connect to it is to connect to this host. */
static bool is_unspecified(const struct host_address *address)
{
	const unsigned char *v4 = v4_of(address);

	return v4 ? v4[0] == 0 : IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr);
}

static bool is_same(const struct host_address *a, const struct host_address *b)
{
	const unsigned char *left = v4_of(a), *right = v4_of(b);

	if (!left != !right)
		return false;
	return left ? memcmp(left, right, 4) == 0 : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

static void take(struct myself *self, const struct sockaddr *from)
{
	struct host_address address;

	if (!from || self->count == ADDRESSES_MAX)
		return;
	if (from->sa_family == AF_INET)
		host_address_v4(&address, &((const struct sockaddr_in *)(const void *)from)->sin_addr);
	else if (from->sa_family == AF_INET6)
		host_address_v6(&address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr);
	else
		return;
	if (!is_loopback(&address))
		self->addresses[self->count++] = address;
}

static void read_addresses(struct myself *self)
{
	int64_t now_ms = clock_boot_ms();
	struct ifaddrs *all;

	if (self->read_at_ms && now_ms < self->read_at_ms + READ_AGAIN_MS)
		return;
	self->read_at_ms = now_ms;
	if (getifaddrs(&all) < 0)
		return;
	if (!self->addresses)
		self->addresses = xcalloc(ADDRESSES_MAX, sizeof(*self->addresses));
	self->count = 0;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		take(self, one->ifa_addr);
	freeifaddrs(all);
}

bool myself_is_address(struct myself *self, const struct host_address *address, unsigned port)
{
	if (is_unspecified(address))
		return true;
	if (is_loopback(address))
		return port == SMTP_PORT;
	read_addresses(self);
	for (size_t i = 0; i < self->count; i++)
		if (is_same(&self->addresses[i], address))
			return true;
	return false;
}
