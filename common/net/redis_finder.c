/* redis_finder.c - asks sentinels in turn where the master is
 * SPDX-License-Identifier: MIT */
#include "common/net/redis_finder.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/net/dial.h"
#include "common/net/redis_wire.h"

#define PATIENCE_MS 2000	/* with one: there are others */

struct redis_finder {
	struct event_base *base;
	struct resolver *resolver;
	const struct redis_settings *settings;
	const struct tls_context *tls;
	redis_found_fn *found;
	void *arg;
	struct dial *dial;
	struct redis_wire *wire;
	size_t next, left;		/* who is asked next, and how many are to be asked still */
	char *host, *name;		/* of who is being asked */
};

static int64_t patience_of(const struct redis_finder *f)
{
	return f->settings->timeout_ms < PATIENCE_MS ? f->settings->timeout_ms : PATIENCE_MS;
}

static void ask_next(struct redis_finder *f);

static void go_on(struct redis_finder *f, const struct reply *why)
{
	if (f->left)
		ask_next(f);
	else
		f->found(f->arg, NULL, 0, why);
}

static void go_on_without(struct redis_finder *f, const char *text)
{
	struct reply why = { 0 };

	redis_wire_free(f->wire);
	f->wire = NULL;
	reply_set(&why, 451, "4.3.0", "%s: %s", f->name, text);
	go_on(f, &why);
	reply_release(&why);
}

static void on_broken(void *arg, const struct reply *why)
{
	struct redis_finder *f = arg;

	f->wire = NULL;
	go_on(f, why);
}

/* ["192.0.2.1", "6379"] */
static bool is_address(const struct redisReply *reply, uint64_t *port)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
		reply->element[1]->type == REDIS_REPLY_STRING && reply->element[0]->len && reply->element[0]->str[0] != '/' &&
		parse_u64(reply->element[1]->str, reply->element[1]->len, 65535, port) && *port;
}

static void on_answer(void *arg, const struct redisReply *reply, const struct reply *why)
{
	struct redis_finder *f = arg;
	uint64_t port;
	char *text;

	if (why)
		return;		/* on_broken hears of it */
	if (is_address(reply, &port)) {
		redis_wire_free(f->wire);
		f->wire = NULL;
		f->found(f->arg, reply->element[0]->str, (unsigned)port, NULL);
		return;
	}
	text = reply->type == REDIS_REPLY_ERROR ? xstrdup(reply->str) : reply->type == REDIS_REPLY_NIL ?
		xasprintf("it knows no master \"%s\"", f->settings->master_name) : xstrdup("no address in its answer");
	go_on_without(f, text);
	free(text);
}

static void on_dialled(void *arg, int fd, const char *error)
{
	struct redis_finder *f = arg;
	struct redis_part parts[] = { REDIS_PART("SENTINEL"), REDIS_PART("get-master-addr-by-name"),
		redis_text_part(f->settings->master_name) };

	f->dial = NULL;
	if (fd < 0) {
		go_on_without(f, error);
		return;
	}
	f->wire = redis_wire_new(f->base, fd, f->name, patience_of(f), on_broken, f);
	if (f->tls)
		redis_wire_start_tls(f->wire, f->tls, f->host);
	redis_wire_send(f->wire, parts, ARRAY_SIZE(parts), 0, on_answer, f);
}

static void ask_next(struct redis_finder *f)
{
	const char *text = f->settings->sentinels.items[f->next];
	unsigned port = 0;

	f->next = (f->next + 1) % f->settings->sentinels.count;
	f->left--;
	free(f->host);
	free(f->name);
	f->host = redis_sentinel_host(text, &port);
	if (!f->host)
		BUG("sentinels were not checked");
	f->name = dial_name("sentinel", f->host, port);
	f->dial = dial_start(f->base, f->resolver, f->host, port, patience_of(f), on_dialled, f);
}

void redis_finder_start(struct redis_finder *f, const struct tls_context *tls)
{
	f->tls = tls;
	f->left = f->settings->sentinels.count;
	ask_next(f);
}

struct redis_finder *redis_finder_new(struct event_base *base, struct resolver *resolver, const struct redis_settings *settings,
	redis_found_fn *found, void *arg)
{
	struct redis_finder *f = xcalloc(1, sizeof(*f));

	f->base = base;
	f->resolver = resolver;
	f->settings = settings;
	f->found = found;
	f->arg = arg;
	return f;
}

void redis_finder_free(struct redis_finder *f)
{
	if (!f)
		return;
	dial_cancel(f->dial);
	redis_wire_free(f->wire);
	free(f->host);
	free(f->name);
	free(f);
}
