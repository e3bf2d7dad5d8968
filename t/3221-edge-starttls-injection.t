#!/usr/bin/python3
# 3221-edge-starttls-injection.t - what a client says in clear behind STARTTLS is nothing, and what it said before is forgotten
# SPDX-License-Identifier: MIT
# S7 P9
import signal
import socket
import ssl

from lib.certificates import Certificates
from lib.edge import secure, stored, with_tls
from lib.fixture import is_, like, ok, run, wait_for

BEHIND = [b'RSET\r\n', b'QUIT\r\n', b'NOO', b'EHLO evil.example\r\nMAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n',
    b'STARTTLS\r\n', b'\r\n' * 100, b'x' * 3000, b'\0\xff' * 50, b'BDAT 5\r\n', b'\x16\x03\x01\x00\x05hello']


def sequence(c):
    """Replies to what could be mistaken for replies to what was injected."""
    c.line('MAIL FROM:<a@b.example>')
    c.expect(503, r'^5\.5\.1 ', 'within TLS EHLO is due, and nothing else was answered')
    c.cmd('EHLO c.example', 250)
    c.mail('a@b.example', ['c@d.example'], 'Subject: x\r\n\r\nbody\r\n')
    c.cmd('QUIT', 221)


def one_packet(t):
    """It is dropped, and logged; TLS begins."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    for behind in BEHIND:
        since = len(edge.log)
        with t.client('smtp') as c:
            c.hello()
            c.send(b'STARTTLS\r\n' + behind)
            c.expect(220, r'^2\.7\.0 ', f'{behind[:20]!r} behind STARTTLS')
            secure(c, certificates.client(), starttls=False)
            sequence(c)
        edge.wait_log(rf' smtp: discarded session=\S+ client=127\.0\.0\.1 octets={len(behind)} reason="in clear behind STARTTLS"', since=since)
    is_([(m['sender'], m['client']['name']) for m in stored(t)], [('a@b.example', 'c.example')] * len(BEHIND), 'what was said within TLS counts')


def says_within_tls(t, certificates, c):
    """What the edge says when the handshake was good; None when it was not."""
    c.sock.settimeout(t.timeout)
    try:
        secure(c, certificates.client(), starttls=False)
        c.line('P')
        return c.reply().text
    except (ssl.SSLError, OSError):
        return None


def two_packets(t):
    """What comes when the edge has stopped to read breaks the handshake, or is dropped; it never is a command."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    clients, answers = [], []
    for late in (False, True):
        for behind in BEHIND:
            c = t.client('smtp')
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c.hello()
            clients.append((late, behind, c))
    for late, behind, c in clients:
        c.send(b'STARTTLS\r\n')
        if late:
            c.expect(220)
        c.send(behind)
        if not late:
            c.expect(220)
        answers.append(says_within_tls(t, certificates, c))
        c.close()
    ok(set(answers) <= {None, '5.5.2 Syntax error, command unrecognized'}, f'the edge answers what was said within TLS ({set(answers)})')
    is_(answers[len(BEHIND):][:-1], [None] * (len(BEHIND) - 1), 'octets behind the 220 are no handshake')
    wait_for(lambda: edge.log.count(' disconnected ') == len(clients), 10, 'all to be gone')
    failed = edge.log.count(' edge: TLS failed ')
    is_(failed, answers.count(None), 'and that is logged')
    like(edge.log, r' TLS failed session=\S+ client=127\.0\.0\.1 reason="TLS handshake: what the client sent is not TLS"', 'with its reason')
    is_(stored(t), [], 'nothing was taken')


def one_read(t):
    """More than one read takes, sent while the edge slept."""
    certificates = Certificates(t)
    edge = t.edge(with_tls(certificates))
    for size in 1000, 4096, 20000:
        with t.client('smtp') as c:
            c.hello()
            edge.kill(signal.SIGSTOP)
            c.send(b'STARTTLS\r\n')
            c.send((b'NOOP\r\n' * 4000)[:size])
            edge.kill(signal.SIGCONT)
            c.expect(220, r'^2\.7\.0 ')
            ok(says_within_tls(t, certificates, c) in (None, '5.5.2 Syntax error, command unrecognized'), f'{size} octets of commands')
    ok(edge.running(), 'the edge goes on')


def forgotten(t):
    """The name, an open chunk that was refused, what a part of a line was; but errors count on."""
    certificates = Certificates(t)
    t.edge(with_tls(certificates, ', max_errors: 3'))
    with t.client('smtp') as c:
        c.hello('before.example')
        c.cmd('FOO', 500)
        c.cmd('FOO', 500)
        secure(c, certificates.client())
        c.cmd('EHLO after.example', 250)
        c.mail('a@b.example', ['c@d.example'], 'x')
        is_(stored(t)[-1]['client']['name'], 'after.example', 'the name is the new one')
        c.cmd('FOO', 500)
        c.cmd('FOO', 421, r'^4\.7\.0 Too many errors')
        ok(c.at_end(), 'errors are those of the connection')


run(one_packet, two_packets, one_read, forgotten)
