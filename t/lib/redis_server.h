/* redis_server.h - a redis-server of the test's own: scratch folder, unix socket, port; gone when the test is
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_T_REDIS_SERVER_H
#define SLIMTA_T_REDIS_SERVER_H

#include "t/lib/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/clock.h"
#include "common/base/memory.h"

struct redis_server {
	pid_t pid;			/* 0: it does not run */
	unsigned port;
	char *conf;			/* further lines; NULL: none */
	bool sentinel;
	char directory[64], socket[80];
};

static int redis_server_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static unsigned redis_server_free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		BUG("no free port: %s", strerror(errno));
	close(fd);
	return ntohs(address.sin_port);
}

static int redis_server_connect(const struct redis_server *server)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(name.sun_path, server->socket, strlen(server->socket));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Whether it answers at all: also an error means that it is there. */
static bool redis_server_answers(const struct redis_server *server)
{
	char answer[64];
	int fd = redis_server_connect(server);
	bool good = fd >= 0 && write(fd, "PING\r\n", 6) == 6 && read(fd, answer, sizeof(answer)) > 0 &&
		strncmp(answer, "-LOADING", 8) != 0;

	if (fd >= 0)
		close(fd);
	return good;
}

static void redis_server_exec(const struct redis_server *server, pid_t parent)
{
	char *conf = xasprintf("%s/redis.conf", server->directory), *log = xasprintf("%s/log", server->directory);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || fd < 0)
		_exit(126);
	dup2(fd, 1);
	dup2(fd, 2);
	execlp("redis-server", "redis-server", conf, server->sentinel ? "--sentinel" : NULL, (char *)NULL);
	_exit(127);
}

static void redis_server_write_conf(const struct redis_server *server)
{
	char *path = xasprintf("%s/redis.conf", server->directory);
	FILE *out = fopen(path, "w");

	if (!out)
		BUG("%s: %s", path, strerror(errno));
	fprintf(out, "port %u\nbind 127.0.0.1\nunixsocket %s\nunixsocketperm 700\ndir %s\ndaemonize no\n%s%s\n",
		server->port, server->socket, server->directory, server->sentinel ? "" : "save \"\"\n",
		server->conf ? server->conf : "");
	fclose(out);
	free(path);
}

/* Starts it (again) on its folder, and waits until it answers. */
static void redis_server_run(struct redis_server *server)
{
	int64_t until_ms = clock_boot_ms() + 20000;
	pid_t parent = getpid();

	server->pid = fork();
	if (server->pid == 0)
		redis_server_exec(server, parent);
	while (!redis_server_answers(server)) {
		if (server->pid < 0 || waitpid(server->pid, NULL, WNOHANG) != 0 || clock_boot_ms() > until_ms)
			BUG("redis-server does not start; see %s/log", server->directory);
		usleep(2000);
	}
}

static void redis_server_begin(struct redis_server *server, const char *conf)
{
	snprintf(server->directory, sizeof(server->directory), "/tmp/slimta-redis-XXXXXX");
	if (!mkdtemp(server->directory))
		BUG("mkdtemp: %s", strerror(errno));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->directory);
	server->port = redis_server_free_port();
	server->conf = conf ? xstrdup(conf) : NULL;
	redis_server_write_conf(server);
	redis_server_run(server);
}

/* `conf`: further lines, or NULL. */
__attribute__((unused)) static void redis_server_start(struct redis_server *server, const char *conf)
{
	memset(server, 0, sizeof(*server));
	redis_server_begin(server, conf);
}

/* `conf`: at least what it has to watch. */
__attribute__((unused)) static void redis_server_start_sentinel(struct redis_server *server, const char *conf)
{
	*server = (struct redis_server){ .sentinel = true };
	redis_server_begin(server, conf);
}

/* SIGKILL, SIGTERM: ended when this returns. SIGSTOP, SIGCONT: sent. */
static void redis_server_signal(struct redis_server *server, int number)
{
	if (!server->pid)
		return;
	kill(server->pid, number);
	if (number == SIGSTOP || number == SIGCONT)
		return;
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

__attribute__((unused)) static void redis_server_stop(struct redis_server *server)
{
	redis_server_signal(server, SIGKILL);
	nftw(server->directory, redis_server_remove, 8, FTW_DEPTH | FTW_PHYS);
	free(server->conf);
	memset(server, 0, sizeof(*server));
}

/* One inline command ("SET a b"), without our own code; what came, as it stands on the wire, up to a moment's silence or
 * 64 KB. Borrowed until the next call. */
__attribute__((unused)) static const char *redis_server_ask(const struct redis_server *server, const char *command)
{
	static char answer[65536];
	struct timeval silence = { 0, 50000 }, first = { 10, 0 };
	size_t size = 0;
	ssize_t got = 1;
	int fd = redis_server_connect(server);

	if (fd < 0 || dprintf(fd, "%s\r\n", command) < 0)
		BUG("redis-server cannot be asked");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &first, sizeof(first));
	while (got > 0 && size < sizeof(answer) - 1) {
		got = read(fd, answer + size, sizeof(answer) - 1 - size);
		size += got > 0 ? (size_t)got : 0;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	}
	answer[size] = '\0';
	close(fd);
	return answer;
}

#endif
