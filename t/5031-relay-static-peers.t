#!/usr/bin/python3
# 5031-relay-static-peers.t - Postfix's smtp-sink as next hop: what it takes is as it was sent, and how it refuses
# SPDX-License-Identifier: MIT
# `make peers`, which is part of `make check`, unpacks it under t/.peers.
import os
import re
import subprocess

from lib.fixture import TOP, Failure, is_, like, ok, run, wait_for
from lib.relay import rested

PEERS = os.path.join(TOP, 't/.peers')
SINK = os.path.join(PEERS, 'usr/sbin/smtp-sink')
EIGHT_BIT = b'Subject: x\r\n\r\n\xc3\xa4\r\n'
EVENTS = {'2': 'delivered', '4': 'deferred', '5': 'failed'}
TAKEN, LOST = '250 .*', '451 4.4.2 Connection lost: .*'


class Sink:
    def __init__(self, t, *options):
        self.port = t.port('sink')
        libraries = [folder for folder, _, names in os.walk(PEERS) if any('.so' in name for name in names)]
        user = ['-u', 'nobody'] if os.geteuid() == 0 else []
        os.chmod(t.folder('sunk'), 0o777)
        with open(t.path('sink.log'), 'ab') as log:
            self.process = subprocess.Popen([SINK, *user, *options, f'127.0.0.1:{self.port}', '100'], stdout=log, stderr=log,
                env=dict(t.env, LD_LIBRARY_PATH=':'.join(libraries)), cwd=t.path('sunk'))
        wait_for(self._listens, what='smtp-sink to listen')

    def _listens(self):
        if self.process.poll() is not None:
            raise Failure('smtp-sink ended')
        with open('/proc/net/tcp', encoding='ascii') as sockets:
            return re.search(rf'0100007F:{self.port:04X} \S+ 0A ', sockets.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


def start(t):
    return t.master(f'''@process@
  edge: {{instances: 1}}
  worker: {{instances: 1}}
edge:
  main: {{type: smtp, queue: q, listener: {{port: @port:smtp@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes,
    retry: {{delay: 3000, maximum: 9}}}}
relay:
  r: {{type: static, host: 127.0.0.1, port: @port:sink@, command_timeout: 20, concurrent_connections: 2, idle_timeout: 0.2}}
''')


def send(t, *recipients, data):
    """From the null sender: nobody is told of failures."""
    with t.client('smtp') as client:
        client.hello()
        return re.search(r'\b[0-9a-z]{26}\b', client.mail('', recipients, data).text)[0]


def takes(t):
    master = start(t)
    data = b'Subject: x\r\nX-Odd:  spaces  \r\n\r\n.\r\n..\r\n' + b'x' * 900 + b'\r\n'
    with Sink(t, '-d', '%M.'):
        idents = [send(t, 'a@example.net', 'b@example.net', data=data) for _ in range(20)]
        for ident in idents:
            master.wait_log(rf' delivered id={ident} recipient=b@example.net ', timeout=30)
        sunk = [open(t.path('sunk', name), 'rb').read() for name in os.listdir(t.path('sunk'))]
    is_(len(sunk), 20, 'smtp-sink took 20 messages')
    ok(all(mail.endswith(data.replace(b'\r\n', b'\n') + b'\n') for mail in sunk), 'as they were')
    ok(all(len(re.findall(rb'(?m)^X-Rcpt-Args: <[ab]@example.net>$', mail)) == 2 for mail in sunk), 'with their recipients')


def attempt(t, master, data):
    """What both recipients of a message are told, once the host is not left alone any more; and its id."""
    while True:
        ident = send(t, 'a@example.net', 'b@example.net', data=data)
        lines = [master.wait_log(rf' worker: (\w+) id={ident} recipient={name}@.* reply="([^"]*)" attempts=1 ', timeout=20)
            for name in 'ab']
        if rested(lines[0][2]):
            return ident, lines


def refuses(t):
    master = start(t)
    plain = b'Subject: x\r\n\r\n.x\r\n'
    for options, data, reply in (
            *(([option], plain, TAKEN) for option in ('-e', '-p', '-P', '-E', '-8')),
            (['-T', '1024'], plain + b'x' * 70 * 1000, TAKEN), (['-p', '-W', 'rcpt:1'], plain, TAKEN),
            (['-w', '1'], plain, TAKEN),
            (['-8'], EIGHT_BIT, '554 5.6.3 Conversion not allowed: .*'), (['-e'], EIGHT_BIT, '554 5.6.3 .*'),
            (['-f', 'ehlo'], plain, TAKEN), (['-f', 'ehlo,helo'], plain, '5.*'), (['-r', 'ehlo'], plain, '4.*'),
            *((['-f', command], plain, '5.*') for command in ('connect', 'mail', 'rcpt', 'data', '.')),
            *((['-r', command], plain, '4.*') for command in ('connect', 'mail', 'rcpt', 'data', '.')),
            *((['-q', command], plain, LOST) for command in ('connect', 'ehlo', 'mail', 'rcpt', 'data', '.')),
            *((['-Q', command], plain, '421 .*') for command in ('connect', 'ehlo', 'mail', 'rcpt', 'data', '.')),
            (['-q', 'rset,quit'], plain, TAKEN), (['-f', 'rset,quit'], plain, TAKEN)):
        with Sink(t, *options):
            idents, lines = zip(*(attempt(t, master, data) for _ in range(2)))
            lines = lines[0] + lines[1]
        got = {(line[1], line[2]) for line in lines}
        is_([(event, said) for event, said in got if not re.fullmatch(reply, said) or event != EVENTS[said[0]]], [],
            ' '.join(options))
        doubts = [ident for ident in idents if f' in doubt id={ident} ' in master.log]
        is_(doubts, list(idents) if options == ['-q', '.'] else [], 'in doubt where the end was sent and not answered')
    like(master.log, 'could not use a next hop .*reply="5', 'refused connections are logged')


run(takes, refuses)
