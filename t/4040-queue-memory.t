#!/usr/bin/python3
# 4040-queue-memory.t - a queue in memory: from the edge to the relay, shown and steered, bounded, lost and said so
# SPDX-License-Identifier: MIT
import json
import os
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@
  edge: {instances: 2, spool_dir: @dir@}
edge:
  in: {type: smtp, queue: q, listener: {interface: 127.0.0.1, port: @port:smtp@}, max_size: 20M}
queue:
  q: {type: memory, max_memory: 8M, relay: r, retry: {delay: 300, maximum: 9}, policies: [{type: add_received_header}]}
relay:
  r: {type: pipe, args: [/bin/sh, -c, 'RUN']}
'''
WAITS = CONFIG.replace('RUN', 'cat >/dev/null; echo "4.2.1 not now" >&2; exit 75')
BODY = b'Subject: x\r\n\r\nbody\r\n'


def message(sender='a@example.org', octets=BODY):
    return sender, ['x@example.net'], octets


def delivers(t):
    master = t.master(CONFIG.replace('RUN', 'cat >@dir@/got.$$ && mv @dir@/got.$$ @dir@/got'))
    ident, = send(t, 'smtp', message())
    master.wait_log(rf' delivered id={ident} ')
    ok(t.read('got').endswith(BODY.replace(b'\r\n', b'\n')) or t.read('got').endswith(BODY), 'a message is delivered')
    large = b'Subject: large\r\n\r\n' + b'sixteen octets\r\n' * 200000
    ident, = send(t, 'smtp', message(octets=large))
    master.wait_log(rf' delivered id={ident} ')
    is_(len(t.read('got').replace(b'\r\n', b'\n').split(b'Subject: large\n\nsixteen')[1]),
        len(large.replace(b'\r\n', b'\n').split(b'Subject: large\n\nsixteen')[1]), 'one that came by the spool too, whole')
    send(t, 'smtp', *[message()] * 50)
    wait_for(lambda: len(re.findall(' delivered id=', master.log)) == 52, what='50 more')
    like(t.queuectl('status'), r'(?m)^q +0 +0 +0 +0 +0 ', 'and none is left')
    is_(master.stop(), 0, 'it ends well')
    unlike(master.log, ' lost| warn | error ', 'with nothing to say')
    is_([name for name in os.listdir(t.path('runtime')) if name in ('queue-q', 'queue-q.new')], [], 'and no socket left')


def steered(t):
    master = t.master(WAITS)
    idents = send(t, 'smtp', *[message(f'{name}@example.org') for name in 'abc'])
    for ident in idents:
        master.wait_log(rf' deferred id={ident} ')
    listed = wait_for(lambda: (lines := t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list').stdout.decode()
        .splitlines()[1:]) and all('deferred' in line for line in lines) and lines, what='all to wait')
    is_([line.split()[:3] for line in listed], [[ident, 'deferred', '1'] for ident in idents], 'list: in the order of ids')
    shown = json.loads(t.queuectl('--json', 'show', idents[1]))
    is_((shown['envelope']['sender'], shown['state'], shown['last'][0]['reply']['text']),
        ('b@example.org', 'deferred', '4.2.1 not now'), 'show: the envelope, its state and the last reply')
    ok(shown['content_size'] > len(BODY) and 0 < shown['due_in_ms'] <= 300000, 'and its size and next attempt')
    like(t.queuectl('show', '--message', idents[1]), r'^Received: [^\0]*body', 'show --message: its octets')
    is_(t.queuectl('remove', idents[0], '0' * 26, code=3), 'removed 1 of 2 messages, 1 not there\n', 'remove')
    like(t.queuectl('status'), r'(?m)^q +0 +2 +0 +0 ', 'status counts the rest')
    is_(master.stop(), 0, 'ended with two messages')
    like(master.log, r'warn slimta-worker\S* queue: ended with messages in memory, which are lost queue=q messages=2', 'it says so')
    for ident, name in zip(idents[1:], 'bc'):
        like(master.log, rf'queue: lost id={ident} queue=q sender={name}@example.org recipients=1', 'naming each')
    like(t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list').stderr.decode(),
        r'q: 451 4\.3\.0 its worker is not there', 'queuectl: nobody to ask')


def leased(t):
    master = t.master(CONFIG.replace('RUN', 'cat >/dev/null; : >@dir@/begun; while [ -e @dir@/begun ]; do sleep 0.05; done'))
    ident, = send(t, 'smtp', message())
    wait_for(lambda: os.path.exists(t.path('begun')), what='the delivery to begin')
    shown = json.loads(t.queuectl('--json', 'show', ident))
    is_((shown['state'], shown['phase']), ('leased', 'past the dot'), 'show: it is being delivered, and how far that is')
    like(shown['owner'], r'/slimta-worker\[\d+\]$', 'and by whom')
    like(t.queuectl('list'), rf'{ident} leased ', 'list shows it')
    like(t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'remove', ident).stderr.decode(),
        'it is removed when this attempt ends', 'remove waits')
    os.unlink(t.path('begun'))
    master.wait_log(rf' delivered id={ident} ')
    is_(master.stop(), 0, 'it ends well')


def bounded(t):
    master = t.master(WAITS)
    octets = b'Subject: fill\r\n\r\n' + b'sixty-three octets of a line to fill the memory of the queue..\r\n' * 16000
    with t.client('smtp') as client:
        client.hello()
        codes = []
        while not codes or codes[-1] == 250 and len(codes) < 20:
            client.cmd('MAIL FROM:<a@example.org>', 250)
            client.cmd('RCPT TO:<x@example.net>', 250)
            client.cmd('DATA', 354)
            client.send(octets + b'.\r\n')
            codes.append(client.reply().code)
        is_(codes, [250] * 8 + [452], '8M hold 8 messages of a million octets: 452')
        client.cmd(f'MAIL FROM:<a@example.org> SIZE={len(octets)}', 452, r'^4\.3\.1 ', 'the next is refused at MAIL')
        client.cmd('MAIL FROM:<a@example.org> SIZE=1000', 250, '', 'a small one is not')
    listed = [line.split()[0] for line in t.queuectl('list').splitlines()[1:]]
    for ident in listed:
        master.wait_log(rf' deferred id={ident} ')
    t.queuectl('remove', *listed)
    ident, = send(t, 'smtp', message(octets=octets))
    ok(master.wait_log(rf' deferred id={ident} '), 'then there is room')


def alone(t):
    text = CONFIG.replace('RUN', 'cat >/dev/null')
    edge = t.edge(text)
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@example.org>', 451, r'^4\.3\.0 ', 'no worker: 451 at MAIL')
    worker = t.worker(text, 'q')
    more = ['--allow-root'] if os.geteuid() == 0 else []
    second = t.run('slimta-worker', '-c', t.path('slimta.conf'), '--queue', 'q', *more)
    is_(second.returncode, 1, 'a second worker of it')
    like(second.stderr.decode(), 'another worker serves this queue', 'is refused')

    def accepted():
        with t.client('smtp') as client:
            client.reply()
            client.line('EHLO client.example')
            client.reply()
            client.line('MAIL FROM:<a@example.org>')
            return client.reply().code == 250
    wait_for(accepted, what='the edge to find the worker')
    ident, = send(t, 'smtp', message())
    worker.wait_log(rf' delivered id={ident} ')
    worker.kill()
    worker.wait()
    worker = t.worker(text, 'q')
    wait_for(accepted, what='the edge to find the next worker')
    ident, = send(t, 'smtp', message())
    worker.wait_log(rf' delivered id={ident} ')
    ok(True, 'killed, it is followed by the next one')
    is_((edge.stop(), worker.stop()), (0, 0), 'both end well')


def checked(t):
    for wrong, said in (
            (WAITS.replace('relay: r, ', ''), r'queue\.q: expected a relay: '),
            (WAITS.replace('  edge: {', '  worker: {instances: 0}\n  edge: {'), r'queue\.q: expected instances of its worker'),
            (WAITS.replace('8M', '1K'), r'queue\.q\.max_memory: '),
            (WAITS.replace('type: memory,', 'type: memory, tmp_dir: x,'), r'queue\.q\.tmp_dir: ')):
        done = t.run('slimta-master', '-c', t.config(wrong), '--check', '--allow-root')
        is_(done.returncode, 1, f'refused: {said}')
        like(done.stderr.decode(), said, 'and named')


run(delivers, steered, leased, bounded, alone, checked)
