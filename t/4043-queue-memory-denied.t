#!/usr/bin/python3
# 4043-queue-memory-denied.t - who may not ask the worker of a queue in memory is told so, not that it is away
# SPDX-License-Identifier: MIT
import os

from lib.fixture import IS_ROOT, is_, like, run

CONFIG = '''@process@
edge: {in: {type: smtp, queue: q, listener: {interface: 127.0.0.1, port: @port:smtp@}}}
queue: {q: {type: memory, relay: r, retry: {maximum: 9}}}
relay: {r: {type: blackhole}}
'''


def denied(t):
    master = t.master(CONFIG)
    other = ['setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups'] if IS_ROOT else []
    os.chmod(t.path('slimta.conf'), 0o644)
    os.chmod(t.path('runtime'), 0)
    done = t.run(*other, t.program('slimta-queuectl'), '-c', t.path('slimta.conf'), 'list')
    os.chmod(t.path('runtime'), 0o750)
    is_(done.returncode, 1, 'queuectl fails')
    like(done.stderr.decode(), r'q: 451 4\.3\.0 its worker may not be asked: Permission denied', 'and says why')
    is_(master.stop(), 0, 'the master ends well')


run(denied)
