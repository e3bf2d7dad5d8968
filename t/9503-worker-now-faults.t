#!/usr/bin/python3
# 9503-worker-now-faults.t - no file of what a worker holds can be had, or read: the work goes on
# SPDX-License-Identifier: MIT
import glob

from lib.fixture import is_, like, run
from lib.relay import config, send


def no_file(t):
    text = config('type: blackhole')
    t.edge(text)
    for fault in ('now.open:1:EROFS', 'now.open:*:EMFILE', 'now.lock:1:ENOLCK', 'now.allocate:1:ENOSPC', 'now.list:1:EACCES',
            'now.read:*:EIO'):
        t.write('runtime/q-0.now', b'\0' * 600)
        worker = t.worker(text, 'q', env={'SLIMTA_FAULT': fault})
        worker.wait_log(rf' delivered id={send(t, "a@example.net")} ')
        like(worker.log, {'list': 'could not look for what dead workers held', 'read': 'could not tell what a dead worker held'}.get(
            fault[4:8], 'warn .*could not keep a file of what it holds queue=q .*error='), f'{fault} is said')
        is_(worker.stop(), 0, 'and the worker works')
    is_([name for name in glob.glob(t.path('runtime', '*.now')) if not name.endswith('q-0.now')], [], 'nothing half made is left')


def full_and_shown(t):
    """Who looks for owners finds none, and goes on."""
    text = config('type: blackhole')
    t.edge(text)
    ident = send(t, 'a@example.net')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list', env={'SLIMTA_FAULT': 'now.read:*:EIO'})
    is_(done.returncode, 0, 'a listing')
    like(done.stdout.decode(), ident, 'has the message')


run(no_file, full_and_shown, faults=True)
