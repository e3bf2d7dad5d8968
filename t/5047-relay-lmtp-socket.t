#!/usr/bin/python3
# 5047-relay-lmtp-socket.t - LMTP over a Unix socket, and what does not go together with one
# SPDX-License-Identifier: MIT
import os

from lib.fixture import IS_ROOT, is_, like, ok, run, wait_for
from lib.next_hop import CLOSE, NextHop
from lib.relay import config, queued, send

ROOT = ['--allow-root'] if IS_ROOT else []


def socket_works(t):
    path = t.path('store.sock')
    hop = NextHop(t, path=path, lmtp=True)
    os.chmod(path, 0o777)
    master = t.master(config(f'type: lmtp, path: {path}, concurrent_connections: 2, idle_timeout: 20'))
    for _ in range(3):
        ident = send(t, 'a@example.net', 'b@example.net')
        for name in 'ab':
            match = master.wait_log(rf' delivered id={ident} recipient={name}@example.net relay=r host=(\S+) reply="([^"]*)"')
            ok(path in match[1], f'the host of log lines is the socket: {match[1]}')
            is_(match[2], f'250 2.1.5 <{name}@example.net> taken', 'and the reply is the recipient\'s own')
    is_(hop.connections, 1, 'one connection is used for all')
    is_([m['data'] for m in hop.messages], [b'Subject: x\r\n\r\nbody\r\n'] * 3, 'the messages are there')


def socket_is_gone(t):
    path = t.path('store.sock')
    master = t.master(config(f'type: lmtp, path: {path}'))
    ident = send(t, 'a@example.net')
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
    like(match[1], r'^451 4\.\d\.\d .*No such file or directory', 'the store is not there yet')
    hop = NextHop(t, {'LHLO': [CLOSE]}, path=path, lmtp=True)
    os.chmod(path, 0o777)
    master.wait_log(rf' delivered id={ident} ', timeout=60)
    wait_for(lambda: not queued(t), what='an empty queue')
    is_(len(hop.messages), 1, 'once, when it is')


def relative(t):
    """A path is relative to the file it stands in."""
    hop = NextHop(t, path=t.path('there.sock'), lmtp=True)
    os.chmod(t.path('there.sock'), 0o777)
    master = t.master(config('type: lmtp, path: there.sock'))
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    is_(len(hop.messages), 1, 'the socket was found')


def rules(t):
    for keys, where, error in (
            ('path: /s, host: h', 'host', 'given together with path'), ('path: /s, port: 24', 'port', 'given together with path'),
            ('path: /s, tls: {}', 'tls', 'given together with path'),
            ('path: /s, source_address: 127.0.0.1', 'source_address', 'given together with path'),
            ('path: /s, ipv4_only: yes', 'ipv4_only', 'given together with path'),
            (f'path: /{"x" * 107}', 'path', 'at most 107 octets'), ('path: ""', 'path', 'expected a path'),
            ('path: /s, require_tls: yes', 'require_tls', 'expected tls with it'),
            ('path: /s, credentials: {username: u, password: p}', 'credentials', 'expected tls with it'),
            ('host: "a b"', 'host', 'name or the address'), ('port: 0', 'port', ''), ('portt: 24', 'portt', 'did you mean "port"')):
        done = t.run('slimta-worker', *ROOT, '-c', t.config(config(f'type: lmtp, {keys}')), '--check')
        is_(done.returncode, 1, f'{keys[:40]} is an error')
        like(done.stderr, rf'relay\.r\.{where}: .*{error}', 'at its place')
    for keys in ('port: 24', 'host: store.example', f'path: /{"x" * 106}', 'tls: {}, credentials: {username: u, password: p}',
            'path: /s, credentials: {username: u, password: p}, auth_without_tls: yes'):
        done = t.run('slimta-worker', *ROOT, '-c', t.config(config(f'type: lmtp, {keys}')), '--check')
        is_(done.returncode, 0, f'{keys[:40]} is right')


run(socket_works, socket_is_gone, relative, rules)
