# next_hop.py - an SMTP server for relays, well-behaved but where a test says otherwise
# SPDX-License-Identifier: MIT
import threading

CLOSE = object()        # the connection is closed instead of a reply
SILENCE = object()      # nothing is said; the connection stays until the client ends it
STEPS = ('connect', 'EHLO', 'HELO', 'MAIL', 'RCPT', 'DATA', '.', 'RSET', 'QUIT')


class NextHop:
    """`at` maps a step ('connect', a verb, '.' for the end of the data) to what happens instead of its good reply: a
    reply's text, CLOSE, SILENCE, a function of (peer, line), or a list of these, one a time, None for the good reply; after the
    list all is good. `messages` has a dictionary for each message taken: sender, recipients, data, connection; `data_ended` counts final dots."""

    def __init__(self, t, at=None, extensions=('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8')):
        self.at = {step: list(what) if isinstance(what, list) else what for step, what in (at or {}).items()}
        self.extensions = extensions
        self.messages, self.said, self.lock = [], [], threading.Lock()
        self.connections = self.now = self.most = self.data_ended = 0
        self.server = t.server(self._serve)
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
        try:
            self._session(peer, connection)
        except (ConnectionError, BrokenPipeError):
            pass
        finally:
            with self.lock:
                self.now -= 1

    def _happens(self, peer, step, line, good, taken=None):
        """Whether the session goes on; the code of what was said. `taken` is a message that a good reply takes."""
        with self.lock:
            what = self.at.get(step)
            if isinstance(what, list):
                what = what.pop(0) if what else None
        if callable(what):
            what = what(peer, line)
        if what is CLOSE:
            return False, 0
        if what is SILENCE:
            peer.read_until(b'\0never\0')
            return False, 0
        if what is None:
            what = good
        text = what.encode() if isinstance(what, str) else what
        code = int(text[:3]) if text[:3].isdigit() else 0
        if taken and code // 100 == 2:
            with self.lock:
                self.took(taken)
        if text:
            peer.send(text if text.endswith(b'\r\n') else text + b'\r\n')
        return True, code

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
        data = b''
        while not data.endswith(b'\r\n.\r\n') and data != b'.\r\n':
            more = peer.read_until(b'\r\n')
            if not more.endswith(b'\r\n'):
                return False
            data += more
        with self.lock:
            self.data_ended += 1
        mail['raw'] = data
        mail['data'] = b'\r\n'.join(line[1:] if line[:1] == b'.' else line for line in data[:-3].split(b'\r\n'))
        going, code = self._happens(peer, '.', '', '250 2.6.0 taken', mail)
        return going and code != 421
