#!/usr/bin/python3
# 5033-relay-static-unable.t - what a next hop lacks that a message needs: it is not sent, and its sender is told why
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, ok, run
from lib.next_hop import NextHop
from lib.notified import config, send, told, wait_gone

EIGHT_BIT = b'Subject: x\r\n\r\n\xc3\xa4\r\n'
UTF8_HEADER = b'Subject: \xc3\xa4\r\n\r\nx\r\n'
PLAIN = b'Subject: x\r\n\r\nx\r\n'
LONG = PLAIN + b'x' * 60 + b'\r\n'
ALL = ('PIPELINING', '8BITMIME', 'SIZE 1000000', 'SMTPUTF8')


def unable(t):
    for extensions, parameters, sender, recipients, data, refused, taken in (
            (('SMTPUTF8',), '', 's@b.example', ['a@example.net', 'b@example.net'], EIGHT_BIT,
                {'a@example.net': ('5.6.3', '554'), 'b@example.net': ('5.6.3', '554')}, None),
            (('8BITMIME',), ' SMTPUTF8', 's@b.example', ['a@example.net', 'ä@example.net'], PLAIN,
                {'ä@example.net': ('5.6.7', '553')}, ['a@example.net']),
            (('8BITMIME',), ' SMTPUTF8', 'ö@b.example', ['a@example.net'], PLAIN, {'a@example.net': ('5.6.7', '553')}, None),
            (('8BITMIME',), ' SMTPUTF8', 's@b.example', ['a@example.net'], UTF8_HEADER, {'a@example.net': ('5.6.9', '554')},
                None),
            (('SIZE 40',), '', 's@b.example', ['a@example.net'], LONG, {'a@example.net': ('5.3.4', '552')}, None),
            (('SIZE',), '', 's@b.example', ['a@example.net'], LONG, {}, ['a@example.net']),
            (('SIZE 0',), '', 's@b.example', ['a@example.net'], LONG, {}, ['a@example.net']),
            (('SIZE many',), '', 's@b.example', ['a@example.net'], PLAIN, {}, ['a@example.net']),
            ((), ' SMTPUTF8', 's@b.example', ['a@example.net'], PLAIN, {}, ['a@example.net']),
            (ALL, ' SMTPUTF8', 'ö@b.example', ['a@example.net', 'ä@example.net'], UTF8_HEADER, {},
                ['a@example.net', 'ä@example.net'])):
        hop = NextHop(t, extensions=extensions)
        master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}'))
        ident = send(t, recipients, sender, parameters, data)
        wait_gone(t, ident)
        what = f'{extensions}, {sender}, {len(recipients)}, {data[:12]}'
        is_([message['recipients'] for message in hop.messages], [taken] if taken else [], f'{what}: who got it')
        ok(taken or not any(line.startswith('MAIL') for line in hop.said), 'nothing is begun in vain')
        notices = told(t, master, ident)
        blocks = [block for notice in notices for block in notice.status[1:]]
        found = {block['Final-Recipient'].split('; ')[1].replace(r'\x{E4}', 'ä'): (block['Status'],
            block['Diagnostic-Code'].split('; ')[1][:3]) for block in blocks}
        is_(found, refused, 'who did not, and why')
        is_({notice.to for notice in notices}, {sender} if refused else set(), 'as its sender is told')
        for name, (status, code) in refused.items():
            host = r'host="?127\.0\.0\.1\[127\.0\.0\.1\]"?'
            like(master.log, rf' failed id={ident} recipient={name} .*{host} reply="{code} {status} ', 'and the log says')
        master.stop()


run(unable)
