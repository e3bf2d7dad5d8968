#!/usr/bin/python3
# 8055-path-operator.t - the log says of each refusal who, where, by which key and with what reply; who is locked out, and what lifts it
# SPDX-License-Identifier: MIT
import re

from lib.edge import plain, users
from lib.fixture import is_, like, ok, run
from lib.limits import limited
from lib.master import sighup

KEYS = ('auth_without_tls: yes, max_auth_failures: 2, max_recipients: 1, max_size: 1K, max_hops: 2, max_messages_per_minute: 6'
    + users({'ann': '{PLAIN}pencil'}))
RIGHT = plain('ann', 'pencil')


def line_of(master, event, since, words):
    """The one line of this event since then, which has these words, in any order."""
    master.wait_log(rf' {event} ', since=since)
    lines = [line for line in master.log[since:].splitlines() if f': {event} ' in line]
    is_(len(lines), 1, f'{event}: one line')
    for word in words:
        like(lines[0], rf' {re.escape(word)}( |$)', f'{event}: {word}')


def refused(t, master):
    hops = 'Received: x\r\n' * 3 + '\r\n.'
    with t.client('smtp') as c:
        c.hello()
        c.cmd(f'AUTH PLAIN {RIGHT}', 235)
        for commands, verb, rule, reply in (
                (['MAIL FROM:<a@b.example> SIZE=2000'], 'MAIL', 'max_size', '552 5.3.4'),
                (['MAIL FROM:<a@b.example>', 'RCPT TO:<x@y.example>', 'RCPT TO:<z@y.example>'], 'RCPT', 'max_recipients', '452 4.5.3'),
                (['DATA', 'x\r\n' * 500 + '.'], 'end of data', 'max_size', '552 5.3.4'),
                (['MAIL FROM:<a@b.example>', 'RCPT TO:<x@y.example>', 'DATA', 'x\n.\r\n.'], 'end of data', 'bare_newline', '550 5.5.2'),
                (['MAIL FROM:<a@b.example>', 'RCPT TO:<x@y.example>', 'DATA', hops], 'end of data', 'max_hops', '554 5.4.6')):
            since = len(master.log)
            for command in commands:
                c.line(command)
                got = c.reply()
            is_(f'{got.code} {got.text[:5]}', reply, f'{rule} refuses')
            line_of(master, 'rejected', since, ['user=ann', 'client=127.0.0.1', 'edge=main', f'rule={rule}'])
            like(master.log[since:], rf'rejected .* command="?{verb}.*reply="{reply}', 'with the reply')
        got = None
        while not got or got.code == 250:
            c.cmd('RSET', 250)
            since = len(master.log)
            c.line('MAIL FROM:<a@b.example>')
            got = c.reply()
        is_(got.code, 450, 'max_messages_per_minute refuses')
        line_of(master, 'rejected', since, ['user=ann', 'client=127.0.0.1', 'edge=main', 'rule=max_messages_per_minute'])


def quits(t, master):
    with t.client('smtp') as c:
        c.hello()
        c.cmd(f'AUTH PLAIN {plain("ann", "wrong")}', 535)
        since = len(master.log)
        c.cmd('EHLO c.example', 250)
        c.cmd('MAIL FROM:<a@b.example>', 550)
        like(master.log, r' authentication failed session=[0-9a-z]+ client=127\.0\.0\.1 user=ann ', 'as the manual says')
        line_of(master, 'rejected', since, ['edge=main', 'rule=lookup_credentials', 'reason="not authenticated"'])
        c.cmd('QUIT', 221)


def locked_out(t, master):
    """The second failure; then by the right password, too, until the limit is another one."""
    with t.client('smtp') as c:
        c.hello()
        since = len(master.log)
        c.cmd(f'AUTH PLAIN {plain("ann", "wrong")}', 421)
        line_of(master, 'locked out', since, ['user=ann', 'client=127.0.0.1', 'edge=main', 'failures=2', 'rule=max_auth_failures'])
    with t.client('smtp') as c:
        c.hello()
        since = len(master.log)
        c.cmd(f'AUTH PLAIN {RIGHT}', 454)
        line_of(master, 'still locked out', since, ['user=ann', 'client=127.0.0.1', 'edge=main', 'failures=2'])
    t.config(limited(KEYS.replace('max_auth_failures: 2', 'max_auth_failures: 20')))
    sighup(master)
    with t.client('smtp') as c:
        c.hello()
        c.cmd(f'AUTH PLAIN {RIGHT}', 235, what='a higher limit, and a reload, let the client in at once')


def abandoned(t, master):
    """Who says QUIT was not lost."""
    with t.client('smtp') as c:
        c.hello()
        c.cmd(f'AUTH PLAIN {RIGHT}', 235)
        c.cmd('MAIL FROM:<a@b.example>', 250)
        c.cmd('QUIT', 221)
    master.wait_log(r' abandoned id=\S+ .*reason=QUIT$')


def test(t):
    master = t.master(limited(KEYS))
    abandoned(t, master)
    refused(t, master)
    quits(t, master)
    locked_out(t, master)
    ok('pencil' not in master.log, 'without a secret')
    is_(master.stop(), 0, 'it ends well')


run(test)
