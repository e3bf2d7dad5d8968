#!/usr/bin/python3
# 5027-relay-static-addresses.t - from the name of a next hop to a connection: one address after the other, or a reason to wait
# SPDX-License-Identifier: MIT
# P10 P24
import struct

from lib.dns import A, AAAA, NXDOMAIN, SERVFAIL, Answer, DnsServer, encode_name
from lib.fixture import is_, like, ok, run, skip, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import rested

ADDRESSES = {
    'later.test-net.example': {AAAA: ['::1'], A: ['127.0.0.1']},
    'two.test-net.example': {A: ['127.0.0.2', '127.0.0.1']},
    'none.test-net.example': {A: ['127.0.0.2', '127.0.0.3']},
    'six.test-net.example': {AAAA: ['::1']},
}


turns = [0]


def answer(name, kind):
    word = name.split('.')[0]
    if word == 'broken':
        return Answer(rcode=SERVFAIL)
    if word == 'silent':
        return None
    if word == 'junk':
        return b'\xff' * 300
    if word == 'cut':
        question = encode_name(name) + struct.pack('>HH', kind, 1)
        return struct.pack('>HHHHH', 0x8180, 1, 1, 0, 0) + question + b'\xc0\x0c' + struct.pack('>HHI', kind, 1, 60) + b'\0\4\1\2'
    if name not in ADDRESSES:
        return Answer(rcode=NXDOMAIN)
    # Not to be kept, and in another order each time.
    turns[0] += 1
    addresses = ADDRESSES[name].get(kind, [])[::1 if turns[0] // 2 % 2 else -1]
    return Answer(*[(kind, address) for address in addresses], ttl=0)


def start(t, dns, hosts, port):
    """A queue and a listener for each host."""
    numbers = dict(enumerate(hosts))
    text = '\n'.join([f'@process@    resolver: {{servers: ["{dns.address}"], timeout: 1.5}}', '  edge: {instances: 1}',
        '  worker: {instances: 1}', 'edge:',
        *(f'  l{n}: {{type: smtp, queue: q{n}, listener: {{port: @port:l{n}@}}}}' for n in numbers), 'queue:',
        *(f'  q{n}: {{type: disk, relay: r{n}, envelope_dir: @dir@/env{n}, meta_dir: @dir@/meta{n}, allow_volatile: yes, '
            'retry: {delay: 300, maximum: 9}}' for n in numbers), 'relay:',
        *(f'  r{n}: {{type: static, host: "{host}", port: {port}, idle_timeout: 0}}' for n, host in numbers.items()), ''])
    return t.master(text), {host: f'l{n}' for n, host in numbers.items()}


def outcome(t, master, port):
    with t.client(port) as client:
        client.reply()
        for line in 'EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<a@example.net>', 'DATA', 'Subject: x\r\n\r\nx\r\n.':
            client.line(line)
            reply = client.reply()
    ident = next(word for word in reply.text.split() if len(word) == 26)
    return master.wait_log(rf' worker: (\w+) id={ident} .* host="?([^ "]*)"? reply="([^"]*)" attempts=1 ').groups()


def after_its_rest(t, master, port):
    while not rested((got := outcome(t, master, port))[2]):
        pass
    return got


def names(t):
    """The port is one that a next hop has on 127.0.0.1 alone."""
    dns = DnsServer(answer)
    hop = NextHop(t)
    failed, refused = '451 4.4.3 DNS lookup failed: ', '451 4.3.0 Connection failed: Connection refused'
    wanted = {
        'later.test-net.example': ('delivered', 'later.test-net.example[127.0.0.1]', '250 2.6.0 taken'),
        'two.test-net.example': ('delivered', 'two.test-net.example[127.0.0.1]', '250 2.6.0 taken'),
        'none.test-net.example': ('deferred', 'none.test-net.example[127.0.0.?]', refused),
        'absent.test-net.example': ('deferred', 'absent.test-net.example',
            '451 4.4.3 No usable DNS records found: absent.test-net.example'),
        **{f'{word}.test-net.example': ('deferred', f'{word}.test-net.example', f'{failed}{word}.test-net.example')
            for word in ('broken', 'silent', 'junk', 'cut')},
        'localhost': ('delivered', 'localhost[127.0.0.1]', '250 2.6.0 taken'),
        'here.localhost': ('delivered', 'here.localhost[127.0.0.1]', '250 2.6.0 taken'),
        '127.0.0.1': ('delivered', '127.0.0.1[127.0.0.1]', '250 2.6.0 taken'),
        '[127.0.0.1]': ('delivered', '[127.0.0.1][127.0.0.1]', '250 2.6.0 taken'),
        '[IPv6:::1]': ('deferred', '[IPv6:::1][::1]', '451 4.3.0 Connection failed: .*'),
    }
    master, ports = start(t, dns, wanted, hop.port)
    for host, (event, where, reply) in wanted.items():
        got = outcome(t, master, ports[host])
        is_((got[0], got[1].replace('[127.0.0.2]', '[127.0.0.?]').replace('[127.0.0.3]', '[127.0.0.?]')), (event, where), host)
        like(got[2], f'^{reply}$', 'with its reply')
    is_(dns.errors, [], 'the server could follow')
    tried = r'could not use a next hop relay=r\d+ host="?none.test-net.example\[127.0.0.%d\]"? port=\d+ reply="' + refused
    for last in 2, 3:
        like(master.log, tried % last, 'each address was tried')
    wait_for(lambda: hop.now == 0, what='no idle connection')
    ok(True, 'idle_timeout of 0 keeps none')
    master.stop()
    dns.close()


def addresses_that_refuse(t):
    """One address says no in its greeting: the next is tried in the same attempt; what is only for now counts more."""
    dns = DnsServer(answer)
    good = NextHop(t)
    bad = NextHop(t, address=('127.0.0.2', good.port))
    master, ports = start(t, dns, ['two.test-net.example'], good.port)
    for step, said in ('connect', '554 5.7.1 no'), ('connect', '421 4.3.2 busy'), ('EHLO', '450 4.7.1 later'):
        bad.at = {step: said}
        before = bad.connections
        for _ in range(30):
            got = outcome(t, master, ports['two.test-net.example'])
            is_(got, ('delivered', 'two.test-net.example[127.0.0.1]', '250 2.6.0 taken'), f'{said} at one address')
            if bad.connections > before:
                break
        ok(bad.connections > before, 'of which it was tried')
        like(master.log, rf'could not use a next hop .*two.test-net.example\[127.0.0.2\].* reply="{said}"', 'and logged')
    for here, there, reply in (('554 5.7.1 no', '450 4.7.1 later', '450 4.7.1 later'), ('450 4.7.1 later', '554 5.7.1 no',
            '450 4.7.1 later'), ('554 5.7.1 no', '554 5.7.1 no', '554 5.7.1 no')):
        good.at, bad.at = {'connect': here}, {'connect': there}
        got = after_its_rest(t, master, ports['two.test-net.example'])
        is_((got[0], got[2]), ('failed' if reply[0] == '5' else 'deferred', reply), f'{here} at one, {there} at the other')
    good.at = {}
    unlike(master.log, 'in doubt', 'nothing is in doubt')
    master.stop()
    dns.close()


def version_6(t):
    try:
        hop = NextHop(t, address=('::1', 0))
    except OSError:
        skip('no IPv6 here', 'IPv6')
        return
    dns = DnsServer(answer)
    hosts = ['six.test-net.example', '::1', '[::1]', '[IPv6:::1]', 'later.test-net.example']
    master, ports = start(t, dns, hosts, hop.port)
    for host in hosts:
        is_(outcome(t, master, ports[host]), ('delivered', f'{host}[::1]', '250 2.6.0 taken'), f'{host} by IPv6')
    master.stop()
    dns.close()


run(names, addresses_that_refuse, version_6)
