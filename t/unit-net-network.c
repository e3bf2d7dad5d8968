/* unit-net-network.c - networks: what is read, what is refused, what is in them
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "common/net/network.h"

static const char *refused(const char *text)
{
	static char *why;
	struct network network;

	free(why);
	why = NULL;
	return network_parse(&network, text, &why) ? "(taken)" : why;
}

static void reading(void)
{
	static const char *const cases[][2] = {
		{ "192.0.2.0/24", "(taken)" }, { "192.0.2.1", "(taken)" }, { "0.0.0.0/0", "(taken)" }, { "::/0", "(taken)" },
		{ "2001:db8::/32", "(taken)" }, { "::ffff:192.0.2.0/120", "(taken)" }, { "::ffff:0:0/96", "(taken)" },
		{ "192.0.2.1/24", "has bits behind its prefix: expected 192.0.2.0/24, or a longer prefix" },
		{ "192.0.2.1/0", "has bits behind its prefix: expected 0.0.0.0/0, or a longer prefix" },
		{ "2001:db8::1/33", "has bits behind its prefix: expected 2001:db8::/33, or a longer prefix" },
		{ "::ffff:192.0.2.1/120", "has bits behind its prefix: expected 192.0.2.0/24, or a longer prefix" },
		{ "192.0.2.0/33", "expected a number of bits from 0 to 32 behind the /" },
		{ "192.0.2.0/", "expected a number of bits from 0 to 32 behind the /" },
		{ "192.0.2.0/-1", "expected a number of bits from 0 to 32 behind the /" },
		{ "192.0.2.0/255.255.255.0", "expected a number of bits from 0 to 32 behind the /" },
		{ "::1/129", "expected a number of bits from 0 to 128 behind the /" },
		{ "192.0.2", "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address" },
		{ "[::1]", "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address" },
		{ "", "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address" },
		{ "localhost", "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address" },
		{ " 192.0.2.1", "expected a network as 192.0.2.0/24, 2001:db8::/32, or an address" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		is_str(refused(cases[i][0]), cases[i][1], cases[i][0]);
}

static void having(void)
{
	static const struct {
		const char *network, *ip;
		bool in;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", true }, { "192.0.2.0/24", "192.0.2.255", true },
		{ "192.0.2.0/24", "192.0.3.0", false }, { "192.0.2.0/24", "192.0.1.255", false },
		{ "192.0.2.8/29", "192.0.2.15", true }, { "192.0.2.8/29", "192.0.2.16", false },
		{ "192.0.2.1", "192.0.2.1", true }, { "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.0/24", "::ffff:192.0.2.7", true }, { "::ffff:192.0.2.0/120", "192.0.2.7", true },
		{ "0.0.0.0/0", "203.0.113.9", true }, { "0.0.0.0/0", "::ffff:203.0.113.9", true },
		{ "0.0.0.0/0", "2001:db8::1", false }, { "0.0.0.0/0", "::1", false },
		{ "::/0", "2001:db8::1", true }, { "::/0", "203.0.113.9", false }, { "::/1", "::1", true },
		{ "2001:db8::/33", "2001:db8:7fff::1", true }, { "2001:db8::/33", "2001:db8:8000::1", false },
		{ "::1", "::1", true }, { "::1", "127.0.0.1", false },
		{ "0.0.0.0/0", "unix", false }, { "::/0", "unknown", false }, { "::/0", NULL, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct strings texts = { 0 };
		struct networks networks;

		strings_add(&texts, "198.51.100.0/24");
		strings_add(&texts, cases[i].network);
		networks_init(&networks, &texts);
		ok(networks_have(&networks, cases[i].ip) == cases[i].in, "%s %s %s", cases[i].network,
			cases[i].in ? "has" : "has not", cases[i].ip ? cases[i].ip : "NULL");
		ok(!networks_have_address(&networks, &(struct host_address){ 0 }), "no address is in none");
		networks_release(&networks);
		strings_release(&texts);
	}
	ok(!networks_have(&(struct networks){ 0 }, "192.0.2.1"), "an empty list has nothing");
}

static void strangers(void)
{
	static const struct {
		const char *network;
		bool wide;
	} cases[] = {
		{ "0.0.0.0/0", true }, { "128.0.0.0/1", true }, { "::/0", true }, { "2000::/3", true }, { "::ffff:0:0/96", true },
		{ "2001::/16", false }, { "10.0.0.0/8", false }, { "fc00::/7", false }, { "fe80::/10", false },
		{ "f000::/4", true }, { "fc00::/6", true }, { "fe80::/9", true }, { "192.0.2.1", false }, { "::1", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct network network;
		char *why = NULL;
		bool good = network_parse(&network, cases[i].network, &why);

		ok((good && networks_have_strangers(&(struct networks){ &network, 1 })) == cases[i].wide, "%s is%s wide",
			cases[i].network, cases[i].wide ? "" : " not");
		free(why);
	}
}

struct section {
	struct strings trusted_clients;
};
static const struct option rows[] = {
	{ "trusted_clients", TEXTS_FIELD(section, trusted_clients), NULL, 0, 0, "networks", .check = networks_check },
	{ 0 }
};

static void options(void)
{
	static const char text[] = "trusted_clients:\n- 192.0.2.0/24\n- 192.0.2.1/24\n- here\n";
	struct config_errors errors = { 0 };
	struct config *config = config_parse("a.conf", text, strlen(text), &errors);
	struct section section;
	struct buffer out = { 0 };

	options_load("test", config_root(config), &(struct option_set){ rows, &section }, 1, NULL, &errors);
	config_errors_print(&errors, &out);
	is_str(buffer_str(&out),
		"a.conf:3:3: trusted_clients[1]: 192.0.2.1/24 has bits behind its prefix: expected 192.0.2.0/24, "
		"or a longer prefix\na.conf:4:3: trusted_clients[2]: expected a network as 192.0.2.0/24, 2001:db8::/32, "
		"or an address, not \"here\"\n",
		"each wrong one is an error at its place");
	options_release(rows, &section);
	buffer_release(&out);
	config_errors_release(&errors);
	config_free(config);
}

int main(void)
{
	reading();
	having();
	strangers();
	options();
	return done_testing();
}
