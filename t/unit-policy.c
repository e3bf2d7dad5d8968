/* unit-policy.c - policies read from slimta.conf, and what they add to a message
 * SPDX-License-Identifier: MIT */
#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/message/header.h"
#include "common/policy/drivers.h"
#include "config.h"
#include "t/lib/tap.h"

#define ID "0123456789abcdefghijklmnop"
#define TIME_MS 1795334616123
#define DATE "Sun, 22 Nov 2026 08:03:36 +0000"

static struct process_options process = { .fqdn = (char *)"mx.example.org", .hostname = (char *)"mx" };

/* ---- S12: what cannot be meant is an error that says so, where it stands */

/* The errors of a list of policies, or "" where there are none. */
static char *errors_of(const char *list)
{
	char *text = xasprintf("queue:\n  q:\n    policies: %s\n", list);
	struct config_errors errors = { 0 };
	struct config *config = config_parse("test.conf", text, strlen(text), &errors);
	const struct config_node *node = config_get(config_section(config, "queue", "q"), "policies");
	struct policy_chain *chain = policy_chain_load(node, &process, &errors);
	struct buffer out = { 0 };

	if (!chain != !!errors.error_count)
		buffer_append_str(&out, "a chain in spite of errors, or none without");
	config_errors_print(&errors, &out);
	policy_chain_free(chain);
	config_errors_release(&errors);
	config_free(config);
	free(text);
	return buffer_detach(&out);
}

static void expect_errors(const char *list, const char *wanted, const char *what)
{
	char *got = errors_of(list);

	is_str(got, wanted, what);
	free(got);
}

static void test_errors(void)
{
	expect_errors("[]", "", "no policy at all");
	expect_errors("", "", "nothing there");
	expect_errors("[{type: add_date_header}, {type: add_message_id_header, hostname: x.example}, "
		"{type: add_messageid_header}, {type: add_received_header}]", "", "all there are");
	expect_errors("[{type: split_recipient_domain}]",
		"test.conf:3:23: queue.q.policies[0].type: no policy is called split_recipient_domain "
		"(did you mean \"recipient_domain_split\"?)\n", "an unknown type, with the one that was meant");
	expect_errors("[{type: add_date_headr}]", "test.conf:3:23: queue.q.policies[0].type: no policy is called "
		"add_date_headr (did you mean \"add_date_header\"?)\n", "a typing error");
	expect_errors("[{type: spamassassin}]",
		"test.conf:3:17: queue.q.policies[0].type: not built into this slimta yet\n", "a type to come");
	expect_errors("[{type: add_date_header, hostname: x}]",
		"test.conf:3:40: queue.q.policies[0].hostname: unknown key\n", "a key of another type");
	expect_errors("[{type: add_message_id_header, hostnam: x}]",
		"test.conf:3:46: queue.q.policies[0].hostnam: unknown key (did you mean \"hostname\"?)\n",
		"a key written wrongly");
}

static void test_more_errors(void)
{
	static const char *const wrong[] = {
		"add_date_header", "[add_date_header]", "{type: add_date_header}", "[{}]", "[{type: [x]}]", "[{type: }]",
		"[{type: \"a\\nb\"}]", "[{type: add_message_id_header, hostname: \"a b\"}]",
		"[{type: add_message_id_header, hostname: \"{nonsense}\"}]",
		"[{type: add_message_id_header, hostname: \"\"}]",
		"[{type: add_message_id_header, hostname: \"b\xc3\xbc.example\"}]",
		"[{type: add_message_id_header, hostname: [a]}]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char *got = errors_of(wrong[i]);

		ok(!strncmp(got, "test.conf:3:", 12) && strchr(got, '\n') == got + strlen(got) - 1,
			"one error: %s", wrong[i][0] == '[' && strchr(wrong[i], '\\') ? "(an escape)" : wrong[i]);
		free(got);
	}
}

/* ---- what they do */

struct result {
	struct envelopes out;
	unsigned calls;
	struct reply why;
};

static void on_done(void *arg, const struct reply *why)
{
	struct result *result = arg;

	result->calls++;
	if (why)
		reply_copy(&result->why, why);
}

static void release(struct result *result)
{
	envelopes_release(&result->out);
	reply_release(&result->why);
}

static struct envelope *message(const char *octets)
{
	struct envelope *envelope = envelope_new();

	memcpy(envelope->id, ID, ID_SIZE);
	envelope->timestamp_ms = TIME_MS;
	envelope->sender = xstrdup("a@example.org");
	envelope_add_recipient(envelope, "b@example.net");
	envelope->client.name = xstrdup("client.example.org");
	envelope->client.host = xstrdup("host.example.org");
	envelope->client.ip = xstrdup("192.0.2.1");
	envelope->client.protocol = xstrdup("ESMTP");
	envelope->receiver = xstrdup("in.example.net");
	buffer_append_str(&envelope->content.memory, octets);
	content_finish(&envelope->content);
	return envelope;
}

/* The octets of `taken` after the policies of `list`, flow style. */
static char *octets_after(const char *list, struct envelope *taken)
{
	char *text = xasprintf("queue: {q: {policies: %s}}", list);
	struct config_errors errors = { 0 };
	struct config *config = config_parse("test.conf", text, strlen(text), &errors);
	const struct config_node *node = config_get(config_section(config, "queue", "q"), "policies");
	struct policy_chain *chain = policy_chain_load(node, &process, &errors);
	struct result result = { 0 };
	size_t size;
	char *octets;

	policy_chain_run(chain, &taken, &result.out, on_done, &result);
	if (taken || result.calls != 1 || !reply_is_none(&result.why) || result.out.count != 1)
		BUG("not one message");
	size = (size_t)content_size(&result.out.items[0]->content);
	octets = xcalloc(size + 1, 1);
	content_read(&result.out.items[0]->content, 0, octets, size);
	release(&result);
	policy_chain_free(chain);
	config_errors_release(&errors);
	config_free(config);
	free(text);
	return octets;
}

static void expect(const char *list, struct envelope *taken, const char *wanted, const char *what)
{
	char *got = octets_after(list, taken);

	is_str(got, wanted, what);
	free(got);
}

#define DATED "[{type: add_date_header}]"
#define NAMED "[{type: add_message_id_header}]"
#define TRACED "[{type: add_received_header}]"
#define BODY "\r\nbody\r\n"
#define FROM "Received: from client.example.org (host.example.org [192.0.2.1])\r\n"
#define BY "\tby in.example.net (slimta " VERSION ") with ESMTP id " ID
#define FOR "\r\n\tfor <b@example.net>; " DATE "\r\n"

static void test_date_and_id(void)
{
	struct envelope *copy = message("");

	expect(DATED, message("S: x\r\n" BODY), "S: x\r\nDate: " DATE "\r\n" BODY, "a date, numeric zone, at the end");
	expect(DATED, message("dATE: y\r\n" BODY), "dATE: y\r\n" BODY, "a date that is there stays alone");
	expect(DATED, message("hello\r\n"), "Date: " DATE "\r\n\r\nhello\r\n", "a body without a header gets one");
	expect(NAMED, message("S: x\r\n" BODY), "S: x\r\nMessage-Id: <" ID ".1795334616@mx.example.org>\r\n" BODY,
		"an id of the message's own, time and name");
	expect(NAMED, message("MESSAGE-ID:<x>\r\n" BODY), "MESSAGE-ID:<x>\r\n" BODY, "one that is there stays alone");
	expect("[{type: add_messageid_header, hostname: \"{hostname}.internal\"}]", message(""),
		"Message-Id: <" ID ".1795334616@mx.internal>\r\n", "by its other name, on a name of its own");
	memcpy(copy->origin, ID, ID_SIZE);
	copy->id[0] = 'v';
	expect(NAMED, copy, "Message-Id: <" ID ".1795334616@mx.example.org>\r\n", "copies of a message share it");
}

static void test_received(void)
{
	struct envelope *envelope = message("");

	expect(TRACED, message("S: x\r\n" BODY), FROM BY FOR "S: x\r\n" BODY, "a trace field, before all");
	envelope_add_recipient(envelope, "hidden@example.net");
	expect(TRACED, envelope, FROM BY "; " DATE "\r\n", "several recipients are not named (S16)");
	envelope = message("");
	client_release(&envelope->client);
	envelope_clear_recipients(envelope);
	xstrset(&envelope->receiver, NULL);
	expect(TRACED, envelope, "Received: from unknown (unknown [unknown])\r\n\tby mx.example.org (slimta " VERSION
		") id " ID "; " DATE "\r\n", "what is not known");
	envelope = message("");
	xstrset(&envelope->client.name, "[IPv6:2001:db8::1]");
	xstrset(&envelope->client.ip, "2001:db8::1");
	expect(TRACED, envelope, "Received: from [IPv6:2001:db8::1] (host.example.org [IPv6:2001:db8::1])\r\n" BY FOR,
		"IPv6");
	envelope = message("");
	xstrset(&envelope->client.name, "x (real.example [192.0.2.9]) by y; z\r\nX-Forged: 1\\\"\x80\xc3\xbc");
	xstrset(&envelope->client.host, "a\nb");
	xstrset(&envelope->client.protocol, "HTTP for <q>");
	xstrset(&envelope->recipients[0].address, "a@b> (\r\nX-Forged: 2");
	expect(TRACED, envelope, "Received: from x??real.example??192.0.2.9???by?y??z??X-Forged:?1????"
		" (a?b [192.0.2.1])\r\n\tby in.example.net (slimta " VERSION ") with HTTP?for??q? id " ID "; " DATE "\r\n",
		"what a peer says forges nothing");
}

static void test_received_tls(void)
{
	struct envelope *envelope = message("");

	xstrset(&envelope->client.protocol, "ESMTPS");
	xstrset(&envelope->client.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
	expect(TRACED, envelope, FROM "\tby in.example.net (slimta " VERSION
		") with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id " ID FOR, "how it was encrypted");
	envelope = message("");
	xstrset(&envelope->client.tls, "odd) by (x\r\ny");
	expect(TRACED, envelope, FROM "\tby in.example.net (slimta " VERSION ") with ESMTP (odd? by??x??y) id " ID FOR,
		"which forges nothing either");
}

static void test_received_utf8(void)
{
	struct envelope *envelope = message("");

	xstrset(&envelope->client.name, "b\xc3\xbc" "cher.example");
	xstrset(&envelope->recipients[0].address, "\xc3\xbc@example.net");
	expect(TRACED, envelope, "Received: from b?cher.example (host.example.org [192.0.2.1])\r\n" BY "; " DATE "\r\n",
		"no UTF-8 in a message that may not have it");
	envelope = message("");
	envelope->smtputf8 = true;
	xstrset(&envelope->client.name, "b\xc3\xbc" "cher.example");
	xstrset(&envelope->recipients[0].address, "\xc3\xbc@example.net");
	expect(TRACED, envelope, "Received: from b\xc3\xbc" "cher.example (host.example.org [192.0.2.1])\r\n" BY
		"\r\n\tfor <\xc3\xbc@example.net>; " DATE "\r\n", "in one that may it stays");
}

/* S16: what came passes octet for octet, however it is written. */
static void test_pass_through(void)
{
	static const char odd[] = "to:bob\r\nSubject:  two  spaces \r\n\t folded\r\nX-Long: "
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n"
		"dkim-signature: v=1; c=simple/simple;\r\n\tb=\r\nX-8bit: \xff\xfe\r\nTO:again\r\n\r\nbody  \r\n\r\n\r\n";
	char *got = octets_after("[{type: add_date_header}, {type: add_message_id_header}, {type: add_received_header}]",
		message(odd));
	const char *header_end = strstr(odd, "\r\n\r\n") + 2;
	size_t head = (size_t)(header_end - odd), front = strlen(FROM BY FOR);

	is_mem(got, front, FROM BY FOR, front, "the trace field is first");
	is_mem(got + front, head, odd, head, "the header that came follows, unchanged");
	ok(!strncmp(got + front + head, "Date: ", 6) && strstr(got + front + head, "\r\nMessage-Id: <"),
		"then what was added, in order");
	is_str(got + strlen(got) - strlen(header_end), header_end, "then the body that came, unchanged");
	free(got);
}

static void test_long_words(void)
{
	struct envelope *envelope = message("");
	char name[2000], *got;
	bool fits = true;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	xstrset(&envelope->client.name, name);
	xstrset(&envelope->client.host, name);
	xstrset(&envelope->receiver, name);
	got = octets_after(TRACED, envelope);
	for (const char *line = got; *line; line += strcspn(line, "\n") + 1)
		fits &= strcspn(line, "\n") < 998;
	ok(fits, "no line is longer than 998 octets, whatever the names");
	free(got);
}

/* ---- the chain itself, with policies of our own: one that splits, one that fails, one that takes its time */

static struct {
	struct envelope **in;
	policy_done_fn *done;
	void *arg;
	unsigned seen;
} later;

static int split(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	(void)policy;
	(void)why;
	for (int i = 0; i < 2; i++) {
		struct envelope *copy = envelope_copy(*in);

		envelopes_add(out, &copy);
	}
	envelope_free(*in);
	*in = NULL;
	return 0;
}

static int fail_at_third(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	(void)policy;
	(void)in;
	(void)out;
	if (++later.seen < 3)
		return 0;
	if (later.seen == 3)
		reply_set(why, 554, "5.6.0", "Not this one");
	return -1;
}

static void take_time(struct policy *policy, struct envelope **in, struct envelopes *out, policy_done_fn *done, void *arg)
{
	(void)policy;
	(void)out;
	later.in = in;
	later.done = done;
	later.arg = arg;
}

static const struct option no_rows[] = { { 0 } };
static const struct policy_driver splitting = {
	.type = "split", .size = sizeof(struct policy), .options = no_rows, .apply = split
};
static const struct policy_driver failing = {
	.type = "fail", .size = sizeof(struct policy), .options = no_rows, .apply = fail_at_third
};
static const struct policy_driver slow = {
	.type = "slow", .size = sizeof(struct policy), .options = no_rows, .start = take_time
};

#define DRIVERS(...) (const struct policy_driver *const[]){ __VA_ARGS__ }
static struct policy_chain *chain_of(const struct policy_driver *const drivers[])
{
	struct config_errors errors = { 0 };
	struct policy_chain *chain = policy_chain_load(NULL, &process, &errors);

	for (; *drivers; drivers++) {
		struct policy *policy = xcalloc(1, (*drivers)->size);

		policy->driver = *drivers;
		policy->process = &process;
		policy_chain_add(chain, &policy);
	}
	return chain;
}

static void test_splits(void)
{
	struct policy_chain *chain = chain_of(DRIVERS(&splitting, &splitting, &policy_date, NULL));
	struct envelope *envelope = message("S: x\r\n");
	struct result result = { 0 };
	bool all = true;

	policy_chain_run(chain, &envelope, &result.out, on_done, &result);
	ok(!envelope && result.calls == 1 && reply_is_none(&result.why), "taken, done once");
	is_int(result.out.count, 4, "each output of a split passes the policies behind it");
	for (size_t i = 0; i < result.out.count; i++)
		all &= header_has(&result.out.items[i]->content, "Date") && !strcmp(result.out.items[i]->origin, ID);
	ok(all, "all of them, and all know their origin");
	release(&result);
	policy_chain_free(chain);
	policy_chain_free(NULL);
}

static void test_failures(void)
{
	struct policy_chain *chain = chain_of(DRIVERS(&splitting, &splitting, &failing, NULL));
	struct envelope *envelope = message("");
	struct result result = { 0 };

	later.seen = 0;
	policy_chain_run(chain, &envelope, &result.out, on_done, &result);
	is_int(result.calls, 1, "a failure is told once");
	is_str(result.why.text, "Not this one", "with its reason");
	is_int(result.out.count, 0, "and nothing comes out");
	envelope = message("");
	policy_chain_run(chain, &envelope, &result.out, on_done, &result);
	is_int(result.why.code, 451, "a failure without a reason is ours");
	release(&result);
	policy_chain_free(chain);
}

static void test_slow(void)
{
	struct policy_chain *chain = chain_of(DRIVERS(&splitting, &slow, &policy_date, NULL));
	struct envelope *envelope = message("");
	struct result result = { 0 };
	struct envelope **first;

	policy_chain_run(chain, &envelope, &result.out, on_done, &result);
	ok(!envelope && !result.calls && later.in, "a policy that takes its time is waited for");
	first = later.in;
	later.done(later.arg, NULL);
	ok(!result.calls && later.in != first, "then it gets the next message");
	header_append(&(*later.in)->content, "X-Slow", "yes");
	later.done(later.arg, NULL);
	ok(result.calls == 1 && result.out.count == 2, "then all is done");
	ok(header_has(&result.out.items[1]->content, "X-Slow") && header_has(&result.out.items[1]->content, "Date"),
		"what it did is there");
	envelopes_release(&result.out);
	envelope = message("");
	policy_chain_run(chain, &envelope, &result.out, on_done, &result);
	reply_set(&result.why, 451, NULL, "away");
	later.done(later.arg, &(struct reply){ .code = 451 });
	ok(result.calls == 2 && result.out.count == 0, "one that fails ends it");
	release(&result);
	policy_chain_free(chain);
}

static void test_lists(void)
{
	struct buffer out = { 0 };

	policy_list_options(&out);
	is_str(buffer_str(&out), "policy.add_message_id_header\thostname\ttext\t{fqdn}\ttemplate: the name behind the @\n"
		"policy.forward\tmapping\tmap\t(required)\t"
		"regular expressions, and what takes the place of what they match in a recipient\n", "the rows");
	buffer_release(&out);
	for (size_t i = 0; policy_drivers[i]; i++)
		ok(!policy_drivers[i]->apply != !policy_drivers[i]->start, "%s is immediate or not", policy_drivers[i]->type);
}

int main(void)
{
	test_errors();
	test_more_errors();
	test_date_and_id();
	test_received();
	test_received_tls();
	test_received_utf8();
	test_pass_through();
	test_long_words();
	test_splits();
	test_failures();
	test_slow();
	test_lists();
	return done_testing();
}
