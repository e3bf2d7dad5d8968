#!/usr/bin/python3
# 5092-relay-peers-sink.t - Postfix's smtp-sink as the better of two hosts, refusing in all its ways: when the other is tried
# SPDX-License-Identifier: MIT
# P23 P24
# `make peers`, which is part of `make check`, unpacks it under t/.peers.
import os
import subprocess

from lib.clients import Home, peer
from lib.fixture import Failure, is_, ok, run, wait_for
from lib.mx import Mx
from lib.relay import queued, send

PLAIN = b'Subject: x\r\n\r\n.x\r\n'
EIGHT_BIT = b'Subject: x\r\n\r\n\xc3\xa4\r\n'
OTHER = ('delivered', 'h3.example[127.0.0.3]', '250 2.6.0 taken')
# What the worse host never gets: its better one has spoken for good, or for now, of this very message.
TAKEN, REFUSED, LATER = ('delivered', '250 '), ('failed', '5'), ('deferred', '4')
STEPS = ('mail', 'rcpt', 'data', '.')


class Sink:
    def __init__(self, home, port, *options):
        user = ['-u', 'nobody'] if os.geteuid() == 0 else []
        how = {key: value for key, value in home.how().items() if key in ('env', 'cwd')}
        with open(home.t.path('sink.log'), 'ab') as log:
            self.process = subprocess.Popen([peer('usr/sbin/smtp-sink'), *user, *options, f'127.0.0.2:{port}', '100'],
                stdout=log, stderr=log, **how)
        wait_for(lambda: self._listens(port), what='smtp-sink to listen')

    def _listens(self, port):
        if self.process.poll() is not None:
            raise Failure('smtp-sink ended')
        with open('/proc/net/tcp', encoding='ascii') as sockets:
            return f'0200007F:{port:04X} 00000000:0000 0A ' in sockets.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def cases():
    for option in '-e', '-p', '-P', '-E', '-8':
        yield [option], PLAIN, TAKEN
    for options in (['-8'], ['-e']):
        yield options, EIGHT_BIT, OTHER
    yield ['-f', 'ehlo'], PLAIN, TAKEN
    yield ['-f', 'rset,quit'], PLAIN, TAKEN
    for how in '-f', '-r', '-q', '-Q':
        yield [how, 'connect'], PLAIN, OTHER
    for how, step in ('-r', 'ehlo'), ('-q', 'ehlo'), ('-Q', 'ehlo'):
        yield [how, step], PLAIN, OTHER
    for step in STEPS:
        yield ['-f', step], PLAIN, REFUSED
        yield ['-Q', step], PLAIN, OTHER
        yield ['-q', step], PLAIN, OTHER if step != '.' else LATER


def two_hosts(t):
    home, wrong = Home(t), []
    mx = Mx(t, 'one IN MX 10 h2\none IN MX 20 h3\n', hops=(3,))
    wanted_there = 0
    for options, data, wanted in cases():
        master = mx.start(', idle_timeout: 0')
        with Sink(home, mx.port, *options):
            ident = send(t, 'a@one.example', data=data, parameters=' BODY=8BITMIME')
            got = mx.outcome(ident, 'a@one.example')
            good = got == OTHER if wanted is OTHER else \
                (got[0], got[1]) == (wanted[0], 'h2.example[127.0.0.2]') and got[2].startswith(wanted[1])
            wanted_there += wanted is OTHER
            if not ok(good and len(mx.hops[3].messages) == wanted_there, f'{" ".join(options)}: {wanted[0]} by '
                    f'{"the other" if wanted is OTHER else "it"}'):
                wrong.append((options, got, len(mx.hops[3].messages), wanted_there))
                wanted_there = len(mx.hops[3].messages)
            is_(f' in doubt id={ident} ' in master.log, options == ['-q', '.'], 'in doubt where its end was sent and not answered')
            master.stop()
        for ident in queued(t):
            t.run('rm', '-f', t.path('env', f'{ident}.env'), t.path('meta', f'{ident}.meta'))
    is_(wrong, [], 'all of it')


run(two_hosts, timeout=200)
