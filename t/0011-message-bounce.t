#!/usr/bin/python3
# 0011-message-bounce.t - notifications, field by field, as Python's email package reads them
# SPDX-License-Identifier: MIT
# P12, P18
import random
import sys
from email.utils import parsedate_to_datetime

from lib.bounce import ACCEPTED, ID, make, one, result
from lib.fixture import is_, like, ok, plan, unlike

ARRIVED, TRIED = 'Sun, 22 Nov 2026 08:03:36 +0000', 'Sun, 22 Nov 2026 08:04:36 +0000'
MESSAGE = [('Reporting-MTA', 'dns; mx.example'), ('Arrival-Date', ARRIVED)]


def recipient(action='failed', status='5.1.1', diagnostic='550 5.1.1 No such user', more=(),
    **other):
    given = [('Original-Recipient', other.get('original')),
        ('Final-Recipient', other.get('final', 'rfc822; c@d.example')), ('Action', action),
        ('Status', status),
        ('Remote-MTA', other.get('host', 'dns; mail.d.example')),
        ('Diagnostic-Code', diagnostic and f'smtp; {diagnostic}'), ('Last-Attempt-Date', TRIED)]
    return [field for field in given if field[1]] + list(more)


UNTIL = dict(until=ACCEPTED + 86400000)
TABLE = [
    ('failed', {}, MESSAGE, [recipient()]),
    ('a host and its address', dict(results=[result(host='mail.d.example[192.0.2.7]')]),
        MESSAGE, [recipient(host='dns; mail.d.example (192.0.2.7)')]),
    ('an address alone', dict(results=[result(host='2001:db8::7[2001:db8::7]')]),
        MESSAGE, [recipient(host='dns; [2001:db8::7]')]),
    ('a host with a bracket alone', dict(results=[result(host=']')]),
        MESSAGE, [recipient(host='dns; ]')]),
    ('failed after too long', dict(results=[result(code=451, status='4.4.1',
        text='No (Too many retries)')]),
        MESSAGE, [recipient(status='4.4.1', diagnostic='451 4.4.1 No (Too many retries)')]),
    ('delayed', dict(results=[result(action='delayed', code=450, status='4.2.2', text='Full')],
        **UNTIL), MESSAGE,
        [recipient('delayed', '4.2.2', '450 4.2.2 Full',
            [('Will-Retry-Until', 'Mon, 23 Nov 2026 08:03:36 +0000')])]),
    ('delayed, who knows how long', dict(results=[result(action='delayed', code=450,
        status='4.2.2', text='')]),
        MESSAGE, [recipient('delayed', '4.2.2', '450 4.2.2')]),
    ('delivered', dict(results=[result(action='delivered', code=250, status='2.6.0', text='Ok')],
        **UNTIL),
        MESSAGE, [recipient('delivered', '2.6.0', '250 2.6.0 Ok')]),
    ('relayed', dict(results=[result(action='relayed', code=250, status=None, text='Ok')]), MESSAGE,
        [recipient('relayed', '2.0.0', '250 2.0.0 Ok')]),
    ('without a reply', dict(results=[result(action='delivered', code=0, text='', host=None)]),
        MESSAGE,
        [recipient('delivered', '2.0.0', None, host=None)]),
    ('a reply of another class', dict(results=[result(action='delayed')]), MESSAGE,
        [recipient('delayed', '4.0.0')]),
    ('a reply of several lines', dict(results=[result(text='one\n\ntwo')]), MESSAGE,
        [recipient(diagnostic='550-5.1.1 one 550-5.1.1 550 5.1.1 two')]),
    ('nobody else had part in it', dict(results=[result(host='')]), MESSAGE,
        [recipient(host=None)]),
    ('from whom it came', dict(envelope={'client': {'name': 'C.example', 'ip': '2001:db8::1'}}),
        [MESSAGE[0], ('Received-From-MTA', 'dns; C.example (2001:db8::1)'), MESSAGE[1]],
        [recipient()]),
    ('from an address', dict(envelope={'client': {'ip': '192.0.2.1'}}),
        [MESSAGE[0], ('Received-From-MTA', 'dns; [192.0.2.1]'), MESSAGE[1]], [recipient()]),
    ('from a socket', dict(envelope={'client': {'ip': 'unix', 'name': 'c'}}),
        [MESSAGE[0], ('Received-From-MTA', 'dns; c'), MESSAGE[1]], [recipient()]),
    ('ENVID and ORCPT', dict(envelope={'envid': 'Q+ =x',
        'recipients': [{'address': 'c@d.example', 'orcpt': 'RFC822;Bob+x @E'}]}),
        [('Original-Envelope-Id', 'Q+ =x'), *MESSAGE], [recipient(original='RFC822;Bob+x @E')]),
    ('a name that is not in the DNS', dict(hostname='mx'),
        [('Reporting-MTA', 'x-local-hostname; mx'), MESSAGE[1]], [recipient()]),
    ('UTF-8 on a way back of ASCII', dict(envelope={'smtputf8': True,
        'client': {'name': 'ä.example'},
        'recipients': [{'address': 'ü+=@水', 'orcpt': 'utf-8;📧\\@x'}]},
        results=[result(text='Größe')]),
        [MESSAGE[0], ('Received-From-MTA', 'dns; \\x{E4}.example'), MESSAGE[1]],
        [recipient(original='utf-8;\\x{1F4E7}\\x{5C}@x',
            final='utf-8; \\x{FC}\\x{2B}\\x{3D}@\\x{6C34}',
            diagnostic='550 5.1.1 Gr\\x{F6}\\x{DF}e')]),
    ('and on one of UTF-8', dict(envelope={'smtputf8': True, 'sender': 'ö@b.example',
        'recipients': [{'address': 'ü+=@水', 'orcpt': 'utf-8;📧\\@x'}]},
        results=[result(text='Größe')]),
        MESSAGE, [recipient(original='utf-8;📧\\@x', final='utf-8; ü+=@水',
            diagnostic='550 5.1.1 Größe')]),
    ('ASCII on a way back of UTF-8', dict(envelope={'smtputf8': True, 'sender': 'ö@b.example',
        'recipients': [{'address': 'c+d@x', 'orcpt': 'utf-8;c+d@x'}]}),
        MESSAGE, [recipient(original='utf-8;c\\x{2B}d@x', final='rfc822; c+d@x')]),
]
for what, given, message, recipients in TABLE:
    made = one(**given)
    is_(made.problems(), [], f'{what}: it is a report')
    is_(made.status(), [message, *recipients], f'{what}: its fields')
    utf8 = any(not value.isascii() for block in made.status() for _, value in block)
    is_(made.parts[1][:2], ('message/global-delivery-status', '8bit') if utf8 else
        ('message/delivery-status', '7bit'), f'{what}: its type')

made = one(envelope={'requiretls': True})
envelope = made.envelope
is_({key: envelope.get(key) for key in ('sender', 'receiver', 'timestamp', 'requiretls',
    'smtputf8')},
    {'sender': '', 'receiver': 'in.example', 'timestamp': ACCEPTED + 90000, 'requiretls': True,
        'smtputf8': None},
    'the envelope: null sender')
is_(envelope['recipients'], [{'address': 'a@b.example'}], 'to the sender')
is_(envelope['client'], {'name': 'postmaster', 'ip': '127.0.0.1', 'host': 'localhost'},
    'from ourselves')
header = made.message
is_({key: header[key] for key in ('From', 'To', 'Subject', 'Auto-Submitted', 'MIME-Version',
    'Message-ID')},
    {'From': 'MAILER-DAEMON <postmaster@mx.example>', 'To': 'a@b.example',
        'Subject': 'Undelivered Mail Returned to Sender', 'Auto-Submitted': 'auto-replied',
        'MIME-Version': '1.0',
        'Message-ID': f'<{envelope["id"]}@mx.example>'}, 'the header')
is_(parsedate_to_datetime(header['Date']).timestamp(), (ACCEPTED + 90000) // 1000, 'its date')
like(made.text(), r'^Delivery failed for:\r\n- c@d\.example\r\n\r\n'
    r'Destination host responded:\r\n550 5\.1\.1 No such', 'what people read')
like(made.text(), f'with the id {ID}', 'has the id')
like(one(results=[result(host='')]).text(), r'^The reason:\r\n550', 'and says who it was')
like(one(results=[result(action='delayed')], **UNTIL).text(), r'tried again until\r\nMon, 23 Nov',
    'or until when')
like(one(results=[result(text='Größe')]).text(), '^550 5.1.1 Größe', 'in UTF-8 where it has to be')
made = one(envelope={'sender': 'ö@b.example', 'smtputf8': True})
ok(made.envelope['smtputf8'] and b'\r\nTo: ' + 'ö@b.example'.encode() in made.header,
    'to a sender beyond ASCII')
made = one(envelope={'sender': ''}, to='postmaster@b.example')
is_((made.message['To'], made.envelope['sender'], made.envelope['recipients']),
    ('postmaster@b.example', '', [{'address': 'postmaster@b.example'}]),
    'of a bounce, to somebody else')

# ---- groups
six = {'recipients': [{'address': f'r{i}@d.example'} for i in range(6)]}
results = [result(index=0, text='x'), result(index=1, host='other'),
    result(index=2, text='x', code=551),
    result(index=3), result(index=4, status='5.1.2'),
    result(index=5, action='delayed', code=450, text='x')]
made = make(six, results=results)
is_(sorted([dict(block)['Final-Recipient'][8:10] for block in m.status()[1:]] for m in made),
    [['r0'], ['r1', 'r3'], ['r2'], ['r4'], ['r5']], 'equal replies go together')
is_([dict(b).get('Remote-MTA') for m in made for b in m.status()[1:] if b[0][1][8:10] in ('r1',
    'r3')],
    ['dns; other', 'dns; mail.d.example'], 'each with its host')
is_(len({m.envelope['id'] for m in made}), 5, 'each group is another message')
random.Random(1).shuffle(results)
is_([m.octets for m in make(six, results=results)], [m.octets for m in made],
    'however they stood, the same ones')
is_([m.envelope for m in make(six, results=results)], [m.envelope for m in made],
    'with the same envelopes')
ids = [one(six, results=[result(index=i)]).envelope['id'] for i in (1, 2)]
unlike(' '.join(i.envelope['id'] for i in made), '|'.join(ids),
    'another group of the same reply has another id')
sys.exit(plan())
