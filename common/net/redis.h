/* redis.h - a connection to redis on the loop, which comes back by itself
 * SPDX-License-Identifier: MIT
 * TCP, TLS or a unix socket, RESP2, commands pipelined. Nothing blocks. Replies are hiredis' (<hiredis/hiredis.h>). */
#ifndef SLIMTA_NET_REDIS_H
#define SLIMTA_NET_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config/options.h"
#include "common/message/reply.h"
#include "common/net/tls.h"

struct event_base;
struct redis;
struct redisReply;
struct resolver;

struct redis_settings {
	char *host;
	unsigned port;
	unsigned db;
	char *username, *password;	/* NULL: none */
	char *socket;			/* a unix socket's path, in place of host and port; NULL: none */
	struct tls_settings tls;	/* not given: in clear; zeroed before the rows are read */
	int64_t timeout_ms;
	struct strings sentinels;	/* HOST or HOST:PORT each; none: host and port are redis itself */
	char *master_name;		/* what the sentinels call it */
};

/* Rows for a struct `s` whose member `m` is a struct redis_settings. */
#define REDIS_ROWS(s, m) \
	{ "host", TEXT_FIELD(s, m.host), "localhost", 0, 0, "where redis listens" }, \
	{ "port", UINT_FIELD(s, m.port), "6379", 1, 65535, "where redis listens" }, \
	{ "db", UINT_FIELD(s, m.db), "0", 0, 1000000, "number of the database" }, \
	{ "username", TEXT_FIELD(s, m.username), NULL, 0, 0, "user of redis' ACL; not given: its default user" }, \
	{ "password", TEXT_FIELD(s, m.password), NULL, 0, 0, "password of that user" }, \
	{ "socket", PATH_FIELD(s, m.socket), NULL, 0, 0, "unix socket of redis, in place of host and port" }, \
	TLS_ROW(s, m.tls, tls_client_rows, "TLS to redis and the sentinels; {} for its defaults"), \
	{ "socket_timeout", TIME_FIELD(s, m.timeout_ms), "10", 100, 600000, "silence of redis after which it is given up" }, \
	{ "sentinels", TEXTS_FIELD(s, m.sentinels), NULL, 0, 0, "HOST:PORT of sentinels, which are asked for the master" }, \
	{ "master_name", TEXT_FIELD(s, m.master_name), NULL, 0, 0, "what the sentinels call the master" }

/* What no row can say alone; errors at the keys of `map`, from which the settings were loaded. 0, or -1 with errors. */
int redis_settings_check(const struct redis_settings *, const struct config_node *map, struct config_errors *);
/* Of one of the sentinels: "HOST", "HOST:PORT", "[2001:db8::1]:PORT", "2001:db8::1". The host, owned; NULL: it is none. */
char *redis_sentinel_host(const char *text, unsigned *port);
#define REDIS_SENTINEL_PORT 26379

/* From the loop, alternating: up, down, up ...; `down` comes first where the first attempt fails. */
struct redis_handler {
	void (*up)(void *arg);		/* connected, authenticated, the database selected */
	/* Once per outage: "redis at HOST:PORT: what went wrong". It goes on trying by itself. What was under way has been
	 * called back before. */
	void (*down)(void *arg, const struct reply *why);
};

/* Begins to connect; what fails is tried again after 100 ms, doubling to 5 s, with jitter. The settings, checked, the
 * resolver and the handler stay the caller's and live as long. `resolver` may be NULL where no host needs one. */
struct redis *redis_new(struct event_base *, struct resolver *, const struct redis_settings *, const struct redis_handler *,
	void *arg);
/* Commands under way call back first, within this call; the handler is not called. From any callback too. NULL is fine. */
void redis_free(struct redis *);

/* An argument of a command; borrowed for the call. */
struct redis_part {
	const void *data;
	size_t size;
};

/* Exactly one of them is not NULL; both are borrowed. Exactly once, from the loop, in the order of sending, never inside
 * redis_send. An error of the server is a reply of type REDIS_REPLY_ERROR, see redis_error_reply(). `why`:
 * 451 4.3.0  nothing was done: it is not up, or not all of the command was sent;
 * 451 4.4.2  the outcome is not known: it was sent, then the connection broke or there was no answer in time;
 * 552 5.3.4  nothing was done: larger than what redis takes. */
typedef void redis_done_fn(void *arg, const struct redisReply *, const struct reply *why);

#define REDIS_FOREVER (-1)	/* for commands that block */
/* Sends a command of `count` arguments (at least 1), its name first. What is sent in one turn of the loop goes out in one
 * write. timeout_ms: of silence; 0: the settings'. Where octets pass, there is up to ten times as much. After a time-out the
 * connection is made anew. A blocking command holds up what is sent behind it. */
void redis_send(struct redis *, const struct redis_part *, size_t count, int64_t timeout_ms, redis_done_fn *, void *arg);

bool redis_is_up(const struct redis *);
/* Drops what it has, if it is up, and connects again; with sentinels they are asked where (after -READONLY). `down` comes
 * from the loop. */
void redis_reconnect(struct redis *);

/* Goes where an error of the server says that the answer is: -READONLY as redis_reconnect(), -MOVED HOST:PORT (of a cluster) to
 * that node, until it cannot be reached: `up` follows without a `down`, if it can. Others change nothing. True: the connection
 * is being dropped. */
bool redis_follow(struct redis *, const struct redisReply *error);

/* What an error of the server means for who asked: OOM 452 4.3.1, all others 451 4.3.0, each with redis' words. */
void redis_error_reply(const struct redisReply *, struct reply *why);

#define REDIS_PART(text) { (text), sizeof(text) - 1 }	/* of a literal */
struct redis_part redis_text_part(const char *);	/* borrowed */
#define REDIS_NUMBER_SIZE 24
const char *redis_number_text(char text[REDIS_NUMBER_SIZE], int64_t);	/* returns `text` */

#endif
