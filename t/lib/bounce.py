# bounce.py - for tests of notifications: has them made, and takes them apart
# SPDX-License-Identifier: MIT
import email
import json
import os
import re
import subprocess

from lib.fixture import BUILD

ID = '0jqs8e3c5v0123456789abcdef'
ACCEPTED = 1795334616123
FAILED = dict(index=0, action='failed', code=550, status='5.1.1', text='No such user',
    host='mail.d.example', attempt=ACCEPTED + 60000)


def result(**changes):
    return dict(FAILED, **changes)


def octets(text):
    return text.encode() if isinstance(text, str) else text


def make(envelope=None, content=b'Subject: x\r\n\r\nhello\r\n', results=(FAILED,), prepended=b'',
    **more):
    """The notifications of a message, one a group of results."""
    full = dict(version=1, id=ID, sender='a@b.example', recipients=[{'address': 'c@d.example'}],
        timestamp=ACCEPTED, receiver='in.example')
    order = dict(envelope=dict(full, **(envelope or {})), content=octets(content).hex(),
        prepended=octets(prepended).hex(), hostname='mx.example', limit=51200, now=ACCEPTED + 90000,
        results=[dict(r, text=octets(r['text']).hex()) for r in results])
    made = subprocess.run([os.path.join(BUILD, 't/lib/bounce-make')], check=True, timeout=60,
        input=json.dumps(dict(order, **more)).encode() + b'\n', stdout=subprocess.PIPE).stdout
    return [Notification(n['envelope'], bytes.fromhex(n['content'])) for n in json.loads(made)]


def one(*args, **more):
    made = make(*args, **more)
    assert len(made) == 1, f'{len(made)} notifications'
    return made[0]


def fields(block):
    """[(name, value)] of a header, unfolded."""
    text = re.sub(rb'\r\n(?=[ \t])', b'', block).decode()
    return [tuple(line.split(': ', 1)) for line in text.split('\r\n') if line]


class Notification:
    """`parts` are (Content-Type, Content-Transfer-Encoding, octets) as they stand there, `message`
    is what Python's email package makes of all."""

    def __init__(self, envelope, content):
        self.envelope, self.octets = envelope, content
        self.message = email.message_from_bytes(content)
        self.boundary = self.message.get_boundary() or 'none'
        pieces = content.split(b'\r\n--' + self.boundary.encode())
        self.header, self.parts = pieces[0].split(b'\r\n\r\n')[0], []
        self.end = pieces[-1]
        for piece in pieces[1:-1]:
            head, body = piece.split(b'\r\n\r\n', 1)
            head = dict(fields(head))
            self.parts.append((head['Content-Type'], head['Content-Transfer-Encoding'], body))

    def status(self):
        """The blocks of fields of the second part."""
        return [fields(block) for block in self.parts[1][2].rstrip(b'\r\n').split(b'\r\n\r\n')]

    def text(self):
        return self.message.get_payload(0).get_payload(decode=True).decode()

    def problems(self):
        """What is wrong with it, whatever it tells."""
        found = [repr(d) for part in [self.message, *self.message.get_payload()[:2]]
            for d in part.defects]
        if len(self.message.get_payload()) != len(self.parts) or len(self.parts) not in (2, 3):
            found.append('number of parts')
        boundaries = self.octets.count(b'--' + self.boundary.encode())
        if self.end != b'--\r\n' or boundaries != len(self.parts) + 1:
            found.append('boundary')
        if self.message.get_content_type() != 'multipart/report' or \
                self.message.get_param('report-type') != self.parts[1][0].split('/')[1]:
            found.append('type of the report')
        encodings = {encoding for _, encoding, _ in self.parts} - {'quoted-printable'}
        wanted = '8bit' if '8bit' in encodings else '7bit'
        if (self.message['Content-Transfer-Encoding'], self.envelope['body']) != (wanted,
                {'8bit': '8BITMIME', '7bit': '7BIT'}[wanted]):
            found.append('encoding of all')
        if wanted == '7bit' and not self.envelope.get('smtputf8') and not self.octets.isascii():
            found.append('8-bit octets')
        for line in self.octets.split(b'\r\n'):
            if len(line) > 998 or re.search(rb'[\0-\10\12-\37\x7f]', line):
                found.append(f'a line: {line[:80]!r}')
        if '7bit' == self.parts[1][1]:
            blocks = self.message.get_payload(1).get_payload()
            if [len(block) for block in blocks] != [len(block) for block in self.status()]:
                found.append('Python reads other fields')
        if any(not line.strip() for line in self.parts[1][2].rstrip().split(b'\r\n') if line):
            found.append('a line of white space')
        if any(len(field) != 2 or not field[1].strip() for block in self.status()
            for field in block):
            found.append('a field that is none')
        return found
