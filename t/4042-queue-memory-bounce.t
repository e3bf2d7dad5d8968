#!/usr/bin/python3
# 4042-queue-memory-bounce.t - bounces into a queue in memory: of its own worker, of another queue's, and when it is full
# SPDX-License-Identifier: MIT
import os
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.mail import send

CONFIG = '''@process@
  edge: {instances: 1, spool_dir: @dir@}
edge:
  in: {type: smtp, queue: first, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  first: {FIRST, relay: refuses, bounce_queue: BOUNCES}
  second: {type: memory, relay: keeps}
relay:
  refuses: {type: pipe, args: [/bin/sh, -c, 'case "$1" in me@*) exec cat >@dir@/bounce;; esac; cat >/dev/null; exit 69', x, "{recipient}"]}
  keeps: {type: pipe, args: [/bin/sh, -c, 'cat >@dir@/bounce']}
'''
MEMORY = 'type: memory'
DISK = 'type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes'


def bounce(t, first, into):
    master = t.master(CONFIG.replace('FIRST', first).replace('BOUNCES', into))
    ident, = send(t, 'smtp', ('me@example.org', ['you@example.net'], b'Subject: x\r\n\r\nbody\r\n'))
    master.wait_log(rf' bounced id={ident} ')
    master.wait_log(r' delivered id=\w+ .*recipient=me@example.org')
    return master


def another_queue(t):
    for first in MEMORY, DISK:
        master = bounce(t, first, 'second')
        like(t.read('bounce').decode(), r'(?s)Auto-Submitted: auto-replied.*you@example.net.*Subject: x', f'{first[6:12]}: bounced')
        like(t.queuectl('status'), r'(?m)^first +0 +0 +0 +0 ', 'the original is gone')
        like(t.queuectl('status'), r'(?m)^second +0 +0 +0 +0 ', 'and the bounce delivered')
        is_(master.stop(), 0, 'it ends well')
        unlike(master.log, ' warn | error ', 'without a word')


def own_queue(t):
    master = bounce(t, MEMORY, 'first')
    like(t.read('bounce').decode(), r'(?s)Auto-Submitted: auto-replied.*you@example.net', 'bounced into the queue itself')
    is_(master.stop(), 0, 'it ends well')


def fill(t):
    idents = []
    with t.client('smtp') as client:
        client.hello()
        while True:
            client.send(b'MAIL FROM:<me@example.org>\r\nRCPT TO:<you@example.net>\r\nDATA\r\n')
            if [client.reply().code for _ in range(3)] != [250, 250, 354]:
                return idents
            client.send(b'Subject: x\r\n\r\n.\r\n')
            reply = client.reply()
            if reply.code != 250:
                return idents
            idents.append(re.search(r'\b[0-9a-z]{26}\b', reply.text)[0])


def full(t):
    """No room is left when all that is there fails: the bounces, by which it leaves, have some of their own."""
    t.folder('bounces')
    t.folder('waits')
    command = ('if [ -d @dir@/waits ]; then cat >/dev/null; exit 75; fi; case "$1" in me@*) exec cat >"@dir@/bounces/$2";; '
        'esac; cat >/dev/null; echo 5.1.1 No; exit 67')
    config = CONFIG.replace('BOUNCES', 'first, retry: {delay: 0.5, maximum: 100}')
    config = re.sub(r"'case .*esac.*', x, \"\{recipient\}\"", lambda _: f"'{command}', x, \"{{recipient}}\", \"{{message_id}}\"", config)
    master = t.master(config.replace('FIRST', 'type: memory, max_memory: 64K'))
    idents = fill(t)
    ok(len(idents) > 10, f'{len(idents)} messages fill it')
    os.rmdir(t.path('waits'))
    wait_for(lambda: len(os.listdir(t.path('bounces'))) >= len(idents), timeout=30, what='all to be bounced')
    is_(master.stop(), 0, 'it ends well')
    octets = ''.join(t.read(f'bounces/{name}').decode() for name in os.listdir(t.path('bounces')))
    is_([ident for ident in idents if ident not in octets], [], 'each is bounced')
    is_(len(os.listdir(t.path('bounces'))), len(idents), 'once')


run(another_queue, own_queue, full)
