#!/usr/bin/python3
# 5024-relay-static-octets.t - from an edge through the queue to the next hop not an octet changes
# SPDX-License-Identifier: MIT
# P15 S16
import os
import random
import subprocess

from lib.fixture import TOP, is_, ok, run, wait_for
from lib.next_hop import NextHop
from lib.relay import config, queued, send
from lib.tap import skip

HEADER = b'subject:x\r\nTo: a@example.net,\r\n\tb@example.net\r\nX-Odd:  spaces  \r\n\r\n'
PEERS = os.path.join(TOP, 't/.peers')


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


def postfix(t):
    sink = os.path.join(PEERS, 'usr/sbin/smtp-sink')
    if not os.path.exists(sink):
        skip("Postfix's smtp-sink is not unpacked under t/.peers")
        return
    libraries = [folder for folder, _, names in os.walk(PEERS) if any('.so' in name for name in names)]
    port = t.port('sink')
    options = ['-u', 'nobody'] if os.geteuid() == 0 else []
    os.chmod(t.folder('sunk'), 0o777)
    log = open(t.path('sink.log'), 'wb')
    started = subprocess.Popen([sink, *options, '-d', t.path('sunk', '%M.'), f'127.0.0.1:{port}', '100'], stdout=log, stderr=log,
        env=dict(t.env, LD_LIBRARY_PATH=':'.join(libraries)), cwd=t.path('sunk'))
    try:
        master = t.master(config(f'type: static, host: 127.0.0.1, port: {port}', delay=1))
        data = HEADER + b'.\r\n..\r\n' + b'x' * 900 + b'\r\n'
        idents = [send(t, 'a@example.net', 'b@example.net', data=data) for _ in range(20)]
        for ident in idents:
            master.wait_log(rf' delivered id={ident} recipient=b@example.net ', timeout=30)
        wait_for(lambda: not queued(t), what='an empty queue')
        sunk = [open(t.path('sunk', name), 'rb').read() for name in os.listdir(t.path('sunk'))]
        is_(len(sunk), 20, 'smtp-sink took 20 messages')
        ok(all(data.replace(b'\r\n', b'\n') in mail for mail in sunk), 'as they were')
    finally:
        started.terminate()
        started.wait(10)
        log.close()


run(passes_through, postfix)
