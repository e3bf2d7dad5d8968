#!/usr/bin/python3
# 5021-relay-static-options.t - each option of a static relay, set to something else than its default, does what it says
# SPDX-License-Identifier: MIT
import socket
import time

from lib.dns import A, NXDOMAIN, Answer, DnsServer
from lib.fixture import IS_ROOT, is_, like, ok, run, unlike, wait_for
from lib.next_hop import SILENCE, NextHop
from lib.relay import config, queued, send

ROOT = ['--allow-root'] if IS_ROOT else []


def host_port_ehlo_as(t):
    hop = NextHop(t)
    master = t.master(config(f'type: static, host: localhost, port: {hop.port}, ehlo_as: "{{hostname}}.out.example"').replace(
        '@process@', '@process@    hostname: relay7'))
    ident = send(t, 'a@example.net', 'b@example.net')
    for recipient in 'ab':
        master.wait_log(rf' delivered id={ident} recipient={recipient}@example.net relay=r host=.?localhost\[127.0.0.1\].? '
            r'reply="250 2.6.0 taken" attempts=1 ')
    wait_for(lambda: not queued(t), what='an empty queue')
    is_(hop.said[0], 'EHLO relay7.out.example', 'what EHLO says')
    is_([(m['sender'], m['recipients'], m['data']) for m in hop.messages],
        [('s@example.org', ['a@example.net', 'b@example.net'], b'Subject: x\r\n\r\nbody\r\n')], 'one message for both')
    is_(hop.said[1][:35], 'MAIL FROM:<s@example.org> SIZE=' + '20', 'with its size')


def resolver(t):
    dns = DnsServer(lambda name, kind: Answer((A, '127.0.0.1')) if (name, kind) == ('mx.example.net', A) else
        Answer() if name == 'mx.example.net' else Answer(rcode=NXDOMAIN))
    hop = NextHop(t)
    process = f'@process@    resolver: {{servers: ["{dns.address}"], dnssec: permissive, timeout: 5}}'
    master = t.master(config(f'type: static, host: mx.example.net, port: {hop.port}').replace('@process@', process))
    ident = send(t, 'a@example.net')
    master.wait_log(rf' delivered id={ident} .*host="?mx.example.net\[127.0.0.1\]')
    ok(('mx.example.net', A) in dns.asked, 'the server of process.resolver was asked')
    master.stop()
    master = t.master(config('type: static, host: absent.example.net', delay=300).replace('@process@', process))
    ident = send(t, 'a@example.net')
    master.wait_log(rf' deferred id={ident} .*reply="451 4.4.3 No usable DNS records found: absent.example.net"')
    dns.close()


def timeouts(t):
    blackhole = socket.socket()
    blackhole.bind(('127.0.0.1', 0))
    blackhole.listen(0)
    fill = [socket.socket() for _ in range(3)]
    for one in fill:
        one.setblocking(False)
        one.connect_ex(blackhole.getsockname())
    for option, at, reply in (
            (f'port: {blackhole.getsockname()[1]}, connect_timeout: 0.3', None, '451 4.3.0 Connection failed: Connection timed out'),
            ('command_timeout: 0.3', 'connect', '421 4.4.2 Connection timed out'),
            ('command_timeout: 0.3', 'MAIL', '421 4.4.2 Connection timed out'),
            ('data_timeout: 0.3', '.', '421 4.4.2 Connection timed out')):
        hop = NextHop(t, {at: SILENCE})
        port = '' if 'port:' in option else f'port: {hop.port}, '
        master = t.master(config(f'type: static, host: 127.0.0.1, {port}{option}', delay=300))
        start = time.monotonic()
        ident = send(t, 'a@example.net')
        match = master.wait_log(rf' deferred id={ident} .*reply="([^"]*)"')
        is_(match[1], reply, f'{option} at {at}')
        ok(time.monotonic() - start < 25, 'after that time')
        (like if at == '.' else unlike)(master.log, rf' in doubt id={ident} ', 'in doubt behind the dot alone')
        master.stop()
    for one in (*fill, blackhole):
        one.close()


def idle_timeout(t):
    hop = NextHop(t)
    master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}, idle_timeout: 0.2'))
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    wait_for(lambda: hop.said[-1] == 'QUIT' and hop.now == 0, what='QUIT')
    master.wait_log(f' delivered id={send(t, "a@example.net")} ')
    is_(hop.connections, 2, 'a connection that was idle too long is not used again')


def concurrent_connections(t):
    hop = NextHop(t, {'.': lambda peer, line: wait_for(lambda: hop.most == 2, what='two') and time.sleep(0.1)})
    master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}, concurrent_connections: 2').replace(
        'worker: {instances: 1', 'worker: {instances: 3'))
    idents = [send(t, 'a@example.net') for _ in range(12)]
    for ident in idents:
        master.wait_log(rf' delivered id={ident} ', timeout=20)
    is_(hop.most, 2, 'two connections of three workers, and no more')
    is_(len(hop.messages), 12, 'each message once')


def checks(t):
    for relay, where, error in (
            ('port: 25', 'host', ''), ('host: ""', 'host', ''), ('host: "a b"', 'host', 'name or the address'),
            ('host: h, port: 0', 'port', ''), ('host: h, port: 65536', 'port', ''),
            ('host: h, ehlo_as: "{nothing}"', 'ehlo_as', ''), ('host: h, ehlo_as: "a b"', 'ehlo_as', 'a host name for EHLO'),
            ('host: h, concurrent_connections: 0', 'concurrent_connections', ''), ('host: h, data_timeout: 0', 'data_timeout', '')):
        bad = t.run('slimta-worker', *ROOT, '-c', t.config(config(f'type: static, {relay}')), '--check')
        is_(bad.returncode, 1, f'{relay} is an error')
        like(bad.stderr, rf'relay\.r(\.{where})?: .*{error}', 'at its place')
    good = t.run('slimta-worker', *ROOT, '-c', t.config(config('type: static, host: "[IPv6:::1]"')), '--check')
    is_(good.returncode, 0, 'a literal is a host')


run(host_port_ehlo_as, resolver, timeouts, idle_timeout, concurrent_connections, checks)
