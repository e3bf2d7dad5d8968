/* relay_static.c - gives all messages to one next hop by SMTP
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/net/hosts.h"
#include "worker/destination.h"
#include "worker/relay_drivers.h"
#include "worker/sending.h"

#define CONNECTIONS_MAX 1000

struct static_relay {
	struct relay relay;
	char *host, *ehlo_as;
	unsigned port, concurrent_connections;
	int64_t connect_timeout_ms, command_timeout_ms, data_timeout_ms, idle_timeout_ms;

	struct resolver *resolver;
	struct slots *slots;
	struct destination *destination;
	struct sendings sendings;
};

static const struct option rows[] = {
	{ "host", TEXT_FIELD(static_relay, host), NULL, 0, 0, "name or address of the next hop", .required = true },
	{ "port", UINT_FIELD(static_relay, port), "25", 1, 65535, "its port" },
	{ "connect_timeout", TIME_FIELD(static_relay, connect_timeout_ms), "30", 10, 86400000,
		"time for a connection to one address to be made" },
	{ "command_timeout", TIME_FIELD(static_relay, command_timeout_ms), "30", 10, 86400000,
		"time of silence after a command, and before the greeting" },
	{ "data_timeout", TIME_FIELD(static_relay, data_timeout_ms), "60", 10, 86400000,
		"time of silence while the message is sent, and until its end is answered" },
	{ "idle_timeout", TIME_FIELD(static_relay, idle_timeout_ms), "10", 0, 86400000,
		"time that a connection is kept for the next message" },
	{ "concurrent_connections", UINT_FIELD(static_relay, concurrent_connections), "5", 1, CONNECTIONS_MAX,
		"connections at once, over all workers of this machine" },
	{ "ehlo_as", TEXT_FIELD(static_relay, ehlo_as), "{fqdn}", 0, 0, "template: what EHLO says" },
	{ 0 },
};

static void check_host(const struct static_relay *self, const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *given = config_get(section, "host");
	struct host_address address;

	if (!self->host || host_address_parse(&address, self->host))
		return;
	if (!address_is_ehlo_name(self->host, strlen(self->host)))
		config_error_at_value(errors, given, "expected the name or the address of a host");
}

static void resolve_name(struct static_relay *self, const struct config_node *section,
	const struct relay_setting *setting, struct config_errors *errors)
{
	const struct config_node *given = config_get(section, "ehlo_as");
	char *name = self->ehlo_as ? template_names(self->ehlo_as, setting->process, given ? given : section, errors) : NULL;

	if (!name)
		return;
	free(self->ehlo_as);
	self->ehlo_as = name;
	if (!address_is_ehlo_name(name, strlen(name)))
		config_error_at_value(errors, given ? given : section, "expected a host name for EHLO, not \"%s\"", name);
}

static int64_t longest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void static_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct static_relay *self = (struct static_relay *)relay;

	check_host(self, section, errors);
	resolve_name(self, section, setting, errors);
	/* As many under way as there may be connections, and as many ready to follow. */
	relay->capacity = 2 * self->concurrent_connections;
	relay->step_ms = longest(self->data_timeout_ms, longest(self->command_timeout_ms, self->connect_timeout_ms));
	relay->answer_ms = self->data_timeout_ms;
}

static void on_examined(void *arg, struct sending *sending)
{
	struct static_relay *self = arg;

	destination_send(self->destination, sending_add_all(sending, NULL, NULL));
}

static int static_open(struct relay *relay)
{
	struct static_relay *self = (struct static_relay *)relay;
	const struct relay_context *context = &relay->context;
	struct destination_settings settings = {
		.connection = { .base = context->base, .relay = relay->name, .host = self->host, .port = self->port,
			.connect_timeout_ms = self->connect_timeout_ms, .idle_timeout_ms = self->idle_timeout_ms,
			.client = { self->ehlo_as, self->command_timeout_ms, self->data_timeout_ms } },
	};

	self->resolver = resolver_new(context->base, &context->process->resolver);
	if (!self->resolver)
		return -1;
	self->slots = slots_open(context->process->runtime_dir, relay->name, self->host, self->port,
		self->concurrent_connections);
	if (!self->slots) {
		log_error("relay", "could not open the table of destinations",
			LOG_TEXT("runtime_dir", context->process->runtime_dir), LOG_TEXT("error", strerror(errno)));
		return -1;
	}
	settings.connection.resolver = self->resolver;
	settings.slots = self->slots;
	self->destination = destination_new(&settings);
	sendings_init(&self->sendings, context->base, context->disk, on_examined, self);
	return 0;
}

static void static_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	sending_new(&((struct static_relay *)relay)->sendings, delivery);
}

static void static_drain(struct relay *relay, int64_t bound_ms)
{
	destination_drain(((struct static_relay *)relay)->destination, bound_ms);
}

static void static_close(struct relay *relay)
{
	struct static_relay *self = (struct static_relay *)relay;

	destination_free(self->destination);
	sendings_release(&self->sendings);
	slots_close(self->slots);
	resolver_free(self->resolver);
}

const struct relay_driver relay_static = {
	.type = "static",
	.size = sizeof(struct static_relay),
	.options = rows,
	.check = static_check,
	.open = static_open,
	.deliver = static_deliver,
	.drain = static_drain,
	.close = static_close,
};
