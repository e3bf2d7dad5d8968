#!/usr/bin/python3
# 4042-queue-memory-bounce.t - bounces into a queue in memory: of its own worker, and of another queue's
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, run, unlike
from lib.mail import send

CONFIG = '''@process@
  edge: {instances: 1}
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


run(another_queue, own_queue)
