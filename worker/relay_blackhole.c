/* relay_blackhole.c - everything succeeds, nothing is done
 * SPDX-License-Identifier: MIT */
#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/base/memory.h"
#include "worker/relay_drivers.h"

#define CAPACITY 100

struct swallowed {
	TAILQ_ENTRY(swallowed) link;
	struct blackhole *blackhole;
	struct relay_delivery delivery;
	bool asks;			/* whether it may: leave it alone */
};

struct blackhole {
	struct relay relay;
	struct event *wake;
	TAILQ_HEAD(, swallowed) swallowed;
};

static const struct option rows[] = { { 0 } };

static void settle_all(const struct relay_delivery *delivery, enum relay_go go)
{
	struct reply reply = { 0 };

	for (size_t i = 0; i < delivery->envelope->recipient_count; i++) {
		if (!relay_is_open(delivery, i))
			continue;
		if (go == RELAY_GO)
			reply_set(&reply, 250, "2.0.0", "Message delivered; %s", delivery->envelope->id);
		delivery->settled(delivery->arg, i, RELAY_RESULT(&reply, "blackhole"));
	}
	reply_release(&reply);
	delivery->finished(delivery->arg);
}

static void on_resumed(void *arg, enum relay_go go)
{
	struct swallowed *swallowed = arg;
	struct relay_delivery delivery = swallowed->delivery;

	TAILQ_REMOVE(&swallowed->blackhole->swallowed, swallowed, link);
	free(swallowed);
	settle_all(&delivery, go);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct blackhole *blackhole = arg;
	struct swallowed *swallowed, *next;

	(void)fd;
	(void)what;
	for (swallowed = TAILQ_FIRST(&blackhole->swallowed); swallowed; swallowed = next) {
		enum relay_go go;

		next = TAILQ_NEXT(swallowed, link);
		if (swallowed->asks)
			continue;
		go = swallowed->delivery.commit(swallowed->delivery.arg, on_resumed, swallowed);
		if (go == RELAY_WAIT)
			swallowed->asks = true;
		else
			on_resumed(swallowed, go);
	}
}

static void blackhole_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	(void)section;
	(void)setting;
	(void)errors;
	relay->capacity = CAPACITY;
}

static int blackhole_open(struct relay *relay)
{
	struct blackhole *blackhole = (struct blackhole *)relay;

	TAILQ_INIT(&blackhole->swallowed);
	blackhole->wake = event_new(relay->context.base, -1, 0, on_wake, blackhole);
	return blackhole->wake ? 0 : -1;
}

static void blackhole_deliver(struct relay *relay, const struct relay_delivery *delivery)
{
	struct blackhole *blackhole = (struct blackhole *)relay;
	struct swallowed *swallowed = xcalloc(1, sizeof(*swallowed));

	swallowed->blackhole = blackhole;
	swallowed->delivery = *delivery;
	TAILQ_INSERT_TAIL(&blackhole->swallowed, swallowed, link);
	event_active(blackhole->wake, EV_TIMEOUT, 0);
}

static void blackhole_drain(struct relay *relay, int64_t bound_ms)
{
	(void)bound_ms;
	(void)relay;	/* what is here is over at the next turn of the loop */
}

static void blackhole_close(struct relay *relay)
{
	struct blackhole *blackhole = (struct blackhole *)relay;
	struct swallowed *swallowed;

	if (!blackhole->wake)
		return;
	while ((swallowed = TAILQ_FIRST(&blackhole->swallowed))) {
		if (swallowed->asks)
			swallowed->delivery.commit(swallowed->delivery.arg, NULL, NULL);
		TAILQ_REMOVE(&blackhole->swallowed, swallowed, link);
		free(swallowed);
	}
	event_free(blackhole->wake);
}

const struct relay_driver relay_blackhole = {
	.type = "blackhole",
	.size = sizeof(struct blackhole),
	.options = rows,
	.is_final = true,
	.check = blackhole_check,
	.open = blackhole_open,
	.deliver = blackhole_deliver,
	.drain = blackhole_drain,
	.close = blackhole_close,
};
