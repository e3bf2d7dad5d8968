# proxied.py - PROXY headers, as a proxy sends them: a test's clients may come from anywhere
# SPDX-License-Identifier: MIT
import ipaddress
import socket
import struct

from .peer import Client

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
LOCAL, PROXY = 0x20, 0x21


def v1(ip, port=50000):
    family = 'TCP6' if ':' in ip else 'TCP4'
    return f'PROXY {family} {ip} {"::1" if ":" in ip else "127.0.0.1"} {port} 25\r\n'.encode()


def block(ip, port=50000):
    """Family and protocol of version 2, and its addresses."""
    source = ipaddress.ip_address(ip)
    ours = ipaddress.ip_address('127.0.0.1' if source.version == 4 else '::1')
    return 0x11 if source.version == 4 else 0x21, source.packed + ours.packed + struct.pack('>HH', port, 25)


def v2(command=PROXY, family=0, rest=b''):
    return SIGNATURE + struct.pack('>BBH', command, family, len(rest)) + rest


def v2_of(ip, port=50000, tlvs=b''):
    family, rest = block(ip, port)
    return v2(PROXY, family, rest + tlvs)


def connect(t, port, header=b'', source=None):
    """A Client whose connection begins with that; `source`: the address of ours that it is from."""
    sock = socket.create_connection(('127.0.0.1', t.port(port)), t.timeout, (source, 0) if source else None)
    t.sockets.append(sock)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = Client(sock, t.timeout)
    client.send(header)
    return client
