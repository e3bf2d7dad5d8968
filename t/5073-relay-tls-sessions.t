#!/usr/bin/python3
# 5073-relay-tls-sessions.t - protocols that are spoken, sessions that go on over later connections, and ends without a word
# SPDX-License-Identifier: MIT
# P12 P14
import socket
import ssl
import time

from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop, Raw
from lib.relay import config, send

OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def start(t, hop, more='tls: {}, idle_timeout: 0'):
    return t.master(config(f'type: static, host: localhost, port: {hop.port}, {more}', delay=300, bounces=True))


def deliver(t, master, *recipients):
    ident = send(t, *(recipients or ['a@example.net']))
    return master.wait_log(rf' worker: (\w+) id={ident} .*reply="([^"]*)"').groups()


def versions(t):
    certificates = Certificates(t)
    for server, minimum, keys, wanted in ((OLD, 'TLSv1.2', '', 'TLSv1.2'), (NEW, 'TLSv1.3', '', 'TLSv1.3'), (OLD, 'TLSv1.3', '', None),
            (OLD, 'TLSv1.3', ', require_tls: yes', 'failed'), (NEW, 'TLSv1.2', '', 'TLSv1.3'), (NEW, 'PROTOCOL_TLSv1_2', '', 'TLSv1.3')):
        hop = NextHop(t, tls=certificates.server(minimum=server, maximum=server))
        master = start(t, hop, f'tls: {{min_version: {minimum}}}{keys}')
        event, reply = deliver(t, master)
        if wanted == 'failed':
            is_((event, hop.messages), ('deferred', []), f'{server.name} is not taken with {minimum}')
            like(reply, '^451 4.7.5 TLS handshake: ', 'and it says so')
        else:
            is_((event, [mail['tls'] for mail in hop.messages]), ('delivered', [wanted]), f'{server.name}, {minimum} at least')
        master.stop()
    hop = NextHop(t, tls=certificates.server(minimum=OLD, maximum=OLD))
    master = start(t, hop, 'tls: {ciphers: ECDHE-ECDSA-AES128-GCM-SHA256}')
    is_(deliver(t, master)[0], 'delivered', 'with a cipher of our choice')
    is_(hop.sessions[0].cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256', 'it goes by that')
    master.stop()


def resumed(t):
    """Also where the certificate is verified; what the server has forgotten begins anew."""
    certificates = Certificates(t)
    for version in OLD, NEW:
        for keys in 'tls: {}', f'tls: {{cert_reqs: required, ca_certs: {certificates.ca}}}':
            hop = NextHop(t, tls=certificates.server(minimum=version, maximum=version))
            master = start(t, hop, f'{keys}, idle_timeout: 0')
            for _ in range(5):
                is_(deliver(t, master), ('delivered', '250 2.6.0 taken'), f'{version.name}, {keys}')
            is_((hop.connections, hop.resumed), (5, 4), 'all connections but the first go on with a session')
            hop.tls = certificates.server(minimum=version, maximum=version)
            deliver(t, master)
            deliver(t, master)
            is_((hop.connections, hop.resumed), (7, 5), 'once more where the server knows none any more')
            is_({mail['tls'] for mail in hop.messages}, {version.name.replace('_', '.')}, 'all by TLS')
            is_(hop.wrong, [], 'the server has nothing to complain of')
            master.stop()


def kept_apart(t):
    """A session of one relay is none of another, which trusts others."""
    certificates = Certificates(t)
    hop = NextHop(t, tls=certificates.server('wrong'))
    more = f'''  strict: {{type: static, host: localhost, port: {hop.port}, tls: {{cert_reqs: required, ca_certs: {certificates.ca}}},
    idle_timeout: 0}}
'''
    text = config(f'type: static, host: localhost, port: {hop.port}, tls: {{}}, idle_timeout: 0', more, delay=300)
    text = text.replace('edge:\n  main', '''edge:
  other: {type: smtp, queue: s, listener: {port: @port:other@}}
  main''').replace('queue:\n', '''queue:
  s: {type: disk, relay: strict, envelope_dir: @dir@/senv, meta_dir: @dir@/smeta, allow_volatile: yes, retry: {delay: 300, maximum: 9}}
''')
    master = t.master(text)
    is_(deliver(t, master)[0], 'delivered', 'by TLS that nobody verifies')
    is_(deliver(t, master)[0], 'delivered', 'twice')
    is_(hop.resumed, 1, 'with one session')
    with t.client('other') as client:
        client.hello()
        client.mail('', ['a@example.net'], 'Subject: x\r\n\r\nx\r\n')
    master.wait_log(r' deferred .*reply="451 4.7.5 TLS handshake: .*hostname mismatch"')
    is_((hop.resumed, len(hop.messages)), (1, 2), 'which is of no use to who verifies')
    master.stop()


def ends(t):
    """The connection is cut, without close_notify, right behind the reply to the message, or while it is idle."""
    certificates = Certificates(t)
    for version in OLD, NEW:
        def cut(peer, _):
            peer.send(b'250 2.6.0 taken\r\n')
            socket.socket.shutdown(peer.sock, socket.SHUT_WR)
            return Raw(b'')

        hop = NextHop(t, tls=certificates.server(minimum=version, maximum=version))
        master = start(t, hop, 'tls: {}, idle_timeout: 60')
        is_(deliver(t, master)[0], 'delivered', 'it goes')
        hop.hang_up()
        wait_for(lambda: hop.now == 0, what='the idle connection to end')
        hop.at['.'] = cut
        is_(deliver(t, master), ('delivered', '250 2.6.0 taken'), f'{version.name}: what was taken before the cut is delivered')
        hop.at = {}
        is_(deliver(t, master), ('delivered', '250 2.6.0 taken'), 'and the next goes over another connection')
        is_((hop.connections, [mail['tls'] for mail in hop.messages[1:]][-1]), (3, version.name.replace('_', '.')), 'by TLS')
        is_(hop.data_ended, 3, 'each once')
        unlike(master.log, 'in doubt|in clear', 'nothing is in doubt, nor left out')
        ok(master.running(), 'all goes on')
        master.stop()


def large(t):
    """More than fits into the sockets' buffers, to a server that begins late to read it."""
    certificates = Certificates(t)
    data = b'Subject: x\r\n\r\n' + b''.join(b'.%d\r\n' % n for n in range(400000))
    for version in OLD, NEW:
        hop = NextHop(t, {'DATA': lambda peer, line: time.sleep(0.3) or '354 go'}, tls=certificates.server(minimum=version, maximum=version),
            extensions=('PIPELINING', 'SIZE 100000000'))
        master = start(t, hop)
        ident = send(t, 'a@example.net', data=data)
        master.wait_log(f' delivered id={ident} ', timeout=60)
        ok(hop.messages[0]['data'].endswith(data), f'{version.name}: all octets are as they were')
        is_((hop.connections, hop.messages[0]['tls']), (1, version.name.replace('_', '.')), 'by TLS')
        master.stop()


run(versions, resumed, kept_apart, ends, large)
