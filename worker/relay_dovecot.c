/* relay_dovecot.c - gives each message to Dovecot's local delivery agent, once a recipient
 * SPDX-License-Identifier: MIT */
#include "worker/lda.h"
#include "worker/relay_drivers.h"

struct dovecot_relay {
	struct lda lda;
};

static const struct option rows[] = {
	LDA_ROWS(dovecot_relay, lda, "dovecot-lda")
	{ 0 },
};

static void dovecot_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	static const char *const args[] = { "-f", "{sender}", "-d", "{recipient}", NULL };

	lda_init(&((struct dovecot_relay *)relay)->lda, &(struct lda_kind){ .args = args }, setting, section, errors);
}

const struct relay_driver relay_dovecot = {
	.type = "dovecot",
	.size = sizeof(struct dovecot_relay),
	.options = rows,
	.is_final = true,
	.check = dovecot_check,
	.open = piping_open,
	.deliver = piping_deliver,
	.drain = piping_drain,
	.close = lda_close,
	.command = piping_command,
};
