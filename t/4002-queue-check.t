#!/usr/bin/python3
# 4002-queue-check.t - what --check says of queues: places that two would share, and what is hardly meant
# SPDX-License-Identifier: MIT
import os

from lib.fixture import IS_ROOT, is_, like, run

ROOT = ['--allow-root'] if IS_ROOT else []
TWO = '''@process@
edge:
  main: {type: smtp, queue: q, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, relay: r, allow_volatile: yes, retry: RETRY}
  q2: {type: disk, envelope_dir: @dir@/env2, meta_dir: @dir@/meta2, relay: r, allow_volatile: yes}
relay: {r: {type: blackhole}}
'''


def check(t, text):
    done = t.run('slimta-master', '-c', t.config(text), '--check', *ROOT)
    return done.returncode, (done.stdout + done.stderr).decode()


def same_place(t):
    """However it is written: what is there already is known by its inode."""
    os.mkdir(t.path('env'))
    os.symlink('env', t.path('link'))
    for path in '@dir@/./env', '@dir@/link':
        code, said = check(t, TWO.replace('RETRY', '{maximum: 3}').replace('@dir@/env2', path))
        is_(code, 1, f'{path} is a place that another has')
        like(said, r'slimta\.conf:\d+:\d+: queue\.q2\.envelope_dir: the queue "q" keeps its messages there', 'and is said')


def warnings(t):
    never_tried = 'queue.q.retry: warning: expected `maximum`'
    never_told = 'queue.q.retry.notify_delay: warning: expected a time below `maximum_age`'
    for retry, warning in (
            ('{}', never_tried),
            ('{maximum_age: 0}', never_tried),
            ('{maximum: 3, maximum_age: 1h, notify_delay: 4h}', never_told),
            ('{maximum_age: 1h, notify_delay: 60m}', never_told),
            ('{maximum: 3, notify_delay: 1h}', None),
            ('{maximum: 3, maximum_age: 0, notify_delay: 1h}', None),
            ('{maximum_age: 1d, notify_delay: 1h}', None)):
        code, said = check(t, TWO.replace('RETRY', retry))
        is_(code, 0, f'retry: {retry} is allowed')
        said = [line for line in said.splitlines() if ' queue.q.' in line]
        is_([line.split(': ', 1)[1].startswith(warning) for line in said] if warning else said, [True] if warning else [],
            'with a warning' if warning else 'without a warning')


run(same_place, warnings)
