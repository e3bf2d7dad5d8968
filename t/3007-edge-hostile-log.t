#!/usr/bin/python3
# 3007-edge-hostile-log.t - whatever a client says, a log line stays one line, at the highest log level too
# SPDX-License-Identifier: MIT
# P21
import json
import re

from lib.edge import config
from lib.fixture import is_, like, ok, run, unlike

HOSTILE = [
    b'EHLO a"b',
    b'EHLO [192.0.2.1]\t\x1b[2J',
    b'MAIL FROM:<a@b.example>\n2026-11-22T00:00:00.000Z info slimta-edge[1] edge: accepted id=forged',
    b'MAIL FROM:<a@b.example>\rinfo forged',
    b'MAIL FROM:<"\\"@b.example>',
    b'MAIL FROM:<"a\\\\b c=d\\"e"@b.example>',
    b'RCPT TO:<"x\ty"@d.example>',
    b'RCPT TO:<%s%n%x@d.example>',
    b'RCPT TO:<\xff\xfe@d.example>',
    b'RCPT TO:<' + '\u202e\u2028\x85'.encode() + b'@d.example> SMTPUTF8',
    b'\0\0\0',
    b'%s%s%s%n',
    b'VRFY ' + b'\\' * 400,
    b'X' * 5000,
    b'NOOP \xf0\x9f\x98\x80 \xed\xa0\x80',
    b'MAIL FROM:<a@b.example> X=\x7f',
    b'HELP \x80\x81',
]


def talk(t):
    with t.client('smtp') as c:
        c.hello()
        for line in HOSTILE:
            c.line(line)
            reply = c.reply()
            if not reply.code or re.search('[^ -\x7e\x80-\xff\n]', reply.text):
                ok(False, f'{line!r} has a printable reply: {reply}')
        c.cmd('QUIT', 221)


def text(t):
    edge = t.edge(config(', max_errors: 100'))
    talk(t)
    edge.wait_log('disconnected')
    form = re.compile(r'^[0-9T:.-]+Z (error|warn|info|debug) slimta-edge\[\d+\] [a-z]+: [a-z ]+( \w+=([^ "]*|"([^"\\]|\\.)*"))*$')
    lines = [line for line in edge.log.split('\n')[1:] if line]
    ok(len(lines) > 30, 'there is much to read')
    is_([line for line in lines if not form.match(line)], [], 'every line has the form of a line')
    unlike(edge.log, '^[^"]* id=forged', 'nobody forged one')
    unlike(edge.log, '[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u202e]', 'nothing in it moves a terminal')


def as_json(t):
    edge = t.edge(config(', max_errors: 100').replace('level: debug', 'level: debug, format: json'))
    talk(t)
    edge.wait_log('disconnected')
    wrong = []
    for line in edge.log.split('\n')[1:]:
        try:
            if line and not isinstance(json.loads(line), dict):
                wrong.append(line)
        except ValueError:
            wrong.append(line)
    is_(wrong, [], 'every line is an object')


def given(t):
    """What is said of a command with a mistake, and what is not: a client that tries to log in sends its password."""
    edge = t.edge(config('').replace('level: debug', 'level: info'))
    with t.client('smtp') as c:
        c.hello()
        for line, code in (('RCPT TO:<before@d.example>', 503), ('MAIL FROM:<a b@c.example>', 501), ('STARTTLS', 502),
                ('AUTH PLAIN AHVzZXIAc2VjcmV0', 502), ('AHVzZXIAc2VjcmV0', 500), ('c2VjcmV0cw==', 500), ('MAIL FROM:<a@b.example>', 250)):
            c.cmd(line, code)
        like(c.cmd(f'RCPT TO:<{"r" * 65}@d.example>', 501).text, '5.1.3 Bad recipient address, expected a local part of at most 64',
            'the reply says what is wrong with an address')
        c.cmd('QUIT', 221)
    edge.wait_log('disconnected')
    said = re.findall(r' rejected .*? command=(\w+)(?: given=("[^"]*"|\S+))?', edge.log)
    is_(said[:4], [('RCPT', '"RCPT TO:<before@d.example>"'), ('MAIL', '"MAIL FROM:<a b@c.example>"'), ('STARTTLS', 'STARTTLS'),
        ('AUTH', '')], 'the log says what was given')
    is_(said[4:], [('unknown', ''), ('unknown', ''), ('RCPT', f'"RCPT TO:<{"r" * 65}@d.example>"')], 'but not what may be secret')
    unlike(edge.log, '(?i)c2VjcmV0', 'no password is in it')


run(text, as_json, given)
