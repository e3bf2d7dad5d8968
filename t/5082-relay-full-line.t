#!/usr/bin/python3
# 5082-relay-full-line.t - more messages for a slow host than may wait: given back at no cost, it is said why, and they come again
# SPDX-License-Identifier: MIT
# P24
import re
import threading

from lib.fixture import is_, like, ok, run, wait_for
from lib.mx import Mx
from lib.relay import queued, send

WAITS = 'Too many messages wait for h2.example'


def said(t, wanted, *args):
    """What queuectl says, as soon as it is that: a worker may have the message just now, to look at the line again."""
    def look():
        text = t.queuectl(*args)
        return text if re.search(wanted, text) else None
    return wait_for(look, what=f'{args} to say {wanted}')


def full(t):
    """One connection: two wait for it, the others are given back. Another host is not hindered."""
    mx = Mx(t, 'slow IN MX 10 h2\nfast IN MX 10 h3\n', hops=(2, 3))
    opened = threading.Event()
    mx.hops[2].at['.'] = lambda *_: opened.wait(100) and None
    mx.start(', concurrent_connections: 1, data_timeout: 100')
    idents = [send(t, 'a@slow.example') for _ in range(8)]
    match = mx.master.wait_log(rf' put off id=(\w+) relay=r reason="{WAITS}" delay_ms=(\d+)', 30)
    is_(int(match[2]), 5000, 'due in 5 s')
    ident = match[1]
    shown = said(t, rf'(?m)^waits .*; it was not attempted when it was due: {WAITS}$', 'show', ident)
    like(shown, r'(?m)^attempts +0$', 'at no cost, as show says')
    said(t, rf'(?m)^{ident} .*\({WAITS}\)$', 'list')
    said(t, rf'(?m)"id":"{ident}".*"waits":"{WAITS}"', '--json', 'list')

    both = send(t, 'a@fast.example', 'b@slow.example')
    mx.master.wait_log(rf' delivered id={both} recipient=a@fast.example .*attempts=1 ', 30)
    mx.master.wait_log(rf' put off id={both} .* reason="{WAITS}"', 30)
    ok(not mx.hops[2].messages, 'while the slow one takes none')
    opened.set()
    wait_for(lambda: not queued(t), timeout=60, what='all to be delivered')
    is_(sorted(mail['recipients'][0] for mail in mx.hops[2].messages), ['a@slow.example'] * 8 + ['b@slow.example'], 'each once')
    is_(len(mx.hops[3].messages), 1, 'and what was delivered is not sent again')
    is_(mx.hops[2].most, 1, 'over one connection at a time')
    attempts = set(re.findall(r' delivered id=(\w+) recipient=a@slow\.example .*attempts=1 ', mx.master.log))
    is_(attempts, set(idents), 'with the first attempt of each')


run(full)
