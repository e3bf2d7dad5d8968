#!/usr/bin/python3
# 5093-relay-peers-aiosmtpd.t - aiosmtpd as next hop, by SMTP and LMTP: octets, recipients that differ, what it does not offer
# SPDX-License-Identifier: MIT
# `make peers`, which is part of `make check`, unpacks it under t/.peers. It knows neither CHUNKING nor DSN.
import json
import os
import subprocess
import sys

from lib.certificates import Certificates
from lib.clients import PEERS, peer
from lib.fixture import is_, like, ok, run, wait_for
from lib.relay import config, queued, send

HEADER = b'Subject: x\r\nX-Odd:  spaces  \r\n\r\n'
BODIES = (b'', b'.\r\n..\r\n.a\r\n\r\n.\r\n', b'no end of the line', b'x' * 990 + b'\r\n', (b'.' * 70 + b'\r\n') * 20000,
    bytes(range(128, 256)) + b'\r\n')


class Aiosmtpd:
    """t/lib/aiosmtpd_server.py; `messages` are what it took."""

    def __init__(self, t, *options):
        peer('usr/lib/python3/dist-packages/aiosmtpd/smtp.py')
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib/aiosmtpd_server.py')
        self.process = subprocess.Popen([sys.executable, '-P', script, *options], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
            env=dict(t.env, PYTHONPATH=f'{PEERS}/usr/lib/python3/dist-packages'))
        self.port = json.loads(self.process.stdout.readline())['port']

    def next(self):
        """What it took, one after the other."""
        message = json.loads(self.process.stdout.readline())
        message['content'] = bytes.fromhex(message['content'])
        return message

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def start(t, hop, kind='static', more=''):
    return t.master(config(f'type: {kind}, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 1{more}', delay=300,
        bounces=True))


def takes(t):
    certificate, key = Certificates(t).make('self-signed')
    for kind, options, more in (('static', [], ''), ('lmtp', ['--lmtp'], ''),
            ('static', ['--tls', certificate, key], ', tls: {}, require_tls: true'),
            ('static', ['--tls', certificate, key, '--auth'], ', tls: {}, credentials: {username: us, password: secret}')):
        with Aiosmtpd(t, *options) as hop:
            master = start(t, hop, kind, more)
            for body in BODIES:
                ident = send(t, 'a@example.net', 'b@example.net', data=HEADER + body, parameters=' BODY=8BITMIME')
                got = hop.next()
                for name in 'ab':
                    master.wait_log(rf' delivered id={ident} recipient={name}@example.net ')
                wanted = HEADER + body if body.endswith(b'\r\n') or not body else HEADER + body + b'\r\n'
                ok(got['content'] == wanted, f'{kind} {options[-1:]}: {body[:20]!r}')
                is_((got['sender'], got['recipients']), ('s@example.org', ['a@example.net', 'b@example.net']), 'its envelope')
                is_((got['lmtp'], got['tls'], got['auth']), (kind == 'lmtp', '--tls' in options, '--auth' in options), 'by that')
                is_(got['options'][0], f'SIZE={len(wanted)}', 'its size')
            wait_for(lambda: not queued(t), what='an empty queue')
            master.stop()


def differ(t):
    for kind, options, at_the_end in (('static', [], ('delivered', '250 ')), ('lmtp', ['--lmtp'], ('failed', '552 5.2.2 '))):
        with Aiosmtpd(t, *options) as hop:
            master = start(t, hop, kind)
            ident = send(t, 'a@example.net', 'no@example.net', 'full@example.net', 'later@example.net')
            for name, event, reply in (('a', 'delivered', '250 '), ('no', 'failed', '550 5.1.1 '), ('full', *at_the_end),
                    ('later', 'deferred', '451 4.3.0 ')):
                match = master.wait_log(rf' (\w+) id={ident} recipient={name}@example.net .*reply="([^"]*)"')
                is_((match[1], match[2].startswith(reply)), (event, True), f'{kind}: {name}: {match[2]}')
            is_(hop.next()['recipients'], ['a@example.net', 'full@example.net'], 'the data is for those')
            master.stop()
            t.run('rm', '-r', t.path('env'), t.path('meta'))


def lacks(t):
    utf8 = 'grün@example.net'
    for options, recipient, data, parameters, reply in (
            (['--7bit'], 'a@example.net', b'Subject: x\r\n\r\n\xc3\xa4\r\n', ' BODY=8BITMIME', '554 5.6.3 '),
            (['--7bit'], 'a@example.net', b'Subject: x\r\n\r\nplain\r\n', ' BODY=8BITMIME', '250 '),
            ([], utf8, b'Subject: x\r\n\r\nx\r\n', ' SMTPUTF8', '553 5.6.7 '),
            ([], 'a@example.net', 'Subject: grün\r\n\r\nx\r\n'.encode(), ' SMTPUTF8 BODY=8BITMIME', '554 5.6.9 '),
            ([], 'a@example.net', b'Subject: x\r\n\r\nx\r\n', ' SMTPUTF8', '250 '),
            (['--utf8'], utf8, 'Subject: grün\r\n\r\nx\r\n'.encode(), ' SMTPUTF8 BODY=8BITMIME', '250 ')):
        for kind, more in (('static', []), ('lmtp', ['--lmtp'])):
            with Aiosmtpd(t, *options, *more) as hop:
                master = start(t, hop, kind)
                ident = send(t, recipient, data=data, parameters=parameters)
                match = master.wait_log(rf' (\w+) id={ident} .*reply="([^"]*)"')
                is_((match[1], match[2][:len(reply)]), ('delivered' if reply[0] == '2' else 'failed', reply),
                    f'{kind} {options} {parameters} {recipient}')
                if reply[0] == '2':
                    got = hop.next()
                    is_((got['content'], got['utf8'], 'BODY=8BITMIME' in got['options']),
                        (data, '--utf8' in options, '--7bit' not in options and not data.isascii()), 'it is what was sent')
                master.stop()
                t.run('rm', '-rf', t.path('env'), t.path('meta'), t.path('benv'), t.path('bmeta'))
    like(master.log, 'ready', 'the last worker went on')


run(takes, differ, lacks, timeout=120)
