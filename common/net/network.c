/* network.c - lists of networks
 * SPDX-License-Identifier: MIT */
#include "common/net/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"

#define V4_BITS 96	/* before those of a v4 address in v6 form */
#define EXPECTED "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address"

static const unsigned char v4_form[12] = { [10] = 0xff, [11] = 0xff };

static void unify(const struct host_address *address, unsigned char octets[16])
{
	if (address->any.sa_family == AF_INET6) {
		memcpy(octets, &address->v6.sin6_addr, 16);
		return;
	}
	memcpy(octets, v4_form, sizeof(v4_form));
	memcpy(octets + sizeof(v4_form), &address->v4.sin_addr, 4);
}

static bool is_v4(const unsigned char octets[16])
{
	return memcmp(octets, v4_form, sizeof(v4_form)) == 0;
}

static bool same_start(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	return memcmp(a, b, bits / 8) == 0 && (!rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0);
}

/* Clears what is behind the prefix; true if that was clear. */
static bool cut(struct network *network)
{
	struct network whole = *network;

	for (unsigned bit = network->bits; bit < 128; bit++)
		network->octets[bit / 8] &= (unsigned char)~(0x80u >> bit % 8);
	return memcmp(network->octets, whole.octets, sizeof(whole.octets)) == 0;
}

static char *network_text(const struct network *network, bool v4)
{
	char text[INET6_ADDRSTRLEN] = "";

	inet_ntop(v4 ? AF_INET : AF_INET6, network->octets + (v4 ? sizeof(v4_form) : 0), text, sizeof(text));
	return xasprintf("%s/%u", text, network->bits - (v4 ? V4_BITS : 0));
}

bool network_parse(struct network *network, const char *text, char **why)
{
	const char *slash = strchr(text, '/');
	char *ip = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
	struct host_address address;
	bool good = *ip != '[' && host_address_parse(&address, ip), v4;
	uint64_t bits = 0;

	free(ip);
	if (!good) {
		*why = xstrdup(EXPECTED);
		return false;
	}
	unify(&address, network->octets);
	v4 = address.any.sa_family == AF_INET;
	if (slash && !parse_u64(slash + 1, strlen(slash + 1), v4 ? 32 : 128, &bits)) {
		*why = xasprintf("expected a number of bits from 0 to %d behind the /", v4 ? 32 : 128);
		return false;
	}
	network->bits = !slash ? 128 : (unsigned)bits + (v4 ? V4_BITS : 0);
	/* Two notations of one thing; what is wider than ::ffff:0:0/96 has no v4 address in it. */
	v4 = is_v4(network->octets) && network->bits >= V4_BITS;
	if (!cut(network)) {
		char *meant = network_text(network, v4);

		*why = xasprintf("has bits behind its prefix: expected %s, or a longer prefix", meant);
		free(meant);
		return false;
	}
	return true;
}

/* ---- lists */

static void check_one(const struct config_node *node, const char *text, struct config_errors *errors)
{
	struct network network;
	char *why = NULL;

	if (network_parse(&network, text, &why))
		return;
	if (text_has_prefix(why, "has "))
		config_error_at_value(errors, node, "%s %s", text, why);
	else
		config_error_at_value(errors, node, "%s, not \"%s\"", why, text);
	free(why);
}

void networks_check(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct strings *texts = field;

	for (size_t i = 0; i < texts->count; i++)
		check_one(node->kind == CONFIG_LIST ? node->items[i] : node, texts->items[i], errors);
}

void networks_init(struct networks *networks, const struct strings *texts)
{
	*networks = (struct networks){ .items = xcalloc(texts->count + 1, sizeof(*networks->items)) };
	for (size_t i = 0; i < texts->count; i++) {
		char *why = NULL;

		if (!network_parse(&networks->items[networks->count++], texts->items[i], &why))
			BUG("a network that was not checked: %s", why);
	}
}

void networks_release(struct networks *networks)
{
	free(networks->items);
	*networks = (struct networks){ 0 };
}

bool networks_have_address(const struct networks *networks, const struct host_address *address)
{
	unsigned char octets[16];
	bool v4;

	if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
		return false;
	unify(address, octets);
	v4 = is_v4(octets);
	for (size_t i = 0; i < networks->count; i++) {
		const struct network *network = &networks->items[i];

		if ((!v4 || network->bits >= V4_BITS) && same_start(octets, network->octets, network->bits))
			return true;
	}
	return false;
}

bool networks_have(const struct networks *networks, const char *ip)
{
	struct host_address address;

	return networks->count && ip && host_address_parse(&address, ip) && networks_have_address(networks, &address);
}

/* Of the addresses that anybody may give himself: fc00::/7, fe80::/10. */
static bool is_local_v6(const struct network *network)
{
	return (network->bits >= 7 && (network->octets[0] & 0xfe) == 0xfc)
		|| (network->bits >= 10 && network->octets[0] == 0xfe && (network->octets[1] & 0xc0) == 0x80);
}

bool networks_have_strangers(const struct networks *networks)
{
	for (size_t i = 0; i < networks->count; i++) {
		const struct network *network = &networks->items[i];
		bool v4 = is_v4(network->octets) && network->bits >= V4_BITS;

		if (network->bits < (v4 ? V4_BITS + 8 : 16) && !is_local_v6(network))
			return true;
	}
	return false;
}
