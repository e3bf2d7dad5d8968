/* unit-edge-rules.c - who may send, and to whom: each rule, their precedence, the null sender, texts (S14)
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "t/lib/tap.h"

#include "common/base/buffer.h"
#include "edge/rules.h"

struct section {
	struct rules_options who;
};
static const struct option rows[] = { RULES_ROWS(section, who), { 0 } };

static struct event_base *base;
static struct config *config;
static struct section section;

static struct rules *load(const char *text, struct buffer *said)
{
	struct config_errors errors = { 0 };
	struct rules *rules = NULL;

	config = config_parse("a", text, strlen(text), &errors);
	if (options_load("edge.smtp.rules", config_root(config), &(struct option_set){ rows, &section }, 1, NULL, &errors) == 0) {
		rules = rules_load(&section.who, config_root(config));
		rules_open(rules, base);
	}
	buffer_reset(said);
	config_errors_print(&errors, said);
	config_errors_release(&errors);
	return rules;
}

static void unload(struct rules *rules)
{
	rules_free(rules);
	options_release(rows, &section);
	config_free(config);
}

struct answer {
	struct rules_verdict verdict;
	int calls;
};

static void done(void *arg, const struct rules_verdict *verdict)
{
	struct answer *answer = arg;

	answer->calls++;
	answer->verdict = *verdict;
	answer->verdict.why = (struct reply){ 0 };
	reply_copy(&answer->verdict.why, &verdict->why);
}

typedef struct rules_query *ask_fn(struct rules *, const struct rules_client *, const char *address,
	struct rules_verdict *, rules_done_fn *, void *arg);

/* "ok", or the reply. */
static const char *ask(struct rules *rules, ask_fn *asked, const char *user, bool trusted, const char *address)
{
	static struct buffer text;
	const struct rules_client client = { .session = "s", .ip = "192.0.2.1", .user = user, .trusted = trusted };
	struct answer answer = { 0 };
	struct rules_query *query = asked(rules, &client, address, &answer.verdict, done, &answer);

	buffer_reset(&text);
	if (query && answer.calls)
		return "called back inside the call";
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (answer.calls != (query ? 1 : 0))
		return "not called back once";
	buffer_append_str(&text, "ok");
	if (!reply_is_none(&answer.verdict.why)) {
		buffer_reset(&text);
		reply_append(&answer.verdict.why, &text);
	}
	reply_release(&answer.verdict.why);
	return buffer_str(&text);
}

#define NO_SENDER "550 5.7.1 Sender <%s> Not allowed"
#define NO_RECIPIENT "550 5.7.1 Recipient <%s> Not allowed"

#define KNOWS(key) "{type: config, map: {" key ": {}}}"
#define USERS "lookup_credentials: {type: config, map: {ann: {password: x}}}"

/* Which of them pass: S of the sender, R of the recipient, no letter: refused. */
struct rule_case {
	const char *rules, *sender, *recipient, *passes;
	const char *user;
	bool trusted;
};

static const struct rule_case cases[] = {
	{ "{}", "a@b.example", "c@d.example", "SR" },
	{ "{}", "", "Postmaster", "SR" },
	/* lists */
	{ "only_senders: [a@b.example]", "a@b.example", "c@d.example", "SR" },
	{ "only_senders: [a@b.example]", "a@B.EXAMPLE", "c@d.example", "SR" },
	{ "only_senders: [a@B.example]", "a@b.example", "c@d.example", "SR" },
	{ "only_senders: [a@b.example]", "A@b.example", "c@d.example", "R" },
	{ "only_senders: [a@b.example]", "x@b.example", "c@d.example", "R" },
	{ "only_senders: [a@b.example]", "", "c@d.example", "R" },
	{ "only_senders: [a@b.example, '']", "", "c@d.example", "SR" },
	{ "only_senders: []", "a@b.example", "c@d.example", "R" },
	{ "only_senders: a@b.example", "a@b.example", "c@d.example", "SR" },
	{ "only_recipients: [c@d.example]", "x@b.example", "c@D.example", "SR" },
	{ "only_recipients: [c@d.example]", "x@b.example", "C@d.example", "S" },
	{ "only_recipients: []", "x@b.example", "c@d.example", "S" },
	{ "only_recipients: [c@d.example]", "x@b.example", "postmaster", "SR" },
	{ "only_recipients: [c@d.example]", "x@b.example", "PostMaster", "SR" },
	{ "only_recipients: [c@d.example]", "x@b.example", "postmaster@d.example", "S" },
	{ "only_recipients: ['jürgen@münchen.example']", "x@b.example", "jürgen@MÜNCHEN.example", "SR" },
	{ "only_recipients: ['jürgen@münchen.example']", "x@b.example", "jürgen@xn--mnchen-3ya.example", "SR" },
	{ "only_recipients: ['jürgen@münchen.example']", "x@b.example", "Jürgen@münchen.example", "S" },
	{ "only_recipients: ['a@[IPv6:2001:DB8::1]']", "x@b.example", "a@[ipv6:2001:db8::1]", "SR" },
	/* patterns: at the start, not to the end */
	{ "regex_senders: ['a+@b']", "aa@b.example", "c@d.example", "SR" },
	{ "regex_senders: ['a+@b']", "xaa@b.example", "c@d.example", "R" },
	{ "regex_senders: ['x', 'a+@b$']", "aa@b.example", "c@d.example", "R" },
	{ "regex_senders: ['x', '.*@b\\.example$']", "aa@B.EXAMPLE", "c@d.example", "SR" },
	{ "regex_senders: ['(?!.*@b\\.example)']", "aa@B.EXAMPLE", "c@d.example", "R" },
	{ "regex_senders: ['a']", "A@b.example", "c@d.example", "R" },
	{ "regex_senders: ['$']", "", "c@d.example", "SR" },
	{ "regex_senders: ['$']", "a@b.example", "c@d.example", "R" },
	{ "regex_senders: []", "a@b.example", "c@d.example", "R" },
	{ "regex_recipients: ['[^@]+@(d|e)\\.example$']", "x@b.example", "c@E.example", "SR" },
	{ "regex_recipients: ['[^@]+@(d|e)\\.example$']", "x@b.example", "c@f.example", "S" },
	{ "regex_recipients: ['\\w+@']", "x@b.example", "jürgen@d.example", "SR" },
	{ "regex_recipients: ['x']", "x@b.example", "Postmaster", "SR" },
	/* look-ups */
	{ "lookup_senders: " KNOWS("a@b.example"), "a@B.example", "c@d.example", "SR" },
	{ "lookup_senders: " KNOWS("a@b.example"), "x@b.example", "c@d.example", "R" },
	{ "lookup_senders: " KNOWS("a@b.example"), "", "c@d.example", "R" },
	{ "lookup_recipients: " KNOWS("c@d.example"), "x@b.example", "c@d.example", "SR" },
	{ "lookup_recipients: " KNOWS("c@d.example"), "x@b.example", "x@d.example", "S" },
	{ "lookup_recipients: " KNOWS("c@d.example"), "x@b.example", "postmaster", "SR" },
	{ "lookup_recipients: {type: config, key_template: ['{address}', '{domain}'], map: {d.example: {}}}", "x@b.example",
		"x@D.example", "SR" },
	/* of several the first kind decides alone */
	{ "lookup_senders: " KNOWS("l@b.example") "\nonly_senders: [o@b.example]", "l@b.example", "c@d.example", "SR" },
	{ "lookup_senders: " KNOWS("l@b.example") "\nonly_senders: [o@b.example]", "o@b.example", "c@d.example", "R" },
	{ "only_senders: [o@b.example]\nregex_senders: [r]", "o@b.example", "c@d.example", "SR" },
	{ "only_senders: [o@b.example]\nregex_senders: [r]", "r@b.example", "c@d.example", "R" },
	{ "lookup_recipients: " KNOWS("l@b.example") "\nregex_recipients: [r]", "x@b.example", "r@b.example", "S" },
	{ "only_recipients: [o@b.example]\nregex_recipients: [r]", "x@b.example", "r@b.example", "S" },
	/* the null sender passes where recipients are ruled, and only there */
	{ "only_senders: [a@b.example]\nonly_recipients: [c@d.example]", "", "c@d.example", "SR" },
	{ "lookup_senders: " KNOWS("a@b.example") "\nregex_recipients: [c]", "", "c@d.example", "SR" },
	{ USERS "\nlookup_recipients: " KNOWS("c@d.example"), "", "c@d.example", "SR" },
	{ USERS, "", "c@d.example", "R" },
	{ USERS, "", "c@d.example", "SR", .user = "ann" },
	/* AUTH: needed where no sender rule decides */
	{ USERS, "a@b.example", "c@d.example", "R" },
	{ USERS, "a@b.example", "c@d.example", "SR", .user = "ann" },
	{ USERS, "a@b.example", "c@d.example", "SR", .trusted = true },
	{ USERS "\nonly_recipients: [c@d.example]", "a@b.example", "c@d.example", "R" },
	{ USERS "\nonly_recipients: [c@d.example]", "a@b.example", "x@d.example", "S", .user = "ann" },
	{ USERS "\nonly_senders: [a@b.example]", "a@b.example", "c@d.example", "SR" },
	{ USERS "\nonly_senders: [a@b.example]", "x@b.example", "c@d.example", "R", .user = "ann" },
	{ USERS "\nonly_senders: [a@b.example]", "x@b.example", "c@d.example", "R", .trusted = true },
	/* and both, where the look-up of senders wants the user */
	{ USERS "\nlookup_senders: {type: config, key_template: '{authzid} {address}', map: {ann a@b.example: {}}}",
		"a@b.example", "c@d.example", "R" },
	{ USERS "\nlookup_senders: {type: config, key_template: '{authzid} {address}', map: {ann a@b.example: {}}}",
		"a@b.example", "c@d.example", "SR", .user = "ann" },
	{ USERS "\nlookup_senders: {type: config, key_template: '{authzid} {address}', map: {ann a@b.example: {}}}",
		"x@b.example", "c@d.example", "R", .user = "ann" },
};

static void table(void)
{
	struct buffer said = { 0 };
	char wanted[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rule_case *c = &cases[i];
		struct rules *rules = load(c->rules, &said);

		if (!ok(rules && !said.size, "%zu: rules are read", i)) {
			diag("%s", buffer_str(&said));
			continue;
		}
		snprintf(wanted, sizeof(wanted), strchr(c->passes, 'S') ? "ok" : NO_SENDER, c->sender);
		if (!is_str(ask(rules, rules_sender, c->user, c->trusted, c->sender), wanted, "the sender"))
			diag("%s: <%s>", c->rules, c->sender);
		snprintf(wanted, sizeof(wanted), strchr(c->passes, 'R') ? "ok" : NO_RECIPIENT, c->recipient);
		if (!is_str(ask(rules, rules_recipient, c->user, c->trusted, c->recipient), wanted, "the recipient"))
			diag("%s: <%s>", c->rules, c->recipient);
		unload(rules);
	}
	buffer_release(&said);
}

static void endless_patterns(void)
{
	struct buffer said = { 0 };
	struct rules *rules = load("regex_recipients: ['(a+)+$', '.*']", &said);
	clock_t began = clock();

	is_str(ask(rules, rules_recipient, NULL, false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@d.example"),
		"451 4.3.0 Recipient <aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@d.example> could not be checked, try again later",
		"a pattern that does not come to an end defers, and opens nothing");
	is_str(ask(rules, rules_recipient, NULL, false, "b@d.example"), "ok", "and does so for that address alone");
	for (unsigned i = 0; i < 50; i++)
		ask(rules, rules_recipient, NULL, false, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@d.example");
	ok(clock() - began < 2 * CLOCKS_PER_SEC, "soon enough for a loop that others wait for: %.3f s for 51 of them",
		(double)(clock() - began) / CLOCKS_PER_SEC);
	unload(rules);
	buffer_release(&said);
}

static void cancelling(void)
{
	struct buffer said = { 0 };
	struct rules *rules = load("lookup_recipients: " KNOWS("c@d.example"), &said);
	const struct rules_client client = { .session = "s", .ip = "192.0.2.1" };
	struct answer answer = { 0 };

	rules_cancel(rules_recipient(rules, &client, "c@d.example", &answer.verdict, done, &answer));
	rules_cancel(NULL);
	event_base_loop(base, EVLOOP_NONBLOCK);
	is_int(answer.calls, 0, "what was cancelled is not answered");
	unload(rules);
	buffer_release(&said);
}

static void meanings(void)
{
	static const struct {
		const char *rules;
		bool limit, want_user, senders;
	} each[] = {
		{ "{}", false, false, false }, { "only_recipients: []", true, false, false },
		{ "lookup_recipients: " KNOWS("a"), true, false, false },
		{ "regex_recipients: ['.*@example\\.com$']", true, false, false },
		{ "regex_recipients: ['.*']", false, false, false },
		{ "regex_recipients: ['.*\\.com$']", false, false, false },
		{ "regex_recipients: ['']", false, false, false }, { "regex_recipients: ['(?!spam)']", false, false, false },
		{ "regex_recipients: ['.*@example\\.com$', '[a-z]']", false, false, false },
		{ "regex_recipients: ['[a-z]+@[a-z]+\\.[a-z]+$']", false, false, false },
		{ "regex_recipients: ['[A-Z]\\w+@[a-z0-9-]+\\.de$']", false, false, false },
		{ "regex_recipients: ['[a-z.]+@([a-z]+\\.)?example\\.com$']", true, false, false },
		{ "only_recipients: [a@b]\nregex_recipients: ['.*']", true, false, false },
		{ USERS, false, true, false }, { USERS "\nonly_senders: [a@b]", false, false, true },
		{ USERS "\nregex_senders: [a]", false, false, true },
		{ USERS "\nregex_recipients: ['.*']", false, false, false },
		{ USERS "\nregex_recipients: ['a@b$']", true, false, false },
		{ USERS "\nlookup_senders: " KNOWS("a"), false, false, true },
		{ USERS "\nlookup_senders: {type: config, key_template: '{authzid}', map: {}}", false, true, true },
		{ "lookup_senders: {type: config, key_template: '{authzid}', map: {}}", false, true, true },
		{ USERS "\nlookup_senders: {type: config, key_template: ['{authzid}', '{address}'], map: {}}", false, false,
			true },
		{ USERS "\nlookup_senders: {type: config, key_template: '{{authzid}}{address}', map: {}}", false, false,
			true },
	};
	struct buffer said = { 0 };

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		struct rules *rules = load(each[i].rules, &said);

		ok(rules_limit_recipients(rules) == each[i].limit, "%zu: whether recipients are limited", i);
		ok(rules_want_user(rules) == each[i].want_user, "whether a user is wanted");
		ok(rules_have_senders(rules) == each[i].senders, "whether there is a sender rule");
		unload(rules);
	}
	buffer_release(&said);
}

static void mistakes(void)
{
	static const char *const each[][2] = {
		{ "only_senders: [a@b, '@b']", "a:1:21: only_senders[1]: expected an address as user@example.com, or '', "
			"not \"@b\"; a regex_ rule takes patterns\n" },
		{ "only_recipients: ['']", "a:1:19: only_recipients[0]: expected an address as user@example.com, not \"\"; "
			"a regex_ rule takes patterns\n" },
		{ "only_recipients: example.com", "a:1:18: only_recipients: expected an address as user@example.com, "
			"not \"example.com\"; a regex_ rule takes patterns\n" },
		{ "only_recipients: 'a b@c'", "a:1:18: only_recipients: expected an address as user@example.com, "
			"not \"a b@c\"\n" },
		{ "only_recipients:", "a:1:17: only_recipients: expected a list, not nothing\n" },
		{ "regex_senders: ['a', '(']",
			"a:1:22: regex_senders[1]: character 2 of the pattern: missing closing parenthesis\n" },
		{ "regex_senders: ['.*@Example\\.com']",
			"a:1:17: regex_senders[0]: warning: patterns see the domain in lower case\n" },
		{ "regex_senders: ['.*@\\Wx', '(?i).*@Example\\.com', 'A@b']", "" },
		{ "lookup_senders: a", "a:1:17: lookup_senders: expected a map with the `type` of a look-up, not \"a\"\n" },
		{ "lookup_recipients: {type: redis}", "a:1:21: lookup_recipients.type: not built into this slimta yet\n" },
		{ "lookup_credentials: {type: config}",
			"a:1:1: lookup_credentials.map: required, but not given: expected a value\n" },
	};
	struct buffer said = { 0 };

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		unload(load(each[i][0], &said));
		is_str(buffer_str(&said), each[i][1], each[i][0]);
	}
	buffer_release(&said);
}

int main(void)
{
	base = event_base_new();
	table();
	endless_patterns();
	cancelling();
	meanings();
	mistakes();
	event_base_free(base);
	return done_testing();
}
