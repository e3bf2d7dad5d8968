#!/usr/bin/python3
# 3302-edge-limits-busy.t - nearly at max_connections idle clients have 20 s, whichever process and edge made it so
# SPDX-License-Identifier: MIT
import select
import socket
import time

from lib.fixture import SLOW, diag, is_, like, ok, run, wait_for
from lib.limits import held_by, limited, refusal

CONFIG = limited('max_connections: 10').replace('edge: {main:',
    'edge: {calm: {type: smtp, queue: q, listener: {port: @port:calm@}}, main:')
PROXIED = limited('max_connections: 10, proxy_protocol: yes')


def ends(clients, began):
    """When each of them was ended, in seconds, and with which code."""
    found = {}
    while len(found) < len(clients):
        left = [client for client in clients if client not in found]
        readable, _, _ = select.select([client.sock for client in left], [], [], 60 * SLOW)
        if not readable:
            ok(False, f'{len(left)} are never ended')
            break
        for client in left:
            if client.sock in readable:
                reply = client.reply()
                found[client] = (time.monotonic() - began, reply.code, reply.text)
    return found


def idle(t):
    master = t.master(CONFIG)
    calm = t.client('calm')
    calm.hello()
    clients = [t.client('smtp') for _ in range(9)]
    for client in clients:
        client.expect(220)
    clients[0].cmd('EHLO c.example', 250)
    clients[0].cmd('MAIL FROM:<a@b.example>', 250)
    clients[0].cmd('RCPT TO:<c@d.example>', 250)
    clients[0].cmd('DATA', 354)
    ok(not select.select([client.sock for client in clients], [], [], 0)[0], 'nine of ten wait as long as they like')
    began = time.monotonic()
    last = t.client('smtp')
    last.expect(220)
    refusal(t)
    found = ends(clients + [last], began)
    times = sorted(at for at, _, _ in found.values())
    diag(f'ended after {times[0]:.1f} to {times[-1]:.1f} s')
    is_({reply[1:] for reply in found.values()}, {(421, '4.4.2 Connection timed out')}, 'with ten all are ended')
    ok(19.9 < times[0] and times[-1] < 25 * SLOW, 'after 20 s')
    calm.cmd('NOOP', 250)
    wait_for(lambda: sum(held_by(t).values()) == 0, what='no connection')
    with t.client('smtp') as client:
        client.expect(220, '', 'there is room again')
    is_(master.stop(), 0, 'it ends well')
    like(master.log, r'warn .*edge: shortened time-outs edge=main because="max_connections is near"', 'it is said in the log')


def before_the_header(t):
    """A connection counts from its beginning on, not from its PROXY header on."""
    master = t.master(PROXIED)
    silent = [socket.create_connection(('127.0.0.1', t.port('smtp')), 10 * SLOW) for _ in range(10)]
    wait_for(lambda: sum(held_by(t).values()) == 10, what='ten connections')
    refusal(t)
    for sock in silent:
        sock.close()
    wait_for(lambda: sum(held_by(t).values()) == 0, what='no connection')
    with t.client('smtp') as client:
        client.send(b'PROXY UNKNOWN\r\n')
        client.expect(220, '', 'there is room again')
    is_(master.stop(), 0, 'it ends well')


run(idle, before_the_header)
