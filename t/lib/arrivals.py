# arrivals.py - four edges with few places, by TLS and PROXY: connections that reach any phase, and are cut there
# SPDX-License-Identifier: MIT
import socket
import ssl
import struct

from .certificates import Certificates
from .edge import secure
from .fixture import SLOW, is_, wait_for
from .master import CONFIG, status
from .peer import Client
from .proxied import v1, v2_of

PLACES = 12
KEYS = 'queue: q, max_connections: 12, max_connections_per_ip: 12, command_timeout: 2, tls: {{certfile: {}, keyfile: {}}}'
EDGES = '''edge:
  main: {{type: smtp, listener: {{port: @port:main@}}, {0}}}
  told: {{type: smtp, listener: {{port: @port:told@}}, proxy_protocol: yes, {0}}}
  tls: {{type: smtp, listener: {{port: @port:tls@}}, tls_immediately: yes, {0}}}
  all: {{type: smtp, listener: {{port: @port:all@}}, proxy_protocol: yes, tls_immediately: yes, {0}}}
'''
NAMES = ('main', 'tls', 'told', 'all')
PROXIED, AT_ONCE = ('told', 'all'), ('tls', 'all')
LINES = ('EHLO c.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA', 'Subject: x')


def begin(t):
    certificates = Certificates(t)
    keys = KEYS.format(*certificates.make('good'))
    head, _, tail = CONFIG.partition('edge: {main')
    text = head + EDGES.format(keys) + tail.partition('\n')[2]
    return t.master(text), certificates.client()


def counters(t):
    return status(t.path('runtime/master'))[-1]['counters']


def none_is_left(t):
    wait_for(lambda: counters(t)['edge_connections'] == 0, 30, 'no connection')


def open_one(t, port):
    sock = socket.create_connection(('127.0.0.1', t.port(port)), 30 * SLOW)
    return Client(sock, 30 * SLOW)


def hello(name, noise=None):
    """The octets that a connection to that edge begins with, a ClientHello left out."""
    if name not in PROXIED:
        return b''
    return noise.choice([v1('127.0.0.1'), v2_of('127.0.0.1'), v2_of('127.0.0.1', tlvs=b'\x04\0\2xy')]) if noise else v1('127.0.0.1')


def client_hello():
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(into, out, server_hostname='localhost')
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def reach(t, name, context, noise):
    """A connection in some phase, the octets of which may be cut anywhere."""
    client = open_one(t, name)
    steps = noise.randrange(10)
    header = hello(name, noise)
    if steps < 4:
        octets = header + (client_hello() if name in AT_ONCE else b'EHLO x\r\nSTARTTLS\r\n' + client_hello())
        octets = octets if steps else octets.replace(b'\x03', b'\xff')
        client.sock.sendall(octets[:noise.randrange(len(octets) + 1)])
        return client
    client.sock.sendall(header)
    if name in AT_ONCE:
        secure(client, context, starttls=False)
    client.reply()
    client.line('EHLO c.example')
    client.reply()
    if name not in AT_ONCE and noise.randrange(2):
        secure(client, context)
    for line in LINES[:noise.randrange(len(LINES) + 1)]:
        client.line(line)
        if line != LINES[-1]:
            client.reply()
    return client


def cut(client, noise):
    if noise.randrange(2):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    client.sock.close()


def all_places(t, name, context, what):
    """As many as may be, and not one more."""
    clients = []
    for _ in range(PLACES):
        client = open_one(t, name)
        client.sock.sendall(hello(name))
        if name in AT_ONCE:
            secure(client, context, starttls=False)
        clients.append(client)
    is_([client.reply().code for client in clients], [220] * PLACES, f'{what}: {name} has all its places')
    with socket.create_connection(('127.0.0.1', t.port(name)), 30 * SLOW) as sock:
        is_(sock.recv(3), b'' if name in AT_ONCE else b'421', f'{what}: and no more')
    for client in clients:
        client.sock.close()
