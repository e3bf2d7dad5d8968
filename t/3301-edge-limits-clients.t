#!/usr/bin/python3
# 3301-edge-limits-clients.t - what one client may have, and a flood of refusals in few lines
# SPDX-License-Identifier: MIT
import socket

from lib.edge import config
from lib.fixture import SLOW, is_, like, ok, run, wait_for
from lib.limits import counters, held_by, limited, refusal
from lib.proxied import connect, v1

FLOOD = 300


def one_client(t):
    """127.0.0.1 has two connections; 127.0.0.2 is somebody else, and so is a unix socket."""
    master = t.master(limited('max_connections_per_ip: 2').replace('listener: {port: @port:smtp@}',
        'listeners: [{interface: "", port: @port:smtp@}, {type: unix, path: @dir@/smtp.sock}]'))
    clients = [t.client('smtp') for _ in range(2)]
    for client in clients:
        client.expect(220)
    refusal(t, 'Too many connections from your address')
    others = []
    for family, source, to in ((socket.AF_INET, '127.0.0.2', '127.0.0.1'), (socket.AF_INET6, '::1', '::1')):
        for _ in range(2):
            sock = socket.socket(family)
            sock.settimeout(10 * SLOW)
            sock.bind((source, 0))
            sock.connect((to, t.port('smtp')))
            is_(sock.recv(4), b'220 ', f'{source} has its own')
            others.append(sock)
    for _ in range(4):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10 * SLOW)
        sock.connect(t.path('smtp.sock'))
        is_(sock.recv(4), b'220 ', 'a unix socket has no address')
        others.append(sock)
    with socket.create_connection(('::1', t.port('smtp')), 10 * SLOW) as sock:
        is_(sock.recv(4), b'421 ', 'the third of ::1 is refused')
    clients[0].close()
    wait_for(lambda: sum(held_by(t).values()) == 9, what='one less')
    with t.client('smtp') as client:
        client.expect(220, '', 'there is room for the next one')
    for sock in others:
        sock.close()
    is_(master.stop(), 0, 'it ends well')


def networks(t):
    """By what a proxy says: a /64 of IPv6 is one client, an IPv4 address is, and all that it does not know are."""
    edge = t.edge(config(', max_connections_per_ip: 2, max_messages_per_minute: 1, proxy_protocol: yes'))
    for first, second, third, other in (
            ('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:8000::', '2001:db8:1:3::1'),
            ('192.0.2.1', '::ffff:192.0.2.1', '192.0.2.1', '192.0.2.2'),
            ('', '', '', '2001:db8::')):
        clients = [connect(t, 'smtp', v1(ip) if ip else b'PROXY UNKNOWN\r\n') for ip in (first, second, third, other)]
        is_([client.reply().code for client in clients], [220, 220, 421, 220], f'{first or "unknown"}: two of one')
        for client, code in zip(clients[:2] + clients[3:], (250, 450, 250)):
            client.cmd('EHLO c.example', 250)
            client.cmd('MAIL FROM:<a@b.example>', code)
        for client in clients:
            client.close()
    is_(edge.stop(), 0, 'it ends well')


def trusted(t):
    """trusted_clients are not limited as clients; all of them count as connections."""
    edge = t.edge(config(', max_connections: 8, max_connections_per_ip: 1, max_messages_per_minute: 1, proxy_protocol: yes, '
        'trusted_clients: [192.0.2.0/24, "::/0"]'))
    clients = [connect(t, 'smtp', v1(ip)) for ip in ('192.0.2.1', '192.0.2.1', '2001:db8::1', '2001:db8::1')]
    strangers = [connect(t, 'smtp', header) for header in (v1('192.0.3.1'), v1('192.0.3.1'), *[b'PROXY UNKNOWN\r\n'] * 2)]
    is_([client.reply().code for client in clients + strangers], [220, 220, 220, 220, 220, 421, 220, 421], 'who is limited')
    for client, codes in (clients[0], (250, 250)), (strangers[0], (250, 450)):
        client.cmd('EHLO c.example', 250)
        for code in codes:
            client.cmd('MAIL FROM:<a@b.example>', code)
            client.cmd('RSET', 250)
    clients += [connect(t, 'smtp', v1('192.0.2.1')) for _ in range(2)]
    is_([client.reply().code for client in clients[4:]], [220, 220], 'more of them')
    refusal(t)
    for client in clients + strangers:
        client.close()
    is_(edge.stop(), 0, 'it ends well')


def messages(t):
    """Of an edge alone; what is refused is not counted, what is accepted is, whatever becomes of it."""
    edge = t.edge(config(', max_messages_per_minute: 3, max_recipients: 1000'))
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@b.example> SIZE=99999999999', 552)
        for _ in range(3):
            client.cmd('MAIL FROM:<a@b.example>', 250)
            client.cmd('RSET', 250)
        reply = client.cmd('MAIL FROM:<a@b.example>', 450)
        is_(reply.text, '4.7.1 More than 3 messages a minute from your address', 'the reason')
        client.cmd('RCPT TO:<c@d.example>', 503)
        client.cmd('NOOP', 250)
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@b.example>', 450)
    is_(edge.stop(), 0, 'it ends well')
    lines = [line for line in edge.log.splitlines() if 'refused' in line]
    is_(len(lines), 2, 'two refusals are two lines: the first, and how many more')
    like(lines[0], r'warn .*edge: refused a message edge=main because="max_messages_per_minute of an address" .*client=127.0.0.1$',
        'who and why')


def quiet(t):
    """A flood of refused connections: a few lines, and nobody waits for them."""
    master = t.master(limited('max_connections: 1'))
    with t.client('smtp') as client:
        client.hello()
        for _ in range(FLOOD):
            with socket.create_connection(('127.0.0.1', t.port('smtp')), 10 * SLOW) as sock:
                if not sock.recv(100).startswith(b'421 4.7.0 '):
                    ok(False, 'refused')
        client.cmd('NOOP', 250)
    is_(counters(t)['edge_connections_limited_total'], FLOOD, 'all are counted')
    is_(master.stop(), 0, 'it ends well')
    lines = [line for line in master.log.splitlines() if 'edge: refused' in line]
    ok(2 <= len(lines) <= 4 + 2 * SLOW, f'{FLOOD} refused are {len(lines)} lines')
    like(master.log, r'refused connections count=\d+ edge=main because="Too many connections"', 'with their count')
    counted = sum(int(line.split('count=')[1].split()[0]) if 'count=' in line else 1 for line in lines)
    is_(counted, FLOOD, 'none is left out')


run(one_client, networks, trusted, messages, quiet)
