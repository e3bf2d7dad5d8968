/* spawn.c - starts the process of a slot
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/child.h"
#include "master/exec.h"
#include "master/master.h"

static json_t *start_message(const struct slot *slot, json_t *listeners)
{
	json_t *body = json_pack("{s:i, s:i, s:i, s:i, s:o}", "version", CONTROL_VERSION,
		"generation", (int)slot->generation->number, "instance", (int)slot->instance,
		"row", (int)slot->row, "listeners", listeners);

	if (slot->queue)
		json_object_set_new(body, "queue", json_string(slot->queue));
	if (slot->kind == CHILD_SPAWNER) {
		json_object_set_new(body, "spawner", json_true());
		json_object_set_new(body, "spawner_socket", json_integer(CHILD_FD_FIRST));
	}
	return body;
}

/* Before there is a process: the message waits in the socket. */
static int send_start(int fd, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	const char type = CONTROL_START;
	struct iovec parts[2] = { { (char *)&type, 1 }, { text, strlen(text) } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	int result = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;

	free(text);
	return result;
}

static pid_t start_with(struct slot *slot, int control_fd, const int *more, size_t more_count)
{
	struct generation *generation = slot->generation;
	const struct program_plan *plan = &generation->plans[child_program(slot->kind)];
	char *argv[5] = { (char *)(slot->kind == CHILD_EDGE ? "slimta-edge" : "slimta-worker"),
		(char *)"--child" };
	int argc = 2;
	const struct exec_plan exec = {
		.exec_fd = plan->exec_fd,
		.argv = argv,
		.fds = { -1, plan->stdout_fd >= 0 ? plan->stdout_fd : STDOUT_FILENO,
			plan->stderr_fd >= 0 ? plan->stderr_fd : STDERR_FILENO, control_fd,
			plan->config_fd, generation->master->counters_fd, generation->master->limits_fd },
		.fd_count = CHILD_FD_FIRST,
		.more = more,
		.more_count = more_count,
	};

	if (slot->kind == CHILD_SPAWNER)
		argv[argc++] = (char *)"--spawner";
	if (generation->master->arguments.allow_root)
		argv[argc++] = (char *)"--allow-root";
	return exec_start(&exec);
}

static pid_t start(struct slot *slot, const int pair[2])
{
	struct generation *generation = slot->generation;
	json_t *listeners = NULL, *body;
	size_t count = 0;
	int *fds = NULL;
	pid_t pid = -1;

	if (slot->kind == CHILD_EDGE) {
		listeners = adopt_describe(slot, &fds, &count);
	} else if (slot->kind == CHILD_SPAWNER) {
		fds = xmemdup(&generation->spawner_socket, sizeof *fds);
		count = 1;
	}
	body = start_message(slot, listeners ? listeners : json_array());
	if (send_start(pair[0], body) == 0)
		pid = start_with(slot, pair[1], fds, count);
	json_decref(body);
	free(fds);
	return pid;
}

int slot_spawn(struct slot *slot)
{
	int pair[2];

	if (control_pair(pair) < 0)
		return -1;
	slot->pid = start(slot, pair);
	fd_close(&pair[1]);
	if (slot->pid < 0) {
		slot->pid = 0;
		fd_close(&pair[0]);
		return -1;
	}
	slot->control = slot_connect(slot, pair[0]);
	return 0;
}
