/* redis_script.h - a redis that answers what the test says, whole, octet by octet, or cut
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_REDIS_SCRIPT_H
#define SLIMTA_T_REDIS_SCRIPT_H

#include "t/lib/redis_harness.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

struct script {
	struct evconnlistener *listener;
	unsigned port, connections, commands;
	/* The octets to answer to a command by its first word; NULL: none. Borrowed until the next call. */
	const char *(*answer)(struct script *, const char *word);
	const char *greeting;		/* sent before any command; NULL: none */
	size_t cut;			/* the connection is closed after so many octets, from the answer to TEST on; 0: never */
	size_t piece;			/* so many octets in one write; 0: all */
	struct bufferevent *last;	/* the connection that came last */
};

struct script_peer {
	struct script *script;
	struct bufferevent *bev;
	redisReader *reader;
	struct buffer out;
	size_t left;			/* octets until it is cut */
	bool counts;
};

static void script_close(struct script_peer *p)
{
	if (p->script->last == p->bev)
		p->script->last = NULL;
	bufferevent_free(p->bev);
	redisReaderFree(p->reader);
	buffer_release(&p->out);
	free(p);
}

/* The next piece; called again when that is out. */
static void script_write(struct bufferevent *bev, void *arg)
{
	struct script_peer *p = arg;
	size_t size = p->script->piece && p->script->piece < p->out.size ? p->script->piece : p->out.size;

	if (p->counts && p->left == 0) {
		script_close(p);
		return;
	}
	if (!size)
		return;
	if (p->counts && size > p->left)
		size = p->left;
	bufferevent_write(bev, p->out.data, size);
	buffer_consume(&p->out, size);
	p->left -= p->counts ? size : 0;
}

static void script_read(struct bufferevent *bev, void *arg)
{
	struct script_peer *p = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t size = evbuffer_get_length(in);
	redisReply *command = NULL;

	redisReaderFeed(p->reader, (const char *)evbuffer_pullup(in, -1), size);
	evbuffer_drain(in, size);
	while (redisReaderGetReply(p->reader, (void **)&command) == REDIS_OK && command) {
		const char *word = command->element[0]->str, *answer;

		p->script->commands++;
		answer = p->script->answer(p->script, word);
		if (strcmp(word, "TEST") == 0 && p->script->cut) {
			p->counts = true;
			p->left = p->script->cut;
		}
		buffer_append_str(&p->out, answer ? answer : "");
		freeReplyObject(command);
	}
	if (!evbuffer_get_length(bufferevent_get_output(bev)))
		script_write(bev, p);
}

static void script_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		script_close(arg);
}

static void script_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int size, void *arg)
{
	struct script *script = arg;
	struct script_peer *p = xcalloc(1, sizeof(*p));

	(void)listener;
	(void)address;
	(void)size;
	script->connections++;
	p->script = script;
	p->reader = redisReaderCreate();
	p->bev = script->last = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(p->bev, script_read, script_write, script_event, p);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
	if (script->greeting)
		bufferevent_write(p->bev, script->greeting, strlen(script->greeting));
}

/* `answer` stands in it already. */
__attribute__((unused)) static void script_start(struct script *script)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);

	script->listener = evconnlistener_new_bind(base, script_accept, script, LEV_OPT_CLOSE_ON_FREE, 16,
		(struct sockaddr *)&address, sizeof(address));
	if (!script->listener || getsockname(evconnlistener_get_fd(script->listener), (struct sockaddr *)&address, &size) < 0)
		BUG("no listener");
	script->port = ntohs(address.sin_port);
}

/* When the connections are gone, which their other ends close first. */
__attribute__((unused)) static void script_stop(struct script *script)
{
	for (int i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	evconnlistener_free(script->listener);
}

#endif
