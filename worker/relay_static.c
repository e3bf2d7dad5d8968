/* relay_static.c - gives all messages to one next hop by SMTP
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/message/address.h"
#include "common/net/resolver.h"
#include "worker/destinations.h"
#include "worker/relay_drivers.h"
#include "worker/sending.h"
#include "worker/smtp_options.h"

struct static_relay {
	struct relay relay;
	struct smtp_options smtp;
	char *host;
	unsigned port;

	struct resolver *resolver;
	struct destinations *destinations;
	struct sendings sendings;
};

static const struct option rows[] = {
	{ "host", TEXT_FIELD(static_relay, host), NULL, 0, 0, "name or address of the next hop", .required = true },
	{ "port", UINT_FIELD(static_relay, port), "25", 1, 65535, "its port" },
	SMTP_RELAY_ROWS(static_relay, smtp),
	SMTP_CREDENTIALS_ROWS(static_relay, smtp),
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

static void static_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct static_relay *self = (struct static_relay *)relay;

	check_host(self, section, errors);
	smtp_options_check(&self->smtp, relay, section, setting, errors);
	/* As many under way as there may be connections, and as many ready to follow. */
	relay->capacity = 2 * self->smtp.concurrent_connections;
}

static void on_examined(void *arg, struct sending *sending)
{
	struct static_relay *self = arg;

	destinations_send(self->destinations, self->host, self->port, sending_add_all(sending, NULL, NULL));
}

static int static_open(struct relay *relay)
{
	struct static_relay *self = (struct static_relay *)relay;
	const struct relay_context *context = &relay->context;

	self->resolver = resolver_new(context->base, &context->process->resolver);
	if (!self->resolver)
		return -1;
	self->destinations = destinations_new(relay, &self->smtp, self->resolver);
	if (!self->destinations)
		return -1;
	sendings_init(&self->sendings, context->base, context->disk, on_examined, self);
	return 0;
}

static void static_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	sending_new(&((struct static_relay *)relay)->sendings, delivery);
}

static void static_drain(struct relay *relay, int64_t bound_ms)
{
	destinations_drain(((struct static_relay *)relay)->destinations, bound_ms);
}

static void static_close(struct relay *relay)
{
	struct static_relay *self = (struct static_relay *)relay;

	destinations_free(self->destinations);
	sendings_release(&self->sendings);
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
