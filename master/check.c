/* check.c - all that is wrong with a configuration, said by all programs together
 * SPDX-License-Identifier: MIT */
#include "common/config/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/config/content.h"
#include "common/policy/policy.h"
#include "common/queue/queue.h"
#include "master/exec.h"
#include "master/master.h"

#define ANSWER_MAX_BYTES (1 << 20)
#define ANSWER_TIMEOUT_MS 30000

/* ---- asking another program */

static bool read_to_end(int fd, struct buffer *out)
{
	int64_t end = clock_boot_ms() + ANSWER_TIMEOUT_MS;

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		int64_t left = end - clock_boot_ms();
		char part[4096];
		ssize_t size;

		if (left <= 0 || out->size > ANSWER_MAX_BYTES)
			return false;
		if (poll(&poll_fd, 1, (int)left) <= 0)
			continue;
		size = read(fd, part, sizeof part);
		if (size == 0)
			return true;
		if (size < 0 && errno != EINTR)
			return false;
		if (size > 0)
			buffer_append(out, part, (size_t)size);
	}
}

/* The exit code of `slimta-PROGRAM OPTION`, its stdout in `out`; -1 with an owned text in *why. */
static int ask(const struct program_plan *plan, enum program program, char *const argv[],
	int config_fd, struct buffer *out, char **why)
{
	struct exec_plan exec = { .exec_fd = plan->exec_fd, .argv = argv,
		.fds = { -1, -1, STDERR_FILENO, config_fd }, .fd_count = config_fd >= 0 ? 4 : 3 };
	int ends[2], status = 0;
	bool complete;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		*why = xasprintf(
			"cannot run slimta-%s: %s", program_sections[program], strerror(errno));
		return -1;
	}
	exec.fds[STDOUT_FILENO] = ends[1];
	pid = exec_start(&exec);
	close(ends[1]);
	complete = pid > 0 && read_to_end(ends[0], out);
	close(ends[0]);
	if (pid > 0 && !complete)
		kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (complete && WIFEXITED(status))
		return WEXITSTATUS(status);
	*why = pid < 0 ? xasprintf("cannot run slimta-%s: %s", program_sections[program],
				 strerror(errno))
		       : xasprintf("slimta-%s %s did not end as it should (wait status %d)",
				 program_sections[program], argv[1], status);
	return -1;
}

static void fail_at_root(
	const struct generation *generation, struct config_errors *errors, const char *text)
{
	config_error_at(errors, config_root(generation->config), "%s", text);
}

static void ask_for_errors(struct generation *generation, enum program program, bool allow_root,
	struct config_errors *errors)
{
	char *argv[] = { xasprintf("slimta-%s", program_sections[program]), (char *)"--check",
		allow_root ? (char *)"--allow-root" : NULL, NULL };
	struct buffer answer = { 0 };
	size_t before = errors->error_count;
	char *why = NULL;
	int code = ask(
		&generation->plans[program], program, argv, generation->plans[program].config_fd, &answer, &why);

	if (code >= 0 && (config_errors_parse(errors, buffer_str(&answer), answer.size) < 0 ||
				 (code != 0 && errors->error_count == before)))
		why = xasprintf("slimta-%s --check exited %d with an answer that is not understood",
			program_sections[program], code);
	if (why)
		fail_at_root(generation, errors, why);
	free(why);
	free(argv[0]);
	buffer_release(&answer);
}

/* ---- what the master knows itself */

static bool is_map(const struct config_node *node)
{
	return node && node->kind == CONFIG_MAP;
}

static void check_queues(const struct generation *generation, struct config_errors *errors)
{
	const struct config_node *queues = config_get(config_root(generation->config), "queue");

	for (size_t i = 0; is_map(queues) && i < queues->count; i++)
		queue_check(generation->config, queues->items[i]->key,
			&generation->plans[PROGRAM_WORKER].process, errors);
}

/* Which addresses a name or all interfaces are, the start finds out: here only what is the same. */
static void check_taken(const struct config_node *edge, const struct listener_options *items,
	size_t count, struct strings *taken, struct config_errors *errors)
{
	for (size_t i = 0; i < count; i++) {
		char *name = listener_describe(&items[i]);
		char *address = xasprintf("%u %s", items[i].type, name);

		if (strings_contain(taken, address))
			config_error_at(errors, edge,
				"another listener has the address %s: expected one of its own", name);
		strings_add(taken, address);
		free(address);
		free(name);
	}
}

static void check_listeners(const struct generation *generation, struct config_errors *errors)
{
	const struct config_node *edges = config_get(config_root(generation->config), "edge");
	struct strings taken = { 0 };

	for (size_t i = 0; is_map(edges) && i < edges->count; i++) {
		struct listener_options *items;
		size_t count;

		if (!is_map(edges->items[i]))
			continue;
		if (listeners_load(edges->items[i], listener_default_port(edges->items[i]), &items,
			    &count, errors) == 0)
			check_taken(edges->items[i], items, count, &taken, errors);
		listeners_free(items, count);
	}
	strings_release(&taken);
}

void check_load_plans(struct generation *generation)
{
	struct config_errors said = { 0 };	/* by process_check */

	for (int i = 0; i < PROGRAM_COUNT; i++) {
		struct program_plan *plan = &generation->plans[i];

		plan->stdout_fd = plan->stderr_fd = -1;
		if (process_load(generation->config, program_sections[i], &plan->process, &said) ==
			0)
			process_identity(generation->config, &plan->process, program_sections[i],
				&plan->identity, &said);
	}
	config_errors_release(&said);
}

int check_configuration(
	struct generation *generation, bool allow_root, struct config_errors *errors)
{
	size_t before = errors->error_count;

	check_load_plans(generation);
	config_check_structure(generation->config, errors);
	process_check(generation->config, allow_root, errors);
	check_queues(generation, errors);
	check_listeners(generation, errors);
	config_read_contents(generation->config, errors);
	if (generation_seal(generation) < 0) {
		fail_at_root(generation, errors, strerror(errno));
		return -1;
	}
	ask_for_errors(generation, PROGRAM_EDGE, allow_root, errors);
	ask_for_errors(generation, PROGRAM_WORKER, allow_root, errors);
	return errors->error_count > before ? -1 : 0;
}

/* ---- --check and --list-options */

static int open_programs(struct generation *generation)
{
	char *why = NULL;
	int result = generation_open_programs(generation, &why);

	if (result < 0)
		fprintf(stderr, "slimta-master: %s\n", why);
	free(why);
	return result;
}

int check_read(struct generation *generation, const struct master_arguments *arguments)
{
	struct config_errors errors = { 0 };
	struct buffer text = { 0 };
	int result = -1;

	if (open_programs(generation) < 0)
		return -1;
	generation->config = config_read(arguments->config_path, &errors);
	if (generation->config && check_configuration(generation, arguments->allow_root, &errors) == 0 &&
		errors.error_count == 0)	/* reading gives a configuration with errors too */
		result = 0;
	config_errors_print(&errors, &text);
	fputs(buffer_str(&text), stderr);
	buffer_release(&text);
	config_errors_release(&errors);
	return result;
}

int check_main(const struct master_arguments *arguments)
{
	struct generation *generation = generation_new(NULL);
	int result = check_read(generation, arguments);

	generation_free(generation, NULL);
	return result < 0 ? 1 : 0;
}

static int list_of(struct generation *generation, enum program program, struct buffer *out)
{
	char *argv[] = { xasprintf("slimta-%s", program_sections[program]),
		(char *)"--list-options", NULL };
	char *why = NULL;
	int code = ask(&generation->plans[program], program, argv, -1, out, &why);

	if (code != 0)
		fprintf(stderr, "slimta-master: %s\n",
			why ? why : "a program could not list its options");
	free(why);
	free(argv[0]);
	return code;
}

int list_options_main(void)
{
	struct generation *generation = generation_new(NULL);
	struct buffer out = { 0 };
	int failed;

	options_list("process", process_rows, &out);
	options_list("listener", listener_rows, &out);
	queue_list_options(&out);
	policy_list_options(&out);
	failed = open_programs(generation) < 0 || list_of(generation, PROGRAM_EDGE, &out) != 0 ||
		 list_of(generation, PROGRAM_WORKER, &out) != 0;
	fputs(buffer_str(&out), stdout);
	buffer_release(&out);
	generation_free(generation, NULL);
	return failed ? 1 : 0;
}
