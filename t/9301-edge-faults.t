#!/usr/bin/python3
# 9301-edge-faults.t - system calls of the edge that fail: spool files, accepting, reading, writing
# SPDX-License-Identifier: MIT
# P6 P8
import os
import re

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run
from lib.process import cpu_ticks

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


def exhausted(t):
    """The system has none left: it is tried again a few times a second, told once and then as a count."""
    for error, text in (('ENFILE', 'Too many open files in system'), ('ENOBUFS', 'No buffer space available'),
            ('ENOMEM', 'Cannot allocate memory')):
        # ENFILE: after each failure another accept, for the refusal.
        faults = ','.join(f'edge.accept:{visit}:{error}' for visit in range(1, 9))
        edge = t.edge(config(), env={'SLIMTA_FAULT': faults})
        with t.client('smtp') as c:
            edge.wait_log('could not accept')
            before = cpu_ticks(edge.pid)
            c.hello()
        ok(cpu_ticks(edge.pid) - before < 30, f'{error}: served when it is over, without spinning')
        is_(edge.stop(), 0, 'it ends well')
        lines = re.findall('warn .* edge: could not accept.*', edge.log)
        is_(len(lines), 2, 'two lines')
        like(lines[0], f'could not accept edge=main error="{text}"', 'the first at once')
        like(lines[-1], f'could not accept several times count={3 if error == "ENFILE" else 7} edge=main error="{text}"',
            'the others counted')


def starved(t):
    """Descriptors that lack in the midst of a message: it is deferred, and its session goes on."""
    t.folder('spool')
    for fault in ('spool.open:1:EMFILE', 'spool.open:1:ENFILE'):
        edge = t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'), env={'SLIMTA_FAULT': fault})
        with t.client('smtp') as c:
            c.hello()
            for wanted in (451, 250):
                for line in ('MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA'):
                    c.line(line)
                    c.reply()
                c.send(HEADER + ('y' * 76 + '\r\n') * 200 + '.\r\n')
                c.expect(wanted, '', f'{fault}: {wanted}')
        is_(edge.stop(), 0, f'{fault}: the edge goes on, and ends well')


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


run(full, no_tmpfile, descriptors, exhausted, starved, connection, faults=True)
