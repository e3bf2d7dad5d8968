/* check.c - slimta-worker --check and --list-options: what only it knows of the configuration
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "common/base/buffer.h"
#include "common/net/child.h"
#include "common/queue/queue.h"
#include "worker/arguments.h"
#include "worker/relay.h"

int check_main(const struct child_arguments *arguments)
{
	struct config_errors errors = { 0 };
	struct process_options process = { 0 };
	struct config *config = child_check_config(arguments, &errors);
	int code;

	/* All errors in one go: those of relays are looked for whatever is wrong there. */
	if (config) {
		struct relay_setting setting = { config, &process, arguments->allow_root };

		process_load(config, "worker", &process, &errors);
		relay_check_all(&setting, &errors);
	}
	code = child_check_print(arguments, &errors);
	config_errors_release(&errors);
	process_release(&process);
	config_free(config);
	return fflush(stdout) == 0 ? code : 1;
}

int list_options_main(void)
{
	struct buffer text = { 0 };

	relay_list_options(&text);
	fputs(buffer_str(&text), stdout);
	buffer_release(&text);
	return fflush(stdout) == 0 ? 0 : 1;
}
