#!/usr/bin/python3
# 8052-path-submission-haproxy.t - haproxy in front, PROXY v1 and v2, TLS passed on: the client is the real one (S13)
# SPDX-License-Identifier: MIT
import socket

from lib import submission
from lib.certificates import Certificates
from lib.clients import Home
from lib.edge import stored
from lib.fixture import is_, like, run, unlike
from lib.haproxy import HAProxy
from lib.peer import Client
from lib.submission import curl, msmtp, smtplib, swaks, together

NAME = 'mail.example.org'
CONFIG = '''@process@
  edge: {instances: 1}
  worker: {instances: 0}
edge:
  main: &one
    {type: smtp, queue: q, listener: {port: @port:main@}, tls: {certfile: @good@, keyfile: @key@}, proxy_protocol: yes,
    proxy_from: [127.0.0.0/8], max_connections_per_ip: 1}
  immediately: {<<: *one, listener: {port: @port:immediately@}, tls_immediately: yes}
  checked: {<<: *one, listener: {port: @port:checked@}}
  elsewhere: {<<: *one, listener: {port: @port:elsewhere@}, proxy_from: [192.0.2.0/24, "2001:db8::/32"]}
queue:
  q: {type: disk, envelope_dir: @dir@/mail, meta_dir: @dir@/meta, allow_volatile: yes}
'''


def start(t):
    certificates = Certificates(t, f'DNS:{NAME},IP:127.0.0.1')
    text = CONFIG
    for name, value in zip(('good', 'key'), certificates.make('good')):
        text = text.replace(f'@{name}@', value)
    master = t.master(text)
    v2 = 'send-proxy-v2 proxy-v2-options unique-id,crc32c,authority'
    proxy = HAProxy(t, v1=(t.port('main'), 'send-proxy'), v2=(t.port('main'), v2),
        now1=(t.port('immediately'), 'send-proxy'), now2=(t.port('immediately'), v2),
        elsewhere=(t.port('elsewhere'), 'send-proxy-v2'), checked=(t.port('checked'), 'send-proxy-v2 check inter 100ms'))
    return certificates, master, proxy


def connect(t, port):
    """From an address that nobody else has: health checks count as haproxy's own."""
    return Client(socket.create_connection(('127.0.0.1', port), t.timeout, ('127.0.0.29', 0)), t.timeout)


def in_front(t):
    certificates, master, proxy = start(t)
    home, jobs = Home(t), []
    for number, (client, name, tls) in enumerate(((smtplib, 'v1', 'none'), (curl, 'v2', 'none'), (msmtp, 'v1', 'starttls'),
            (swaks, 'v2', 'starttls'), (curl, 'now1', 'immediately'), (smtplib, 'now2', 'immediately')), 21):
        way = submission.Way(proxy.ports[name], tls, certificates.ca, NAME, source=f'127.0.0.{number}')
        jobs.append((client, way, [f'{name}-{tls}@example.net']))
    for (client, way, (recipient,)), done in zip(jobs, together(home, jobs)):
        is_(done.returncode, 0, f'{client.__name__} sends to {recipient}: {done.stdout.decode(errors="replace")[-300:]}')
        envelope = next((one for one in stored(t) if one['recipients'][0]['address'] == recipient), {'client': {'ip': None}})
        is_(envelope['client']['ip'], way.source, 'from its own address, says the queue')
        like(master.log, rf' connected .* client={way.source} ', 'and the log')
    with connect(t, proxy.ports['v1']) as one:
        one.hello()
        with connect(t, proxy.ports['v2']) as two:
            two.expect(421, '', 'limits are those of the client, not of the proxy')
    with t.client(proxy.ports['elsewhere']) as client:
        is_(client.reply().code, 0, 'a proxy that may not be one is not heard')
    with t.client('main') as client:
        client.line('EHLO client.example')
        is_(client.reply().code, 0, 'nor is a client that comes without')
    checked(t, master, proxy)


def checked(t, master, proxy):
    """haproxy asks ten times a second whether the edge is there, and hangs up (PROXY LOCAL): nothing to warn about."""
    master.wait_log(r' connected .* client=127.0.0.1 .*edge=checked', 30)
    with connect(t, proxy.ports['checked']) as client:
        client.hello()
    unlike(master.log, r' (warn|error) .*edge=checked', 'health checks are no fault')
    is_(master.stop(), 0, 'it ends')


run(in_front)
