#!/usr/bin/python3
# 3321-edge-proxy-wrong.t - what is no PROXY header, comes slowly, or from somebody who may not tell: closed without a word
# SPDX-License-Identifier: MIT
# S13
import os
import signal
import socket
import struct
import time

from lib.edge import config, replies
from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.proxied import LOCAL, PROXY, SIGNATURE, block, connect, v1, v2, v2_of

WRONG = {
    'no header': b'EHLO client.example\r\n',
    'one octet': b'E',
    'TLS': b'\x16\x03\x01\x02\x00\x01',
    'a malformed line': b'PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n',
    'a name for an address': b'PROXY TCP4 localhost 127.0.0.1 1 2\r\n',
    'LF alone': b'PROXY UNKNOWN\n',
    '108 octets': b'PROXY UNKNOWN ' + b'x' * 92 + b'\r\n',
    'a line without end': b'PROXY UNKNOWN ' + b'x' * 5000,
    'another version': v2(0x31, *block('192.0.2.1')),
    'another command': v2(0x22, *block('192.0.2.1')),
    'another family': v2(PROXY, 0x41, bytes(12)),
    'another protocol': v2(PROXY, 0x14, bytes(12)),
    'too short': v2(PROXY, 0x11, bytes(11)),
    'a length of 1025': SIGNATURE + b'\x21\x11\x04\x01',
    'a length of 65535': SIGNATURE + b'\x20\x00\xff\xff',
    'values cut': v2_of('192.0.2.1', tlvs=b'\1\0\2h'),
    'a wrong checksum': v2_of('192.0.2.1', tlvs=b'\3\0\4abcd'),
}


def refused(client, what):
    is_(client.read_until(b'\n'), b'', f'{what}: closed without a word')
    client.close()


def trickle(client):
    """Octet by octet: the time is the header's."""
    try:
        for octet in v1('2001:db8:1111:2222:3333:4444:5555:6666'):
            client.send(bytes([octet]))
            time.sleep(0.2)
    except OSError:
        pass
    refused(client, 'octet by octet')


def wrong(t):
    edge = t.edge(config(', proxy_protocol: yes'))
    with connect(t, 'smtp', v1('192.0.2.1')) as client:
        client.hello()
        edge.wait_log('connected')
        before = len(os.listdir(f'/proc/{edge.pid}/fd'))
        began = time.monotonic()
        slow = [connect(t, 'smtp', start) for start in (b'', b'P', SIGNATURE, v1('192.0.2.1')[:-1], v2_of('192.0.2.1')[:-1])]
        for what, header in WRONG.items():
            refused(connect(t, 'smtp', header), what)
        with connect(t, 'smtp', b'PROXY UNKN') as ended:
            ended.sock.shutdown(socket.SHUT_WR)
            refused(ended, 'an end within the header')
        for start in (b'', b'PROXY', v2(LOCAL)):
            reset = connect(t, 'smtp', start)
            reset.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            reset.close()
        trickle(connect(t, 'smtp'))
        for client_ in slow:
            refused(client_, 'a slow header')
        ok(4.5 < time.monotonic() - began < 5 + 10 * SLOW, 'in 5 seconds')
        client.cmd('NOOP', 250, '', 'whoever is in a session stays')
        wait_for(lambda: len(os.listdir(f'/proc/{edge.pid}/fd')) <= before + 1, 10, 'all descriptors to be closed')
    is_(edge.log.count(': refused a connection '), 1, 'a flood is one line')
    like(edge.log, 'warn .*: refused a connection edge=main because="no PROXY header" .*client=127.0.0.1', 'which says why, and who')
    like(edge.log, 'debug .*: refused client=127.0.0.1 .*because="a PROXY line of more than 107 octets"', 'debug has all')
    is_(edge.stop(), 0, 'the edge ends well')
    like(edge.log, r'refused connections count=\d+ edge=main', 'and how many more')


def who_may(t):
    edge = t.edge(config(', proxy_protocol: yes, proxy_from: [127.0.0.2, 192.0.2.0/24]'))
    refused(connect(t, 'smtp', v1('192.0.2.1')), 'a header from elsewhere')
    refused(connect(t, 'smtp', v2(LOCAL)), 'LOCAL from elsewhere')
    refused(connect(t, 'smtp'), 'nothing from elsewhere, at once')
    with connect(t, 'smtp', v1('127.0.0.1'), source='127.0.0.2') as client:
        client.hello()
    like(edge.log, 'warn .*because="its address is not one of proxy_from" .*client=127.0.0.1', 'the log says why, and who')
    like(edge.log, r'connected session=\S+ client=127\.0\.0\.1 port=50000 proxy=127\.0\.0\.2 ', 'whoever may tell is believed')
    unlike(edge.log, 'client=192.0.2.1', 'the other is not')


def drained(t):
    edge = t.edge(config(', proxy_protocol: yes'))
    waiting = [connect(t, 'smtp', start) for start in (b'', b'PROXY ')]
    with connect(t, 'smtp', v1('192.0.2.1')) as client:
        client.hello()
        began = time.monotonic()
        edge.kill(signal.SIGTERM)
        client.expect(421)
    is_([replies(client) for client in waiting], [[421], [421]], 'who waits is told when the edge ends')
    is_(edge.wait(), 0, 'which it does')
    ok(time.monotonic() - began < 4 * SLOW, 'at once')


def checked(t):
    path = t.config(config(', proxy_from: [192.0.2.0/33]'))
    result = t.run('slimta-edge', '-c', path, '--check', '--allow-root')
    is_(result.returncode, 1, 'a network that is none')
    like(result.stderr.decode(), r'slimta\.conf:\d+:\d+: edge\.main\.proxy_from', 'an error where it stands')
    t.config(config(', proxy_from: [192.0.2.0/24]'))
    result = t.run('slimta-edge', '-c', path, '--check', '--allow-root')
    is_(result.returncode, 0, 'proxy_from alone')
    like(result.stderr.decode(), r'proxy_from: warning: of no use without proxy_protocol', 'is a warning')
    said = 'proxy_protocol: warning: whoever reaches .* can pass for any client; expected proxy_from'
    for interface, more, warned in (('"*"', '', True), ('192.0.2.1', '', True), ('127.0.0.1', '', False), ('"*"', ', proxy_from: [192.0.2.1]', False)):
        t.config(config(f', proxy_protocol: yes{more}').replace('{port:', f'{{interface: {interface}, port:'))
        result = t.run('slimta-edge', '-c', path, '--check', '--allow-root')
        (like if warned else unlike)(result.stderr.decode(), said, f'interface {interface}{more}')
    t.config(config(', proxy_protocol: yes, proxy_from: [192.0.2.1]').replace('listener: {port: @port:smtp@}',
        'listeners: [{port: @port:smtp@}, {path: @dir@/smtp.sock}]'))
    result = t.run('slimta-edge', '-c', path, '--check', '--allow-root')
    is_(result.returncode, 0, 'a unix socket beside proxy_from')
    like(result.stderr.decode(), r'proxy_from: warning: refuses whoever comes by unix:/\S+/smtp\.sock, which has no address', 'is warned of')


def by_unix_socket(t):
    """It has no address: proxy_from is not for it, however wide."""
    text = config(', proxy_protocol: yes@from@').replace('{port: @port:smtp@}', '{path: @dir@/smtp.sock}')
    for networks, wanted in (('', b'220 '), (', proxy_from: [0.0.0.0/0, "::/0"]', b'')):
        edge = t.edge(text.replace('@from@', networks))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10 * SLOW)
            sock.connect(t.path('smtp.sock'))
            try:
                sock.sendall(v1('192.0.2.1'))
                got = sock.recv(4)
            except (BrokenPipeError, ConnectionResetError):
                got = b''
        is_(got, wanted, f'by a unix socket{networks}')
        is_(edge.stop(), 0, 'the edge ends well')


run(wrong, who_may, by_unix_socket, drained, checked)
