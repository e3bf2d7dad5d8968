#!/usr/bin/python3
# 4061-queue-suspended-memory.t - suspended destinations of a queue in memory, over a reload
# SPDX-License-Identifier: MIT
import re
import signal
import time

from lib.fixture import is_, like, run, wait_for
from lib.mail import send

CONFIG = '''@process@
  edge: {instances: 1}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {type: memory, relay: hole, retry: {delay: 3600, maximum: 9}}}
relay: {hole: {type: blackhole}}
'''


def delivered(master):
    return re.findall(r' delivered id=\S+ recipient=(\S+) ', master.log)


def mail(t, recipient):
    return send(t, 'smtp', ('s@example.org', [recipient], b'x\r\n'))[0]


def memory(t):
    master = t.master(CONFIG)
    t.queuectl('suspend', 'example.net', '--reason', 'maintenance')
    time.sleep(2.1)     # from then on all workers know
    ident = mail(t, 'r@example.net')
    mail(t, 'one@example.com')
    master.wait_log(r'delivered id=\S+ recipient=one@example.com ')
    master.wait_log(r'destination suspended domain=example.net queue=q by=\S+ since=\S+ reason=maintenance')
    like(t.queuectl('show', ident), r'(?m)^waits +destination example.net is suspended by .*: maintenance$', 'show says why')
    since = len(master.log)
    master.kill(signal.SIGHUP)
    master.wait_log(r'handed over a memory queue', since=since)
    mail(t, 'two@example.com')
    master.wait_log(r'delivered id=\S+ recipient=two@example.com ')
    is_(delivered(master), ['one@example.com', 'two@example.com'], 'the next generation knows of it')
    t.queuectl('resume', 'example.net')
    master.wait_log(r'delivered id=\S+ recipient=r@example.net ')
    is_(delivered(master).count('r@example.net'), 1, 'and lets it go')


run(memory)
