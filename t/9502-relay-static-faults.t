#!/usr/bin/python3
# 9502-relay-static-faults.t - each system call of a delivery by SMTP fails: the message waits, or goes on, and is there
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, run, wait_for
from lib.next_hop import NextHop
from lib.relay import config, queued, send


def delivered_in_spite(t):
    for fault, reply in (
            ('net.socket:1:EMFILE', '451 4.3.0 Connection failed: Too many open files'),
            ('net.connect:1:ENETUNREACH', '451 4.3.0 Connection failed: Network is unreachable'),
            ('net.read:1:ECONNRESET', '451 4.4.2 Connection lost: Connection reset by peer'),
            ('net.write:1:EPIPE', '451 4.4.2 Connection lost: Broken pipe'),
            ('net.read:2:ECONNRESET', '451 4.4.2 Connection lost: Connection reset by peer'),
            ('net.read:3:ECONNRESET', None), ('net.write:3:EPIPE', None),
            ('content.read:1:EIO', '451 4.3.0 Message could not be read'),
            ('content.read:4:EIO', '451 4.3.0 Message could not be read')):
        hop = NextHop(t)
        text = config(f'type: static, host: 127.0.0.1, port: {hop.port}', delay=1)
        edge = t.edge(text)
        worker = t.worker(text, 'q', env={'SLIMTA_FAULT': fault})
        ident = send(t, 'a@example.net', data=b'Subject: x\r\n\r\n' + b'x' * 70 + (b'\r\n' + b'y' * 70) * 4000 + b'\r\n')
        if reply:
            match = worker.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
            is_(match[1], reply, f'{fault}: it waits')
        match = worker.wait_log(rf' delivered id={ident} .*attempts=(\d)')
        is_(match[1], '2' if reply else '1', f'{fault}: and is delivered')
        wait_for(lambda: not queued(t), what='an empty queue')
        is_(len(hop.messages), 1, 'once')
        worker.stop()
        edge.stop()


def fatal(t):
    text = config('type: static, host: 127.0.0.1')
    t.config(text)
    worker = t.run('slimta-worker', '-c', t.path('slimta.conf'), '--queue', 'q', '--allow-root',
        env={'SLIMTA_FAULT': 'slots.open:1:EACCES'})
    is_(worker.returncode, 1, 'without the table of destinations it does not start')
    like(worker.stderr, 'could not open the table of destinations .*error="Permission denied"', 'and says why')


def no_locks(t):
    hop = NextHop(t)
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}')
    t.edge(text)
    worker = t.worker(text, 'q', env={'SLIMTA_FAULT': 'slots.lock:1:ENOLCK'})
    worker.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    like(worker.log, 'could not lock a slot .*error="No locks available"', 'a lock that fails is tried again, and logged')


run(delivered_in_spite, fatal, no_locks, faults=True)
