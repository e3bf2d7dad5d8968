#!/usr/bin/python3
# 5071-relay-tls-fallback.t - a handshake that fails: once more in clear where that may be, else not a word, counted at the next hop
# SPDX-License-Identifier: MIT
# P12 P14 S7
import select
import ssl

from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, RESET, SILENCE, NextHop
from lib.relay import config, send

NONSENSE = b'\x16\x03\x03\xff\xff' + b'x' * 100
ALERT = b'\x15\x03\x03\x00\x02\x02\x28'
CUT = b'\x16\x03\x03\x00\x7a\x02\x00'


def start(t, hop, more):
    return t.master(config(f'type: static, host: localhost, port: {hop.port}, idle_timeout: 0, {more}', delay=300, bounces=True))


def outcome(t, master, recipient='a@example.net'):
    ident = send(t, recipient)
    return master.wait_log(rf' worker: (\w+) id={ident} .*reply="([^"]*)"').groups()


def falls_back(t):
    """The second message spares itself the try."""
    context = Certificates(t).server()
    for step, what in (('handshake', CLOSE), ('handshake', RESET), ('handshake', (NONSENSE, CLOSE)), ('handshake', (ALERT, CLOSE)),
            ('handshake', ('220 2.0.0 go on', CLOSE)), ('handshake', (CUT, CLOSE)), ('handshake', SILENCE), ('STARTTLS', CLOSE),
            ('STARTTLS', '454 4.7.0 not now'), ('STARTTLS', '502 5.5.1 what')):
        hop = NextHop(t, {step: what}, tls=context)
        master = start(t, hop, 'tls: {}, command_timeout: ' + ('1' if what is SILENCE else '60'))
        refused = isinstance(what, str) and step == 'STARTTLS'
        lost = step == 'STARTTLS' and what is CLOSE
        got = outcome(t, master)
        if lost:
            like(' '.join(got), '^deferred 451 4.4.2 Connection lost', 'a connection that is lost is no failed handshake')
            master.stop()
            continue
        is_(got, ('delivered', '250 2.6.0 taken'), f'{what} at {step}: it goes')
        is_([mail['tls'] for mail in hop.messages], [None], 'in clear')
        is_(hop.connections, 1 if refused else 2, 'over the same connection' if refused else 'over one more connection')
        outcome(t, master)
        is_(hop.connections, 2 if refused else 3, 'and the next over one')
        is_([line for line in hop.said if line.startswith('STARTTLS')], ['STARTTLS'] * (2 if refused else 1),
            'which asks again for TLS' if refused else 'that asks for no TLS')
        if not refused:
            like(master.log, r' warn .*went on in clear, as TLS failed .*host=localhost\[127.0.0.1\] .*reason="TLS handshake: ', 'logged')
        is_(len(hop.messages), 2, 'once each')
        is_(hop.wrong, [], 'the server has nothing to complain of')
        master.stop()


def stays_away(t):
    """Where TLS is wanted, or something is to be hidden."""
    certificates = Certificates(t)
    context = certificates.server()
    verified = f'cert_reqs: required, ca_certs: {certificates.ca}'
    hidden = 'credentials: {username: u, password: p}'
    for keys, step, what, reply in (
            ('tls: {}, require_tls: yes', 'handshake', CLOSE, '451 4.7.5 TLS handshake: '),
            ('tls: {}, require_tls: yes', 'handshake', SILENCE, '451 4.7.5 TLS handshake: timed out'),
            ('tls: {}, require_tls: yes', 'handshake', (NONSENSE, CLOSE), '451 4.7.5 TLS handshake: '),
            ('tls: {}, require_tls: yes', 'STARTTLS', '454 4.7.0 not now', '451 4.7.5 .*not now'),
            (f'tls: {{{verified}}}', 'handshake', RESET, '451 4.7.5 TLS handshake: '),
            (f'tls: {{{verified}}}', 'STARTTLS', '502 5.5.1 what', '451 4.7.5 .*what'),
            (f'tls: {{{verified}}}', 'EHLO', '250 mx', '451 4.7.5 '),
            ('tls: {}, require_tls: yes', 'EHLO', '250 mx', '451 4.7.5 '),
            ('tls: {}, require_tls: yes', 'EHLO', '502 5.5.1 what', '451 4.7.5 '),
            (f'tls: {{}}, {hidden}', 'handshake', CLOSE, '451 4.7.5 TLS handshake: '),
            ('tls: {}, tls_immediately: yes', 'handshake', CLOSE, '451 4.7.5 TLS handshake: '),
            ('tls: {}, tls_immediately: yes', 'handshake', SILENCE, '451 4.7.5 TLS handshake: timed out'),
            ('tls: {}, tls_immediately: yes', 'handshake', ('220 mx ESMTP', CLOSE), '451 4.7.5 TLS handshake: the answer is not TLS')):
        hop = NextHop(t, {step: what}, tls=context, tls_immediately='immediately' in keys, credentials={'u': 'p'})
        master = start(t, hop, f'{keys}, command_timeout: ' + ('1' if what is SILENCE else '60'))
        event, said = outcome(t, master)
        is_(event, 'deferred', f'{keys}, {what} at {step}: it waits')
        like(said, f'^{reply}', 'and says why')
        is_((hop.connections, hop.messages), (1, []), 'there was one try')
        ok(not any(line.startswith(('MAIL', 'RCPT', 'AUTH')) for line in hop.said), 'without a word in clear')
        unlike(master.log, 'went on in clear', 'nor was it meant')
        master.stop()


def not_offered(t):
    hop = NextHop(t)
    master = start(t, hop, 'tls: {}')
    is_(outcome(t, master), ('delivered', '250 2.6.0 taken'), 'without STARTTLS it goes in clear')
    is_(hop.connections, 1, 'at once')
    master.stop()


def client_certificate(t):
    """That it is missing a server of TLS 1.3 says when we take the handshake to be over."""
    certificates = Certificates(t)
    certificate, key = certificates.make('client')
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = certificates.server(minimum=version, maximum=version, asks_client=True)
        for keys, wanted in ((f'tls: {{certfile: {certificate}, keyfile: {key}}}, require_tls: yes', 'delivered 250 2.6.0 taken'),
                ('tls: {}, require_tls: yes', r'deferred 451 4.7.5 TLS( handshake)?: .*alert'), ('tls: {}', 'delivered 250 2.6.0 taken')):
            hop = NextHop(t, tls=context)
            master = start(t, hop, keys)
            like(' '.join(outcome(t, master)), f'^{wanted}', f'{version.name}, {keys}')
            if wanted[:2] == 'de' and 'certfile' in keys:
                is_(dict(pair[0] for pair in hop.sessions[0].certificate['subject']), {'commonName': 'client'}, 'it knows us')
            is_([mail['tls'] for mail in hop.messages], [] if 'deferred' in wanted else
                [version.name.replace('_', '.') if 'certfile' in keys else None], 'by TLS, or in clear where that may be')
            master.stop()


def drips(peer, _):
    """A long record of a handshake, octet by octet."""
    peer.send(b'\x16\x03\x03\x3f\xff\x02\x00\x3f\x00')
    while select.select([peer.sock], [], [], 0.1)[0] == [] or peer.sock.recv(65536):
        peer.send(b'\x03')
    return CLOSE


def slowly(t):
    """It has command_timeout in all, however often a little of it comes."""
    context = Certificates(t).server()
    for keys, wanted in (('tls: {}, require_tls: yes', 'deferred 451 4.7.5 TLS handshake: timed out'),
            ('tls: {}', 'delivered 250 2.6.0 taken'),
            ('tls: {}, tls_immediately: yes', 'deferred 451 4.7.5 TLS handshake: timed out')):
        hop = NextHop(t, {'handshake': drips}, tls=context, tls_immediately='immediately' in keys)
        master = start(t, hop, f'{keys}, command_timeout: 1')
        is_(' '.join(outcome(t, master)), wanted, f'{keys}: it has its end')
        wait_for(lambda hop=hop: hop.now == 0, what='the connection to be closed')
        ok(master.running(), 'all goes on')
        master.stop()


run(falls_back, stays_away, not_offered, client_certificate, slowly)
