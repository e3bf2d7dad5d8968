#!/usr/bin/python3
# 4072-queue-redis-commands.t - what a redis is asked: next to nothing while nothing happens, a claim or two a message, never KEYS
# SPDX-License-Identifier: MIT
# 64 workers with LONG=1. Four hosts share the queue.
import os
import re
import time
from collections import Counter

from lib.fixture import diag, is_, ok, run, wait_for
from lib.redis import Redis
from lib.redis_watch import Monitor
from lib.redis_path import config, host, mail, wait_delivered

WORKERS = 64 if os.environ.get('LONG') else 12
HOSTS = 4
MESSAGES = 20
IDLE = 5
# What the test itself asks.
OF_THE_TEST = Counter(dict.fromkeys(('info', 'client', 'config'), 1000))
OURS = {'info', 'config|resetstat', 'client|list', 'config|get', 'command|docs', 'command'}
NEVER = {'keys', 'flushall', 'flushdb', 'sort'}


def asked(server):
    return {name: calls for name, calls in server.calls().items() if name not in OURS}


def blocked(server):
    return server('CLIENT', 'LIST').count(b' flags=b ')


def settle(server):
    """Until nobody is doing anything: the same twice, half a second apart."""
    def still():
        before = asked(server)
        time.sleep(0.5)
        return asked(server) == before
    wait_for(still, 30, 'all to be idle')


def idle(t):
    server = Redis(t, aof='always')
    with Monitor(server) as monitor:
        for n in range(HOSTS):
            text = config(server.keys(), workers=WORKERS // HOSTS, edges=1 if n == 0 else 0, process=host(f'host{n}'))
            t.master(text if n == 0 else re.sub('(?m)^edge: .*\n', '', text))
        wait_for(lambda: blocked(server) >= WORKERS, 30, f'{WORKERS} workers to wait')
        settle(server)
        quiet(server, monitor)
        messages(t, server, monitor)
    is_(sorted(NEVER & set(server.calls())), [], 'nothing that looks at all keys')


def quiet(server, monitor):
    """In some idle seconds: but for the sweep, each lease/4 = 45 seconds by each worker, no command."""
    server('CONFIG', 'RESETSTAT')
    since = len(monitor.asked)
    time.sleep(IDLE)
    calls, count = asked(server), monitor.count(since) - OF_THE_TEST
    diag(f'{WORKERS} idle workers in {IDLE} s: {dict(count)}')
    is_(set(count) - {'sweep'}, set(), 'no command but the sweep')
    ok(count['sweep'] <= WORKERS, 'which is spread, and no worker did it twice')
    is_([calls.get(name, 0) for name in ('evalsha', 'blpop', 'ping')], [count['sweep'], 0, 0], 'INFO commandstats says the same')


def messages(t, server, monitor):
    server('CONFIG', 'RESETSTAT')
    since = len(monitor.asked)
    for _ in range(MESSAGES):
        wait_delivered(t, [mail(t)])
    settle(server)
    calls, count = asked(server), monitor.count(since) - OF_THE_TEST
    diag(f'{MESSAGES} messages: {dict(count)}')
    is_(count['write'], MESSAGES, 'a write for each message')
    ok(count['claim'] <= 2 * MESSAGES, f'{count["claim"] / MESSAGES} claims')
    ok(count['blpop'] <= 2 * MESSAGES, f'{count["blpop"] / MESSAGES} waits for a token')
    scripts = sum(calls.get(name, 0) for name in ('evalsha', 'eval'))
    ok(scripts - count['sweep'] <= 6 * MESSAGES, f'{(scripts - count["sweep"]) / MESSAGES} scripts')


run(idle, timeout=120)
