#!/usr/bin/python3
# 9511-edge-hostile-auth.t - who guesses passwords gains nothing by many connections, deaths, reloads or leaving early
# SPDX-License-Identifier: MIT
# P13
import os
import random
import re
import signal
import socket
import struct

from lib.edge import plain, users
from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.limits import counters, limited
from lib.master import gone, sighup, status
from lib.proxied import connect, v1

USERS = {'ann': '{PLAIN}right', 'ann@b.example': '{PLAIN}right',
    'slow': '$pbkdf2-sha256$100000$c2FsdHNhbHRzYWx0c2FsdA$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww'}
KEYS = 'auth_without_tls: yes, proxy_protocol: yes, max_connections: 50, max_messages_per_minute: 3' + users(USERS)
PLACES, AT_ONCE, WAITING = 50, 40, 17


def client_of(t, ip):
    client = connect(t, 'smtp', v1(ip))
    client.hello()
    return client


def guess(client, user='slow', password='wrong'):
    client.send(f'AUTH PLAIN {plain(user, password)}\r\n'.encode())


def attempt(t, ip, code, user='ann', password='right'):
    with client_of(t, ip) as client:
        client.cmd(f'AUTH PLAIN {plain(user, password)}', code, what=f'{user} from {ip}')


def new_edges(t, master):
    for victim in master.children('slimta-edge'):
        os.kill(victim, signal.SIGKILL)
        master.wait_log(rf'child ended .*child_pid={victim} ')
    wait_for(lambda: len(master.children('slimta-edge')) == 2 and
        all(line['state'] == 'ready' for line in status(t.path('runtime/master'))[1:-1]), 30, 'successors')


def guesses(t):
    """Many at once, by two processes: no more are tried than can be in hand, and then none, whatever happens to the edges."""
    master = t.master(limited(KEYS))
    clients = [client_of(t, '192.0.2.1') for _ in range(AT_ONCE)]
    for client in clients:
        guess(client)
    wait_for(lambda: len(re.findall(r' authentication failed |command=AUTH .*reply="454 ', master.log)) == AT_ONCE, 30,
        'each was refused, though not all are told yet')
    tried = master.log.count(' authentication failed ')
    ok(5 <= tried <= 2 * WAITING, f'{tried} of {AT_ONCE} guesses are tried')
    is_(counters(t)['edge_authentications_failed_total'], tried, 'as many failed')
    attempt(t, '192.0.2.1', 454)
    attempt(t, '192.0.2.2', 235)
    new_edges(t, master)
    attempt(t, '192.0.2.1', 454)
    old = master.children('slimta-edge')
    sighup(master)
    gone(old)                   # one that drains would turn a client away
    attempt(t, '192.0.2.1', 454)
    attempt(t, '192.0.2.2', 235)
    is_(counters(t)['edge_authentications_failed_total'], tried, 'nobody has looked any more')
    for client in clients:
        client.close()
    is_(master.stop(), 0, 'it ends well')
    unlike(master.log, 'right|' + plain('slow', 'wrong'), 'no secret in the log')


def by_user(t):
    """A user is limited as such, from anywhere and however he writes his domain; others at his address are not for that."""
    master = t.master(limited(KEYS))
    with client_of(t, '192.0.2.1') as one, client_of(t, '192.0.2.2') as other, client_of(t, '192.0.2.1') as nobody:
        for client, user in (one, 'ann@b.example'), (other, 'ann@B.Example'):
            client.cmd(f'AUTH PLAIN {plain(user, "right")}', 235)
        for client, code in (one, 250), (other, 250), (one, 250), (other, 450), (one, 450):
            reply = client.cmd('MAIL FROM:<a@b.example>', code)
            client.cmd('RSET', 250)
        is_(reply.text, '4.7.1 More than 3 messages a minute from your account', 'the reason')
        nobody.cmd('MAIL FROM:<a@b.example>', 550)
    is_(master.stop(), 0, 'it ends well')
    like(master.log, r'refused a message edge=main because="max_messages_per_minute of a user" .*user=ann@b\.example$',
        'who it was')


def leavers(t):
    """Clients that go away in all states of an exchange: a look-up, a hash, a delay are nobody's then."""
    master = t.master(limited(KEYS))
    noise = random.Random(1)
    for i in range(60):
        client = client_of(t, f'198.51.100.{i}')
        what = noise.choice(('LOGIN', f'LOGIN {plain("slow", "")}', 'PLAIN', 'PLAIN =', '', 'PLAIN ' + plain('slow', 'wrong')))
        client.send(f'AUTH {what}\r\n'.encode()[:None if noise.randrange(3) else noise.randrange(1, 12)])
        if noise.randrange(2):
            guess(client, 'ann', 'right')
        if noise.randrange(2):
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        client.close()
    wait_for(lambda: counters(t)['edge_connections'] == 0, 30, 'no connection')
    clients = [client_of(t, '192.0.2.3') for _ in range(PLACES)]
    with socket.create_connection(('127.0.0.1', t.port('smtp')), 10 * SLOW) as sock:
        is_(sock.recv(3), b'421', 'all places were given back')
    clients[0].cmd(f'AUTH PLAIN {plain("ann", "right")}', 235)
    for client in clients:
        client.close()
    is_(master.stop(), 0, 'it ends well')
    ok('child ended' not in master.log.split('began to stop')[0], 'no process died')


run(guesses, by_user, leavers)
