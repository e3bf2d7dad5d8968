#!/usr/bin/python3
# 3227-edge-tls-ends.t - mail data that TLS was cut in makes no message, and what was said stays in no memory
# SPDX-License-Identifier: MIT
import base64
import re
import socket
import ssl
import struct

from lib.certificates import Certificates
from lib.edge import GROUP, secure, stored, users, with_tls
from lib.fixture import is_, ok, run, wait_for

VERSIONS = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
MOST = 1 << 28         # more is what a sanitizer keeps for itself


def end(sock):
    socket.socket.shutdown(sock, socket.SHUT_WR)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


def notify(sock):
    """What comes from there on is not looked at."""
    try:
        sock.unwrap()
    except OSError:
        pass


def garble(sock):
    """A whole message, but not of this client's key."""
    socket.socket.send(sock, b'\x17\x03\x03\x00\x40' + b'x\r\n.\r\nQUIT\r\n'.ljust(64))


def truncated(t):
    """Whoever is on the way can end a connection in the middle of mail data: that is no end of it."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    count = 0
    for version in VERSIONS:
        for data in GROUP + b'x\r\n', GROUP + b'x\r\n.', GROUP + b'x\r\n.\r', GROUP[:-6] + b'BDAT 3\r\nx\r\nBDAT 4 LAST\r\nx\r\n':
            for cut in end, reset, notify, garble:
                with t.client('smtp') as c:
                    c.hello()
                    secure(c, certificates.client(version))
                    c.send(data)
                    for code in 250, 250, 250, 250 if b'BDAT' in data else 354:
                        c.expect(code)
                    cut(c.sock)
                    count += 1
    wait_for(lambda: edge.log.count(' disconnected ') == count, what='all to be gone')
    is_(stored(t), [], f'{count} messages that were cut are none')
    is_(edge.log.count(' TLS failed '), count // 4, 'the garbled ones are told of')
    for version in VERSIONS:
        since = len(edge.log)
        with t.client('smtp') as c:
            c.hello()
            secure(c, certificates.client(version))
            c.send(GROUP + b'x\r\n.\r\n')
            notify(c.sock)
            edge.wait_log(' edge: accepted ', since=since)
    is_(len(stored(t)), 2, 'one that is whole is one, whatever comes then')


def places(pid, octets):
    """Where they stand in the memory of the process, as far as it writes there."""
    found = []
    with open(f'/proc/{pid}/maps', encoding='ascii') as maps, open(f'/proc/{pid}/mem', 'rb') as memory:
        for line in maps:
            first, last, rights = re.match(r'([0-9a-f]+)-([0-9a-f]+) (\S+)', line).groups()
            size = int(last, 16) - int(first, 16)
            if rights.startswith('rw') and size < MOST:
                memory.seek(int(first, 16))
                found += [line] if octets in memory.read(size) else []
    return found


def forgotten(t):
    """A password, in base64 as it came within TLS."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates, users({'ann': '{PLAIN}other'})))
    password = base64.b64encode(b'%b and its end' % (b'a long password, ' * 12)).decode()
    ok(places(edge.pid, b'mx.example'), 'its memory can be read')
    for version in VERSIONS:
        with t.client('smtp') as c:
            c.hello()
            secure(c, certificates.client(version))
            c.cmd('EHLO c.example', 250)
            c.cmd('AUTH LOGIN', 334)
            c.cmd(base64.b64encode(b'ann').decode(), 334)
            c.cmd(password, 535)
            is_(places(edge.pid, password[-16:].encode()), [], f'{version.name}: it is nowhere')


run(truncated, forgotten)
