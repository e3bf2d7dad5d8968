#!/usr/bin/python3
# 3032-edge-listeners.t - one edge on listeners of every kind: a message over each, and what is said of its client
# SPDX-License-Identifier: MIT
import os
import re
import socket
import signal
import stat

from lib.edge import stored
from lib.fixture import IS_ROOT, Client, is_, like, run, skip
from lib.peer import have_ipv6

CONFIG = '''@process@    logging: {level: debug}
  worker: {instances: 0}
edge:
  main: {type: smtp, queue: q, hostname: mx.example, listeners: [LISTENERS]}
queue:
  q: {type: disk, relay: none, envelope_dir: @dir@/mail, meta_dir: @dir@/meta, allow_volatile: yes,
    policies: [{type: add_received_header}]}
relay:
  none: {type: blackhole}
'''


def config(listeners):
    return CONFIG.replace('LISTENERS', listeners)


def connect(t, family, address):
    sock = socket.socket(family, socket.SOCK_STREAM)
    t.sockets.append(sock)
    sock.connect(address)
    return Client(sock, t.timeout)


def mail(client, sender):
    client.hello()
    client.mail(sender, ['c@d.example'], 'Subject: x\r\n\r\n')
    client.cmd('QUIT', 221)
    client.close()


def of(t, sender):
    """The envelope of the message from `sender`, its Received field in `received`."""
    found = next(m for m in stored(t) if m['sender'] == sender)
    found['received'] = re.match(r'Received: [^;]*;', found['content'].decode())[0]
    return found


def check(t, log, sender, ip, shown, what):
    is_(of(t, sender)['client']['ip'], ip, f'{what}: the envelope says {ip}')
    like(log, rf'info .*edge: connected session=\S+ client={re.escape(ip)} port=', f'{what}: the log')
    like(log, rf'info .*edge: accepted .*sender={re.escape(sender)} .*client={re.escape(ip)} ', f'{what}: also of its message')
    like(of(t, sender)['received'], rf'from client\.example {re.escape(shown)}', f'{what}: the Received field')


def several(t):
    if not have_ipv6():
        skip('no IPv6 here', 'IPv6')
        return
    edge = t.edge(config('{port: @port:four@}, {type: tcp6, port: @port:six@}, {interface: "*", port: @port:all@, backlog: 5}, '
        '{path: @dir@/socket, mode: 0620}, {path: @dir@/more}'))
    places = {
        'four@b.example': (socket.AF_INET, ('127.0.0.1', t.port('four')), '127.0.0.1', '(unknown [127.0.0.1])'),
        'six@b.example': (socket.AF_INET6, ('::1', t.port('six')), '::1', '(unknown [IPv6:::1])'),
        'all4@b.example': (socket.AF_INET, ('127.0.0.1', t.port('all')), '127.0.0.1', '(unknown [127.0.0.1])'),
        'all6@b.example': (socket.AF_INET6, ('::1', t.port('all')), '::1', '(unknown [IPv6:::1])'),
        'unix@b.example': (socket.AF_UNIX, t.path('socket'), 'unix', '(unix socket)'),
        'more@b.example': (socket.AF_UNIX, t.path('more'), 'unix', '(unix socket)'),
    }
    for sender, (family, address, _, _) in places.items():
        mail(connect(t, family, address), sender)
    for sender, (_, _, ip, shown) in places.items():
        check(t, edge.log, sender, ip, shown, sender[:sender.index('@')])
    is_(stat.S_IMODE(os.stat(t.path('socket')).st_mode), 0o620, 'a unix socket has its mode')
    is_(stat.S_IMODE(os.stat(t.path('more')).st_mode), 0o660, 'or that of the manual')
    is_(os.stat(t.path('socket')).st_uid, os.getuid(), 'and our user')
    # A client may have bound its end to a path of its own: that is no address either.
    named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    named.bind(t.path('client\n end'))
    named.connect(t.path('socket'))
    mail(Client(named, t.timeout), 'named@b.example')
    check(t, edge.log, 'named@b.example', 'unix', '(unix socket)', 'named')
    is_(edge.stop(), 0, 'it ends well')


def unix(t):
    """A file that a dead edge left is replaced, one that somebody serves is not; nor is anything else."""
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(t.path('socket'))
    left.close()
    edge = t.edge(config('{path: @dir@/socket}'))
    mail(connect(t, socket.AF_UNIX, t.path('socket')), 'stale@b.example')
    is_(len(stored(t)), 1, 'a stale file is no hindrance')
    root = ['--allow-root'] if IS_ROOT else []
    for listener, code, wanted in (
            ('{path: @dir@/socket}', 1, 'main cannot listen on unix:.*/socket: .*in use'),
            ('{path: @dir@/nowhere/socket}', 1, 'main cannot listen on unix:.*/nowhere/socket: No such file or directory'),
            ('{path: @dir@/mail}', 1, 'main cannot listen on unix:.*/mail: File exists'),
            ('{path: "@dir@/' + 'x' * 110 + '"}', 1, r'listeners\[0\]\.path: the path of a unix socket has at most 107 octets')):
        done = t.run('slimta-edge', '-c', t.config(config(listener), 'other.conf'), *root)
        is_(done.returncode, code, f'{listener[:30]}: the start fails')
        like(done.stderr.decode(), wanted, 'and says why')
    mail(connect(t, socket.AF_UNIX, t.path('socket')), 'still@b.example')
    is_(len(stored(t)), 2, 'who served before still does')
    is_(edge.stop(), 0, 'it ends well')


def both_families(t):
    """A socket that systemd made may take both: an IPv4 client of it has an IPv4 address."""
    if not have_ipv6():
        skip('no IPv6 here', 'IPv6')
        return
    given = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True)
    conf = t.config(config('{port: @port:smtp@}'))
    script = t.write('activate', f'#!/bin/sh\nexec env LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=main '
        f'"$@" 3<&{given.fileno()}\n', 0o755)
    os.set_inheritable(given.fileno(), True)
    with open(t.path('master.log'), 'wb') as log:
        pid = os.posix_spawn(script, [script, t.program('slimta-master'), '-c', conf, *(['--allow-root'] if IS_ROOT else [])],
            t.env, file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)])
    try:
        mail(connect(t, socket.AF_INET, ('127.0.0.1', given.getsockname()[1])), 'mapped@b.example')
        mail(connect(t, socket.AF_INET6, ('::1', given.getsockname()[1])), 'six@b.example')
    finally:
        os.kill(pid, signal.SIGTERM)
        is_(os.waitpid(pid, 0)[1], 0, 'the master ends well')
    log = t.read('master.log').decode()
    check(t, log, 'mapped@b.example', '127.0.0.1', '(unknown [127.0.0.1])', 'mapped')
    check(t, log, 'six@b.example', '::1', '(unknown [IPv6:::1])', 'six')


run(several, unix, both_families)
