#!/usr/bin/python3
# 5081-relay-domains-crash.t - one message, several domains: what each host said stays said, also across deaths of workers
# SPDX-License-Identifier: MIT
import os
import signal

from lib.fixture import is_, like, ok, run, wait_for
from lib.mx import Mx
from lib.relay import queued, send

RECORDS = ''.join(f'd{n} IN MX 10 h{n}\n' for n in range(2, 6))
ALL = [f'{name}@d{n}.example' for n in range(2, 6) for name in 'ab']


def kill_worker(master):
    os.kill(master.children('slimta-worker')[0], signal.SIGKILL)


def taken(mx):
    """Recipients by host, the sender's notifications aside."""
    return {n: sorted(to for mail in hop.messages for to in mail['recipients']) for n, hop in mx.hops.items()}


def of(*numbers):
    return {n: [f'{name}@d{n}.example' for name in 'ab'] if n in numbers else [] for n in range(2, 6)}


def each_its_own(t):
    """Delivered, refused for good, refused for now, killed in the midst: the next worker does what is left of it."""
    mx = Mx(t, RECORDS, hops=range(2, 6))
    late, killed = [], []

    def kill(*_):
        if not killed:
            for n, event in ((2, 'delivered'), (3, 'delivered')):
                mx.master.wait_log(rf' {event} id=\w+ recipient=b@d{n}\.example ')
            killed.append(kill_worker(mx.master))
    mx.hops[3].at['RCPT'] = lambda _, line: '550 5.1.1 no such user' if '<a@' in line else None
    mx.hops[4].at['RCPT'] = lambda *_: None if late else '450 4.2.1 not now'
    mx.hops[5].at['DATA'] = kill
    mx.start(delay=0.3)
    ident = send(t, *ALL)
    mx.master.wait_log(rf' deferred id={ident} recipient=b@d4\.example ', 30)
    is_(queued(t), [ident], 'it waits for one domain')
    late.append(True)
    wait_for(lambda: not queued(t), what='the end of the message')
    is_(taken(mx), {**of(2, 4, 5), 3: ['b@d3.example']}, 'each recipient has it once')
    is_(len(mx.hops[2].sessions), 1, 'who had it was not bothered again')
    like(mx.master.log, rf' bounced id={ident} .* recipients=1 recipient=a@d3\.example', 'who was refused is told of')
    is_(mx.master.log.count(f' bounced id={ident} '), 1, 'once')
    mx.master.stop()


def killed_at_every_step(t):
    """A worker dies at each step of one domain while the other's is over."""
    mx = Mx(t, RECORDS, hops=(2, 5))
    for step in ('connect', 'EHLO', 'MAIL', 'RCPT', 'DATA'):
        killed = []

        def kill(*_, killed=killed):
            if not killed:
                mx.master.wait_log(r' delivered id=\w+ recipient=b@d2\.example ')
                killed.append(kill_worker(mx.master))
        mx.hops[5].at = {step: kill}
        mx.start(delay=0.3)
        ident = send(t, *ALL[:2], *ALL[-2:])
        wait_for(lambda: not queued(t), what='the end of the message')
        is_(taken(mx), {n: of(2, 5)[n] for n in (2, 5)}, f'{step}: each recipient has it once')
        ok(killed and f' in doubt id={ident} ' in mx.master.log, f'{step}: a worker died, past the dot of the other domain')
        mx.master.stop()
        for hop in mx.hops.values():
            hop.messages.clear()


run(each_its_own, killed_at_every_step)
