/* unit-worker-guard.c - a spawner is killed while it feeds a command: no part of a message has an end
 * SPDX-License-Identifier: MIT
 * The command is this program: it reads so many octets, kills the spawner, and says if it sees an end after that. */
#include "t/lib/tap.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "worker/spawn_protocol.h"
#include "worker/spawner.h"

#define MESSAGE_SIZE 1048576

static char dir[] = "/tmp/unit-worker-guard-XXXXXX";
static char *socket_path, *record_path, *log_path;
static int listening_fd, message_fd;
static struct config *config;
static struct process_options process;

/* ---- the command */

static _Noreturn void read_and_kill(pid_t spawner, size_t moment, int record)
{
	static char octets[MESSAGE_SIZE];
	size_t total = 0;
	ssize_t size = 1;

	while (size > 0 && total < moment) {
		size = read(0, octets, moment - total);
		total += size > 0 ? (size_t)size : 0;
	}
	kill(spawner, SIGKILL);
	while (size > 0) {
		size = read(0, octets, sizeof(octets));
		total += size > 0 ? (size_t)size : 0;
	}
	dprintf(record, "%s %zu\n", size ? "error" : "end", total);
	_exit(0);
}

/* `who` reads: the leader of the command's group, a member of it, or somebody in a session of its own. */
static _Noreturn void be_command(const char *who, size_t moment, const char *path)
{
	int record = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	pid_t spawner = getppid();

	if (*who == 'l')
		read_and_kill(spawner, moment, record);
	if (fork() > 0) {
		for (;;)
			pause();
	}
	if (*who == 's') {
		setsid();
		dprintf(record, "%d\n", getpid());
	}
	read_and_kill(spawner, moment, record);
}

/* ---- the spawner and the worker */

static _Noreturn void be_spawner(void)
{
	struct relay_setting setting = { config, &process, true };
	struct log_settings log = { .level = LOG_LEVEL_WARN, .output = log_path };
	struct config_errors errors = { 0 };
	struct event_base *base = event_base_new();
	struct spawner_context context = { base, pool_new(base, "read", 2), listening_fd, geteuid() };

	signal(SIGPIPE, SIG_IGN);
	if (log_open("spawner", &log) == 0 && spawner_new(&context, &setting, &errors))
		event_base_dispatch(base);
	_exit(1);
}

static void send_request(int fd, const char *recipient)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct macros macros = { .values = { [MACRO_RECIPIENT] = recipient } };
	struct spawn_piece piece = { 0, 0, MESSAGE_SIZE };
	struct buffer packet = { 0 };
	struct iovec iov;
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control) };

	spawn_encode_request(&packet, 1, "save", &macros, &piece, 1);
	iov = (struct iovec){ packet.data, packet.size };
	control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.align), &message_fd, sizeof(int));
	if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
		BUG("sendmsg: %s", strerror(errno));
	buffer_release(&packet);
}

static char *recorded(void)
{
	struct buffer text = { 0 };

	if (file_read(record_path, &text, 4096) < 0)
		BUG("%s: %s", record_path, strerror(errno));
	return buffer_detach(&text);
}

/* Who reads in a session of its own is ended by us: the guard waits for that. */
static void end_reader(void)
{
	char *text = recorded();

	is_int(strchr(text, '\n') + 1 - text, (long)strlen(text), "what left the group sees no end");
	kill(atoi(text), SIGKILL);
	free(text);
}

static void log_has(const char *event)
{
	struct buffer text = { 0 };

	ok(file_read(log_path, &text, 1 << 20) == 0 && strstr(buffer_str(&text), event), "the log says: %s", event);
	buffer_release(&text);
}

static void killed_at(const char *who, size_t moment)
{
	char *recipient = xasprintf("%s %zu", who, moment), *text, *whole = xasprintf("end %d\n", MESSAGE_SIZE);
	char packet[SPAWN_PACKET_MAX];
	pid_t spawner;
	int fd;

	if (truncate(record_path, 0) < 0)
		BUG("%s: %s", record_path, strerror(errno));
	spawner = fork();
	if (spawner == 0)
		be_spawner();
	fd = unix_socket_connect(socket_path, SOCK_SEQPACKET, 0);
	send_request(fd, recipient);
	while (recv(fd, packet, sizeof(packet), 0) > 0)
		continue;
	close(fd);
	if (*who == 's')
		end_reader();
	while (waitpid(-1, NULL, 0) > 0)
		continue;	/* the command and the guard are ours now */
	text = recorded();
	ok(!strstr(text, "end") || strcmp(text, whole) == 0, "%s reads, the spawner is killed after %zu octets", who, moment);
	free(text);
	free(whole);
	free(recipient);
}

static void prepare(const char *program)
{
	struct config_errors errors = { 0 };
	char *text;

	if (!mkdtemp(dir))
		BUG("%s: %s", dir, strerror(errno));
	record_path = xasprintf("%s/record", dir);
	log_path = xasprintf("%s/log", dir);
	socket_path = xasprintf("%s/spawner", dir);
	close(open(record_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	text = xasprintf("relay:\n  save: {type: pipe, args: [%s, '{recipient}', %s]}\n", program, record_path);
	config = config_parse("slimta.conf", text, strlen(text), &errors);
	if (!config || process_load(config, "worker", &process, &errors) < 0)
		BUG("no configuration");
	free(text);
	listening_fd = unix_socket_listen(socket_path, SOCK_SEQPACKET, 8,
		&(struct identity){ .uid = geteuid(), .gid = getegid() });
	message_fd = memfd_create("message", MFD_CLOEXEC);
	if (listening_fd < 0 || message_fd < 0 || ftruncate(message_fd, MESSAGE_SIZE) < 0)
		BUG("%s: %s", dir, strerror(errno));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void clean_up(void)
{
	char *remove = xasprintf("rm -rf %s", dir);

	if (system(remove) != 0)
		diag("%s stays", dir);
	free(remove);
	close(listening_fd);
	close(message_fd);
	process_release(&process);
	config_free(config);
	free(socket_path);
	free(record_path);
	free(log_path);
}

int main(int argc, char **argv)
{
	static const char *const groups[] = { "leader", "member" };
	char *program = realpath(argv[0], NULL);

	if (argc == 3)
		be_command(argv[1], strtoul(strchr(argv[1], ' '), NULL, 10), argv[2]);
	prepare(program);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		for (size_t moment = 0; moment <= MESSAGE_SIZE; moment += 32768)
			killed_at(groups[i], moment);
		for (size_t moment = MESSAGE_SIZE - 8; moment <= MESSAGE_SIZE; moment++)
			killed_at(groups[i], moment);
	}
	killed_at("session", 0);
	killed_at("session", 500000);
	log_has("ended the commands of a spawner that is gone count=1");
	log_has("kept a pipe open for what left its command's process group group=");
	clean_up();
	free(program);
	return done_testing();
}
