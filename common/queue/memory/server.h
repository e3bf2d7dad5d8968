/* server.h - the socket by which others reach what a memory queue holds
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_QUEUE_MEMORY_SERVER_H
#define SLIMTA_QUEUE_MEMORY_SERVER_H

#include "common/net/stream.h"
#include "common/queue/memory/serving.h"
#include "common/queue/memory/store.h"
#include "common/queue/memory/wire.h"

#define SERVER_PEERS_MAX 256
#define SERVER_PENDING_MAX 64		/* requests of one peer that have no answer yet */
#define SERVER_REQUEST_MS 60000		/* a request that takes longer to come ends its connection */
#define SERVER_HAND_OVER_MAX (1ULL << 30)

struct peer;

struct server {
	const struct storage_context *context;
	struct store *store;
	struct tasks *tasks;
	struct serving serving;
	struct event *accepting, *again;
	LIST_HEAD(, peer) peers;
	unsigned peer_count;
	unsigned request_count;
	bool moved;
	/* Optional: no peer is left, and no request. */
	void (*quiet)(void *arg);
	void *arg;
};

/* One request under way. */
struct request {
	struct task task;
	struct server *server;
	struct peer *peer;		/* NULL: gone meanwhile */
	LIST_ENTRY(request) next;
	json_t *line;
	struct buffer octets;
	uint64_t reserved;
	struct forms forms;
	json_t *state;			/* of a message handed over */
	struct store_look seen;		/* of one that is peeked at */
	struct list_filter filter;	/* borrowed from the line */
	struct reply why;
};

/* 0; or -1 with *why, and nothing to be closed. */
int server_open(struct server *, const struct storage_context *, struct store *, struct tasks *, struct reply *why);
/* After tasks_close. */
void server_close(struct server *);
/* Somebody else serves from now on: no new connections; peers get the answers they wait for, and are sent away. */
void server_move(struct server *);
bool server_is_quiet(const struct server *);	/* no peer is left, and no request */

/* ---- server_requests.c */
/* Whether there may be room for the octets of this line. -1 with *why. `*reserved` of the store. */
int server_admit(struct server *, const json_t *line, uint64_t bytes, uint64_t *reserved, struct reply *why);
/* Takes the request; answers it, then or later. */
void server_run(struct request *);

/* ---- server.c, for server_requests.c: the answer; takes the request, `members` (NULL: none) and the octets, which
 * are those of `form` behind them. Fails if `request->why` says so. */
void server_answer(struct request *, json_t *members, struct buffer *octets, struct form *form);

#endif
