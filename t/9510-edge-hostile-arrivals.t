#!/usr/bin/python3
# 9510-edge-hostile-arrivals.t - connections cut in every phase leave no place taken, and silent ones give theirs back
# SPDX-License-Identifier: MIT
import os
import random
import signal
import socket
import time

from lib.arrivals import AT_ONCE, NAMES, PLACES, all_places, begin, counters, cut, hello, none_is_left, open_one, reach
from lib.fixture import SLOW, diag, is_, ok, run, wait_for
from lib.master import status

ROUNDS = 60


def storm(t):
    master, context = begin(t)
    noise = random.Random(os.environ.get('SLIMTA_SEED', '1'))
    for _ in range(ROUNDS):
        name = noise.choice(NAMES)
        clients = []
        for _ in range(noise.randrange(PLACES)):
            try:
                clients.append(reach(t, name, context, noise))
            except OSError:
                pass        # refused, while those before are not gone yet
        for client in clients:
            cut(client, noise)
    none_is_left(t)
    for name in NAMES:
        all_places(t, name, context, 'after a storm')
    none_is_left(t)
    is_(master.stop(), 0, 'it ends well')
    ok(' BUG ' not in master.log and 'child ended' not in master.log.split('began to stop')[0], 'no process died')


def drip(clients, octets):
    for octet in octets:
        for client in clients:
            try:
                client.sock.send(bytes([octet]))
            except OSError:
                pass
        time.sleep(0.1)         # what a slow client does; nothing is waited for


def drained(client):
    """Reads to the end, whatever it is."""
    try:
        while client.sock.recv(1000):
            pass
    except ConnectionError:
        pass
    client.sock.close()


def silent(t):
    """Clients that take all places and say nothing, or a bit of it now and then, lose them within the time-outs."""
    master, context = begin(t)
    began = time.monotonic()
    quiet = {name: [open_one(t, name) for _ in range(PLACES)] for name in NAMES}
    wait_for(lambda: counters(t)['edge_connections'] == PLACES * len(NAMES), what='all are connected')
    for name in NAMES:
        with socket.create_connection(('127.0.0.1', t.port(name)), 30 * SLOW) as sock:
            is_(sock.recv(3), b'' if name in AT_ONCE else b'421', f'{name}: silent clients have all places')
    for client in quiet['all']:
        client.sock.sendall(hello('all'))
    drip([client for clients in quiet.values() for client in clients[1:]], b'EHLO c.example')
    for name in NAMES:
        for client in quiet[name]:
            drained(client)
        diag(f'{name}: {time.monotonic() - began:.1f} s until the last of them was closed')
    none_is_left(t)
    for name in NAMES:
        all_places(t, name, context, 'behind the silent')
    is_(master.stop(), 0, 'it ends well')


def killed(t):
    """An edge that is killed within handshakes and PROXY headers holds no place either."""
    master, context = begin(t)
    clients = [open_one(t, name) for name in NAMES for _ in range(PLACES)]
    wait_for(lambda: counters(t)['edge_connections'] == len(clients), what='all are connected')
    for victim in master.children('slimta-edge'):
        os.kill(victim, signal.SIGKILL)
        master.wait_log(rf'child ended .*child_pid={victim} ')
    for client in clients:
        client.sock.close()
    wait_for(lambda: len(master.children('slimta-edge')) == 2 and
        all(line['state'] == 'ready' for line in status(t.path('runtime/master'))[1:-1]), 30, 'their successors')
    for name in NAMES:
        all_places(t, name, context, 'behind a kill')
    is_(master.stop(), 0, 'it ends well')


run(storm, silent, killed)
