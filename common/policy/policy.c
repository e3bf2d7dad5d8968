/* policy.c - the policies of a queue: read, and run one after the other
 * SPDX-License-Identifier: MIT */
#include "common/policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/memory.h"
#include "common/config/values.h"
#include "common/policy/drivers.h"

const struct policy_driver *const policy_drivers[] = {
	&policy_date,
	&policy_message_id,
	&policy_received,
	&policy_recipient_split,
	&policy_recipient_domain_split,
	&policy_forward,
	NULL
};

struct policy_chain {
	struct policy **policies;
	size_t count;
};

/* ---- lists of messages */

void envelopes_add(struct envelopes *list, struct envelope **taken)
{
	list->items = xgrow(list->items, list->count, sizeof(list->items[0]));
	list->items[list->count++] = *taken;
	*taken = NULL;
}

void envelopes_release(struct envelopes *list)
{
	for (size_t i = 0; i < list->count; i++)
		envelope_free(list->items[i]);
	free(list->items);
	*list = (struct envelopes){ 0 };
}

/* ---- reading */

static const struct policy_driver *find(const char *type)
{
	for (size_t i = 0; policy_drivers[i]; i++) {
		const struct policy_driver *driver = policy_drivers[i];

		if (!strcmp(driver->type, type) || (driver->alias && !strcmp(driver->alias, type)))
			return driver;
	}
	return NULL;
}

struct names {
	const char **items;
	size_t count;
};

static void add_name(const char *name, void *arg)
{
	struct names *names = arg;

	names->items = xrealloc(names->items, names->count + 1, sizeof(names->items[0]));
	names->items[names->count++] = name;
}

/* The unbuilt ones stand in their table as "type=NAME". */
static void add_unbuilt(const char *name, void *arg)
{
	if (text_has_prefix(name, "type="))
		add_name(name + strlen("type="), arg);
}

static void say_unknown(const struct config_node *node, struct config_errors *errors)
{
	struct names names = { 0 };
	struct buffer text = { 0 };

	for (size_t i = 0; policy_drivers[i]; i++)
		add_name(policy_drivers[i]->type, &names);
	option_each_unbuilt("policy", add_unbuilt, &names);
	buffer_append_str(&text, "no policy is called ");
	quoted(&text, node->text, strlen(node->text));
	option_suggest(&text, node->text, names.items, names.count);
	config_error_at_value(errors, node, "%s", buffer_str(&text));
	buffer_release(&text);
	free(names.items);
}

static const struct policy_driver *driver_of(const struct config_node *item, struct config_errors *errors)
{
	const struct config_node *type = config_get(item, "type");
	const struct policy_driver *driver;
	struct buffer name = { 0 };

	if (item->kind != CONFIG_MAP) {
		option_expected(item, "a map with the `type` of a policy", errors);
		return NULL;
	}
	if (!type) {
		option_missing(item, "type", "the name of a policy", errors);
		return NULL;
	}
	if (type->kind != CONFIG_SCALAR) {
		option_expected(type, "the name of a policy", errors);
		return NULL;
	}
	driver = find(type->text);
	if (driver)
		return driver;
	buffer_appendf(&name, "type=%s", type->text);
	if (!option_is_unbuilt("policy", buffer_str(&name), type, errors))
		say_unknown(type, errors);
	buffer_release(&name);
	return NULL;
}

static void policy_free(struct policy *policy)
{
	if (policy->driver->close)
		policy->driver->close(policy);
	options_release(policy->driver->options, policy);
	free(policy);
}

static struct policy *load_policy(const struct config_node *item, const struct process_options *process,
	struct config_errors *errors)
{
	static const char *const ignore[] = { "type", NULL };
	const struct policy_driver *driver = driver_of(item, errors);
	struct policy *policy;
	char *kind;
	int result;

	if (!driver)
		return NULL;
	policy = xcalloc(1, driver->size);
	policy->driver = driver;
	policy->process = process;
	kind = xasprintf("policy.%s", driver->type);
	result = options_load(kind, item, &(struct option_set){ driver->options, policy }, 1, ignore, errors);
	free(kind);
	if (result == 0 && driver->load)
		result = driver->load(policy, item, errors);
	if (result == 0)
		return policy;
	policy_free(policy);
	return NULL;
}

void policy_chain_add(struct policy_chain *chain, struct policy **taken)
{
	chain->policies = xrealloc(chain->policies, chain->count + 1, sizeof(chain->policies[0]));
	chain->policies[chain->count++] = *taken;
	*taken = NULL;
}

struct policy_chain *policy_chain_load(const struct config_node *list, const struct process_options *process,
	struct config_errors *errors)
{
	struct policy_chain *chain = xcalloc(1, sizeof(*chain));
	size_t before = errors->error_count;

	if (!list || list->kind == CONFIG_NULL)
		return chain;
	if (list->kind != CONFIG_LIST)
		option_expected(list, "a list of policies, each a map with a `type`", errors);
	for (size_t i = 0; list->kind == CONFIG_LIST && i < list->count; i++) {
		struct policy *policy = load_policy(list->items[i], process, errors);

		if (policy)
			policy_chain_add(chain, &policy);
	}
	if (errors->error_count == before)
		return chain;
	policy_chain_free(chain);
	return NULL;
}

int policy_chain_open(struct policy_chain *chain, struct event_base *base)
{
	for (size_t i = 0; i < chain->count; i++) {
		const struct policy_driver *driver = chain->policies[i]->driver;

		if (driver->open && driver->open(chain->policies[i], base) < 0)
			return -1;
	}
	return 0;
}

void policy_chain_free(struct policy_chain *chain)
{
	if (!chain)
		return;
	for (size_t i = 0; i < chain->count; i++)
		policy_free(chain->policies[i]);
	free(chain->policies);
	free(chain);
}

void policy_list_options(struct buffer *out)
{
	for (size_t i = 0; policy_drivers[i]; i++) {
		char *kind = xasprintf("policy.%s", policy_drivers[i]->type);

		options_list(kind, policy_drivers[i]->options, out);
		free(kind);
	}
}

/* ---- running: policy by policy, each over all that the one before gave */

struct run {
	struct policy_chain *chain;
	struct envelopes now;		/* what the policy at hand gets */
	struct envelopes next;		/* what it has given */
	size_t policy, item;
	struct envelopes *out;
	policy_done_fn *done;
	void *arg;
};

static void finish(struct run *run, const struct reply *why)
{
	if (!why)
		for (size_t i = 0; i < run->now.count; i++)
			envelopes_add(run->out, &run->now.items[i]);
	envelopes_release(&run->now);
	envelopes_release(&run->next);
	run->done(run->arg, why);
	free(run);
}

/* True if the run goes on. */
static bool settle(struct run *run, const struct reply *why)
{
	struct envelope **item = &run->now.items[run->item];

	if (why) {
		finish(run, why);
		return false;
	}
	if (*item)
		envelopes_add(&run->next, item);
	run->item++;
	return true;
}

static void advance(struct run *run);

static void on_done(void *arg, const struct reply *why)
{
	if (settle(arg, why))
		advance(arg);
}

static bool apply(struct run *run, struct policy *policy)
{
	struct reply why = { 0 };
	bool goes_on;

	if (policy->driver->apply(policy, &run->now.items[run->item], &run->next, &why) < 0 && reply_is_none(&why))
		reply_set(&why, 451, "4.3.0", "Error queuing message");
	goes_on = settle(run, reply_is_none(&why) ? NULL : &why);
	reply_release(&why);
	return goes_on;
}

static void next_policy(struct run *run)
{
	envelopes_release(&run->now);
	run->now = run->next;
	run->next = (struct envelopes){ 0 };
	run->item = 0;
	run->policy++;
}

static void advance(struct run *run)
{
	while (run->policy < run->chain->count) {
		struct policy *policy = run->chain->policies[run->policy];

		if (run->item == run->now.count) {
			next_policy(run);
		} else if (policy->driver->start) {
			policy->driver->start(policy, &run->now.items[run->item], &run->next, on_done, run);
			return;
		} else if (!apply(run, policy)) {
			return;
		}
	}
	finish(run, NULL);
}

void policy_chain_run(struct policy_chain *chain, struct envelope **envelope, struct envelopes *out,
	policy_done_fn *done, void *arg)
{
	struct run *run = xcalloc(1, sizeof(*run));

	run->chain = chain;
	run->out = out;
	run->done = done;
	run->arg = arg;
	envelopes_add(&run->now, envelope);
	advance(run);
}
