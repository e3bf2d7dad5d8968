/* smtp_options.c - the keys that relays share which speak SMTP or LMTP, together
 * SPDX-License-Identifier: MIT */
#include "worker/smtp_options.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/message/address.h"
#include "common/policy/template.h"

static void check_not_empty(const struct config_node *node, void *field, struct config_errors *errors)
{
	if (!**(char **)field)
		config_error_at_value(errors, node, "expected text that is not empty");
}

const struct option smtp_credentials_rows[] = {
	{ "username", TEXT_FIELD(smtp_credentials, username), NULL, 0, 0, "the name of the user", .required = true,
		.check = check_not_empty },
	{ "password", TEXT_FIELD(smtp_credentials, password), NULL, 0, 0, "the password", .required = true,
		.check = check_not_empty },
	{ 0 }
};

void smtp_credentials_given(const struct config_node *node, void *field, struct config_errors *errors)
{
	struct smtp_credentials *credentials = field;

	credentials->given = node->kind == CONFIG_MAP;
	if (!credentials->given)
		config_error_at(errors, node, "expected a map with username and password");
}

/* ---- rules */

static void resolve_name(struct smtp_options *options, const struct config_node *section,
	const struct relay_setting *setting, struct config_errors *errors)
{
	const struct config_node *given = config_get(section, "ehlo_as");
	char *name = options->ehlo_as ? template_names(options->ehlo_as, setting->process, given ? given : section, errors)
		: NULL;

	if (!name)
		return;
	free(options->ehlo_as);
	options->ehlo_as = name;
	if (!address_is_ehlo_name(name, strlen(name)))
		config_error_at_value(errors, given ? given : section, "expected a host name for EHLO, not \"%s\"", name);
}

static void check_source(const struct smtp_options *options, const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *node = config_get(section, "source_address");
	const struct strings *given = &options->source_address;
	struct host_address address;
	size_t count[2] = { 0 };

	if (!node || node->broken)
		return;
	for (size_t i = 0; i < given->count; i++) {
		const struct config_node *item = node->kind == CONFIG_LIST && i < node->count ? node->items[i] : node;

		if (!host_address_parse(&address, given->items[i]))
			config_error_at_value(errors, item, "expected an IP address, not \"%s\"", given->items[i]);
		else if (count[address.any.sa_family == AF_INET6]++)
			config_error_at_value(errors, item, "expected at most one address of IPv4 and one of IPv6");
		else if (address.any.sa_family == AF_INET6 && options->ipv4_only)
			config_error_at_value(errors, item, "an address of IPv6, where ipv4_only leaves these out");
	}
	if (!given->count)
		config_error_at_value(errors, node, "expected an IP address");
}

static bool has_broken(const struct config_node *section, const char *key)
{
	const struct config_node *node = config_get(section, key);

	return node && node->broken;
}

static void check_tls(const struct smtp_options *options, const struct config_node *section, struct config_errors *errors)
{
	const struct config_node *credentials = config_get(section, "credentials");
	const struct config_node *without = config_get(section, "auth_without_tls");
	bool may_have_tls = options->tls.given || config_get(section, "tls");

	if (!may_have_tls && options->require_tls)
		config_error_at(errors, config_get(section, "require_tls"), "expected tls with it, be it {}");
	if (!may_have_tls && options->tls_immediately)
		config_error_at(errors, config_get(section, "tls_immediately"), "expected tls with it, be it {}");
	if (!may_have_tls && options->credentials.given && !options->auth_without_tls && !has_broken(section, "auth_without_tls"))
		config_error_at(errors, credentials,
			"expected tls with it: credentials are sent without TLS where auth_without_tls says so alone");
	if (options->auth_without_tls && !credentials)
		config_warning_at(errors, without, "means nothing without credentials");
	tls_client_check(&options->tls, config_get(section, "tls"), errors);
}

static int64_t longest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

void smtp_options_check(struct smtp_options *options, struct relay *relay, const struct config_node *section,
	const struct relay_setting *setting, struct config_errors *errors)
{
	resolve_name(options, section, setting, errors);
	check_source(options, section, errors);
	check_tls(options, section, errors);
	relay->step_ms = longest(options->data_timeout_ms, longest(options->command_timeout_ms, options->connect_timeout_ms));
	relay->answer_ms = options->data_timeout_ms;
}

bool smtp_options_source(const struct smtp_options *options, int family, struct host_address *address)
{
	for (size_t i = 0; i < options->source_address.count; i++)
		if (host_address_parse(address, options->source_address.items[i]) && address->any.sa_family == family)
			return true;
	return false;
}
