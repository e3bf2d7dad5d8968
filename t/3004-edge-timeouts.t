#!/usr/bin/python3
# 3004-edge-timeouts.t - clients that fall silent, trickle, half-close, reset or never read
# SPDX-License-Identifier: MIT
# P19
import socket
import struct
import threading
import time

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run, wait_for


def silence(t):
    edge = t.edge(config(', command_timeout: 1, data_timeout: 2'))
    began = time.monotonic()
    with t.client('smtp') as c, t.client('smtp') as d:
        c.hello()
        d.hello()
        d.cmd('MAIL FROM:<a@b.example>', 250)
        d.cmd('RCPT TO:<c@d.example>', 250)
        d.cmd('DATA', 354)
        d.send('half a mess')
        c.expect(421, r'^4\.4\.2 Connection timed out$')
        ok(time.monotonic() - began >= 0.95, 'not before its time, as a coarse clock sees it')
        ok(c.at_end(), 'the connection is closed')
        d.expect(421, r'^4\.4\.2 Connection timed out$')
        ok(time.monotonic() - began >= 1.95, 'mail data has a time of its own')
    edge.wait_log('smtp: abandoned id=')
    is_(stored(t), [], 'half a message is none')


def trickle(t):
    t.edge(config(', command_timeout: 1, data_timeout: 2'))
    with t.client('smtp') as c:
        c.expect(220)

        def send():
            try:
                while not done.wait(0.1):
                    c.send('x')
            except OSError:
                pass
        done = threading.Event()
        thread = threading.Thread(target=send)
        thread.start()
        c.expect(421, r'^4\.4\.2', 'a command that trickles in has no more time than none')
        done.set()
        thread.join()
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        c.cmd('DATA', 354)
        for _ in range(13):
            c.send('slow\r\n')
            time.sleep(0.2)
        c.send('.\r\n')
        c.expect(250, '', 'mail data may be slow')


def half_close(t):
    t.edge(config())
    with t.client('smtp') as c:
        c.expect(220)
        c.send('EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n')
        c.sock.shutdown(socket.SHUT_WR)
        codes = [c.reply().code for _ in range(5)]
        is_(codes, [250, 250, 250, 354, 250], 'who says no more still gets all answers')
        ok(c.at_end(), 'then the end')
    is_(len(stored(t)), 1, 'and its message is stored')


def resets(t):
    """A client that resets after any octet leaves nothing, and hurts nobody."""
    edge = t.edge(config())
    parts = [b'', b'EHL', b'EHLO c\r\n', b'MAIL FROM:<a@b.example>\r\n', b'RCPT TO:<c@d.example>\r\n', b'DATA\r\n',
        b'Subject: x\r\n\r', b'\n.\r', b'\n']
    sessions = 0
    for count in range(len(parts)):
        with t.client('smtp') as c:
            if count:
                c.expect(220, '', 'banner')
            c.send(b''.join(parts[2 if count > 1 else 0:count + 1]))
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sessions += 1
        wait_for(lambda n=sessions: edge.log.count('disconnected') == n, 10, f'session {sessions} to end')
    wait_for(lambda: edge.log.count('accepted id=') == len(stored(t)), 10, 'the log to agree with the queue')
    ok(len(stored(t)) <= 1, 'at most the complete one is stored')
    like(edge.log, 'smtp: abandoned id=.*reason="connection lost"', 'what was begun is logged')
    with t.client('smtp') as c:
        c.hello()


def deaf(t):
    """A client that sends commands for ever and reads no reply costs bounded memory, and time runs."""
    edge = t.edge(config(', command_timeout: 2, max_errors: 100000').replace('level: debug', 'level: info'))
    with t.client('smtp') as c:
        c.expect(220)
        c.sock.settimeout(1)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += c.sock.send(b'EHLO c\r\n' * 10000)
        except TimeoutError:
            pass
        ok(sent < 50_000_000, 'nobody takes what it sends')
        edge.wait_log('disconnected .*error="Connection timed out"')


run(silence, trickle, half_close, resets, deaf)
