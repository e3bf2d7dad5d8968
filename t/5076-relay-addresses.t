#!/usr/bin/python3
# 5076-relay-addresses.t - which addresses of a host are tried, from which of ours, and a socket with a path
# SPDX-License-Identifier: MIT
# P10 P24
import re

from lib.certificates import Certificates
from lib.dns import A, AAAA, NXDOMAIN, Answer, DnsServer
from lib.fixture import is_, like, ok, run, unlike
from lib.next_hop import CLOSE, NextHop
from lib.relay import config, send

ADDRESSES = {
    'many.test-net.example': {A: [f'127.0.0.{n}' for n in range(2, 20)]},
    'both.test-net.example': {AAAA: ['::1'], A: ['127.0.0.1']},
    'six.test-net.example': {AAAA: ['::1']},
    'two.test-net.example': {A: ['127.0.0.2', '127.0.0.1']},
}

turns = [0]


def answer(name, kind):
    if name not in ADDRESSES:
        return Answer(rcode=NXDOMAIN)
    # Not to be kept, and in another order each time.
    turns[0] += 1
    return Answer(*[(kind, address) for address in ADDRESSES[name].get(kind, [])[::1 if turns[0] // 2 % 2 else -1]], ttl=0)


def start(t, dns, host, port, more=''):
    text = config(f'type: static, host: {host}, port: {port}, idle_timeout: 0{more}', delay=300, bounces=True)
    return t.master(text.replace('@process@\n', f'@process@    resolver: {{servers: ["{dns.address}"]}}\n'))


def outcome(t, master):
    ident = send(t, 'a@example.net')
    return master.wait_log(rf' worker: (\w+) id={ident} .* host="?([^ "]*)"? .*reply="([^"]*)"').groups()


def tried(master):
    return re.findall(r'could not use a next hop .*host=\S*?\[([^]]+)\]', master.log)


def how_many(t):
    dns = DnsServer(answer)
    hop = NextHop(t, addresses=['127.0.0.1'])
    master = start(t, dns, 'many.test-net.example', hop.port)
    is_(outcome(t, master)[0], 'deferred', 'a host of which no address will do waits')
    is_((len(tried(master)), len(set(tried(master)))), (10, 10), 'behind ten of them')
    master.stop()
    dns.close()


def only_version_4(t):
    dns = DnsServer(answer)
    hop = NextHop(t)
    master = start(t, dns, 'both.test-net.example', hop.port, ', ipv4_only: yes')
    is_(outcome(t, master)[:2], ('delivered', 'both.test-net.example[127.0.0.1]'), 'what has both is spoken to by IPv4')
    unlike(master.log, '::1', 'IPv6 is not tried')
    master.stop()
    master = start(t, dns, 'six.test-net.example', hop.port, ', ipv4_only: yes')
    is_(outcome(t, master), ('deferred', 'six.test-net.example', '451 4.4.3 No address of IPv4: six.test-net.example'),
        'what has only IPv6 waits')
    master.stop()
    dns.close()


def source(t):
    dns = DnsServer(answer)
    seen = []
    hop = NextHop(t, {'connect': lambda peer, line: seen.append(peer.sock.getpeername()[0])})
    for ours, wanted in (('127.0.0.9', '127.0.0.9'), ('[127.0.0.8, "::1"]', '127.0.0.8'), ('"::1"', '127.0.0.1')):
        seen.clear()
        master = start(t, dns, 'localhost', hop.port, f', source_address: {ours}')
        is_((outcome(t, master)[0], seen), ('delivered', [wanted]), f'from {ours}')
        master.stop()
    master = start(t, dns, 'localhost', hop.port, ', source_address: 192.0.2.1')
    event, _, reply = outcome(t, master)
    is_(event, 'deferred', 'from an address that is not ours nothing goes')
    like(reply, '^451 4.3.0 Connection failed: Cannot assign', 'and it is said')
    master.stop()
    dns.close()


def clear_at_each(t):
    """TLS that fails is left out at its own address, before the next is tried; another address has TLS again."""
    dns = DnsServer(answer)
    context = Certificates(t, names='DNS:two.test-net.example').server()
    hop = NextHop(t, {('127.0.0.2', 'handshake'): CLOSE}, addresses=['127.0.0.1', '127.0.0.2'], tls=context)
    hop.at[('127.0.0.2', 'connect')] = lambda peer, line: '421 4.3.2 busy' if hop.connections_of('127.0.0.2') % 2 == 0 else None
    master = start(t, dns, 'two.test-net.example', hop.port, ', tls: {}')
    for _ in range(20):     # until its addresses come in that order
        event, host, _ = outcome(t, master)
        is_((event, host, hop.messages[-1]['tls']), ('delivered', 'two.test-net.example[127.0.0.1]', 'TLSv1.3'),
            'by TLS at the other')
        if hop.connections_of('127.0.0.2'):
            break
    is_(hop.connections_of('127.0.0.2'), 2, 'once by TLS, once in clear')
    master.stop()
    dns.close()


def path(t):
    """LMTP to a socket."""
    hop = NextHop(t, path=t.path('socket'), lmtp=True)
    master = t.master(config(f'type: lmtp, path: {hop.server.path}', delay=300))
    wanted = r' worker: (\w+) id=%s .* host=(\S+) .*reply="([^"]*)"'
    match = master.wait_log(wanted % send(t, 'a@example.net'))
    is_(match.groups(), ('delivered', hop.server.path, '250 2.1.5 <a@example.net> taken'), 'to a socket')
    is_(len(hop.messages), 1, 'it went')
    hop.hang_up()
    hop.server.close()
    match = master.wait_log(wanted % send(t, 'a@example.net'))
    is_(match.groups()[:2], ('deferred', hop.server.path), 'without a server it waits')
    like(match[3], '^451 4.3.0 Connection failed', 'and says why')
    ok(master.running(), 'all goes on')
    master.stop()


run(how_many, only_version_4, source, clear_at_each, path)
