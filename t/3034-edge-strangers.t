#!/usr/bin/python3
# 3034-edge-strangers.t - clients that fall silent in any phase, trickle, or speak no SMTP: answered, and ended in time
# SPDX-License-Identifier: MIT
# P19
import random
import re
import ssl
import time

from lib.edge import GROUP, MAIL, config, replies, stored
from lib.fixture import SLOW, is_, ok, run, wait_for


def silent(t):
    """In each phase, and within a line or the data: 421 4.4.2 in time, whatever was said before."""
    edge = t.edge(config(', command_timeout: 2, data_timeout: 2'))
    starts = [b'', b'N', b'NOOP\r', b'x' * 5000, b'EHLO c.example\r\n', b'wrong\r\n', GROUP[:GROUP.index(b'RCPT')],
        GROUP[:GROUP.index(b'DATA')], GROUP[:-2], GROUP, GROUP + b'Subject: x\r\n\r\n', GROUP + b'x\r\n.', GROUP + b'x\r\n.\r',
        MAIL[:-6], b'\x80\xff\0' * 20]
    clients = []
    for start in starts:
        client = t.client('smtp')
        client.reply()
        client.send(start)
        clients.append((start, client))
    for start, client in clients:
        last = None
        while True:
            reply = client.reply()
            if not reply.code:
                break
            last = reply
        if not (last.code == 421 and last.text.startswith('4.4.2 ')):
            is_(last, 421, f'after {start[-20:]!r}')
        client.close()
    is_(len(stored(t)), 1, f'{len(starts)} silent ones end; only what had its dot is stored')
    wait_for(lambda: len(re.findall(' disconnected ', edge.log)) == len(starts), 10, 'all sessions to be gone')


def slow_line(t):
    """One octet at a time through lines of any length: the time is the line's, not the octet's."""
    t.edge(config(', command_timeout: 1'))
    for line in (b'NOOP ' + b'x' * 100_000, b'\0' * 100_000, b'\r' * 100_000):
        with t.client('smtp') as client:
            client.expect(220)
            began = time.monotonic()
            try:
                for octet in line:
                    client.send(bytes([octet]))
                    time.sleep(0.05)
            except OSError:
                pass
            spent = time.monotonic() - began
            ok(0.9 < spent < 8 * SLOW, f'{line[:6]!r}... ended in time ({spent:.1f} s)')
            is_(replies(client)[-1:] in ([421], []), True, 'with 421 4.4.2')


def client_hello():
    """What a TLS client says first."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname='mx.example').do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def foreign(t):
    """TLS where none is spoken, random octets, other protocols: replies of SMTP or nothing, and soon the end."""
    edge = t.edge(config(', command_timeout: 1').replace('level: debug', 'levels: {smtp: warn}'))
    noise = random.Random(7)
    parts = [client_hello(), b'\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0', b'SSH-2.0-OpenSSH_9.2\r\n',
        b'PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n', b'\r\n' * 30000, b'\n' * 100_000]
    parts += [noise.randbytes(noise.randrange(1, 100_000)) for _ in range(60)]
    clients = []
    for part in parts:
        client = t.client('smtp')
        client.reply()
        try:
            client.send(part)
        except OSError:
            pass
        clients.append(client)
    codes = set()
    for client in clients:
        codes.update(replies(client))
        client.close()
    ok(codes <= {421, 500, 501, 502, 503, 554}, f'answered by refusals ({sorted(codes)})')
    ok({421, 554} <= codes, 'and ended')
    with t.client('smtp') as client:
        client.hello()
    ok(edge.running(), 'the edge goes on')


run(silent, slow_line, foreign)
