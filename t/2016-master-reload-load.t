#!/usr/bin/python3
# 2016-master-reload-load.t - connections while generations change: none is refused, none is reset, none waits
# SPDX-License-Identifier: MIT
import os
import signal
import time

from lib.fixture import IS_ROOT, SLOW, Failure, diag, is_, ok, run, wait_for
from lib.load import Load
from lib.master import CONFIG

LONG = bool(os.environ.get('LONG'))
RATE = 500 // SLOW
PATIENCE = 15 * SLOW        # asserted; what is wanted is below a second, and is reported
ROOT = ['--allow-root'] if IS_ROOT else []


def with_edges(count, more=''):
    return CONFIG.replace('edge: {instances: 2}', f'edge: {{instances: {count}}}').replace(
        'listener: {port: @port:smtp@}', f'listeners: [{{port: @port:smtp@}}{more}]')


def reload(t, text):
    t.config(text)
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'reload', timeout=60)
    if done.returncode:
        raise Failure(f'not reloaded: {done.stderr.decode()}')


def under_load(t, what, act, least):
    """Runs `act` while connections come, and until there were `least` of them."""
    with Load(t.port('smtp'), RATE) as load:
        load.wait(RATE // 5)
        act()
        load.wait(least)
    load.report(what)
    ok(load.longest < PATIENCE, f'{what}: none waits long')
    return load


def reloads(t):
    master = t.master(CONFIG)

    def act():
        for text in (CONFIG, with_edges(4), with_edges(1), with_edges(2, ', {port: @port:more@}'), with_edges(3)) * (
                10 if LONG else 1):
            reload(t, text)
    load = under_load(t, 'reloads', act, 3 * RATE)
    is_(set(load.outcomes), {'220'}, 'each connection is greeted')
    is_(set(load.ends) - {'421'}, {'221'}, 'and none is reset')
    is_(master.stop(), 0, 'and it ends well')


def added_and_removed(t):
    """The connections go to the listener that comes and goes."""
    master = t.master(with_edges(2, ', {port: @port:more@}').replace('@port:smtp@', '@port:other@').replace('@port:more@',
        '@port:smtp@'))
    text = with_edges(2).replace('@port:smtp@', '@port:other@')
    load = under_load(t, 'a listener that goes', lambda: reload(t, text), 2 * RATE)
    is_(set(load.outcomes) - {'220', '421', 'refused', 'reset'}, set(), 'nobody waits where it is gone')
    ok(load.outcomes['reset'] <= load.count / 100, 'it is emptied before it is closed')
    ok(load.outcomes['refused'] > 0, 'and it is closed')
    is_(t.client('other').reply().code, 220, 'the other one stays')
    reload(t, with_edges(2))
    is_(t.client('smtp').reply().code, 220, 'an address can change its listener')
    is_(master.stop(), 0, 'and it ends well')


def succeeded(master, edges):
    time.sleep(0.2)         # to look takes a processor, which those under load need
    now = master.children('slimta-edge')
    return len(now) == len(edges) and edges[0] not in now


def dead_edges(t):
    master = t.master(with_edges(3))

    def act():
        for _ in range(10 if LONG else 2):
            edges = master.children('slimta-edge')
            os.kill(edges[0], signal.SIGKILL)
            wait_for(lambda: succeeded(master, edges), 60, 'its successor')
    load = under_load(t, 'dead edges', act, 2 * RATE)
    # What a dead one had accepted is lost with it; what it had not accepted is not.
    is_(set(load.outcomes) - {'220', 'reset', 'ended'}, set(), 'the others serve for it')
    ok(load.outcomes['220'] > load.count * 0.98, 'nearly all are greeted')
    is_(master.stop(), 0, 'and it ends well')


def dead_master(t):
    """In the middle of a reload. Its edges refuse, close and end; a new one is there at once."""
    masters = [t.master(CONFIG)]

    def act():
        for _ in range(5 if LONG else 1):
            since = len(masters[-1].log)
            masters[-1].kill(signal.SIGHUP)
            masters[-1].wait_log('reload began', since=since)
            masters[-1].kill(signal.SIGKILL)
            masters.append(t.start('slimta-master', '-c', t.path('slimta.conf'), *ROOT, notify=True))
    load = under_load(t, 'a dead master', act, 2 * RATE)
    is_(set(load.outcomes) - {'220', '421', 'refused', 'reset'}, set(), 'nobody is left waiting')
    diag(f'not greeted: {load.count - load.outcomes["220"]}')
    ok(load.outcomes['reset'] <= load.count / 100, 'what waited is told rather than reset')
    is_(t.client('smtp').reply().code, 220, 'the new one serves')
    is_(masters[-1].stop(), 0, 'and it ends well')


run(reloads, added_and_removed, dead_edges, dead_master, timeout=1200 if LONG else 120)
