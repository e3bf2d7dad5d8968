#!/usr/bin/python3
# 3244-edge-auth-waits.t - clients that wait for the thread that hashes, while others fail, or while the edge ends
# SPDX-License-Identifier: MIT
import time

from lib.edge import config, plain, users
from lib.fixture import is_, ok, run, wait_for

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


run(at_once, ended, drained)
