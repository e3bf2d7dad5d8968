#!/usr/bin/python3
# 0017-common-resolver.t - names to addresses: what servers answer, do not answer, and answer wrongly
# SPDX-License-Identifier: MIT
# P10
import ipaddress
import os
import struct

from lib.dns import A, AAAA, CNAME, NXDOMAIN, SERVFAIL, TXT, Answer, DnsServer
from lib.fixture import BUILD, IS_ROOT, is_, like, ok, run

RESOLVE = os.path.join(BUILD, 't/lib/resolve')
OFF, PERMISSIVE, ON = '0', '1', '2'
NAMES = {
    'both.example.net': {A: [(A, '192.0.2.1'), (A, '192.0.2.2')], AAAA: [(AAAA, '2001:db8::1')]},
    'four.example.net': {A: [(A, '192.0.2.4')]},
    'six.example.net': {AAAA: [(AAAA, '2001:db8::6')]},
    'none.example.net': {TXT: [(TXT, b'\4text')]},
    'alias.example.net': {A: [(CNAME, 'four.example.net'), ('four.example.net', A, '192.0.2.4')],
        AAAA: [(CNAME, 'four.example.net')]},
    'loop.example.net': {A: [(CNAME, 'loop.example.net')], AAAA: [(CNAME, 'loop.example.net')]},
    'many.example.net': {A: [(A, f'192.0.2.{n}') for n in range(60)]},
}


def answer(name, kind):
    if name in NAMES:
        return Answer(*NAMES[name].get(kind, []))
    if name == 'broken.example.net':
        return Answer(rcode=SERVFAIL)
    if name == 'silent.example.net' or (name == 'half.example.net' and kind == AAAA):
        return None
    if name == 'half.example.net':
        return Answer((A, '192.0.2.9'))
    if name.startswith('h') and name.endswith('.many.example.net'):
        return Answer((A, '192.0.2.' + name[1:name.index('.')])) if kind == A else Answer()
    return Answer(rcode=NXDOMAIN)


def resolve(t, server, *names, dnssec=OFF, timeout=3000, code=0):
    result = t.run(RESOLVE, server.address, dnssec, str(timeout), *names)
    is_(result.returncode, code, f'resolve {" ".join(names)[:60]} ends by itself')
    found = dict(line.split(': ', 1) for line in result.stdout.decode().splitlines())
    is_(server.errors, [], 'the server could follow')
    return found


def answers(t):
    server = DnsServer(answer)
    found = resolve(t, server, *NAMES, 'absent.example.net', 'broken.example.net', 'Four.Example.NET.', 'a..b', 'x' * 70)
    none, failed = '550 5.1.2 No usable DNS records found: ', '451 4.4.3 DNS lookup failed: '
    is_(found.pop('both.example.net').split()[0], '2001:db8::1', 'IPv6 comes first')
    is_(len(found.pop('many.example.net').split()), 32, 'as many as are looked at')
    is_(found, {'four.example.net': '192.0.2.4', 'six.example.net': '2001:db8::6', 'alias.example.net': '192.0.2.4',
        'Four.Example.NET.': '192.0.2.4', 'none.example.net': none + 'none.example.net',
        'absent.example.net': none + 'absent.example.net', 'broken.example.net': failed + 'broken.example.net',
        'loop.example.net': failed + 'loop.example.net', 'a..b': none + 'a..b', 'x' * 70: none + 'x' * 70},
        'what there is, what there is not, and what nobody knows')
    server.close()


def without_asking(t):
    server = DnsServer(answer)
    found = resolve(t, server, 'localhost', 'a.LOCALHOST.', '127.0.0.9', '[192.0.2.3]', '::1', '[IPv6:2001:db8::5]')
    is_({name: addresses.split()[0] for name, addresses in found.items() if name != 'localhost'},
        {'a.LOCALHOST.': '127.0.0.1', '127.0.0.9': '127.0.0.9', '[192.0.2.3]': '192.0.2.3', '::1': '::1',
        '[IPv6:2001:db8::5]': '2001:db8::5'}, 'localhost and literals')
    ok('127.0.0.1' in found['localhost'].split(), 'localhost is this host')
    is_(server.asked, [], 'nobody was asked')
    server.close()


def hosts_file(t):
    server = DnsServer(answer)
    known = {}
    with open('/etc/hosts', encoding='utf-8') as lines:
        for line in lines:
            address, *names = line.split('#')[0].split() or ['']
            for name in names:
                known.setdefault(name.lower().rstrip('.'), []).append(str(ipaddress.ip_address(address)))
    found = resolve(t, server, *known)
    is_({name: addresses.split() for name, addresses in found.items()}, known, 'the names of /etc/hosts, in its order')
    is_(server.asked, [], 'nobody was asked')
    server.close()


def silence(t):
    server = DnsServer(answer)
    found = resolve(t, server, 'silent.example.net', 'half.example.net', '-silent2.example.net', 'four.example.net',
        timeout=1200)
    is_(found, {'silent.example.net': '451 4.4.3 DNS lookup failed: silent.example.net', 'half.example.net': '192.0.2.9',
        'four.example.net': '192.0.2.4'}, 'silence ends with the time; half an answer is one; what is cancelled is quiet')
    is_(resolve(t, server, 'silent.example.net', '/'), {}, 'queries under way end with the resolver')
    server.close()


def malformed(t):
    def lie(name, kind):
        start = struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0)
        asked = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.')) + b'\0' + struct.pack('>HH', kind, 1)
        owner = b'\xc0\x0c' + struct.pack('>HHI', kind, 1, 60)
        return {'cut': start + asked + owner + b'\0\4\1\2', 'short': start + asked + owner + b'\0\1\1',
            'zero': start + asked + owner + b'\0\0', 'self': start + asked + b'\xc0\x21' + owner[2:] + b'\0\4\1\2\3\4',
            'head': b'\x81\x80\0\1', 'more': struct.pack('>HHHHH', 0x8180, 1, 999, 0, 0) + asked,
            'junk': b'\xff' * 300}[name.split('.')[0]]
    server = DnsServer(lie)
    names = [f'{word}.example.net' for word in ('cut', 'short', 'zero', 'self', 'head', 'more', 'junk')]
    found = resolve(t, server, *names, timeout=1500)
    is_(found, {name: f'451 4.4.3 DNS lookup failed: {name}' for name in names}, 'a malformed answer is none')
    server.close()


def many(t):
    server = DnsServer(answer)
    names = [f'h{n}.many.example.net' for n in range(1, 251)]
    found = resolve(t, server, *names, timeout=20000)
    is_(found, {name: f'192.0.2.{n}' for n, name in enumerate(names, 1)}, '250 at once')
    server.close()


def dnssec(t):
    server = DnsServer(answer)
    is_(resolve(t, server, 'four.example.net', dnssec=ON), {'four.example.net': '451 4.4.3 DNS lookup failed: four.example.net'},
        'on: what cannot be proved is not believed')
    is_(resolve(t, server, 'four.example.net', dnssec=PERMISSIVE), {'four.example.net': '192.0.2.4'}, 'permissive: it is')
    server.close()


def configured(t):
    text = """@process@    resolver: {%s}
edge:
  main: {type: smtp, queue: q, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes}
relay:
  r: {type: blackhole}
"""
    root = ['--allow-root'] if IS_ROOT else []
    for value in ('servers: [192.0.2.1, "2001:db8::1@5353"], dnssec: permissive, timeout: 2s', 'servers: 192.0.2.1@54'):
        is_(t.run('slimta-master', *root, '-c', t.config(text % value), '--check').returncode, 0, f'{value} is good')
    for value, where in (('servers: [192.0.2.1, here]', r'servers\[1\]'), ('servers: 192.0.2.1@0', 'servers'),
            ('servers: 192.0.2.1@65536', 'servers'), ('servers: "192.0.2.1:53"', 'servers'), ('dnssec: maybe', 'dnssec'),
            ('timeout: 0', 'timeout'), ('server: 192.0.2.1', 'server')):
        bad = t.run('slimta-master', *root, '-c', t.config(text % value), '--check')
        is_(bad.returncode, 1, f'{value} is not')
        like(bad.stderr, rf'process\.slimta\.resolver\.{where}: ', 'and it says where')


run(configured, answers, without_asking, hosts_file, silence, malformed, many, dnssec)
