/* unix_socket.h - sockets with a path, between the processes of one machine
 * SPDX-License-Identifier: MIT */
#ifndef SLIMTA_NET_UNIX_SOCKET_H
#define SLIMTA_NET_UNIX_SOCKET_H

struct identity;

/* A listening, non-blocking, close-on-exec socket of `type` (SOCK_STREAM or SOCK_SEQPACKET) at `path`, mode 0600, in
 * place of whatever stood there; as root it belongs to `owner`. -1 with errno (ENAMETOOLONG: longer than 107). */
int unix_socket_listen(const char *path, int type, int backlog, const struct identity *owner);

/* Connected, or -1 with errno. `flags`: SOCK_NONBLOCK or 0; close-on-exec either way. */
int unix_socket_connect(const char *path, int type, int flags);

#endif
