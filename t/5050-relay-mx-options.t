#!/usr/bin/python3
# 5050-relay-mx-options.t - force_mx in all its forms, override_mx, port, and what they must not be
# SPDX-License-Identifier: MIT
from lib.fixture import IS_ROOT, TOP, is_, like, ok, run
from lib.mx import Mx
from lib.next_hop import NextHop
from lib.relay import config, send

RECORDS = '''
list IN MX 10 h2
list IN MX 20 h3
plain IN MX 10 h2
us IN A 127.0.0.4
'''


def forms(t):
    mx = Mx(t, RECORDS)
    other = NextHop(t, address=('127.0.0.5', 0))
    forced = {'a.example': 'h3.example', 'B.Example': 'H3.EXAMPLE', 'c.example': f'h5.example:{other.port}',
        'd.example': f'127.0.0.5:{other.port}', 'e.example': '127.0.0.3', 'f.example': '@list.example',
        'g.example': '@null.example', 'h.example': 'absent.example', 'i.example': 'us.example', 'j.example': '@a.example',
        '[192.0.2.1]': 'h3.example', 'b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example': 'h3.example'}
    mapping = ', '.join(f'"{domain}": "{host}"' for domain, host in forced.items())
    mx.start(f', force_mx: {{{mapping}}}')

    def is_taken(domain, host, number):
        is_(mx.outcome(send(t, f'x@{domain}'), f'x@{domain}'), ('delivered', f'{host}[127.0.0.{number}]', '250 2.6.0 taken'),
            f'{domain} goes to {host}')

    is_taken('plain.example', 'h2.example', 2)
    is_taken('a.example', 'h3.example', 3)
    is_taken('b.EXAMPLE', 'h3.example', 3)
    is_taken('c.example', 'h5.example', 5)
    is_taken('d.example', '127.0.0.5', 5)
    is_taken('e.example', '127.0.0.3', 3)
    is_taken('f.example', 'h2.example', 2)
    is_taken('i.example', 'us.example', 4)      # us, but told so
    is_taken('[192.0.2.1]', 'h3.example', 3)
    is_taken('xn--bcher-kva.example', 'h3.example', 3)
    is_(mx.outcome(send(t, 'x@h.example'), 'x@h.example')[::2], ('deferred', '451 4.4.3 No usable DNS records found: absent.example'),
        'a name in the configuration that is none is a mistake, and no reason to return mail')
    is_(mx.outcome(send(t, 'x@j.example'), 'x@j.example'), ('failed', '', '550 5.1.2 No usable DNS records found: a.example'),
        'the hosts of another domain are those of the DNS')
    is_(len(other.messages), 2, 'the other port was used twice')


def override_mx(t):
    mx = Mx(t, RECORDS)
    mx.start(', override_mx: {a.example: h3.example}')
    is_(mx.outcome(send(t, 'x@a.example'), 'x@a.example')[1], 'h3.example[127.0.0.3]', 'override_mx is force_mx')


def mistakes(t):
    root = ['--allow-root'] if IS_ROOT else []

    def check(options):
        return t.run('slimta-master', *root, '-c', t.config(config(f'type: mx{options}')), '--check')

    for options in ('', ', port: 26', ', force_mx: {}', ', force_mx: {a.example: "[2001:db8::1]:25"}'):
        is_(check(options).returncode, 0, f'"{options}" is good')
    for options, said in ((', port: 0', r'port: '), (', port: 65536', r'port: '), (', host: x', r'host: '),
            (', force_mx: {a.example: "b:x"}', r'force_mx\.a\.example: expected HOST, HOST:PORT or @DOMAIN'),
            (', force_mx: {a.example: "@"}', r'force_mx\.a\.example: expected HOST, HOST:PORT or @DOMAIN'),
            (', force_mx: {"a b": c}', r'force_mx\.a b: expected a domain'),
            (', force_mx: {a.example: b, A.example: c}', r'force_mx\.A\.example: expected each domain once'),
            (', force_mx: {a.example: b}, override_mx: {a.example: b}', r'override_mx: '),
            (', credentials: {username: u, password: p}', r'credentials: '), (', force_mx: a.example', r'force_mx: ')):
        bad = check(options)
        is_(bad.returncode, 1, f'"{options}" is not')
        like(bad.stderr, rf'relay\.r\.{said}', 'and it says where')
    is_(t.run('slimta-master', '-c', f'{TOP}/conf/slimta-mx.conf', '--check', '--allow-root').returncode, 0, 'the sample is good')
    ok(True, 'all were read')


run(forms, override_mx, mistakes)
