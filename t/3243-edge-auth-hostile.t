#!/usr/bin/python3
# 3243-edge-auth-hostile.t - clients that vanish, cancel and go on talking while AUTH is looked up, hashed or held back, and a drain
# SPDX-License-Identifier: MIT
import random
import socket
import struct

from lib.edge import config, plain, users
from lib.fixture import is_, ok, run, unlike

# Both slow; SCRAM is offered, as all forms allow it.
KEYS = 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='
USERS = {'slow': '{SCRAM-SHA-256}60000,W22ZaJ0SNY7soEsUEjb6gQ==,' + KEYS, 'tim': '{PLAIN}tanstaaf'}
FIRST = 'biwsbj1zbG93LHI9ck9wck5HZndFYmVSV2diTkVrcU8='          # n,,n=slow,r=...
FINAL = 'Yz1iaXdzLHI9eCxwPQ=='
RIGHT = 'AUTH PLAIN ' + plain('tim', 'tanstaaf')
WRONG = 'AUTH PLAIN ' + plain('slow', 'wrong')
NOBODY = 'AUTH PLAIN ' + plain('nobody', 'wrong')
PIECES = (RIGHT, WRONG, WRONG, NOBODY, 'AUTH SCRAM-SHA-256 ' + FIRST, 'AUTH SCRAM-SHA-256', FIRST, FINAL, '*', '', '=',
    'AUTH LOGIN', 'AUTH LOGIN =', 'AUTH LOGIN dGlt', 'dGFuc3RhYWY=', 'AUTH PLAIN =', 'AUTH PLAIN ====', 'AUTH PLAIN AAA=',
    'AUTH PLAIN \0', 'AUTH PLAIN ' + 'A' * 13000, 'A' * 13000, 'EHLO c.example', 'HELO c.example', 'RSET', 'NOOP',
    'MAIL FROM:<a@b.example>', 'MAIL FROM:<> AUTH=<>', 'RCPT TO:<postmaster>', 'DATA', '.', 'STARTTLS', 'QUIT')


def vanish(client, how):
    """By RST, by FIN, or by saying nothing more."""
    if how == 'reset':
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    if how == 'half':
        client.sock.shutdown(socket.SHUT_WR)
    else:
        client.close()


def hostile(t, seed, signal):
    chance = random.Random(seed)
    edge = t.edge(config(f', auth_without_tls: yes, max_auth_failures: {chance.choice((0, 3, 1000))}, max_errors: 50'
        + users(USERS)))
    kept = []
    for _ in range(60):
        client = t.client('smtp')
        said = ['EHLO c.example'] + [chance.choice(PIECES) for _ in range(chance.randrange(1, 12))]
        try:
            client.send(''.join(line + '\r\n' for line in said).encode())
            how = chance.choice(('reset', 'close', 'half', 'stay'))
            if how != 'stay':
                vanish(client, how)
        except OSError:
            pass
        kept.append(client)
    ok(edge.running(), f'seed {seed}: it goes on')
    with t.client('smtp') as c:
        c.hello()
        c.cmd('NOOP', 250)
    edge.kill(signal)
    is_(edge.wait(90), 0, 'and ends')
    unlike(edge.log, ' BUG|bug: |tanstaaf|AHRpbQ|AG5vYm9|AHNsb3|dGFuc3|A{40}', 'no secret in the log')
    for client in kept:
        client.close()


def slips(t):
    """What nearly is AUTH, and what is said behind it, is in no log."""
    edge = t.edge(config(', auth_without_tls: yes, max_errors: 50' + users(USERS)))
    secret = plain('tim', 'tanstaaf')
    for said, word in ((f' AUTH PLAIN {secret}', 'Xtell'), (f'AUTH\vPLAIN {secret}', 'Xtell'), (f'AUTH=PLAIN {secret}', 'Xtell'),
            (secret, 'Xtell'), (f'auth plain \0{secret}', 'tanstaaf'), ('AUTH PLAIN ' + 'A' * 13000, 'tanstaaf')):
        with t.client('smtp') as c:
            c.hello()
            for line in said, secret, word:
                c.send(line.encode() + b'\r\n')
                c.expect(500)
            c.cmd('QUIT', 221)
    edge.stop()
    unlike(edge.log, secret + '|tanstaaf', 'no secret in the log')
    is_(edge.log.count('command=unknown given=Xtell'), 4, 'a word is told where nothing looked like AUTH')


def test(t):
    slips(t)
    for seed in range(3):
        hostile(t, seed, (15, 2)[seed % 2])


run(test)
