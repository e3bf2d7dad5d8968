/* unit-policy-split.c - policies that make copies, and the one that rewrites recipients
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/policy/drivers.h"
#include "t/lib/tap.h"

static struct process_options process = { .fqdn = (char *)"mx.example.org", .hostname = (char *)"mx" };

/* ---- the errors of a mapping */

static struct policy_chain *chain_of(const char *list, struct buffer *said)
{
	char *text = xasprintf("queue:\n  q:\n    policies: %s\n", list);
	struct config_errors errors = { 0 };
	struct config *config = config_parse("test.conf", text, strlen(text), &errors);
	const struct config_node *node = config_get(config_section(config, "queue", "q"), "policies");
	struct policy_chain *chain = policy_chain_load(node, &process, &errors);

	buffer_reset(said);
	config_errors_print(&errors, said);
	config_errors_release(&errors);
	config_free(config);
	free(text);
	return chain;
}

static void test_errors(void)
{
	static const struct {
		const char *list, *said;
	} rows[] = {
		{ "[{type: recipient_split, mapping: {}}]", "test.conf:3:40: queue.q.policies[0].mapping: unknown key\n" },
		{ "[{type: forward}]", "test.conf:3:16: queue.q.policies[0].mapping: required, but not given: expected a map\n" },
		{ "[{type: forward, mapping: {'a': b, '(b': c}}]", "test.conf:3:50: queue.q.policies[0].mapping.(b: "
			"character 3 of the pattern: missing closing parenthesis\n" },
		{ "[{type: forward, mapping: {a: '\\2'}}]", "test.conf:3:45: queue.q.policies[0].mapping.a: "
			"character 1 of the replacement: the pattern has no group 2\n" },
		{ "[{type: forward, mapping: {a: '\\g<u>'}}]", "test.conf:3:45: queue.q.policies[0].mapping.a: "
			"character 4 of the replacement: the pattern has no group u\n" },
		{ "[{type: forward, mapping: {a: 'b\\q'}}]", "test.conf:3:45: queue.q.policies[0].mapping.a: "
			"character 2 of the replacement: an escape without a meaning: \"\\\\q\"\n" },
		{ "[{type: forward, mapping: {a: 'b\\'}}]", "test.conf:3:45: queue.q.policies[0].mapping.a: "
			"character 2 of the replacement: a \\ at the end\n" },
		{ "[{type: forward, mapping: {}}]", "" },
	};
	struct buffer said = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct policy_chain *chain = chain_of(rows[i].list, &said);

		is_str(buffer_str(&said), rows[i].said, rows[i].list);
		ok(!chain == !!said.size, "and a chain only without errors");
		policy_chain_free(chain);
	}
	buffer_release(&said);
}

/* ---- what comes out */

struct result {
	struct envelopes out;
	struct reply why;
	char first[ID_SIZE];
};

static void on_done(void *arg, const struct reply *why)
{
	struct result *result = arg;

	if (why)
		reply_copy(&result->why, why);
}

static void release(struct result *result)
{
	envelopes_release(&result->out);
	reply_release(&result->why);
	*result = (struct result){ 0 };
}

/* Recipients divided by spaces. */
static struct envelope *message(const char *recipients)
{
	struct envelope *envelope = envelope_new();
	char *copy = xstrdup(recipients), *rest = copy, *one;

	envelope->sender = xstrdup("a@example.org");
	while ((one = strsep(&rest, " ")))
		envelope_add_recipient(envelope, one);
	buffer_append_str(&envelope->content.memory, "Subject: x\r\n\r\nbody\r\n");
	content_finish(&envelope->content);
	free(copy);
	return envelope;
}

static void run_message(const char *list, struct envelope *envelope, struct result *result)
{
	struct buffer said = { 0 };
	struct policy_chain *chain = chain_of(list, &said);

	if (said.size)
		BUG("%s", said.data);
	memcpy(result->first, envelope->id, ID_SIZE);
	policy_chain_run(chain, &envelope, &result->out, on_done, result);
	policy_chain_free(chain);
	buffer_release(&said);
}

/* "a b | c": the recipients of each message. */
static void expect(const char *list, const char *recipients, const char *wanted, const char *what)
{
	struct result result = { 0 };
	struct buffer got = { 0 };

	run_message(list, message(recipients), &result);
	for (size_t i = 0; i < result.out.count; i++) {
		const struct envelope *envelope = result.out.items[i];

		buffer_append_str(&got, i ? " |" : "");
		for (size_t j = 0; j < envelope->recipient_count; j++)
			buffer_appendf(&got, "%s%s", got.size ? " " : "", envelope->recipients[j].address);
	}
	is_str(buffer_str(&got), wanted, what);
	buffer_release(&got);
	release(&result);
}

#define SPLIT "[{type: recipient_split}]"
#define DOMAINS "[{type: recipient_domain_split}]"

static void test_splits(void)
{
	expect(SPLIT, "a@x b@x a@x c", "a@x | b@x | a@x | c", "one copy for each recipient, twins too");
	expect(SPLIT, "a@x", "a@x", "one recipient");
	expect(DOMAINS, "a@x b@y c@X d@z e@Y f@x", "a@x c@X f@x | b@y e@Y | d@z", "one for each domain, as first seen");
	expect(DOMAINS, "a@x b@X", "a@x b@X", "one domain: no copy");
	expect(DOMAINS, "postmaster a@x Postmaster b@x", "postmaster | a@x b@x | Postmaster",
		"those without a domain go alone");
	expect(DOMAINS, "\"a@y\"@x b@x c@\xc3\xa9", "\"a@y\"@x b@x | c@\xc3\xa9", "the domain stands behind the last @");
	expect("[{type: recipient_domain_split}, {type: recipient_split}]", "a@x b@y c@x", "a@x | c@x | b@y",
		"each copy goes through what follows");
}

static void test_copies(void)
{
	struct result result = { 0 };
	struct envelope *envelope = message("a@x b@y");
	bool good = true, whole = true;
	struct recipient *second = &envelope->recipients[1];

	second->notify = NOTIFY_DELAY;
	second->orcpt = xstrdup("rfc822;c@y");
	second->other = json_pack("{si}", "later", 1);
	run_message(SPLIT, envelope, &result);
	for (size_t i = 0; i < result.out.count; i++) {
		const struct envelope *copy = result.out.items[i];
		char octets[64] = "";

		content_read(&copy->content, 0, octets, sizeof(octets) - 1);
		good &= !strcmp(copy->origin, result.first) && strcmp(copy->id, result.first) != 0 && id_is_valid(copy->id);
		whole &= !strcmp(octets, "Subject: x\r\n\r\nbody\r\n") && !strcmp(copy->sender, "a@example.org");
	}
	is_int(result.out.count, 2, "two copies");
	ok(good && strcmp(result.out.items[0]->id, result.out.items[1]->id) != 0,
		"each with an id of its own and the first as origin");
	ok(whole, "the octets and the rest with each");
	second = &result.out.items[1]->recipients[0];
	ok(second->notify == NOTIFY_DELAY && !strcmp(second->orcpt, "rfc822;c@y")
		&& json_object_get(second->other, "later"), "what belongs to a recipient goes with it");
	release(&result);
	run_message("[{type: recipient_domain_split}, {type: recipient_split}]", message("a@x b@x c@y"), &result);
	is_str(result.out.items[1]->origin, result.first, "the origin of a copy's copy is the first id");
	release(&result);
	run_message(SPLIT, message("a@x"), &result);
	ok(!strcmp(result.out.items[0]->id, result.first) && !result.out.items[0]->origin[0],
		"what is not split keeps its id");
	release(&result);
}

static void test_many(void)
{
	struct envelope *envelope = message("a@x");
	struct result result = { 0 };

	for (unsigned i = 1; i < 20000; i++) {
		char address[32];

		snprintf(address, sizeof(address), "r%u@d%u.example", i, i % 10000);
		envelope_add_recipient(envelope, address);
	}
	run_message(DOMAINS, envelope, &result);
	is_int(result.out.count, 10001, "20,000 recipients of 10,001 domains");
	release(&result);
}

static void test_copy_fails(void)
{
	struct envelope *envelope = message("a@x b@y");
	struct result result = { 0 };

	envelope->content.fd = 9999;		/* not open */
	run_message(SPLIT, envelope, &result);
	ok(result.why.code == 451 && result.out.count == 0, "a copy that cannot be made: 451, and nothing comes out");
	release(&result);
}

#define MAP(...) "[{type: forward, mapping: {" __VA_ARGS__ "}}]"

static void test_forward(void)
{
	struct result result = { 0 };

	expect(MAP("'@x$': '@y'"), "a@x b@xx c@x", "a@y b@xx c@y", "what matches is rewritten");
	expect(MAP("'^a': '', '@x': '@y'"), "a@x b@x", "a@x b@y", "what it makes is no address: the recipient stays");
	expect(MAP("'^(.*)@x$': '\\1@y', '@': '-never-@'"), "a@x b@z", "a@y b-never-@z", "the first that matches wins");
	expect(MAP("'.+': '', 'a': 'b'"), "a@x", "b@x", "what leaves nothing does not count");
	expect(MAP("'(?P<u>.*)\\+.*@(.*)': '\\g<u>@\\g<2>'"), "me+tag@x me@x", "me@x me@x", "groups by name and number");
	expect(MAP("'x': 'x@'"), "a@x", "a@x", "two @ without quotes are no address: it stays");
	expect(MAP("'@.*': ''"), "a@x", "a@x", "nor is a name alone");
	expect(MAP("'^.*$': postmaster"), "a@x", "postmaster", "but postmaster is one");
	expect(MAP("'$': '>'"), "a@x", "a@x", "what ends a path is not taken into it");
	expect(MAP("'$': '>\\r\\nRCPT TO:<b@x'"), "a@x", "a@x", "nor is another command");
	expect(MAP("'$': '\\n'"), "a@x", "a@x", "nor a line end");
	expect(MAP("'@': '\\0@'"), "a@x", "a@x", "nor is a NUL");
	expect(MAP("'@': 'xyz\\0uvw\\g<0>'"), "a@x", "a@x", "wherever it stands");
	expect(MAP("a: \"\\xe9\""), "a@x", "\xc3\xa9@x", "an address in UTF-8");
	expect("[{type: forward, mapping: {x: y}}, {type: recipient_domain_split}]", "a@x b@y c@z", "a@y b@y | c@z",
		"before a split");
	run_message(MAP("a: \"\\xe9\""), message("a@x"), &result);
	ok(result.out.items[0]->smtputf8, "and a message that needs SMTPUTF8 then");
	release(&result);
}

static void test_explosions(void)
{
	struct result result = { 0 };
	struct buffer recipient = { 0 };

	for (unsigned i = 0; i < 60; i++)
		buffer_append_char(&recipient, 'a');
	buffer_append_str(&recipient, "@x");
	run_message(MAP("'^(a+)+$': b"), message(recipient.data), &result);
	ok(result.why.code == 451 && !result.out.count, "a pattern that explodes: 451");
	release(&result);
	run_message(MAP("'.': '\\g<0>\\g<0>'"), message(recipient.data), &result);
	ok(result.out.count == 1 && !strcmp(result.out.items[0]->recipients[0].address, recipient.data),
		"a result that is too long for an address: the recipient stays");
	release(&result);
	buffer_release(&recipient);
}

int main(void)
{
	test_errors();
	test_splits();
	test_copies();
	test_many();
	test_copy_fails();
	test_forward();
	test_explosions();
	return done_testing();
}
