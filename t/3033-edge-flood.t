#!/usr/bin/python3
# 3033-edge-flood.t - one client sends mail while others flood: it still gets its replies, and soon
# SPDX-License-Identifier: MIT
# P8
import multiprocessing
import random
import signal
import socket
import time

from lib.edge import config, stored
from lib.fixture import SLOW, diag, is_, ok, run
from lib.process import cpu_ms

MESSAGES = 40
SLOWEST_S = 10 * SLOW		# generous: machines that run tests are loaded; measured below
FLOODERS = multiprocessing.get_context('fork')


def junk(port):
    """Lines that are no commands, as fast as they are taken, connection by connection; nothing is read."""
    noise = random.Random(1)
    lines = b''.join(noise.randbytes(noise.randrange(200)).replace(b'\n', b'') + b'\r\n' for _ in range(300))
    return lambda sock: sock.sendall(lines * 4)


def commands(port):
    """Good commands that lead nowhere, 4,000 a connection."""
    return lambda sock: sock.sendall(b'EHLO x\r\n' + b'NOOP\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\n' * 1000)


def connections(port):
    return lambda sock: None


def large(port):
    """Mail data that ends in a reset."""
    data = b'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n' + (b'y' * 76 + b'\r\n') * 48000
    return lambda sock: sock.sendall(data)


def flood(what, port, count):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    send = what(port)
    while True:
        with socket.socket() as sock:
            sock.settimeout(2)
            try:
                sock.connect(('127.0.0.1', port))
                if what is not connections:
                    sock.recv(100)
                send(sock)
            except OSError:
                pass
        count.value += 1


def honest(t, sender):
    """The time of each message, from connect to 250."""
    times = []
    for _ in range(MESSAGES):
        began = time.monotonic()
        with t.client('smtp', 30) as c:
            codes = [c.reply().code]
            for line in ('EHLO client.example', f'MAIL FROM:<{sender}>', 'RCPT TO:<c@d.example>', 'DATA', 'Subject: x\r\n\r\n.'):
                c.line(line)
                codes.append(c.reply().code)
        times.append(time.monotonic() - began)
        if codes != [220, 250, 250, 250, 354, 250]:
            ok(False, f'a message of {sender} gets through: {codes}')
    return sorted(times)


def shown(times):
    return f'{times[len(times) // 2] * 1000:.1f} ms in the middle, {times[-1] * 1000:.1f} the slowest'


def test(what):
    def flooded(t):
        t.folder('spool')
        edge = t.edge(config('', '    spool_dir: @dir@/spool\n').replace('level: debug', 'levels: {smtp: warn, edge: warn}'))
        quiet = honest(t, 'before@b.example')
        counts = [FLOODERS.Value('q', 0) for _ in range(2)]
        attackers = [FLOODERS.Process(target=flood, args=(what, t.port('smtp'), count)) for count in counts]
        for attacker in attackers:
            attacker.start()
        try:
            began, spent = time.monotonic(), cpu_ms(edge.pid)
            times = honest(t, 'meanwhile@b.example')
            seconds, spent = time.monotonic() - began, cpu_ms(edge.pid) - spent
        finally:
            for attacker in attackers:
                attacker.terminate()
                attacker.join()
        total = sum(count.value for count in counts)
        diag(f'{what.__name__}: {total / seconds:.0f} connections/s, the edge busy for {spent / seconds / 10:.0f} %; '
            f'a message alone {shown(quiet)}, in the flood {shown(times)}')
        ok(total > 10, f'{what.__name__}: there is a flood')
        ok(times[-1] < SLOWEST_S, f'no message takes {SLOWEST_S} s')
        is_(sum(1 for m in stored(t) if m['sender'] == 'meanwhile@b.example'), MESSAGES, 'and all are stored')
        is_(edge.stop(), 0, 'the edge ends well')
    flooded.__name__ = what.__name__
    return flooded


run(test(junk), test(commands), test(connections), test(large))
