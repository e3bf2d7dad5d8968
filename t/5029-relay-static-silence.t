#!/usr/bin/python3
# 5029-relay-static-silence.t - at each step of a session a next hop falls silent (lessons P12 P23)
# SPDX-License-Identifier: MIT
# The message that suffers has to wait for its next attempt, the one behind it goes on over a new connection.
from lib.fixture import SLOW, run
from lib.lanes import Row, run_rows
from lib.next_hop import CLOSE

STEPS = ('connect', 'EHLO', 'HELO', 'MAIL', 'RCPT', 'DATA', '.')
TIMED_OUT = '421 4.4.2 Connection timed out'


def then_nothing(text):
    def what(lane, peer):
        peer.send(text)
        lane.over.wait(60 * SLOW)
        return CLOSE
    return what


def a_line_without_end(lane, peer):
    peer.send(b'250 ')
    while not lane.over.wait(0.2):
        peer.send(b'x')
    return CLOSE


def lines_without_end(code):
    def what(lane, peer):
        while not lane.over.wait(0.2):
            peer.send(code + b'-and so on\r\n')
        return CLOSE
    return what


def takes_nothing(octets):
    """It looks at last at what it was sent: a message whose dot is among it has to be in doubt."""
    def what(lane, peer):
        lane.over.wait(60 * SLOW)
        row.ends.append('dot' if peer.read_until(b'\r\n.\r\n').endswith(b'\r\n.\r\n') else 'cut')
        return CLOSE
    row = Row('data', f'takes nothing of {octets}', what, TIMED_OUT, 2, octets=octets, doubt=None)
    return row


def table(t):
    rows = []
    for step in STEPS:
        at = {'EHLO': ['502 what', '502 what']} if step == 'HELO' else {}
        for name, what in (('nothing', then_nothing(b'')), ('half a line', then_nothing(b'25')),
                ('half a reply', then_nothing(b'354-go\r\n' if step == 'DATA' else b'250-ok\r\n')),
                ('a line without an end', a_line_without_end),
                ('lines without an end', lines_without_end(b'354' if step == 'DATA' else b'250'))):
            rows.append(Row(step, name, what, TIMED_OUT, 2, doubt=step == '.', at=at, lead=[None] if step == 'RCPT' else []))
    refused = {'RCPT': ['550 5.1.1 no', '450 4.2.0 later', '550 5.1.1 no']}
    wanted = {'a': '550 5.1.1 no', 'b': '450 4.2.0 later', 'c': '550 5.1.1 no'}
    rows.append(Row('RSET', 'nothing', then_nothing(b''), wanted, 2, at=refused, mode=1))
    rows += [takes_nothing(octets) for octets in (1000, 200000, 4000000, 4100000, 4200000, 4300000)]
    rows.append(Row('data', 'takes nothing of what it cannot have', then_nothing(b''), TIMED_OUT, 2, octets=9000000))
    limit = f'{1.2 * SLOW:g}'
    run_rows(t, rows, f'command_timeout: {limit}, data_timeout: {limit}', count=8)


run(table)
