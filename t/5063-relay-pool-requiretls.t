#!/usr/bin/python3
# 5063-relay-pool-requiretls.t - mail that asks for REQUIRETLS has connections of its own, with a certificate that is verified
# SPDX-License-Identifier: MIT
# P14
import os

from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.put import put
from lib.relay import config

DATA = b'Subject: x\r\n\r\nbody\r\n'
EXTENSIONS = ('PIPELINING', '8BITMIME', 'REQUIRETLS')


def start(t, hop, ca):
    return t.master(config(f'type: static, host: localhost, port: {hop.port}, concurrent_connections: 1, idle_timeout: 60, '
        f'tls: {{ca_certs: {ca}, cert_reqs: none}}', delay=3000))


def put_both(t, count):
    """So many of each kind, in turn; gives (ids of the ordinary ones, ids of the others)."""
    os.makedirs(t.path('env'), exist_ok=True)
    pairs = [(put(t, DATA), put(t, DATA, requiretls=True)) for _ in range(count)]
    return [list(idents) for idents in zip(*pairs)]


def apart(t):
    certificates = Certificates(t)
    hop = NextHop(t, tls=certificates.server('good'), extensions=EXTENSIONS)
    ordinary, strict = put_both(t, 4)
    master = start(t, hop, certificates.ca)
    for ident in ordinary + strict:
        master.wait_log(rf' delivered id={ident} .* attempts=1 ', 30)
    kinds = {}
    for mail in hop.messages:
        kinds.setdefault(mail['connection'], set()).add('REQUIRETLS' in mail['parameters'])
    ok(all(len(kind) == 1 for kind in kinds.values()), f'no connection had both kinds: {kinds}')
    is_(sum('REQUIRETLS' in mail['parameters'] for mail in hop.messages), 4, 'those that asked for it had it')
    is_(hop.most, 1, 'one connection at a time, of either kind')
    master.stop()


def not_verified(t):
    """Such a host is used for ordinary mail all the same."""
    certificates = Certificates(t)
    hop = NextHop(t, tls=certificates.server('self-signed'), extensions=EXTENSIONS)
    ordinary, strict = put_both(t, 3)
    master = start(t, hop, certificates.ca)
    for ident in ordinary:
        master.wait_log(rf' delivered id={ident} .* attempts=1 ', 30)
    for ident in strict:
        like(master.wait_log(rf' deferred id={ident} .* reply="([^"]*)"', 30)[1], r'^451 4\.7\.5 .*not trusted', 'it waits')
    wait_for(lambda: len(hop.messages) == 3, what='the ordinary ones')
    unlike(' '.join(hop.said), 'REQUIRETLS', 'and is not offered to it')
    master.stop()


run(apart, not_verified)
