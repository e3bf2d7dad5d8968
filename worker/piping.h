/* piping.h - what all relays that run commands share: the messages they have, and their line for the spawner
 * SPDX-License-Identifier: MIT
 * A driver is its rows, its arguments, and what the end of its command means. */
#ifndef SLIMTA_WORKER_PIPING_H
#define SLIMTA_WORKER_PIPING_H

#include <sys/queue.h>

#include "worker/command.h"
#include "worker/exit_reply.h"
#include "worker/relay.h"

/* First member of a driver's struct. */
struct piping {
	struct relay relay;
	struct command command;

	/* Set by the driver's `check`. */
	struct exit_rules rules;
	bool once_a_message;		/* one run for all recipients that are open, each of whom has its outcome; else one
					 * for each */

	/* piping.c's own */
	struct spawn_client *client;
	struct event *wake;
	TAILQ_HEAD(, piped) all;
	TAILQ_HEAD(, piped) waiting;	/* with runs that were not sent to the spawner */
	unsigned under_way;
	bool draining;
};

/* For the driver's `check`: the command, and what of the relay derives from it. Errors are appended. */
void piping_init(struct piping *, const struct command_options *, const struct relay_setting *,
	const struct config_node *section, struct config_errors *);

/* Functions of a driver, as relay.h has them. Its own `close` calls piping_close before it releases what is its own. */
int piping_open(struct relay *);
void piping_deliver(struct relay *, const struct relay_delivery *);
void piping_drain(struct relay *, int64_t bound_ms);
void piping_close(struct relay *);
const struct command *piping_command(const struct relay *);

#endif
