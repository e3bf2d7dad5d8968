#!/usr/bin/python3
# 3008-edge-full-queue.t - a queue that takes no more is told at MAIL, before the data
# SPDX-License-Identifier: MIT
import os
import re
import shutil

from lib.edge import config, stored
from lib.fixture import IS_ROOT, is_, like, ok, run


def min_free(t):
    edge = t.edge(config(queue=', min_free: 1000000G'))
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 452, r'^4\.3\.1 ')
        c.cmd('RCPT TO:<c@d.example>', 503)
        c.cmd('MAIL FROM:<a@b.example>', 452)
        c.cmd('QUIT', 221)
    like(edge.log, 'smtp: rejected id=.* command=MAIL sender=a@b.example reply="452 4.3.1', 'and logged')
    is_(len(re.findall(r' error slimta-edge\[\d+\] queue: takes no messages queue=q .*min_free=\d{15}', edge.log)), 1,
        'as an error, once for many clients')


def gone(t):
    """The folder goes away under a running edge: 4yz, never a 250 for what is not stored."""
    edge = t.edge(config())
    with t.client('smtp') as c:
        c.hello()
        c.mail('a@b.example', ['c@d.example'], 'x\r\n')
        is_(len(stored(t)), 1, 'one is stored')
        shutil.rmtree(t.path('mail'))
        shutil.rmtree(t.path('meta'), ignore_errors=True)
        c.line('MAIL FROM:<a@b.example>')
        reply = c.reply()
        if reply.code == 250:
            c.cmd('RCPT TO:<c@d.example>', 250)
            c.cmd('DATA', 354)
            c.send('x\r\n.\r\n')
            reply = c.reply()
        is_(reply.code // 100, 4, f'then the answer is transient: {reply}')
        c.cmd('NOOP', 250)
    ok(edge.running(), 'the edge goes on')


def read_only(t):
    """A folder that cannot be written."""
    edge = t.edge(config())
    os.chmod(t.path('mail'), 0o500)
    with t.client('smtp') as c:
        c.hello()
        if not IS_ROOT:
            c.cmd('MAIL FROM:<a@b.example>', 250)
            c.cmd('RCPT TO:<c@d.example>', 250)
            c.cmd('DATA', 354)
            c.send('x\r\n.\r\n')
            c.expect(451, r'^4\.3\.0 ')
        os.chmod(t.path('mail'), 0o700)
        c.mail('a@b.example', ['c@d.example'], 'x\r\n')
    ok(edge.running(), 'and mail goes on when it can')


run(min_free, gone, read_only)
