#!/usr/bin/python3
# 2019-master-reload-faults.t - calls that fail in a reload: the old generation stays, nothing is left of the new one
# SPDX-License-Identifier: MIT
import os
import re

from lib.fixture import IS_ROOT, is_, like, ok, run, unlike, wait_for
from lib.master import CONFIG, sighup

ROOT = ['--allow-root'] if IS_ROOT else []
MORE = CONFIG.replace('listener: {port: @port:smtp@}', 'listeners: [{port: @port:smtp@}, {port: @port:more@}]')


def greets(t, port):
    with t.client(port) as client:
        return client.reply().code == 220


def refused(t):
    """The visits are counted in each process: a start has 2 forks to check and 4 to start; a reload one, and in that 2."""
    stderr = MORE.replace('edge: {instances: 2}', 'edge: {instances: 2, stderr: @dir@/err}')
    for fault, text, wanted in (
            ('exec.fork:7:EAGAIN', MORE, 'cannot check the configuration: Resource temporarily unavailable'),
            ('exec.fork:8:ENOMEM', MORE, 'cannot run slimta-edge: Cannot allocate memory'),
            ('exec.fork:10:ENOMEM', MORE, 'the edge 0 of the new configuration Cannot allocate memory before'),
            ('control.pair:6:EMFILE', MORE, 'the worker of queue q 0 of the new configuration Too many open files before'),
            ('unix.bind:3:ENOSPC', MORE, 'cannot listen on .*/spawner-2: No space left on device'),
            ('listener.bind:4:EACCES', MORE, r'edge\.main cannot listen on 127\.0\.0\.1:\d+: Permission denied'),
            ('listener.listen:5:ENOBUFS', MORE, r'edge\.main cannot listen on 127\.0\.0\.1:\d+: No buffer space'),
            ('outputs.open:1:EROFS', stderr, 'cannot write to .*/err: Read-only file system')):
        master = t.master(CONFIG, env={'SLIMTA_FAULT': fault})
        pids = sorted(master.children())
        t.config(text)
        sighup(master, f'reload refused error=".*{wanted}')
        wait_for(lambda: sorted(master.children()) == pids, what='the old ones alone')
        ok(greets(t, 'smtp'), f'{fault}: the old one stays')
        wait_for(lambda: 'spawner-2' not in os.listdir(t.path('runtime')), what='nothing to be left')
        # The checking process counts on from the master's visits, which are as many as before when it is gone.
        if 'refused' in sighup(master, 'reloaded generation|reload refused')[0]:
            sighup(master)
        ok(greets(t, 'smtp'), 'another reload is done')
        is_(master.stop(), 0, 'and it ends well')


def mends_a_start(t):
    """A start in which something has died is not waited for: it may be what the reload is to mend."""
    master = t.start('slimta-master', '-c', t.config(CONFIG), *ROOT, env={'SLIMTA_FAULT': 'exec.fork:4:EAGAIN'},
        ready='could not start child child=worker')
    sighup(master)
    unlike(master.log, 'reload waits', 'a reload begins before the start has come to its end')
    like(master.log, r'master: ready children=4\n(?s:.*)master: reloaded generation=2', 'and is its end')
    is_(len(re.findall('master: ready', master.log)), 1, 'once')
    ok(greets(t, 'smtp'), 'all is served')
    is_(master.stop(), 0, 'and it ends well')


run(refused, mends_a_start, faults=True)
