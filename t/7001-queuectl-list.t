#!/usr/bin/python3
# 7001-queuectl-list.t - messages line by line, for people and as JSON, from one queue or all, in parts
# SPDX-License-Identifier: MIT
import json

from lib.fixture import is_, like, ok, run
from lib.mail import send

CONFIG = '''@process@
  worker: {instances: 0}
edge:
  a: {type: smtp, queue: first, listener: {port: @port:first@}}
  b: {type: smtp, queue: second, listener: {port: @port:second@}}
queue:
  first: {type: disk, envelope_dir: @dir@/a, meta_dir: @dir@/a.meta, allow_volatile: yes}
  second: {type: disk, envelope_dir: @dir@/b, meta_dir: @dir@/b.meta, allow_volatile: yes}
'''
HEADER = 'ID                         STATE    TRIES     DUE     AGE  SIZE QUEUE SENDER RECIPIENTS'
ABSENT = '0' * 26


def for_people(t):
    t.edge(CONFIG)
    is_(t.queuectl('list').splitlines(), [HEADER], 'an empty list has its header')
    ids = send(t, 'first', ('a@example.net', ['x@example.org'], b'Subject: 1\r\n\r\nx\r\n'),
        ('', ['x@example.org', 'y@example.org', 'z@example.org'], b'Subject: 2\r\n\r\n' + b'x' * 78 * 60 + b'\r\n'))
    other = send(t, 'second', ('ü@example.net', ['"a b"@example.org'], b'x\r\n', ' SMTPUTF8'))
    lines = t.queuectl('list').splitlines()
    is_(lines[0], HEADER, 'the header')
    is_([line.split()[0] for line in lines[1:]], ids + other, 'queue by queue, in the order of ids')
    like(lines[1], rf'^{ids[0]} new {{10}}0     now +\d+s +\d+ first <a@example\.net> <x@example\.org>$', 'a line')
    like(lines[2], r' first <> <x@example\.org> \+2$', 'no sender, more recipients')
    like(lines[2], r' 4\.\dK first', 'its size')
    like(lines[3], r' second <ü@example\.net> <"a b"@example\.org>$', 'as it was written')


def in_parts(t):
    t.edge(CONFIG)
    ids = send(t, 'first', *(('a@example.net', ['x@example.org'], b'x\r\n') for _ in range(250)))
    is_([line.split()[0] for line in t.queuectl('list').splitlines()[1:]], ids, '250 messages, each once')
    is_([line.split()[0] for line in t.queuectl('list', '--limit', '3').splitlines()[1:]], ids[:3], '--limit')
    is_([line.split()[0] for line in t.queuectl('--limit', '120', 'list').splitlines()[1:]], ids[:120],
        '--limit beyond one part')
    is_([line.split()[0] for line in t.queuectl('list', ids[7], ids[3]).splitlines()[1:]], [ids[7], ids[3]], 'by id')
    text = t.queuectl('list', ids[7], ABSENT, code=3)
    is_(len(text.splitlines()), 2, 'one that is not there: exit 3, and the other one')


def as_json(t):
    t.edge(CONFIG)
    ids = send(t, 'first', ('a@example.net', ['x@example.org', 'y@example.org'], b'Subject: x\r\n\r\n'))
    is_(t.queuectl('--json', '-q', 'second', 'list'), '', 'an empty list is nothing')
    lines = [json.loads(line) for line in t.queuectl('list', '--json').splitlines()]
    is_(len(lines), 1, 'one object a line')
    one = lines[0]
    is_((one['id'], one['queue'], one['state']), (ids[0], 'first', 'new'), 'id, queue, state')
    is_((one['sender'], one['recipients']), ('a@example.net', ['x@example.org', 'y@example.org']), 'addresses')
    is_((one['attempts'], one['owner'], one['held'], one['last'], one['origin']), (0, None, None, None, None),
        'what is not there is null')
    ok(one['due_in_ms'] <= 0 and 0 <= one['age_ms'] < 60000 and one['size'] >= 14, 'numbers')


def misuse(t):
    t.edge(CONFIG)
    for args, said in (((), 'needs a command: '), (('lst',), 'no such command: lst'), (('list', 'noid'), 'not the id of a'),
            (('list', '--limit', '0'), '--limit needs a number above 0: 0'), (('list', '--limit'), '--limit needs a number'),
            (('list', '--nosuch'), 'not understood: --nosuch'), (('show',), 'needs the id of a message: show'),
            (('show', ABSENT, ABSENT), 'takes one id: show'), (('remove',), 'needs ids, a filter, or --all: remove'),
            (('status', ABSENT), 'takes no ids: status'), (('list', '--message'), '--message does not go with: list'),
            (('show', '--json', '--message', ABSENT), '--message and --json'), (('list', '-q'), 'needs a value: -q'),
            (('show', '--limit', '1', ABSENT), '--limit does not go with: show'), (('list', '-c'), 'needs a value: -c')):
        done = t.run('slimta-queuectl', *args)
        is_((done.returncode, done.stdout), (2, b''), f'{args} is refused')
        like(done.stderr.decode(), f'^slimta-queuectl: {said}.*\\nTry: slimta-queuectl --help\\n$', 'and said')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), '-q', 'frist', 'list')
    is_((done.returncode, done.stdout), (1, b''), 'a queue that is not there')
    like(done.stderr.decode(), 'no queue is named "frist" \\(did you mean "first"\\?\\)', 'is said')
    like(t.run('slimta-queuectl', '--help').stdout.decode(), '^usage: slimta-queuectl ', '--help')
    like(t.run('slimta-queuectl', '--version').stdout.decode(), r'^slimta-queuectl \d', '--version')
    full = t.run('sh', '-c', f"{t.program('slimta-queuectl')} -c {t.path('slimta.conf')} list >/dev/full")
    is_(full.returncode, 1, 'nowhere to write to')
    like(full.stderr.decode(), 'No space left', 'is an error')
    closed = t.run('sh', '-c', f"{t.program('slimta-queuectl')} -c {t.path('slimta.conf')} list >&-")
    is_(closed.returncode, 1, 'stdout that is closed')
    like(closed.stderr.decode(), 'cannot write: Bad file descriptor', 'is none of the files that are opened')


run(for_people, in_parts, as_json, misuse)
