/* outputs.c - the stdout and stderr files, and log files
 * SPDX-License-Identifier: MIT
 * The master opens them with its own rights and hands them down, since its children have dropped theirs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "master/master.h"

static int open_output(const char *path)
{
	return FAULT("outputs.open",
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, 0640));
}

static int open_into(int *fd, const char *path)
{
	int fresh;

	if (!path)
		return 0;
	fresh = open_output(path);
	if (fresh < 0)
		return -1;
	fd_close(fd);
	*fd = fresh;
	return 0;
}

/* A log file that a child opens by itself, also when it is reopened after a rename, must be its own by then. */
static int give_log_file(const struct program_plan *plan)
{
	const char *path = plan->process.logging.output;
	int fd, result;

	if (geteuid() != 0 || !path || path[0] != '/')
		return 0;
	fd = open(path,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		0640);
	if (fd < 0)
		return -1;
	result = fchown(fd, plan->identity.uid, plan->identity.gid);
	fd_close(&fd);
	return result;
}

static const char *open_plan(struct program_plan *plan, enum program program)
{
	if (open_into(&plan->stdout_fd, plan->process.stdout_path) < 0)
		return plan->process.stdout_path;
	if (open_into(&plan->stderr_fd, plan->process.stderr_path) < 0)
		return plan->process.stderr_path;
	if (program != PROGRAM_MASTER && give_log_file(plan) < 0)
		return plan->process.logging.output;
	return NULL;
}

int outputs_open(struct generation *generation, char **why)
{
	for (int i = 0; i < PROGRAM_COUNT; i++) {
		const char *failed = open_plan(&generation->plans[i], (enum program)i);

		if (failed) {
			*why = xasprintf("cannot write to %s: %s", failed, strerror(errno));
			return -1;
		}
	}
	return 0;
}

void outputs_use_own(const struct generation *generation)
{
	const struct program_plan *own = &generation->plans[PROGRAM_MASTER];

	if ((own->stdout_fd >= 0 && dup2(own->stdout_fd, STDOUT_FILENO) < 0) ||
	    (own->stderr_fd >= 0 && dup2(own->stderr_fd, STDERR_FILENO) < 0))
		log_error("master", "could not take its output files",
			LOG_TEXT("error", strerror(errno)));
}

static void reopen_generation(struct generation *generation)
{
	for (int i = 0; i < PROGRAM_COUNT; i++) {
		const char *failed = open_plan(&generation->plans[i], (enum program)i);

		if (failed)
			log_error("master", "could not reopen", LOG_TEXT("path", failed),
				LOG_TEXT("error", strerror(errno)));
	}
}

static void tell_children(struct generation *generation)
{
	for (size_t i = 0; i < generation->slot_count; i++) {
		struct slot *slot = &generation->slots[i];
		int fd = generation->plans[child_program(slot->kind)].stderr_fd;

		if (slot->control)
			control_send(
				slot->control, CONTROL_LOG, NULL, fd >= 0 ? fd : STDERR_FILENO);
	}
}

void outputs_reopen(struct master *master)
{
	struct generations all = master_generations(master);

	for (size_t i = 0; all.items[i]; i++)
		reopen_generation(all.items[i]);
	outputs_use_own(master->current);
	if (log_reopen() < 0)
		log_error("master", "could not reopen the log", LOG_TEXT("error", strerror(errno)));
	for (size_t i = 0; all.items[i]; i++)
		tell_children(all.items[i]);
	log_info("master", "reopened the log");
}
