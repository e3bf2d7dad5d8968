#!/usr/bin/python3
# 0013-message-bounce-hostile.t - no reply, address or name makes a notification into something else
# SPDX-License-Identifier: MIT
# P12
import sys

from lib.bounce import ID, one, result
from lib.fixture import is_, like, ok, plan

NAMES = ['Final-Recipient', 'Action', 'Status', 'Remote-MTA', 'Diagnostic-Code',
    'Last-Attempt-Date']
BOUNDARY = '=_' + one(results=[result()]).envelope['id']
REPLIES = [
    'x\r\nFinal-Recipient: rfc822; evil@x.example', 'x\r\n\r\nAction: delivered',
    '\r\n.\r\nQUIT\r\n', '\r\n' * 3000,
    f'--{BOUNDARY}\r\nContent-Type: text/html\r\n\r\n<b>', f'--=_{ID}--', '\0', 'a\0b',
    '\x1b]0;title\7', '\t\t\t',
    'x' * 8192, ' ' * 8192, 'x ' * 4096, ' x' * 4096, ('x' * 977 + ' ') * 8, 'ä' * 4096,
    b'\xff' * 4096,
    b'\xc3', '\u2028\u202e\x85', '📧' * 2048, '\n'.join('line' * 30 for _ in range(100)),
    'x' * 990 + ' ' * 5000 + 'y',
    '(comment', '"quoted', '=?utf-8?q?x?=', '=\r\n=20', 'From me', '\\', '%s%n',
    '550 5.1.1 550 5.1.1',
]
for text in REPLIES:
    for back in ({}, {'sender': 'ö@b.example', 'smtputf8': True}):
        made = one(back, results=[result(text=text)])
        status = made.status()
        is_((made.problems(), len(made.parts), [name for name, _ in status[1]], len(status)),
            ([], 3, NAMES, 2),
            f'a reply {text[:30]!r}')
        is_([dict(status[1])[name] for name in NAMES[:3]],
            ['rfc822; c@d.example', 'failed', '5.1.1'],
            'says nothing but what it was')
    like(dict(status[1])['Diagnostic-Code'], '^smtp; 550[ -]5.1.1', 'with its code')

EVIL = 'a\r\nBcc: evil@x.example\r\n\r\n--x'
FLAT = 'a  Bcc: evil@x.example    --x'
made = one({'envid': EVIL, 'client': {'name': EVIL, 'ip': EVIL + '.'},
    'recipients': [{'address': EVIL, 'orcpt': 'rfc822;' + EVIL}]}, results=[result(host=EVIL)],
    hostname='mx.' + EVIL)
is_(made.problems(), [], 'line ends in names: it is a report')
is_([name for block in made.status() for name, _ in block],
    ['Original-Envelope-Id', 'Reporting-MTA',
    'Received-From-MTA', 'Arrival-Date', 'Original-Recipient', *NAMES],
    'with the fields that it has')
is_(dict(made.status()[0])['Original-Envelope-Id'], FLAT, 'and no line end in them')
made = one(to=EVIL)
is_((made.message['To'], made.message['Bcc']), (FLAT, None), 'nor in the header')
for address in ('"a  b\\"c"@d.example', '"<x>"@d.example', 'x' * 64 + '@' + 'y.' * 94 + 'z'):
    made = one({'sender': address, 'recipients': [{'address': address,
        'orcpt': f'rfc822;{address}'}]})
    fields = dict(made.status()[1])
    is_((made.problems(), made.message['To']), ([], address), f'an address {address[:20]}')
    is_((fields['Original-Recipient'], fields['Final-Recipient']),
        (f'rfc822;{address}', f'rfc822; {address}'),
        'stays what it is')
made = one({'recipients': [{'address': 'c@d', 'orcpt': 'utf-8;' + '水' * 160 + '@x'}]})
is_(made.problems(), [], 'an ORCPT that is longer than a line')

many = {'recipients': [{'address': f'recipient-{i}@d.example'} for i in range(3000)]}
made = one(many, results=[result(index=i, text='x y ' * 2000) for i in range(3000)])
is_((made.problems(), len(made.status())), ([], 3001), '3000 recipients, and a long reply')
ok(len(made.octets) < 3000000, f'are {len(made.octets)} octets')
like(made.text(), '(?s)^- recipient-99@.*^and 2900 more', 'people are told of a hundred')
sys.exit(plan())
