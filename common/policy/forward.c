/* forward.c - forward: recipients rewritten by patterns
 * SPDX-License-Identifier: MIT
 * The first pattern that is found in a recipient and leaves something of it decides; what it makes has to be an
 * address, else the recipient stays. */
#include <stdlib.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/policy/drivers.h"
#include "common/policy/substitution.h"

struct forward {
	struct policy policy;
	struct option_pairs mapping;
	struct substitution **substitutions;	/* one a pair */
	size_t count;
};

static const struct option rows[] = {
	{ "mapping", PAIRS_FIELD(forward, mapping), NULL, 0, 0,
		"regular expressions, and what takes the place of what they match in a recipient", .required = true },
	{ 0 }
};

static int load(struct policy *policy, const struct config_node *node, struct config_errors *errors)
{
	struct forward *self = (struct forward *)policy;
	const struct config_node *mapping = config_get(node, "mapping");
	size_t before = errors->error_count;

	self->substitutions = xcalloc(self->mapping.count + 1, sizeof(struct substitution *));
	self->count = self->mapping.count;
	for (size_t i = 0; i < self->count; i++) {
		bool in_replacement;
		char *why = NULL;

		self->substitutions[i] = substitution_new(self->mapping.keys[i], self->mapping.values[i],
			&in_replacement, &why);
		if (why && in_replacement)
			config_error_at_value(errors, config_get(mapping, self->mapping.keys[i]), "%s", why);
		else if (why)
			config_error_at(errors, config_get(mapping, self->mapping.keys[i]), "%s", why);
		free(why);
	}
	return errors->error_count == before ? 0 : -1;
}

static void close_forward(struct policy *policy)
{
	struct forward *self = (struct forward *)policy;

	for (size_t i = 0; i < self->count; i++)
		substitution_free(self->substitutions[i]);
	free(self->substitutions);
}

/* Owned; NULL: it is no address. */
static char *as_address(const struct buffer *text)
{
	struct buffer path = { 0 };
	const char *why;
	char *address = NULL;

	buffer_appendf(&path, "<%s>", buffer_str(text));
	/* A NUL would end the text before its end. */
	if (path.size == text->size + 2 && address_parse_path(path.data, path.size, ADDRESS_FORWARD_PATH, true, &address,
				&why) != (long)path.size) {
		free(address);
		address = NULL;
	}
	buffer_release(&path);
	return address;
}

static void replace(struct envelope *envelope, struct recipient *recipient, const struct buffer *text)
{
	char *address = as_address(text);

	if (!address) {
		log_warn("policy", "did not forward", LOG_TEXT("id", envelope->id),
			LOG_TEXT("recipient", recipient->address), LOG_TEXT("to", buffer_str(text)),
			LOG_TEXT("reason", "that is no address"));
		return;
	}
	if (strcmp(address, recipient->address) != 0)
		log_info("policy", "forwarded", LOG_TEXT("id", envelope->id),
			LOG_TEXT("recipient", recipient->address), LOG_TEXT("to", address));
	envelope->smtputf8 |= !address_is_ascii(address);
	free(recipient->address);
	recipient->address = address;
}

/* A pattern that does not come to an end leaves open where the message goes, so it goes nowhere yet. */
static void fail(const struct forward *self, size_t i, const struct envelope *envelope, const char *recipient,
	struct reply *why)
{
	log_error("policy", "gave up a pattern", LOG_TEXT("id", envelope->id), LOG_TEXT("recipient", recipient),
		LOG_TEXT("pattern", self->mapping.keys[i]),
		LOG_TEXT("reason", "it takes too long on this recipient, or makes too much of it"));
	reply_set(why, 451, "4.3.0", "Error queuing message");
}

static int apply(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	const struct forward *self = (const struct forward *)policy;
	struct envelope *envelope = *in;
	struct buffer text = { 0 };
	int result = 0;

	(void)out;
	for (size_t i = 0; i < envelope->recipient_count && result >= 0; i++) {
		struct recipient *recipient = &envelope->recipients[i];

		for (size_t j = 0; j < self->count; j++) {
			result = substitution_run(self->substitutions[j], recipient->address,
				strlen(recipient->address), &text);
			if (result < 0)
				fail(self, j, envelope, recipient->address, why);
			else if (result > 0 && text.size)
				replace(envelope, recipient, &text);
			if (result < 0 || (result > 0 && text.size))
				break;
		}
	}
	buffer_release(&text);
	return result < 0 ? -1 : 0;
}

const struct policy_driver policy_forward = {
	.type = "forward",
	.size = sizeof(struct forward),
	.options = rows,
	.load = load,
	.apply = apply,
	.close = close_forward,
};
