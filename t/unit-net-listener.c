/* unit-net-listener.c - the options and sockets of listeners
 * SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/listener.h"
#include "t/lib/tap.h"

struct loaded {
	struct config *config;
	struct listener_options *items;
	size_t count;
	char *errors;
	int result;
};

static struct loaded load(const char *edge)
{
	char *text = xasprintf("edge:\n  main: {%s}\n", edge);
	struct config_errors errors = { 0 };
	struct buffer printed = { 0 };
	struct loaded loaded = { .config = config_parse("x.conf", text, strlen(text), &errors) };
	const struct config_node *node = config_section(loaded.config, "edge", "main");

	loaded.result = listeners_load(
		node, listener_default_port(node), &loaded.items, &loaded.count, &errors);
	config_errors_print(&errors, &printed);
	loaded.errors = xstrdup(buffer_str(&printed));
	buffer_release(&printed);
	config_errors_release(&errors);
	free(text);
	return loaded;
}

static void unload(struct loaded *loaded)
{
	listeners_free(loaded->items, loaded->count);
	config_free(loaded->config);
	free(loaded->errors);
}

static void test_good(void)
{
	static const struct {
		const char *edge, *first, *last;
		size_t count;
	} cases[] = {
		{ "type: smtp", "127.0.0.1:25", "127.0.0.1:25", 1 },
		{ "type: http", "127.0.0.1:8025", "127.0.0.1:8025", 1 },
		{ "listener: {interface: '', port: 2525}", "*:2525", "*:2525", 1 },
		{ "listener: {interface: '*'}", "*:25", "*:25", 1 },
		{ "listener: {type: tcp6, port: 1}", "[::1]:1", "[::1]:1", 1 },
		{ "listener: {path: /run/a}", "unix:/run/a", "unix:/run/a", 1 },
		{ "listeners: [{port: 1}, {type: unix, path: /b, mode: 0666}]", "127.0.0.1:1",
			"unix:/b", 2 },
		{ "listeners: {port: 7}", "127.0.0.1:7", "127.0.0.1:7", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loaded loaded = load(cases[i].edge);
		bool right = loaded.result == 0 && loaded.count == cases[i].count;
		char *first = right ? listener_describe(&loaded.items[0]) : NULL;
		char *last = right ? listener_describe(&loaded.items[loaded.count - 1]) : NULL;

		ok(right && strcmp(first, cases[i].first) == 0 && strcmp(last, cases[i].last) == 0,
			"%s is %s", cases[i].edge, cases[i].last);
		if (!right)
			diag("%s", loaded.errors);
		free(first);
		free(last);
		unload(&loaded);
	}
}

static void test_values(void)
{
	struct loaded loaded = load("listener: {path: /b, mode: 0640, backlog: 7}");

	is_int(loaded.items[0].mode, 0640, "mode is octal");
	is_int(loaded.items[0].backlog, 7, "backlog is taken");
	unload(&loaded);
	loaded = load("listener: {path: /b}");
	is_int(loaded.items[0].mode, 0660, "mode is 0660 by default");
	is_int(loaded.items[0].backlog, 256, "backlog is 256 by default");
	unload(&loaded);
}

static void test_wrong(void)
{
	static const struct {
		const char *edge, *error;
	} cases[] = {
		{ "listener: {port: 1}, listeners: [{port: 2}]", "either listener or listeners" },
		{ "listeners: []", "at least one listener" },
		{ "listeners: 25", "expected a list of listeners" },
		{ "listener: {port: 0}", "listener.port" },
		{ "listener: {port: 65536}", "listener.port" },
		{ "listener: {prot: 1}", "did you mean \"port\"" },
		{ "listener: {type: unix}", "needs a path" },
		{ "listener: {type: tcp, path: /a}", "only a listener of type unix has a path" },
		{ "listener: {path: /a, port: 5}", "no interface or port" },
		{ "listener: {mode: 0660}", "only a listener of type unix has a mode" },
		{ "listener: {path: /a, mode: 0999}", "octal" },
		{ "listener: {path: /a, mode: 01777}", "octal" },
		{ "listener: {path: /a, mode: rw}", "octal" },
		{ "listener: {type: tcp6, interface: 127.0.0.1}", "IPv6 address" },
		{ "listener: {type: tcp4, interface: '::1'}", "IPv4 address" },
		{ "listeners: [{port: 1}, {port: x}]", "listeners[1].port" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loaded loaded = load(cases[i].edge);

		if (!ok(loaded.result < 0 && strstr(loaded.errors, cases[i].error), "%s: %s",
			    cases[i].edge, cases[i].error))
			diag("%s", loaded.errors);
		unload(&loaded);
	}
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	getsockopt(fd, level, name, &value, &size);
	return value;
}

static void test_tcp(void)
{
	struct listener_options options = { .type = LISTENER_TCP4, .interface = (char *)"localhost",
		.port = 0, .backlog = 5 };
	struct listener_address *addresses;
	struct sockaddr_in bound;
	socklen_t size = sizeof bound;
	size_t count;
	char *why = NULL;
	int first, second;

	ok(listener_addresses(&options, &addresses, &count, &why) == 0 && count == 1,
		"localhost has a v4 address");
	first = listener_socket(&options, &addresses[0], true);
	getsockname(first, (struct sockaddr *)&bound, &size);
	free(addresses);
	options.port = ntohs(bound.sin_port);
	if (listener_addresses(&options, &addresses, &count, &why) < 0)
		exit(1);
	ok(first >= 0 && (fcntl(first, F_GETFL) & O_NONBLOCK) &&
			(fcntl(first, F_GETFD) & FD_CLOEXEC),
		"a socket, non-blocking and close-on-exec");
	ok(option_of(first, SOL_SOCKET, SO_ACCEPTCONN) == 1 &&
			option_of(first, SOL_SOCKET, SO_REUSEPORT) == 1 &&
			option_of(first, IPPROTO_TCP, TCP_NODELAY) == 1,
		"that listens, shares its port, waits for nothing");
	second = listener_socket(&options, &addresses[0], true);
	ok(second >= 0, "a second one at the same port");
	ok(listener_probe(&options, &addresses[0]) < 0 && errno == EADDRINUSE,
		"the probe finds them");
	close(first);
	ok(listener_probe(&options, &addresses[0]) < 0 && errno == EADDRINUSE,
		"and still the second");
	close(second);
	is_int(listener_probe(&options, &addresses[0]), 0, "until it is closed");
	free(addresses);
	options.interface = (char *)"no.such.host.invalid";
	ok(listener_addresses(&options, &addresses, &count, &why) < 0 &&
			strstr(why, "no.such.host.invalid"),
		"an unknown name is said");
	free(why);
	free(addresses);
}

static void test_unix(void)
{
	char folder[] = "/tmp/unit-listener.XXXXXX";
	struct listener_options options = { .type = LISTENER_UNIX, .mode = 0620, .backlog = 5 };
	struct listener_address *addresses;
	struct stat status;
	size_t count;
	char *why = NULL;
	int fd;

	if (!mkdtemp(folder))
		exit(1);
	options.path = xasprintf("%s/socket", folder);
	if (listener_addresses(&options, &addresses, &count, &why) < 0)
		exit(1);
	is_int(listener_probe(&options, &addresses[0]), 0, "nobody listens where nothing is");
	fd = listener_socket(&options, &addresses[0], false);
	ok(fd >= 0 && stat(options.path, &status) == 0 && (status.st_mode & 0777) == 0620,
		"its file has its mode");
	ok(listener_probe(&options, &addresses[0]) < 0 && errno == EADDRINUSE,
		"a live one is in use");
	ok(listener_socket(&options, &addresses[0], false) < 0 && errno == EADDRINUSE,
		"and is not replaced");
	close(fd);
	is_int(listener_probe(&options, &addresses[0]), 0, "a stale one is not in use");
	fd = listener_socket(&options, &addresses[0], false);
	ok(fd >= 0, "and is replaced");
	close(fd);
	unlink(options.path);
	fd = open(options.path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	ok(listener_socket(&options, &addresses[0], false) < 0 && errno == EEXIST, "a file is not");
	unlink(options.path);
	rmdir(folder);
	free(options.path);
	free(addresses);
}

int main(void)
{
	test_good();
	test_values();
	test_wrong();
	test_tcp();
	test_unix();
	return done_testing();
}
