#!/usr/bin/python3
# 3013-edge-bdat.t - mail data in chunks: as it was sent, through the spool, cut anywhere, in any number of chunks
# SPDX-License-Identifier: MIT
# S5 P8
import os

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run, unlike

HEADER = b'Subject: x\r\n\r\n'
LINES = [b'.\r\n', b'..\r\n', b'QUIT\r\n', b'\r\n', b'\xff\xfe\r\n', b'x' * 2000 + b'\r\n']


def begin(c):
    c.cmd('MAIL FROM:<a@b.example>', 250, what='MAIL')
    c.cmd('RCPT TO:<c@d.example>', 250, what='RCPT')


def send(c, message, size):
    """In chunks of that size, all written before the first reply is read."""
    pieces = [message[at:at + size] for at in range(0, len(message), size)] or [b'']
    begin(c)
    for piece in pieces[:-1]:
        c.send(b'BDAT %d\r\n' % len(piece) + piece)
    c.send(b'BDAT %d LAST\r\n' % len(pieces[-1]) + pieces[-1])
    codes = {c.reply().text for _ in pieces[:-1]}
    ok(all('octets received' in text for text in codes), f'{len(pieces)} chunks are answered each')
    c.expect(250, r'^2\.6\.0 Message accepted for delivery; ')


def chunks(t):
    t.folder('spool')
    edge = t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 64K\n'))
    large = HEADER + b''.join(LINES) * 2000
    messages = [b'', HEADER, HEADER + b''.join(LINES), HEADER + b'no end of the line', large]
    with t.client('smtp') as c:
        like(c.hello().text, '^CHUNKING$', 'CHUNKING is offered')
        for message in messages[:4]:
            send(c, message, 7)
        for size in (1000, 65536, 1 << 20, 1 << 30):
            send(c, large, size)
    is_([m['content'] for m in stored(t)], messages[:4] + [large] * 4, 'octet for octet')
    is_(os.listdir(t.path('spool')), [], 'nothing stays in the spool')
    ok(edge.running(), 'the edge goes on')


def oversize(t):
    t.edge(config(', max_size: 1M'))
    with t.client('smtp') as c:
        c.hello()
        begin(c)
        junk = b'MAIL FROM:<x@y.example>\r\nQUIT\r\n' * 1000
        for _ in range(60):
            c.send(b'BDAT %d\r\n' % len(junk) + junk)
        c.send(b'NOOP\r\n')
        codes = [c.reply().code for _ in range(61)]
        is_([codes.count(code) for code in (250, 552, 503)], [33 + 1, 27, 0], 'chunks behind the one too many are discarded, with its reply')
        is_(codes[-1], 250, 'and the session goes on')
        c.cmd('BDAT 99999999999 LAST', 552, r'^5\.3\.4 ')
        ok(c.at_end(), 'what would take for ever ends the session')
    is_(stored(t), [], 'nothing is stored')


def disabled(t):
    t.edge(config(', disable_extensions: [chunking, LIMITS]'))
    with t.client('smtp') as c:
        unlike(c.hello().text, 'CHUNKING|LIMITS', 'they can be turned off')
        begin(c)
        c.send(b'BDAT 6 LAST\r\nQUIT\r\n')
        c.expect(502)
        c.cmd('NOOP', 250)


run(chunks, oversize, disabled)
