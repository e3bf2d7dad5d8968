/* relay_mx.c - gives mail to the hosts that the DNS names for its recipients' domains, by SMTP
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>

#include "common/base/memory.h"
#include "worker/mx_parcel.h"
#include "worker/relay_drivers.h"
#include "worker/smtp_options.h"

#define CAPACITY 1000		/* messages under way: many next hops, of which some are slow */

struct mx_relay {
	struct relay relay;
	struct smtp_options smtp;
	struct option_pairs force_mx;
	unsigned port;

	struct resolver *resolver;
	struct forced_table forced;
	struct myself myself;
	struct sendings sendings;
	struct mx_mailings mailings;
	struct event *drained;
};

static const struct option rows[] = {
	{ "force_mx", PAIRS_FIELD(mx_relay, force_mx), NULL, 0, 0,
		"domains whose mail goes elsewhere: DOMAIN: HOST, HOST:PORT or @OTHER-DOMAIN, whose hosts get it then",
		.alias = "override_mx", .check = forced_check },
	{ "port", UINT_FIELD(mx_relay, port), "25", 1, 65535, "of all hosts that force_mx gives no other" },
	SMTP_RELAY_ROWS(mx_relay, smtp),
	{ 0 },
};

static void mx_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct mx_relay *self = (struct mx_relay *)relay;

	smtp_options_check(&self->smtp, relay, section, setting, errors);
	relay->capacity = CAPACITY;
}

static void on_examined(void *arg, struct sending *sending)
{
	struct mx_relay *self = arg;

	mx_mailing_begin(&self->mailings, sending);
}

static void on_drained(evutil_socket_t fd, short what, void *arg)
{
	struct mx_relay *self = arg;

	(void)fd;
	(void)what;
	mx_mailings_drain(&self->mailings);
}

static int mx_open(struct relay *relay)
{
	struct mx_relay *self = (struct mx_relay *)relay;
	const struct relay_context *context = &relay->context;

	TAILQ_INIT(&self->mailings.all);
	self->resolver = resolver_new(context->base, &context->process->resolver);
	if (!self->resolver)
		return -1;
	self->mailings.destinations = destinations_new(relay, &self->smtp, self->resolver);
	if (!self->mailings.destinations)
		return -1;
	forced_table_init(&self->forced, &self->force_mx);
	myself_add_name(&self->myself, self->smtp.ehlo_as);
	myself_add_name(&self->myself, context->process->fqdn);
	myself_add_name(&self->myself, context->process->hostname);
	self->mailings.routes = (struct routes){ .base = context->base, .resolver = self->resolver, .forced = &self->forced,
		.myself = &self->myself, .port = self->port };
	self->drained = event_new(context->base, -1, 0, on_drained, self);
	if (!self->drained)
		BUG("no event for a relay");
	sendings_init(&self->sendings, context->base, context->disk, on_examined, self);
	return 0;
}

static void mx_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	sending_new(&((struct mx_relay *)relay)->sendings, delivery);
}

static void mx_drain(struct relay *relay, int64_t bound_ms)
{
	struct mx_relay *self = (struct mx_relay *)relay;

	event_active(self->drained, EV_TIMEOUT, 0);
	destinations_drain(self->mailings.destinations, bound_ms);
}

static void mx_close(struct relay *relay)
{
	struct mx_relay *self = (struct mx_relay *)relay;

	destinations_free(self->mailings.destinations);
	if (self->drained) {
		mx_mailings_release(&self->mailings);
		event_free(self->drained);
	}
	sendings_release(&self->sendings);
	resolver_free(self->resolver);
	forced_table_release(&self->forced);
	myself_release(&self->myself);
}

const struct relay_driver relay_mx = {
	.type = "mx",
	.size = sizeof(struct mx_relay),
	.options = rows,
	.check = mx_check,
	.open = mx_open,
	.deliver = mx_deliver,
	.drain = mx_drain,
	.close = mx_close,
};
