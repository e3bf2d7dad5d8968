#!/usr/bin/python3
# 3009-edge-many.t - a thousand sessions, and more than there are descriptors
# SPDX-License-Identifier: MIT
# P8
import re
import resource
import time

from lib.edge import config, stored
from lib.fixture import SLOW, Failure, diag, is_, like, ok, run, wait_for
from lib.process import memory_kb

SPOOL = '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n'
MANY = 1000 // SLOW
FLOOD = 2000 // SLOW


def quiet(process=''):
    return config('', process).replace('level: debug', 'levels: {smtp: warn, edge: warn}')


def transaction(clients):
    """Into the middle of the mail data, all of them side by side."""
    for line in ('EHLO client.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA'):
        for c in clients:
            c.line(line)
        codes = {c.reply().code for c in clients}
        is_(codes, {354 if line == 'DATA' else 250}, f'{len(clients)} sessions: {line}')


def thousand(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4000:
        raise Failure(f'the limit of descriptors is {hard}')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2500), hard))
    edge = t.edge(quiet())
    with t.client('smtp') as c:
        c.hello()
    before = memory_kb(edge.pid, 'RssAnon')
    clients = [t.client('smtp') for _ in range(MANY)]
    is_({c.reply().code for c in clients}, {220}, f'{MANY} sessions are greeted')
    grown = memory_kb(edge.pid, 'RssAnon') - before
    ok(SLOW > 1 or grown < 4000, f'each of them costs less than 4 KB ({grown / MANY:.2f})')
    transaction(clients)
    grown = memory_kb(edge.pid, 'RssAnon') - before
    ok(SLOW > 1 or grown < 8000, f'less than 8 with a message begun ({grown / MANY:.2f})')
    began = time.monotonic()
    with t.client('smtp') as c:
        c.hello()
        c.mail('a@b.example', ['c@d.example'], 'x\r\n')
    ok(time.monotonic() - began < 20 * SLOW, 'and nobody waits for them, who have 300 s for their data')
    for c in clients:
        c.send('x\r\n.\r\n')
    is_({c.reply().code for c in clients}, {250}, 'all of them get their 250')
    is_(len(stored(t)), MANY + 1, 'and all is stored')
    for c in clients:
        c.close()


def descriptors(t):
    was = resource.getrlimit(resource.RLIMIT_NOFILE)
    edge = t.edge(quiet())
    resource.prlimit(edge.pid, resource.RLIMIT_NOFILE, (64, was[1]))
    clients = [t.client('smtp') for _ in range(90)]
    codes = [c.reply().code for c in clients]
    ok(codes.count(220) >= 20, f'as many are served as can be ({codes.count(220)})')
    is_(set(codes), {220, 421}, 'the others are told')
    served = clients[codes.index(220)]
    served.cmd('EHLO client.example', 250)
    is_(len(re.findall('warn .*could not accept', edge.log)), 1, 'and it is logged, not for each of them')
    for c in clients[1:]:
        c.close()
    with t.client('smtp') as c:
        c.hello()
    ok(edge.running(), 'mail goes on when they have gone')


def room(t):
    """Before descriptors run out those who come are told, so that messages under way can be stored."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    t.folder('spool')
    edge = t.edge(quiet(SPOOL))
    clients = []
    while len(clients) < 1000:
        clients.append(t.client('smtp'))
        if clients[-1].reply().code != 220:
            break
    served = clients[:-1]
    ok(400 < len(served) < 512, f'{len(served)} sessions are served with 1,024 descriptors')
    transaction(served)
    for c in served:
        c.send('Subject: x\r\n\r\n' + 'y' * 70 + '\r\n' * 400)
    began = time.monotonic()
    for _ in range(FLOOD):
        with t.client('smtp') as c:
            if c.reply().code != 421:
                ok(False, 'more than there is room for')
    diag(f'{FLOOD} refused in {time.monotonic() - began:.2f} s')
    for c in served:
        c.send('\r\n.\r\n')
    is_({c.reply().code for c in served}, {250}, 'all messages under way are taken')
    is_(len(stored(t)), len(served), 'and stored')
    for c in clients:
        c.close()
    wait_for(lambda: greeted(t), 10, 'service to go on')
    is_(edge.stop(), 0, 'it ends well')
    lines = re.findall(r'warn .*edge: refused.*', edge.log)
    ok(len(lines) < 3 + (time.monotonic() - began) / 10, f'a flood writes few lines ({len(lines)})')
    like(lines[0], 'refused a connection edge=main because="no descriptors are left for more"', 'the first at once')
    count = 1 + sum(int(n) for n in re.findall(r'refused connections count=(\d+) edge=main', edge.log))
    ok(count > FLOOD, f'the others as their count ({count})')


def greeted(t):
    with t.client('smtp') as c:
        return c.reply().code == 220


run(thousand, descriptors, room)
