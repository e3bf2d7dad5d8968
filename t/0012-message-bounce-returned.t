#!/usr/bin/python3
# 0012-message-bounce-returned.t - what a notification gives back of the original
# SPDX-License-Identifier: MIT
import quopri
import sys

from lib.bounce import one, result
from lib.fixture import is_, like, ok, plan

PLAIN = b'Subject: x\r\nTo: c@d.example\r\n\r\nhello\r\n'
HEAD = b'Subject: x\r\nTo: c@d.example\r\n'
UTF8 = 'Subject: Größe\r\n'.encode()
WHOLE, HEADER, ONLY = 'message/rfc822', 'text/rfc822-headers', None
GLOBAL, GLOBAL_HEADER = 'message/global', 'message/global-headers'
QP = 'quoted-printable'
I18N, I18N_BACK = {'smtputf8': True}, {'smtputf8': True, 'sender': 'ö@b.example'}
LINE = b'x' * 998 + b'\r\n'
SIZED = HEAD + b'\r\n' + b'x' * (1000 - len(HEAD) - 2)
FIELDS = b''.join(b'X-%d: %s\r\n' % (i, b'y' * 900) for i in range(250))
NESTED = (b'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n'
    b'Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n--b--\r\n')

# what, arguments, Content-Type, encoding, octets
TABLE = [
    ('whole', dict(content=PLAIN), WHOLE, '7bit', PLAIN),
    ('RET=FULL', dict(content=PLAIN, envelope={'ret': 'FULL'}), WHOLE, '7bit', PLAIN),
    ('RET=HDRS', dict(content=PLAIN, envelope={'ret': 'HDRS'}), HEADER, '7bit', HEAD),
    ('delayed', dict(content=PLAIN, envelope={'ret': 'FULL'},
        results=[result(action='delayed', code=450)]),
        HEADER, '7bit', HEAD),
    ('delivered', dict(content=PLAIN, results=[result(action='delivered', code=250)]), HEADER,
        '7bit', HEAD),
    ('as large as may be', dict(content=SIZED, limit=1000), WHOLE, '7bit', SIZED),
    ('larger', dict(content=SIZED + b'x', limit=1000), HEADER, '7bit', HEAD),
    ('larger by what we added', dict(content=SIZED, prepended=b'A: b\r\n', limit=1000), HEADER,
        '7bit',
        b'A: b\r\n' + HEAD),
    ('never whole', dict(content=PLAIN, limit=0), HEADER, '7bit', HEAD),
    ('in a file', dict(content=SIZED, split=500), WHOLE, '7bit', SIZED),
    ('header from a file', dict(content=SIZED, split=500, limit=9), HEADER, '7bit', HEAD),
    ('with what was added', dict(content=PLAIN, prepended=b'Received: us\r\n'), WHOLE, '7bit',
        b'Received: us\r\n' + PLAIN),
    ('without a line end', dict(content=PLAIN[:-2]), WHOLE, '7bit', PLAIN[:-2]),
    ('a body alone', dict(content=b'hello\r\n'), WHOLE, '7bit', b'hello\r\n'),
    ('a body alone, no header', dict(content=b'hello\r\n', limit=1), ONLY, None, None),
    ('nothing', dict(content=b''), ONLY, None, None),
    ('in parts', dict(content=NESTED), WHOLE, '7bit', NESTED),
    ('8-bit body', dict(content=HEAD + 'ä\r\n'.encode()), WHOLE, '8bit', HEAD + 'ä\r\n'.encode()),
    ('8-bit body, not UTF-8', dict(content=HEAD + b'\r\n\xe4\xff\r\n'), WHOLE, '8bit',
        HEAD + b'\r\n\xe4\xff\r\n'),
    ('8-bit body, its header', dict(content=HEAD + b'\r\n\xe4\r\n', limit=1), HEADER, '7bit', HEAD),
    ('NUL', dict(content=HEAD + b'\r\n\0\r\n'), HEADER, '7bit', HEAD),
    ('all octets', dict(content=HEAD + b'\r\n' + bytes(range(256))), HEADER, '7bit', HEAD),
    ('a bare LF', dict(content=HEAD + b'\r\na\nb\r\n'), HEADER, '7bit', HEAD),
    ('a bare CR', dict(content=HEAD + b'\r\na\rb\r\n'), HEADER, '7bit', HEAD),
    ('a CR at the end', dict(content=HEAD + b'\r\na\r'), HEADER, '7bit', HEAD),
    ('lines of 998', dict(content=HEAD + b'\r\n' + LINE * 3), WHOLE, '7bit',
        HEAD + b'\r\n' + LINE * 3),
    ('of 999', dict(content=HEAD + b'\r\nx' + LINE), HEADER, '7bit', HEAD),
    ('of 999 at the end', dict(content=HEAD + b'\r\nx' + LINE[:-2]), HEADER, '7bit', HEAD),
    ('a long line in the header', dict(content=b'X: ' + LINE + b'\r\n'), HEADER, QP, b'X: ' + LINE),
    ('a header of bare LF', dict(content=b'A: b\nC: d\n\nx'), HEADER, QP, b'A: b\nC: d\n'),
    ('8-bit header', dict(content=UTF8 + b'\r\nx'), WHOLE, '8bit', UTF8 + b'\r\nx'),
    ('8-bit header alone', dict(content=UTF8 + b'\r\nx', limit=1), HEADER, QP, UTF8),
    ('8-bit header, not UTF-8', dict(content=b'S: \xe4\r\n\r\n', limit=1, envelope=I18N), HEADER,
        QP, b'S: \xe4\r\n'),
    ('SMTPUTF8', dict(content=UTF8 + b'\r\nx', envelope=I18N), GLOBAL, QP, UTF8 + b'\r\nx'),
    ('SMTPUTF8, header', dict(content=UTF8 + b'\r\nx', limit=1, envelope=I18N), GLOBAL_HEADER, QP,
        UTF8),
    ('SMTPUTF8 both ways', dict(content=UTF8 + b'\r\nx', envelope=I18N_BACK), GLOBAL, '8bit',
        UTF8 + b'\r\nx'),
    ('SMTPUTF8 both ways, header', dict(content=UTF8 + b'\r\nx', limit=1, envelope=I18N_BACK),
        GLOBAL_HEADER,
        '8bit', UTF8),
    ('SMTPUTF8 that needed none', dict(content=PLAIN, envelope=I18N), WHOLE, '7bit', PLAIN),
    ('a huge header', dict(content=FIELDS + b'\r\n'), HEADER, '7bit',
        FIELDS[:FIELDS.index(b'X-72:')]),
    ('a huge field', dict(content=b'A: b\r\nX: ' + b' y\r\n' * 40000 + b'\r\n'), HEADER, '7bit',
        b'A: b\r\n'),
    ('nothing but a huge field', dict(content=b'X: ' + b' y\r\n' * 40000 + b'\r\n'), ONLY, None,
        None),
]
for what, given, kind, encoding, octets in TABLE:
    made = one(**given)
    is_(made.problems(), [], f'{what}: it is a report')
    if kind is None:
        is_(len(made.parts), 2, f'{what}: nothing comes back')
        continue
    is_(made.parts[2][:2], (kind, encoding), f'{what}: its type')
    got = made.parts[2][2]
    is_(quopri.decodestring(got) if encoding == QP else got, octets, f'{what}: its octets')
    is_(all(len(line) <= 76 for line in got.split(b'\r\n')) or encoding != QP, True,
        f'{what}: its lines')
    told = '^The message is' if kind in (WHOLE, GLOBAL) else '^Its header is'
    like(made.text(), f'{told} attached', f'{what}: and people are told')

# ---- as Python reads it
inner = one(content=NESTED).message.get_payload(2).get_payload(0)
is_([part.get_content_type() for part in inner.walk()],
    ['multipart/mixed', 'text/plain', 'message/rfc822', 'text/plain'], 'parts within the original')
is_(inner.get_payload(1).get_payload(0)['Subject'], 'in', 'down to the last')
is_(one(content=PLAIN).message.get_payload(2).get_payload(0)['To'], 'c@d.example',
    'a field of the original')

# ---- a boundary in the original
first = one(content=PLAIN)
copy = one(content=HEAD + b'\r\n--' + first.boundary.encode() + b'--\r\n')
ok(copy.boundary != first.boundary, 'a boundary that the original has is not taken')
is_(copy.problems(), [], 'and the report is one')
again = one(content=HEAD + f'\r\n--{first.boundary}\r\n--{copy.boundary}\r\n'.encode())
is_((again.problems(), len({first.boundary, copy.boundary, again.boundary})), ([], 3),
    'nor is the next one')
bounce = one(content=first.octets)
is_((bounce.problems(), bounce.parts[2][2] == first.octets), ([], True), 'a report within a report')
sys.exit(plan())
