/* relay_maildrop.c - gives each message to maildrop, once for all its recipients or once for each
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "worker/lda.h"
#include "worker/relay_drivers.h"

/* It begins with the name that it was called by, which may be a path. */
#define PREFIXED "(?m)^(?:\\S*/)?maildrop: *(\\S.*)$"

struct maildrop_relay {
	struct lda lda;
	bool per_recipient;
};

static const struct option rows[] = {
	LDA_ROWS(maildrop_relay, lda, "maildrop")
	{ "per_recipient", BOOL_FIELD(maildrop_relay, per_recipient), "no", 0, 0,
		"one run for each recipient; else one for all, and its end is the outcome of each" },
	{ 0 },
};

/* What is no template is another's to refuse. */
static bool names_recipient(const char *text)
{
	char *why = NULL;
	struct template *template = template_parse(text, &why);
	bool names = template && template_uses(template, MACRO_RECIPIENT);

	template_free(template);
	free(why);
	return names;
}

static bool any_names_recipient(const struct strings *args)
{
	for (size_t i = 0; i < args->count; i++)
		if (names_recipient(args->items[i]))
			return true;
	return false;
}

static void maildrop_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	static const char *const args[] = { "-f", "{sender}", NULL };
	static const char *const args_for_one[] = { "-f", "{sender}", "-d", "{recipient}", NULL };
	struct maildrop_relay *maildrop = (struct maildrop_relay *)relay;
	bool names_user = maildrop->per_recipient && !any_names_recipient(&maildrop->lda.extra_args);
	struct lda_kind kind = { .args = names_user ? args_for_one : args, .pattern = PREFIXED,
		.once_a_message = !maildrop->per_recipient };

	lda_init(&maildrop->lda, &kind, setting, section, errors);
}

const struct relay_driver relay_maildrop = {
	.type = "maildrop",
	.size = sizeof(struct maildrop_relay),
	.options = rows,
	.is_final = true,
	.check = maildrop_check,
	.open = piping_open,
	.deliver = piping_deliver,
	.drain = piping_drain,
	.close = lda_close,
	.command = piping_command,
};
