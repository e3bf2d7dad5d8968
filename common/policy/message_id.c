/* message_id.c - add_message_id_header: a Message-Id field for a message that has none
 * SPDX-License-Identifier: MIT
 * Made from what the message is known by, so copies of one message, and a message that is made again, get
 * the same. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/message/header.h"
#include "common/policy/drivers.h"

struct message_id_policy {
	struct policy policy;
	char *hostname;		/* the template; from load() on the name */
};

static const struct option rows[] = {
	{ "hostname", TEXT_FIELD(message_id_policy, hostname), "{fqdn}", 0, 0, "template: the name behind the @" },
	{ 0 }
};

static int load(struct policy *policy, const struct config_node *node, struct config_errors *errors)
{
	struct message_id_policy *self = (struct message_id_policy *)policy;
	const struct config_node *given = config_get(node, "hostname");
	char *name = template_names(self->hostname, policy->process, given ? given : node, errors);

	if (!name)
		return -1;
	free(self->hostname);
	self->hostname = name;
	if (address_is_ehlo_name(name, strlen(name)))
		return 0;
	config_error_at_value(errors, given ? given : node, "expected a host name behind the @, not \"%s\"", name);
	return -1;
}

static int apply(struct policy *policy, struct envelope **in, struct envelopes *out, struct reply *why)
{
	const struct message_id_policy *self = (const struct message_id_policy *)policy;
	const struct envelope *envelope = *in;
	char *id;

	(void)out;
	(void)why;
	if (header_has(&envelope->content, "Message-Id"))
		return 0;
	id = xasprintf("<%s.%" PRId64 "@%s>", envelope->origin[0] ? envelope->origin : envelope->id,
		envelope->timestamp_ms / 1000, self->hostname);
	header_append(&(*in)->content, "Message-Id", id);
	free(id);
	return 0;
}

const struct policy_driver policy_message_id = {
	.type = "add_message_id_header",
	.alias = "add_messageid_header",
	.size = sizeof(struct message_id_policy),
	.options = rows,
	.load = load,
	.apply = apply,
};
