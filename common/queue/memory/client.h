/* client.h - reaching what a memory queue holds from elsewhere: by the socket of its worker
 * SPDX-License-Identifier: MIT
 * Calls wait while there is no connection, for CLIENT_PATIENCE_MS; those sent over one that broke fail. */
#ifndef SLIMTA_QUEUE_MEMORY_CLIENT_H
#define SLIMTA_QUEUE_MEMORY_CLIENT_H

#include "common/net/stream.h"
#include "common/queue/memory/wire.h"
#include "common/queue/storage.h"
#include "common/queue/tasks.h"

#define CLIENT_PATIENCE_MS 5000
#define CLIENT_ANSWER_MS 30000		/* a worker that is silent for longer is given up */

struct memory_client;

enum call_more { CALL_MORE, CALL_LATER, CALL_END };

/* A request and what follows from its answer. First member of what belongs to it. */
struct call {
	TAILQ_ENTRY(call) next;
	json_t *line;			/* without number and bytes; owned */
	struct buffer octets;		/* behind it; owned */
	uint64_t bytes;			/* that `more` gives behind those */
	uint64_t number;
	int64_t asked_boot_ms, sent_boot_ms;
	/* Optional: appends more octets; LATER: client_go_on follows. */
	enum call_more (*more)(struct call *, struct buffer *out);
	void (*rewind)(struct call *);	/* where there is `more`: from the start, it is sent again */
	/* Once, from the loop: the answer, or `why`. 451 4.4.2: sent, and what became of it is not known. */
	void (*answered)(struct call *, const json_t *line, const struct buffer *octets, const struct reply *why);
};
TAILQ_HEAD(calls, call);

struct memory_client {
	const struct storage_context *context;
	uint64_t answer_max;		/* octets of one answer */
	bool next;			/* of the worker that waits to serve */
	bool persistent;		/* calls wait for a connection, and it is tried again and again */
	struct stream stream;
	bool connected, moving;
	struct wire wire;
	struct calls waiting, sent;
	struct call *sending;
	struct reply early;		/* to that one: it was refused by its line alone */
	uint64_t last_number;
	struct event *wake;		/* to send what waits, or to connect again */
	int error;			/* why there was no connection */
	int64_t retry_ms, lost_boot_ms, begun_boot_ms;
	storage_done_fn *opened;	/* NULL: called back */
	void *opened_arg;
	void (*lost)(void *arg);	/* optional: the connection broke, or there was none */
	void *lost_arg;
	/* As the last answer had it. */
	bool refreshing;
	int64_t seen_boot_ms;
	uint64_t free_bytes, messages;
};

void client_open(struct memory_client *, const struct storage_context *, storage_done_fn *opened, void *arg);
void client_close(struct memory_client *);		/* calls all back, 451 4.3.0 */
void client_ask(struct memory_client *, struct call *);
void client_go_on(struct memory_client *);		/* a call has more to send */
void call_release(struct call *);		/* what it owns */
/* Sure to be refused, as far as is known? -1 with *why: 451 4.3.0 (no connection), 452 4.3.1. */
int client_accepts(struct memory_client *, uint64_t max_messages, uint64_t size, struct reply *why);

/* ---- client_calls.c, client_write.c: the contract's calls */
void client_write(struct memory_client *, struct tasks *, struct envelope *const items[], size_t count, int64_t delay_ms,
	uint64_t max_bytes, storage_done_fn *, void *arg);
void client_discard(struct memory_client *, const char *const ids[], size_t count, storage_done_fn *, void *arg);
void client_mark(struct memory_client *, const char *id, enum mark, const char *reason, storage_done_fn *, void *arg);
void client_peek(struct memory_client *, const char *id, bool content, storage_peeked_fn *, void *arg);
void client_list(struct memory_client *, const struct list_filter *, const char *cursor, size_t max, storage_list_fn *,
	void *arg);
void client_info(struct memory_client *, storage_info_fn *, void *arg);
void client_set(struct memory_client *, const char *key, const char *value, int64_t expiry_ms, storage_done_fn *, void *arg);
void client_settings(struct memory_client *, storage_settings_fn *, void *arg);
/* A request with nothing but its line, which is taken, and octets, which are moved. */
void client_tell(struct memory_client *, json_t *line, struct buffer *octets, storage_done_fn *, void *arg);

/* What answers say; they call back with what they make of it, 451 4.3.0 where it makes no sense. */
void client_read_peeked(const json_t *line, const struct buffer *octets, bool content, storage_peeked_fn *, void *arg);
void client_read_list(const json_t *line, const struct buffer *octets, storage_list_fn *, void *arg);
void client_read_info(const json_t *line, storage_info_fn *, void *arg);
void client_read_settings(const struct buffer *octets, storage_settings_fn *, void *arg);

#endif
