#!/usr/bin/python3
# 2008-master-listen-fds.t - sockets from systemd, by name and by address
# SPDX-License-Identifier: MIT
import os
import shutil
import signal
import socket

from lib.fixture import IS_ROOT, like, ok, run, skip, wait_for
from lib.master import CONFIG

ROOT = ['--allow-root'] if IS_ROOT else []


def with_sockets(t, sockets, names, text):
    """The master with these sockets from descriptor 3 on, as systemd hands them over."""
    conf = t.config(text)
    script = t.write('activate', '#!/bin/sh\nexec env LISTEN_PID=$$ "$@"\n', 0o755)
    log = open(t.path('master.log'), 'wb')
    pid = os.fork()
    if pid == 0:
        for place, sock in enumerate(sockets, 3):
            os.dup2(sock.fileno(), place + 50)
        for place in range(3, 3 + len(sockets)):
            os.dup2(place + 50, place)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        os.execve(script, [script, t.program('slimta-master'), '-c', conf, *ROOT],
            dict(t.env, LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names))
    return pid


def stop(t, pid):
    os.kill(pid, signal.SIGTERM)
    code = os.waitpid(pid, 0)[1]
    if not ok(code == 0, 'it ends well'):
        print(t.read('master.log').decode())


def is_ready(t):
    wait_for(lambda: b'master: ready' in t.read('master.log'), what='ready')


def served(t, address, what):
    with socket.create_connection(address, t.timeout) as client:
        like(client.recv(100).decode(), '^220 ', what)


def by_address(t):
    given = socket.create_server(('127.0.0.1', t.port('smtp')))
    pid = with_sockets(t, [given], 'other', CONFIG)
    is_ready(t)
    served(t, given.getsockname(), 'a socket at the address of a listener is used')
    stop(t, pid)


def by_name(t):
    given = socket.create_server(('127.0.0.1', 0))
    stray = socket.create_server(('127.0.0.1', 0))
    pid = with_sockets(t, [stray, given], 'stray:main', CONFIG)
    is_ready(t)
    served(t, given.getsockname(), 'a socket with the name of an edge is its listener')
    ok(not socket.socket().connect_ex(('127.0.0.1', t.port('smtp'))) == 0, 'and nothing else is opened for it')
    like(t.read('master.log').decode(), 'closed a socket from LISTEN_FDS that no listener has name=stray',
        'one that nobody knows is closed')
    stop(t, pid)


def through_reloads(t):
    """They stay where they are found again; systemd has its own copies of all."""
    named, found = socket.create_server(('127.0.0.1', 0)), socket.create_server(('127.0.0.1', t.port('found')))
    text = CONFIG.replace('edge: {main:', 'edge: {more: {type: smtp, queue: q, listener: {port: @port:found@}}, main:')
    pid = with_sockets(t, [named, found], 'main:x', text)
    is_ready(t)
    for generation, text in ((1, text), (2, text.replace('edge: {instances: 2}', 'edge: {instances: 3}')), (3, CONFIG)):
        t.config(text)
        os.kill(pid, signal.SIGHUP)
        wait_for(lambda: f'generation ended generation={generation}' in t.read('master.log').decode(), what='a reload')
        served(t, named.getsockname(), 'the one with the name of an edge')
        if text != CONFIG:
            served(t, found.getsockname(), 'and the one with an address')
    ok(not socket.socket().connect_ex(('127.0.0.1', t.port('smtp'))) == 0, 'nothing is opened besides')
    stop(t, pid)


def systemd(t):
    activate = shutil.which('systemd-socket-activate')
    if not activate:
        skip('systemd-socket-activate is not here')
        return
    conf = t.config(CONFIG)
    process = t.start(activate, '-l', f'127.0.0.1:{t.port("smtp")}', t.program('slimta-master'), '-c', conf, *ROOT,
        ready='Listening on')
    served(t, ('127.0.0.1', t.port('smtp')), 'started by the first connection, which is served')
    process.stop()


run(by_address, by_name, through_reloads, systemd)
