#!/usr/bin/python3
# 8030-path-redis.t - mail through a queue on redis, by each way of reaching it: at once, when due, after all was restarted
# SPDX-License-Identifier: MIT
import hashlib
import statistics

from lib.fixture import SLOW, is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.operator import left_in_queues
from lib.redis import Redis, certificates
from lib.redis_path import config, delivered, mail, static, wait_delivered

LARGE = b'Subject: large\r\n\r\n' + b'0123456789abcdef' * 50 + b'\r\n'
LARGE += b''.join(b'%064d\r\n' % n for n in range(20000))       # beyond spool_threshold, and what comes along with a claim
BODIES = {'small': b'Subject:odd  \r\n\tfolded\r\n\r\n.\r\n..\r\nno end', 'empty': b'', 'eight': bytes(range(128, 256)) + b'\r\n',
    'large': LARGE}


def through(t, text):
    """Every body, to two recipients each, over an edge and two workers."""
    hop = NextHop(t, extensions=('PIPELINING', '8BITMIME', 'SIZE 10000000'))
    master = t.master(text.replace('HOP', str(hop.port)))
    idents = [mail(t, f'{name}@example.net', f'{name}@example.com', data=body) for name, body in BODIES.items()]
    wait_delivered(t, idents)
    is_(sorted((one['recipients'][0].split('@')[0], hashlib.md5(one['data']).hexdigest()) for one in hop.messages),
        sorted((name, hashlib.md5(body if body.endswith(b'\r\n') or not body else body + b'\r\n').hexdigest())
            for name, body in BODIES.items()), 'each message once, octet for octet')
    wait_for(lambda: left_in_queues(t) == {'q': 0}, what='an empty queue')
    is_(master.stop(), 0, 'it ends well')
    unlike(master.log, ' (warn|error) (?!.*notify)', 'with nothing to say')


def ways(t):
    """TCP, Unix socket, TLS, a password, a user of the ACL."""
    tls = certificates(t)
    server = Redis(t, aof='always', password='secret', acl=['mail on >her ~{m}* &* +@all -@dangerous +info +config|get'], tls=tls)
    for name, section in (
            ('TCP and a password', f'host: 127.0.0.1, port: {server.port}, password: secret'),
            ('Unix socket, another database', f'socket: {server.socket}, password: secret, db: 3'),
            ('TLS', f'host: localhost, port: {server.tls_port}, password: secret, '
                f'tls: {{cert_reqs: required, ca_certs: {tls}/ca.crt}}'),
            ('a user of the ACL, a prefix with a tag', f'host: 127.0.0.1, port: {server.port}, username: mail, password: her, '
                'prefix: "{m}"')):
        ok(True, name)
        t.ports.pop('smtp', None)
        through(t, config(section, static('HOP'), workers=2))


def at_once(t):
    server = Redis(t, aof='always')
    master = t.master(config(server.keys(), workers=2))
    ages = []
    for _ in range(20):
        ident = mail(t)
        ages.append(int(master.wait_log(rf' delivered id={ident} .* age_ms=(\d+)')[1]))
    ok(statistics.median(ages) < 100 * SLOW, f'new mail is delivered at once: {sorted(ages)} ms')


def when_due(t):
    """Sooner than any sweep, which comes each 45 seconds."""
    server = Redis(t, aof='always')
    hop = NextHop(t, {'RCPT': ['450 4.2.0 later', '450 4.2.0 later']})
    master = t.master(config(server.keys(), static(hop.port), retry='delay: 2, maximum: 9', workers=2))
    first, second = mail(t), mail(t)
    for ident in first, second:
        age = int(master.wait_log(rf' delivered id={ident} .* age_ms=(\d+)')[1])
        ok(2000 <= age < 2000 + 2000 * SLOW, f'what was deferred goes when it is due: {age} ms')
    like(master.log, rf' deferred id={first} ', 'it was deferred')


def old_and_new(t):
    """Neither waits behind the other."""
    server = Redis(t, aof='always')
    hop = NextHop(t, {'RCPT': lambda peer, line: None if may else '450 4.2.0 later'})
    may = []
    text = config(server.keys(), static(hop.port, ', concurrent_connections: 1'), retry='delay: 1, maximum: 99')
    edge, worker = t.edge(text), t.worker(text, 'q')
    old = [mail(t, f'old{n}@example.net') for n in range(20)]
    wait_for(lambda: all(f' deferred id={ident} ' in worker.log for ident in old), what='all to be tried')
    is_(worker.stop(), 0, 'a worker tried all')
    new = [mail(t, f'new{n}@example.net') for n in range(20)]
    wait_for(lambda: server('ZCOUNT', 'slimta:deferred', '-inf', int(server('TIME')[0]) * 1000) == 20, what='all to be due')
    may.append(True)
    worker = t.worker(text, 'q')
    wait_delivered(t, old + new)
    order = [name[:3] for _, name in delivered(t)]
    ok(5 <= order[:20].count('old') <= 15, f'old and new take turns: {"".join(name[0] for name in order)}')
    is_((worker.stop(), edge.stop()), (0, 0), 'both end well')


def restarted(t):
    server = Redis(t, aof='always')
    hop = NextHop(t, {'RCPT': lambda peer, line: '450 4.2.0 later' if '<later' in line and not may else None})
    may = []
    text = config(server.keys(), static(hop.port), retry='delay: 3600, maximum: 9')
    master = t.master(text)
    later = [mail(t, f'later{n}@example.net') for n in range(5)]
    for ident in later:
        master.wait_log(rf' deferred id={ident} ')
    is_(master.stop(), 0, 'all stop')
    edge = t.edge(text)
    new = [mail(t) for _ in range(5)]
    is_(edge.stop(), 0, 'the edge too')
    server.kill()
    server.start()
    may.append(True)
    t.master(text)
    wait_delivered(t, new)
    is_(sorted({ident for ident, _ in delivered(t)}), sorted(new), 'what was new is found, what is not due waits')
    like(t.queuectl('retry', '--all', '--yes'), r'made due 5 of 5', 'until it is asked for')
    wait_delivered(t, later)
    is_(len(delivered(t)), 10, 'each once')


run(ways, at_once, when_due, old_and_new, restarted, timeout=180)
