/* turns.c - clients take turns at a thread that works for one at a time
 * SPDX-License-Identifier: MIT
 * A ring of the clients that wait, each with its turns in order: the first client has one, then it is the last. */
#include "edge/turns.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "common/base/memory.h"

struct turns_client {
	TAILQ_ENTRY(turns_client) entry;
	uint64_t key;
	TAILQ_HEAD(, turn) waiting;	/* never empty */
	unsigned count;
};

struct turns {
	struct pool *pool;
	struct event *next;
	TAILQ_HEAD(, turns_client) clients;
	unsigned count;
	/* What the thread does now; `done` NULL: nothing. */
	pool_work_fn *work;
	pool_done_fn *done;
	void *arg;
};

static struct turns_client *find(struct turns *turns, uint64_t key)
{
	struct turns_client *client;

	TAILQ_FOREACH(client, &turns->clients, entry) {
		if (client->key == key)
			return client;
	}
	return NULL;
}

static struct turns_client *add(struct turns *turns, uint64_t key)
{
	struct turns_client *client = xcalloc(1, sizeof(*client));

	client->key = key;
	TAILQ_INIT(&client->waiting);
	TAILQ_INSERT_TAIL(&turns->clients, client, entry);
	turns->count++;
	return client;
}

bool turns_wait(struct turns *turns, struct turn *turn, uint64_t key, turn_fn *take, void *arg)
{
	struct turns_client *client = find(turns, key);

	if (turn->client)
		BUG("a turn that waits already");
	if (client ? client->count == TURNS_OF_CLIENT : turns->count == TURNS_CLIENTS)
		return false;
	client = client ? client : add(turns, key);
	*turn = (struct turn){ .client = client, .take = take, .arg = arg };
	TAILQ_INSERT_TAIL(&client->waiting, turn, entry);
	client->count++;
	if (!turns->done)
		event_active(turns->next, EV_TIMEOUT, 0);
	return true;
}

void turns_leave(struct turns *turns, struct turn *turn)
{
	struct turns_client *client = turn->client;

	if (!client)
		return;
	turn->client = NULL;
	TAILQ_REMOVE(&client->waiting, turn, entry);
	if (--client->count)
		return;
	TAILQ_REMOVE(&turns->clients, client, entry);
	turns->count--;
	free(client);
}

static void take_next(struct turns *turns, struct turns_client *client)
{
	struct turn *turn = TAILQ_FIRST(&client->waiting);

	TAILQ_REMOVE(&turns->clients, client, entry);
	TAILQ_INSERT_TAIL(&turns->clients, client, entry);
	turns_leave(turns, turn);
	turn->take(turn->arg);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct turns *turns = arg;
	struct turns_client *client;

	(void)fd;
	(void)what;
	while (!turns->done && (client = TAILQ_FIRST(&turns->clients)))
		take_next(turns, client);
}

static void run_work(void *arg)
{
	struct turns *turns = arg;

	turns->work(turns->arg);
}

static void on_done(void *arg)
{
	struct turns *turns = arg;
	pool_done_fn *done = turns->done;

	turns->done = NULL;
	event_active(turns->next, EV_TIMEOUT, 0);
	done(turns->arg);
}

void turns_work(struct turns *turns, pool_work_fn *work, pool_done_fn *done, void *arg)
{
	if (turns->done)
		BUG("two works at a time");
	turns->work = work;
	turns->done = done;
	turns->arg = arg;
	pool_submit(turns->pool, run_work, on_done, turns);
}

struct turns *turns_new(struct event_base *base, const char *name)
{
	struct turns *turns = xcalloc(1, sizeof(*turns));
	int kept;

	TAILQ_INIT(&turns->clients);
	turns->next = evtimer_new(base, on_next, turns);
	if (!turns->next)
		BUG("no timer event");
	turns->pool = pool_new(base, name, 1);
	if (turns->pool)
		return turns;
	kept = errno;
	turns_free(turns);
	errno = kept;
	return NULL;
}

void turns_free(struct turns *turns)
{
	if (!turns)
		return;
	pool_free(turns->pool);
	if (turns->count)
		BUG("turns wait");
	event_free(turns->next);
	free(turns);
}
