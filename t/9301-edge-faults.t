#!/usr/bin/python3
# 9301-edge-faults.t - system calls of the edge that fail: spool files, accepting, reading, writing
# SPDX-License-Identifier: MIT
# P6
import os

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run, wait_for

HEADER = 'Subject: x\r\n\r\n'


def full(t):
    t.folder('spool')
    edge = t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'),
        env={'SLIMTA_FAULT': 'spool.write:2:ENOSPC'})
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        c.cmd('DATA', 354)
        c.send(HEADER + 'x' * 76 + '\r\n' + ('y' * 76 + '\r\n') * 20000 + '.\r\n')
        c.expect(452, r'^4\.3\.1 Insufficient system storage$', 'a disk that fills up: 452')
        c.mail('a@b.example', ['c@d.example'], HEADER)
    is_(len(stored(t)), 1, 'and nothing of it is stored')
    ok(edge.running(), 'the edge goes on')


def no_tmpfile(t):
    t.folder('spool')
    t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'),
        env={'SLIMTA_FAULT': 'spool.open:*:EOPNOTSUPP'})
    with t.client('smtp') as c:
        c.hello()
        c.mail('a@b.example', ['c@d.example'], HEADER + 'x' * 5000 + '\r\n')
    is_(len(stored(t)[0]['content']), len(HEADER) + 5002, 'a file system without O_TMPFILE will do')
    is_(os.listdir(t.path('spool')), [], 'and keeps no file')


def descriptors(t):
    edge = t.edge(config(), env={'SLIMTA_FAULT': 'edge.accept:1:EMFILE'})
    with t.client('smtp') as c:
        c.expect(421, r'^4\.3\.2', 'when no descriptor is left a client is told')
    like(edge.log, 'warn .* edge: could not accept .*error="Too many open files"', 'and so are we')
    with t.client('smtp') as c:
        c.hello()
    edge.stop()
    edge = t.edge(config(), env={'SLIMTA_FAULT': 'edge.accept:*:ENOMEM'})
    with t.client('smtp'):
        edge.wait_log('could not accept')
        with open(f'/proc/{edge.pid}/stat', encoding='ascii') as stat:
            ticks = [int(field) for field in stat.read().split(')')[1].split()[11:13]]
        wait_for(lambda: edge.log.count('could not accept') > 2, 10, 'more tries')
        ok(sum(ticks) < 50, 'it does not spin')
        ok(edge.log.count('could not accept') < 20, 'nor fill the log')


def connection(t):
    for fault in ('net.read:3:ECONNRESET', 'net.write:3:EPIPE', 'net.write:2:ETIMEDOUT'):
        edge = t.edge(config(), env={'SLIMTA_FAULT': fault})
        with t.client('smtp') as c:
            c.expect(220)
            for line in ('EHLO c', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>'):
                try:
                    c.line(line)
                except OSError:
                    break
                if not c.reply().code:
                    break
            else:
                ok(False, f'{fault} ended the session')
        edge.wait_log('disconnected .*error=')
        with t.client('smtp') as c:
            c.hello()
        is_(edge.stop(), 0, f'{fault}: the edge goes on, and ends well')


run(full, no_tmpfile, descriptors, connection, faults=True)
