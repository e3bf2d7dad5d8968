#!/usr/bin/python3
# 3002-edge-pipelining.t - groups of commands cut anywhere, and clients that others wrote
# SPDX-License-Identifier: MIT
import email.message
import smtplib
import socket

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run

GROUP = (b'EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<no one>\r\n'
    b'DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nRSET\r\nQUIT\r\n')
CODES = [220, 250, 250, 250, 501, 354, 250, 250, 221]


def groups(t):
    t.edge(config())
    for cut in [1, 2, 3, 7, *range(20, len(GROUP), 13), len(GROUP)]:
        with t.client('smtp') as c:
            codes = [c.reply().code]
            c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(GROUP), cut):
                c.send(GROUP[at:at + cut])
            while not c.at_end():
                codes.append(c.reply().code)
            if codes != CODES:
                is_(codes, CODES, f'in pieces of {cut}')
    messages = stored(t)
    ok(len(messages) > 10, 'there were many')
    is_({m['content'] for m in messages}, {b'Subject: x\r\n\r\n.\r\n'}, 'and each arrived as it was sent')
    is_(len({m['id'] for m in messages}), len(messages), 'each with its own id')


def clients(t):
    t.edge(config())
    port = t.port('smtp')
    message = email.message.EmailMessage()
    message['Subject'] = 'from smtplib'
    message['From'], message['To'] = 'a@b.example', 'c@d.example, e@d.example'
    message.set_content('.one dot\n..two\n' * 1000)
    with smtplib.SMTP('127.0.0.1', port, timeout=t.timeout) as smtp:
        is_(smtp.send_message(message), {}, 'smtplib sends')
        is_(smtp.vrfy('someone')[0], 252, 'VRFY')
        is_(smtp.docmd('EXPN', 'list')[0], 502, 'EXPN')
        is_(smtp.docmd('HELP')[0], 214, 'HELP')
    t.write('message', 'From: a@b.example\r\nTo: c@d.example\r\nSubject: from curl\r\n\r\n.\r\nx\r\n')
    t.write('unix', 'From: a@b.example\nTo: c@d.example\nSubject: from msmtp\n\n.\nx\n')
    for command in (
            ['swaks', '--server', f'127.0.0.1:{port}', '--from', 'a@b.example', '--to', 'c@d.example',
                '--header', 'Subject: from swaks', '--pipeline', '--ehlo', 'client.example'],
            ['curl', '-sS', f'smtp://127.0.0.1:{port}/client.example', '--mail-from', 'a@b.example',
                '--mail-rcpt', 'c@d.example', '--upload-file', t.path('message')]):
        result = t.run(*command)
        if not is_(result.returncode, 0, f'{command[0]} sends'):
            print(result.stdout.decode(), result.stderr.decode())
    with open(t.path('unix'), 'rb') as data:
        result = t.run('msmtp', '--host=127.0.0.1', f'--port={port}', '--from=a@b.example', 'c@d.example',
            stdin=data.read())
    is_(result.returncode, 0, 'msmtp sends')
    messages = stored(t)
    is_(len(messages), 4, 'all arrived')
    is_([r['address'] for r in messages[0]['recipients']], ['c@d.example', 'e@d.example'], 'with their recipients')
    like(messages[0]['content'], r'\n\.one dot\r\n\.\.two\r\n', 'smtplib: dots are as they were')
    is_(messages[2]['content'], b'From: a@b.example\r\nTo: c@d.example\r\nSubject: from curl\r\n\r\n.\r\nx\r\n',
        'curl: octet for octet')
    like(messages[3]['content'], r'\r\n\r\n\.\r\nx\r\n$', 'msmtp: with CR LF')


run(groups, clients)
