#!/usr/bin/python3
# 5054-relay-mx-resolver.t - name servers that are silent, slow or lie, answers that are kept, and an end amid look-ups
# SPDX-License-Identifier: MIT
# P10
import struct
import time

from lib.dns import A, MX, NXDOMAIN, SERVFAIL, Answer, DnsServer
from lib.fixture import is_, like, ok, run, wait_for
from lib.mx import Mx
from lib.relay import queued, send

TAKEN = '250 2.6.0 taken'


def address_of(name):
    """h2.example is 127.0.0.2."""
    return f'127.0.0.{name[1:name.index(".")]}'


def lie(name, kind):
    question = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0' + struct.pack('>HH', kind, 1)
    return struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + question + b'\xc0\x0c' + struct.pack('>HHI', kind, 1, 60) + b'\0\3\0\1\5'


def answer(name, kind):
    word = name.split('.')[0]
    if word == 'silent':
        return None
    if word == 'failed':
        return Answer(rcode=SERVFAIL)
    if word == 'lie':
        return lie(name, kind)
    if word == 'half':
        return Answer((MX, (5, 'silent.host.example')), (MX, (10, 'h2.example'))) if kind == MX else Answer()
    if word == 'none':
        return Answer((MX, (5, 'silent.host.example')), (MX, (10, 'failed.host.example'))) if kind == MX else Answer()
    if word[0] == 'h' and word[1:].isdigit():
        return Answer((A, address_of(name))) if kind == A else Answer()
    if word == 'kept':
        return Answer((MX, (5, 'h3.example'))) if kind == MX else Answer()
    return Answer(rcode=NXDOMAIN)


def trouble(t):
    dns = DnsServer(answer)
    mx = Mx(t, dns=dns)
    mx.start(timeout=4)
    failed = '451 4.4.3 DNS lookup failed: '
    wanted = {'silent.example': ('deferred', '', failed + 'silent.example'), 'failed.example': ('deferred', '', failed + 'failed.example'),
        'lie.example': ('deferred', '', failed + 'lie.example'), 'half.example': ('delivered', 'h2.example[127.0.0.2]', TAKEN),
        'absent.example': ('failed', '', '550 5.1.2 No usable DNS records found: absent.example')}
    idents = {domain: send(t, f'a@{domain}') for domain in wanted}
    none = send(t, 'a@none.example')
    for domain, outcome in wanted.items():
        is_(mx.outcome(idents[domain], f'a@{domain}'), outcome, domain)
    event, _, reply = mx.outcome(none, 'a@none.example')
    is_((event, reply[:len(failed)]), ('deferred', failed), 'none of its hosts can be looked up')
    is_(dns.errors, [], 'the server could follow')
    mx.master.stop()
    dns.close()


def kept(t):
    """Fifty messages, one question; and when its time is over, another."""
    hosts = ['h3.example']
    dns = DnsServer(lambda name, kind: Answer((MX, (5, hosts[0])), ttl=2) if (name, kind) == ('short.example', MX) else answer(name, kind))
    mx = Mx(t, dns=dns)
    mx.start(timeout=20)
    idents = [send(t, f'a{n}@kept.example') for n in range(50)]
    for n, ident in enumerate(idents):
        is_(mx.outcome(ident, f'a{n}@kept.example'), ('delivered', 'h3.example[127.0.0.3]', TAKEN), 'taken')
    is_((dns.asked.count(('kept.example', MX)), dns.asked.count(('h3.example', A))), (1, 1), 'asked for once')
    send(t, 'a@short.example')
    wait_for(lambda: mx.taken()[3] == 51, what='the first')
    hosts[0] = 'h4.example'
    since, sent = time.monotonic(), 1

    def moved():
        nonlocal sent
        send(t, 'a@short.example')
        sent += 1
        wait_for(lambda: mx.taken()[3] + mx.taken()[4] == 50 + sent, what='another')
        return mx.taken()[4]
    wait_for(moved, 30, 'the other host to be found')
    ok(time.monotonic() - since > 0.5, 'the answer was kept as long as it said')
    mx.master.stop()
    dns.close()


def draining(t):
    """What is looked up when it ends was not attempted: it is given back as it was."""
    dns = DnsServer(lambda name, kind: None)
    mx = Mx(t, dns=dns)
    mx.start(timeout=600)
    idents = sorted(send(t, *(f'a@d{n}-{m}.example' for m in range(30))) for n in range(3))
    wait_for(lambda: len({name for name, _ in dns.asked}) >= 60, what='twenty questions for each message')
    ok(len({name for name, _ in dns.asked}) <= 60, 'and no more')
    since = time.monotonic()
    is_(mx.master.stop(), 0, 'it ends by itself')
    ok(time.monotonic() - since < 20, 'without waiting for answers')
    is_(queued(t), idents, 'what it was looking for is still there')
    shown = t.queuectl('show', idents[0])
    like(shown, r'(?m)^attempts +0$', 'and was not attempted')
    dns.close()


run(trouble, kept, draining)
