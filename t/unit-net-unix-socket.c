/* unit-net-unix-socket.c - sockets with a path: made, found, too long, not there
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/config/process.h"
#include "common/net/unix_socket.h"
#include "t/lib/tap.h"

static char directory[] = "/tmp/slimta-unit-XXXXXX";
static char path[64];

static void made_and_found(const struct identity *owner)
{
	struct stat status;
	char octet = 0;
	int listening = unix_socket_listen(path, SOCK_SEQPACKET, 4, owner), ours, theirs;

	ok(listening >= 0, "listens");
	ok(stat(path, &status) == 0 && S_ISSOCK(status.st_mode), "at its path");
	is_int(status.st_mode & 0777, 0600, "for its owner alone");
	is_int(fcntl(listening, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC, "which no exec passes on");
	ours = unix_socket_connect(path, SOCK_SEQPACKET, SOCK_NONBLOCK);
	theirs = accept(listening, NULL, NULL);
	ok(ours >= 0 && theirs >= 0, "is connected to");
	is_int(write(theirs, "x", 1), 1, "an octet goes in");
	ok(read(ours, &octet, 1) == 1 && octet == 'x', "and comes out");
	is_int(unix_socket_connect(path, SOCK_STREAM, 0), -1, "another type of socket is refused");
	fd_close(&ours);
	fd_close(&theirs);
	fd_close(&listening);
	is_int(unix_socket_connect(path, SOCK_SEQPACKET, 0), -1, "nobody listens any more");
	is_int(errno, ECONNREFUSED, "connection refused");
	listening = unix_socket_listen(path, SOCK_SEQPACKET, 4, owner);
	ok(listening >= 0, "what a dead process left is replaced");
	fd_close(&listening);
	unlink(path);
}

static void refused(const struct identity *owner)
{
	char longer[200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	is_int(unix_socket_listen(longer, SOCK_STREAM, 4, owner), -1, "a path of 199 octets");
	is_int(errno, ENAMETOOLONG, "is too long to listen at");
	is_int(unix_socket_connect(longer, SOCK_STREAM, 0), -1, "the same path");
	is_int(errno, ENAMETOOLONG, "is too long to connect to");
	is_int(unix_socket_connect(path, SOCK_STREAM, 0), -1, "a path where nothing is");
	is_int(errno, ENOENT, "is not found");
	is_int(unix_socket_listen("/nonexistent/s", SOCK_STREAM, 4, owner), -1, "a folder that is not there");
	is_int(errno, ENOENT, "is an error with its reason");
}

int main(void)
{
	struct identity owner = { .uid = geteuid(), .gid = getegid() };

	if (!mkdtemp(directory))
		return 1;
	snprintf(path, sizeof(path), "%s/s", directory);
	made_and_found(&owner);
	refused(&owner);
	rmdir(directory);
	done_testing();
}
