#!/usr/bin/python3
# 3012-edge-dsn.t - what a client asks for by DSN is kept with the message; DSN can be turned off
# SPDX-License-Identifier: MIT
# P22
import subprocess

from lib.edge import config, stored
from lib.fixture import is_, like, run, unlike


def kept(t):
    t.edge(config())
    with t.client('smtp') as c:
        like(c.hello().text, '^DSN$', 'DSN is offered')
        c.cmd('MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B+20x', 250)
        for parameters, code in (
                ('NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@Example.COM', 250),
                ('NOTIFY=NEVER', 250), ('NOTIFY=NEVER,DELAY', 501), ('ORCPT=rfc822;a+00b', 501),
                ('ORCPT=utf-8;\\x{E4}@d.example', 250), ('', 250)):
            c.cmd(f'RCPT TO:<c@d.example> {parameters}', code)
        c.cmd('DATA', 354)
        c.send('x\r\n.\r\n')
        c.expect(250)
        c.mail('a@b.example', ['c@d.example'], b'y\r\n')
    first, second = stored(t)
    is_((first['ret'], first['envid']), ('HDRS', 'QQ+ x'), 'RET and ENVID')
    is_(first['recipients'], [
        {'address': 'c@d.example', 'notify': ['SUCCESS', 'DELAY'],
            'orcpt': 'rfc822;Bob+x@Example.COM'},
        {'address': 'c@d.example', 'notify': ['NEVER']},
        {'address': 'c@d.example', 'orcpt': 'utf-8;ä@d.example'},
        {'address': 'c@d.example'}], 'NOTIFY and ORCPT')
    is_([key for key in ('ret', 'envid') if key in second], [], 'the next message has none of it')


def disabled(t):
    t.edge(config(', disable_extensions: [DSN]'))
    with t.client('smtp') as c:
        unlike(c.hello().text, 'DSN', 'disabled, it is not offered')
        c.cmd('MAIL FROM:<a@b.example> ENVID=x', 555, r'^5\.5\.4')
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('RCPT TO:<c@d.example> NOTIFY=FAILURE', 555, r'^5\.5\.4')
        c.cmd('RCPT TO:<c@d.example>', 250)


def client(t):
    t.edge(config())
    t.write('msmtprc', 'account default\nhost 127.0.0.1\nfrom me@b.example\n'
        f'port {t.port("smtp")}\ndsn_notify failure,delay\ndsn_return headers\n', 0o600)
    done = subprocess.run(['msmtp', '-C', t.path('msmtprc'), 'c@d.example'], input=b'S: x\n\nx\n',
        capture_output=True, timeout=30, check=False)
    is_((done.returncode, done.stderr), (0, b''), 'msmtp is content')
    message = stored(t)[0]
    is_((message['ret'], message['recipients']),
        ('HDRS', [{'address': 'c@d.example', 'notify': ['FAILURE', 'DELAY']}]), 'with what it asked')


run(kept, disabled, client)
