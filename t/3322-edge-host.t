#!/usr/bin/python3
# 3322-edge-host.t - the name of a client: its PTR record where that leads back, for the envelope, Received and the log
# SPDX-License-Identifier: MIT
import os

from lib.dns import NXDOMAIN, Answer, DnsServer
from lib.edge import config, stored
from lib.fixture import is_, like, run, unlike, wait_for
from lib.nsd import Nsd
from lib.proxied import connect, v1
from lib.relay import config as relay_config, script

REVERSE = '2.0.192.in-addr.arpa'
MANY = '\n'.join(f'4 IN PTR n{n}.example.' for n in range(60))
ZONES = {
    REVERSE: rf'''1 IN PTR one.example.
2 IN PTR liar.example.
3 IN PTR other.example.
3 IN PTR liar.example.
3 IN PTR three.example.
{MANY}
5 IN CNAME 5.0/25
5.0/25 IN PTR five.example.
6 IN PTR ex\032ample.example.
7 IN PTR a\010b\034.example.
8 IN PTR 192.0.2.8.
9 IN PTR alias.example.
10 IN PTR Mail.Example.
11 IN PTR .
13 IN PTR lost.broken.example.
14 IN TXT "no name"
15 IN PTR localhost.
16 IN PTR 6_x-y.example.
17 IN PTR sixteen.example.
18 IN PTR a\.b.example.
19 IN PTR nineteen.example.
19 IN PTR other.example.
19 IN PTR liar.example.
''',
    '8.b.d.0.1.0.0.2.ip6.arpa': '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR six.example.\n'
        '2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 IN PTR one.example.\n',
    '100.51.198.in-addr.arpa': None,
    'broken.example': None,
    '8': '192.0.2 IN A 192.0.2.8\n',
    'example': '''one IN A 192.0.2.1
liar IN A 192.0.2.1
other IN A 203.0.113.1
three IN A 203.0.113.2
three IN A 192.0.2.3
five IN A 192.0.2.5
alias IN CNAME target
target IN A 192.0.2.9
mail IN A 192.0.2.10
six IN AAAA 2001:db8::1
a?b? IN A 192.0.2.7
nineteen IN A 192.0.2.19
6_x-y IN A 192.0.2.16
''' + '\n'.join(f'sixteen IN A 203.0.113.{n}' for n in range(1, 60)) + '\n',
}
# The address of a client, and its name.
CLIENTS = {'192.0.2.1': 'one.example', '192.0.2.2': None, '192.0.2.3': 'three.example', '192.0.2.4': None, '192.0.2.5': 'five.example',
    '192.0.2.6': None, '192.0.2.7': None, '192.0.2.8': None, '192.0.2.9': 'alias.example', '192.0.2.10': 'mail.example',
    '192.0.2.11': None, '192.0.2.12': None, '192.0.2.13': None, '192.0.2.14': None, '192.0.2.15': None, '192.0.2.16': '6_x-y.example',
    '192.0.2.17': None, '192.0.2.18': None, '192.0.2.19': 'nineteen.example', '198.51.100.1': None, '2001:db8::1': 'six.example', '2001:db8::2': None,
    '::ffff:192.0.2.1': 'one.example'}


def edge_of(t, dns):
    process = f'    resolver: {{servers: ["{dns.address}"], timeout: 20}}\n'
    return t.edge(config(', proxy_protocol: yes', process, ', policies: [{type: add_received_header}]'))


def mail(client, sender):
    client.hello()
    client.mail(sender, ['c@d.example'], 'Subject: x\r\n\r\n')


def of(t, sender):
    return next(m for m in stored(t) if m['sender'] == sender)


def names(t):
    edge = edge_of(t, Nsd(t, ZONES))
    for number, (ip, host) in enumerate(CLIENTS.items()):
        since = len(edge.log)
        with connect(t, 'smtp', v1(ip)) as client:
            edge.wait_log(rf'debug .*edge: resolved session=\S+ client={ip.split("f:")[-1]} host={host or "unknown"}\n', 20, since)
            mail(client, f'{number}@b.example')
        message = of(t, f'{number}@b.example')
        is_(message['client'].get('host'), host, f'{ip}: the envelope has {host}')
        like(message['content'].decode(), rf'from client\.example \({host or "unknown"} \[', f'{ip}: the Received field')
        like(edge.log, rf'accepted .*sender={number}@b\.example .* client=\S+ {f"host={host}" if host else "edge="}', f'{ip}: the log')
    unlike(edge.log, r'[\x00-\x09\x0b-\x1f]', 'nothing of the names is in the log as it came')
    is_(edge.stop(), 0, 'the edge ends well')


def unasked(t):
    """Nobody is asked of clients without an address, or with one of ours."""
    dns = DnsServer(lambda name, kind: Answer(rcode=NXDOMAIN))
    edge = edge_of(t, dns)
    for number, header in enumerate((v1('127.0.0.1'), v1('127.9.9.9'), v1('::1'), b'PROXY UNKNOWN\r\n')):
        with connect(t, 'smtp', header) as client:
            mail(client, f'{number}@b.example')
        is_(of(t, f'{number}@b.example')['client'].get('host'), None, f'{header}: no name')
    is_(dns.asked, [], 'no question was asked')
    unlike(edge.log, 'resolved', 'nor was anything found')
    dns.close()


def passed_on(t):
    """What a relay's program is told of the client."""
    os.chmod(t.folder('out'), 0o777)
    tell = script(t, 'tell', f'echo "$@" >{t.dir}/out/new && mv {t.dir}/out/new {t.dir}/out/told')
    dns = Nsd(t, {REVERSE: '1 IN PTR one.example.', 'example': 'one IN A 192.0.2.1'})
    text = relay_config(f'type: pipe, args: [{tell}, "{{client_host}}", "{{client_ip}}"]')
    text = text.replace('queue: q,', 'queue: q, proxy_protocol: yes,').replace('@process@\n',
        f'@process@    resolver: {{servers: ["{dns.address}"], timeout: 20}}\n    logging: {{levels: {{edge: debug}}}}\n')
    master = t.master(text)
    with connect(t, 'smtp', v1('192.0.2.1')) as client:
        master.wait_log('resolved .*host=one.example', 20)
        mail(client, 'a@b.example')
    wait_for(lambda: os.path.exists(t.path('out/told')), 20, 'the program to be told')
    is_(t.read('out/told'), b'one.example 192.0.2.1\n', 'name and address')
    is_(master.stop(), 0, 'all ends well')


run(names, unasked, passed_on)
