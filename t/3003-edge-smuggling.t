#!/usr/bin/python3
# 3003-edge-smuggling.t - nothing but CR LF . CR LF ends data, for every variant known
# SPDX-License-Identifier: MIT
# S6
from lib.edge import config, stored
from lib.fixture import is_, ok, run
from lib.smuggling import ENDS, KNOWN, SECOND


def attempt(t, end):
    """Tries to end a message by `end` and to begin another in it; gives the codes of the replies."""
    with t.client('smtp') as c:
        c.hello()
        c.cmd('MAIL FROM:<a@b.example>', 250, what='MAIL')
        c.cmd('RCPT TO:<c@d.example>', 250, what='RCPT')
        c.cmd('DATA', 354, what='DATA')
        c.send(b'Subject: x\r\n\r\nfirst' + end + SECOND + b'\r\n.\r\n')
        codes = [c.reply().code]
        c.line('QUIT')
        while codes[-1] != 221:
            codes.append(c.reply().code)
        return codes


def all_ends(t, bare, codes):
    before = len(stored(t))
    wrong = []
    ok(KNOWN <= set(ENDS), 'none that is known is missing')
    for end in ENDS:
        got = attempt(t, end)
        clean = end.replace(b'\r\n', b'')
        if got != ([250, 221] if b'\0' not in end and codes(clean) else [550, 221]):
            wrong.append((end, got))
    is_(wrong, [], f'{bare}: one reply to each of {len(ENDS)} variants')
    ok(len(stored(t)) > before, 'some are fine messages')
    for message in stored(t)[before:]:
        content = message['content']
        if not content.endswith(b'evil\r\n\r\n'):
            ok(False, f'all of it is one message: {content!r}')
        rest = content.replace(b'\r\n', b'')
        if b'\r' in rest or b'\n' in rest or b'\0' in content:
            ok(False, f'no bare CR, LF or NUL goes on: {content!r}')


def reject(t):
    t.edge(config())
    all_ends(t, 'reject', lambda clean: b'\r' not in clean and b'\n' not in clean)
    is_(attempt(t, b'\r\n.\r\n'), [250, 250, 250, 354, 250, 221], 'the true one ends it')


def normalize(t):
    t.edge(config(', bare_newline: normalize'))
    all_ends(t, 'normalize', lambda clean: True)


run(reject, normalize)
