#!/usr/bin/python3
# 2001-master-start.t - start in order, READY and STATUS, the pid file, a second master, a port in use
# SPDX-License-Identifier: MIT
import os
import re
import socket
import subprocess

from lib.fixture import IS_ROOT, is_, like, ok, run, wait_for
from lib.master import CONFIG, NAMES, mode, with_keys

PID_FILE = with_keys('    pid_file: @dir@/pid\n')


def refused(t, text, env=None):
    """A start that must fail: what it says."""
    conf = t.config(text, name='refused.conf')
    done = t.run('slimta-master', '-c', conf, *(['--allow-root'] if IS_ROOT else []), env=env)
    is_(done.returncode, 1, 'the start fails')
    return done.stderr.decode()


def start_and_stop(t):
    master = t.master(PID_FILE)
    started = re.findall(r'master: started child child=(\w+)', master.log)
    is_(started, ['spawner', 'worker', 'edge', 'edge'], 'children start in order')
    is_([len(master.children(name)) for name in NAMES], [1, 1, 2], 'each with its name')
    like(master.notes.decode(), r'STATUS=starting: 0 of 4 processes ready\n(?s:.*)READY=1\n', 'systemd is told')
    t.wait_notified(master, rb'^STATUS=running: 4 processes$')
    is_(int(t.read('pid')), master.pid, 'the pid file names it')
    is_(mode(t.path('pid')), 0o644, 'and nobody else may write it')
    with t.client('smtp') as client:
        client.expect(220)
    is_(master.stop(), 0, 'SIGTERM ends it well')
    t.wait_notified(master, rb'^STOPPING=1$')
    ended = re.findall(r'master: child ended child=(\w+)', master.log)
    is_(ended, ['edge', 'edge', 'worker', 'spawner'], 'children end in the other order')
    ok(not os.path.exists(t.path('pid')), 'the pid file is gone')
    is_(sorted(name for name in os.listdir(t.path('runtime')) if name in ('master', 'spawner-1')), [],
        'no socket stays in runtime_dir')


def second(t):
    master = t.master(PID_FILE)
    like(refused(t, PID_FILE), 'already running: another one has the lock .*/runtime/master.lock', 'the same runtime_dir')
    other = PID_FILE.replace('@process@', f'process:\n  slimta:\n    runtime_dir: {t.dir}/other')
    like(refused(t, other), f'pid_file .*/pid is that of a running slimta-master .process {master.pid}.',
        'another runtime_dir, the same pid file')
    other = other.replace('@dir@/pid', '@dir@/pid2').replace('@dir@/env', '@dir@/env2')
    like(refused(t, other), rf'edge\.main cannot listen on 127\.0\.0\.1:{t.port("smtp")}: in use', 'the same port')
    ok(master.running() and len(master.children()) == 4, 'the first one runs on')


def foreign_port(t):
    with socket.create_server(('127.0.0.1', t.port('smtp'))):
        like(refused(t, CONFIG), r'cannot listen on .*: in use', 'a port of somebody else')


def port_freed(t):
    """A dead master's children close theirs: the port is tried again."""
    holder = socket.create_server(('127.0.0.1', t.port('smtp')))
    master = t.start('slimta-master', '-c', t.config(CONFIG), *(['--allow-root'] if IS_ROOT else []))
    wait_for(lambda: os.path.exists(t.path('runtime/master.lock')), what='the lock')
    holder.close()
    master.wait_log('master: ready')
    ok(True, 'it starts as soon as the port is free')


def stale_pid_file(t):
    sleeper = subprocess.Popen(['sleep', '100'])
    for text in (f'{sleeper.pid}\n', '999999999\n', 'nonsense\n', ''):
        t.write('pid', text)
        master = t.master(PID_FILE)
        is_(int(t.read('pid')), master.pid, f'a pid file with {text!r} is taken over')
        master.stop()
    sleeper.kill()
    sleeper.wait()


def notifications(t):
    """The watchdog, a name without a file, and that children learn nothing of it."""
    name = f'\0{t.dir}/abstract'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.bind(name)
        notifier.settimeout(t.timeout)
        master = t.start('slimta-master', '-c', t.config(CONFIG), *(['--allow-root'] if IS_ROOT else []),
            env={'NOTIFY_SOCKET': '@' + name[1:], 'WATCHDOG_USEC': '200000'})
        wanted = [b'READY=1', b'MAINPID=%d' % master.pid, b'WATCHDOG=1', b'WATCHDOG=1']
        while wanted:
            for line in notifier.recv(4096).split(b'\n'):
                if line in wanted:
                    wanted.remove(line)
        ok(True, 'READY and the watchdog arrive at a name without a file')
    for pid in master.children():
        with open(f'/proc/{pid}/environ', 'rb') as environ:
            ok(not re.search(rb'NOTIFY_SOCKET|WATCHDOG', environ.read()), 'a child does not know of it')


def nothing_to_do(t):
    like(refused(t, CONFIG.replace('instances: 2', 'instances: 0').replace('instances: 1', 'instances: 0')),
        'nothing to do', 'a master without children ends')


run(start_and_stop, second, foreign_port, port_freed, stale_pid_file, notifications, nothing_to_do)
