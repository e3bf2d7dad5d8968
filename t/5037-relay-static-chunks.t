#!/usr/bin/python3
# 5037-relay-static-chunks.t - mail data by BDAT: the same octets as by DATA, refused, cut off and in doubt
# SPDX-License-Identifier: MIT
# P1 P15 P23 P24
import select

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, RESET, NextHop, Raw
from lib.relay import config, queued, send

PIPELINED = ('PIPELINING', '8BITMIME', 'SIZE 10000000', 'CHUNKING')
ONE_BY_ONE = ('8BITMIME', 'CHUNKING')
HEADER = b'Subject: x\r\n\r\n'
LARGE = HEADER + (b'x' * 78 + b'\r\n') * 5000
TO = ('a@example.net', 'b@example.net')


def start(t, hop, more=''):
    return t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1, idle_timeout: 30{more}',
        delay=300, bounces=True))


def outcome(master, ident, name='a@example.net'):
    match = master.wait_log(rf' (delivered|failed|deferred) id={ident} recipient={name} .*reply="([^"]*)"')
    return match[1], match[2]


def clean(t, master):
    master.stop()
    t.run('rm', '-r', t.path('env'), t.path('meta'))


def octets(t):
    mails = [HEADER, HEADER + b'.\r\n..\r\n.x', HEADER + b'\xc3\xa4\r\n' * 9, LARGE,
        *(HEADER + (b'y' * 61 + b'\r\n') * (size // 63) + b'z' * (size % 63) for size in (32700, 32755, 32756, 65522, 200000))]
    by_data = NextHop(t, extensions=('PIPELINING', '8BITMIME'))
    master = start(t, by_data)
    for mail in mails:
        is_(outcome(master, send(t, *TO, data=mail))[0], 'delivered', f'{len(mail)} octets by DATA')
    clean(t, master)
    for extensions in (PIPELINED, ONE_BY_ONE):
        hop = NextHop(t, extensions=extensions)
        master = start(t, hop)
        for mail in mails:
            is_(outcome(master, send(t, *TO, data=mail))[0], 'delivered', f'{len(mail)} octets by BDAT')
        is_([mail['data'] == other['data'] for mail, other in zip(hop.messages, by_data.messages)], [True] * len(mails),
            'the same as by DATA')
        ok(all(size >= 32768 for mail in hop.messages for size in mail['chunks'][:-1]), 'in chunks of use')
        ok(all(len(mail['chunks']) > 2 for mail in hop.messages if len(mail['data']) > 200000), 'that are more where there is more')
        is_([line for line in hop.said if line.startswith('DATA')], [], 'and never by DATA')
        is_((hop.connections, hop.wrong), (1, []), 'over one connection')
        clean(t, master)


def refused(t):
    """At the first chunk, or the last; the connection takes the next message."""
    for step in ('BDAT', '.'):
        for what, state in (('552 5.3.4 250 large', 'failed'), ('452 4.3.1 552 full', 'deferred')):
            hop = NextHop(t, {step: [what]}, PIPELINED)
            master = start(t, hop)
            first, second = send(t, *TO, data=LARGE), send(t, *TO, data=LARGE)
            is_([outcome(master, first, name) for name in TO], [(state, what)] * 2, f'{what} to {step}')
            is_(outcome(master, second)[0], 'delivered', 'the next is taken')
            is_((len(hop.messages), hop.connections, hop.wrong), (1, 1, []), 'over the same connection')
            is_('RSET' in hop.said, step == 'BDAT', 'behind RSET where a transaction was left')
            clean(t, master)


def part_then(what):
    """The server reads a part of the chunk, and then does what it does."""
    def read(peer, _):
        peer.read_octets(10000)
        return what
    return read


def lost(t):
    """Before its last chunk was sent a message goes on over another connection; behind it, it is in doubt unless told."""
    for at, doubt in (({'chunk': [CLOSE]}, False), ({'chunk': [part_then(CLOSE)]}, False), ({'chunk': [part_then(RESET)]}, False),
            ({'BDAT': ['421 4.3.2 down']}, False), ({'BDAT': [(Raw(b'250 2.0'), CLOSE)]}, None), ({'.': ['421 4.3.2 down']}, False),
            ({'.': [CLOSE]}, True), ({'.': [(Raw(b'250 2.0'), RESET)]}, True)):
        hop = NextHop(t, at, ONE_BY_ONE)
        master = start(t, hop)
        ident = send(t, *TO, data=LARGE)
        is_(outcome(master, ident)[0], 'deferred' if doubt else 'delivered', f'{at}')
        is_(hop.connections, 1 if doubt else 2, 'what is lost in between goes on at once')
        (like if doubt else unlike)(master.log, rf' in doubt id={ident} ', 'what was sent whole is in doubt')
        wait_for(lambda wanted=int(doubt or 0): len(queued(t)) == wanted, what='a queue that holds what was not told')
        ok(doubt or len(hop.messages) == 1, 'nothing is delivered twice')
        clean(t, master)


def last(t):
    """The last chunk waits until those before it are answered: a server that has no room for them is told no end."""
    before, behind, sizes = [], [], []

    def take(peer, into):
        line = peer.read_line().decode()
        into.append(line.endswith(' LAST'))
        sizes.append(int(line.split()[1]))
        peer.read_octets(sizes[-1])

    def serve(peer):
        peer.line('220 hop')
        for reply in ('250-hop\r\n250-PIPELINING\r\n250 CHUNKING', '250 ok', '250 ok'):
            peer.read_line()
            peer.line(reply)
        while sum(sizes) < len(LARGE) - 100000 or peer.pending or select.select([peer.sock], [], [], 1)[0]:
            take(peer, before)
        for _ in before:
            peer.line('250 ok')
        take(peer, behind)
        peer.line('250 taken')

    hop = t.server(serve)
    master = start(t, hop)
    is_(outcome(master, send(t, 'a@example.net', data=LARGE))[0], 'delivered', 'it is taken')
    ok(len(before) > 2 and not any(before), 'those before it come without waiting')
    is_(behind, [True], 'the last comes behind the answers to all others')


def limits(t):
    """Recipients beyond what the server takes go in other transactions at once; connections end when it has had enough."""
    hop = NextHop(t, None, (*PIPELINED, 'LIMITS RCPTMAX=2 MAILMAX=2'))
    master = start(t, hop)
    names = [f'r{i}@example.net' for i in range(7)]
    ident = send(t, *names)
    is_({outcome(master, ident, name)[0] for name in names}, {'delivered'}, 'all seven are delivered')
    is_([len(mail['recipients']) for mail in hop.messages], [2, 2, 2, 1], 'in transactions of two')
    is_((hop.connections, hop.wrong), (2, []), 'two a connection')
    unlike(master.log, ' deferred ', 'none of them later')
    clean(t, master)


run(octets, refused, lost, last, limits)
