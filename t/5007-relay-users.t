#!/usr/bin/python3
# 5007-relay-users.t - started as root: who runs what, under a master and alone
# SPDX-License-Identifier: MIT
# S15
import grp
import os
import pwd
import re
import socket

from lib.fixture import IS_ROOT, is_, like, run, skip_all, unlike, wait_for
from lib.relay import config, script, send

WHO = 'grep -E "^(Uid|Gid|Groups|CapEff|NoNewPrivs|Seccomp):" /proc/self/status >out/$1; umask >>out/$1'


def prepare(t, relay):
    if not IS_ROOT:
        skip_all('not root')
    os.chmod(t.folder('out'), 0o777)
    for name in ('env', 'meta'):
        t.folder(name, 'nobody')
    who = script(t, 'who', WHO)
    text = config(f'type: pipe, args: [{who}, "{{message_id}}"]{relay}')
    return text.replace('  edge:', '    user: nobody\n  edge:', 1)


def status(text):
    return {key: value.split() for key, value in re.findall(r'^(\w+):\s*(.*)$', text, re.M)}


def is_user(t, got, name, what):
    entry = pwd.getpwnam(name)
    groups = {group.gr_gid for group in grp.getgrall() if name in group.gr_mem} | {entry.pw_gid}
    is_((set(got['Uid']), set(got['Gid']), {int(gid) for gid in got['Groups']}),
        ({str(entry.pw_uid)}, {str(entry.pw_gid)}, groups), f'{what} is {name}, with its groups and no others')


def check_command(t, process, name):
    ident = send(t, 'r@example.net')
    process.wait_log(rf' delivered id={ident} ')
    text = t.read(f'out/{ident}').decode()
    is_user(t, status(text), name, 'the command')
    is_(status(text)['CapEff'], ['0' * 16], 'without capabilities')
    like(text, '^0077$', 'umask 077')


def check_worker(t, process):
    pid = wait_for(lambda: process.children('slimta-worker') or [process.pid], what='the worker')[0]
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        got = status(file.read())
    is_user(t, got, 'nobody', 'the worker')
    is_(got['NoNewPrivs'], ['1'], 'which can become nobody else')


def master(t):
    process = t.master(prepare(t, ', user: mail'), allow_root=False)
    check_command(t, process, 'mail')
    check_worker(t, process)


def worker_alone(t):
    text = prepare(t, ', user: mail')
    t.edge(text, allow_root=False)
    process = t.worker(text, 'q', allow_root=False)
    check_command(t, process, 'mail')
    check_worker(t, process)
    is_(process.stop(), 0, 'it ends')
    unlike(process.log, r'\berror\b', 'without an error')


def default_user(t):
    process = t.master(prepare(t, ''), allow_root=False)
    check_command(t, process, 'nobody')


def others_cannot_ask(t):
    process = t.master(prepare(t, ''), allow_root=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.settimeout(10)
        peer.connect(t.path('runtime', 'spawner-1'))
        is_(peer.recv(100), b'', 'a connection of another user is closed')
    process.wait_log(r'spawner: refused a connection of another user uid=0 ')
    check_command(t, process, 'nobody')


run(master, worker_alone, default_user, others_cannot_ask)
