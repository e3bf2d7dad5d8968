#!/usr/bin/python3
# 7005-queuectl-user.t - as root it becomes the workers' user; anybody else is told what the files do not allow
# SPDX-License-Identifier: MIT
import os
import pwd

from lib.fixture import IS_ROOT, is_, like, ok, run, skip_all, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@    user: nobody
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/store/env, meta_dir: @dir@/store/meta, allow_volatile: yes, relay: r, retry: {maximum: 9}}}
relay:
  r:
    type: pipe
    args: [/bin/sh, -c, 'cat >/dev/null; : >@dir@/store/begun; while [ -e @dir@/store/begun ]; do sleep 0.05; done; exit 75']
    user: nobody
'''
MESSAGE = ('a@example.net', ['x@example.org'], b'x\r\n')
NOBODY = pwd.getpwnam('nobody').pw_uid


def owners(folder):
    return {os.lstat(os.path.join(at, name)).st_uid for at, folders, files in os.walk(folder) for name in folders + files}


def as_root(t):
    t.folder('store', 'nobody')
    t.config(CONFIG)
    t.queuectl('list', code=1)
    is_(owners(t.path('store')), set(), 'it makes nothing by looking')
    edge = t.edge(CONFIG, allow_root=False)
    first, second = send(t, 'smtp', MESSAGE, MESSAGE)
    is_(t.queuectl('remove', first), 'removed 1 of 1 message\n', 'removed')
    worker = t.worker(CONFIG, 'q', allow_root=False)
    wait_for(lambda: os.path.exists(t.path('store/begun')), what='the delivery to begin')
    t.queuectl('remove', second, code=4)
    is_(owners(t.path('store')), {NOBODY}, 'so does what it writes')
    os.unlink(t.path('store/begun'))
    wait_for(lambda: not t.run('slimta-queuectl', '-c', t.path('slimta.conf'), '--json', 'list').stdout,
        what='the message to go')
    ok(True, 'a deferred message that was marked is gone')
    is_((worker.stop(), edge.stop()), (0, 0), 'all end well')


def as_others(t):
    t.folder('store', 'nobody')
    t.edge(CONFIG, allow_root=False)
    message, = send(t, 'smtp', MESSAGE)
    os.chmod(t.path('slimta.conf'), 0o644)
    for command in (['list'], ['show', message], ['remove', message], ['status']):
        done = t.run('setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups', t.program('slimta-queuectl'), '-c',
            t.path('slimta.conf'), *command)
        is_(done.returncode, 1, f'{command[0]} by somebody else')
        like(done.stderr.decode(), 'slimta-queuectl: q: 4.*Permission denied', 'says why')
    like(t.queuectl('list'), message, 'and nothing happened')


def unreadable(t):
    """Folders that all may look into, messages that are not theirs; and one message that a restored backup left to root."""
    for folder in ('store/env', 'store/meta'):
        t.folder(folder, 'nobody')
        os.chmod(t.path(folder), 0o755)
    t.edge(CONFIG, allow_root=False)
    first, second, third = send(t, 'smtp', MESSAGE, MESSAGE, MESSAGE)
    os.chmod(t.path('slimta.conf'), 0o644)
    for command in (['list'], ['status', '--top', '0'], ['list', '--sort', 'age'], ['remove', '--all', '--dry-run'], ['list', first]):
        done = t.run('setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups', t.program('slimta-queuectl'), '-c',
            t.path('slimta.conf'), *command)
        is_(done.returncode, 1, f'{command[0]} by who may not read them')
        like(done.stderr.decode(), r'q: 451 4.3.0 \d messages? cannot be read, first \w{26}: Permission denied', 'says so')
        unlike(done.stdout.decode(), r'(?m)^q +0 +0', 'and does not say that there are none')
    os.chown(t.path(f'store/env/{first}.env'), 0, 0)
    for command in (['list'], ['list', '--limit', '2'], ['list', '--sort', 'age'], ['--json', 'list']):
        done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), *command)
        is_(done.returncode, 1, f'{command}: one that cannot be read')
        like(done.stderr.decode(), f'q: 451 4.3.0 1 message cannot be read, first {first}: Permission denied', 'is said')
        like(done.stdout.decode(), f'{second}[^$]*{third}', 'and the others are listed')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'status', '--top', '0')
    is_(done.returncode, 1, 'status')
    like(done.stdout.decode(), r'(?m)^q +2 +0 ', 'counts the others')


if not IS_ROOT:
    skip_all('not root')
run(as_root, as_others, unreadable)
