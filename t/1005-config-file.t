#!/usr/bin/python3
# 1005-config-file.t - includes, environment, merge keys and relative paths, all the way to the children
# SPDX-License-Identifier: MIT
import os
import shutil

from lib.fixture import IS_ROOT, is_, like, ok, run, wait_for
from lib.mail import send

MAIN = '''free: {limits: &limits {max_recipients: 2, max_errors: 3}}
@process@
edge:
  main: {<<: *limits, type: smtp, queue: q, max_errors: 5, listener: {port: !env SMTP_PORT}}
queue: !include parts/queue.conf
relay: !include parts/relay.conf
'''
QUEUE = '''q:
  type: disk
  envelope_dir: ../data/env     # beside the folder of this file
  meta_dir: $DATA/meta
  allow_volatile: yes
  retry: {delay: 3600}
  relay: save
'''
RELAY = '''save:
  type: pipe
  args: [/bin/sh, -c, 'cat >"$0"', "{recipient}"]
  cwd: ~/mail
'''
MESSAGE = ('a@example.net', ['x@example.org'], b'Subject: x\r\n\r\n')
ROOT = ['--allow-root'] if IS_ROOT else []


def accepted_recipients(t):
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@example.net>', 250)
        codes = []
        for number in range(3):
            client.line(f'RCPT TO:<x{number}@example.org>')
            codes.append(client.reply().code)
        return codes


def everything(t):
    for folder in ('data', 'mail'):
        t.folder(folder)
    t.write('parts/queue.conf', QUEUE)
    t.write('parts/relay.conf', RELAY)
    t.config(MAIN)
    env = {'SMTP_PORT': str(t.port('smtp')), 'DATA': t.path('data')}
    master = t.start('slimta-master', '-c', 'slimta.conf', *ROOT, env=env, notify=True)
    is_(accepted_recipients(t), [250, 250, 452], 'a merged key counts')
    send(t, 'smtp', MESSAGE)
    wait_for(lambda: os.path.exists(t.path('mail/x@example.org')), what='the message in ~/mail')
    is_(sorted(os.listdir(t.path('data'))), ['env', 'meta'], 'relative paths start at the file they stand in')
    shutil.rmtree(t.path('parts'))
    os.unlink(t.path('slimta.conf'))
    os.unlink(t.path('mail/x@example.org'))
    for name in ('slimta-edge', 'slimta-worker'):
        for pid in master.children(name):
            os.kill(pid, 9)
            wait_for(lambda gone=pid: gone not in master.children(), what=f'{name} to be gone')
    wait_for(lambda: len(master.children('slimta-edge')) and can_send(t), timeout=20, what='others in their place')
    wait_for(lambda: os.path.exists(t.path('mail/x@example.org')), timeout=20, what='a message by them')
    ok(True, 'what is started later works by what was read then')
    is_(master.stop(), 0, 'the master ends')


def can_send(t):
    try:
        send(t, 'smtp', MESSAGE)
    except OSError:
        return False
    return True


def where_it_is_looked_for(t):
    t.config('@process@  worker: {instances: 0}\nqueue: {q: {type: disk, envelope_dir: env, meta_dir: meta, '
        'allow_volatile: yes}}\n', name='.slimta/slimta.conf')
    done = t.run('slimta-master', '--check', *ROOT)
    is_(done.returncode, 0, '$HOME/.slimta/slimta.conf is found')
    t.write('.slimta/slimta.conf', 'queue: {}\n')
    done = t.run('slimta-master', '--check', *ROOT)
    is_((done.returncode, (done.stdout + done.stderr).decode().splitlines()[0]),
        (1, f"{t.path('.slimta/slimta.conf')}:1:1: queue: required, but not given: expected at least one queue"),
        'and read')
    os.unlink(t.path('.slimta/slimta.conf'))
    if os.path.exists('/etc/slimta/slimta.conf'):
        return
    done = t.run('slimta-master', '--check')
    is_(done.returncode, 1, 'no file anywhere')
    like(done.stderr.decode(), '^/etc/slimta/slimta.conf: .* nor is ~/.slimta/slimta.conf: .* -c FILE$', 'both places are named')


run(everything, where_it_is_looked_for)
