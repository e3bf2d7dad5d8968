#!/usr/bin/python3
# 3009-edge-many.t - a thousand sessions, and more than there are descriptors
# SPDX-License-Identifier: MIT
import resource
import time

from lib.edge import config
from lib.fixture import SLOW, Failure, is_, like, ok, run

QUIET = config().replace('level: debug', 'levels: {smtp: warn, edge: warn}')


def status(pid, key):
    with open(f'/proc/{pid}/status', encoding='ascii') as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key))


def thousand(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        raise Failure(f'the limit of descriptors is {hard}')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    edge = t.edge(QUIET)
    clients = []
    with t.client('smtp') as c:
        c.hello()
    before = status(edge.pid, 'RssAnon')
    for _ in range(1000):
        clients.append(t.client('smtp'))
    for c in clients:
        c.line('EHLO client.example') if c.reply().code == 220 else ok(False, 'banner')
    is_([c for c in clients if c.reply().code != 250], [], 'a thousand sessions are answered')
    grown = status(edge.pid, 'RssAnon') - before
    ok(SLOW > 1 or grown < 4000, f'each of them costs less than 4 KB ({grown / 1000:.2f})')
    began = time.monotonic()
    clients[500].mail('a@b.example', ['c@d.example'], 'x\r\n')
    ok(time.monotonic() - began < 2 * SLOW, 'and none waits for the others')
    for c in clients:
        c.close()


def descriptors(t):
    was = resource.getrlimit(resource.RLIMIT_NOFILE)
    edge = t.edge(QUIET)
    resource.prlimit(edge.pid, resource.RLIMIT_NOFILE, (64, was[1]))
    clients = [t.client('smtp') for _ in range(90)]
    codes = [c.reply().code for c in clients]
    ok(codes.count(220) >= 20, f'as many are served as can be ({codes.count(220)})')
    is_(set(codes), {220, 421}, 'the others are told')
    served = clients[codes.index(220)]
    served.cmd('EHLO client.example', 250)
    like(edge.log, 'warn .*could not accept', 'and it is logged')
    for c in clients[1:]:
        c.close()
    with t.client('smtp') as c:
        c.hello()
    ok(edge.running(), 'mail goes on when they have gone')


def room(t):
    """Before descriptors run out those who come are told, so that messages under way can be stored."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    edge = t.edge(QUIET)
    clients = [t.client('smtp') for _ in range(60)]
    codes = [c.reply().code for c in clients]
    is_((codes[:40], codes[40:]), ([220] * 40, [421] * 20), 'with 128 descriptors 40 sessions are served')
    like(edge.log, 'warn .*edge: refused a connection', 'and it is logged')
    clients[39].cmd('EHLO client.example', 250)
    clients[39].mail('a@b.example', ['c@d.example'], 'x\r\n')


run(thousand, descriptors, room)
