/* relay.c - the front of the relays: the only caller of their drivers
 * SPDX-License-Identifier: MIT */
#include "worker/relay.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "worker/relay_drivers.h"
#include "worker/spawn_protocol.h"

#define LEASE_MARGIN_MS 30000

const struct relay_driver *const relay_drivers[] = { &relay_blackhole, &relay_dovecot, &relay_lmtp, &relay_maildrop, &relay_mx,
	&relay_pipe, &relay_static, NULL };

static const struct relay_driver *find_driver(const char *type)
{
	for (size_t i = 0; relay_drivers[i]; i++)
		if (strcmp(relay_drivers[i]->type, type) == 0)
			return relay_drivers[i];
	return NULL;
}

/* NULL for a type that is missing, unknown or not built: the check of the structure, which comes first, says so. */
static const struct relay_driver *driver_of(const struct config_node *section)
{
	const struct config_node *type = config_get(section, "type");

	return type && type->kind == CONFIG_SCALAR ? find_driver(type->text) : NULL;
}

/* A lease that may end in the midst of a step would have its message delivered twice. */
static void check_lease(const struct config_node *queue, const struct relay *relay, struct config_errors *errors)
{
	const struct config_node *name = config_get(queue, "relay"), *lease = config_get(queue, "lease");
	struct config_errors said_elsewhere = { 0 };
	int64_t ms;

	if (name && name->text && strcmp(name->text, relay->name) == 0 && lease &&
			option_read_time(lease, &ms, &said_elsewhere) == 0 && ms <= relay->step_ms + LEASE_MARGIN_MS)
		config_error_at_value(errors, lease, "expected more than %lld seconds: what relay \"%s\" may be silent for, "
			"and %d", (long long)(relay->step_ms + LEASE_MARGIN_MS) / 1000, relay->name, LEASE_MARGIN_MS / 1000);
	config_errors_release(&said_elsewhere);
}

static void check_leases(const struct relay_setting *setting, const struct relay *relay, struct config_errors *errors)
{
	const struct config_node *queues = config_get(config_root(setting->config), "queue");

	for (size_t i = 0; queues && queues->kind == CONFIG_MAP && i < queues->count; i++)
		check_lease(queues->items[i], relay, errors);
}

/* A relay also when there were errors in its section; NULL if it is not known which kind it is. */
static struct relay *load_section(const struct relay_setting *setting, const struct config_node *section,
	struct config_errors *errors)
{
	static const char *const ignore[] = { "type", NULL };
	const struct relay_driver *driver = driver_of(section);
	char *kind;
	struct relay *relay;

	if (!driver)
		return NULL;
	kind = xasprintf("relay.%s", driver->type);
	relay = xcalloc(1, driver->size);
	relay->driver = driver;
	relay->name = xstrdup(section->key);
	if (strlen(relay->name) > SPAWN_RELAY_MAX)
		config_error_at(errors, section, "expected a name of at most %d characters", SPAWN_RELAY_MAX);
	options_load(kind, section, (struct option_set[]){ { driver->options, relay } }, 1, ignore, errors);
	driver->check(relay, section, setting, errors);
	check_leases(setting, relay, errors);
	free(kind);
	return relay;
}

int relay_check_all(const struct relay_setting *setting, struct config_errors *errors)
{
	const struct config_node *all = config_get(config_root(setting->config), "relay");
	size_t before = errors->error_count;

	for (size_t i = 0; all && i < all->count; i++)
		relay_free(load_section(setting, all->items[i], errors));
	return errors->error_count == before ? 0 : -1;
}

void relay_list_options(struct buffer *out)
{
	for (size_t i = 0; relay_drivers[i]; i++) {
		char *kind = xasprintf("relay.%s", relay_drivers[i]->type);

		options_list(kind, relay_drivers[i]->options, out);
		free(kind);
	}
}

struct relay *relay_load(const struct relay_setting *setting, const char *name, struct config_errors *errors)
{
	const struct config_node *section = config_section(setting->config, "relay", name);
	size_t before = errors->error_count;
	struct relay *relay = NULL;

	if (section)
		relay = load_section(setting, section, errors);
	else
		config_error_at(errors, config_root(setting->config), "no relay is named \"%s\"", name);
	if (errors->error_count == before)
		return relay;
	relay_free(relay);
	return NULL;
}

int relay_open(struct relay *relay, const struct relay_context *context)
{
	relay->context = *context;
	return relay->driver->open(relay);
}

void relay_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	relay->driver->deliver(relay, delivery);
}

void relay_drain(struct relay *relay, int64_t bound_ms)
{
	relay->driver->drain(relay, bound_ms);
}

void relay_close(struct relay *relay)
{
	if (!relay || relay->closed)
		return;
	relay->closed = true;
	relay->driver->close(relay);
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay_close(relay);
	options_release(relay->driver->options, relay);
	free(relay->name);
	free(relay);
}

const struct command *relay_command(const struct relay *relay)
{
	return relay->driver->command ? relay->driver->command(relay) : NULL;
}

bool relay_is_open(const struct relay_delivery *delivery, size_t index)
{
	return !(delivery->left_out && delivery->left_out[index]) && outcome_is_open(outcomes_find(delivery->done, index));
}

void relay_say_in_line(const struct relay_delivery *delivery, bool waits)
{
	if (delivery->in_line)
		delivery->in_line(delivery->arg, waits);
}
