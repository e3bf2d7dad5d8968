/* reload.c - slimta-queuectl reload: the master takes the configuration anew, or says what is wrong with it
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/base/buffer.h"
#include "queuectl/operator.h"
#include "queuectl/output.h"

static void print_lines(const json_t *lines)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) {
		struct buffer text = { 0 };

		put_text(&text, json_is_string(line) ? json_string_value(line) : "?");
		fprintf(stderr, "%s\n", buffer_str(&text));
		buffer_release(&text);
	}
}

void reload_master(struct operator *operator, const struct arguments *arguments)
{
	char *why = NULL;
	json_t *lines = master_ask(operator->process.runtime_dir, "reload", 0, &why);
	json_t *outcome = json_array_get(lines, 0), *refused = json_object_get(outcome, "refused");

	(void)arguments;
	if (!lines) {
		operator_say(operator, EXIT_ERROR, "%s", why);
	} else if (refused) {
		print_lines(refused);
		operator_say(operator, EXIT_ERROR, "not reloaded: what ran before goes on");
	} else {
		print_lines(json_object_get(outcome, "warnings"));
		if (!operator->json)
			printf("reloaded: generation %lld serves since %lld ms after it was asked for\n",
				(long long)json_integer_value(json_object_get(outcome, "generation")),
				(long long)json_integer_value(json_object_get(outcome, "ms")));
	}
	if (lines && operator->json)
		print_json(json_incref(outcome));
	json_decref(lines);
	free(why);
}
