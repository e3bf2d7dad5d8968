/* relay.h - a relay of slimta.conf: where a worker takes messages
 * SPDX-License-Identifier: MIT
 * A driver is a struct of functions; relay.c alone calls it. */
#ifndef SLIMTA_WORKER_RELAY_H
#define SLIMTA_WORKER_RELAY_H

#include "common/config/options.h"
#include "common/config/process.h"
#include "common/message/envelope.h"
#include "common/message/reply.h"
#include "common/queue/storage.h"

struct event_base;
struct pool;
struct relay;
struct command;

/* Lent to a relay for its life. */
struct relay_context {
	struct event_base *base;
	const struct process_options *process;
	const char *spawner_path;	/* socket of the spawner that runs commands for this worker */
	struct pool *disk;		/* for reading files */
};

/* What a section is read with. */
struct relay_setting {
	const struct config *config;
	const struct process_options *process;	/* the worker's */
	bool allow_root;
};

/* What became of one recipient. All borrowed. */
struct relay_result {
	const struct reply *reply;	/* none: it was not attempted */
	const char *host;		/* that gave it, "mx.example.net[192.0.2.1]"; "": it got nowhere */
	const char *tls;		/* "TLSv1.3": so it went there; NULL: in clear, or not by SMTP */
	bool dsn_passed_on;		/* of a success: the next hop took over telling the sender (RFC 3461 5.2.2) */
	/* Not attempted, as more wait there than the relay takes: due then at the earliest; 0: at once. */
	int64_t later_ms;
};
/* For who knows only what was said, and where. */
#define RELAY_RESULT(reply_, host_) (&(struct relay_result){ .reply = (reply_), .host = (host_) })

/* Recipient `index` is that of the stored list. */
typedef void relay_settled_fn(void *arg, size_t index, const struct relay_result *);
typedef void relay_done_fn(void *arg);
/* May the step be taken that cannot be taken back? WAIT: not known yet; STOP: no, the message is another worker's by now. */
enum relay_go { RELAY_GO, RELAY_STOP, RELAY_WAIT };
typedef void relay_resume_fn(void *arg, enum relay_go);		/* GO or STOP */

/* One message on its way through a relay. The driver runs `settled` once for each recipient that is open in
 * `done`, as soon as it knows, then `finished` once; all of them from the loop, never inside
 * deliver(). Everything is borrowed until `finished` has run; `done` may grow meanwhile by what was settled. */
struct relay_delivery {
	const struct envelope *envelope;
	const struct outcomes *done;
	relay_settled_fn *settled;
	relay_done_fn *finished;
	/* Asked before each final dot, end of an HTTP body or start of a command; on STOP it is not sent, and those it
	 * was for are settled as not attempted. WAIT: `resume` runs once, from the loop, unless `finished` comes first,
	 * or another question, or NULL, which takes the question back. */
	enum relay_go (*commit)(void *arg, relay_resume_fn *resume, void *resume_arg);
	void *arg;
	const bool *left_out;		/* open, and not to be attempted: not the relay's; NULL: none */
	/* Told that it waits as all that the relay may have at once is in use, or that it does no more; at any time until
	 * `finished`, as often as the driver likes. NULL: nobody wants to know. */
	void (*in_line)(void *arg, bool waits);
};

struct relay_driver {
	const char *type;		/* value of relay.NAME.type */
	size_t size;			/* of the driver's own struct, which begins with struct relay */
	const struct option *options;	/* its keys but `type`; fills the driver's struct; ends with {0} */
	bool is_final;			/* its success is a delivery; else another server has the message then */

	/* What the rows cannot check, and what is derived from them: relay.capacity, relay.step_ms. Errors are
	 * appended; the rows may have failed before. */
	void (*check)(struct relay *, const struct config_node *section, const struct relay_setting *,
		struct config_errors *);
	/* 0, or -1 (logged): fatal at start. */
	int (*open)(struct relay *);
	void (*deliver)(struct relay *, const struct relay_delivery *);
	/* Begins nothing more: what is not begun is settled as not attempted, what is under way goes on: for `bound_ms`
	 * where it can be broken off, else to its end. Once more: with another bound. */
	void (*drain)(struct relay *, int64_t bound_ms);
	/* Nothing is under way, or the process ends: no callback runs after it. Called for an unopened one too. */
	void (*close)(struct relay *);
	/* Optional: the command that the spawner runs for this relay. */
	const struct command *(*command)(const struct relay *);
};

struct relay {
	const struct relay_driver *driver;
	struct relay_context context;
	char *name;
	unsigned capacity;		/* messages that may be under way at once */
	bool closed;
	int64_t step_ms;		/* the longest time without news of a delivery: the lease has to outlive it */
	int64_t answer_ms;		/* a drain waits so long for what is past the dot, whatever its bound; 0: it does not */
};

extern const struct relay_driver *const relay_drivers[];	/* ends with NULL */

/* Checks every section under `relay`. 0, or -1 if it added an error. */
int relay_check_all(const struct relay_setting *, struct config_errors *);
void relay_list_options(struct buffer *out);

/* Loads one section; NULL with errors. */
struct relay *relay_load(const struct relay_setting *, const char *name, struct config_errors *);
int relay_open(struct relay *, const struct relay_context *);
void relay_deliver(struct relay *, const struct relay_delivery *);
void relay_drain(struct relay *, int64_t bound_ms);
/* Ends what is under way, which is still there to be named; deliveries name their relay until it is freed. */
void relay_close(struct relay *);		/* NULL is fine */
void relay_free(struct relay *);		/* closes; NULL is fine */
const struct command *relay_command(const struct relay *);	/* NULL: it runs none */

#endif
