#!/usr/bin/python3
# 7018-queuectl-force.t - a message that is being delivered is not taken from a process that lives: by whom and what then is said
# SPDX-License-Identifier: MIT
import json
import os
import re
import signal

from lib.fixture import is_, like, ok, run, wait_for
from lib.mail import send
from lib.queues import listed, on_every_storage, wait_listed

CONFIG = '''@process@
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {SECTION, relay: r, retry: {delay: 3600, maximum: 9}}
relay:
  r: {type: pipe, args: [/bin/sh, -c, 'cat >/dev/null; : >@dir@/begun; while [ -e @dir@/begun ]; do sleep 0.05; done; exit 75']}
'''
# Of the storages that cannot take a lease away.
REASONS = {'disk': 'a message on disk cannot be taken from a process that lives; when that ends, what was asked is obeyed',
    'memory': 'a message in memory cannot be taken from the worker that has it, and all are lost if that is ended'}


def begun(t, section):
    master = t.master(CONFIG.replace('SECTION', section))
    message, = send(t, 'smtp', ('a@example.org', ['x@example.net'], b'x\r\n'))
    wait_for(lambda: os.path.exists(t.path('begun')), what='the delivery to begin')
    return master, message, REASONS['disk' if 'disk' in section else 'memory']


def force(t, *args):
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *args, '--force')
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refused(t, section):
    master, message, reason = begun(t, section)
    code, out, err = force(t, 'hold', message)
    is_((code, out), (4, 'held 0 of 1 message, 1 when its delivery ends\n'), 'it is not taken')
    like(err, rf'(?m)^slimta-queuectl: {message}: being delivered just now by \S+/slimta-worker\[\d+\]; {re.escape(reason)}; '
        r'it is held when this attempt ends, unless that delivers it$', 'it is said who has it, why, and what comes of it')
    code, out, err = force(t, 'hold', '--all', '--yes', '--reason', 'why')
    is_((code, out), (4, 'held 0 of 1 message, 1 when its delivery ends\n'), 'by a filter')
    like(err, rf'{message}: being delivered just now by .*{re.escape(reason)}', 'that is said too')
    is_([(line['result'], line['reply']) for line in map(json.loads, force(t, '--json', 'hold', message)[1].splitlines())],
        [('marked', None)], 'as JSON')
    is_(listed(t)[0]['state'], 'leased', 'its worker goes on')
    os.unlink(t.path('begun'))
    wait_listed(t, 1, '--state', 'held')
    like(t.queuectl('show', message), r'(?m)^waits +it is held: operator \w+: why$', 'then it is held')
    is_(force(t, 'release', message)[:2], (0, 'released 1 of 1 message\n'), 'where nobody has it there is nothing to force')
    is_(t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list', '--force').returncode, 2, 'looking takes no --force')
    os.unlink(wait_for(lambda: os.path.exists(t.path('begun')) and t.path('begun'), what='it to be tried again'))
    is_(master.stop(), 0, 'the master ends')


def ended(t):
    """On disk it is obeyed as soon as the process that was named is ended, and by nobody tried before."""
    _, message, _ = begun(t, 'type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes')
    code, _, err = force(t, 'hold', message)
    is_(code, 4, 'it is not taken')
    os.kill(int(re.search(r'slimta-worker\[(\d+)\]', err)[1]), signal.SIGKILL)
    wait_listed(t, 1, '--state', 'held')
    is_(listed(t)[0]['attempts'], 0, 'the next worker obeys')
    ok(os.path.exists(t.path('begun')), 'and does not begin it')
    os.unlink(t.path('begun'))


run(*[test for test in on_every_storage(refused) if test.__name__.split()[-1] in REASONS], ended)
