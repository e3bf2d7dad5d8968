#!/usr/bin/python3
# 2002-master-restart.t - a child that dies is started again, later each time, and mail goes on
# SPDX-License-Identifier: MIT
import os
import signal

from lib.fixture import is_, ok, run, wait_for
from lib.master import CONFIG, NAMES, status


def each_kind(t):
    master = t.master(CONFIG)
    for name in NAMES:
        others = [pid for pid in master.children() if pid not in master.children(name)]
        victim = master.children(name)[0]
        since = len(master.log)
        os.kill(victim, signal.SIGKILL)
        master.wait_log(rf'child ended .*child_pid={victim} cause="killed by signal 9 .Killed." again_ms=1000', since=since)
        master.wait_log(r'child is ready', since=since)
        ok(set(others) <= set(master.children()), f'{name}: the others run on')
        ok(victim not in master.children(), 'and it has a successor')
    is_(sorted(line['restarts'] for line in status(t.path('runtime/master')) if 'restarts' in line), [0, 1, 1, 1],
        'restarts are counted')
    with t.client('smtp') as client:
        client.expect(220)
    is_(master.stop(), 0, 'and it ends well')


def back_off(t):
    """Twice more at once: the delays double. The times are the master's own, nobody waits for them here."""
    master = t.master(CONFIG)
    for delay in (1000, 2000):
        since = len(master.log)
        os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
        master.wait_log(rf'child ended child=worker queue=q .*again_ms={delay}$', since=since)
        master.wait_log(r'child is ready child=worker', since=since)
    os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
    master.wait_log(r'child ended child=worker .*again_ms=4000$')
    line = [line for line in status(t.path('runtime/master')) if line.get('process') == 'worker'][0]
    is_((line['state'], line['pid']), ('gone', 0), 'who waits is shown as gone')
    ok(not master.children('slimta-worker'), 'and it is')
    is_(master.stop(), 0, 'a stop does not wait for it')


def counters_stay(t):
    """What a dead child has counted is kept; its gauges are not."""
    def counters():
        return status(t.path('runtime/master'))[-1]['counters']

    master = t.master(CONFIG)
    with t.client('smtp') as client:
        client.expect(220)
        wait_for(lambda: counters()['edge_connections'] == 1, what='one connection')
        for pid in master.children('slimta-edge'):
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: counters()['edge_connections'] == 0, what='no connection')
    is_(counters()['edge_connections_total'], 1, 'the total stays')


run(each_kind, back_off, counters_stay)
