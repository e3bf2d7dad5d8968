/* load.h - what a run of load is to do, and what came of it
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_BENCH_LOAD_H
#define SLIMTA_BENCH_LOAD_H

#include <stdbool.h>
#include <sys/types.h>

#include "t/bench/tool.h"

struct settings {
	struct sockaddr_in address;
	uint64_t sessions, messages, recipients, size, per_connection, rate, pause_us, duration_us, timeout_us;
	uint64_t skip, block, first, domains;
	bool pipelining, hold, starttls, empty;
	const char *from, *to;
};

/* Each message ends as one of these. */
enum outcome { ACCEPTED, DEFERRED, FAILED, LOST, OUTCOMES };

struct figures {
	uint64_t begun, outcomes[OUTCOMES], connections;
	int64_t start_us, first_us, last_us;	/* of the rate: from the last that was skipped to the last accepted */
	struct samples latencies, blocks;
};

extern struct settings settings;
extern struct figures figures;

/* Whether another message is to be sent. */
bool figures_wants_more(void);
/* The number of the next message, and in *due_us when it was to begin. */
uint64_t figures_begin(int64_t *due_us);
/* When that is, at the earliest. */
int64_t figures_due(void);
void figures_end(enum outcome, int64_t due_us);
void figures_print(void);

/* load_secure.c: TLS on a socket that does not block. */
struct ssl_st;

void secure_init(void);
void secure_release(void);
struct ssl_st *secure_new(int fd);
void secure_free(struct ssl_st *);	/* NULL is fine */
/* 1 when it is done, 0 while it is not, -1 where it failed. */
int secure_handshake(struct ssl_st *);
/* As recv() and send(): 0 at the end, -1 with EAGAIN where there is no more now, with EPROTO where TLS is broken. */
ssize_t secure_recv(struct ssl_st *, void *to, size_t size);
ssize_t secure_send(struct ssl_st *, const void *data, size_t size);

/* load_session.c: one connection at a time, one message after the other. */
struct session;
enum progress { SESSION_BUSY, SESSION_WAITS, SESSION_HELD, SESSION_LOST };

struct session *session_new(int poller);
void session_free(struct session *);
bool session_is_connected(const struct session *);
/* Connects where it has to; then sends the message that is next. */
enum progress session_begin(struct session *);
enum progress session_event(struct session *);
/* Gives up a message after settings.timeout_us without a word from the server. */
enum progress session_check(struct session *, int64_t now_us);
/* Says QUIT and closes, without waiting for more. */
void session_quit(struct session *);

#endif
