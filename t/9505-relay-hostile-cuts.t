#!/usr/bin/python3
# 9505-relay-hostile-cuts.t - hosts that close after each octet of what they say: no message is lost, none returned
# SPDX-License-Identifier: MIT
# P12 P23
# Each of many hosts does so on its first connection, one octet later than the one before; then it is good.
import re
import threading

from lib.certificates import Certificates
from lib.dns import A, MX, Answer, DnsServer
from lib.fixture import SLOW, is_, ok, run, wait_for
from lib.mx import Mx
from lib.next_hop import NextHop
from lib.relay import queued

EXTENSIONS = ('PIPELINING', '8BITMIME', 'SIZE 1000000')
SAID = {'DATA': 175, 'BDAT': 180, 'TLS': 300}       # octets of a good session, and some more


def address(number):
    return f'127.0.{1 + number // 250}.{1 + number % 250}'


class Cut(NextHop):
    """Says N octets on the first connection to address N."""

    def _serve(self, peer):
        here = peer.sock.getsockname()[0]
        with self.lock:
            left = [None if self.connections_of(here) else self.numbers[here]]
        send = peer.send

        def some(data):
            data = data.encode() if isinstance(data, str) else data
            if left[0] is not None and len(data) > left[0]:
                send(data[:left[0]])
                raise ConnectionAbortedError
            if left[0] is not None:
                left[0] -= len(data)
            send(data)
        peer.send = some
        super()._serve(peer)

    numbers = {}


def answer(name, kind):
    number = re.fullmatch(r'(mx)?(\d+)\.example', name)
    if number and kind == MX and not number[1]:
        return Answer((MX, (10, f'mx{name}')))
    return Answer((A, address(int(number[2])))) if number and kind == A and number[1] else Answer()


def cut(t, how, extensions, more='', **hop):
    count = SAID[how]
    Cut.numbers = {address(number): number for number in range(count)}
    dns = DnsServer(answer)
    try:
        mx = Mx(t, hops=(), dns=dns)
        server = Cut(t, extensions=extensions, address=(None, mx.port), addresses=list(Cut.numbers), **hop)
        mx.start(f', idle_timeout: 0.5{more}', delay=1)
        with t.client('smtp') as client:
            client.reply()
            client.send('EHLO client.example\r\n')
            client.reply()
            for number in range(count):
                for line in 'MAIL FROM:<s@example.org>', f'RCPT TO:<a@{number}.example>', f'RCPT TO:<b@{number}.example>', 'DATA', \
                        'Subject: x\r\n\r\nbody\r\n.':
                    client.line(line)
                    client.reply()
        wait_for(lambda: not queued(t), 60, 'an empty queue')
        wanted = {f'{name}@{number}.example' for number in range(count) for name in 'ab'}
        wait_for(lambda: wanted == set(re.findall(r' worker: delivered id=\S+ recipient=(\S+) ', mx.master.log)), 20,
            'the log to say that all is delivered')
        log = mx.master.log
        is_(re.findall(r' worker: failed .*', log)[:3], [], f'{how}: nothing is returned')
        taken = {}
        for mail in server.messages:
            taken.setdefault(mail['address'], []).append(mail)
        is_([here for here in Cut.numbers if here not in taken], [], 'and every host has it')
        doubts = set(re.findall(r' in doubt id=\S+ recipient=a@(\d+)\.', log))
        is_([here for here, mails in taken.items() if len(mails) != 1 and str(Cut.numbers[here]) not in doubts], [],
            'once, but where its reply was cut')
        ok(0 < len(doubts) < 40, f'{len(doubts)} were in doubt')
        is_({mail['data'] for mail in server.messages}, {b'Subject: x\r\n\r\nbody\r\n'}, 'whole')
        is_(server.wrong, [], 'nothing was said that may not be')
        mx.master.stop()
    finally:
        dns.close()


def by_data(t):
    cut(t, 'DATA', EXTENSIONS)


def by_chunks(t):
    cut(t, 'BDAT', (*EXTENSIONS, 'CHUNKING'))


def within_tls(t):
    cut(t, 'TLS', (*EXTENSIONS, 'CHUNKING'), ', tls: {}, require_tls: true', tls=Certificates(t).server('self-signed'))


threading.stack_size(256 * 1024)
run(by_data, by_chunks, within_tls, timeout=150 * (2 if SLOW > 1 else 1))
