#!/usr/bin/python3
# 7011-queuectl-steer.t - retry, hold, release, remove, bounce by ids, filters, all; in every storage, by a worker that runs
# SPDX-License-Identifier: MIT
import json
import os
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import send
from lib.queues import listed, on_every_storage, wait_listed

CONFIG = '''@process@LOGGING
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {SECTION, relay: r, retry: {delay: 3600, maximum: 9}}
relay:
  r:
    type: pipe
    concurrent_processes: 9
    args:
      - /bin/sh
      - -c
      - |
        cat >@dir@/last.$$
        case {recipient} in
        sender@*) mv @dir@/last.$$ @dir@/bounce; exit 0;;
        busy@*) : >@dir@/begun; while [ -e @dir@/begun ]; do sleep 0.05; done;;
        esac
        rm -f @dir@/last.$$
        exit 75
'''
ABSENT = '0' * 26


def start(t, section):
    """The master, and a configuration by which queuectl logs elsewhere."""
    text = CONFIG.replace('SECTION', section)
    master = t.master(text.replace('LOGGING', ''))
    t.operator = t.config(text.replace('LOGGING', '    logging: {output: @dir@/operator.log}'), 'operator.conf')
    return master


def steer(t, *args, code=0):
    return t.queuectl(*args, code=code, conf=t.operator)


def operator_log(t):
    log = t.read('operator.log').decode() if os.path.exists(t.path('operator.log')) else ''
    return [line for line in log.splitlines() if line]


def message(local='sender', domain='example.com', recipient='x'):
    return f'{local}@example.org', [f'{recipient}@{domain}'], b'Subject: x\r\n\r\nx\r\n'


def holds(t, section):
    start(t, section)
    ids = send(t, 'smtp', *[message(domain=domain) for domain in ('a.example', 'b.example', 'b.example', 'c.example')])
    wait_listed(t, 4, '--state', 'deferred', '--attempts', '1')
    is_(steer(t, 'hold', ids[0]), 'held 1 of 1 message\n', 'one by its id')
    is_(steer(t, 'hold', '--domain', 'B.example', '--yes', '--reason', 'its host is broken'), 'held 2 of 2 messages\n', 'two by a filter')
    like(t.queuectl('show', ids[1]), r'(?m)^waits +it is held: operator \S+: its host is broken$', 'show: by whom and why')
    is_(steer(t, 'hold', ids[1], ids[0]), 'held 2 of 2 messages\n', 'again, and why is not said')
    is_([line['held'].partition(': ')[2] for line in listed(t, '--state', 'held')], ['', 'its host is broken', 'its host is broken'],
        'what was said before stays')
    is_(steer(t, 'hold', ids[2], '--reason', 'spam'), 'held 1 of 1 message\n', 'again, with another reason')
    like(t.queuectl('show', ids[2]), r'(?m)^waits +it is held: operator \S+: spam$', 'which is said from then on')
    is_(steer(t, 'hold', '--all', '--yes'), 'held 1 of 1 message\n', 'all: those that are not held')
    is_(steer(t, 'hold', '--all', '--yes'), 'held 0 of 0 messages\n', 'again: none')
    is_(len(listed(t, '--state', 'held')), 4, 'all are')
    log = operator_log(t)
    is_(len(log), 7, 'a line of the log for each')
    like(log[1], rf' queuectl: held id={ids[1]} queue=q reason="its host is broken" user=\S+', 'with its reason and the user')
    like(t.run('slimta-queuectl', '-c', t.operator, 'retry', ids[0]).stderr.decode(), f'{ids[0]}: held, so that it is not tried; release it',
        'retry says that it would change nothing')
    is_(steer(t, 'retry', '--all', '--yes'), 'made due 0 of 0 messages\n', 'and leaves them out by itself')
    is_(steer(t, 'release', '--domain', 'b.example', '--limit', '1', '--yes'), 'released 1 of 1 message\n', '--limit')
    wait_listed(t, 1, '--state', 'deferred', '--attempts', '2')
    is_([line['id'] for line in listed(t, '--state', 'deferred')], [ids[1]], 'the first is tried again')
    is_(steer(t, 'release', '--all', '--yes'), 'released 3 of 3 messages\n', 'the others')
    wait_listed(t, 4, '--state', 'deferred', '--attempts', '2')
    ok(True, 'are tried, and no other one')
    is_(steer(t, 'retry', ids[3], ABSENT, ids[0], code=3), 'made due 2 of 3 messages, 1 not there\n', 'retry')
    wait_listed(t, 2, '--state', 'deferred', '--attempts', '3')
    is_([line['result'] for line in map(json.loads, steer(t, '--json', 'hold', ids[0], ABSENT, ids[1], code=3).splitlines())],
        ['held', 'absent', 'held'], 'as JSON, in the order of asking')


def ends(t, section):
    master = start(t, section)
    ids = send(t, 'smtp', *[message(local, recipient=f'x{local}') for local in ('sender', 'sender', 'other', 'third')])
    wait_listed(t, 4, '--state', 'deferred', '--attempts', '1')
    before = listed(t)
    out = steer(t, 'bounce', '--recipient', 'xsender@*', '--dry-run')
    is_(([line.split()[0] for line in out.splitlines()[1:-1]], out.splitlines()[-1]), (ids[:2], 'would bounce 2 messages'), '--dry-run lists')
    is_(([line['attempts'] for line in listed(t)], operator_log(t)), ([line['attempts'] for line in before], []), 'and changes nothing')
    is_(steer(t, 'remove', '--sender', 'third@*', '--yes'), 'removed 1 of 1 message\n', 'removed by a filter')
    is_(steer(t, 'bounce', ids[0], '--reason', 'it is spam'), 'let bounce 1 of 1 message\n', 'bounced')
    bounce = wait_for(lambda: os.path.exists(t.path('bounce')) and t.read('bounce'), what='the bounce to be delivered')
    like(bounce, r'5\d\d 5\.\d\.\d [^\0]*it is spam', 'the sender is told, and why')
    wait_for(lambda: [line['id'] for line in listed(t)] == ids[1:3], what='the message to go')
    like(master.log, rf'id={ids[0]}', 'the worker did it')
    is_(steer(t, '--json', 'bounce', '--all', '--yes').count('"result":"bouncing"'), 2, 'all of them')
    wait_for(lambda: ids[1] not in [line['id'] for line in listed(t)], what='them to go')
    log = operator_log(t)
    is_([re.search(r'queuectl: ([a-z ]+) id=(\w+) .*user=\S', line).groups() for line in log],
        [('removed', ids[3]), ('let bounce', ids[0]), ('let bounce', ids[1]), ('let bounce', ids[2])], 'a line of the log for each')


def leased(t, section):
    master = start(t, section)
    ids = send(t, 'smtp', message(recipient='busy'), message())
    wait_for(lambda: os.path.exists(t.path('begun')), what='the delivery to begin')
    wait_listed(t, 1, '--state', 'deferred')
    done = t.run('slimta-queuectl', '-c', t.operator, 'hold', *ids)
    is_((done.returncode, done.stdout), (4, b'held 1 of 2 messages, 1 when its delivery ends\n'), 'one of them is being delivered')
    like(done.stderr.decode(), rf'{ids[0]}: being delivered just now by \S+/slimta-worker\[\d+\]; it is held when this attempt ends, unless',
        'is said, and by whom')
    like(t.queuectl('show', ids[0]), r'(?m)^asked +hold: operator \S+$', 'show knows what was asked')
    like('\n'.join(operator_log(t)), rf'queuectl: marked to be held id={ids[0]} ', 'the log too')
    for args, reason in ((('--reason', 'spam'), ': spam'), ((), ': spam'), (('--reason', 'virus'), ': virus'), ((), ': virus')):
        steer(t, 'hold', ids[0], *args, code=4)
        like(t.queuectl('show', ids[0]), r'(?m)^asked .*hold: operator \w+' + reason + '(, hold)?$', 'asked again: the reason stays')
    is_(steer(t, 'bounce', '--state', 'leased', '--dry-run').splitlines()[-1], 'would bounce 1 message', 'by its state')
    os.unlink(t.path('begun'))
    wait_listed(t, 2, '--state', 'held')
    unlike(t.queuectl('show', ids[0]), r'(?m)^asked', 'then it is held')
    like(t.queuectl('show', ids[0]), r'(?m)^waits +it is held: operator \w+: virus$', 'by the last reason')
    is_([line['attempts'] for line in listed(t)], [1, 1], 'and its attempt counted')
    is_(master.stop(), 0, 'the worker ends well')


run(*on_every_storage(holds, ends, leased), timeout=240)
