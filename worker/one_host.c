/* one_host.c - a relay that gives all messages to one next hop: what static and lmtp share
 * SPDX-License-Identifier: MIT */
#include "worker/one_host.h"

#include <string.h>
#include <sys/un.h>

#include "common/message/address.h"
#include "common/net/resolver.h"
#include "worker/destinations.h"

static void check_host(const struct one_host *self, const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *given = config_get(section, "host");
	struct host_address address;

	if (!self->host || host_address_parse(&address, self->host))
		return;
	if (!address_is_ehlo_name(self->host, strlen(self->host)))
		config_error_at_value(errors, given, "expected the name or the address of a host");
}

/* What is about hosts means nothing to a socket. */
static void check_path(const struct one_host *self, const struct config_node *section, struct config_errors *errors)
{
	static const char *const others[] = { "host", "port", "tls", "source_address", "ipv4_only" };
	const struct config_node *path = config_get(section, "path");

	if (!self->path)
		return;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (config_get(section, others[i]))
			config_error_at(errors, config_get(section, others[i]), "given together with path; expected one of them");
	if (strlen(self->path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		config_error_at_value(errors, path, "expected a path of at most %zu octets",
			sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
}

void one_host_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct one_host *self = (struct one_host *)relay;

	check_host(self, section, errors);
	check_path(self, section, errors);
	smtp_options_check(&self->smtp, relay, section, setting, errors);
	/* As many under way as there may be connections, and as many ready to follow. */
	relay->capacity = 2 * self->smtp.concurrent_connections;
}

static void on_examined(void *arg, struct sending *sending)
{
	struct one_host *self = arg;

	destinations_send(self->destinations, self->path ? self->path : self->host, self->path ? 0 : self->port,
		sending_add_all(sending, NULL, NULL));
}

int one_host_open(struct relay *relay)
{
	struct one_host *self = (struct one_host *)relay;
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

void one_host_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	sending_new(&((struct one_host *)relay)->sendings, delivery);
}

void one_host_drain(struct relay *relay, int64_t bound_ms)
{
	destinations_drain(((struct one_host *)relay)->destinations, bound_ms);
}

void one_host_close(struct relay *relay)
{
	struct one_host *self = (struct one_host *)relay;

	destinations_free(self->destinations);
	sendings_release(&self->sendings);
	resolver_free(self->resolver);
}
