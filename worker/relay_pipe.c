/* relay_pipe.c - gives each message to a command of one's own, once a recipient
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/config/values.h"
#include "worker/piping.h"
#include "worker/relay_drivers.h"

struct pipe_relay {
	struct piping piping;
	struct strings args;
	char *error_pattern;
	int64_t timeout_ms;
	char *cwd;
	struct option_pairs env;
	char *user, *group;
	unsigned concurrent_processes;
	struct pattern *pattern;
};

/* A line of a shell would be taken for the name of a program. */
static void check_args(const struct config_node *node, void *field, struct config_errors *errors)
{
	(void)field;
	if (node->kind != CONFIG_LIST)
		option_expected(node, "a list, [PROGRAM, ARGUMENT...]", errors);
}

static const struct option rows[] = {
	{ "args", TEXTS_FIELD(pipe_relay, args), NULL, 0, 0,
		"the program and its arguments; {sender}, {recipient} and other fields", .required = true,
		.check = check_args },
	{ "error_pattern", TEXT_FIELD(pipe_relay, error_pattern), NULL, 0, 0,
		"PCRE2 pattern that picks the text of a failure out of the output" },
	{ "timeout", TIME_FIELD(pipe_relay, timeout_ms), "300", 100, 86400000,
		"time that a command may take before its process group is ended" },
	{ "cwd", PATH_FIELD(pipe_relay, cwd), "/", 0, 0, "directory in which the command runs" },
	{ "env", PAIRS_FIELD(pipe_relay, env), NULL, 0, 0, "variables of the command's environment" },
	{ "user", TEXT_FIELD(pipe_relay, user), NULL, 0, 0, "whom the command runs as; else the worker's user" },
	{ "group", TEXT_FIELD(pipe_relay, group), NULL, 0, 0, "its group; else that of the user" },
	{ "concurrent_processes", UINT_FIELD(pipe_relay, concurrent_processes), NULL, 1, 1000,
		"commands at once, over all workers; else one per CPU" },
	{ 0 },
};

static void pipe_check(struct relay *relay, const struct config_node *section, const struct relay_setting *setting,
	struct config_errors *errors)
{
	struct pipe_relay *pipe = (struct pipe_relay *)relay;
	const struct command_options options = { .args = &pipe->args, .args_key = "args", .env = &pipe->env,
		.cwd = pipe->cwd, .user = pipe->user, .group = pipe->group, .timeout_ms = pipe->timeout_ms,
		.concurrent = pipe->concurrent_processes };
	char *why = NULL;

	piping_init(&pipe->piping, &options, setting, section, errors);
	if (!pipe->error_pattern)
		return;
	pipe->pattern = pattern_compile(pipe->error_pattern, &why);
	if (!pipe->pattern)
		config_error_at_value(errors, config_get(section, "error_pattern"), "expected a regular expression: %s",
			why);
	free(why);
	pipe->piping.rules.pattern = pipe->pattern;
}

static void pipe_close(struct relay *relay)
{
	piping_close(relay);
	pattern_free(((struct pipe_relay *)relay)->pattern);
}

const struct relay_driver relay_pipe = {
	.type = "pipe",
	.size = sizeof(struct pipe_relay),
	.options = rows,
	.is_final = true,
	.check = pipe_check,
	.open = piping_open,
	.deliver = piping_deliver,
	.drain = piping_drain,
	.close = pipe_close,
	.command = piping_command,
};
