/* rules.c - who may send, and to whom
 * SPDX-License-Identifier: MIT */
#include "edge/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/lookup/canonical.h"
#include "common/lookup/lookup.h"
#include "common/message/address.h"
#include "common/policy/pattern.h"

#define QUIET_MS 10000

enum { RULE_LOOKUP, RULE_ONLY, RULE_REGEX };

struct known {
	char *address;			/* canonical */
	UT_hash_handle hh;
};

/* The rules of one kind. */
struct side {
	const char *what;		/* "Sender", as replies have it */
	const char *rule_names[3];	/* the keys: of a look-up, a list, patterns */
	struct lookup *lookup;
	bool has_only, has_patterns;	/* given, were it an empty list */
	struct known *only;
	struct pattern *patterns;
	const struct strings *texts;	/* of the patterns */
	int64_t quiet_ms;		/* until then nothing is said of patterns that were given up */
};

struct rules {
	struct side senders, recipients;
	bool has_credentials;
};

/* ---- checking */

static const struct config_node *item(const struct config_node *node, size_t i)
{
	return node->kind == CONFIG_LIST ? node->items[i] : node;
}

static void check_addresses(const struct config_node *node, const struct strings *texts, enum address_kind kind,
	struct config_errors *errors)
{
	for (size_t i = 0; i < texts->count; i++) {
		const char *text = texts->items[i];

		if (address_is_mailbox(text, kind, true))
			continue;
		config_error_at_value(errors, item(node, i), "expected an address as user@example.com%s, not \"%s\"%s",
			kind == ADDRESS_REVERSE_PATH ? ", or ''" : "", text,
			strchr(text, '@') == text || !strchr(text, '@') ? "; a regex_ rule takes patterns" : "");
	}
}

void rules_check_senders(const struct config_node *node, void *field, struct config_errors *errors)
{
	check_addresses(node, field, ADDRESS_REVERSE_PATH, errors);
}

void rules_check_recipients(const struct config_node *node, void *field, struct config_errors *errors)
{
	check_addresses(node, field, ADDRESS_FORWARD_PATH, errors);
}

/* A capital letter in what is likely to be the domain would never match. */
static bool has_capital_domain(const char *text)
{
	const char *at = strrchr(text, '@');

	if (!at || strstr(text, "(?i"))
		return false;
	for (; *at; at++) {
		if (*at == '\\' && at[1])
			at++;
		else if (isupper((unsigned char)*at))
			return true;
	}
	return false;
}

void rules_check_patterns(const struct config_node *node, void *field, struct config_errors *errors)
{
	const struct strings *texts = field;

	for (size_t i = 0; i < texts->count; i++) {
		struct pattern pattern;
		char *why = NULL;

		if (pattern_init(&pattern, texts->items[i], &why) < 0)
			config_error_at_value(errors, item(node, i), "%s", why);
		else if (has_capital_domain(texts->items[i]))
			config_warning_at(errors, item(node, i), "patterns see the domain in lower case");
		pattern_release(&pattern);
		free(why);
	}
}

void rules_check_lookup(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	lookup_free(lookup_load(node, errors));
}

/* ---- loading */

static void add_known(struct side *side, const char *address)
{
	struct known *known = xcalloc(1, sizeof(*known)), *same;

	known->address = canonical_address(address);
	HASH_FIND_STR(side->only, known->address, same);
	if (!same) {
		HASH_ADD_KEYPTR(hh, side->only, known->address, strlen(known->address), known);
		return;
	}
	free(known->address);
	free(known);
}

static struct lookup *load_lookup(const struct config_node *node)
{
	struct config_errors errors = { 0 };
	struct lookup *lookup = node ? lookup_load(node, &errors) : NULL;

	if (node && !lookup)
		BUG("a look-up that was not checked: %s", errors.items[0].text);
	config_errors_release(&errors);
	return lookup;
}

static void load_side(struct side *side, const struct strings *only, const struct strings *texts)
{
	for (size_t i = 0; i < only->count; i++)
		add_known(side, only->items[i]);
	side->texts = texts;
	side->patterns = xcalloc(texts->count + 1, sizeof(*side->patterns));
	for (size_t i = 0; i < texts->count; i++) {
		char *why = NULL;

		if (pattern_init(&side->patterns[i], texts->items[i], &why) < 0)
			BUG("a pattern that was not checked: %s", why);
	}
}

struct rules *rules_load(const struct rules_options *options, const struct config_node *section)
{
	struct rules *rules = xcalloc(1, sizeof(*rules));

	rules->senders = (struct side){ .what = "Sender", .rule_names = { "lookup_senders", "only_senders", "regex_senders" } };
	rules->senders.lookup = load_lookup(options->lookup_senders);
	rules->senders.has_only = config_get(section, "only_senders");
	rules->senders.has_patterns = config_get(section, "regex_senders");
	load_side(&rules->senders, &options->only_senders, &options->regex_senders);
	rules->recipients = (struct side){ .what = "Recipient",
		.rule_names = { "lookup_recipients", "only_recipients", "regex_recipients" } };
	rules->recipients.lookup = load_lookup(options->lookup_recipients);
	rules->recipients.has_only = config_get(section, "only_recipients");
	rules->recipients.has_patterns = config_get(section, "regex_recipients");
	load_side(&rules->recipients, &options->only_recipients, &options->regex_recipients);
	rules->has_credentials = options->lookup_credentials;
	return rules;
}

void rules_open(struct rules *rules, struct event_base *base)
{
	if (rules->senders.lookup)
		lookup_open(rules->senders.lookup, base);
	if (rules->recipients.lookup)
		lookup_open(rules->recipients.lookup, base);
}

static void release_side(struct side *side)
{
	struct known *known, *next;

	lookup_free(side->lookup);
	HASH_ITER(hh, side->only, known, next) {
		HASH_DEL(side->only, known);
		free(known->address);
		free(known);
	}
	for (size_t i = 0; i < side->texts->count; i++)
		pattern_release(&side->patterns[i]);
	free(side->patterns);
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	release_side(&rules->senders);
	release_side(&rules->recipients);
	free(rules);
}

/* ---- deciding at once */

static bool is_only_known(const struct side *side, const char *address)
{
	char *canonical = canonical_address(address);
	struct known *known;

	HASH_FIND_STR(side->only, canonical, known);
	free(canonical);
	return known;
}

/* 1, 0, or -1 with the pattern that could not be decided. */
static int match(const struct side *side, const char *address, const char **pattern)
{
	char *text = xstrdup(address), *domain = strrchr(text, '@');
	int found = 0;

	if (domain)
		text_lower(domain);
	for (size_t i = 0; i < side->texts->count && !found; i++) {
		*pattern = side->texts->items[i];
		found = pattern_matches(&side->patterns[i], text);
	}
	free(text);
	return found;
}

static void refuse(const struct side *side, const char *address, const char *rule, const char *reason,
	struct rules_verdict *verdict)
{
	reply_set(&verdict->why, 550, "5.7.1", "%s <%s> Not allowed", side->what, address);
	verdict->rule = rule;
	verdict->reason = reason;
}

/* Who found an address for it can send that again and again: each refusal is in the log anyway. */
static void log_given_up(struct side *side, const struct rules_client *client, const char *address, const char *pattern)
{
	int64_t now = clock_boot_ms();

	if (now < side->quiet_ms)
		return;
	side->quiet_ms = now + QUIET_MS;
	log_error("edge", "gave up a pattern", LOG_TEXT("session", client->session), LOG_TEXT("client", client->ip),
		LOG_TEXT("address", address), LOG_TEXT("pattern", pattern),
		LOG_TEXT("reason", "it takes too long on this address"));
}

static void decide(struct side *side, const struct rules_client *client, const char *address,
	struct rules_verdict *verdict)
{
	const char *pattern = NULL;
	int found = 1;

	if (side->has_only) {
		if (!is_only_known(side, address))
			refuse(side, address, side->rule_names[RULE_ONLY], "not in the list", verdict);
		return;
	}
	if (side->has_patterns)
		found = match(side, address, &pattern);
	if (found > 0)
		return;
	refuse(side, address, side->rule_names[RULE_REGEX], found ? "a pattern takes too long" : "no pattern matches", verdict);
	if (found < 0) {
		log_given_up(side, client, address, pattern);
		reply_set(&verdict->why, 451, "4.3.0", "%s <%s> could not be checked, try again later", side->what, address);
	}
}

/* ---- asking */

struct rules_query {
	const struct side *side;
	char *address;
	struct lookup_query *lookup;
	rules_done_fn *done;
	void *arg;
};

static void query_free(struct rules_query *query)
{
	free(query->address);
	free(query);
}

static void on_found(void *arg, const struct lookup_fields *fields, const struct reply *why)
{
	struct rules_query *query = arg;
	struct rules_verdict verdict = { 0 };

	if (!fields)
		refuse(query->side, query->address, query->side->rule_names[RULE_LOOKUP], "not known", &verdict);
	if (why) {
		reply_copy(&verdict.why, why);
		verdict.reason = "the look-up failed";
	}
	query->done(query->arg, &verdict);
	reply_release(&verdict.why);
	query_free(query);
}

static struct rules_query *ask(struct side *side, const struct rules_client *client, const char *address,
	struct rules_verdict *verdict, rules_done_fn *done, void *arg)
{
	struct rules_query *query;

	if (!side->lookup) {
		decide(side, client, address, verdict);
		return NULL;
	}
	query = xcalloc(1, sizeof(*query));
	query->side = side;
	query->address = xstrdup(address);
	query->done = done;
	query->arg = arg;
	query->lookup = lookup_find(side->lookup, &(struct lookup_key){ address, client->user }, on_found, query);
	return query;
}

static bool is_set(const struct side *side)
{
	return side->lookup || side->has_only || side->has_patterns;
}

struct rules_query *rules_sender(struct rules *rules, const struct rules_client *client, const char *sender,
	struct rules_verdict *verdict, rules_done_fn *done, void *arg)
{
	/* What comes from nobody is for one of ours. */
	if (!*sender && is_set(&rules->recipients))
		return NULL;
	if (!is_set(&rules->senders) && rules->has_credentials && !client->user && !client->trusted) {
		refuse(&rules->senders, sender, "lookup_credentials", "not authenticated", verdict);
		return NULL;
	}
	return ask(&rules->senders, client, sender, verdict, done, arg);
}

struct rules_query *rules_recipient(struct rules *rules, const struct rules_client *client, const char *recipient,
	struct rules_verdict *verdict, rules_done_fn *done, void *arg)
{
	if (address_is_postmaster(recipient))
		return NULL;
	return ask(&rules->recipients, client, recipient, verdict, done, arg);
}

void rules_cancel(struct rules_query *query)
{
	if (!query)
		return;
	lookup_cancel(query->lookup);
	query_free(query);
}

/* ---- what they amount to */

bool rules_have_credentials(const struct rules *rules)
{
	return rules->has_credentials;
}

bool rules_have_senders(const struct rules *rules)
{
	return is_set(&rules->senders);
}

bool rules_have_recipients(const struct rules *rules)
{
	return is_set(&rules->recipients);
}

/* A pattern such as .* stands for everybody, and so do "all but ...", whatever looks like an address, all of a country. */
static bool match_strangers(const struct side *side)
{
	static const char *const localparts[] = { "x3q.kv7", "info", "Zoe", "a" };
	static const char *const hosts[] = { "d9w-5t.vxqj", "vxqjw", "k7" };
	static const char *const tops[] = { "com", "net", "org", "info", "edu", "eu", "de", "uk", "fr", "nl", "it", "es",
		"ru", "cn", "jp", "br" };
	const size_t locals = ARRAY_SIZE(localparts), of_top = locals * ARRAY_SIZE(hosts);
	const char *pattern;
	char address[64];

	for (size_t i = 0; i < of_top * ARRAY_SIZE(tops); i++) {
		snprintf(address, sizeof(address), "%s@%s.%s", localparts[i % locals], hosts[i % of_top / locals],
			tops[i / of_top]);
		if (match(side, address, &pattern) > 0)
			return true;
	}
	return false;
}

bool rules_limit_recipients(const struct rules *rules)
{
	const struct side *side = &rules->recipients;

	if (side->lookup || side->has_only || !side->has_patterns)
		return is_set(side);
	return !match_strangers(side);
}

bool rules_want_user(const struct rules *rules)
{
	if (is_set(&rules->recipients))
		return false;
	if (is_set(&rules->senders))
		return rules->senders.lookup && lookup_wants_authzid(rules->senders.lookup);
	return rules->has_credentials;
}
