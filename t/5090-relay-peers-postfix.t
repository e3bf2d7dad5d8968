#!/usr/bin/python3
# 5090-relay-peers-postfix.t - Postfix as next hop: TLS, CHUNKING, DSN, SMTPUTF8 and SIZE, and all octets as they were
# SPDX-License-Identifier: MIT
# What Postfix takes it hands to a next hop of the test, which so knows what it was told.
import re

from lib.certificates import Certificates
from lib.clients import Home
from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.postfix import Postfix
from lib.relay import config, queued, send

LIMIT = 3000000
MAIN = f'''
smtpd_tls_security_level = may
smtpd_tls_cert_file = @certificate@
smtpd_tls_key_file = @key@
smtpd_tls_loglevel = 1
message_size_limit = {LIMIT}
smtputf8_enable = yes
header_size_limit = 1000000
smtpd_discard_ehlo_keywords = '''
EXTENSIONS = ('PIPELINING', '8BITMIME', 'SIZE', 'SMTPUTF8', 'DSN', 'ENHANCEDSTATUSCODES')
BODIES = {
    'dots': b'.\r\n..\r\n.a\r\n\r\n.\r\n', 'empty lines': b'\r\n\r\n\r\n', 'one line': b'x\r\n', 'eight bits': bytes(range(128, 256)) + b'\r\n',
    'controls': bytes(set(range(1, 32)) - {10, 13}) + b'\x7f\r\n', 'white space': b' \r\n\t \r\n  x  \r\n',
    'commands': b'QUIT\r\n250 ok\r\nBDAT 5 LAST\r\n', 'long lines': b'y' * 998 + b'\r\n' + b'z' * 900 + b'\r\n',
    '32 KB': b'.23456789\r\n' * 2979, 'more than 1 MB': (b'.' * 70 + b'\r\n' + b'0123456789' * 7 + b'\r\n') * 9000,
}


def start(t, postfix, more='tls: {}'):
    text = config(f'type: static, host: 127.0.0.1, port: {postfix.port}, concurrent_connections: 1, {more}', delay=300, bounces=True)
    return t.master(text.replace('bounces: {type: disk, relay: nothing', 'bounces: {type: disk, relay: r')
        .replace('listener:', 'max_size: 30000000, listener:'))


def main(t, lacks=''):
    certificate, key = Certificates(t).make('self-signed')
    return MAIN.replace('@certificate@', certificate).replace('@key@', key) + lacks + '\n'


def commands(postfix):
    """What connections had, as Postfix counts when they end."""
    counted = {}
    for line in re.findall(r'disconnect from \S+ (.*) commands=', postfix.log):
        for name, count in (word.split('=') for word in line.split()):
            counted[name] = counted.get(name, 0) + int(count.split('/')[0])
    return counted


def octets(t):
    for lacks in ('', 'chunking'):
        hop = NextHop(t, extensions=EXTENSIONS)
        with Postfix(Home(t), hop.port, main(t, lacks)) as postfix:
            master = start(t, postfix, 'tls: {}, idle_timeout: 1')
            for number, (name, body) in enumerate(BODIES.items()):
                send(t, f'r{number}@example.net', data=f'Subject: {name}\r\n\r\n'.encode() + body)
            wait_for(lambda: len(hop.messages) == len(BODIES), 40, 'all messages')
            got = {mail['recipients'][0]: mail['data'].split(b'\r\n\r\n', 1)[1] for mail in hop.messages}
            for number, (name, body) in enumerate(BODIES.items()):
                is_(got[f'r{number}@example.net'], body, f'{"DATA" if lacks else "BDAT"}: {name}')
            wait_for(lambda: not queued(t), what='an empty queue')
            postfix.wait_log('disconnect from')
            counted = commands(postfix)
            is_((counted.get('bdat', 0) > 0, counted.get('data', 0) > 0), (not lacks, bool(lacks)), 'by that')
            like(postfix.log, r'TLS connection established from localhost\[127.0.0.1\]: TLSv1.3', 'over TLS')
            is_((counted.get('mail'), counted.get('ehlo')), (len(BODIES), 2), 'and one connection, as the server counts')
            like(master.log, r' delivered id=\S+ recipient=r0@example.net .*TLSv1\.3', 'the log has the TLS version')
            master.stop()
        t.run('rm', '-r', *(t.path(name) for name in ('env', 'meta', 'client')))


def parameters(t):
    hop = NextHop(t, extensions=EXTENSIONS)
    with Postfix(Home(t), hop.port, main(t)) as postfix:
        master = start(t, postfix)
        with t.client('smtp') as client:
            client.hello()
            client.cmd('MAIL FROM:<s@example.org> RET=HDRS ENVID=a+2Bb', 250)
            client.cmd('RCPT TO:<a@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+2Bother@example.com', 250)
            client.cmd('RCPT TO:<b@example.net> NOTIFY=NEVER', 250)
            client.cmd('DATA', 354)
            client.send(b'Subject: x\r\n\r\nbody\r\n.\r\n')
            ident = re.search(r'\b[0-9a-z]{26}\b', client.expect(250).text)[0]
        for name in 'ab':
            master.wait_log(rf' delivered id={ident} recipient={name}@example.net ')
        wait_for(lambda: sum(len(mail['recipients']) for mail in hop.messages) == 2, 20, 'both recipients')
        told = {recipient: words for mail in hop.messages for recipient, words in zip(mail['recipients'], mail['recipient_parameters'])}
        is_(sorted(told['a@example.net']), ['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;first+2Bother@example.com'], 'DSN is passed on')
        is_([word for word in told['b@example.net'] if word.startswith('NOTIFY')], ['NOTIFY=NEVER'], 'for each recipient')
        is_({'RET=HDRS', 'ENVID=a+2Bb'} <= set(hop.messages[0]['parameters']), True, 'and for the message')
        ident = send(t, 'grün@example.net', data='Subject: grün\r\n\r\nä\r\n'.encode(), parameters=' SMTPUTF8 BODY=8BITMIME')
        master.wait_log(rf' delivered id={ident} ')
        mail = wait_for(lambda: [mail for mail in hop.messages if mail['recipients'] == ['grün@example.net']], 20, 'that')[0]
        ok('SMTPUTF8' in mail['parameters'], 'SMTPUTF8 where it is needed')
        is_(mail['data'].split(b'\r\n\r\n', 1)[1], 'ä\r\n'.encode(), 'with its octets')
        unlike(postfix.log, r'to=<s@example.org>', 'nobody else tells the sender what Postfix is to tell')
        master.stop()


def too_large(t):
    hop = NextHop(t, extensions=EXTENSIONS)
    with Postfix(Home(t), hop.port, main(t)) as postfix:
        master = start(t, postfix, 'tls: {}, idle_timeout: 0')
        ident = send(t, 'a@example.net', data=b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * (LIMIT // 70))
        master.wait_log(rf' failed id={ident} .*reply="552 5\.3\.4 ')
        wait_for(lambda: [mail for mail in hop.messages if mail['recipients'] == ['s@example.org']], 30, 'the bounce')
        unlike(postfix.log, r'to=<a@example.net>', 'Postfix never had it')
        wait_for(lambda: 'disconnect' in postfix.log, 20, 'the end of connections')
        counted = commands(postfix)
        is_(counted.get('data', 0) + counted.get('bdat', 0), 1, 'what SIZE forbids is not sent; the bounce is')
        master.stop()


run(octets, parameters, too_large, timeout=200)
