# peer.py - the other end of a connection, scripted line by line
# SPDX-License-Identifier: MIT
import os
import re
import socket
import threading
import traceback

from .tap import diag, ok


def have_ipv6():
    try:
        with socket.create_server(('::1', 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.text = '\n'.join(line[4:] for line in lines)
        self.code = int(lines[-1][:3]) if lines and lines[-1][:3].isdigit() else 0

    def __repr__(self):
        return f'<{self.code} {self.text!r}>'


class Peer:
    """A socket, buffered by lines. Every read has the time-out; the end of the stream is b''."""

    def __init__(self, sock, timeout):
        sock.settimeout(timeout)
        self.sock = sock
        self.pending = b''

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def line(self, text):
        """Sends one line with CR LF."""
        self.send((text.encode() if isinstance(text, str) else text) + b'\r\n')

    def read_line(self):
        """One line without its CR LF; b'' at the end of the stream."""
        while b'\n' not in self.pending:
            more = self._more()
            if not more:
                rest, self.pending = self.pending, b''
                return rest
        text, self.pending = self.pending.split(b'\n', 1)
        return text.rstrip(b'\r')

    def read_until(self, end):
        """All up to and with `end`, or up to the end of the stream."""
        data, self.pending, looked = bytearray(self.pending), b'', 0
        try:
            while end not in data[looked:]:
                looked = max(0, len(data) - len(end) + 1)
                more = self._more()
                self.pending = b''
                data += more
                if not more:
                    looked = len(data)
                    break
            else:
                looked += data[looked:].index(end) + len(end)
        except OSError:
            self.pending = bytes(data)
            raise
        self.pending = bytes(data[looked:])
        return bytes(data[:looked])

    def read_octets(self, count):
        """So many, or fewer up to the end of the stream."""
        data, self.pending = bytearray(self.pending), b''
        while len(data) < count:
            more = self._more()
            self.pending = b''
            if not more:
                break
            data += more
        self.pending = bytes(data[count:])
        return bytes(data[:count])

    def _more(self):
        try:
            more = self.sock.recv(65536)
        except ConnectionResetError:
            return b''
        self.pending += more
        return more

    def at_end(self):
        """Whether the other side closed, with nothing unread."""
        return not self.pending and not self._more()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client(Peer):
    """An SMTP client: what it says is what the test says."""

    def reply(self):
        """Reads one reply, however many lines it has."""
        lines = []
        while True:
            line = self.read_line().decode('latin-1')
            if not line:
                return Reply(lines)
            lines.append(line)
            if line[3:4] != '-':
                return Reply(lines)

    def expect(self, code, pattern='', what=None):
        """Reads a reply and checks its code and, by search, its text. Gives the reply."""
        reply = self.reply()
        good = reply.code == code and re.search(pattern, reply.text, re.M) is not None
        if not ok(good, what or f'reply {code} {pattern}'.rstrip()):
            diag(f'got    {reply}\nwanted {code} {pattern}')
        return reply

    def cmd(self, line, code, pattern='', what=None):
        """Sends a line and expects the reply to it."""
        self.line(line)
        shown = line if isinstance(line, str) else line.decode('latin-1')
        return self.expect(code, pattern, what or f'{shown[:60]}: {code} {pattern}'.rstrip())

    def hello(self, name='client.example'):
        self.expect(220, '', 'banner')
        return self.cmd(f'EHLO {name}', 250)

    def mail(self, sender, recipients, data, parameters=''):
        """A whole transaction; `data` has CR LF line ends and is dot-stuffed here. Gives the last reply."""
        self.cmd(f'MAIL FROM:<{sender}>{parameters}', 250)
        for recipient in recipients:
            self.cmd(f'RCPT TO:<{recipient}>', 250)
        self.cmd('DATA', 354)
        self.send(dot_stuffed(data))
        return self.expect(250, '', 'message accepted')


def dot_stuffed(data):
    data = data.encode() if isinstance(data, str) else data
    data = re.sub(rb'(^|\r\n)\.', rb'\1..', data)
    return data + (b'.\r\n' if not data or data.endswith(b'\r\n') else b'\r\n.\r\n')


class Server:
    """Listens and runs `script(peer)` in a thread for each connection. A script that raises fails the
    test. With `path` it is a unix socket, else `address` has host and port."""

    def __init__(self, script, timeout, path=None, address=('127.0.0.1', 0)):
        self.script = script
        self.timeout = timeout
        self.path = path
        if path:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(path)
            os.chmod(path, 0o777)
            self.listener.listen(64)
            self.port = None
        else:
            family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
            self.listener = socket.create_server(address, family=family, backlog=64)
            self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.errors = []
        self.threads = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if not self.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock):
        with Peer(sock, self.timeout) as peer:
            try:
                self.script(peer)
            except Exception:
                self.errors.append(traceback.format_exc())

    def close(self):
        """Ends listening and waits for the scripts."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(self.timeout)
        for thread in self.threads:
            thread.join(self.timeout)
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)
