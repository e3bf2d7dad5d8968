#!/usr/bin/python3
# 3244-edge-auth-waits.t - clients that wait for the thread that hashes, while others fail, or while the edge ends
# SPDX-License-Identifier: MIT
import base64
import hashlib
import time

from lib.edge import config, plain, users
from lib.fixture import is_, ok, run, wait_for
from lib.limits import limited
from lib.master import with_keys

ROUNDS = 1500000

HASHED = {'ann': '$6$rounds=1000$saltstring$'
    'Dst5SzMCiLiSWQN0EnEgf8DNbHOJRybf7gWFoq4HhaAWnZcpnsBwYgTSajPGyhfsjkr51qmiDafX//8bUiGTO1',
    'slow': '$pbkdf2-sha256$300000$c2FsdHNhbHRzYWx0c2FsdA$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww'}


def at_once(t):
    """A guess that waits for the hash of another one is not answered when that one was the last that was allowed."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 1' + users(HASHED)))
    with t.client('smtp') as first, t.client('smtp') as second:
        first.hello()
        second.hello()
        first.send(f'AUTH PLAIN {plain("slow", "wrong")}\r\n'.encode())
        edge.wait_log(r' lookup: found ')
        second.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 454, r'^4\.7\.0 ')
        first.expect(421)
    edge.stop()


def in_two_processes(t):
    """The same, where the other one is of another process: what was found out is not told."""
    digest = hashlib.pbkdf2_hmac('sha256', b'pencil', b'salt', ROUNDS)
    long = f'$pbkdf2-sha256${ROUNDS}$' + '$'.join(base64.b64encode(of).decode().rstrip('=') for of in (b'salt', digest))
    keys = 'auth_without_tls: yes, max_auth_failures: 1' + users({'long': long, 'ann': HASHED['ann']})
    master = t.master(with_keys('    logging: {level: debug}\n', limited(keys)))
    clients = {}
    while len(clients) < 2:
        c = t.client('smtp')
        c.hello()
        connected = master.wait_log(rf'slimta-edge\[(\d+)\] edge: connected \S+ client=127\.0\.0\.1 port={c.sock.getsockname()[1]} ')
        clients[connected[1]] = c
    right, wrong = clients.values()
    right.send(f'AUTH PLAIN {plain("long", "pencil")}\r\n'.encode())
    master.wait_log(r' lookup: found .*address=long')
    wrong.send(f'AUTH PLAIN {plain("ann", "wrong")}\r\n'.encode())
    code = right.reply().code
    # It may be that this machine was quicker with the longer work.
    first = code == 235 and master.log.index(' authenticated ') < master.log.index(' authentication failed ')
    ok(code == 454 or first, f'the right one: {code}')
    wrong.expect(421)
    is_(master.stop(), 0, 'all ends well')


def ended(t):
    """At once, while some wait for the thread."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users(HASHED)))
    clients = [t.client('smtp') for _ in range(8)]
    for c in clients:
        c.hello()
        c.send(f'AUTH PLAIN {plain("slow", "wrong")}\r\n'.encode())
    wait_for(lambda: edge.log.count(' lookup: found ') == 8, 30, 'all to wait for the thread')
    edge.kill(15)
    edge.wait_log(' began to drain ')
    edge.kill(15)
    is_(edge.wait(60), 1, 'it ends with nobody having an answer, and in order')


def drained(t):
    """Who fails while the edge ends is told at once, not seconds later."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users(HASHED)))
    clients = [t.client('smtp') for _ in range(4)]
    for c in clients:
        c.hello()
        c.send(f'AUTH PLAIN {plain("slow", "wrong")}\r\n'.encode())
    wait_for(lambda: edge.log.count(' lookup: found ') == 4, 30, 'all to wait for the thread')
    edge.kill(15)
    wait_for(lambda: edge.log.count(' authentication failed ') == 4, 60, 'all to fail')
    began = time.monotonic()
    is_({c.reply().code for c in clients}, {535}, 'each has an answer')
    is_(edge.wait(60), 0, 'and it ends')
    ok(time.monotonic() - began < 5, 'without the 8 s of the fourth failure')


run(at_once, in_two_processes, ended, drained)
