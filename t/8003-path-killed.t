#!/usr/bin/python3
# 8003-path-killed.t - workers, edges, spawner and master are killed under load; mail goes on by itself (P20)
# SPDX-License-Identifier: MIT
import glob
import os
import signal
import smtplib
import time

from lib.fixture import TOP, descendants, is_, like, ok, process_stat, run, wait_for

CONFIG = '''
@process@
  master: {pid_file: @dir@/master.pid}
  edge: {instances: 2}
  worker: {instances: 2}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main:
    type: disk
    envelope_dir: @dir@/messages
    meta_dir: @dir@/meta
    allow_volatile: yes
    scan_interval: 1
    retry: {delay: 1, maximum: 1000}
    relay: save
relay:
  save: {type: pipe, args: [@top@/conf/save-mail.sh, @dir@/mail, "{recipient}", "{message_id}"]}
'''.replace('@top@', TOP)


class Sender:
    """Sends numbered messages, again when the session breaks; knows which were answered 250."""

    def __init__(self, t):
        self.t, self.sent, self.client = t, 0, None

    def send(self):
        recipient = f'r{self.sent}@example.net'
        deadline = time.monotonic() + 20
        while True:
            try:
                if not self.client:
                    self.client = smtplib.SMTP('127.0.0.1', self.t.port('smtp'), timeout=10)
                self.client.sendmail('me@example.org', [recipient], f'Subject: {recipient}\r\n\r\n')
                break
            except (OSError, smtplib.SMTPException):
                self.client = None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.sent += 1


def all_arrive(t, sender):
    def missing():
        return [number for number in range(sender.sent)
            if not glob.glob(t.path('mail', f'r{number}@example.net', '*.eml'))]
    wait_for(lambda: not missing(), 30, 'all mail to arrive')
    ok(not missing(), f'all {sender.sent} messages arrived')
    wait_for(lambda: not glob.glob(t.path('messages', '*.env')), 20, 'the queue to be empty')


def named(master, name):
    """Children by the name they gave themselves."""
    return [pid for pid in master.children() if (process_stat(pid) or ('', 0, ''))[2] == name[:15]]


def children(t):
    master = t.master(CONFIG)
    sender = Sender(t)
    for name in ('slimta-worker', 'slimta-edge', 'slimta-spawner'):
        for _ in range(2):
            for _ in range(10):
                sender.send()
            victim = wait_for(lambda name=name: named(master, name), 30, f'a {name}')[0]
            since = len(master.log)
            os.kill(victim, signal.SIGKILL)
            master.wait_log(rf'\b{victim}\b', 10, since)
        for _ in range(10):
            sender.send()
        ok(True, f'{name} was killed twice')
    all_arrive(t, sender)
    ok(master.running(), 'the master lives')
    sender.client.quit()
    is_(master.stop(), 0, 'and ends well')
    ok(not os.path.exists(t.path('master.pid')), 'its pid file is gone')


def everything(t):
    sender = Sender(t)
    for _ in range(2):
        master = t.master(CONFIG)
        for _ in range(20):
            sender.send()
        for pid in [master.pid, *descendants(master.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        is_(master.wait(), -signal.SIGKILL, 'all were killed at once')
        ok(os.path.exists(t.path('master.pid')), 'and left a pid file')
        sender.client = None
    master = t.master(CONFIG)
    ok(True, 'the next master starts over stale locks and sockets')
    sender.send()
    all_arrive(t, sender)
    like(t.read('master.pid'), rf'^{master.pid}$', 'the pid file is its own')


def master_killed(t):
    master = t.master(CONFIG)
    client = smtplib.SMTP('127.0.0.1', t.port('smtp'), timeout=10)
    client.ehlo()
    client.mail('me@example.org')
    client.rcpt('r0@example.net')
    left = descendants(master.pid)
    master.kill()
    master.wait()
    is_(client.data(b'Subject: last\r\n\r\n')[0], 250, 'a transaction ends well though the master is gone')
    client.close()
    wait_for(lambda: not [pid for pid in left if os.path.exists(f'/proc/{pid}')
        and (process_stat(pid) or 'Z')[0] != 'Z'], 20, 'the children to end')
    ok(True, 'the children end by themselves')
    sender = Sender(t)
    t.master(CONFIG)
    sender.send()
    all_arrive(t, sender)


run(children, everything, master_killed)
