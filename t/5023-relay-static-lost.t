#!/usr/bin/python3
# 5023-relay-static-lost.t - 421 or the end of the connection at any step: the message goes on at once over a new one
# SPDX-License-Identifier: MIT
# P12 P23
import time

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import CLOSE, NextHop
from lib.relay import config, queued, send


def start(t, hop, more=''):
    return t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1{more}', delay=300, bounces=True))


def once_at_each_step(t):
    for extensions in (('PIPELINING',), ()):
        for step in ('MAIL', 'RCPT', 'DATA', '.'):
            for what in ('421 4.3.2 down', CLOSE):
                hop = NextHop(t, {step: [None, what]}, extensions)
                master = start(t, hop)
                idents = [send(t, 'a@example.net') for _ in range(3)]
                doubt = step == '.' and what is CLOSE
                for ident in idents:
                    match = master.wait_log(rf' (delivered|deferred) id={ident} .*attempts=1 ')
                    if match[1] == 'deferred':
                        ok(doubt, f'{step}: {"421" if what is not CLOSE else "closed"}: only what is in doubt waits')
                        like(master.log, rf' in doubt id={ident} ', 'and it is said to be')
                is_(len(hop.messages), 2 if doubt else 3, f'{step}: the others went on at once')
                is_(hop.connections, 2, 'over a new connection')
                is_(len(queued(t)), int(doubt), 'and are gone from the queue')
                master.stop()
                for name in queued(t):
                    t.run('rm', '-r', t.path('env'), t.path('meta'))


def always(t):
    for what, reply in (('421 4.3.2 down', '421 4.3.2 down'), (CLOSE, '451 4.4.2 Connection lost: .*')):
        hop = NextHop(t, {'RCPT': what})
        master = start(t, hop)
        ident = send(t, 'a@example.net')
        master.wait_log(rf' deferred id={ident} .*reply="{reply}" attempts=1 ')
        is_(hop.connections, 2, 'twice in one attempt, and no more')
        unlike(master.log, ' in doubt ', 'nothing is in doubt')
        master.stop()
        t.run('rm', '-r', t.path('env'), t.path('meta'))


def settled_stay_settled(t):
    first = {'b': ['550 5.1.1 no'], 'c': ['421 4.3.2 down']}

    def rcpt(_, line):
        replies = first.get(line[line.index('<') + 1])
        return replies.pop(0) if replies else None
    hop = NextHop(t, {'RCPT': rcpt})
    master = start(t, hop)
    ident = send(t, 'a@example.net', 'b@example.net', 'c@example.net')
    for name, reply in (('a', '250 2.6.0 taken'), ('b', '550 5.1.1 no'), ('c', '250 2.6.0 taken')):
        master.wait_log(rf' id={ident} recipient={name}@example.net .*reply="{reply}"')
    to = [m['recipients'] for m in hop.messages if m['recipients'] != ['s@example.org']]	# the sender is told
    is_(to, [['a@example.net', 'c@example.net']], 'who was refused is not asked again')


def while_idle(t):
    hop = NextHop(t)
    gone = {'.': lambda peer, line: peer.send('250 2.6.0 taken\r\n421 4.3.2 idle\r\n') or CLOSE}
    hop.at = dict(gone)
    master = start(t, hop)
    for count in range(1, 4):
        ident = send(t, 'a@example.net')
        master.wait_log(rf' delivered id={ident} .*attempts=1 ')
        is_(hop.connections, count, 'a connection that was closed while idle is not used')


def replies_of_every_kind(t):
    invalid = '451 4.5.0 Invalid reply to RCPT'
    for what, reply in ((b'250-a\r\n550 b', invalid), (b'x' * 5000, invalid), (b'550-on\r\n' * 200 + b'550 on', invalid),
            (b'250 ' + b'x' * 5000, invalid), (b'\xff\0\x01', invalid), (b'199 early', invalid), (b'354 go', invalid),
            (b'550 a\x1b[2J\0b\rc' + b'\xe4' * 9, '550 5.0.0 a \\[2J b c\ufffd+')):
        hop = NextHop(t, {'RCPT': what}, extensions=())
        master = start(t, hop)
        ident = send(t, 'a@example.net')
        match = master.wait_log(rf' (delivered|deferred|failed) id={ident} .*reply="([^"]*)"')
        like(match[2], f'^{reply}$', repr(what[:20]))
        master.stop()
        t.run('rm', '-r', t.path('env'), t.path('meta'))


def octet_by_octet(t):
    """A reply may come as slowly as it likes, as long as each line is there in time."""
    def slowly(peer, text):
        for octet in text:
            peer.send(bytes([octet]))
            time.sleep(0.02)
        return b''
    hop = NextHop(t, {'RCPT': lambda peer, line: slowly(peer, b'250 2.1.5 ok\r\n')}, extensions=())
    master = start(t, hop, ', command_timeout: 5')
    master.wait_log(rf' delivered id={send(t, "a@example.net")} ')
    hop.at['RCPT'] = lambda peer, line: slowly(peer, b'250 2.1.5 ' + b'x' * 500)
    master.stop()
    master = start(t, hop, ', command_timeout: 0.5')
    match = master.wait_log(rf' deferred id={send(t, "a@example.net")} .*reply="([^"]*)"')
    is_(match[1], '421 4.4.2 Connection timed out', 'a line that does not end has the time of a reply')


run(once_at_each_step, always, settled_stay_settled, while_idle, replies_of_every_kind, octet_by_octet)
