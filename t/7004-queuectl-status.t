#!/usr/bin/python3
# 7004-queuectl-status.t - queues by state and processes, with a master and without
# SPDX-License-Identifier: MIT
import json
import os
import re

from lib.fixture import is_, like, ok, run, wait_for
from lib.mail import send

CONFIG = '''@process@
  edge: {instances: 2}
  worker: {instances: 1}
edge: {main: {type: smtp, queue: slow, listener: {port: @port:smtp@}}}
queue:
  slow: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, relay: later, retry: {delay: 3600, maximum: 9}}
  idle: {type: disk, envelope_dir: @dir@/idle, meta_dir: @dir@/idle.meta, allow_volatile: yes, relay: nothing}
relay:
  later: {type: pipe, args: [/bin/sh, -c, 'cat >/dev/null; exit 75']}
  nothing: {type: blackhole}
'''


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def with_master(t):
    master = t.master(CONFIG)
    send(t, 'smtp', *[('a@example.net', ['x@example.org', 'y@EXAMPLE.org'], b'x\r\n')] * 2,
        ('a@example.net', ['x@example.org', 'z@other.example'], b'x\r\n'))
    lines = wait_for(lambda: next((lines for lines in [json_lines(t.queuectl('--json', 'status'))]
        if lines[0]['deferred'] == 3), None), what='three attempts')
    is_([line['queue'] for line in lines[:2]], ['slow', 'idle'], 'the queues, in the order of the file')
    is_((lines[0]['new'], lines[0]['leased'], lines[0]['held']), (0, 0, 0), 'by state')
    ok(lines[0]['octets'] > 9 and 0 <= lines[0]['oldest_age_ms'] < 60000, 'with their octets and age')
    is_((lines[1]['new'], lines[1]['octets'], lines[1]['oldest_age_ms']), (0, 0, None), 'an empty one')
    is_([(line['destination'], line['messages'], line['messages_least'], line['deferred']) for line in lines[2:4]],
        [('example.org', 3, 3, 3), ('other.example', 1, 1, 1)], 'the domains that most are for')
    processes = [line['process'] for line in lines[4:] if 'process' in line]
    is_(sorted(processes), ['edge', 'edge', 'master', 'spawner', 'worker', 'worker'], 'the processes')
    is_([line['pid'] for line in lines if line.get('process') == 'master'], [master.pid], 'by their pids')
    is_(lines[-1]['counters']['edge_messages_total'], 3, 'and the counters')
    text = t.queuectl('status')
    like(text, r'^QUEUE +NEW +DEFERRED +LEASED +HELD +SIZE +OLDEST\nslow +0 +3 +0 +0 +\d+ +\d+s\nidle +0 +0 +0 +0 +0 +-\n',
        'for people')
    like(text, r'(?m)^DESTINATION +MESSAGES +DEFERRED +OLDEST\nexample\.org +3 +3 +\d+s\nother\.example +1 +1 +\d+s\n\n', 'destinations')
    like(text, rf'(?m)^master +{master.pid} +ready ', 'the master')
    is_(re.findall(r'(?m)^\S+\.\S+ ', t.queuectl('status', '--top', '1')), ['example.org '], '--top')
    is_(t.queuectl('status', '--top', '0').count('DESTINATION'), 0, 'none')
    is_(len(re.findall(r'(?m)^(?:edge|worker) +\d+ +ready +\d+ ', text)), 4, 'edges and workers')
    like(text, r'(?m)^edge_messages_total +3$', 'counters')
    is_(len(t.queuectl('-q', 'idle', 'status').splitlines()), 2, 'one queue alone')


def without_master(t):
    t.config(CONFIG)
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), '--json', 'status')
    is_(done.returncode, 1, 'queues whose directories are not there')
    for name, folder in (('slow', 'env'), ('idle', 'idle')):
        like(done.stderr.decode(), rf'(?m)^slimta-queuectl: {name}: 451 .*envelope_dir {t.path(folder)} is not there', 'are said')
    is_(sorted(set(os.listdir(t.path('.'))) & {'env', 'meta', 'idle', 'idle.meta', 'runtime'}), [], 'and nothing is made by looking')
    t.queuectl('list', code=1)
    for folder in ('env', 'meta', 'idle', 'idle.meta'):
        os.mkdir(t.path(folder))
    text = t.queuectl('status')
    is_([os.listdir(t.path(folder)) for folder in ('env', 'meta')], [[], []], 'nor in them')
    like(text, r'(?m)^slow +0 +0 +0 +0 +0 +-$', 'queues are known without a master')
    like(text, r'(?m)^no processes are known: .*/runtime/master: No such file or directory \(no slimta-master is running here\)$', 'processes are not')
    is_(json_lines(t.queuectl('--json', 'status'))[-1]['state'], 'unknown', 'as JSON')


def without_storage(t):
    t.folder('disk')
    master = t.master(CONFIG.replace('@dir@', t.path('disk')))
    os.rename(t.path('disk'), t.path('away'))
    text = t.queuectl('status', code=1)
    like(text, rf'(?m)^master +{master.pid} +ready ', 'the processes are shown where no queue can be opened')
    os.rename(t.path('away'), t.path('disk'))
    is_(master.stop(), 0, 'the master ends')


run(with_master, without_master, without_storage)
