/* unit-worker-route.c - domains that go elsewhere, and what this host is known as
 * SPDX-License-Identifier: MIT */
#include "t/lib/tap.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include "common/base/buffer.h"
#include "worker/forced.h"
#include "worker/myself.h"
#include "worker/route.h"

static const char *domain(const char *text)
{
	static char *found;

	free(found);
	found = route_domain(text);
	return found ? found : "(none)";
}

static void test_domains(void)
{
	is_str(domain("Example.NET"), "example.net", "a domain");
	is_str(domain("bücher.example"), "xn--bcher-kva.example", "with other letters");
	is_str(domain("[192.0.2.1]"), "[192.0.2.1]", "an address");
	is_str(domain("[IPv6:2001:DB8:0::1]"), "[IPv6:2001:db8::1]", "in one form");
	is_str(domain("192.0.2.1"), "(none)", "without brackets it is none");
	is_str(domain("::1"), "(none)", "nor of that kind");
	is_str(domain("[192.0.2]"), "(none)", "nor half of one");
	is_str(domain("a b"), "(none)", "no domain");
}

/* "DOMAIN=HOST:PORT" of the first pair, or the errors. */
static const char *force(const char *yaml)
{
	static struct buffer text;
	static const struct option rows[] = { { "force_mx", OPTION_PAIRS, 0, .check = forced_check }, { 0 } };
	struct config_errors errors = { 0 };
	struct config *config = config_parse("x", yaml, strlen(yaml), &errors);
	struct option_pairs pairs = { 0 };
	struct forced_table table;

	text.size = 0;
	options_load("test", config_root(config), (struct option_set[]){ { rows, &pairs } }, 1, NULL, &errors);
	if (errors.error_count) {
		config_errors_print(&errors, &text);
	} else {
		forced_table_init(&table, &pairs);
		for (size_t i = 0; i < table.count; i++)
			buffer_appendf(&text, "%s%s=%s%s:%u", i ? " " : "", table.items[i].domain,
				table.items[i].is_domain ? "@" : "", table.items[i].host, table.items[i].port);
		forced_table_release(&table);
	}
	options_release(rows, &pairs);
	config_errors_release(&errors);
	config_free(config);
	return buffer_str(&text);
}

static void test_forced(void)
{
	static const char *const good[][2] = {
		{ "force_mx: {Example.NET: Mail.example.org}", "example.net=mail.example.org:0" },
		{ "force_mx: {a.example: 'mail:2525'}", "a.example=mail:2525" },
		{ "force_mx: {a.example: 192.0.2.1}", "a.example=192.0.2.1:0" },
		{ "force_mx: {a.example: '192.0.2.1:26'}", "a.example=192.0.2.1:26" },
		{ "force_mx: {a.example: '2001:db8::1'}", "a.example=2001:db8::1:0" },
		{ "force_mx: {a.example: '[2001:db8::1]:26'}", "a.example=[2001:db8::1]:26" },
		{ "force_mx: {a.example: '@Other.example'}", "a.example=@other.example:0" },
		{ "force_mx: {bücher.example: '@münchen.example'}", "xn--bcher-kva.example=@xn--mnchen-3ya.example:0" },
		{ "force_mx: {'[192.0.2.9]': mail}", "[192.0.2.9]=mail:0" },
		{ "force_mx: {a.example: b, c.example: d}", "a.example=b:0 c.example=d:0" },
	};
	static const char *const bad[][2] = {
		{ "force_mx: {a.example: 'mail:0'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: 'mail:65536'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: 'mail:'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: ':25'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: ''}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: '@'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: '@b:25'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {a.example: 'a b'}", "expected HOST, HOST:PORT or @DOMAIN" },
		{ "force_mx: {'@a.example': b}", "expected a domain" },
		{ "force_mx: {a.example: b, A.Example: c}", "expected each domain once" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		is_str(force(good[i][0]), good[i][1], good[i][0]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *errors = force(bad[i][0]);

		ok(strstr(errors, bad[i][1]), "%s is refused: %s", bad[i][0], errors);
	}
}

static bool is_mine(struct myself *myself, const char *text, unsigned port)
{
	struct host_address address;

	return host_address_parse(&address, text) && myself_is_address(myself, &address, port);
}

static void test_myself(void)
{
	struct myself myself = { 0 };
	struct ifaddrs *all = NULL;
	bool seen = true;

	myself_add_name(&myself, "MX1.example.net");
	myself_add_name(&myself, "mx1.example.net");
	myself_add_name(&myself, "[192.0.2.1]");
	is_int(myself.names.count, 1, "a name, once");
	ok(myself_is_name(&myself, "mx1.example.net"), "it is ours");
	ok(!myself_is_name(&myself, "x1.example.net"), "another is not");
	ok(myself_is_name(&myself, "localhost") && myself_is_name(&myself, "a.localhost"), "localhost is");
	ok(is_mine(&myself, "127.0.0.1", 25) && is_mine(&myself, "127.9.9.9", 25) && is_mine(&myself, "::1", 25),
		"so is loopback");
	ok(is_mine(&myself, "::ffff:127.0.0.1", 25), "in another form too");
	ok(!is_mine(&myself, "127.0.0.1", 2525) && !is_mine(&myself, "::1", 2525), "but for other ports");
	ok(is_mine(&myself, "0.0.0.0", 2525) && is_mine(&myself, "::", 2525), "no address at all is this host");
	ok(!is_mine(&myself, "192.0.2.77", 25) && !is_mine(&myself, "2001:db8::77", 25), "others are not");
	getifaddrs(&all);
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		struct host_address address;

		if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET)
			continue;
		host_address_v4(&address, &((const struct sockaddr_in *)(const void *)one->ifa_addr)->sin_addr);
		seen = seen && myself_is_address(&myself, &address, 25);
	}
	freeifaddrs(all);
	ok(seen, "those of the interfaces are");
	myself_release(&myself);
}

int main(void)
{
	test_domains();
	test_forced();
	test_myself();
	return done_testing();
}
