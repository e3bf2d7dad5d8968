#!/usr/bin/python3
# 7002-queuectl-show.t - all of a message: envelope, outcomes, attempts, why it waits, its octets
# SPDX-License-Identifier: MIT
import json
import os
import pty
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, relay: r, retry: {delay: 3600, maximum: 9}}}
relay:
  r:
    type: pipe
    args: [/bin/sh, -c, 'cat >/dev/null; case {recipient} in good*) exit 0;; esac; printf "no\\033[2J way" >&2; exit 75']
'''
MAIL = b'Subject: \x1b[31mred\r\n\r\n\xc2\x9b2J \xff caf\xc3\xa9\r\nlast'


def one(t, recipients, data=MAIL):
    return send(t, 'smtp', ('a@example.net', recipients, data, ' BODY=8BITMIME'))[0]


def before(t):
    t.edge(CONFIG)
    message = one(t, ['good@example.org', 'bad@example.org'])
    text = t.queuectl('show', message)
    for pattern in (rf'^id {{10}}{message}$', r'^queue +q$', r'^state +new$', r'^sender +<a@example\.net>$',
            r'^recipient +<good@example\.org> waits$', r'^recipient +<bad@example\.org> waits$',
            r'^client +address 127\.0\.0\.1, .*EHLO client\.example, protocol ESMTP', r'^parameters +BODY 8BITMIME$',
            r'^accepted +\d{4}-\d\d-\d\dT', r'^size +\d+ octets$', r'^attempts +0$',
            r'^waits +it is due, and no worker has taken it yet$'):
        ok(re.search(pattern, text, re.M), pattern)
    t.queuectl('bounce', message, '--reason', 'no such customer')
    like(t.queuectl('show', message), r'(?m)^waits +it is to bounce \(no such customer\), and no worker has taken it yet$', 'it is to bounce')
    t.queuectl('show', '0' * 26, code=3)
    t.queuectl('-q', 'q', 'show', message)


def nobody(t):
    config = re.sub(r'(?s), relay: r,(.*)relay:\n.*', r',\1', CONFIG).replace('@process@', '@process@  worker: {instances: 0}')
    t.edge(config)
    message = one(t, ['x@example.org'])
    like(t.queuectl('show', message), r'(?m)^waits +it is due, and its queue has no relay here, so that nobody takes it$', 'a queue without a relay')


def after(t):
    t.edge(CONFIG)
    message = one(t, ['good@example.org', 'bad@example.org'])
    worker = t.worker(CONFIG, 'q')
    wait_for(lambda: 'deferred' in t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list').stdout.decode(),
        what='the attempt to be recorded')
    text = t.queuectl('show', message)
    for pattern in (r'^state +deferred$', r'^recipient +<good@example\.org> delivered', r'^recipient +<bad@example\.org> waits$',
            r'^attempts +1$', r'^attempt +\d{4}\S+Z .*450 4\.3\.0 .*no.* way', r'^waits +its next attempt is due in '
            r'(1h|59m\d+s); the last attempt got 450 4\.3\.0 '):
        ok(re.search(pattern, text, re.M), pattern)
    unlike(text, '\x1b', 'no control character of the command')
    shown = json.loads(t.queuectl('--json', 'show', message))
    is_((shown['id'], shown['state'], shown['attempts'], shown['last'][0]['reply']['code']), (message, 'deferred', 1, 450),
        'the same as JSON')
    is_([recipient['state'] for recipient in shown['recipients']], ['delivered', 'waits'], 'with the outcomes')
    is_(shown['envelope']['sender'], 'a@example.net', 'and the envelope')
    ok(3500000 < shown['due_in_ms'] <= 3600000, 'and when it is due')
    is_(worker.stop(), 0, 'the worker ends')


def octets(t):
    t.edge(CONFIG)
    message = one(t, ['x@example.org'])
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'show', '--message', message)
    ok(done.stdout.endswith(MAIL + b'\r\n'), 'the octets as they came, into a pipe')
    reader, writer = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.dup2(writer, 1)
        os.execv(t.program('slimta-queuectl'), ['slimta-queuectl', '-c', t.path('slimta.conf'), 'show', '--message', message])
    os.close(writer)
    shown = b''
    try:
        while True:
            shown += os.read(reader, 4096)
    except OSError:
        os.close(reader)
    is_(os.waitpid(pid, 0)[1], 0, 'shown on a terminal')
    shown = shown.decode()
    like(shown, r'^Subject: \\x1B\[31mred\r\n\r\n\\x[cC]2\\x9[bB]2J \\x[fF]{2} café\r\nlast', 'escaped, line by line')
    unlike(shown, '[\x1b\x9b]', 'nothing that a terminal acts on')
    big = one(t, ['x@example.org'], b'Subject: big\r\n\r\n' + b'0123456789' * 7 * 30000)
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'show', '--message', big)
    is_(len(done.stdout.partition(b'\r\n\r\n')[2]), 2100002, 'a large one too')


def leased(t):
    wait = t.write('wait', f'#!/bin/sh\ncd {t.dir}; : >began; while [ ! -e go ]; do sleep 0.02; done; cat >/dev/null\n', 0o755)
    config = re.sub(r'(?s)args: .*', f'args: [{wait}]\n    concurrent_processes: 1\n', CONFIG)
    t.edge(config)
    worker = t.worker(config, 'q')
    first = one(t, ['x@example.org'])
    wait_for(lambda: os.path.exists(t.path('began')), what='a command')
    second = one(t, ['y@example.org'])
    worker_name = rf'\S+/slimta-worker\[{worker.pid}\]'
    wait_for(lambda: re.search(rf'{second} leased .* \(leased by {worker_name} .*, in line', t.queuectl('list')),
        what='the second message to wait behind the first')
    like(t.queuectl('list'), rf'{first} leased .* \(leased by {worker_name} for \d+s, past the dot for \d+s\)', 'list: who has it')
    like(t.queuectl('show', first), rf'waits +it is being delivered just now by {worker_name} for \d+s, past the dot for \d+s\n',
        'show: likewise')
    shown = json.loads(t.queuectl('list', '--json', second))
    is_((shown['phase'], bool(re.fullmatch(worker_name, shown['owner']))), ('in line', True), 'as JSON')
    like(t.queuectl('show', second), rf'waits +it waits for a command of relay r to end \(at most 1 at once\), leased by {worker_name} .*, in line',
        'show: what it waits for')
    shown = json.loads(t.queuectl('show', '--json', first))
    ok(shown['phase'] == 'past the dot' and shown['leased_for_ms'] >= shown['in_phase_ms'] >= 0, 'show, as JSON')
    ok(os.path.exists(t.path('runtime', 'q-0.now')), 'from its file')
    t.write('go', '')
    is_(worker.stop(), 0, 'the worker ends')
    ok(not os.path.exists(t.path('runtime', 'q-0.now')), 'and takes its file away')


run(before, nobody, after, octets, leased)
