#!/usr/bin/python3
# 3245-edge-auth-turns.t - clients take turns at passwords: who guesses much waits for itself, and for the failures before
# SPDX-License-Identifier: MIT
import socket

from lib.edge import config, plain, users
from lib.fixture import is_, ok, run
from lib.peer import Client
from lib.process import cpu_ticks

# About a tenth of a second each.
SLOW = '$pbkdf2-sha256$300000$c2FsdHNhbHRzYWx0c2FsdA$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww'
USERS = {'slow': SLOW, 'ann': '{PLAIN}pencil'}
MOST = 16                       # of one client that wait


def guesses(t, count):
    """Clients of another address, all of which guess at once, before anybody else."""
    clients = []
    for _ in range(count):
        sock = socket.create_connection(('127.0.0.1', t.port('smtp')), t.timeout, ('127.0.0.2', 0))
        t.sockets.append(sock)
        clients.append(Client(sock, 60))
        clients[-1].hello()
    for client in clients:
        client.send(f'AUTH PLAIN {plain("slow", "wrong")}\r\n'.encode())
    return clients


def fair(t):
    """One address has all that one may have wait: another one is next but one."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users(USERS)))
    with t.client('smtp') as c:
        c.hello()
        guesses(t, MOST + 8)
        edge.wait_log(r' rejected .*client=127\.0\.0\.2 .*reply="454 4\.7\.0 Too many clients authenticate', timeout=30)
        since = len(edge.log)
        c.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 235, what='another address has its turn')
        lines = edge.log[since:].split('\n')
        begun = next(i for i, line in enumerate(lines) if ' received ' in line and 'command=AUTH' in line)
        ended = next(i for i, line in enumerate(lines) if ' authenticated ' in line)
        before = sum(' authentication failed ' in line for line in lines[begun:ended])
        ok(before <= 3, f'behind {before} of the others')
    edge.kill(9)
    edge.wait()


def counted(t):
    """Guesses that came at once are looked at as long as those before them were not too many."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 3' + users(USERS)))
    before = cpu_ticks(edge.pid)
    codes = sorted(client.reply().code for client in guesses(t, MOST))
    spent = cpu_ticks(edge.pid) - before
    is_(codes, [421] + (MOST - 3) * [454] + 2 * [535], 'each is answered')
    is_(edge.log.count(' authentication failed '), 3, 'those that were tried')
    with t.client('smtp') as c:
        c.hello()
        before = cpu_ticks(edge.pid)
        c.cmd('AUTH PLAIN ' + plain('slow', 'wrong'), 535)
        one = cpu_ticks(edge.pid) - before
    ok(spent < (one + 1) * MOST // 2, f'and no others: {spent} ticks, {one} for one')
    edge.stop()


def test(t):
    fair(t)
    counted(t)


run(test)
