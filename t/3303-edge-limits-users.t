#!/usr/bin/python3
# 3303-edge-limits-users.t - messages of users: however they are written, whoever is called like an address, on each edge apart
# SPDX-License-Identifier: MIT
from lib.edge import config, plain
from lib.fixture import is_, like, run
from lib.proxied import connect, v1

KEYS = ('max_messages_per_minute: 1, auth_without_tls: yes, proxy_protocol: yes, rules: {regex_senders: ["."], '
    'lookup_credentials: {type: config, map: {"ann@b.example": {password: "{PLAIN}x"}, bob: {password: "{PLAIN}x"}, '
    'unknown: {password: "{PLAIN}x"}}}}')


def mail(t, code, ip=None, user=None, port='smtp', text=''):
    with connect(t, port, v1(ip) if ip else b'PROXY UNKNOWN\r\n') as c:
        c.hello()
        if user:
            c.cmd('AUTH PLAIN ' + plain(user, 'x'), 235)
        c.cmd('MAIL FROM:<a@b.example>', code, text, f'{user} from {ip} on {port}: {code}')


def users(t):
    """Who authenticated has his own, from wherever he comes; the address that he comes from, too."""
    two = config(', ' + KEYS).replace('queue:\n', '  other: {type: smtp, queue: q, hostname: mx.example, '
        f'listener: {{port: @port:other@}}, {KEYS}}}\nqueue:\n', 1)
    edge = t.edge(two)
    mail(t, 250, '192.0.2.1', 'ann@b.example')
    mail(t, 450, '192.0.2.2', 'ann@b.example', text=r'^4\.7\.1 More than 1 messages a minute from your account$')
    mail(t, 450, '192.0.2.1', 'ann@B.EXAMPLE')
    mail(t, 250, '192.0.2.1', 'bob')
    mail(t, 250, '192.0.2.1')
    mail(t, 450, '192.0.2.1', text=r'^4\.7\.1 More than 1 messages a minute from your address$')
    mail(t, 250, '192.0.2.3', 'unknown')
    mail(t, 250)
    mail(t, 450)
    mail(t, 250, '192.0.2.1', port='other')
    mail(t, 250, '192.0.2.1', 'ann@b.example', port='other')
    is_(edge.stop(), 0, 'it ends well')
    like(edge.log, r'edge: refused a message edge=main because="max_messages_per_minute of a user" .*user=ann@b\.example',
        'who and why')


def names(t):
    """What else he may call himself makes him nobody else."""
    edge = t.edge(config(', ' + KEYS.replace('type: config,', 'type: config, key_template: "{localpart}",')))
    mail(t, 250, '192.0.2.1', 'bob')
    mail(t, 450, '192.0.2.2', 'bob@c.example')
    mail(t, 250, '192.0.2.3', 'unknown@c.example')
    is_(edge.stop(), 0, 'it ends well')


def trusted(t):
    """Nobody knows where a client that the proxy does not know comes from: it is in no network."""
    edge = t.edge(config(', auth_without_tls: yes, proxy_protocol: yes, trusted_clients: [0.0.0.0/0, "::/0"], rules: '
        '{lookup_credentials: {type: config, map: {bob: {password: "{PLAIN}x"}}}}'))
    mail(t, 250, '192.0.2.1')
    mail(t, 250, '2001:db8::1')
    mail(t, 550)
    mail(t, 250, user='bob')
    is_(edge.stop(), 0, 'it ends well')


run(users, names, trusted)
