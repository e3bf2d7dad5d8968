#!/usr/bin/python3
# 4062-queue-suspended-redis.t - suspended destinations of a queue on redis: known to all hosts, kept, and let go within seconds
# SPDX-License-Identifier: MIT
import time

from lib.fixture import SLOW, is_, like, ok, run, wait_for
from lib.operator import left_in_queues
from lib.queues import fill
from lib.redis import Redis
from lib.redis_path import LEASE, attempt, config, delivered, host, log, mail, static, wait_delivered
from lib.next_hop import NextHop

HOLD = 'example.net'


def start(t, server, names, more='', relay='type: blackhole'):
    """An edge, and a worker on each of these hosts; the last configuration is for queuectl."""
    def text(name):
        return config(server.keys() + more, relay, retry='delay: 3600, maximum: 9', process=host(name))
    t.edge(text('edge'))
    return [t.worker(text(name), 'q') for name in names]


def passes(t):
    """Somebody else's mail: what came before it was looked at."""
    wait_delivered(t, [mail(t, 'other@example.com')])


def suspend(t, *args):
    """And waits as long as the manual says that it takes."""
    t.queuectl('suspend', *args)
    time.sleep(2.1)


def stay(t, idents):
    for _ in range(3):
        passes(t)
    is_([one for one, _ in delivered(t) if one in idents], [], 'what is suspended waits')


def wait_all(t, idents, within):
    since = time.monotonic()
    wait_delivered(t, idents, 2 * within)
    ok(time.monotonic() - since < within * SLOW, f'all go within {within} s: {time.monotonic() - since:.1f}')
    is_([one for one in idents if [ident for ident, _ in delivered(t)].count(one) != 1], [], 'each once')


def flows(t):
    server = Redis(t, aof='always')
    workers = start(t, server, ('one', 'two'))
    suspend(t, HOLD, '--reason', 'they asked')
    idents = [mail(t, f'r{n}@{HOLD}') for n in range(10)]
    both = mail(t, f'a@{HOLD}', 'b@example.com')
    stay(t, idents)
    wait_for(lambda: (both, 'b@example.com') in delivered(t), what='who is not suspended')
    like(t.queuectl('show', idents[0]), rf'(?m)^waits +destination {HOLD} is suspended by .*: they asked$', 'show says why')
    like(t.queuectl('status'), rf'(?m)^{HOLD} +q +\S+Z ', 'and status')
    server.kill()
    server.start()
    like(wait_for(lambda: (said := t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'suspend').stdout.decode()) and said,
        what='redis'), HOLD, 'it outlives redis')
    wait_for(lambda: attempt(t, 'other@example.com')[1].code == 250, 15, 'the edge to have it again')
    more = [mail(t, f'r@{HOLD}')]
    stay(t, idents + more)
    t.queuectl('resume', HOLD)
    wait_all(t, idents + more, 6)
    wait_for(lambda: (both, f'a@{HOLD}') in delivered(t), what='the rest of the one for both')
    lines = [line for line in log(t).splitlines() if 'suspended' in line and 'worker' in line]
    ok(len(lines) <= 8, f'no worker said more than its begin and its end, and again after redis was gone ({len(lines)})')
    is_([worker.stop() for worker in workers], [0, 0], 'both end well')
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')


def expires(t):
    server = Redis(t, aof='always')
    start(t, server, ('one',))
    until = time.time() + 6
    suspend(t, HOLD, '--for', '6')
    ident = mail(t, f'r@{HOLD}')
    stay(t, [ident])
    wait_delivered(t, [ident], 15)
    ok(-0.5 < time.time() - until < 4 * SLOW, f'it ends by itself, {time.time() - until:.1f} s late')


def killed(t):
    """What a dead worker had put aside goes too, when it counts as gone."""
    server, hop = Redis(t, aof='always'), NextHop(t)
    first, _ = start(t, server, ('one', 'two'), f', lease: {LEASE}', static(hop.port))
    suspend(t, HOLD)
    idents = [mail(t, f'r@{HOLD}') for _ in range(10)]
    stay(t, idents)
    first.kill()
    first.wait()
    stay(t, idents)
    t.queuectl('resume', HOLD)
    wait_all(t, idents, LEASE * 5 // 4 + 5)


def many(t):
    server = Redis(t)
    section = f'{server.keys()}, durability: unchecked'
    t.config(config(section))
    fill(t, f'type: redis, {section}', 2000)
    t.queuectl('suspend', 'example.com')
    since = time.monotonic()
    start(t, server, ('one', 'two'), ', durability: unchecked')
    wait_delivered(t, [mail(t, 'r@example.net')], 30)
    ok(time.monotonic() - since < 20 * SLOW, f'other mail passes 2,000 that wait ({time.monotonic() - since:.1f} s)')
    is_(len(delivered(t)), 1, 'and no other')
    before = server.calls()['evalsha']
    time.sleep(2)
    ok(server.calls()['evalsha'] - before < 20, 'which then wait without asking redis again and again')
    t.queuectl('resume', 'example.com')
    wait_for(lambda: len(delivered(t)) == 4001, 60, 'all')
    is_(len(set(delivered(t))), 4001, 'each once')


run(flows, expires, killed, many, timeout=240)
