/* sockets.c - the listening sockets of all edges
 * SPDX-License-Identifier: MIT */
#include "master/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define IN_USE_PATIENCE_MS 5000
#define IN_USE_PAUSE_NS 50000000L

struct opening {
	struct sockets *sockets;
	const struct identity *owner;
	struct given_sockets *given;
	const struct sockets *before;	/* NULL: none */
	unsigned instances;
};

static struct listening *add_listening(struct sockets *sockets, const char *edge, unsigned listener, char *name_taken)
{
	static unsigned last_id;
	struct listening *added;

	sockets->items = xrealloc(sockets->items, sockets->count + 1, sizeof *sockets->items);
	added = &sockets->items[sockets->count++];
	*added = (struct listening){ .id = ++last_id, .edge = edge, .listener = listener, .name = name_taken };
	return added;
}

/* ---- opening */

/* All interfaces instead of one, or the other way round: ours are in the way of a probe and not of each other. */
static bool port_is_ours(const struct sockets *before, const struct listener_address *address)
{
	for (size_t i = 0; i < before->count; i++)
		if (before->items[i].fd_count && socket_has_port(before->items[i].fds[0], address))
			return true;
	return false;
}

/* A dead master's children close theirs as soon as they see that it is gone. */
static int probe(const struct opening *opening, const struct listener_options *options,
	const struct listener_address *address)
{
	int64_t end = clock_boot_ms() + (opening->before ? 0 : IN_USE_PATIENCE_MS);
	const struct timespec pause = { 0, IN_USE_PAUSE_NS };

	if (opening->before && port_is_ours(opening->before, address))
		return 0;
	while (listener_probe(options, address) < 0) {
		if (errno != EADDRINUSE || clock_boot_ms() >= end)
			return -1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_unix(struct listening *listening, const struct listener_options *options,
	const struct listener_address *address, const struct identity *owner)
{
	int fd = listener_bind(options, address, false);

	if (fd < 0)
		return -1;
	listening->unix_path = xstrdup(options->path);
	if (geteuid() == 0 && chown(options->path, owner->uid, owner->gid) < 0)
		fd_close(&fd);
	return fd;
}

/* As many as there are to be: all, or what is lacking. */
static int bind_sockets(const struct opening *opening, struct listening *listening,
	const struct listener_options *options, const struct listener_address *address)
{
	size_t wanted = listening->shared ? 1 : opening->instances;

	if (wanted <= listening->fd_count)
		return 0;
	listening->fds = xrealloc(listening->fds, wanted, sizeof *listening->fds);
	while (listening->fd_count < wanted) {
		int fd = listening->shared ? open_unix(listening, options, address, opening->owner) :
					     listener_bind(options, address, true);

		if (fd < 0)
			return -1;
		listening->fds[listening->fd_count++] = fd;
	}
	return 0;
}

static void add_given(struct sockets *sockets, const char *edge, unsigned listener, const char *given_name, int fd)
{
	struct listening *listening = add_listening(sockets, edge, listener, xstrdup("a socket from systemd"));

	listening->shared = true;
	listening->given_name = xstrdup(given_name);
	listening->fds = xmemdup(&fd, sizeof fd);
	listening->fd_count = listening->listening_count = 1;
}

/* The same sockets once more, under descriptors of this generation's own. */
static struct listening *add_kept(struct sockets *sockets, const char *edge, unsigned listener,
	const struct listening *kept)
{
	struct listening *listening = add_listening(sockets, edge, listener, xstrdup(kept->name));

	listening->id = kept->id;
	listening->shared = kept->shared;
	listening->given_name = kept->given_name ? xstrdup(kept->given_name) : NULL;
	listening->unix_path = kept->unix_path ? xstrdup(kept->unix_path) : NULL;
	listening->fds = xcalloc(kept->fd_count, sizeof *listening->fds);
	listening->listening_count = kept->listening_count;
	for (size_t i = 0; i < kept->fd_count; i++) {
		int fd = fcntl(kept->fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return NULL;
		listening->fds[listening->fd_count++] = fd;
	}
	return listening;
}

static const struct listening *kept_at(const struct sockets *before, const struct listener_address *address)
{
	for (size_t i = 0; before && i < before->count; i++)
		if (before->items[i].fd_count && socket_is_at(before->items[i].fds[0], address))
			return &before->items[i];
	return NULL;
}

static int open_address(const struct opening *opening, const char *edge, unsigned index,
	const struct listener_options *options, const struct listener_address *address)
{
	const struct listening *kept = kept_at(opening->before, address);
	struct listening *listening;

	if (kept) {
		listening = add_kept(opening->sockets, edge, index, kept);
		if (!listening)
			return -1;
	} else {
		listening = add_listening(opening->sockets, edge, index, listener_describe(options));
		listening->shared = options->type == LISTENER_UNIX;
		if (probe(opening, options, address) < 0)
			return -1;
	}
	listening->mode = options->mode;
	listening->backlog = options->backlog;
	return bind_sockets(opening, listening, options, address);
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
			add_given(opening->sockets, edge, index, "", fd);
		else
			result = open_address(opening, edge, index, options, &addresses[i]);
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

/* Those that have the name of an edge, given now or before: how many; -1: no descriptors. */
static int open_named(const struct opening *opening, const char *edge)
{
	int fd, count = 0;

	for (size_t i = 0; opening->before && i < opening->before->count; i++) {
		const struct listening *kept = &opening->before->items[i];

		if (!kept->given_name || strcmp(kept->given_name, edge) != 0)
			continue;
		if (!add_kept(opening->sockets, edge, 0, kept))
			return -1;
		count++;
	}
	for (; (fd = given_sockets_take_named(opening->given, edge)) >= 0; count++)
		add_given(opening->sockets, edge, 0, edge, fd);
	return count;
}

static int open_listeners(const struct opening *opening, const char *edge,
	struct listener_options *options, size_t count, char **why)
{
	int named = count == 1 ? open_named(opening, edge) : 0;

	if (named < 0)
		*why = xasprintf("edge.%s cannot listen: %s", edge, strerror(errno));
	if (named)
		return named < 0 ? -1 : 0;
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
	const struct identity *owner, struct given_sockets *given, const struct sockets *before, char **why)
{
	const struct config_node *edges = config_get(config_root(config), "edge");
	const struct opening opening = { sockets, owner, given, before, instances };

	*why = NULL;
	for (size_t i = 0; edges && i < edges->count; i++)
		if (open_edge(&opening, edges->items[i], why) < 0)
			return -1;
	return 0;
}

/* ---- listening, closing */

static int listen_on(struct listening *listening)
{
	if (listening->given_name)
		return 0;
	for (size_t i = 0; i < listening->fd_count; i++)
		if (listener_listen(listening->fds[i], listening->backlog) < 0)
			return -1;
	listening->listening_count = listening->fd_count;
	return listening->unix_path ? chmod(listening->unix_path, listening->mode) : 0;
}

int sockets_listen(struct sockets *sockets, char **why)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct listening *listening = &sockets->items[i];

		if (listen_on(listening) < 0) {
			*why = xasprintf("edge.%s cannot listen on %s: %s", listening->edge, listening->name,
				errno == EADDRINUSE ? "in use" : strerror(errno));
			return -1;
		}
	}
	return 0;
}

static bool has(const struct sockets *sockets, unsigned id)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->items[i].id == id)
			return true;
	return false;
}

void sockets_release(struct sockets *sockets, const struct sockets *heir)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct listening *listening = &sockets->items[i];

		for (size_t j = 0; j < listening->fd_count; j++)
			close(listening->fds[j]);
		if (listening->unix_path && !(heir && has(heir, listening->id)))
			unlink(listening->unix_path);
		free(listening->name);
		free(listening->given_name);
		free(listening->unix_path);
		free(listening->fds);
	}
	free(sockets->items);
	*sockets = (struct sockets){ 0 };
}

size_t sockets_count(const struct sockets *sockets)
{
	size_t count = 0;

	for (size_t i = 0; i < sockets->count; i++)
		count += sockets->items[i].fd_count;
	return count;
}

json_t *sockets_not_in(const struct sockets *sockets, const struct sockets *heir)
{
	json_t *list = json_array();
	size_t at = 0;

	for (size_t i = 0; i < sockets->count; i++)
		for (size_t j = 0; j < sockets->items[i].fd_count; j++, at++)
			if (!has(heir, sockets->items[i].id))
				json_array_append_new(list, json_integer((json_int_t)at));
	return list;
}
