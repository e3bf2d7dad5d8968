#!/usr/bin/python3
# 3001-edge-options.t - every key of an smtp edge, set to something else than its default
# SPDX-License-Identifier: MIT
# S5
import socket

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run, unlike


def names(t):
    t.edge(config(', rules: {banner: "{hostname} is here"}, disable_extensions: [smtputf8, PIPELINING]',
        '    hostname: little\n'))
    with t.client('smtp') as c:
        c.expect(220, '^little is here$')
        reply = c.cmd('EHLO client.example', 250, '^mx.example Hello client.example$')
        is_(reply.lines[1:], ['250-SIZE 10485760', '250-8BITMIME', '250-ENHANCEDSTATUSCODES', '250-DSN', '250-CHUNKING',
            '250 LIMITS RCPTMAX=1000'],
            'EHLO without what is disabled')
        c.cmd('MAIL FROM:<a@b.example> SMTPUTF8', 555, r'^5\.5\.4')
        c.cmd('MAIL FROM:<\xe4@b.example>'.encode(), 553, r'^5\.6\.7')


def no_eight_bits(t):
    t.edge(config(', disable_extensions: [8bitmime]'))
    with t.client('smtp') as c:
        unlike(c.hello().text, '8BITMIME|SMTPUTF8', 'SMTPUTF8 goes with 8BITMIME')


def sizes(t):
    t.edge(config(', max_size: 1K, max_recipients: 2'))
    with t.client('smtp') as c:
        like(c.hello().text, '^SIZE 1024$', 'SIZE is announced')
        c.cmd('MAIL FROM:<a@b.example> SIZE=1025', 552, r'^5\.3\.4 Message size exceeds 1024 limit$')
        c.cmd('MAIL FROM:<a@b.example> SIZE=1024', 250)
        for name, code in (('a', 250), ('b', 250), ('c', 452)):
            c.cmd(f'RCPT TO:<{name}@d.example>', code)
        c.cmd('DATA', 354)
        c.send(b'MAIL FROM:<evil@b.example>\r\nRCPT TO:<x@y.example>\r\nDATA\r\n' * 50)
        c.send(b'QUIT\r\n.\r\nNOOP\r\n')
        c.expect(552, r'^5\.3\.4 Message exceeded size limit$')
        c.expect(250, r'^2\.0\.0 Ok', 'S5: then nothing but the reply to what came behind the dot')
        c.mail('a@b.example', ['c@d.example'], b'x' * 1022 + b'\r\n')
    is_([m['content'] for m in stored(t)], [b'x' * 1022 + b'\r\n'], 'a message of that size is taken')


def unlimited(t):
    t.edge(config(', max_size: 0'))
    with t.client('smtp') as c:
        like(c.hello().text, '^SIZE 0$', 'no limit is SIZE 0')
        c.cmd('MAIL FROM:<a@b.example> SIZE=20000000', 250)


def errors(t):
    t.edge(config(', max_errors: 2'))
    with t.client('smtp') as c:
        c.hello()
        c.cmd('FOO', 500, r'^5\.5\.2 Syntax error, command unrecognized$')
        c.cmd('DATA', 503, r'^5\.5\.1 Bad sequence of commands$')
        c.cmd('MAIL TO:<x>', 421, r'^4\.7\.0')
        ok(c.at_end(), 'and that was the end')


def hops(t):
    t.edge(config(', max_hops: 2'))
    with t.client('smtp') as c:
        c.hello()
        c.mail('a@b.example', ['c@d.example'], 'Received: a\r\nreceived: b\r\n\r\nReceived: no\r\n')
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example>', 250)
        c.cmd('DATA', 354)
        c.send('Received: a\r\nDelivered-To: c\r\nReceived: b\r\n\r\n.\r\n')
        c.expect(554, r'^5\.4\.6')


def newlines(t):
    t.edge(config(', bare_newline: normalize'))
    with t.client('smtp') as c:
        c.hello()
        c.mail('a@b.example', ['c@d.example'], b'S: x\n\r\na\rb\n.\r\n')
    is_([m['content'] for m in stored(t)], [b'S: x\r\n\r\na\r\nb\r\n.\r\n'], 'bare CR and LF became CR LF')


def many(t):
    edge = t.edge(config().replace('listener: {port: @port:smtp@}',
        "listeners: [{port: @port:smtp@}, {path: '@dir@/edge.sock', mode: 0600}, {type: tcp6, port: @port:six@}]"))
    with t.client(t.path('edge.sock')) as c:
        c.hello()
        reply = c.mail('a@b.example', ['c@d.example'], 'x\r\n')
    with socket.create_connection(('::1', t.port('six')), t.timeout) as sock:
        like(sock.recv(100), b'^220 mx.example ESMTP slimta\r\n$'.decode(), 'an IPv6 listener greets')
    envelope = stored(t)[0]
    is_(reply.text, f'2.6.0 Message accepted for delivery; {envelope["id"]}', 'the id is in the reply')
    is_(envelope['client'], {'ip': 'unix', 'name': 'client.example', 'protocol': 'ESMTP'}, 'the client is known')
    line = edge.wait_log(rf'accepted id={envelope["id"]} .*').group(0)
    like(line, r'sender=a@b.example recipients=c@d.example .*size=3 client=unix edge=main queue=q', 'and all is logged')
    unlike(edge.log, 'xyzzy', 'but no content')


run(names, no_eight_bits, sizes, unlimited, errors, hops, newlines, many)
