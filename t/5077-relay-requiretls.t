#!/usr/bin/python3
# 5077-relay-requiretls.t - mail that asks for TLS all the way (RFC 8689) goes to who is trusted and offers it, apart from other mail
# SPDX-License-Identifier: MIT
# P14
from lib.certificates import Certificates
from lib.fixture import is_, like, run
from lib.next_hop import CLOSE, NextHop
from lib.put import put
from lib.relay import config

OFFERED = ('PIPELINING', '8BITMIME', 'SIZE 1000000', 'REQUIRETLS')
DATA = b'Subject: x\r\n\r\nx\r\n'


def start(t, hop, more):
    """Messages are in the queue when it starts."""
    return t.master(config(f'type: static, host: localhost, port: {hop.port}, {more}', delay=300, bounces=True))


def outcome(master, ident):
    return ' '.join(master.wait_log(rf' worker: (delivered|failed|deferred) id={ident} .*reply="([^"]*)"').groups())


def message(t, asks):
    t.folder('env')
    return put(t, DATA, **({'requiretls': True} if asks else {}))


def goes(t):
    certificates = Certificates(t)
    for keys in (f'tls: {{ca_certs: {certificates.ca}}}', f'tls: {{ca_certs: {certificates.ca}, cert_reqs: required}}'):
        hop = NextHop(t, extensions=OFFERED, tls=certificates.server())
        idents = [message(t, n % 2) for n in range(6)]
        master = start(t, hop, f'{keys}, idle_timeout: 60')
        for ident in idents:
            like(outcome(master, ident), '^delivered 250', 'it goes')
        is_({mail['tls'] for mail in hop.messages}, {'TLSv1.3'}, 'by TLS')
        kinds = {}
        for mail in hop.messages:
            kinds.setdefault(mail['connection'], set()).add('REQUIRETLS' in mail['parameters'])
        is_(sorted(asks for kind in kinds.values() for asks in kind), sorted(list(kind)[0] for kind in kinds.values()),
            'no connection has mail of both kinds')
        is_(sum('REQUIRETLS' in mail['parameters'] for mail in hop.messages), 3, 'those that ask for it say so')
        is_(hop.wrong, [], 'the server has nothing to complain of')
        master.stop()


def stays(t):
    """What the same next hop does with other mail is no matter."""
    certificates = Certificates(t)
    trusting = f'tls: {{ca_certs: {certificates.ca}}}'
    for who, extensions, at, keys, asks, other in (
            ('self-signed', OFFERED, {}, trusting, 'deferred 451 4.7.5 .*not trusted: self-signed certificate', 'TLSv1.3'),
            ('wrong', OFFERED, {}, trusting, 'deferred 451 4.7.5 .*hostname mismatch', 'TLSv1.3'),
            ('good', OFFERED, {}, 'tls: {}', 'deferred 451 4.7.5 .*unable to get local issuer certificate', 'TLSv1.3'),
            ('good', OFFERED[:-1], {}, trusting, 'failed 550 5.7.30 ', 'TLSv1.3'),
            ('good', OFFERED, {}, 'require_tls: no', 'failed 550 5.7.30 ', None),
            ('good', OFFERED, {'handshake': CLOSE}, trusting, 'deferred 451 4.7.5 TLS handshake: ', None),
            ('good', OFFERED, {'STARTTLS': '454 4.7.0 no'}, trusting, 'deferred 451 4.7.5 ', None)):
        hop = NextHop(t, at, extensions=extensions, tls=certificates.server(who))
        asking, another = message(t, True), message(t, False)
        master = start(t, hop, keys)
        like(outcome(master, asking), f'^{asks}', f'{who}, {extensions[-1]}, {keys}, {at}')
        like(outcome(master, another), '^delivered 250', 'another message goes')
        is_([mail['tls'] for mail in hop.messages], [other], 'as it may')
        is_(sum(line.startswith('MAIL') for line in hop.said), 1, 'of the first not a word was said')
        master.stop()


run(goes, stays)
