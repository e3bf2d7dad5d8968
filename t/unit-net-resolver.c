/* unit-net-resolver.c - what is known without asking, and packets that lie
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <string.h>

#include "common/net/dns_answer.h"
#include "common/net/hosts.h"

static const char *first(const struct hosts *hosts, const char *name, size_t wanted)
{
	static char text[HOST_ADDRESS_TEXT_SIZE];
	struct host_address found[HOST_ADDRESSES];
	size_t count = hosts_find(hosts, name, found);

	is_int(count, wanted, name);
	return count ? host_address_text(&found[0], text) : "";
}

static void test_hosts(void)
{
	static const char text[] =
		"# comment\n192.0.2.1 Mail.Example.net mail # other\n\n192.0.2.2\tmail\r\n"
		"2001:db8::1 six\nnonsense name\n300.1.1.1 bad\n192.0.2.9\n  192.0.2.5   spaced.\n192.0.2.7 last";
	struct hosts *hosts = hosts_new(text, sizeof(text) - 1);
	char name[400];

	is_str(first(hosts, "mail.example.NET.", 1), "192.0.2.1", "names have no case");
	is_str(first(hosts, "mail", 2), "192.0.2.1", "a name may have several addresses");
	is_str(first(hosts, "six", 1), "2001:db8::1", "of both kinds");
	is_str(first(hosts, "spaced", 1), "192.0.2.5", "spaces do not matter");
	is_str(first(hosts, "last", 1), "192.0.2.7", "nor does the last newline");
	is_str(first(hosts, "localhost", 2), "127.0.0.1", "localhost needs no line");
	is_str(first(hosts, "x.localhost", 2), "127.0.0.1", "nor does what is below it");
	first(hosts, "other", 0);
	first(hosts, "name", 0);
	first(hosts, "bad", 0);
	first(hosts, "notlocalhost", 0);
	first(hosts, "", 0);
	first(hosts, ".", 0);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	first(hosts, name, 0);
	hosts_free(hosts);
	hosts = hosts_new("192.0.2.200 localhost", 21);
	is_str(first(hosts, "localhost", 1), "192.0.2.200", "unless it has one");
	hosts_free(hosts);
}

static const char *name_of(const struct hosts *hosts, const char *address_text)
{
	struct host_address address;
	const char *name = host_address_parse(&address, address_text) ? hosts_name(hosts, &address) : "no address";

	return name ? name : "none";
}

static void test_names(void)
{
	static const char text[] = "192.0.2.1 Mail.Example.net mail\n192.0.2.1 second\n2001:db8::1 six. other\n192.0.2.2\n"
		"192.0.2.3 # name\n::ffff:192.0.2.4 mapped\n";
	struct hosts *hosts = hosts_new(text, sizeof(text) - 1);

	is_str(name_of(hosts, "192.0.2.1"), "mail.example.net", "the first name of the first line");
	is_str(name_of(hosts, "::ffff:192.0.2.1"), "mail.example.net", "also of the address within IPv6");
	is_str(name_of(hosts, "2001:db8::1"), "six", "of IPv6");
	is_str(name_of(hosts, "192.0.2.2"), "none", "an address alone");
	is_str(name_of(hosts, "192.0.2.3"), "none", "with a comment");
	is_str(name_of(hosts, "192.0.2.4"), "mapped", "IPv4 within IPv6");
	is_str(name_of(hosts, "192.0.2.9"), "none", "another");
	is_str(name_of(hosts, "::"), "none", "and the one of nobody");
	hosts_free(hosts);
}

static void test_literals(void)
{
	static const char *const good[][2] = { { "192.0.2.1", "192.0.2.1" }, { "[192.0.2.1]", "192.0.2.1" },
		{ "2001:DB8::1", "2001:db8::1" }, { "[IPv6:2001:db8::1]", "2001:db8::1" }, { "[ipv6:::1]", "::1" },
		{ "[::1]", "::1" } };
	static const char *const bad[] = { "", "[", "[]", "[192.0.2.1", "192.0.2.1]", "192.0.2", "[IPv6:]", "[IPv6:x]",
		"example.net", "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]" };
	char text[HOST_ADDRESS_TEXT_SIZE];
	struct host_address address;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ok(host_address_parse(&address, good[i][0]), "%s is a literal", good[i][0]);
		is_str(host_address_text(&address, text), good[i][1], "of that address");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!host_address_parse(&address, bad[i]), "%s is none", bad[i]);
}

/* a.b A 192.0.2.1, its name once written out and once a pointer, then an AAAA. */
static const unsigned char good_packet[] = {
	0x12, 0x34, 0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0,
	1, 'a', 1, 'b', 0, 0, 1, 0, 1,
	1, 'a', 1, 'b', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1,
	0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2,
	0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
};

static void test_packets(void)
{
	struct dns_record records[2];
	unsigned char packet[sizeof(good_packet)];

	is_int(dns_answer_rcode(good_packet, sizeof(good_packet)), DNS_NOERROR, "the code of an answer");
	is_int(dns_answer_records(good_packet, sizeof(good_packet), DNS_A, records, 2), 2, "two of one type");
	is_mem(records[1].data, records[1].size, "\300\0\2\2", 4, "with their data");
	is_int(dns_answer_records(good_packet, sizeof(good_packet), DNS_A, records, 1), 2, "counted beyond the room");
	is_int(dns_answer_records(good_packet, sizeof(good_packet), DNS_AAAA, records, 2), 1, "one of the other");
	for (size_t size = 0; size < sizeof(good_packet); size++) {
		unsigned char *cut = malloc(size + 1);

		memcpy(cut, good_packet, size);
		if (dns_answer_records(cut, size, DNS_A, records, 2) >= 0)
			ok(false, "a packet cut at %zu is refused", size);
		free(cut);
	}
	ok(true, "no cut packet is taken");
	memcpy(packet, good_packet, sizeof(packet));
	packet[2] = 1;
	is_int(dns_answer_rcode(packet, sizeof(packet)), -1, "a question is no answer");
	memcpy(packet, good_packet, sizeof(packet));
	packet[12] = 0x41;
	is_int(dns_answer_records(packet, sizeof(packet), DNS_A, records, 2), -1, "nor is an unknown kind of label a name");
	memcpy(packet, good_packet, sizeof(packet));
	packet[35] = 3;
	is_int(dns_answer_records(packet, sizeof(packet), DNS_A, records, 2), -1, "nor are three octets an address");
}

int main(void)
{
	test_hosts();
	test_names();
	test_literals();
	test_packets();
	return done_testing();
}
