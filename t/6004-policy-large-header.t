#!/usr/bin/python3
# 6004-policy-large-header.t - a header of any size and shape passes policies, the wire and a notification, in time and unchanged
# SPDX-License-Identifier: MIT
# P8 S16
import glob
import re

from lib.fixture import is_, like, ok, run, wait_for
from lib.next_hop import NextHop
from lib.peer import dot_stuffed
from lib.process import cpu_ticks

CONFIG = '''@process@    spool_dir: @dir@/spool
    spool_threshold: THRESHOLD
edge:
  main: {type: smtp, queue: q, max_size: 50M, max_hops: 100, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, bounce_queue: b,
    policies: [{type: add_date_header}, {type: add_message_id_header}, {type: add_received_header}]}
  b: {type: disk, relay: r, envelope_dir: @dir@/benv, meta_dir: @dir@/bmeta, allow_volatile: yes}
relay:
  r: {type: static, host: 127.0.0.1, port: PORT}
'''
OURS = re.compile(rb'^(?:Received: from client\.example (?:.*\r\n\t.*)*|Date: .*|Message-Id: <[0-9a-v]{26}\.\d+@\S+>)\r\n', re.M)
CAP = 262144
END = b'\r\nthe body\r\n'


def shapes(size):
    yield f'{size // 6} fields', b'X: y\r\n' * (size // 6)
    yield 'one field in many lines', b'X:\r\n' + b' y\r\n' * (size // 4)
    yield 'lines of white space', b'X:\r\n' + b' \r\n' * (size // 3)
    yield 'one line', b'X: ' + b'y' * size + b'\r\n'
    yield 'a name', b'X' * size + b': y\r\n'
    yield 'white space behind a name', b'X' + b' ' * size + b': y\r\n'
    yield 'no names', b':\r\n' * (size // 3)
    yield 'no colon', b'X' * size + b'\r\n'
    yield 'empty lines', b'\r\n' * (size // 2)
    yield 'what is added', b'date: x\r\nMESSAGE-ID : <x@y>\r\n' * (size // 28)


def start(t, threshold, at=None):
    t.folder('spool')
    hop = NextHop(t, at, extensions=('PIPELINING', '8BITMIME'))
    text = CONFIG.replace('PORT', str(hop.port)).replace('THRESHOLD', threshold)
    return hop, t.edge(text), t.worker(text, 'q'), text


def send(t, message):
    with t.client('smtp') as client:
        client.reply()
        for line in 'EHLO client.example', 'MAIL FROM:<s@example.org>', 'RCPT TO:<a@example.net>', 'DATA':
            client.line(line)
            client.reply()
        client.send(dot_stuffed(message))
        return client.reply()


def passes(t, threshold):
    hop, edge, worker, _ = start(t, threshold)
    for size in CAP - 7, 2 * CAP:
        for what, header in shapes(size):
            is_(send(t, header + END).code, 250, f'{what}, {size} octets: taken')
            got = wait_for(lambda: hop.messages and hop.messages.pop(), 30, 'the message')['data']
            rest = OURS.sub(b'', got, count=3)
            # A body alone has an empty line before it.
            ok(rest in (header + END, b'\r\n' + header + END), 'and all of it passed on as it was')
            like(got[:200], r'^Received: from client\.example ', 'behind our trace')
    for process in worker, edge:
        is_(process.stop(), 0, f'{process.name} ends well')


def in_memory(t):
    passes(t, '10M')


def spooled(t):
    passes(t, '16K')


def cpu(*processes):
    return sum(cpu_ticks(process.pid) for process in processes)


def linear(t):
    """Eight times as much takes about eight times as long, not 64 times. What others do to the machine is forgiven: it is
    measured again until it holds, which the square never does."""
    hop, edge, worker, _ = start(t, '64K')
    for _ in range(4):
        used = []
        for size in 1 << 19, 1 << 22:
            before = cpu(edge, worker)
            for _, header in shapes(size):
                send(t, header + END)
                wait_for(lambda: hop.messages and hop.messages.pop(), 60, 'the message')
            used.append(max(5, cpu(edge, worker) - before))
        if used[1] <= 30 * used[0]:
            break
    ok(used[1] <= 30 * used[0], f'{used[0]} and {used[1]} ticks')


def returned(t):
    hop, _, worker, text = start(t, '64K', {'RCPT': lambda peer, line: '550 5.1.1 no' if '<a@' in line else None})
    t.worker(text, 'b')
    for what, header in shapes(1 << 20):
        is_(send(t, header + END).code, 250, f'{what}: taken')
        got = wait_for(lambda: [m for m in hop.messages if m['recipients']] and hop.messages.pop(), 30, 'the notification')
        is_((got['sender'], got['recipients']), ('', ['s@example.org']), 'the sender is told')
        ok(len(got['data']) < 1 << 18 or header + END in got['data'], f"in {len(got['data'])} octets, or it comes back whole")
        hop.messages.clear()
    is_(worker.running(), True, 'the worker goes on')


def hops(t):
    """Counted as far as a header goes for us: what we add stands before all that, so a loop ends."""
    hop, _, _, _ = start(t, '64K')
    trace, padding = b'Received: by x; y\r\n', b'X: y\r\n' * (CAP // 6)
    for header, code in (trace * 101, 554), (trace * 100, 250), (trace * 100000, 554), (trace * 101 + padding * 4, 554), (
            padding + trace * 101, 250), (b'Delivered-To : x\r\n' * 50 + trace * 51, 554):
        is_(send(t, header + END).code, code, f'{header.count(trace)} hops within {len(header)} octets')
    wait_for(lambda: len(hop.messages) == 2, 20, 'both')
    is_(glob.glob(t.path('spool', '*')), [], 'nothing stays in the spool')


run(in_memory, spooled, linear, returned, hops)
