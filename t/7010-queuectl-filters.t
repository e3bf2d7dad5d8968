#!/usr/bin/python3
# 7010-queuectl-filters.t - list by every filter and in every order, in every storage while a worker runs
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, run
from lib.mail import send
from lib.queues import listed, on_every_storage, wait_listed

CONFIG = '''@process@
edge: {in: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {SECTION, relay: r, retry: {delay: 3600, maximum: 9}}
relay:
  r:
    type: pipe
    args: [/bin/sh, -c, 'cat >/dev/null; case {recipient} in grey*) echo "4.7.1 Greylisted" >&2;; esac; exit 75']
'''
MESSAGES = [
    ('Ann@example.org', ['x@example.com'], 300),
    ('bob@Example.ORG', ['grey@example.com', 'y@sub.example.net'], 100),
    ('', ['x@EXAMPLE.com'], 200),
    ('ann@example.org', ['grey@example.net'], 400),
]


def fill(t, section):
    t.master(CONFIG.replace('SECTION', section))
    ids = send(t, 'smtp', *[(sender, to, b'Subject: x\r\n\r\n' + b'x' * size + b'\r\n') for sender, to, size in MESSAGES])
    wait_listed(t, 4, '--state', 'deferred', '--attempts', '1')
    return ids


def filters(t, section):
    ids = fill(t, section)
    t.queuectl('hold', ids[2])
    for args, expected in (
            ((), [0, 1, 2, 3]), (('--sender', 'ann@example.org'), [3]), (('--sender', 'Ann@EXAMPLE.org'), [0]),
            (('--sender', '*@example.org'), [0, 1, 3]), (('--sender', '<bob@example.org>'), [1]), (('--sender', '<>'), [2]),
            (('--sender=*nn@*',), [0, 3]), (('--recipient', 'x@example.com'), [0, 2]),
            (('--recipient', 'y@*'), [1]), (('--domain', 'example.COM'), [0, 1, 2]), (('--domain', '*.example.net'), [1]),
            (('--domain', '*example.net'), [1, 3]), (('--domain', 'example.com', '--recipient', 'y@*'), []),
            (('--reply', '*greylisted*'), [1, 3]), (('--reply', '45*'), [0, 1, 2, 3]), (('--reply', '5*'), []),
            (('--state', 'held'), [2]), (('--state', 'deferred'), [0, 1, 3]), (('--state', 'new,held'), [2]),
            (('--attempts', '1'), [0, 1, 2, 3]), (('--attempts', '0'), []), (('--attempts', '1-'), [0, 1, 2, 3]),
            (('--attempts', '2-9'), []), (('--younger', '1h'), [0, 1, 2, 3]), (('--older', '1h'), []),
            (('--older', '1h', '--sender', '*'), []), (('--limit', '2'), [0, 1]), (('--sender', '*@example.org', '--limit', '2'), [0, 1]),
            ((ids[3], ids[0]), [3, 0]), ((ids[3], ids[2], '--state', 'held'), [2])):
        is_([line['id'] for line in listed(t, *args)], [ids[i] for i in expected], f'list {" ".join(args)}')
    like(t.queuectl('list', '--state', 'deferred', '--domain', 'sub.example.net'),
        rf'(?m)^{ids[1]} deferred +1 +\S+ +\S+ +\d+ q <bob@Example\.ORG> <grey@example\.com> \+1 \(450 4\.\d\.\d .*Greylisted\)$',
        'a line says what the last attempt got')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'list', '--state', 'new', ids[0])
    is_(done.returncode, 3, 'an id that a filter does not let through: exit 3')
    like(done.stderr.decode(), f'{ids[0]}: not in the queue, or not what was asked for', 'and said')


def orders(t, section):
    ids = fill(t, section)
    t.queuectl('retry', ids[3])
    wait_listed(t, 1, '--state', 'deferred', '--attempts', '2')
    t.queuectl('hold', ids[1])
    for args, expected in (
            (('--sort', 'age'), [0, 1, 2, 3]), (('--sort', '-age'), [3, 2, 1, 0]), (('--sort', '-age', '--limit', '2'), [3, 2]),
            (('--sort', 'size'), [3, 0, 2, 1]), (('--sort', '-size', '--limit', '3'), [1, 2, 0]),
            (('--sort=attempts', '--limit', '1'), [3]), (('--sort', 'attempts', '--state', 'deferred'), [3, 0, 2]),
            (('--sort', 'due', '--limit=1', '--sender', 'ann*'), [3]), (('--sort', 'size', ids[1], ids[0]), [0, 1])):
        is_([line['id'] for line in listed(t, *args)], [ids[i] for i in expected], f'list {" ".join(args)}')
    due = [line['id'] for line in listed(t, '--sort', 'due')]
    is_((due[2], due[3]), (ids[3], ids[1]), '--sort due: the last to be tried, and one that is held, at the end')
    is_([line['id'] for line in listed(t, '--sort', '-due')][-1], ids[1], 'whichever way')


run(*on_every_storage(filters, orders), timeout=240)
