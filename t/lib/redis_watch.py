# redis_watch.py - what redis is asked, by the names of the scripts; and a proxy that ends a connection amidst one of them
# SPDX-License-Identifier: MIT
import ast
import hashlib
import re
import socket
import threading
from collections import Counter, deque

from .resp import Resp


class Names:
    """Scripts have names in their text, which is seen when they come the first time."""

    def __init__(self):
        self.of_sha = {}

    def of(self, args):
        """Of a command, as a list of octets: its own in small letters, or that of the script it runs."""
        verb = args[0].lower().decode()
        if verb == 'eval':
            named = re.findall(rb'(?m)^-- (\w+)\.lua - ', args[1])
            self.of_sha[hashlib.sha1(args[1]).hexdigest().encode()] = named[-1].decode() if named else verb
            return self.of_sha[hashlib.sha1(args[1]).hexdigest().encode()]
        return self.of_sha.get(args[1], verb) if verb == 'evalsha' else verb


class Monitor:
    """What clients ask a server, from now on: `asked` has the name of each command, or of the script that it runs."""

    def __init__(self, server, names=None):
        self.names, self.asked, self.connection = names or Names(), [], Resp(server.socket, 600, server.password)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.connection('MONITOR')
        self.thread.start()

    def _read(self):
        try:
            while True:
                where, _, command = self.connection.read().decode('latin-1').partition('] ')
                if not where.endswith(' lua'):
                    words = re.findall(r'"(?:[^"\\]|\\.)*"', command)
                    self.asked.append(self.names.of([ast.literal_eval('b' + word) for word in words[:2]]))
        except (OSError, ValueError):
            pass

    def count(self, since=0):
        return Counter(self.asked[since:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.connection.close()


def size_of(data, at=0):
    """Where the value ends that begins there; None: it is not whole."""
    end = data.find(b'\r\n', at)
    if end < 0:
        return None
    kind, at, count = data[at:at + 1], end + 2, data[at + 1:end]
    if kind == b'$' and int(count) >= 0:
        at += int(count) + 2
    elif kind == b'*':
        for _ in range(int(count)):
            at = size_of(data, at)
            if at is None:
                return None
    return at if at <= len(data) else None


def words_of(request):
    """Those of a command, the first two of them."""
    found, at = [], request.index(b'\r\n') + 2
    while len(found) < 2 and at < len(request):
        end = request.index(b'\r\n', at)
        size = int(request[at + 1:end])
        found.append(request[end + 2:end + 2 + size])
        at = end + 4 + size
    return found


class ScriptProxy:
    """Before a server. cut(NAME, ...) ends the connection at the next such command: before it is whole, or within its answer."""

    def __init__(self, t, server):
        self.server, self.names, self.armed, self.cuts, self.lock = server, Names(), None, [], threading.Lock()
        self.port = t.server(self._serve).port

    def keys(self):
        return f'host: 127.0.0.1, port: {self.port}'

    def cut(self, name, request=None, reply=None):
        """After that share (0 to 1) of the request, or of the reply. `cuts` gets its name when it has happened."""
        with self.lock:
            self.armed = (name, request, reply)

    def _hit(self, name, at):
        with self.lock:
            share = self.armed[at] if self.armed and self.armed[0] == name else None
            if share is not None:
                self.cuts.append(name)
                self.armed = None
            return share

    def _serve(self, peer):
        upper, asked = socket.create_connection(('127.0.0.1', self.server.port)), deque()
        peer.sock.settimeout(None)
        back = threading.Thread(target=self._copy, args=(upper, peer.sock, 2, asked.popleft), daemon=True)
        back.start()
        self._copy(peer.sock, upper, 1, None, asked)
        back.join()
        upper.close()

    def _copy(self, source, target, at, name_of_reply, asked=None):
        """Value by value. Both ends end together."""
        pending = b''
        try:
            while more := source.recv(1 << 20):
                pending += more
                while pending and (size := size_of(pending)) is not None:
                    value, pending = pending[:size], pending[size:]
                    if asked is None:
                        name = name_of_reply()
                    else:
                        name = self.names.of(words_of(value))
                        asked.append(name)
                    share = self._hit(name, at)
                    target.sendall(value if share is None else value[:int(len(value) * share)])
                    if share is not None:
                        return
        except (OSError, IndexError):
            pass
        finally:
            for sock in source, target:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
