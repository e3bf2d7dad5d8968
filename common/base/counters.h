/* counters.h - counters of all processes of one machine in shared memory
 * SPDX-License-Identifier: MIT
 * A memfd of the master holds a row per child. Only the child writes its row (relaxed atomics, no lock),
 * readers sum all rows. When a child is gone the master adds its totals to the row of its own and clears
 * the row; gauges are only cleared. A program started alone has a private table with one row. */
#ifndef SLIMTA_BASE_COUNTERS_H
#define SLIMTA_BASE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* Totals only grow; gauges go up and down. Order is the layout: append, never insert. */
#define COUNTER_LIST(TOTAL, GAUGE) \
	GAUGE(EDGE_CONNECTIONS, "edge_connections", "sessions open now") \
	TOTAL(EDGE_ACCEPTED, "edge_connections_total", "connections accepted") \
	TOTAL(EDGE_MESSAGES, "edge_messages_total", "messages answered 250") \
	TOTAL(EDGE_DEFERRED, "edge_messages_deferred_total", "messages answered 4yz") \
	TOTAL(EDGE_REJECTED, "edge_messages_rejected_total", "messages answered 5yz") \
	TOTAL(EDGE_OCTETS, "edge_message_octets_total", "octets of the messages answered 250") \
	GAUGE(WORKER_ATTEMPTS, "worker_attempts", "deliveries under way now") \
	TOTAL(WORKER_CLAIMED, "worker_claimed_total", "messages claimed") \
	TOTAL(WORKER_DELIVERED, "worker_recipients_delivered_total", "recipients delivered") \
	TOTAL(WORKER_DEFERRED, "worker_recipients_deferred_total", "recipients that have to wait") \
	TOTAL(WORKER_FAILED, "worker_recipients_failed_total", "recipients failed for good") \
	TOTAL(LOG_LOST, "log_lines_lost_total", "log lines that did not fit their pipe") \
	TOTAL(WORKER_NOTIFIED, "worker_notifications_total", "bounces and other notifications written") \
	TOTAL(EDGE_REFUSED, "edge_connections_refused_total", "connections turned away for want of descriptors") \
	TOTAL(EDGE_LIMITED_CONNECTIONS, "edge_connections_limited_total", "connections refused by max_connections, _per_ip") \
	TOTAL(EDGE_LIMITED_MESSAGES, "edge_messages_limited_total", "messages refused by max_messages_per_minute") \
	TOTAL(EDGE_AUTH_FAILED, "edge_authentications_failed_total", "attempts to authenticate that failed")

enum counter {
#define COUNTER_ENUM(id, name, text) COUNTER_##id,
	COUNTER_LIST(COUNTER_ENUM, COUNTER_ENUM)
#undef COUNTER_ENUM
	COUNTER_COUNT
};

struct counters;

/* The master's: rows 0 to `rows` - 1 for children and one of its own behind them. NULL with errno. `fd` is
 * what children get (close-on-exec; the caller closes it); `fd` NULL: private, for a program alone. */
struct counters *counters_create(unsigned rows, int *fd);
/* A view of an inherited fd that writes `row` only; a master executed anew attaches to the last row. Counters
 * that only one side knows, being of another version, are 0 to the other. NULL with errno (foreign: EPROTO). */
struct counters *counters_attach(int fd, unsigned row);
void counters_free(struct counters *);

void counter_add(struct counters *, enum counter, int64_t amount);	/* our row; NULL counters: nothing */
uint64_t counter_sum(const struct counters *, enum counter);	/* over all rows; a gauge is never below 0 */
uint64_t counter_of_row(const struct counters *, unsigned row, enum counter);
void counters_retire(struct counters *, unsigned row);			/* the master's, when a child is gone */
unsigned counters_rows(const struct counters *);			/* the master's counted */

const char *counter_name(enum counter);
const char *counter_text(enum counter);		/* one line of help */
int counter_is_gauge(enum counter);

#endif
