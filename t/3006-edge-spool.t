#!/usr/bin/python3
# 3006-edge-spool.t - larger messages go to a file while they arrive, and what happens when they cannot
# SPDX-License-Identifier: MIT
# P6 P8
import os

from lib.edge import config, stored
from lib.fixture import SLOW, is_, like, ok, run, wait_for
from lib.process import memory_kb

HEADER = 'Subject: x\r\n\r\n'


def spool_files(edge):
    """Sizes of the files without a name that the process has open."""
    sizes = []
    for fd in os.listdir(f'/proc/{edge.pid}/fd'):
        path = f'/proc/{edge.pid}/fd/{fd}'
        try:
            if '/spool/' in os.readlink(path):
                sizes.append(os.stat(path).st_size)
        except OSError:
            pass
    return sizes


def spooled(t):
    t.folder('spool')
    edge = t.edge(config(', max_size: 100M', '    spool_dir: @dir@/spool\n    spool_threshold: 10K\n'))
    before = memory_kb(edge.pid, 'RssAnon')
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        c.cmd('DATA', 354)
        c.send(HEADER)
        line = 'x' * 76 + '\r\n'
        for _ in range(40):
            c.send(line * 10000)
        wait_for(lambda: max(spool_files(edge), default=0) > 20_000_000, 10, 'a file to grow')
        ok(SLOW > 1 or memory_kb(edge.pid, 'RssAnon') - before < 4000, 'the message is not in memory')
        c.send('.\r\n')
        c.expect(250)
    is_(os.listdir(t.path('spool')), [], 'the file has no name')
    wait_for(lambda: not spool_files(edge), 10, 'the file to be closed')
    content = stored(t)[0]['content'].decode()
    ok(content == HEADER + line * 400000, 'the message arrives octet for octet')


def threshold(t):
    t.folder('spool')
    edge = t.edge(config('', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'))
    with t.client('smtp') as c:
        c.hello()
        for size in (4095, 4096, 4097):
            c.mail('a@b.example', ['c@d.example'], HEADER + 'x' * (size - len(HEADER) - 2) + '\r\n')
    is_([len(m['content']) for m in stored(t)], [4095, 4096, 4097], 'messages around the threshold are whole')
    ok(edge.running(), 'the edge goes on')


def failing(t):
    edge = t.edge(config(', max_size: 100M', '    spool_dir: @dir@/nowhere\n    spool_threshold: 4K\n'))
    like(edge.log, 'error .* spool_dir not usable, .*dir=.*nowhere error="No such file', 'told at start')
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        c.cmd('DATA', 354)
        c.send(HEADER + 'MAIL FROM:<x@y.example>\r\n' * 40000 + '.\r\n')
        c.expect(451, r'^4\.3\.0 Error queuing message$', 'without a folder: once 451, behind the end of data')
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        replies = []
        while len(replies) < 20 and (not replies or replies[-1].code == 250):
            c.send('BDAT 200015\r\n' + HEADER.ljust(200013) + '\r\n')
            replies.append(c.reply())
        is_((replies[-1].code, len(replies) < 20), (451, True), 'of chunks one is told, before all have come')
        c.mail('a@b.example', ['c@d.example'], HEADER)
    is_(len(stored(t)), 1, 'small messages go on')
    like(edge.log, 'error .* spool: could not write dir=.*nowhere error="No such file', 'and somebody is told')


run(spooled, threshold, failing)
