# tcp_proxy.py - stands between a client and a server: cuts, delays, swallows
# SPDX-License-Identifier: MIT
import socket
import threading
import time


class TcpProxy:
    """Passes connections on to (host, port). What is set holds for connections there are, too:
    delay = 0.2         each piece of an answer waits so many seconds
    cut_after = 100     so many octets of answers from now on, then every connection is reset; None: never
    cut_on = b'...'     the connection is reset in the middle of the first answer that has this
    hole = True         nothing passes either way, nothing is closed, as when a cable is out
    refuse = True       new connections are closed at once
    `cuts` counts the resets."""

    def __init__(self, t, port, host='127.0.0.1', address='127.0.0.1'):
        self.target = (host, port)
        self.delay, self.cut_after, self.cut_on = 0, None, None
        self.hole = self.refuse = False
        self.cuts = self.connections = 0
        self.errors = []
        self.pairs = []
        self.lock = threading.Lock()
        self.closing = False
        self.listener = socket.create_server((address, 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        t.servers.append(self)

    def drop(self):
        """Resets every connection there is."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
            self.cuts += len(pairs)
        for pair in pairs:
            self._reset(*pair)

    def _reset(self, *socks):
        for sock in socks:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                if self.refuse:
                    raise ConnectionError
                far = socket.create_connection(self.target, 10)
            except OSError:
                self._reset(near)
                continue
            far.settimeout(None)
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.append((near, far))
            for source, sink, is_answer in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass, args=(source, sink, is_answer), daemon=True).start()

    def _pass(self, source, sink, is_answer):
        try:
            while True:
                data = source.recv(65536)
                while self.hole and not self.closing:
                    time.sleep(0.01)
                if not data or self.closing:
                    break
                if is_answer:
                    data, cut = self._answer(data)
                    sink.sendall(data)
                    if cut:
                        self.drop()
                        return
                else:
                    sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _answer(self, data):
        """What of an answer is passed on, and whether that is all."""
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            if self.cut_on is not None and self.cut_on in data:
                end = data.index(self.cut_on) + len(self.cut_on) // 2
                self.cut_on = None
                return data[:end], True
            if self.cut_after is not None:
                if self.cut_after < len(data):
                    end, self.cut_after = self.cut_after, None
                    return data[:end], True
                self.cut_after -= len(data)
        return data, False

    def close(self):
        self.closing = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(10)
        self.drop()
