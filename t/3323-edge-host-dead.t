#!/usr/bin/python3
# 3323-edge-host-dead.t - clients whose name nobody tells, or not at once: mail waits a second at most, however many they are
# SPDX-License-Identifier: MIT
import re
import time
from datetime import datetime

from lib.dns import A, Answer, DnsServer
from lib.edge import config, stored
from lib.fixture import SLOW, is_, ok, run, wait_for
from lib.proxied import connect, v1

PTR = 12


def edge_of(t, dns):
    process = f'    resolver: {{servers: ["{dns.address}"], timeout: 20}}\n'
    return t.edge(config(', proxy_protocol: yes', process))


def mail(client, sender):
    client.hello()
    client.mail(sender, ['c@d.example'], 'Subject: x\r\n\r\n')


def of(t, sender):
    return next(m for m in stored(t) if m['sender'] == sender)


def moment(log, pattern):
    found = re.search(r'^(\S+)Z .*' + pattern, log, re.M)
    return datetime.fromisoformat(found[1]).timestamp()


def in_time(t):
    """MAIL waits for an answer that comes within a second of the connection."""
    def answer(name, kind):
        if kind == PTR:
            wait_for(lambda: 'command="MAIL FROM' in edge.log, 20, 'MAIL to be read')
            return Answer((PTR, b'\4late\7example\0'))
        return Answer((A, '192.0.2.1')) if kind == A else Answer()

    dns = DnsServer(answer)
    edge = edge_of(t, dns)
    with connect(t, 'smtp', v1('192.0.2.1')) as client:
        mail(client, 'a@b.example')
        edge.wait_log('resolved .*host=late.example', 20)
        waited = moment(edge.log, 'resolved') - moment(edge.log, 'connected')
        host = of(t, 'a@b.example')['client'].get('host')
        ok(host == 'late.example' or (host is None and waited > 0.9), f'an answer after {waited:.3f} s: {host}')
        client.mail('b@b.example', ['c@d.example'], 'x\r\n')
        is_(of(t, 'b@b.example')['client'].get('host'), 'late.example', 'in any case the next message has it')
    is_(dns.errors, [], 'the server could follow')
    dns.close()


def dead(t):
    """A name server that does not answer keeps nobody for more than a second, however many they are."""
    dns = DnsServer(lambda name, kind: None)
    edge = edge_of(t, dns)
    began = time.monotonic()
    with connect(t, 'smtp', v1('192.0.2.1')) as client:
        mail(client, 'a@b.example')
        spent = time.monotonic() - began
        ok(0.9 < spent < 3 * SLOW, f'MAIL waits for a second ({spent:.2f} s)')
        is_(of(t, 'a@b.example')['client'].get('host'), None, 'and goes without')
        clients = [connect(t, 'smtp', v1(f'198.51.{n // 250}.{n % 250 + 1}')) for n in range(300)]
        is_({c.reply().code for c in clients}, {220}, '300 clients are greeted')
        spent = time.monotonic() - began
        for c in clients:
            c.send('EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n')
        is_({(c.reply().code, c.reply().code) for c in clients}, {(250, 250)}, 'and may all send mail')
        clients[0].close()
        edge.wait_log('resolved .*client=192.0.2.1 host=unknown', 20)
        wait_for(lambda: edge.log.count(' resolved ') >= 199, 20, 'all look-ups to end')
        asked = {name for name, kind in dns.asked if kind == PTR and name.endswith('.in-addr.arpa')}
        ok(150 < len(asked) and (len(asked) <= 200 or spent > 4), f'200 at a time are asked for ({len(asked)}; {spent:.1f} s)')
        others = [connect(t, 'smtp', v1(f'203.0.113.{n}')) for n in (1, 2, 3)]
        wait_for(lambda: all((f'{n}.113.0.203.in-addr.arpa', PTR) in dns.asked for n in (1, 2, 3)), 20,
            'others to be asked for then')
        for c in others:
            c.close()
    for c in clients:
        c.close()
    is_(edge.stop(), 0, 'the edge ends well')
    dns.close()


def gone(t):
    """Clients that do not wait for their names: nothing is asked for them any more, and others have their turn."""
    dns = DnsServer(lambda name, kind: None)
    edge = edge_of(t, dns)
    clients = [connect(t, 'smtp', v1(f'198.51.{n // 250}.{n % 250 + 1}')) for n in range(250)]
    is_({c.reply().code for c in clients}, {220}, '250 clients are greeted')
    for c in clients:
        c.close()
    wait_for(lambda: edge.log.count(' disconnected ') == 250, 20, 'all to be gone')
    with connect(t, 'smtp', v1('203.0.113.1')) as client:
        client.reply()
        wait_for(lambda: ('1.113.0.203.in-addr.arpa', PTR) in dns.asked, 20, 'another one to be asked for')
    is_(edge.stop(), 0, 'the edge ends well')
    dns.close()


run(in_time, dead, gone)
