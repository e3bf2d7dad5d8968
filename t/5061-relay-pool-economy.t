#!/usr/bin/python3
# 5061-relay-pool-economy.t - as many connections as are of use, never more than allowed, each used until idle_timeout or 421
# SPDX-License-Identifier: MIT
# P23
import threading
import time

from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import SENDER, config, queued, send


def start(t, hop, more='', workers=1):
    text = config(f'type: static, host: 127.0.0.1, port: {hop.port}{more}', delay=3000)
    return t.master(text.replace('worker: {instances: 1', f'worker: {{instances: {workers}'))


def send_all(t, count):
    with t.client('smtp') as client:
        client.hello()
        for _ in range(count):
            client.mail(SENDER, ['a@example.net'], 'Subject: x\r\n\r\nbody\r\n')


def few(t):
    """20 messages by two workers."""
    hop = NextHop(t)
    master = start(t, hop, workers=2)
    send_all(t, 20)
    wait_for(lambda: len(hop.messages) == 20, 30, '20 messages')
    ok(hop.connections <= 5, f'{hop.connections} connections in all')
    wait_for(lambda: not queued(t), what='an empty queue')
    unlike(master.log, ' deferred ', 'none had to wait')
    master.stop()


def enough(t):
    """A next hop that is slow with each message gets as many as are allowed, and no more."""
    for allowed in 2, 5:
        go = threading.Event()
        hop = NextHop(t, {'.': lambda peer, line: go.wait(60 * SLOW) and None})
        master = start(t, hop, f', concurrent_connections: {allowed}', workers=2)
        send_all(t, 20)
        wait_for(lambda: hop.now == allowed, 30, f'{allowed} connections')
        time.sleep(1.5)         # in which there might be more
        is_(hop.most, allowed, f'{allowed} at a time, whichever worker has them')
        go.set()
        wait_for(lambda: len(hop.messages) == 20, 30, '20 messages')
        is_(hop.most, allowed, 'to the end')
        wait_for(lambda: not queued(t), what='an empty queue')
        unlike(master.log, ' deferred ', 'none had to wait')
        master.stop()


def until_idle(t):
    hop = NextHop(t)
    ended = []
    hop.at = {'QUIT': lambda peer, line: ended.append(time.monotonic()) or None}
    master = start(t, hop, ', idle_timeout: 2')
    for count in range(1, 3):
        for _ in range(3):
            master.wait_log(f' delivered id={send(t, "a@example.net")} ')
        last = time.monotonic()
        is_(hop.connections, count, 'three messages over one connection')
        wait_for(lambda: len(ended) == count, 20, 'QUIT')
        ok(ended[-1] - last > 1, f'after idle_timeout: {ended[-1] - last:.1f} s')
        wait_for(lambda: hop.now == 0, what='its end')
    master.stop()


def not_wanted_any_more(t):
    """421 instead of a reply, or behind one: the message in hand and those behind it go on at once."""
    hop = NextHop(t)
    master = start(t, hop, ', concurrent_connections: 1')
    for step in 'MAIL', 'RCPT', 'DATA', '.':
        hop.at = {step: [None, None, '421 4.3.2 enough']}
        idents = [send(t, 'a@example.net') for _ in range(6)]
        for ident in idents:
            master.wait_log(f' delivered id={ident} .* attempts=1 ')
        ok(True, f'421 at {step}: all were delivered in their first attempt')
    unlike(master.log, ' deferred |leaves a next hop alone', 'none had to wait')
    master.stop()


run(few, enough, until_idle, not_wanted_any_more)
