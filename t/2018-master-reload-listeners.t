#!/usr/bin/python3
# 2018-master-reload-listeners.t - listeners of every kind through reloads: kept, changed, added, gone; nothing is left open
# SPDX-License-Identifier: MIT
import os
import pwd
import socket

from lib.fixture import IS_ROOT, is_, ok, run, wait_for
from lib.master import CONFIG, mode, sighup, with_keys


def with_listeners(listeners, text=CONFIG):
    return text.replace('listener: {port: @port:smtp@}', f'listeners: [{listeners}]')


def reload(t, master, text):
    """And waits until the old generation is gone."""
    since = len(master.log)
    t.config(text)
    sighup(master)
    master.wait_log('master: generation ended', since=since)


def greets(t, port):
    with t.client(port) as client:
        return client.reply().code == 220


def refuses(address, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        return client.connect_ex(address) != 0


def unix(t):
    """Shared by all edges of both generations; its file stays as long as the listener does."""
    path = t.path('sock')
    keys = '    user: nobody\n' if IS_ROOT else ''
    text = with_keys(keys).replace('@dir@/env', '@dir@/queue/env').replace('@dir@/meta', '@dir@/queue/meta')
    t.folder('queue', 'nobody')
    master = t.master(with_listeners('{path: @dir@/sock, mode: 0600}', text))
    first = os.stat(path).st_ino
    reload(t, master, with_listeners('{path: @dir@/sock, mode: 0666, backlog: 3}, {path: @dir@/more}', text))
    is_((os.stat(path).st_ino, mode(path)), (first, 0o666), 'the same socket, with its new mode')
    ok(greets(t, path) and greets(t, t.path('more')), 'both greet')
    is_({os.stat(t.path(name)).st_uid for name in ('sock', 'more')},
        {pwd.getpwnam('nobody').pw_uid if IS_ROOT else os.getuid()}, 'and belong to the edges\' user')
    reload(t, master, with_listeners('{path: @dir@/more}', text))
    ok(not os.path.exists(path), 'one that is gone has no file')
    ok(refuses(path, socket.AF_UNIX) and greets(t, t.path('more')), 'the other one stays')
    is_(master.stop(), 0, 'and it ends well')
    ok(not os.path.exists(t.path('more')), 'with its file')


def refused_leaves_nothing(t):
    """What was made for a generation that does not come is gone again; what the old one has too is not."""
    master = t.master(with_listeners('{path: @dir@/sock}'))
    text = with_listeners('{path: @dir@/sock}, {path: @dir@/more}, {interface: 192.0.2.1, port: 2525}')
    t.config(text)
    sighup(master, r'reload refused error="edge\.main cannot listen on 192\.0\.2\.1:2525')
    ok(greets(t, t.path('sock')), 'the old one serves')
    ok(not os.path.exists(t.path('more')), 'nothing is left of the other')
    ok('spawner-2' not in os.listdir(t.path('runtime')), 'nor a socket of its spawner')
    is_(master.stop(), 0, 'and it ends well')


def addresses(t):
    """One address, all of them, and back: the port is ours all the time."""
    master = t.master(with_listeners('{port: @port:smtp@}'))
    for listeners in ('{interface: "*", port: @port:smtp@}', '{type: tcp4, interface: "", port: @port:smtp@}',
            '{interface: 127.0.0.1, port: @port:smtp@, backlog: 9}'):
        reload(t, master, with_listeners(listeners))
        ok(greets(t, 'smtp'), f'{listeners}')
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        t.config(with_listeners(f'{{port: @port:smtp@}}, {{port: {port}}}'))
        sighup(master, rf'reload refused error="edge\.main cannot listen on 127\.0\.0\.1:{port}: in use"')
    ok(greets(t, 'smtp'), 'an address of somebody else is refused')
    is_(master.stop(), 0, 'and it ends well')


def no_edges(t):
    master = t.master(CONFIG)
    reload(t, master, CONFIG.replace('edge: {instances: 2}', 'edge: {instances: 0}'))
    ok(refuses(('127.0.0.1', t.port('smtp'))), 'no edges, no sockets')
    is_(master.children('slimta-edge'), [], 'none of them')
    reload(t, master, CONFIG)
    ok(greets(t, 'smtp'), 'and back')
    is_(master.stop(), 0, 'and it ends well')


def nothing_is_left(t):
    """Descriptors, memory of the counters, files: the fifth reload needs no more than the first."""
    def descriptors(pid):
        return len(os.listdir(f'/proc/{pid}/fd'))

    master = t.master(CONFIG)
    reload(t, master, CONFIG)
    before = descriptors(master.pid)
    edge = descriptors(master.children('slimta-edge')[0])
    for _ in range(4):
        reload(t, master, CONFIG)
    # The line says that the last of them is gone; what was held for it is closed in the same turn, just behind.
    wait_for(lambda: descriptors(master.pid) <= before, 10, 'the master to hold no more descriptors')
    is_(descriptors(master.children('slimta-edge')[0]), edge, 'and an edge as many')
    is_(sorted(name for name in os.listdir(t.path('runtime')) if name.startswith('spawner')), ['spawner-6'], 'one spawner')
    is_(len(master.children()), 4, 'and nobody else')
    is_(master.stop(), 0, 'and it ends well')
    is_([name for name in os.listdir(t.path('runtime')) if name.startswith('spawner')], [], 'whose socket is gone then')


run(unix, refused_leaves_nothing, addresses, no_edges, nothing_is_left)
