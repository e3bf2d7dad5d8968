/* lda.c - relays that give mail to a local delivery agent: what maildrop and dovecot have in common
 * SPDX-License-Identifier: MIT */
#include "worker/lda.h"

#include "common/base/memory.h"
#include "common/config/values.h"

/* A line of a shell would be taken for one argument. */
void lda_check_list(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	if (node->kind != CONFIG_LIST)
		option_expected(node, "a list, [ARGUMENT...]", errors);
}

static void add_all(struct strings *args, const struct lda *lda, const struct lda_kind *kind)
{
	strings_add(args, lda->path ? lda->path : "");
	for (size_t i = 0; kind->args[i]; i++)
		strings_add(args, kind->args[i]);
	for (size_t i = 0; i < lda->extra_args.count; i++)
		strings_add(args, lda->extra_args.items[i]);
}

void lda_init(struct lda *lda, const struct lda_kind *kind, const struct relay_setting *setting,
	const struct config_node *section, struct config_errors *errors)
{
	struct command_options options = { .args = &lda->args, .args_key = "extra_args", .user = lda->user,
		.group = lda->group, .timeout_ms = lda->timeout_ms, .without_recipient = kind->once_a_message };
	char *why = NULL;

	add_all(&lda->args, lda, kind);
	options.fixed = lda->args.count - lda->extra_args.count;
	lda->pattern = kind->pattern ? pattern_compile(kind->pattern, &why) : NULL;
	if (why)
		BUG("%s: %s", kind->pattern, why);
	lda->piping.once_a_message = kind->once_a_message;
	lda->piping.rules = (struct exit_rules){ .pattern = lda->pattern, .by_status = true };
	piping_init(&lda->piping, &options, setting, section, errors);
}

void lda_close(struct relay *relay)
{
	struct lda *lda = (struct lda *)relay;

	piping_close(relay);
	pattern_free(lda->pattern);
	strings_release(&lda->args);
}
