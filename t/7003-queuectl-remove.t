#!/usr/bin/python3
# 7003-queuectl-remove.t - what is removed is gone, counted and logged; what cannot be is said
# SPDX-License-Identifier: MIT
import json
import os

from lib.fixture import is_, like, run, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@    logging: {output: @dir@/slimta.log}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, relay: r}}
relay:
  r: {type: pipe, args: [/bin/sh, -c, 'cat >/dev/null; : >@dir@/begun; while [ -e @dir@/begun ]; do sleep 0.05; done']}
'''
ABSENT = '0' * 26


PLAIN = CONFIG.replace('logging: {output: @dir@/slimta.log}', '')     # programs log where the fixture looks
MESSAGE = ('a@example.net', ['x@example.org'], b'x\r\n')


def removes(t):
    t.edge(PLAIN)
    t.config(CONFIG)
    ids = send(t, 'smtp', *[MESSAGE] * 4)
    is_(t.queuectl('remove', ids[1], ids[3], ids[1]), 'removed 2 of 2 messages\n', 'two of four, one of them given twice')
    is_([line.split()[0] for line in t.queuectl('list').splitlines()[1:]], [ids[0], ids[2]], 'the others are there')
    is_(t.queuectl('remove', ABSENT, ids[0], code=3), 'removed 1 of 2 messages, 1 not there\n', 'one that is not there')
    log = t.read('slimta.log').decode()
    is_([line.count('removed') for line in log.splitlines()], [1, 1, 1], 'a line of the log for each')
    for message in (ids[1], ids[3], ids[0]):
        like(log, rf'queuectl: removed id={message} queue=q user=\S+', 'with id and user')
    lines = [json.loads(line) for line in t.queuectl('--json', 'remove', ids[2], ABSENT, code=3).splitlines()]
    is_([(line['id'], line['queue'], line['result']) for line in lines], [(ids[2], 'q', 'removed'), (ABSENT, None, 'absent')],
        'as JSON')
    is_(sorted(name for name in os.listdir(t.path('env')) if name.endswith('.env') and not name.startswith('.')), [],
        'nothing is left')


def busy(t):
    t.edge(PLAIN)
    message, = send(t, 'smtp', MESSAGE)
    worker = t.worker(PLAIN, 'q')
    wait_for(lambda: os.path.exists(t.path('begun')), what='the delivery to begin')
    t.config(CONFIG)
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'remove', message)
    is_((done.returncode, done.stdout), (4, b'removed 0 of 1 message, 1 when its delivery ends\n'), 'one that is being delivered')
    like(done.stderr.decode(), rf'{message}: being delivered just now.*; it is removed when this attempt ends', 'is said')
    like(t.queuectl('list'), rf'{message} leased ', 'it is still there')
    like(t.queuectl('show', message), rf'(?m)^waits +it is being delivered just now', 'show says it too')
    like(t.queuectl('show', message), r'(?m)^asked +discard$', 'and what was asked')
    is_(json.loads(t.queuectl('--json', 'show', message))['asked'], ['discard'], 'as JSON')
    like(t.read('slimta.log').decode(), rf'marked to be removed id={message} queue=q user=', 'and the log')
    os.unlink(t.path('begun'))
    wait_for(lambda: message not in t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list').stdout.decode(),
        what='the message to be delivered')
    is_(worker.stop(), 0, 'and the worker goes on')


def refused(t):
    t.edge(PLAIN)
    message, = send(t, 'smtp', MESSAGE)
    t.config(CONFIG.replace('@dir@/slimta.log', '@dir@/nosuch/slimta.log'))
    is_(t.queuectl('remove', message, code=1), '', 'nothing is removed without a trace')
    like(t.queuectl('list'), message, 'it is still there')


def damaged(t):
    t.edge(PLAIN)
    message, = send(t, 'smtp', MESSAGE)
    t.config(CONFIG)
    with open(t.path('env', message + '.env'), 'r+b') as env:
        env.truncate(30)
    t.queuectl('show', '--message', message, code=1)
    text = t.queuectl('show', message, code=1)
    for pattern in (rf'^id +{message}\n', r'^queue +q\n', r'^state +held\n', r'^attempts +0\n', r'^waits +it is held: damaged\n'):
        like(text, f'(?m){pattern}', f'show says what is known: {pattern}')
    shown = json.loads(t.queuectl('--json', 'show', message, code=1))
    is_((shown['id'], shown['envelope'], shown['recipients'], shown['content_size']), (message, None, None, None), 'as JSON')
    like(t.queuectl('list'), rf'(?m)^{message} held .* q - - \(held: damaged\)$', 'a damaged message is listed')
    is_([json.loads(t.queuectl('--json', 'list'))[key] for key in ('sender', 'recipients')], [None, []], 'without addresses')
    is_(t.queuectl('--json', 'list', '--sender', '<>'), '', 'it is not one of the null sender')
    is_(t.queuectl('--json', 'list', '--sender', '*'), '', 'nor of any other')
    is_(t.queuectl('remove', message), 'removed 1 of 1 message\n', 'a damaged message can be removed')
    unlike(t.queuectl('list'), message, 'and is gone')


run(removes, busy, refused, damaged)
