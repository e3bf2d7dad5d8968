#!/usr/bin/python3
# 5070-relay-tls-certificates.t - each kind of certificate a next hop may have, and each way to trust it: mail by TLS, or none at all
# SPDX-License-Identifier: MIT
# P12 P14
import itertools
import re

from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run
from lib.next_hop import NextHop

TRUSTED = {'good': None, 'expired': 'certificate has expired', 'self-signed': r'self-signed certificate',
    'wrong': r'hostname mismatch', 'stranger': r'unable to get local issuer certificate'}
WAYS = list(itertools.product(('', 'none', 'optional', 'CERT_REQUIRED'), (False, True), (False, True)))


def start(t, hops, certificates, ca, ways, host='localhost'):
    """A queue and a listener for each way."""
    text = ['@process@  edge: {instances: 1}', '  worker: {instances: 1}', 'edge:']
    text += [f'  l{n}: {{type: smtp, queue: q{n}, listener: {{port: @port:l{n}@}}}}' for n in range(len(ways))]
    text += ['queue:'] + [f'  q{n}: {{type: disk, relay: r{n}, envelope_dir: @dir@/env{n}, meta_dir: @dir@/meta{n}, '
        'allow_volatile: yes, retry: {delay: 300, maximum: 9}}' for n in range(len(ways))]
    text += ['relay:']
    for n, (requires, mandatory, immediately) in enumerate(ways):
        keys = [f'cert_reqs: {requires}, ca_certs: {ca}' if requires else '']
        text.append(f'  r{n}: {{type: static, host: {host}, port: {hops[immediately].port}, tls: {{{keys[0]}}}, '
            f'require_tls: {"yes" if mandatory else "no"}, tls_immediately: {"yes" if immediately else "no"}, idle_timeout: 0}}')
    return t.master('\n'.join(text) + '\n')


def outcome(t, master, port):
    with t.client(port) as client:
        client.hello()
        ident = re.search(r'\b[0-9a-z]{26}\b', client.mail('', ['a@example.net'], 'Subject: x\r\n\r\nx\r\n').text)[0]
    return master.wait_log(rf' worker: (\w+) id={ident} .* reply="([^"]*)"').groups()


def each(t):
    certificates = Certificates(t)
    for who, why in TRUSTED.items():
        hops = [NextHop(t, tls=certificates.server('good' if who == 'stranger' else who), tls_immediately=immediately)
            for immediately in (False, True)]
        ca = certificates.other if who == 'stranger' else certificates.ca
        ways = WAYS if who in ('good', 'expired') else [way for way in WAYS if way[0] in ('none', 'CERT_REQUIRED')]
        master = start(t, hops, certificates, ca, ways)
        for n, (requires, mandatory, immediately) in enumerate(ways):
            hop, what = hops[immediately], f'{who}, {requires or "default"}, {mandatory}, {immediately}'
            before, said, taken = hop.connections, len(hop.said), len(hop.messages)
            event, reply = outcome(t, master, f'l{n}')
            is_(hop.connections - before, 1, f'{what}: one connection')
            if not why or requires in ('', 'none'):
                is_((event, reply), ('delivered', '250 2.6.0 taken'), f'{what}: it goes')
                is_([mail['tls'] for mail in hop.messages[taken:]], ['TLSv1.3'], 'by TLS')
                is_(hop.sessions[-1].server_name, 'localhost', 'to the name that was meant')
                continue
            is_(event, 'deferred', f'{what}: it waits')
            like(reply, rf'^451 4\.7\.5 TLS handshake: its certificate for localhost is not trusted: {why}$', 'and says for what')
            is_(len(hop.messages), taken, 'nothing is taken')
            ok(not any(line.startswith(('MAIL', 'RCPT', 'DATA')) for line in hop.said[said:]), 'nothing goes in clear')
        for hop in hops:
            is_(hop.wrong, [], 'the server has nothing to complain of')
        master.stop()


def by_address(t):
    """A host without a name: its address has to be in the certificate."""
    certificates = Certificates(t, names='DNS:localhost')
    other = Certificates(t, name='other', names='IP:127.0.0.1')
    for made, host, why in ((certificates, '127.0.0.1', 'IP address mismatch'), (other, '127.0.0.1', None),
            (other, '"[127.0.0.1]"', None), (other, 'localhost', 'hostname mismatch'), (certificates, 'LOCALHOST', None)):
        hop = NextHop(t, tls=made.server())
        master = start(t, (hop,), made, made.ca, [('required', False, False)], host)
        event, reply = outcome(t, master, 'l0')
        like(f'{event} {reply}', f'^deferred 451 4.7.5 .*: {why}$' if why else '^delivered 250', f'{made.names} for {host}')
        master.stop()


def unchecked_name(t):
    certificates = Certificates(t)
    hop = NextHop(t, tls=certificates.server('wrong'))
    master = t.master(f'''@process@  edge: {{instances: 1}}
  worker: {{instances: 1}}
edge:
  main: {{type: smtp, queue: q, listener: {{port: @port:l0@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, retry: {{maximum: 1}}}}
relay:
  r: {{type: static, host: localhost, port: {hop.port}, tls: {{cert_reqs: required, ca_certs: {certificates.ca}, check_hostname: no}}}}
''')
    is_(outcome(t, master, 'l0')[0], 'delivered', 'check_hostname: no takes a good certificate of another')
    is_(hop.messages[0]['tls'], 'TLSv1.3', 'by TLS')
    master.stop()


run(each, by_address, unchecked_name)
