/* remove.c - slimta-queuectl remove: messages taken out of their queue for good
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/base/buffer.h"
#include "queuectl/find.h"
#include "queuectl/output.h"

struct removal {
	bool done;
	struct reply why;
};

static void on_discarded(void *arg, const struct reply *why)
{
	struct removal *removal = arg;

	if (why)
		reply_copy(&removal->why, why);
	removal->done = true;
}

static void log_action(const struct operator *operator, const char *event, const char *id, const char *queue)
{
	log_info("queuectl", event, LOG_TEXT("id", id), LOG_TEXT("queue", queue),
		LOG_TEXT("user", buffer_str(&operator->user)),
		LOG_TEXT("sudo_user", operator->sudo_user.size ? buffer_str(&operator->sudo_user) : NULL));
}

static void print_result(const struct operator *operator, const char *id, const char *queue, const char *result,
	const struct reply *why)
{
	if (operator->json)
		print_json(json_pack("{s:s, s:s?, s:s, s:o}", "id", id, "queue", queue, "result", result, "reply",
			why && why->code ? reply_to_json(why) : json_null()));
}

/* A storage that keeps marks takes the message away when its delivery ends, one without them refuses. */
static void say_busy(struct operator *operator, const char *id, const struct found *found, const struct reply *why)
{
	const char *owner = found->peeked.owner;

	operator_say(operator, EXIT_BUSY, "%s: being delivered just now%s%s; %s", id, owner ? " by " : "",
		owner ? owner : "", why->code ? "it is not removed"
		: "it is removed when this attempt ends, unless that delivers it");
	print_result(operator, id, queue_name(found->queue), why->code ? "busy" : "marked", why);
}

/* Whether it was removed; else it was said why not. */
static bool discard(struct operator *operator, const char *id, const struct found *found)
{
	const char *queue = queue_name(found->queue);
	struct removal removal = { 0 };
	bool removed = false;

	queue_discard(found->queue, &id, 1, on_discarded, &removal);
	operator_wait(operator, &removal.done);
	if (removal.why.code == 450) {
		say_busy(operator, id, found, &removal.why);
	} else if (removal.why.code) {
		operator_fail(operator, EXIT_ERROR, id, &removal.why);
		print_result(operator, id, queue, "error", &removal.why);
	} else if (queue_has(operator, found->queue, id)) {
		log_action(operator, "marked to be removed", id, queue);
		say_busy(operator, id, found, &removal.why);
	} else {
		log_action(operator, "removed", id, queue);
		print_result(operator, id, queue, "removed", NULL);
		removed = true;
	}
	reply_release(&removal.why);
	return removed;
}

void remove_messages(struct operator *operator, const struct arguments *arguments)
{
	size_t removed = 0;

	for (size_t i = 0; i < arguments->id_count; i++) {
		struct found found;

		find_message(operator, arguments->ids[i], false, &found);
		if (found.queue)
			removed += discard(operator, arguments->ids[i], &found);
		else
			print_result(operator, arguments->ids[i], NULL,
				reply_is_transient(&found.why) ? "error" : "absent", &found.why);
		found_release(&found);
	}
	if (!operator->json)
		printf("removed %zu of %zu message%s\n", removed, arguments->id_count,
			arguments->id_count == 1 ? "" : "s");
}
