#!/usr/bin/python3
# 2010-master-faults.t - calls of the master that fail: each has an answer
# SPDX-License-Identifier: MIT
import os
import re

from lib.fixture import IS_ROOT, is_, like, ok, run
from lib.master import CONFIG, with_keys

ROOT = ['--allow-root'] if IS_ROOT else []


def cannot_start(t):
    """No process to be had, no descriptor: later, and the log says so."""
    for fault in ('exec.fork:4:EAGAIN', 'exec.fork:4:ENOMEM', 'control.pair:2:EMFILE'):
        master = t.master(CONFIG, env={'SLIMTA_FAULT': fault})
        like(master.log, r'error .*master: could not start child child=worker .*again_ms=1000', f'{fault} is said')
        is_(len(re.findall('child is ready', master.log)), 4, 'and it starts all the same')
        master.stop()


def at_the_start(t):
    text = with_keys('    pid_file: @dir@/pid\n    stderr: @dir@/err\n')
    for fault, wanted in (
            ('runtime.mkdir:1:ENOSPC', 'cannot make runtime_dir .*No space left'),
            ('outputs.open:1:EROFS', 'cannot write to .*/err: Read-only file system'),
            ('listener.bind:1:EACCES', r'edge\.main cannot listen on .*: Permission denied'),
            ('listener.listen:1:ENOBUFS', r'edge\.main cannot listen on .*: No buffer space')):
        done = t.run('slimta-master', '-c', t.config(text), *ROOT, env={'SLIMTA_FAULT': fault})
        is_(done.returncode, 1, f'{fault} ends the start')
        like(done.stderr.decode(), wanted, 'and it says why')


def pid_file(t):
    master = t.master(with_keys('    pid_file: @dir@/pid\n'), env={'SLIMTA_FAULT': 'pidfile.open:1:ENOSPC'})
    like(master.log, 'could not write its pid_file path=.*No space left', 'a pid file that cannot be written is said')
    ok(not os.path.exists(t.path('pid')) and not os.path.exists(t.path('pid.new')), 'and leaves nothing')
    is_(master.stop(), 0, 'mail goes on all the same')


run(cannot_start, at_the_start, pid_file, faults=True)
