#!/usr/bin/python3
# 2005-master-death.t - P20: kill -9 of the master, a new one at once, and nothing stale in its way
# SPDX-License-Identifier: MIT
import os
import shutil
import signal

from lib.fixture import descendants, is_, like, ok, run, skip
from lib.master import CONFIG, gone, with_keys


def new_one_at_once(t):
    text = with_keys('    pid_file: @dir@/pid\n')
    first = t.master(text)
    orphans = first.children()
    idle = t.client('smtp')
    idle.hello()
    first.kill(signal.SIGKILL)
    first.wait()
    second = t.start('slimta-master', '-c', t.path('slimta.conf'), *(['--allow-root'] if os.geteuid() == 0 else []),
        notify=True)
    is_(int(t.read('pid')), second.pid, 'the new one takes over lock, port and pid file')
    with t.client('smtp') as client:
        client.expect(220)
    idle.expect(421)
    gone(orphans)
    ok(True, 'the children of the dead one have drained and ended')
    like(first.log, 'process: began to drain because="the master is gone"', 'because it was gone')
    is_(second.stop(), 0, 'and the new one ends well')


def unix_socket_is_replaced(t):
    text = CONFIG.replace('{port: @port:smtp@}', '{path: @dir@/smtp, mode: 0666}')
    first = t.master(text)
    orphans = first.children()
    first.kill(signal.SIGKILL)
    first.wait()
    gone(orphans)
    ok(os.path.exists(t.path('smtp')), 'a stale socket stays')
    second = t.master(text)
    with t.client(t.path('smtp')) as client:
        client.expect(220)
    is_(os.stat(t.path('smtp')).st_mode & 0o777, 0o666, 'and is replaced, with its mode')
    second.stop()
    ok(not os.path.exists(t.path('smtp')), 'and taken away at the end')


def fresh_namespace(t):
    """In a container the master is process 1 each time, and was so when it was killed."""
    if os.geteuid() != 0:
        skip('only root makes namespaces')
        return
    conf = t.config(with_keys('    pid_file: @dir@/pid\n'))
    # In a plain chroot nothing can be mounted apart; the process is number 1 all the same.
    proc = ['--mount-proc'] if t.run('unshare', '--pid', '--fork', '--mount-proc', 'true').returncode == 0 else []
    for turn in ('first', 'second', 'third'):
        outer = t.start(shutil.which('unshare'), '--pid', '--fork', *proc, t.program('slimta-master'),
            '-c', conf, '--allow-root', ready='master: ready')
        is_(t.read('pid'), b'1\n', f'the {turn} one is process 1')
        with t.client('smtp') as client:
            client.expect(220)
        os.kill(descendants(outer.pid)[0], signal.SIGKILL)
        outer.wait()


run(fresh_namespace, new_one_at_once, unix_socket_is_replaced)
