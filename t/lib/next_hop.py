# next_hop.py - an SMTP server for relays, well-behaved but where a test says otherwise
# SPDX-License-Identifier: MIT
import socket
import struct
import threading

CLOSE = object()        # the connection is closed instead of a reply
RESET = object()        # so that the client gets a reset
SILENCE = object()      # nothing is said; the connection stays until the client ends it


class Raw(bytes):
    """A reply to which no CR LF is added; `code` where it is not all of it."""
    code = None


class NextHop:
    """`at` maps a step ('connect', a verb, 'data' for its first line, '.' for its end) to what happens instead of its good
    reply: a reply's text or octets, CLOSE, RESET, SILENCE, a function of (peer, line) that gives one of these, or a list of
    these, one a time, None for the good reply; after the list all is good. (REPLY, CLOSE or RESET): one after the
    other. `messages` has a dictionary for each message taken: sender, recipients, data, connection;
    `data_ended` counts final dots."""

    def __init__(self, t, at=None, extensions=('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8'), address=('127.0.0.1', 0)):
        self.at = {step: list(what) if isinstance(what, list) else what for step, what in (at or {}).items()}
        self.extensions = extensions
        self.messages, self.said, self.lock, self.peers = [], [], threading.Lock(), set()
        self.connections = self.now = self.most = self.data_ended = 0
        self.server = t.server(self._serve, address=address)
        self.port = self.server.port

    def took(self, mail):
        """Before the good reply to its data is said; under the lock, as `heard` is."""
        self.messages.append(mail)

    def heard(self, line):
        self.said.append(line)

    def _serve(self, peer):
        with self.lock:
            self.connections += 1
            self.now += 1
            self.most = max(self.most, self.now)
            connection = self.connections
            self.peers.add(peer)
        try:
            self._session(peer, connection)
        except (ConnectionError, BrokenPipeError):
            pass
        finally:
            with self.lock:
                self.now -= 1
                self.peers.discard(peer)

    def hang_up(self):
        """Says no more on what connections there are; the client has to close them."""
        with self.lock:
            for peer in self.peers:
                try:
                    peer.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

    def _happens(self, peer, step, line, good, taken=None):
        """Whether the session goes on; the code of what was said. `taken` is a message that a good reply takes."""
        with self.lock:
            what = self.at.get(step)
            if isinstance(what, list):
                what = what.pop(0) if what else None
        if callable(what):
            what = what(peer, line)
        what, then = what if isinstance(what, tuple) else (what, None)
        if RESET in (what, then):
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        if what in (CLOSE, RESET):
            return False, 0
        if what is SILENCE:
            peer.read_until(b'\0never\0')
            return False, 0
        if what is None:
            what = good
        text = what.encode() if isinstance(what, str) else what
        code = getattr(text, 'code', None) or (int(text[:3]) if text[:3].isdigit() else 0)
        if taken and code // 100 == 2:
            with self.lock:
                self.took(taken)
        if text:
            peer.send(text if text.endswith(b'\r\n') or isinstance(text, Raw) else text + b'\r\n')
        return not then, code

    def _session(self, peer, connection):
        hello = ''.join(f'250-{extension}\r\n' for extension in ('mx', *self.extensions)[:-1]) if self.extensions else ''
        hello += f'250 {self.extensions[-1] if self.extensions else "mx"}\r\n'
        good = {'EHLO': hello, 'HELO': '250 mx', 'MAIL': '250 2.1.0 ok', 'RCPT': '250 2.1.5 ok', 'DATA': '354 go',
            'RSET': '250 2.0.0 ok', 'QUIT': '221 2.0.0 bye'}
        mail = None
        going, _ = self._happens(peer, 'connect', '', '220 mx ESMTP')
        while going:
            line = peer.read_line().decode('utf-8', 'surrogateescape')
            if not line:
                return
            with self.lock:
                self.heard(line)
            verb = line.split(' ')[0].upper()
            going, code = self._happens(peer, verb, line, good.get(verb, '500 5.5.1 what'))
            if verb == 'QUIT' or code == 421:
                return
            if verb == 'MAIL':
                mail = {'sender': line[line.index('<') + 1:line.rindex('>')], 'parameters': line[line.rindex('>') + 1:].split(),
                    'recipients': [], 'connection': connection}
            elif verb == 'RCPT' and code // 100 == 2:
                mail['recipients'].append(line[line.index('<') + 1:line.rindex('>')])
            elif verb == 'DATA' and code == 354 and going:
                going = self._data(peer, mail)

    def _data(self, peer, mail):
        data = peer.read_until(b'\r\n')
        going = 'data' not in self.at or self._happens(peer, 'data', '', b'')[0]
        if going and data != b'.\r\n':
            peer.pending = data + peer.pending
            data = peer.read_until(b'\r\n.\r\n')
            going = data.endswith(b'\r\n.\r\n')
        if not going:
            return False
        with self.lock:
            self.data_ended += 1
        mail['raw'] = data
        mail['data'] = b'\r\n'.join(line[1:] if line[:1] == b'.' else line for line in data[:-3].split(b'\r\n'))
        going, code = self._happens(peer, '.', '', '250 2.6.0 taken', mail)
        return going and code != 421
