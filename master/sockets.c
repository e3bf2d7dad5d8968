/* sockets.c - the listening sockets of all edges
 * SPDX-License-Identifier: MIT */
#include "master/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define IN_USE_PATIENCE_MS 5000
#define IN_USE_PAUSE_NS 50000000L

/* A dead master's children close theirs as soon as they see that it is gone. */
static int probe_patiently(
	const struct listener_options *options, const struct listener_address *address)
{
	int64_t end = clock_boot_ms() + IN_USE_PATIENCE_MS;
	const struct timespec pause = { 0, IN_USE_PAUSE_NS };

	while (listener_probe(options, address) < 0) {
		if (errno != EADDRINUSE || clock_boot_ms() > end)
			return -1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_unix(struct listening *listening, const struct listener_options *options,
	const struct listener_address *address, const struct identity *owner)
{
	int fd = listener_socket(options, address, false);

	if (fd < 0)
		return -1;
	listening->unix_path = xstrdup(options->path);
	if (geteuid() == 0 && chown(options->path, owner->uid, owner->gid) < 0)
		fd_close(&fd);
	return fd;
}

static int open_address(struct listening *listening, const struct listener_options *options,
	const struct listener_address *address, const struct identity *owner, unsigned instances)
{
	if (probe_patiently(options, address) < 0)
		return -1;
	listening->shared = options->type == LISTENER_UNIX;
	listening->fds = xcalloc(instances, sizeof *listening->fds);
	for (unsigned i = 0; i < (listening->shared ? 1 : instances); i++) {
		int fd = listening->shared ? open_unix(listening, options, address, owner) :
					     listener_socket(options, address, true);

		if (fd < 0)
			return -1;
		listening->fds[listening->fd_count++] = fd;
	}
	return 0;
}

static struct listening *add_listening(struct sockets *sockets, const char *edge, unsigned listener)
{
	struct listening *added;

	sockets->items = xrealloc(sockets->items, sockets->count + 1, sizeof *sockets->items);
	added = &sockets->items[sockets->count++];
	*added = (struct listening){ .edge = edge, .listener = listener };
	return added;
}

struct opening {
	struct sockets *sockets;
	const struct identity *owner;
	struct given_sockets *given;
	unsigned instances;
};

static void add_given(struct sockets *sockets, const char *edge, unsigned listener, int fd)
{
	struct listening *listening = add_listening(sockets, edge, listener);

	listening->shared = true;
	listening->fds = xmemdup(&fd, sizeof fd);
	listening->fd_count = 1;
}

static int open_listener(const struct opening *opening, const char *edge, unsigned index,
	const struct listener_options *options, char **why)
{
	struct listener_address *addresses;
	size_t count;
	int result = listener_addresses(options, &addresses, &count, why);

	for (size_t i = 0; i < count && result == 0; i++) {
		int fd = given_sockets_take_at(opening->given, &addresses[i]);

		if (fd >= 0)
			add_given(opening->sockets, edge, index, fd);
		else
			result = open_address(add_listening(opening->sockets, edge, index), options,
				&addresses[i], opening->owner, opening->instances);
	}
	if (result < 0 && !*why) {
		char *name = listener_describe(options);

		*why = xasprintf("edge.%s cannot listen on %s: %s", edge, name,
			errno == EADDRINUSE ? "in use" : strerror(errno));
		free(name);
	}
	free(addresses);
	return result;
}

static int open_listeners(const struct opening *opening, const char *edge,
	struct listener_options *options, size_t count, char **why)
{
	int fd = count == 1 ? given_sockets_take_named(opening->given, edge) : -1;

	if (fd >= 0) {
		for (; fd >= 0; fd = given_sockets_take_named(opening->given, edge))
			add_given(opening->sockets, edge, 0, fd);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (open_listener(opening, edge, (unsigned)i, &options[i], why) < 0)
			return -1;
	return 0;
}

static int open_edge(const struct opening *opening, const struct config_node *edge, char **why)
{
	struct config_errors errors = { 0 };
	struct listener_options *options;
	size_t count;
	int result = listeners_load(edge, listener_default_port(edge), &options, &count, &errors);

	if (result < 0)
		*why = xasprintf("edge.%s has no valid listener", edge->key);
	else
		result = open_listeners(opening, edge->key, options, count, why);
	listeners_free(options, count);
	config_errors_release(&errors);
	return result;
}

int sockets_open(struct sockets *sockets, const struct config *config, unsigned instances,
	const struct identity *owner, struct given_sockets *given, char **why)
{
	const struct config_node *edges = config_get(config_root(config), "edge");
	const struct opening opening = { sockets, owner, given, instances };

	*why = NULL;
	for (size_t i = 0; edges && i < edges->count; i++)
		if (open_edge(&opening, edges->items[i], why) < 0)
			return -1;
	return 0;
}

void sockets_release(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct listening *listening = &sockets->items[i];

		for (size_t j = 0; j < listening->fd_count; j++)
			close(listening->fds[j]);
		if (listening->unix_path)
			unlink(listening->unix_path);
		free(listening->unix_path);
		free(listening->fds);
	}
	free(sockets->items);
	*sockets = (struct sockets){ 0 };
}

json_t *sockets_describe(const struct sockets *sockets, unsigned instance, int **fds, size_t *count)
{
	json_t *list = json_array();

	*fds = NULL;
	*count = 0;
	for (size_t i = 0; i < sockets->count; i++) {
		const struct listening *listening = &sockets->items[i];

		for (size_t j = 0; j < listening->fd_count; j++) {
			*fds = xrealloc(*fds, *count + 1, sizeof **fds);
			(*fds)[(*count)++] = listening->fds[j];
			json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:b}",
				"edge", listening->edge, "listener", (int)listening->listener,
				"slot", listening->shared ? (int)instance : (int)j,
				"own", listening->shared || j == instance));
		}
	}
	return list;
}
