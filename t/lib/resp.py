# resp.py - a client of redis for tests, to look into what is there
# SPDX-License-Identifier: MIT
import socket


class RespError(Exception):
    """An error of the server, as it says it."""


class Resp:
    """A connection: r('SET', 'a', b'x') gives bytes, int, None or a list; an error is raised."""

    def __init__(self, address, timeout=10, password=None, username=None):
        """`address` is (HOST, PORT), a unix socket's path, or a socket that is connected."""
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        elif isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout)
        else:
            self.sock = address
        self.sock.settimeout(timeout)
        self.file = self.sock.makefile('rb')
        if password is not None:
            self('AUTH', *([username] if username else []), password)

    def send(self, *parts):
        data = b'*%d\r\n' % len(parts)
        for part in parts:
            part = part if isinstance(part, bytes) else str(part).encode()
            data += b'$%d\r\n%s\r\n' % (len(part), part)
        self.sock.sendall(data)

    def read(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise ConnectionError('redis closed the connection')
        kind, rest = line[:1], line[1:-2]
        if kind == b'-':
            return RespError(rest.decode(errors='replace'))
        if kind == b'+':
            return rest
        if kind == b':':
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b'*':
            return [self.read() for _ in range(int(rest))]
        data = self.file.read(int(rest) + 2)
        if len(data) != int(rest) + 2:
            raise ConnectionError('redis closed the connection')
        return data[:-2]

    def __call__(self, *parts):
        self.send(*parts)
        reply = self.read()
        if isinstance(reply, RespError):
            raise reply
        return reply

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
