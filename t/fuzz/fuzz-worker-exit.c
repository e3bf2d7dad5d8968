/* fuzz-worker-exit.c - replies made of what a command wrote
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/text.h"
#include "worker/exit_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pattern *pattern;

static void check(const struct reply *reply)
{
	if (reply->code != 250 && reply->code != 450 && reply->code != 550 && reply->code != 554)
		BUG("code %u", reply->code);
	if (!reply->text || strpbrk(reply->text, "\r\x7f\x1b") || !utf8_is_valid(reply->text, strlen(reply->text)))
		BUG("a text that is not clean");
}

/* The first octet is the exit status, the second divides the rest into stdout and stderr. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spawn_result result = { .end = SPAWN_EXITED };
	struct reply reply = { 0 };
	size_t cut;
	char *why;

	if (size < 2)
		return 0;
	if (!pattern)
		pattern = pattern_compile("error: (.*?)(?:\\s|$)", &why);
	result.detail = data[0];
	cut = data[1] < size - 2 ? data[1] : size - 2;
	buffer_append(&result.output[SPAWN_STDOUT], data + 2, cut);
	buffer_append(&result.output[SPAWN_STDERR], data + 2 + cut, size - 2 - cut);
	exit_reply(&reply, &result, &(struct exit_rules){ pattern, false });
	check(&reply);
	if (result.detail == 0 ? reply.code != 250 : reply.code == 250)
		BUG("exit status %u gives %u", result.detail, reply.code);
	exit_reply(&reply, &result, &(struct exit_rules){ NULL, data[1] & 1 });
	check(&reply);
	if (result.detail == 0 ? reply.code != 250 : reply.code == 250)
		BUG("exit status %u gives %u by itself", result.detail, reply.code);
	reply_release(&reply);
	buffer_release(&result.output[SPAWN_STDOUT]);
	buffer_release(&result.output[SPAWN_STDERR]);
	return 0;
}
