#!/usr/bin/python3
# 2015-master-reload-moments.t - SIGHUP at other times: in the middle of another one, of a start, of a stop; and the reverse
# SPDX-License-Identifier: MIT
import os
import re
import signal

from lib.fixture import IS_ROOT, is_, ok, run, wait_for
from lib.master import CONFIG, begin_data, end_data, sighup, status, with_keys

LONG = bool(os.environ.get('LONG'))
ROOT = ['--allow-root'] if IS_ROOT else []


def merged(t):
    """While one is under way, and while an old generation ends, the others wait and are one."""
    master = t.master(CONFIG)
    busy = begin_data(t)
    for _ in range(3):
        master.kill(signal.SIGHUP)
        wait_for(lambda: 'reload began' in master.log, what='the first one')
    master.wait_log('reloaded generation=2')
    t.config(CONFIG.replace('type: smtp,', 'type: smtp, hostname: third.example,'))
    for _ in range(3):
        master.kill(signal.SIGHUP)
    is_(t.client('smtp').reply().code, 220, 'it serves')
    is_(len(re.findall('reload began', master.log)), 1, 'as long as the first generation has work the next one waits')
    end_data(busy)
    master.wait_log('reloaded generation=3')
    master.wait_log('generation ended generation=2')    # until then its edges may take a connection
    t.client('smtp').expect(220, 'third.example')
    is_(len(re.findall('reload began', master.log)), 2, 'and then one is enough')
    is_(master.stop(), 0, 'and it ends well')


def at_other_times(t):
    """While it starts, and while it stops; and a stop in the middle of a reload."""
    args = ('slimta-master', '-c', t.config(CONFIG), *ROOT)
    master = t.start(*args, ready='master: started child')
    master.kill(signal.SIGHUP)
    master.wait_log('reload waits for="the start"')
    master.wait_log('reloaded generation=2')
    busy = begin_data(t)
    master.kill(signal.SIGTERM)
    master.wait_log('began to stop')
    master.kill(signal.SIGHUP)
    master.wait_log('ignored SIGHUP')
    end_data(busy)
    is_(master.wait(), 0, 'a stop is not kept by it')
    for moment in ('reload began', 'started child child=spawner .*generation=2', 'started child child=edge .*generation=2',
            'master: reloaded generation=2'):
        master = t.start(*args, ready='master: ready')
        busy = begin_data(t)
        master.kill(signal.SIGHUP)
        master.wait_log(moment)
        master.kill(signal.SIGTERM)
        master.wait_log('began to stop')
        end_data(busy)
        is_(master.wait(), 0, f'a stop after "{moment}"')


def bounded(t):
    """The old generation has reload_timeout of the new configuration, and no more."""
    master = t.master(CONFIG)
    busy = begin_data(t)
    t.config(with_keys('    reload_timeout: 0.3\n'))
    sighup(master)
    busy.expect(421)
    ok(busy.at_end(), 'a session that does not end is ended')
    master.wait_log('master: generation ended generation=1')
    is_(sorted(line['generation'] for line in status(t.path('runtime/master'))[1:-1]), [2] * 4, 'and gone')
    if LONG:
        since = len(master.log)
        master.kill(signal.SIGHUP)
        pid = int(master.wait_log(r'started child child=worker .*child_pid=(\d+) generation=3', since=since)[1])
        os.kill(pid, signal.SIGSTOP)
        master.wait_log('reload refused error="', 70, since)
        master.wait_log('master: generation ended generation=3', 70, since)
        is_(t.client('smtp').reply().code, 220, 'a new one that hangs is given up')
    is_(master.stop(), 0, 'and it ends well')


run(merged, at_other_times, bounded)
