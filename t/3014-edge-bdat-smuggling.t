#!/usr/bin/python3
# 3014-edge-bdat-smuggling.t - no variant of the end of data means anything in chunks, wherever these are cut
# SPDX-License-Identifier: MIT
# S6 P15
import re

from lib.edge import config, stored
from lib.fixture import is_, ok, run
from lib.smuggling import ENDS, KNOWN, SECOND

TRUE_END = b'\r\n.\r\n'


def cuts(end, before):
    """Borders of chunks: one anywhere in what is known, else in the middle; or around each octet."""
    whole = before + len(end)
    one = range(before, whole + 1) if end in KNOWN or end == TRUE_END else [before + len(end) // 2]
    return [[at] for at in one] + [[before, *range(before + 1, whole + 1)]]


def attempt(t, end):
    """For each way to cut it: the codes of its chunks; and what was sent."""
    message = b'Subject: x\r\n\r\nfirst' + end + SECOND + TRUE_END + SECOND
    sent, expected = b'EHLO client.example\r\n', []
    for borders in cuts(end, message.index(end, 19)):
        sent += b'MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n'
        for at, to in zip([0, *borders], borders):
            sent += b'BDAT %d\r\n' % (to - at) + message[at:to]
        sent += b'BDAT %d LAST\r\n' % (len(message) - borders[-1]) + message[borders[-1]:]
        expected.append(len(borders) + 1)
    with t.client('smtp') as c:
        codes = [c.reply().code]
        c.send(sent + b'QUIT\r\n')
        codes += [c.reply().code]
        attempts = []
        for chunks in expected:
            codes += [c.reply().code, c.reply().code]
            attempts.append([c.reply().code for _ in range(chunks)])
        codes.append(c.reply().code)
        return codes == [220] + [250] * (1 + 2 * len(expected)) + [221] and c.at_end(), attempts, message


def refused(codes):
    """Refused at the chunk that has the fault, and so are those behind it, which are discarded."""
    return re.fullmatch('(250 )*550( 550)*', ' '.join(map(str, codes)))


def all_ends(t, bare):
    t.edge(config(f', bare_newline: {bare}, max_errors: 1000'))
    wrong, wanted = [], []
    for end in [*ENDS, TRUE_END]:
        whole, attempts, message = attempt(t, end)
        lines = re.sub(rb'\r\n|\r|\n', b'\r\n', message)
        good = b'\0' not in message and (bare == 'normalize' or lines == message)
        wanted += [lines] * len(attempts) * good
        if not whole or not all(set(codes) == {250} if good else refused(codes) for codes in attempts):
            wrong.append((end, attempts))
    is_(wrong, [], f'{bare}: one verdict on each message, and no octet of one is a command')
    ok(len(wanted) > 100, f'{len(wanted)} are taken')
    got = sorted(message['content'] for message in stored(t))
    ok(got == sorted(wanted), 'each as it was sent, or with CR LF line ends')
    is_({message['sender'] for message in stored(t)}, {'a@b.example'}, 'nobody else sent any')


def reject(t):
    all_ends(t, 'reject')


def normalize(t):
    all_ends(t, 'normalize')


run(reject, normalize)
