#!/usr/bin/python3
# 3324-edge-host-resolver.t - addresses to names: /etc/hosts first, few questions, and an end to all of them
# SPDX-License-Identifier: MIT
# P10
import ipaddress
import os
import time

from lib.dns import A, AAAA, NXDOMAIN, Answer, DnsServer, encode_name
from lib.fixture import BUILD, SLOW, is_, ok, run

RESOLVE = os.path.join(BUILD, 't/lib/resolve')
PTR = 12


def reverse(ip):
    return ipaddress.ip_address(ip).reverse_pointer


def find(t, server, *addresses, timeout=20000):
    """Their names, as the edge finds them."""
    result = t.run(RESOLVE, server.address, '0', str(timeout), *(f'host:{ip}' for ip in addresses), timeout=60)
    is_((result.returncode, server.errors), (0, []), f'resolve {" ".join(addresses)} ends by itself')
    return dict(line[5:].split(': ') for line in result.stdout.decode().splitlines())


def hosts_file(t):
    known = {}
    with open('/etc/hosts', encoding='utf-8') as lines:
        for line in lines:
            address, *names = line.split('#')[0].split() or ['']
            if names:
                known.setdefault(str(ipaddress.ip_address(address)), names[0].lower())
    server = DnsServer(lambda name, kind: Answer(rcode=NXDOMAIN))
    is_(find(t, server, *known), known, 'the first name of each address')
    is_(server.asked, [], 'nobody is asked')
    is_(find(t, server, '192.0.2.1'), {'192.0.2.1': 'none'}, 'another address')
    is_(server.asked, [(reverse('192.0.2.1'), PTR)], 'is asked for')
    server.close()


def many(t):
    """Five names are tried, of 100; of a hundred addresses ten."""
    names = [f'n{n}.example.net' for n in range(100)]

    def answer(name, kind):
        if kind == PTR:
            return Answer(*((PTR, encode_name(n)) for n in (names if name == reverse('192.0.2.1') else names[:1])), ttl=0)
        return Answer(*((A, f'203.0.113.{n}') for n in range(20)), ttl=0) if kind == A else Answer()

    server = DnsServer(answer)
    is_(find(t, server, '192.0.2.1'), {'192.0.2.1': 'none'}, 'a hundred names that lead elsewhere')
    is_(len({name for name, kind in server.asked if kind == A}), 5, 'of which five are tried')
    ok(not any(kind == AAAA for _, kind in server.asked), 'for addresses of its kind alone')
    found = find(t, server, *(f'203.0.113.{n}' for n in range(20)))
    is_(list(found.values()).count('n0.example.net'), 10, 'of the addresses of a name ten count')
    server.close()


def silence(t):
    """In all it takes a second here, whoever does not answer."""
    server = DnsServer(lambda name, kind: Answer((PTR, encode_name('silent.example.net'))) if kind == PTR else None)
    began = time.monotonic()
    is_(find(t, server, '192.0.2.1', '2001:db8::1'), {'192.0.2.1': 'none', '2001:db8::1': 'none'}, 'no name')
    ok(0.9 < time.monotonic() - began < 8 * SLOW, f'after {time.monotonic() - began:.1f} s')
    server.close()


def malformed(t):
    """Packets that lie."""
    for number, data in enumerate((b'', b'\0', b'\xc0\x0c\0', b'\xc0\xff', b'\x3f' + b'x' * 20, b'\4name', b'\4na.e\0', b'\4na\0e\0',
            b'\x08example\xff\0', encode_name('x' * 63 + '.' + 'y' * 63 + '.' + 'z' * 63 + '.' + 'w' * 63))):
        server = DnsServer(lambda name, kind, data=data: Answer((PTR, data)) if kind == PTR else Answer((A, '192.0.2.1')))
        is_(find(t, server, '192.0.2.1')['192.0.2.1'], 'none', f'record {number}: {data[:10]!r}')
        server.close()


run(hosts_file, many, silence, malformed)
