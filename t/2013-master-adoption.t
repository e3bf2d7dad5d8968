#!/usr/bin/python3
# 2013-master-adoption.t - a dead edge's connections are its siblings'; who closes a socket is the last one or closes nothing
# SPDX-License-Identifier: MIT
import os
import re
import signal

from lib.fixture import IS_ROOT, is_, like, ok, process_stat, run, wait_for
from lib.master import CONFIG, begin_data, end_data, gone

ROOT = ['--allow-root'] if IS_ROOT else []


def stand_still(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all((process_stat(pid) or 'T')[0] == 'T' for pid in pids), what='edges that stand still')


def refused(t):
    try:
        t.client('smtp').close()
    except ConnectionRefusedError:
        return True
    return False


def dead_edge(t):
    """What waited for the dead one, and what comes until it has a successor, is served by the other."""
    master = t.master(CONFIG)
    dead, other = master.children('slimta-edge')
    stand_still([dead])
    waiting = [t.client('smtp') for _ in range(30)]
    os.kill(dead, signal.SIGKILL)
    is_([client.reply().code for client in waiting], [220] * 30, 'connections that waited are greeted')
    like(master.log, rf'slimta-edge\[{other}\] process: adopted sockets count=1', 'by the other edge')
    master.wait_log(rf'slimta-edge\[{other}\] process: returned sockets count=1')
    ready = len(re.findall('child is ready child=edge', master.log))
    is_(ready, 3, 'which stops that when there is a successor')
    os.kill(other, signal.SIGKILL)
    is_([t.client('smtp').reply().code for _ in range(30)], [220] * 30, 'and so do new ones, the other way round')
    is_(master.stop(), 0, 'and it ends well')


def told_edge(t):
    """An edge that drains by a signal of its own refuses nobody who waits for another one."""
    master = t.master(CONFIG)
    told, other = master.children('slimta-edge')
    stand_still([other])
    waiting = [t.client('smtp') for _ in range(30)]
    os.kill(told, signal.SIGTERM)
    gone([told], 20)
    os.kill(other, signal.SIGCONT)
    codes = [client.reply().code for client in waiting]
    ok(220 in codes, f'{codes.count(220)} of 30 waited for the other one, and are greeted by it')
    is_(master.stop(), 0, 'and it ends well')


def two_dead(t):
    """Nobody is left: connections wait for the first successor, which serves both sockets."""
    master = t.master(CONFIG)
    edges = master.children('slimta-edge')
    stand_still(edges)
    waiting = [t.client('smtp') for _ in range(20)]
    for pid in edges:
        os.kill(pid, signal.SIGKILL)
    is_([client.reply().code for client in waiting], [220] * 20, 'none is lost')
    is_(master.stop(), 0, 'and it ends well')


def stop_closes_all(t):
    """An edge that has its session to end keeps no socket open, its own or a sibling's; nor does the master."""
    master = t.master(CONFIG.replace('edge: {instances: 2}', 'edge: {instances: 3}'))
    stand_still(master.children('slimta-edge'))
    waiting = [t.client('smtp') for _ in range(40)]
    master.kill(signal.SIGTERM)
    master.wait_log('began to stop')
    for pid in master.children('slimta-edge'):
        os.kill(pid, signal.SIGCONT)
    codes = []
    for client in waiting:
        code = client.reply().code
        codes.append(client.reply().code if code == 220 else code)
    is_(codes, [421] * 40, 'each that waits is told')
    is_(master.wait(), 0, 'and it ends well')


def stop_with_a_session(t):
    master = t.master(CONFIG)
    busy = begin_data(t)
    master.kill(signal.SIGTERM)
    wait_for(lambda: refused(t), what='the port to be closed')
    is_([refused(t) for _ in range(20)], [True] * 20, 'no connection waits for nobody')
    end_data(busy)
    is_(master.wait(), 0, 'and it ends well')


def death_with_a_session(t):
    """The next master need not wait for a session of the dead one's edges."""
    first = t.master(CONFIG.replace('drain_timeout: 5', 'drain_timeout: 100'))
    orphans = first.children()
    busy = begin_data(t)
    first.kill(signal.SIGKILL)
    first.wait()
    second = t.start('slimta-master', '-c', t.path('slimta.conf'), *ROOT, notify=True)
    is_({t.client('smtp').reply().code for _ in range(20)}, {220}, 'a new master serves at once')
    end_data(busy)
    gone(orphans)
    ok(True, 'while the edges of the dead one end what they have')
    is_(second.stop(), 0, 'and it ends well')


run(dead_edge, told_edge, two_dead, stop_closes_all, stop_with_a_session, death_with_a_session)
