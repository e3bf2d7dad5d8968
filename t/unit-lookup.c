/* unit-lookup.c - look-ups: keys, what is found, errors in their options
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "common/lookup/lookup.h"

static struct event_base *base;
static struct config *config;

static struct lookup *load(const char *text, struct buffer *said)
{
	struct config_errors errors = { 0 };
	struct lookup *lookup;

	config = config_parse("a", text, strlen(text), &errors);
	lookup = lookup_load(config_root(config), &errors);
	buffer_reset(said);
	config_errors_print(&errors, said);
	config_errors_release(&errors);
	if (lookup)
		lookup_open(lookup, base);
	return lookup;
}

static void unload(struct lookup *lookup)
{
	lookup_free(lookup);
	config_free(config);
}

struct answer {
	char text[64];
	int calls;
};

static void found(void *arg, const struct lookup_fields *fields, const struct reply *why)
{
	struct answer *answer = arg;
	const char *value = fields ? lookup_field(fields, "n") : NULL;

	answer->calls++;
	snprintf(answer->text, sizeof(answer->text), "%s", why ? "error" : !fields ? "unknown" : value ? value : "known");
}

static const char *ask(struct lookup *lookup, const char *address, const char *authzid)
{
	static struct answer answer;

	answer = (struct answer){ 0 };
	lookup_find(lookup, &(struct lookup_key){ address, authzid }, found, &answer);
	if (answer.calls)
		return "called back inside the call";
	event_base_loop(base, EVLOOP_NONBLOCK);
	return answer.calls == 1 ? answer.text : "not called back once";
}

static const char map[] = "map:\n"
	"  Bob@Example.COM: {n: 1}\n"
	"  bob@example.com: {n: 2}\n"
	"  example.net: {n: 3}\n"
	"  Ann: {n: 4, m: 'x y'}\n"
	"  jürgen@MÜNCHEN.de: {n: 5}\n"
	"  münster.de: {n: 6}\n"
	"  ann>bob@example.com: {n: 7}\n"
	"  'eve@[ipv6:2001:DB8::1]': {n: 8}\n"
	"  none:\n"
	"  \"a\\tb\": {n: 10}\n"
	"  '{Tim}': {n: 9}\n";

static void keys(void)
{
	static const struct {
		const char *template, *address, *authzid, *result;
	} cases[] = {
		{ "'{address}'", "bob@example.com", NULL, "2" }, { "'{address}'", "Bob@example.com", NULL, "1" },
		{ "'{address}'", "Bob@EXAMPLE.com", NULL, "1" }, { "'{address}'", "bob@example.com.", NULL, "2" },
		{ "'{address}'", "BOB@example.com", NULL, "unknown" }, { "'{address}'", "bob@example.org", NULL, "unknown" },
		{ "'{address}'", "Ann", NULL, "4" }, { "'{address}'", "ann", NULL, "unknown" },
		{ "'{address}'", "none", NULL, "known" }, { "'{address}'", "", NULL, "unknown" },
		{ "'{address}'", "jürgen@münchen.DE", NULL, "5" }, { "'{address}'", "jürgen@xn--mnchen-3ya.de", NULL, "5" },
		{ "'{address}'", "Jürgen@münchen.de", NULL, "unknown" },
		{ "'{address}'", "eve@[IPv6:2001:db8::1]", NULL, "8" },
		{ "'{address}'", "bob@example.com\x7f", NULL, "unknown" }, { "'{address}'", "Ann\xff", NULL, "unknown" },
		{ "'{domain}'", "x@EXAMPLE.net", NULL, "3" }, { "'{domain}'", "x@münster.DE", NULL, "6" },
		{ "'{domain}'", "example.net", NULL, "unknown" }, { "'{localpart}'", "Ann@example.org", NULL, "4" },
		{ "'{localpart}'", "ann@example.org", NULL, "unknown" }, { "'{localpart}'", "Ann", NULL, "4" },
		{ "'{{{localpart}}}'", "Tim@a", NULL, "9" }, { "'{{{localpart}}}'", "tim@a", NULL, "unknown" },
		{ "['{address}', '{domain}']", "bob@example.com", NULL, "2" },
		{ "['{address}', '{domain}']", "x@example.net", NULL, "3" },
		{ "['{domain}', '{localpart}']", "Ann@example.net", NULL, "3" },
		{ "['{domain}', '{address}']", "Ann", NULL, "4" },
		{ "'{authzid}>{address}'", "bob@Example.com", "ann", "7" },
		{ "'{authzid}>{address}'", "bob@example.com", "Ann", "unknown" },
		{ "'{authzid}>{address}'", "bob@example.com", "ann>", "unknown" },
		{ "'{authzid}>{address}'", "bob@example.com", NULL, "unknown" },
		{ "'{authzid}'", "x", "bob@EXAMPLE.COM", "2" }, { "'{authzid}{address}'", "Ann", NULL, "unknown" },
		{ "'{localpart}{domain}'", "Ann", NULL, "unknown" }, { "'{address}'", "a\tb", NULL, "unknown" },
	};
	char text[1000], long_key[LOOKUP_KEY_MAX + 100];
	struct buffer said = { 0 };
	struct lookup *lookup;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "type: config\nkey_template: %s\n%s", cases[i].template, map);
		lookup = load(text, &said);
		if (!lookup)
			diag("%s", buffer_str(&said));
		ok(lookup && strcmp(ask(lookup, cases[i].address, cases[i].authzid), cases[i].result) == 0, "%s %s %s: %s",
			cases[i].template, cases[i].address, cases[i].authzid ? cases[i].authzid : "-", cases[i].result);
		unload(lookup);
	}
	snprintf(text, sizeof(text), "type: config\n%s", map);
	lookup = load(text, &said);
	is_str(ask(lookup, "Ann", NULL), "4", "the address is the default");
	memset(long_key, 'a', sizeof(long_key));
	long_key[sizeof(long_key) - 1] = '\0';
	is_str(ask(lookup, long_key, NULL), "unknown", "a key that is too long is not looked for");
	is_str(ask(lookup, "Ann", long_key), "unknown", "nor one with such a user");
	unload(lookup);
	buffer_release(&said);
}

static void cancelling(void)
{
	struct buffer said = { 0 };
	struct lookup *lookup = load("type: config\nmap: {a: {}}\n", &said);
	struct answer first = { 0 }, second = { 0 };
	struct lookup_query *query = lookup_find(lookup, &(struct lookup_key){ "a", NULL }, found, &first);

	lookup_find(lookup, &(struct lookup_key){ "b", NULL }, found, &second);
	lookup_cancel(query);
	lookup_cancel(NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ok(first.calls == 0 && second.calls == 1, "a query that was cancelled does not call back");
	unload(lookup);
	buffer_release(&said);
}

static void count_entry(void *arg, const struct config_node *entry, const struct config_node *value)
{
	struct buffer *out = arg;

	buffer_appendf(out, "%s=%s ", entry->key, value ? value->text : "(none)");
}

static void listing(void)
{
	struct buffer said = { 0 }, out = { 0 };
	struct lookup *lookup = load("type: config\nmap: {b: {n: 1}, a: {m: 2}, ü: {n: 3}}\n", &said);

	lookup_each(lookup, "n", count_entry, &out);
	is_str(buffer_str(&out), "b=1 a=(none) ü=3 ", "entries are told in the order of the file");
	ok(lookup_is_listed(lookup), "all of them");
	unload(lookup);
	buffer_release(&out);
	buffer_release(&said);
}

static void mistakes(void)
{
	static const char *const cases[][2] = {
		{ "type: config\n", "a:1:1: map: required, but not given: expected a value\n" },
		{ "map: {}\n", "a:1:1: type: required, but not given: expected the type of a look-up\n" },
		{ "type: [a]\n", "a:1:7: type: expected the type of a look-up, not a list\n" },
		{ "type: konfig\n",
			"a:1:7: type: no type of look-up is called \"konfig\" (did you mean \"config\"?)\n" },
		{ "type: redis\n", "a:1:1: type: not built into this slimta yet\n" },
		{ "type: sqlite3\n", "a:1:1: type: not built into this slimta yet\n" },
		{ "type: config\nmap: [a]\n", "a:2:6: map: expected a map of KEY: {FIELD: VALUE}, not a list\n" },
		{ "type: config\nmap: {a: b}\n",
			"a:2:10: map.a: expected a map of FIELD: VALUE, {} for none, not a text\n" },
		{ "type: config\nmap: {a: {b: [c]}}\n", "a:2:14: map.a.b: expected text, not a list\n" },
		{ "type: config\nmap: {}\nkey: a\n", "a:3:1: key: unknown key\n" },
		{ "type: config\nmap: {}\nkey_template: '{adress}'\n", "a:3:15: key_template: expected {address}, {localpart}, "
			"{domain} or {authzid}, not {adress} (did you mean \"address\"?)\n" },
		{ "type: config\nmap: {}\nkey_template: ['{domain}', 'a{b']\n",
			"a:3:28: key_template[1]: a brace alone: write {{ or }} for a brace in the key\n" },
		{ "type: config\nmap: {}\nkey_template: 'a}b'\n",
			"a:3:15: key_template: a brace alone: write {{ or }} for a brace in the key\n" },
		{ "type: config\nmap: {}\nkey_template: ['{address}', '{{all}}']\n",
			"a:3:29: key_template[1]: expected {address}, {localpart}, {domain} or {authzid} in it: "
			"without one the key is the same for everybody\n" },
		{ "type: config\nmap: {}\nkey_template: []\n",
			"a:3:15: key_template: expected a template, or a list of them, not a list\n" },
	};
	struct buffer said = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lookup *lookup = load(cases[i][0], &said);

		is_str(buffer_str(&said), cases[i][1], "a mistake is told at its place");
		unload(lookup);
	}
	buffer_release(&said);
}

int main(void)
{
	base = event_base_new();
	keys();
	cancelling();
	listing();
	mistakes();
	event_base_free(base);
	return done_testing();
}
