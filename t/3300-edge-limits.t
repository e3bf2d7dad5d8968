#!/usr/bin/python3
# 3300-edge-limits.t - connections are limited over all edges, generations too, and room is there again when one is killed
# SPDX-License-Identifier: MIT
import os
import signal
import time

from lib.fixture import SLOW, diag, is_, ok, run, wait_for
from lib.limits import counters, held_by, limited, refusal
from lib.master import sighup


def spread(t, count):
    """So many connections that both edges have some of them."""
    clients = []
    for _ in range(count):
        clients.append(t.client('smtp'))
        clients[-1].expect(220)
    wait_for(lambda: sum(held_by(t).values()) == count, what=f'{count} connections in status')
    return clients


def over_both(t):
    """The kernel gives connections to either edge: of 12 all by one in 2 ** 11 runs, when the test still holds."""
    master = t.master(limited('max_connections: 12'))
    clients = spread(t, 12)
    diag(f'connections by process: {held_by(t)}')
    for _ in range(4):
        refusal(t)
    clients.pop().close()
    wait_for(lambda: sum(held_by(t).values()) == 11, what='one less')
    clients += [t.client('smtp')]
    clients[-1].expect(220, '', 'one left, one may come')
    refusal(t)
    is_(counters(t)['edge_connections_limited_total'], 5, 'refusals are counted')
    is_(counters(t)['edge_connections'], 12, 'and are no connections')

    victim, had = max(held_by(t).items(), key=lambda item: item[1])
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    gone = master.wait_log(rf'child ended .*child_pid={victim} ')
    more = []
    while len(more) < had:
        more.append(t.client('smtp'))
        more[-1].expect(220, '', f'room for another one of {had}')
    seconds = time.monotonic() - began
    diag(f'{seconds * 1000:.0f} ms after the kill all places were taken again')
    ok(seconds < SLOW, 'within a second')
    refusal(t)
    is_(master.stop(), 0, 'it ends well')


def over_generations(t):
    """A reload: who is served by the old generation counts for the new one, also messages of the last minute."""
    master = t.master(limited('max_connections: 3, max_messages_per_minute: 2'))
    busy = t.client('smtp')
    busy.hello()
    busy.cmd('MAIL FROM:<a@example.com>', 250)
    sighup(master)
    clients = [t.client('smtp') for _ in range(2)]
    for client in clients:
        client.hello()
    refusal(t)
    clients[0].cmd('MAIL FROM:<a@example.com>', 250)
    clients[1].cmd('MAIL FROM:<a@example.com>', 450)
    busy.close()
    master.wait_log('master: generation ended generation=1')
    clients += [t.client('smtp')]
    clients[-1].hello()
    clients[-1].cmd('MAIL FROM:<a@example.com>', 450)
    t.config(limited('max_connections: 3'))
    sighup(master)
    clients[0].cmd('RSET', 250)
    clients[0].expect(421)
    ok(True, 'a drained one ends')
    is_(master.stop(), 0, 'it ends well')


run(over_both, over_generations)
