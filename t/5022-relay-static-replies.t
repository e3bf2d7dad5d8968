#!/usr/bin/python3
# 5022-relay-static-replies.t - what a next hop answers decides, by its code, for each recipient
# SPDX-License-Identifier: MIT
# P12 P24
import socket

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.relay import config, queued, send


def start(t, hop, more=''):
    return t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}{more}', delay=300, bounces=True))


def greetings(t):
    for step, said, reply, sent in (
            ('connect', '421 4.3.2 550 5.0.0 busy', '421 4.3.2 550 5.0.0 busy', []),
            ('connect', '450 later', '450 4.0.0 later', []),
            ('connect', '554 5.7.1 go away', '554 5.7.1 go away', []),
            ('connect', 'SSH-2.0-OpenSSH_9', '451 4.5.0 Invalid reply to the connection', []),
            ('EHLO', '421 later', '421 4.0.0 later', ['EHLO']), ('EHLO', '450 550 later', '450 4.0.0 550 later', ['EHLO']),
            ('HELO', '550 5.7.1 no', '550 5.7.1 no', ['EHLO', 'HELO']),
            ('EHLO', '250 mx\r\n250 2.6.0 taken', '451 4.5.0 Unexpected reply: 250 taken', ['EHLO'])):
        hop = NextHop(t, {'EHLO': '502 what', step: said})
        master = start(t, hop)
        ident = send(t, 'a@example.net')
        match = master.wait_log(rf' {"failed" if reply[0] == "5" else "deferred"} id={ident} .*reply="([^"]*)"')
        is_(match[1], reply, f'{said} at {step}')
        is_([line.split()[0] for line in hop.said[:2] if line != 'QUIT'], sent, 'nothing more is asked')
        master.stop()
    for said in ('500 what', '554 no'):
        hop = NextHop(t, {'EHLO': said}, extensions=())
        master = start(t, hop)
        master.wait_log(f' delivered id={send(t, "a@example.net")} ')
        is_([line.split()[0] for line in hop.said[:6]], ['EHLO', 'HELO', 'MAIL', 'RCPT', 'DATA'],
            f'{said} to EHLO: HELO, and one command after the other')
        is_(hop.said[2], 'MAIL FROM:<s@example.org>', 'without parameters')
        master.stop()


def refused_connection(t):
    with socket.create_server(('127.0.0.1', 0)) as unused:
        port = unused.getsockname()[1]
    master = t.master(config(f'type: static, host: localhost, port: {port}', delay=300))
    ident = send(t, 'a@example.net')
    match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
    is_(match[1], '451 4.3.0 Connection failed: Connection refused', 'nobody listens')
    hop = NextHop(t)
    master.stop()
    t.write('hosts', '')
    master = t.master(config(f'type: static, host: localhost, port: {hop.port}'))
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    ok(True, 'the next address of the host is tried in the same attempt')


def each_recipient(t):
    codes = {'a': '250 ok', 'b': '550 5.1.1 no such user', 'c': '450 550 5.1.1 later', 'd': '251 forwarded',
        'e': '550-5.7.1 two\r\n550 5.7.1 lines\x1b[2J', 'f': '452 4.5.3 too many'}
    for extensions in (('PIPELINING',), ()):
        hop = NextHop(t, {'RCPT': lambda peer, line: codes[line[line.index('<') + 1]]}, extensions)
        master = start(t, hop)
        ident = send(t, *(f'{name}@example.net' for name in codes))
        for name, reply in (('a', '250 2.6.0 taken'), ('b', '550 5.1.1 no such user'), ('c', '450 4.0.0 550 5.1.1 later'),
                ('d', '250 2.6.0 taken'), ('e', r'550 5.7.1 two / lines \[2J'), ('f', '452 4.5.3 too many')):
            master.wait_log(rf' id={ident} recipient={name}@example.net .*reply="{reply}"')
        is_(hop.messages[0]['recipients'], ['a@example.net', 'd@example.net'], 'the data is for those that were accepted')
        master.stop()


def nobody(t):
    for at, reply, recipients in (({'RCPT': '550 5.1.1 no'}, '550 5.1.1 no', 2), ({'MAIL': '452 4.3.1 full'}, '452 4.3.1 full', 2),
            ({'DATA': '554 5.3.0 no'}, '554 5.3.0 no', 1), ({'.': '554 5.6.0 spam'}, '554 5.6.0 spam', 1),
            ({'.': '450 250 hm'}, '450 4.0.0 250 hm', 1), ({'DATA': '250 ok'}, '451 4.5.0 Invalid reply to DATA', 1)):
        hop = NextHop(t, at)
        master = start(t, hop)
        ident = send(t, *('a@example.net', 'b@example.net')[:recipients])
        for name in 'ab'[:recipients]:
            match = master.wait_log(rf' id={ident} recipient={name}@example.net .*reply="([^"]*)"')
            is_(match[1], reply, f'{at}')
        is_([m for m in hop.messages if m['data']], [], 'nothing was delivered')
        unlike(master.log, f'delivered id={ident}', 'nor said to be')
        if 'RCPT' in at:
            wait_for(lambda: 'RSET' in hop.said, what='RSET')
            is_(hop.messages[0]['raw'], b'.\r\n', '354 for nobody got an empty message')
        master.stop()


def needs(t):
    for extensions, parameters, data, reply in (
            ((), '', b'Subject: x\r\n\r\n\xc3\xa4\r\n', '554 5.6.3 Conversion not allowed'),
            (('SIZE 30',), '', b'Subject: x\r\n\r\n' + b'x' * 60 + b'\r\n', '552 5.3.4 '),
            (('8BITMIME',), ' SMTPUTF8 BODY=8BITMIME', b'Subject: \xc3\xa4\r\n\r\nx\r\n', '554 5.6.9 '),
            (('8BITMIME',), ' SMTPUTF8', b'Subject: x\r\n\r\nx\r\n', None)):
        hop = NextHop(t, extensions=extensions)
        master = start(t, hop)
        ident = send(t, 'a@example.net', data=data, parameters=parameters)
        match = master.wait_log(rf' (?:deferred|failed|delivered) id={ident} .*reply="([^"]*)"')
        like(match[1], reply or '250 2.6.0 taken', f'{extensions} for {data!r}')
        is_([line for line in hop.said if line.startswith('MAIL')], [] if reply else ['MAIL FROM:<s@example.org>'],
            'it is not sent what it does not know')
        master.stop()
    hop = NextHop(t, extensions=('8BITMIME', 'SMTPUTF8'))
    master = start(t, hop)
    master.wait_log(f' delivered id={send(t, "a@example.net", data=b"Subject: x" + bytes([13, 10, 13, 10, 0xc3, 0xa4, 13, 10]))} ')
    is_(hop.messages[0]['parameters'], ['BODY=8BITMIME'], 'what is offered is used where it is needed')
    master.stop()


run(greetings, refused_connection, each_recipient, nobody, needs)
