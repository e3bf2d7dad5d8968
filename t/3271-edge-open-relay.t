#!/usr/bin/python3
# 3271-edge-open-relay.t - an edge that takes mail of anybody to anybody is warned of, and only such a one
# SPDX-License-Identifier: MIT
# S14
import re

from lib.certificates import Certificates
from lib.fixture import IS_ROOT, is_, like, run, unlike

ROOT = ['--allow-root'] if IS_ROOT else []
USERS = 'lookup_credentials: {type: config, map: {ann: {password: "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="}}}'
OUT = 'listener: {interface: "*", port: 2525}'
# Beyond loopback, and its rules: what is warned of, if anything.
CASES = [
    (OUT, r'(?m)^\S*slimta\.conf:\d+:\d+: edge\.main: warning: edge "main" is an open relay: .* on .*2525, '
        'into queue "out", which relays by mx; expected'),
    ('listener: {interface: 192.0.2.1, port: 2525}', r'on 192\.0\.2\.1:2525'),
    ('listener: {type: tcp6, interface: "::", port: 2525}', r'on \[::\]:2525'),
    ('listener: {interface: mx.example, port: 2525}', r'on mx\.example:2525'),
    ('listener: {interface: localhost, port: 2525}', None),
    ('listener: {interface: 127.1.2.3, port: 2525}', None),
    ('listener: {type: tcp6, interface: "::1", port: 2525}', None),
    ('listener: {type: tcp6, interface: "::ffff:127.0.0.2", port: 2525}', None),
    ('listener: {type: tcp6, interface: "::ffff:128.0.0.1", port: 2525}', r'on \[::ffff:128\.0\.0\.1\]:2525'),
    ('listener: {path: /run/a}', None),
    ('listeners: [{port: 2525}, {path: /run/a}]', None),
    ('listeners: [{port: 2525}, {interface: "", port: 2526}]', r'2526'),
    ('listener: {port: 2525}, proxy_protocol: yes', r'on 127\.0\.0\.1:2525'),
    ('listener: {port: 2525}, proxyprotocol: yes', r'on 127\.0\.0\.1:2525'),
    (f'{OUT}, open_relay: yes', None),
    # recipients
    (f'{OUT}, rules: {{only_recipients: [a@b.example]}}', None),
    (f'{OUT}, rules: {{regex_recipients: [".*@b.example$"]}}', None),
    (f'{OUT}, rules: {{regex_recipients: [".*"]}}', 'open relay'),
    (f'{OUT}, rules: {{regex_recipients: [".*@b.example$", "(?!.*@spam)"]}}', 'open relay'),
    (f'{OUT}, rules: {{regex_recipients: ["[a-z]+@[a-z.]+$"]}}', 'open relay'),
    (f'{OUT}, rules: {{lookup_recipients: {{type: config, map: {{}}}}}}', None),
    # senders close nothing, also not beside AUTH
    (f'{OUT}, rules: {{only_senders: [a@b.example]}}', 'sender rules do not help'),
    (f'{OUT}, rules: {{{USERS}}}', None),
    (f'{OUT}, rules: {{only_senders: [a@b.example], {USERS}}}', 'where there is one nobody needs to authenticate'),
    (f'{OUT}, rules: {{lookup_senders: {{type: config, map: {{}}}}, {USERS}}}', 'sender rules do not help'),
    (f'{OUT}, rules: {{lookup_senders: {{type: config, key_template: "{{authzid}}", map: {{}}}}, {USERS}}}', None),
    # the null sender, to which a recipient rule opens
    (f'{OUT}, rules: {{regex_recipients: [".*"], {USERS}}}', 'the null sender needs no authentication'),
    (f'{OUT}, rules: {{regex_recipients: [".*@b.example$"], {USERS}}}', None),
    # who is trusted
    (f'{OUT}, trusted_clients: [10.0.0.0/8], rules: {{{USERS}}}', None),
    (f'{OUT}, trusted_clients: [10.0.0.0/8, 0.0.0.0/0], rules: {{{USERS}}}', 'strangers are among them'),
    (f'{OUT}, trusted_clients: ["::/0"], rules: {{{USERS}}}', 'strangers are among them'),
    (f'{OUT}, trusted_clients: ["::/0"], rules: {{lookup_senders: {{type: config, key_template: "{{authzid}}", map: {{}}}}, {USERS}}}',
        r'(?s)\A(?!.*open relay).*trusted_clients: warning: means nothing beside a sender rule, which is for all'),
    (f'{OUT}, trusted_clients: [10.0.0.0/8], proxy_protocol: yes, rules: {{{USERS}}}', 'open relay.*without proxy_from whoever comes can pass'),
    (f'{OUT}, trusted_clients: [10.0.0.0/8], proxy_protocol: yes, proxy_from: [0.0.0.0/0], rules: {{{USERS}}}', 'can pass'),
    (f'{OUT}, trusted_clients: [10.0.0.0/8], proxy_protocol: yes, proxy_from: [192.0.2.1], rules: {{{USERS}}}', None),
    (f'listener: {{port: 2525}}, trusted_clients: [10.0.0.0/8], proxy_protocol: yes, rules: {{{USERS}}}', None),
    (f'{OUT}, proxy_protocol: yes, rules: {{{USERS}}}', None),
    (f'{OUT}, trusted_clients: [10.0.0.0/8]', 'without rules.lookup_credentials trusted_clients keep nobody out'),
    ('listener: {port: 2525}, trusted_clients: [10.0.0.0/8]', 'trusted_clients: warning: means nothing without'),
    ('listener: {port: 2525}, trusted_clients: [10.0.0.0/8], max_connections_per_ip: 9', None),
    (f'listener: {{port: 2525}}, trusted_clients: [10.0.0.0/8], rules: {{only_senders: [a@b.example], {USERS}}}',
        'trusted_clients: warning: means nothing beside a sender rule'),
]


def config(edge, queue='out', relay='type: mx'):
    return f'''@process@
  edge: {{instances: 1}}
  worker: {{instances: 1}}
edge:
  main: {{type: smtp, queue: {queue}, {edge}}}
queue:
  out: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, retry: {{maximum: 9}}}}
  sink: {{type: disk, relay: s, envelope_dir: @dir@/env2, meta_dir: @dir@/meta2, allow_volatile: yes, retry: {{maximum: 9}}}}
relay:
  r: {{{relay}}}
  s: {{type: blackhole}}
'''


def check(t, text):
    done = t.run('slimta-edge', '-c', t.config(text), '--check', *ROOT)
    is_(done.returncode, 0, 'it is no error')
    return '\n'.join(line for line in done.stderr.decode().split('\n') if 'lookup_credentials.map' not in line)


def cases(t):
    for edge, wanted in CASES:
        said = check(t, config(edge))
        if wanted:
            like(said, wanted, edge)
        else:
            unlike(said, 'open relay|means nothing', edge)
    like(check(t, config(OUT, relay='type: static, host: 127.0.0.1')), 'which relays by static', 'a static relay too')
    unlike(check(t, config(OUT, queue='sink')), 'open relay', 'what relays nowhere is none')


def with_certificates(t):
    """Clients that have to show a certificate of ours are no strangers, where TLS is required."""
    certificates = Certificates(t)
    certificate, key = certificates.make('good')
    for more, tls, wanted in (
            ('require_tls: yes', f'cert_reqs: required, ca_certs: {certificates.ca}', False),
            ('tls_immediately: yes', f'cert_reqs: CERT_REQUIRED, ca_certs: {certificates.ca}', False),
            ('require_tls: no', f'cert_reqs: required, ca_certs: {certificates.ca}', True),
            ('require_tls: yes', f'cert_reqs: optional, ca_certs: {certificates.ca}', True),
            ('require_tls: yes', 'cert_reqs: required', True)):
        said = check(t, config(f'{OUT}, {more}, tls: {{certfile: {certificate}, keyfile: {key}, {tls}}}'))
        (like if wanted else unlike)(said, 'open relay', f'{more}, {tls}')


def started(t):
    """Told once at the start, by the master."""
    master = t.master(config('listener: {port: @port:smtp@}, proxy_protocol: yes'))
    master.stop()
    is_(len(re.findall('is an open relay', master.log)), 1, 'the start warns, once')
    edge = t.edge(config('listener: {port: @port:smtp@}, proxy_protocol: yes'))
    edge.stop()
    is_(len(re.findall('is an open relay', edge.log)), 1, 'so does an edge alone')


run(cases, with_certificates, started)
