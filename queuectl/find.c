/* find.c - which queue has a message
 * SPDX-License-Identifier: MIT */
#include "queuectl/find.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

struct finding {
	struct found *found;
	bool done;
};

/* 550 is not there; 554 is there, and damaged. */
static bool is_absent(const struct reply *why)
{
	return why->code == 550;
}

static void on_peeked(void *arg, const struct reply *why, struct peeked *peeked)
{
	struct finding *finding = arg;
	struct found *found = finding->found;

	finding->done = true;
	if (why)
		reply_copy(&found->why, why);
	if (!peeked)
		return;
	found->peeked = *peeked;
	memset(peeked, 0, sizeof(*peeked));
}

static void peek(struct operator *operator, struct queue *queue, const char *id, bool content, struct found *found)
{
	struct finding finding = { .found = found };

	queue_peek(queue, id, content, on_peeked, &finding);
	operator_wait(operator, &finding.done);
}

static void say_unsure(struct operator *operator, const struct queue *queue, const char *id, const struct reply *why)
{
	char *what = xasprintf("%s: queue %s", id, queue_name(queue));

	operator_fail(operator, EXIT_ERROR, what, why);
	free(what);
}

void find_message(struct operator *operator, const char *id, bool content, struct found *found)
{
	bool unsure = false;

	memset(found, 0, sizeof(*found));
	for (size_t i = 0; i < operator->queue_count && !found->queue; i++) {
		found_release(found);
		peek(operator, operator->queues[i], id, content, found);
		if (reply_is_transient(&found->why)) {
			say_unsure(operator, operator->queues[i], id, &found->why);
			unsure = true;
		} else if (!is_absent(&found->why)) {
			found->queue = operator->queues[i];
		}
	}
	if (!found->queue && !unsure)
		operator_say_absent(operator, id, "");
}

void found_release(struct found *found)
{
	reply_release(&found->why);
	envelope_free(found->peeked.envelope);
	strings_release(&found->peeked.asked);
	message_state_release(&found->peeked.state);
	free(found->peeked.owner);
	buffer_release(&found->suspended);
	buffer_release(&found->turn);
	memset(found, 0, sizeof(*found));
}
