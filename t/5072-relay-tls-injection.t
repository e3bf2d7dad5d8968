#!/usr/bin/python3
# 5072-relay-tls-injection.t - what a next hop says in clear behind its 220 to STARTTLS is nothing, and what it said before is forgotten
# SPDX-License-Identifier: MIT
# S7 P12
from lib.certificates import Certificates
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop, Raw
from lib.relay import config, send


def start(t, hop, more='tls: {}'):
    return t.master(config(f'type: static, host: localhost, port: {hop.port}, {more}', delay=300, bounces=True))


def outcome(t, master, **mail):
    ident = send(t, 'a@example.net', **mail)
    return master.wait_log(rf' worker: (\w+) id={ident} .*reply="([^"]*)"').groups()


def injected(t):
    """Replies to all that comes behind the handshake."""
    context = Certificates(t).server()
    for behind in ('250-mx\r\n250 SIZE 1', '250 mx\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.6.0 taken', '421 4.7.0 go away',
            '554 5.7.1 no', '250-mx', 'x' * 3000, '\r\n' * 10):
        for keys in 'tls: {}', 'tls: {}, require_tls: yes':
            hop = NextHop(t, {'STARTTLS': Raw(f'220 2.0.0 go on\r\n{behind}'.encode() + (b'' if behind[0] == 'x' else b'\r\n'))}, tls=context)
            hop.at['STARTTLS'].code = 220
            master = start(t, hop, keys)
            is_(outcome(t, master), ('delivered', '250 2.6.0 taken'), f'{behind[:40]!r}: it goes')
            is_([(mail['tls'], mail['sender']) for mail in hop.messages], [('TLSv1.3', 's@example.org')], 'by TLS')
            ok(hop.messages[0]['data'].endswith(b'Subject: x\r\n\r\nbody\r\n'), 'as a whole')
            is_([line.split()[0] for line in hop.said[:3]], ['EHLO', 'STARTTLS', 'EHLO'], 'EHLO is said again')
            octets = len(behind) + (0 if behind[0] == 'x' else 2)
            like(master.log, rf' warn .*threw away what stood in clear .*host=localhost\[127.0.0.1\] octets={octets}\b', 'it is logged')
            is_((hop.connections, hop.wrong), (1, []), 'over one connection, in order')
            master.stop()


def forgotten(t):
    """Before TLS the server offered what it does not offer behind it, and the other way round."""
    context = Certificates(t).server()
    hop = NextHop(t, {'EHLO': '250-mx\r\n250-STARTTLS\r\n250-SIZE 1\r\n250 SMTPUTF8', 'tls EHLO': '250-mx\r\n250-SIZE 100000\r\n250 8BITMIME'},
        tls=context)
    master = start(t, hop)
    is_(outcome(t, master, data='Subject: x\r\n\r\n\xe4\r\n'.encode())[0], 'delivered', 'what counts is what it says by TLS')
    is_([mail['parameters'] for mail in hop.messages], [[f'SIZE={len(hop.messages[0]["data"])}', 'BODY=8BITMIME']], 'and no more than that')
    is_(hop.messages[0]['tls'], 'TLSv1.3', 'by TLS')
    master.stop()


def out_of_turn(t):
    """STARTTLS within TLS is not asked for; a second 220, or a greeting, is nonsense."""
    context = Certificates(t).server()
    for at, reply in (({'tls EHLO': '220 mx ESMTP\r\n250 mx'}, '451 4.5.0 '), ({'tls EHLO': '421 4.3.2 later'}, '421 4.3.2 later'),
            ({'tls EHLO': 'SSH-2.0-x'}, '451 4.5.0 '), ({'tls EHLO': '454 4.7.0 no'}, '454 4.7.0 no')):
        hop = NextHop(t, at, tls=context)
        master = start(t, hop)
        event, said = outcome(t, master)
        is_(event, 'deferred', f'{at}: it waits')
        like(said, f'^{reply}', 'and says why')
        is_((hop.connections, hop.messages), (1, []), 'that is no fault of TLS: it is not left out')
        unlike(master.log, 'in clear', 'nor is it said')
        master.stop()
    hop = NextHop(t, {'tls EHLO': '250-mx\r\n250-STARTTLS\r\n250 SIZE 1000000'}, tls=context)
    master = start(t, hop)
    is_(outcome(t, master)[0], 'delivered', 'one that offers STARTTLS within TLS gets the mail')
    is_(hop.said.count('STARTTLS'), 1, 'and is asked once')
    wait_for(lambda: hop.messages, what='the message')
    ok(hop.messages[0]['tls'], 'by TLS')
    master.stop()


run(injected, forgotten, out_of_turn)
