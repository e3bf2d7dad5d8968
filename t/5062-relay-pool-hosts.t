#!/usr/bin/python3
# 5062-relay-pool-hosts.t - many next hops of one relay: slow and dead ones hinder no others, and none holds too many messages
# SPDX-License-Identifier: MIT
# P12 P23
import threading

from lib.fixture import SLOW, is_, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, NextHop
from lib.relay import config, queued, send


def start(t, hops, more='', **how):
    """By MX, if it were not for force_mx: hop N is that of dN.example."""
    forced = ', '.join(f'"d{n}.example": "127.0.0.1:{hop.port}"' for n, hop in enumerate(hops))
    return t.master(config(f'type: mx, ehlo_as: us.example, force_mx: {{{forced}}}{more}', **{'delay': 3000, **how}))


def beside_slow_ones(t):
    go = threading.Event()
    slow = [NextHop(t, {step: lambda peer, line: go.wait(60 * SLOW) and None}) for step in ('connect', 'EHLO', 'MAIL', '.')]
    dead = NextHop(t, {'connect': CLOSE})
    fast = NextHop(t)
    hops = [*slow, dead, fast]
    master = start(t, hops, ', command_timeout: 60, data_timeout: 60')
    idents = {n: [send(t, f'a@d{n}.example') for _ in range(4)] for n in range(5)}
    wait_for(lambda: all(hop.now for hop in slow), 20, 'the slow ones to be reached')
    for ident in [send(t, 'a@d5.example') for _ in range(20)]:
        master.wait_log(f' delivered id={ident} ')
    is_([len(hop.messages) for hop in slow], [0] * 4, 'while the slow ones still are')
    ok(dead.connections <= 3, f'the dead one saw {dead.connections} connections')
    is_([hop.connections for hop in slow[:2]], [1, 1], 'one that has not greeted is asked by one connection')
    go.set()
    for n in range(4):
        for ident in idents[n]:
            master.wait_log(f' delivered id={ident} .* attempts=1 ', 30)
    is_(len(queued(t)), 4, 'only those for the dead one are left')
    master.stop()


def a_long_line(t):
    """Messages for a host that does not move are given back beyond a bound, without an attempt; others are taken meanwhile."""
    go = threading.Event()
    slow, fast = NextHop(t, {'.': lambda peer, line: go.wait(90 * SLOW) and None}), NextHop(t)
    master = start(t, [slow, fast], ', concurrent_connections: 2, data_timeout: 90')
    idents = [send(t, 'a@d0.example') for _ in range(20)]
    wait_for(lambda: slow.now == 2, 20, 'two connections')
    later = wait_for(lambda: (found := [ident for ident in idents if 'Too many messages wait' in shown(t, master, ident)]) and
        len(found) == 14 and found, 30, 'all but two in hand and four in line to be given back')
    is_(later, idents[6:], 'the last ones')
    master.wait_log(f' delivered id={send(t, "a@d1.example")} ')
    unlike(master.log, ' deferred ', 'which was no attempt')
    go.set()
    for ident in idents:
        master.wait_log(f' delivered id={ident} .* attempts=1 ', 60)
    ok(slow.most <= 2, 'by two connections')
    master.stop()


def shown(t, master, ident):
    return t.run('slimta-queuectl', '-c', master.conf, 'show', ident).stdout.decode()


def moving(t):
    """A line that moves may be long."""
    hop = NextHop(t)
    text = config(f'type: mx, force_mx: {{"d0.example": "127.0.0.1:{hop.port}"}}, concurrent_connections: 1', delay=3000)
    t.edge(text)
    idents = [send(t, 'a@d0.example') for _ in range(200)]
    worker = t.worker(text, 'q')
    wait_for(lambda: len(hop.messages) == 200, 30, '200 messages')
    is_(hop.most, 1, 'by one connection at a time')
    for ident in idents:
        worker.wait_log(f' delivered id={ident} .* attempts=1 ')
    is_(queued(t), [], 'all are gone')


run(beside_slow_ones, a_long_line, moving)
