#!/usr/bin/python3
# 3031-edge-cuts.t - early talkers, and sessions that are cut, or end, at every octet
# SPDX-License-Identifier: MIT
# P19
import re
import signal
import socket

from lib.edge import GROUP, MAIL, config, replies, stored
from lib.fixture import is_, ok, run, wait_for

CODES = [220, 250, 250, 250, 354, 250, 221]


def early(t):
    """Who talks before the banner is no mail server (RFC 5321 4.3.1): one 554, and the end. The edge is stopped so
    that the octets are there before it looks."""
    edge = t.edge(config())
    for first in (b'E', b'EHLO c.example\r\n', MAIL, b'\0' * 100_000):
        edge.kill(signal.SIGSTOP)
        client = t.client('smtp')
        client.send(first[:50_000])
        edge.kill(signal.SIGCONT)
        is_(replies(client), [554], f'{len(first)} octets before the banner')
        client.close()
    is_(stored(t), [], 'and nothing of it is taken')


def cuts(t):
    """A session cut at each octet: the first part, what it is answered, then the rest."""
    edge = t.edge(config())
    wrong = []
    for at in range(len(MAIL) + 1):
        with t.client('smtp') as client:
            codes = [client.reply().code]
            client.send(MAIL[:at])
            complete = MAIL[:min(at, len(GROUP))].count(b'\r\n')
            codes += [client.reply().code for _ in range(complete)]
            client.send(MAIL[at:])
            codes += replies(client)
            if codes != CODES:
                wrong.append((at, codes))
    is_(wrong, [], f'{len(MAIL) + 1} cuts make no difference')
    is_({m['content'] for m in stored(t)}, {b'Subject: x\r\n\r\n.\r\n'}, 'nor to what is stored')
    is_(len(stored(t)), len(MAIL) + 1, 'and that is all of them')
    ok(edge.running(), 'the edge goes on')


def half_closed(t):
    """The same, but nothing follows: what was complete is answered, what was accepted is stored, then the end."""
    edge = t.edge(config())
    wrong = []
    whole = 0
    for at in range(len(MAIL) + 1):
        with t.client('smtp') as client:
            codes = [client.reply().code]
            client.send(MAIL[:at])
            client.sock.shutdown(socket.SHUT_WR)
            codes += replies(client)
            wanted = 1 + MAIL[:min(at, len(GROUP))].count(b'\r\n') + (at >= len(MAIL) - 6) + (at == len(MAIL))
            whole += at >= len(MAIL) - 6
            if codes != CODES[:wanted]:
                wrong.append((at, codes))
    is_(wrong, [], 'who says no more gets all its answers')
    is_(len(stored(t)), whole, 'what had its dot is stored')
    wait_for(lambda: len(re.findall(' disconnected ', edge.log)) == len(MAIL) + 1, 10, 'all sessions to end')


run(early, cuts, half_closed)
