/* master.c - a question to the master on runtime_dir/master
 * SPDX-License-Identifier: MIT
 * One line of JSON asks, lines of JSON answer, then the connection ends. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/file.h"
#include "common/base/memory.h"
#include "common/net/unix_socket.h"
#include "queuectl/operator.h"

#define MAX_ANSWER ((size_t)4 << 20)

static int connect_to(const char *path, unsigned timeout_s)
{
	const struct timeval timeout = { .tv_sec = timeout_s };
	int fd = unix_socket_connect(path, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0
			|| setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		fd_close(&fd);
	return fd;
}

/* An object a line; NULL if one is none. */
static json_t *parse_lines(const char *text, size_t size)
{
	const char *end = text + size, *line_end;
	json_t *lines = json_array(), *line;

	for (; text < end; text = line_end + 1) {
		line_end = memchr(text, '\n', (size_t)(end - text));
		line = line_end ? json_loadb(text, (size_t)(line_end - text), 0, NULL) : NULL;
		if (!json_is_object(line)) {
			json_decref(line);
			json_decref(lines);
			return NULL;
		}
		json_array_append_new(lines, line);
	}
	return lines;
}

json_t *master_ask(const char *runtime_dir, const char *op, unsigned timeout_s, char **why)
{
	char *path = xasprintf("%s/master", runtime_dir), *request = xasprintf("{\"op\":\"%s\"}\n", op);
	struct buffer answer = { 0 };
	json_t *lines = NULL;
	const char *said;
	int fd = connect_to(path, timeout_s);

	/* fd_read_all ends with EAGAIN when the time is over. */
	if (fd < 0 || send(fd, request, strlen(request), MSG_NOSIGNAL) < 0 || fd_read_all(fd, &answer, MAX_ANSWER) < 0)
		*why = xasprintf("%s: %s%s", path, errno == EAGAIN ? "no answer" : strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? " (no slimta-master is running here)" : "");
	else if (!answer.size)
		*why = xasprintf("%s: closed without an answer", path);
	else if (!(lines = parse_lines(answer.data, answer.size)) || !json_array_size(lines))
		*why = xasprintf("%s: an answer that cannot be understood", path);
	else if ((said = json_string_value(json_object_get(json_array_get(lines, 0), "error"))))
		*why = xasprintf("%s: %s", path, said);
	if (*why) {
		json_decref(lines);
		lines = NULL;
	}
	fd_close(&fd);
	buffer_release(&answer);
	free(path);
	free(request);
	return lines;
}
