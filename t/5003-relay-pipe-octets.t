#!/usr/bin/python3
# 5003-relay-pipe-octets.t - what a command reads is the message that came, octet for octet
# SPDX-License-Identifier: MIT
# S16
import random

from lib.fixture import is_, ok, run
from lib.relay import config, script, send

HEADER = b'to:bob\r\nSUBJECT:   odd  \r\n\tfolded\r\nX-Long: ' + b'x' * 900 + b'\r\n\r\n'


def bodies():
    rng = random.Random(1)
    line = lambda size: bytes(rng.choice([*range(1, 10), 11, 12, *range(14, 256)]) for _ in range(size))
    yield 'text', b'a\r\n.b\r\n..\r\n\r\n'
    yield 'octets above 127', bytes(range(128, 256)) + b'\r\n'
    yield 'no body', b''
    yield 'long lines', b''.join(line(size) + b'\r\n' for size in (997, 998, 900))
    yield '65536 octets, as much as a pipe holds', b'x' * 70 + b'\r\n' + (b'y' * 62 + b'\r\n') * 2000
    yield '3 MB', b''.join(line(70) + b'\r\n' for _ in range(42000))


def octets(t):
    save = script(t, 'save', 'cat >"saved-$1.tmp" && mv "saved-$1.tmp" "saved-$1"')
    master = t.master(config(f'type: pipe, args: [{save}, "{{message_id}}"]'))
    for what, body in bodies():
        ident = send(t, 'r@example.net', data=HEADER + body, parameters=' BODY=8BITMIME')
        master.wait_log(rf' delivered id={ident} ')
        got = t.read(f'saved-{ident}')
        if not ok(got == HEADER + body, what):
            is_((len(got), got[:100]), (len(HEADER + body), HEADER[:100]), 'its beginning')


def unread(t):
    """Lesson S2's other side: a command may end without reading all."""
    deaf = script(t, 'deaf', 'exec true')
    master = t.master(config(f'type: pipe, args: [{deaf}]'))
    ident = send(t, 'r@example.net', data=HEADER + b'x' * 76 + (b'y' * 76 + b'\r\n') * 20000)
    master.wait_log(rf' delivered id={ident} ')
    ok(True, 'exit status 0 delivers, whatever was read')


run(octets, unread)
