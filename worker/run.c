/* run.c - one command under way: started, fed, listened to, ended
 * SPDX-License-Identifier: MIT */
#include "worker/run.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fault.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "worker/launch.h"

#define KILL_AFTER_S 5
#define LAST_OUTPUT_MAX 1048576		/* read after the end: somebody else may go on writing for ever */

struct stream {
	int fd;
	struct event *readable;
	struct buffer *kept;
};

struct run {
	struct run_context context;
	const struct command *command;
	char **args;
	struct feed *feed;
	struct guard_slot *slot;	/* NULL: not started */
	pid_t pid;			/* 0: not started */
	int pidfd, status_fd;
	struct event *ended, *timer;
	struct stream streams[SPAWN_STREAMS];
	struct run_result result;
	enum spawn_end reason;		/* why we ended it ourselves; 0: we did not */
	uint32_t reason_detail;
	bool starting, killing;
	run_done_fn *done;
	void *arg;
};

static void stream_close(struct stream *stream)
{
	if (stream->readable)
		event_free(stream->readable);
	stream->readable = NULL;
	fd_close(&stream->fd);
}

static void destroy(struct run *run)
{
	for (unsigned i = 0; i < SPAWN_STREAMS; i++) {
		stream_close(&run->streams[i]);
		buffer_release(&run->result.output[i]);
	}
	if (run->ended)
		event_free(run->ended);
	event_free(run->timer);
	fd_close(&run->pidfd);
	fd_close(&run->status_fd);
	feed_free(run->feed);
	guard_slot_release(run->slot);
	command_free_args(run->args);
	free(run);
}

static void finish(struct run *run)
{
	run_done_fn *done = run->done;
	void *arg = run->arg;
	struct run_result result = run->result;

	for (unsigned i = 0; i < SPAWN_STREAMS; i++)
		buffer_init(&run->result.output[i]);
	destroy(run);
	done(arg, &result);
	for (unsigned i = 0; i < SPAWN_STREAMS; i++)
		buffer_release(&result.output[i]);
}

static void finish_as(struct run *run, enum spawn_end end, int detail)
{
	run->result.end = end;
	run->result.detail = (uint32_t)detail;
	finish(run);
}

/* One read: octets taken from the pipe, 0 at its end or when there is nothing now. */
static size_t stream_read(struct stream *stream)
{
	char octets[SPAWN_CHUNK_MAX];
	ssize_t size = FAULT("spawner.output", read(stream->fd, octets, sizeof(octets)));
	size_t room = SPAWN_OUTPUT_MAX - stream->kept->size;

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (size <= 0) {
		stream_close(stream);
		return 0;
	}
	buffer_append(stream->kept, octets, (size_t)size < room ? (size_t)size : room);
	return (size_t)size;
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	stream_read(arg);
}

static void stream_read_rest(struct stream *stream)
{
	size_t total = 0, size;

	while (stream->fd >= 0 && total < LAST_OUTPUT_MAX && (size = stream_read(stream)))
		total += size;
}

static void kill_group(struct run *run, int number)
{
	/* Before setsid() there is no group yet. The leader is not reaped, so neither number can be another's. */
	if (kill(-run->pid, number) < 0)
		kill(run->pid, number);
}

static void arm_timer(struct run *run, int64_t after_ms)
{
	struct timeval after = { after_ms / 1000, after_ms % 1000 * 1000 };

	event_add(run->timer, &after);
}

void run_kill(struct run *run, bool now)
{
	if (!run->reason)
		run->reason = SPAWN_CANCELLED;
	if (!run->pid)
		return;
	kill_group(run, now || run->killing ? SIGKILL : SIGTERM);
	if (!run->killing)
		arm_timer(run, KILL_AFTER_S * 1000);
	run->killing = true;
}

void run_orphan(struct run *run)
{
	run_kill(run, !feed_is_read(run->feed));
}

void run_abandon(struct run *run)
{
	if (run->pid)
		kill_group(run, SIGKILL);
	destroy(run);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;

	(void)fd;
	(void)what;
	if (!run->reason)
		run->reason = SPAWN_TIMED_OUT;
	run_kill(run, false);
}

static void set_result(struct run *run, const siginfo_t *info)
{
	struct run_result *result = &run->result;
	int why;

	result->end = info->si_code == CLD_EXITED ? SPAWN_EXITED : SPAWN_SIGNALLED;
	result->detail = (uint32_t)info->si_status;
	if (read(run->status_fd, &why, sizeof(why)) == sizeof(why)) {
		result->end = SPAWN_UNSTARTED;
		result->detail = (uint32_t)why;
	}
	if (run->reason) {
		result->end = run->reason;
		result->detail = run->reason_detail;
	}
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct run *run = arg;
	siginfo_t info = { 0 };

	(void)fd;
	(void)what;
	if (run->killing)
		kill_group(run, SIGKILL);
	for (unsigned i = 0; i < SPAWN_STREAMS; i++)
		stream_read_rest(&run->streams[i]);
	guard_slot_leave(run->slot);
	if (waitid(P_PID, (id_t)run->pid, &info, WEXITED) < 0) {
		finish_as(run, SPAWN_SIGNALLED, 0);
		return;
	}
	set_result(run, &info);
	finish(run);
}

struct pipes {
	int in[2], out[2], err[2], status[2];
};

static void pipes_close(struct pipes *pipes)
{
	int *ends = (int *)pipes;

	for (size_t i = 0; i < sizeof(*pipes) / sizeof(int); i++)
		fd_close(&ends[i]);
}

static int pipes_open(struct pipes *pipes)
{
	int (*all[])[2] = { &pipes->in, &pipes->out, &pipes->err, &pipes->status };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		(*all[i])[0] = (*all[i])[1] = -1;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (FAULT("spawner.pipe", pipe2(*all[i], O_CLOEXEC)) < 0)
			return -1;
	if (fd_set_nonblocking(pipes->in[1], true) < 0 || fd_set_nonblocking(pipes->out[0], true) < 0
		|| fd_set_nonblocking(pipes->err[0], true) < 0 || fd_set_nonblocking(pipes->status[0], true) < 0)
		return -1;
	return 0;
}

static void attach_stream(struct run *run, enum spawn_stream which, int *fd)
{
	struct stream *stream = &run->streams[which];

	stream->fd = *fd;
	*fd = -1;
	stream->readable = event_new(run->context.base, stream->fd, EV_READ | EV_PERSIST, on_output, stream);
	if (!stream->readable || event_add(stream->readable, NULL) < 0)
		BUG("no event for a pipe");
}

static int start(struct run *run, struct pipes *pipes)
{
	struct launch launch = { .command = run->command, .args = run->args, .status_fd = pipes->status[1],
		.fds = { pipes->in[0], pipes->out[1], pipes->err[1] }, .files = run->context.files };

	if (feed_pipe(run->feed) >= 0 && !guard_is_there(run->context.guard))
		return -1;
	launch.slot = run->slot = guard_take(run->context.guard, feed_pipe(run->feed));
	feed_guard(run->feed, run->slot);
	run->pid = launch_process(&launch);
	if (run->pid < 0) {
		run->pid = 0;
		return -1;
	}
	run->pidfd = FAULT("spawner.pidfd", pidfd_open(run->pid, 0));
	if (run->pidfd >= 0)
		return 0;
	int why = errno;

	kill_group(run, SIGKILL);
	waitpid(run->pid, NULL, 0);
	run->pid = 0;
	errno = why;
	return -1;
}

static void refuse(struct run *run, struct pipes *pipes, enum spawn_end end, int detail)
{
	pipes_close(pipes);
	finish_as(run, end, detail);
}

/* Before there is a command: one whose message fits into the pipe has all of it, whoever dies from now on. */
static void fill(struct run *run, struct pipes *pipes)
{
	run->starting = true;
	feed_begin(run->feed, pipes->in[1]);
	pipes->in[1] = -1;
	run->starting = false;
}

static void on_loaded(void *arg)
{
	struct run *run = arg;
	struct pipes pipes;

	if (run->reason) {
		finish_as(run, run->reason, 0);
		return;
	}
	if (pipes_open(&pipes) < 0) {
		refuse(run, &pipes, SPAWN_UNSTARTED, errno);
		return;
	}
	fill(run, &pipes);
	if (run->reason) {
		refuse(run, &pipes, run->reason, (int)run->reason_detail);
		return;
	}
	if (start(run, &pipes) < 0) {
		refuse(run, &pipes, SPAWN_UNSTARTED, errno);
		return;
	}
	attach_stream(run, SPAWN_STDOUT, &pipes.out[0]);
	attach_stream(run, SPAWN_STDERR, &pipes.err[0]);
	run->status_fd = pipes.status[0];
	pipes.status[0] = -1;
	run->ended = event_new(run->context.base, run->pidfd, EV_READ, on_ended, run);
	if (!run->ended || event_add(run->ended, NULL) < 0)
		BUG("no event for a process");
	arm_timer(run, run->command->options.timeout_ms);
	pipes_close(&pipes);
}

static void on_feed_failed(void *arg, int why)
{
	struct run *run = arg;

	if (!run->pid && !run->starting) {
		finish_as(run, SPAWN_INCOMPLETE, why);
		return;
	}
	run->reason = SPAWN_INCOMPLETE;
	run->reason_detail = (uint32_t)why;
	if (run->pid)
		run_kill(run, true);
}

struct run *run_start(const struct run_context *context, const struct command *command, char **args,
	struct feed_source *source, run_done_fn *done, void *arg)
{
	struct run *run = xcalloc(1, sizeof(*run));

	*run = (struct run){ .context = *context, .command = command, .args = args, .pidfd = -1,
		.status_fd = -1, .done = done, .arg = arg };
	for (unsigned i = 0; i < SPAWN_STREAMS; i++) {
		run->streams[i].fd = -1;
		run->streams[i].kept = &run->result.output[i];
	}
	run->timer = event_new(context->base, -1, 0, on_timer, run);
	if (!run->timer)
		BUG("no event for a timer");
	run->feed = feed_new(context->base, context->pool, source, on_loaded, on_feed_failed, run);
	return run;
}
