/* child_open.c - what a child takes over from its master, or makes itself when it is alone
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/check.h"
#include "common/config/content.h"
#include "common/net/child_private.h"
#include "common/net/listener.h"
#include "common/net/runtime.h"

#define START_TIMEOUT_MS 30000
#define CHECK_FD 3		/* where the master puts the configuration for --check */

const char *child_section(const char *program)
{
	return strcmp(program, "slimta-edge") == 0 ? "edge" : "worker";
}

static bool is_edge(const struct child *child)
{
	return strcmp(child->program, "slimta-edge") == 0;
}

static void complain(const char *program, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s%s%s\n", program, what, why ? ": " : "", why ? why : "");
}

/* Prints errors and warnings; true if there was an error. */
static bool print_errors(struct config_errors *errors, FILE *to)
{
	struct buffer text = { 0 };
	bool failed = errors->error_count > 0;

	config_errors_print(errors, &text);
	fputs(buffer_str(&text), to);
	buffer_release(&text);
	return failed;
}

/* ---- the master's start message */

static const char *text_in(const json_t *body, const char *key)
{
	return json_string_value(json_object_get(body, key));
}

static unsigned number_in(const json_t *body, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(body, key));
}

static int take_listeners(struct child *child, const json_t *list)
{
	size_t count = json_array_size(list);

	child->listeners = xcalloc(count ? count : 1, sizeof *child->listeners);
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);
		struct child_listener *listener = &child->listeners[i];
		int fd = CHILD_FD_FIRST + (int)i;

		if (!text_in(item, "edge") || fd_set_cloexec(fd, true) < 0)
			return -1;
		*listener = (struct child_listener){ .edge = xstrdup(text_in(item, "edge")),
			.listener = number_in(item, "listener"), .slot = number_in(item, "slot"),
			.own = json_is_true(json_object_get(item, "own")), .fd = fd };
		child->listener_count++;
	}
	return 0;
}

static int take_start(struct child *child, const json_t *body)
{
	struct child_private *private = child->private;
	const json_t *spawner_socket = json_object_get(body, "spawner_socket");

	if (number_in(body, "version") != CONTROL_VERSION)
		return -1;
	child->generation = number_in(body, "generation");
	child->instance = number_in(body, "instance");
	xstrset(&child->queue, text_in(body, "queue"));
	private->spawner = json_is_true(json_object_get(body, "spawner"));
	if (private->spawner)
		child->program = "slimta-spawner";
	if (json_is_integer(spawner_socket)) {
		child->spawner_fd = (int)json_integer_value(spawner_socket);
		if (fd_set_cloexec(child->spawner_fd, true) < 0)
			return -1;
	}
	child->counters = counters_attach(CHILD_FD_COUNTERS, number_in(body, "row"));
	if (is_edge(child))
		child->limits = limits_attach(CHILD_FD_LIMITS, number_in(body, "row"));
	if (!child->counters || (is_edge(child) && !child->limits) ||
		take_listeners(child, json_object_get(body, "listeners")) < 0)
		return -1;
	return 0;
}

static int receive_start(struct child *child)
{
	enum control_type type;
	json_t *body;
	int result;

	if (control_receive(CHILD_FD_CONTROL, START_TIMEOUT_MS, &type, &body, NULL) < 0) {
		complain(child->program,
			"no start message on descriptor 3 (--child is for slimta-master)",
			strerror(errno));
		return -1;
	}
	result = type == CONTROL_START ? take_start(child, body) : -1;
	if (result < 0)
		complain(child->program, "the start message is not one of this version", NULL);
	json_decref(body);
	return result;
}

/* Who is no edge was given none. */
static void take_secrets(struct child *child)
{
	const char *text = config_secret(child->config);

	if (!text || !shared_secrets_parse(text, &child->secrets))
		shared_secrets_make(&child->secrets);
}

static int load_from_master(struct child *child)
{
	const char *section = child_section(child->program);
	struct config_errors errors = { 0 };
	bool failed;
	int fd = CHILD_FD_CONFIG;

	child->config = config_from_fd(fd, &errors);
	fd_close(&fd);
	fd = CHILD_FD_COUNTERS;
	fd_close(&fd);
	fd = CHILD_FD_LIMITS;
	fd_close(&fd);
	if (child->config)
		take_secrets(child);
	if (child->config && process_load(child->config, section, &child->process, &errors) == 0)
		process_identity(child->config, &child->process, section, &child->private->identity,
			&errors);
	failed = print_errors(&errors, stderr) || !child->config;
	config_errors_release(&errors);
	return failed ? -1 : 0;
}

static bool is_control(int fd)
{
	int type = 0;
	socklen_t size = sizeof type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static int open_under_master(struct child *child)
{
	if (!is_control(CHILD_FD_CONTROL) || fd_set_cloexec(CHILD_FD_CONTROL, true) < 0 ||
	    fd_set_nonblocking(CHILD_FD_CONTROL, true) < 0) {
		complain(child->program,
			"--child is for slimta-master: descriptor 3 is not its socket", NULL);
		return -1;
	}
	if (receive_start(child) < 0 || load_from_master(child) < 0)
		return -1;
	child->private->control = control_new(child->base, CHILD_FD_CONTROL, child_on_message,
		child_on_closed, child);
	control_send(child->private->control, CONTROL_HELLO,
		json_pack("{s:i}", "version", CONTROL_VERSION), -1);
	return 0;
}

/* ---- alone */

static int add_socket(struct child *child, const char *edge, unsigned index,
	const struct listener_options *options, const struct listener_address *address)
{
	const struct identity *owner = &child->private->identity;
	struct child_listener *added;
	int fd = listener_probe(options, address);

	if (fd == 0)
		fd = listener_socket(options, address, false);
	if (fd >= 0 && options->type == LISTENER_UNIX && geteuid() == 0 &&
	    chown(options->path, owner->uid, owner->gid) < 0)
		fd_close(&fd);
	if (fd < 0)
		return -1;
	child->listeners =
		xrealloc(child->listeners, child->listener_count + 1, sizeof *child->listeners);
	added = &child->listeners[child->listener_count++];
	*added = (struct child_listener){ .edge = xstrdup(edge), .listener = index, .own = true, .fd = fd };
	return 0;
}

static int open_listener(struct child *child, const char *edge, unsigned index,
	const struct listener_options *options)
{
	struct listener_address *addresses;
	size_t count;
	char *why = NULL;
	int result = listener_addresses(options, &addresses, &count, &why);

	for (size_t i = 0; i < count && result == 0; i++)
		result = add_socket(child, edge, index, options, &addresses[i]);
	if (result < 0) {
		char *name = listener_describe(options);
		char *what = xasprintf("edge.%s cannot listen on %s", edge, name);

		complain(child->program, what,
			why ? why : errno == EADDRINUSE ? "in use" : strerror(errno));
		free(what);
		free(name);
	}
	free(why);
	free(addresses);
	return result;
}

static int open_listeners(struct child *child, struct config_errors *errors)
{
	const struct config_node *edges = config_get(config_root(child->config), "edge");
	int result = 0;

	for (size_t i = 0; edges && i < edges->count && result == 0; i++) {
		const struct config_node *edge = edges->items[i];
		struct listener_options *items;
		size_t count;

		result = listeners_load(edge, listener_default_port(edge), &items, &count, errors);
		for (size_t j = 0; j < count && result == 0; j++)
			result = open_listener(child, edge->key, (unsigned)j, &items[j]);
		listeners_free(items, count);
	}
	return result;
}

/* What a master would have said no to, and what it would have made. */
static int prepare_alone(struct child *child, bool allow_root, struct config_errors *errors)
{
	const char *section = child_section(child->program);
	struct identity *identity = &child->private->identity;
	char *why;

	if (config_check_structure(child->config, errors) < 0 ||
		process_load(child->config, section, &child->process, errors) < 0 ||
		process_check_identity(
			child->config, &child->process, section, allow_root, errors) < 0 ||
		process_identity(child->config, &child->process, section, identity, errors) < 0)
		return -1;
	if (runtime_dir_make(child->process.runtime_dir, identity, &why) < 0) {
		complain(child->program, why, NULL);
		free(why);
		return -1;
	}
	if (strcmp(section, "edge") == 0 && open_listeners(child, errors) < 0)
		return -1;
	child->counters = counters_create(0, NULL);
	if (is_edge(child))
		child->limits = limits_create(1, NULL);
	if (!child->counters || (is_edge(child) && !child->limits)) {
		complain(child->program, "cannot make its counters", strerror(errno));
		return -1;
	}
	return 0;
}

static int open_alone(struct child *child, const struct child_arguments *arguments)
{
	struct config_errors errors = { 0 };
	int result = -1;

	child->alone = true;
	xstrset(&child->queue, arguments->queue);
	shared_secrets_make(&child->secrets);
	child->config = config_read(arguments->config_path, &errors);
	if (child->config)
		config_read_contents(child->config, &errors);
	if (child->config)
		result = prepare_alone(child, arguments->allow_root, &errors);
	if (print_errors(&errors, stderr))
		result = -1;
	config_errors_release(&errors);
	return result;
}

struct child *child_open(const char *program, const struct child_arguments *arguments)
{
	struct child *child = xcalloc(1, sizeof *child);

	prctl(PR_SET_NAME, program);
	child->program = program;
	child->private = xcalloc(1, sizeof *child->private);
	child->spawner_fd = -1;
	child->base = event_base_new();
	if (!child->base) {
		complain(program, "cannot make an event loop", strerror(errno));
		child_free(child);
		return NULL;
	}
	if ((arguments->under_master ? open_under_master(child) : open_alone(child, arguments)) <
		0) {
		child_free(child);
		return NULL;
	}
	if (process_open_log(child->program, &child->process) < 0) {
		complain(child->process.logging.output, "cannot be opened for the log",
			strerror(errno));
		child_free(child);
		return NULL;
	}
	log_set_counters(child->counters);
	return child;
}

/* ---- --check */

static bool from_master(const struct child_arguments *arguments)
{
	int seals = arguments->config_path ? -1 : fcntl(CHECK_FD, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_WRITE);
}

struct config *child_check_config(
	const struct child_arguments *arguments, struct config_errors *errors)
{
	struct config *config;

	if (from_master(arguments))
		return config_from_fd(CHECK_FD, errors);
	config = config_read(arguments->config_path, errors);
	if (!config)
		return NULL;
	config_check_structure(config, errors);
	process_check(config, arguments->allow_root, errors);
	config_read_contents(config, errors);
	return config;
}

int child_check_print(const struct child_arguments *arguments, struct config_errors *errors)
{
	struct buffer text = { 0 };

	if (!from_master(arguments))
		return print_errors(errors, stderr) ? 1 : 0;
	config_errors_format(errors, &text);
	fputs(buffer_str(&text), stdout);
	buffer_release(&text);
	return errors->error_count ? 1 : 0;
}
