#!/usr/bin/python3
# 3320-edge-proxy.t - PROXY headers, v1 and v2: whose connection it is
# SPDX-License-Identifier: MIT
# S13
import re
import socket
import ssl

from lib.certificates import Certificates
from lib.edge import GROUP, config, secure, stored, with_tls
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.proxied import LOCAL, PROXY, SIGNATURE, block, connect, v1, v2, v2_of

RECEIVED = ', policies: [{type: add_received_header}]'
UNIX = v2(PROXY, 0x31, b'/tmp/client'.ljust(108, b'\0') + b'/tmp/server'.ljust(108, b'\0'))
# Header, what the envelope has for ip, and the Received field.
RIGHT = {
    'v1': (v1('192.0.2.1'), '192.0.2.1', '[192.0.2.1]'),
    'v1 of IPv6': (v1('2001:db8::1'), '2001:db8::1', '[IPv6:2001:db8::1]'),
    'v1, IPv4 within IPv6': (v1('::ffff:192.0.2.2'), '192.0.2.2', '[192.0.2.2]'),
    'v1 of 107 octets': (b'PROXY UNKNOWN ' + b'x' * 91 + b'\r\n', None, '[unknown]'),
    'UNKNOWN': (b'PROXY UNKNOWN\r\n', None, '[unknown]'),
    'v2': (v2_of('192.0.2.3'), '192.0.2.3', '[192.0.2.3]'),
    'v2 of IPv6': (v2_of('2001:db8::3'), '2001:db8::3', '[IPv6:2001:db8::3]'),
    'v2, IPv4 within IPv6': (v2_of('::ffff:192.0.2.4'), '192.0.2.4', '[192.0.2.4]'),
    'v2 with 1 KB of values': (v2_of('192.0.2.5', tlvs=b'\xe0\3\xf1' + b'v' * 1009), '192.0.2.5', '[192.0.2.5]'),
    'AF_UNSPEC': (v2(), None, '[unknown]'),
    'AF_UNIX': (UNIX, None, '[unknown]'),
    'datagrams': (v2(PROXY, 0x12, block('192.0.2.6')[1]), None, '[unknown]'),
    'LOCAL': (v2(LOCAL), '127.0.0.1', '[127.0.0.1]'),
    'LOCAL with an address': (v2(LOCAL, *block('192.0.2.7')), '127.0.0.1', '[127.0.0.1]'),
}


def right(t):
    edge = t.edge(config(', proxyprotocol: yes', queue=RECEIVED))
    for number, (what, (header, ip, shown)) in enumerate(RIGHT.items()):
        with connect(t, 'smtp', header) as client:
            client.hello()
            client.mail(f'{number}@b.example', ['c@d.example'], f'Subject: {what}\r\n\r\n')
        message = next(m for m in stored(t) if m['sender'] == f'{number}@b.example')
        is_(message['client'].get('ip'), ip, f'{what}: the envelope has {ip}')
        like(message['content'].decode(), re.escape(f'(unknown {shown})'), f'{what}: the Received field')
        like(edge.log, rf'accepted .*sender={number}@b\.example .*client={ip or "unknown"} ', f'{what}: the log')
    like(edge.log, r'connected session=\S+ client=2001:db8::3 port=50000 proxy=127\.0\.0\.1 ', 'the proxy is told too')
    like(edge.log, r'connected session=\S+ client=127\.0\.0\.1 port=\d+ edge=', 'but where it is itself')


def at_once(t):
    """What stands behind a header is the session's: a client that talks too early is told so, as it would be without."""
    t.edge(config(', proxy_protocol: yes'))
    for header in (v1('192.0.2.1'), v2_of('192.0.2.1'), v2(LOCAL)):
        with connect(t, 'smtp', header + GROUP) as client:
            client.expect(554, '5.5.1 Command before the greeting')
        with connect(t, 'smtp', header + v1('192.0.2.9')) as client:
            client.expect(554, '5.5.1 Command before the greeting', 'a second header is none')


def cut(t):
    """The first part is there when the rest comes, wherever that is cut."""
    edge = t.edge(config(', proxy_protocol: yes'))
    for header in (v1('192.0.2.1'), v2_of('2001:db8::1', tlvs=b'\4\0\1 ')):
        clients = [(at, connect(t, 'smtp', header[:at])) for at in range(1, len(header))]
        with connect(t, 'smtp', header) as last:
            last.hello()
        wait_for(lambda: all(not unread(client) for _, client in clients), 20, 'all first parts to be taken')
        for at, client in clients:
            client.send(header[at:])
        is_([at for at, client in clients if client.reply().code != 220], [], f'a header of {len(header)} octets, cut at each')
        for _, client in clients:
            client.close()
    ok(edge.running(), 'the edge lives')


def unread(client):
    """Octets of the client that the edge has not taken."""
    ours, theirs = (socket.ntohs(sock[1]) for sock in (client.sock.getsockname(), client.sock.getpeername()))
    wanted = [f'0100007F:{socket.ntohs(port):04X}' for port in (theirs, ours)]
    with open('/proc/net/tcp', encoding='ascii') as file:
        for line in file:
            words = line.split()
            if words[1:3] == wanted:
                return int(words[4].split(':')[1], 16)
    return 0


def handshake(client, context, header):
    """The banner, after a handshake whose first octets come with the header."""
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(theirs, ours, server_hostname='localhost')
    while True:
        try:
            return tls.read(100)
        except ssl.SSLWantReadError:
            client.send(header + ours.read())
            header = b''
            theirs.write(client.sock.recv(65536))


def before_tls(t):
    """TLS that comes at once begins behind the header, to the octet."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates, ', tls_immediately: yes, proxy_protocol: yes'))
    for number, header in enumerate((v1('192.0.2.1'), v2_of('192.0.2.1', tlvs=b'\1\0\2h2'))):
        with connect(t, 'smtp') as client:
            is_(handshake(client, certificates.client(), header)[:4], b'220 ', 'with the first of TLS behind it')
        with connect(t, 'smtp', header) as client:
            secure(client, certificates.client(), starttls=False).hello()
            client.mail(f'{number}@b.example', ['c@d.example'], 'Subject: x\r\n\r\n')
        message = next(m for m in stored(t) if m['sender'] == f'{number}@b.example')
        is_((message['client']['ip'], message['client']['protocol']), ('192.0.2.1', 'ESMTPS'), 'and a message in TLS')
    with connect(t, 'smtp', b'\x16\x03\x01\x02\x00\x01') as client:
        is_(client.read_until(b'\n'), b'', 'no header: no TLS')
    is_(edge.stop(), 0, 'the edge ends well')


def looked(t):
    """Whether the port is open: that is no refusal, and not worth a line."""
    edge = t.edge(config(', proxy_protocol: yes'))
    for _ in range(3):
        client = connect(t, 'smtp')
        client.sock.shutdown(socket.SHUT_WR)
        is_(client.read_until(b'\n'), b'', 'closed without a word')
        client.close()
    is_(edge.stop(), 0, 'it ends well')
    unlike(edge.log, ' refused ', 'nothing is said of it')


run(right, at_once, cut, before_tls, looked)
