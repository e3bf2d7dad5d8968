#!/usr/bin/python3
# 5075-relay-rest.t - a next hop takes so many recipients at once: the others follow at once, over the same connection while it lasts
# SPDX-License-Identifier: MIT
# P24
import signal

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, RESET, SILENCE, NextHop
from lib.relay import config, queued, send

NAMES = [f'{name}@example.net' for name in 'abcdefg']
LIMITED = ('PIPELINING', '8BITMIME', 'SIZE 1000000')


def start(t, hop, more=''):
    return t.master(config(f'type: static, host: localhost, port: {hop.port}{more}', delay=300, bounces=True))


def all_delivered(master, ident, names):
    for name in names:
        master.wait_log(rf' delivered id={ident} recipient={name} .*reply="250 2.6.0 taken".* attempts=1\b')


def rounds(hop):
    return [len(mail['recipients']) for mail in hop.messages if mail['data']]


def limits(t):
    for words, wanted, connections in (('RCPTMAX=3', [3, 3, 1], 1), ('RCPTMAX=1', [1] * 7, 1), ('RCPTMAX=3 MAILMAX=1', [3, 3, 1], 3),
            ('RCPTMAX=2 MAILMAX=2', [2, 2, 2, 1], 2), ('RCPTMAX=100', [7], 1)):
        hop = NextHop(t, extensions=(*LIMITED, f'LIMITS {words}'))
        master = start(t, hop)
        ident = send(t, *NAMES)
        all_delivered(master, ident, NAMES)
        is_((rounds(hop), hop.connections), (wanted, connections), words)
        is_(sorted(sum((mail['recipients'] for mail in hop.messages), [])), NAMES, 'each recipient once')
        is_(hop.wrong, [], 'within its limits')
        is_(queued(t), [], 'nothing is left')
        master.stop()


def too_many(t):
    """One that says it when it is too late."""
    for said in '452 4.5.3 too many', '552 5.5.3 too many', '452 too many', '452 4.2.2 full':
        counts = {}

        def count(peer, line, said=said, counts=counts):
            transaction = peer.session.number, peer.session.transactions
            counts[transaction] = counts.get(transaction, 0) + 1
            return said if counts[transaction] > 3 else None

        hop = NextHop(t, {'RCPT': count}, extensions=LIMITED)
        master = start(t, hop)
        ident = send(t, *NAMES)
        if said == '452 4.2.2 full':
            master.wait_log(rf' deferred id={ident} ')
            is_(rounds(hop), [3], f'{said}: that is for the recipients, who wait')
        else:
            all_delivered(master, ident, NAMES)
            is_((rounds(hop), hop.connections), ([3, 3, 1], 1), said)
        unlike(master.log, 'in doubt', 'nothing is in doubt')
        master.stop()


def lost_between(t):
    """The connection ends behind a part of the recipients: the others go over a new one."""
    for what in CLOSE, RESET:
        hop = NextHop(t, {'.': [('250 2.6.0 taken', what)]}, extensions=(*LIMITED, 'LIMITS RCPTMAX=3'))
        master = start(t, hop)
        ident = send(t, *NAMES)
        all_delivered(master, ident, NAMES)
        is_((rounds(hop), hop.connections), ([3, 3, 1], 2), 'all went, each once')
        master.stop()
    hop = NextHop(t, {'MAIL': [None, '421 4.3.2 later', '451 4.3.2 not now']}, extensions=(*LIMITED, 'LIMITS RCPTMAX=3'))
    master = start(t, hop)
    ident = send(t, *NAMES)
    all_delivered(master, ident, NAMES[:3])
    for name in NAMES[3:]:
        match = master.wait_log(rf' deferred id={ident} recipient={name} .*reply="([^"]*)"')
        is_(match[1], '451 4.3.2 not now', 'what is said of the rest is its reply')
    is_(rounds(hop), [3], 'the others wait')
    master.stop()


def not_for_this(t):
    """A rest that the next hop cannot take has its own reply."""
    hop = NextHop(t, {'.': ['250 2.6.0 taken', '554 5.6.0 no more of that']}, extensions=(*LIMITED, 'LIMITS RCPTMAX=3'))
    master = start(t, hop)
    ident = send(t, *NAMES)
    all_delivered(master, ident, [*NAMES[:3], NAMES[6]])
    for name in NAMES[3:6]:
        like(master.wait_log(rf' failed id={ident} recipient={name} .*reply="([^"]*)"')[1], '^554 5.6.0', 'each part has its own')
    wait_for(lambda: not queued(t), what='the queue to be empty')
    ok(True, 'all is settled')
    master.stop()


def drained(t):
    """A rest that waits for a reply to RSET is not attempted any more."""
    said = iter([None, *['452 4.5.3 too many'] * 6])
    hop = NextHop(t, {'RCPT': lambda peer, line: next(said), 'DATA': '554 5.7.1 no', 'RSET': SILENCE}, extensions=LIMITED)
    text = config(f'type: static, host: localhost, port: {hop.port}', delay=300).replace('@process@', '@process@    drain_timeout: 1')
    t.edge(text)
    worker = t.worker(text, 'q')
    ident = send(t, *NAMES)
    wait_for(lambda: 'RSET' in hop.said, what='RSET')
    worker.kill(signal.SIGTERM)
    is_(worker.wait(), 0, 'the worker ends at its bound')
    ok(ident in queued(t), 'the rest is in the queue')
    is_(hop.connections, 1, 'which nothing was done for')
    unlike(worker.log, ' deferred | in doubt ', 'without an attempt')


run(limits, too_many, lost_between, not_for_this, drained)
