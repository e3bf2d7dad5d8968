#!/usr/bin/python3
# 2012-master-listeners.t - every kind of listener: families, names, all interfaces, unix sockets, backlog
# SPDX-License-Identifier: MIT
import os
import pwd
import signal
import socket

from lib.fixture import IS_ROOT, is_, like, ok, run, skip
from lib.master import CONFIG, mode, with_keys
from lib.peer import have_ipv6


def with_listeners(listeners, text=CONFIG):
    return text.replace('listener: {port: @port:smtp@}', f'listeners: [{listeners}]')


def greets(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(address)
        return client.recv(100)[:4] == b'220 '


def refuses(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        return client.connect_ex(address) != 0


def families(t):
    if not have_ipv6():
        skip('no IPv6 here')
        return
    master = t.master(with_listeners('{type: tcp4, port: @port:four@}, {type: tcp6, port: @port:six@}, '
        '{interface: "*", port: @port:all@}, {type: tcp6, interface: "", port: @port:all6@}, '
        '{interface: localhost, port: @port:name@}'))
    six = socket.AF_INET6
    ok(greets(('127.0.0.1', t.port('four'))) and refuses(('::1', t.port('four')), six), 'tcp4')
    ok(greets(('::1', t.port('six')), six) and refuses(('127.0.0.1', t.port('six'))), 'tcp6')
    ok(greets(('127.0.0.1', t.port('all'))) and greets(('::1', t.port('all')), six), 'all interfaces are both')
    ok(greets(('::1', t.port('all6')), six) and refuses(('127.0.0.1', t.port('all6'))), 'all of tcp6 are one')
    ok(greets(('127.0.0.1', t.port('name'))), 'a name')
    is_(master.stop(), 0, 'and it ends well')


def spread(t):
    """A listener has one socket for each edge process: connections come to all of them."""
    master = t.master(CONFIG)
    for _ in range(60):
        greets(('127.0.0.1', t.port('smtp')))
    used = [pid for pid in master.children('slimta-edge') if f'slimta-edge[{pid}] edge' in master.log]
    is_(len(used), 2, 'both edges were connected to')


def unix(t):
    text = with_listeners('{type: unix, path: @dir@/smtp, mode: 0606, backlog: 3}', CONFIG.replace('edge: {instances: 2}',
        'edge: {instances: 1}'))
    if IS_ROOT:
        text = with_keys('    user: nobody\n', text).replace('@dir@/env', '@dir@/queue/env').replace(
            '@dir@/meta', '@dir@/queue/meta')
        t.folder('queue', 'nobody')
    master = t.master(text)
    ok(greets(t.path('smtp'), socket.AF_UNIX), 'a unix socket')
    is_(mode(t.path('smtp')), 0o606, 'with its mode')
    is_(os.stat(t.path('smtp')).st_uid, pwd.getpwnam('nobody').pw_uid if IS_ROOT else os.getuid(), 'and its owner')
    edge = master.children('slimta-edge')[0]
    os.kill(edge, signal.SIGSTOP)
    waiting = []
    while len(waiting) < 20:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        waiting.append(client)
        if client.connect_ex(t.path('smtp')) != 0:
            break
    is_(len(waiting), 5, 'a backlog of 3 holds 4, the next is refused')
    for client in waiting:
        client.close()
    os.kill(edge, signal.SIGCONT)
    is_(master.stop(), 0, 'and it ends well')


def cannot_listen(t):
    for listener, wanted in (
            ('{interface: no.such.host.invalid, port: 1}', 'cannot find the address of no.such.host.invalid: '),
            ('{interface: 192.0.2.1, port: 2525}', r'edge\.main cannot listen on 192\.0\.2\.1:2525: Cannot assign'),
            ('{path: @dir@/nowhere/smtp}', r'edge\.main cannot listen on unix:.*/nowhere/smtp: No such file'),
            ('{path: @dir@/slimta.conf}', 'slimta.conf: File exists')):
        done = t.run('slimta-master', '-c', t.config(with_listeners(listener)), *(['--allow-root'] if IS_ROOT else []))
        is_(done.returncode, 1, 'the start fails')
        like(done.stderr.decode(), wanted, 'and says why')
    like(t.read('slimta.conf').decode(), '^process:', 'and no file was harmed')


run(families, spread, unix, cannot_listen)
