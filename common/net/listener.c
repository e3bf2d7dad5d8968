/* listener.c - the options of listening sockets
 * SPDX-License-Identifier: MIT */
#include "common/net/listener.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

static const char *const types[] = { "tcp", "tcp4", "tcp6", "unix", NULL };

const struct option listener_rows[] = {
	{ "type", CHOICE_FIELD(listener_options, type), "tcp", 0, 0,
		"tcp, tcp4, tcp6 or unix; a path alone means unix", .choices = types },
	{ "interface", TEXT_FIELD(listener_options, interface), NULL, 0, 0,
		"address or host name, else 127.0.0.1 (tcp6: ::1); '' or '*': all, v4 and v6" },
	{ "port", UINT_FIELD(listener_options, port), NULL, 1, 65535,
		"TCP port; 25 if absent, for http 8025" },
	{ "path", PATH_FIELD(listener_options, path), NULL, 0, 0, "of a unix socket" },
	{ "mode", TEXT_FIELD(listener_options, mode_text), "0660", 0, 0,
		"permissions of a unix socket's file, in octal" },
	{ "backlog", UINT_FIELD(listener_options, backlog), "256", 1, 65535,
		"connections that may wait to be accepted" },
	{ 0 }
};

unsigned listener_default_port(const struct config_node *edge)
{
	const struct config_node *type = config_get(edge, "type");

	return type && type->kind == CONFIG_SCALAR && strcmp(type->text, "http") == 0 ? 8025 : 25;
}

static const struct config_node *member(const struct config_node *map, const char *key)
{
	const struct config_node *found = config_get(map, key);

	return found ? found : map;
}

static void check_mode(const struct config_node *map, struct listener_options *listener,
	struct config_errors *errors)
{
	const char *text = listener->mode_text ? listener->mode_text : "";
	const char *digits = strncmp(text, "0o", 2) == 0 ? text + 2 : text;
	char *end;
	unsigned long mode = strtoul(digits, &end, 8);

	if (*digits < '0' || *digits > '7' || *end || mode > 0777)
		config_error_at(errors, member(map, "mode"),
			"expected octal permissions such as 0660");
	else
		listener->mode = (unsigned)mode;
}

static void check_unix(const struct config_node *map, struct listener_options *listener,
	struct config_errors *errors)
{
	const size_t longest = 107;	/* sun_path, with its NUL */

	if (config_get(map, "type") == NULL)
		listener->type = LISTENER_UNIX;
	if (!listener->path)
		config_error_at(errors, member(map, "type"), "a unix socket needs a path");
	else if (strlen(listener->path) > longest)
		config_error_at(errors, member(map, "path"),
			"the path of a unix socket has at most %zu octets, this one %zu", longest,
			strlen(listener->path));
	if (config_get(map, "interface") || config_get(map, "port"))
		config_error_at(errors, member(map, config_get(map, "port") ? "port" : "interface"),
			"a unix socket has a path, no interface or port");
}

static void check_tcp(const struct config_node *map, struct listener_options *listener,
	struct config_errors *errors)
{
	unsigned char address[16];

	if (listener->path)
		config_error_at(errors, member(map, "path"),
			"only a listener of type unix has a path");
	if (config_get(map, "mode"))
		config_error_at(errors, member(map, "mode"),
			"only a listener of type unix has a mode");
	if (!listener->interface)
		listener->interface =
			xstrdup(listener->type == LISTENER_TCP6 ? "::1" : "127.0.0.1");
	if (listener->type == LISTENER_TCP6 &&
		inet_pton(AF_INET, listener->interface, address) == 1)
		config_error_at(errors, member(map, "interface"),
			"expected an IPv6 address for tcp6");
	if (listener->type == LISTENER_TCP4 &&
		inet_pton(AF_INET6, listener->interface, address) == 1)
		config_error_at(errors, member(map, "interface"),
			"expected an IPv4 address for tcp4");
}

static int load_one(const struct config_node *map, unsigned default_port,
	struct listener_options *listener, struct config_errors *errors)
{
	const struct option_set set = { listener_rows, listener };
	static const char *const none[] = { NULL };
	size_t before = errors->error_count;

	if (options_load("listener", map, &set, 1, none, errors) < 0)
		return -1;
	check_mode(map, listener, errors);
	if (listener->type == LISTENER_UNIX || (listener->path && !config_get(map, "type")))
		check_unix(map, listener, errors);
	else
		check_tcp(map, listener, errors);
	if (!listener->port && listener->type != LISTENER_UNIX)
		listener->port = default_port;
	return errors->error_count > before ? -1 : 0;
}

int listeners_load(const struct config_node *edge, unsigned default_port,
	struct listener_options **items, size_t *count, struct config_errors *errors)
{
	const struct config_node *one = config_get(edge, "listener");
	const struct config_node *list = config_get(edge, "listeners");
	const struct config_node *given = list ? list : one;
	bool is_list = list && list->kind == CONFIG_LIST;
	int result = 0;

	*count = is_list ? list->count : 1;
	*items = xcalloc(*count ? *count : 1, sizeof **items);
	if (one && list) {
		config_error_at(errors, list, "either listener or listeners, not both");
		result = -1;
	}
	if (list && !is_list && list->kind != CONFIG_MAP) {
		config_error_at_value(errors, list, "expected a list of listeners");
		result = -1;
	} else if (is_list && list->count == 0) {
		config_error_at_value(errors, list, "expected at least one listener");
		result = -1;
	} else {
		for (size_t i = 0; i < *count; i++)
			if (load_one(is_list ? list->items[i] : given, default_port, &(*items)[i],
				    errors) < 0)
				result = -1;
	}
	return result;
}

void listeners_free(struct listener_options *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		options_release(listener_rows, &items[i]);
	free(items);
}

char *listener_describe(const struct listener_options *listener)
{
	const char *interface = listener->interface ? listener->interface : "";

	if (listener->type == LISTENER_UNIX)
		return xasprintf("unix:%s", listener->path);
	if (*interface == '\0')
		interface = "*";
	return xasprintf(strchr(interface, ':') ? "[%s]:%u" : "%s:%u", interface, listener->port);
}
