#!/usr/bin/python3
# 5024-relay-static-octets.t - from an edge through the queue to the next hop not an octet changes
# SPDX-License-Identifier: MIT
# P15 S16
import random

from lib.fixture import is_, ok, run
from lib.next_hop import NextHop
from lib.relay import config, send

HEADER = b'subject:x\r\nTo: a@example.net,\r\n\tb@example.net\r\nX-Odd:  spaces  \r\n\r\n'


def bodies():
    rng = random.Random(5024)
    yield b'', 'no body'
    yield b'.\r\n', 'a dot'
    yield b'..\r\n.\r\n...\r\n.a\r\n\r\n.\r\n', 'many dots'
    yield b'.\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<y@example.net>\r\nDATA\r\n.\r\n', 'what looks like a session'
    yield b'no end of the line', 'no CR LF at its end'
    yield bytes(rng.choice(b'.ab\r\n\1\xff') for _ in range(300)).replace(b'\r', b'').replace(b'\n', b'\r\n'), 'octets'
    for size in (65534, 65536, 131071, 131072, 3000000):
        line = b'.' + bytes(rng.choice(range(33, 127)) for _ in range(70)) + b'\r\n'
        yield (line * (size // len(line) + 1))[:size - 2] + b'\r\n', f'{size} octets'


def passes_through(t):
    hop = NextHop(t, extensions=('8BITMIME', 'SIZE 10000000', 'PIPELINING'))
    master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}'))
    for body, what in bodies():
        data = HEADER + body
        ident = send(t, 'a@example.net', data=data)
        master.wait_log(rf' delivered id={ident} ', timeout=30)
        wanted = data if data.endswith(b'\r\n') else data + b'\r\n'
        ok(hop.messages[-1]['data'] == wanted, what)
        is_(hop.messages[-1]['parameters'][0], f'SIZE={len(wanted)}', 'its size was right')
    is_(len(hop.messages), len(list(bodies())), 'none was taken for two')


run(passes_through)
