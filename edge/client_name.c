/* client_name.c - the name of a client, by its address: asked for beside the session, which waits for it shortly
 * SPDX-License-Identifier: MIT */
#include "edge/client_name.h"

#include <event2/event.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/child.h"
#include "common/net/resolver.h"

struct client_names {
	struct child *child;
	struct resolver *resolver;	/* NULL: not needed yet, or not to be had */
	bool unable;
	unsigned asked;
};

struct client_name {
	struct client_names *all;
	struct resolver_host *query;	/* NULL: it is known, or there is none */
	char *text, *ip, *session;
	int64_t until_ms;		/* to be waited for */
	struct event *wait;		/* NULL: nobody waits */
	client_name_fn *done;
	void *arg;
};

struct client_names *client_names_new(struct child *child)
{
	struct client_names *all = xcalloc(1, sizeof(*all));

	all->child = child;
	return all;
}

void client_names_free(struct client_names *all)
{
	if (!all)
		return;
	resolver_free(all->resolver);
	free(all);
}

static bool is_able(struct client_names *all)
{
	if (!all->resolver && !all->unable)
		all->resolver = resolver_new(all->child->base, &all->child->process.resolver);
	all->unable = !all->resolver;
	return !all->unable;
}

static void stop_waiting(struct client_name *name)
{
	if (name->wait)
		event_free(name->wait);
	name->wait = NULL;
}

static void on_found(void *arg, const char *text)
{
	struct client_name *name = arg;

	name->query = NULL;
	name->all->asked--;
	name->text = text ? xstrdup(text) : NULL;
	log_debug("edge", "resolved", LOG_TEXT("session", name->session), LOG_TEXT("client", name->ip),
		LOG_TEXT("host", text ? text : "unknown"));
	if (!name->wait)
		return;
	stop_waiting(name);
	name->done(name->arg);
}

struct client_name *client_name_new(struct client_names *all, const struct peer *peer, const char *session)
{
	struct client_name *name;

	if (!all || peer->address.any.sa_family == AF_UNSPEC || peer_is_loopback(peer) || all->asked >= CLIENT_NAMES_ASKED ||
			!is_able(all))
		return NULL;
	name = xcalloc(1, sizeof(*name));
	name->all = all;
	name->ip = xstrdup(peer->text);
	name->session = xstrdup(session);
	name->until_ms = clock_boot_ms() + CLIENT_NAME_WAIT_MS;
	all->asked++;
	name->query = resolver_host(all->resolver, &peer->address, CLIENT_NAME_MS, on_found, name);
	return name;
}

void client_name_free(struct client_name *name)
{
	if (!name)
		return;
	if (name->query)
		name->all->asked--;
	resolver_host_cancel(name->query);
	stop_waiting(name);
	free(name->text);
	free(name->ip);
	free(name->session);
	free(name);
}

const char *client_name_text(const struct client_name *name)
{
	return name ? name->text : NULL;
}

static void on_waited(evutil_socket_t fd, short what, void *arg)
{
	struct client_name *name = arg;

	(void)fd;
	(void)what;
	stop_waiting(name);
	name->done(name->arg);
}

bool client_name_await(struct client_name *name, client_name_fn *done, void *arg)
{
	int64_t left = name && name->query ? name->until_ms - clock_boot_ms() : 0;

	if (left <= 0)
		return false;
	name->done = done;
	name->arg = arg;
	name->wait = evtimer_new(name->all->child->base, on_waited, name);
	if (!name->wait)
		BUG("no timer event");
	event_add(name->wait, &(struct timeval){ left / 1000, left % 1000 * 1000 });
	return true;
}
