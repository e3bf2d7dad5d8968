#!/usr/bin/python3
# 4069-queue-redis-options.t - each key of a redis queue is taken, and where its messages stand follows from them
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, ok, run
from lib.redis import Redis

CONFIG = '''
@process@
  edge: {instances: 1}
  worker: {instances: 0}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main:
    type: redis
    OPTIONS
'''
TAKEN = (
    'host: 192.0.2.1\n    port: 6380\n    username: mail\n    password: secret\n    db: 7',
    'socket: @dir@/nowhere\n    socket_timeout: 3\n    durability: unchecked\n    lease: 20m\n    wait_replicas: 2',
    'sentinels: [192.0.2.1, "192.0.2.2:26380"]\n    master_name: mail\n    prefix: "mail:"',
)
REFUSED = (
    ('wait_replicas: 1000', 'queue.main.wait_replicas: '),
    ('lease: 0.5', 'queue.main.lease: '),
    ('durability: none', 'queue.main.durability: .*unchecked'),
    ('prefix: "' + 201 * 'x' + '"', 'queue.main.prefix: expected at most 200'),
    ('socket: /x\n    host: localhost', 'queue.main.socket: given together with host'),
    ('socket: /x\n    port: 1', 'queue.main.socket: given together with port'),
    ('sentinels: [192.0.2.1]', 'queue.main.sentinels: expected master_name'),
    ('username: mail', 'queue.main.username: expected password'),
)


STEP = '''
queue:
  main: {type: redis, relay: slow, lease: LEASE}
relay:
  slow: {type: static, host: 127.0.0.1, data_timeout: 100}
'''


def options(lines):
    return CONFIG.replace('OPTIONS', lines)


def checked(t):
    for lines in TAKEN:
        done = t.run('slimta-master', '-c', t.config(options(lines)), '--check', '--allow-root')
        ok(done.returncode == 0, f'taken: {lines.split()[0]} ... ({done.stderr.decode()})')
    for lines, said in REFUSED:
        done = t.run('slimta-master', '-c', t.config(options(lines)), '--check', '--allow-root')
        is_(done.returncode, 1, f'refused: {lines[:40]}')
        like(done.stderr.decode(), said, 'and said where and why')


def leases(t):
    """A lease outlives the longest silence of its relay."""
    for lease, said in (('130', 'queue.main.lease: expected more than 130 seconds'), ('131', None)):
        done = t.run('slimta-master', '-c', t.config(STEP.replace('LEASE', lease)), '--check', '--allow-root')
        is_(done.returncode, 1 if said else 0, f'lease: {lease}')
        like(done.stderr.decode(), said or '', 'and said why')


def apart(t):
    """Two queues in one place would deliver each other's messages."""
    for more, same in (('', True), (', prefix: "slimta:", host: localhost', True), (', prefix: "b:"', False), (', db: 1', False),
            (', port: 6380', False)):
        text = f'queue:\n  a: {{type: redis, relay: r}}\n  b: {{type: redis, relay: r{more}}}\nrelay: {{r: {{type: blackhole}}}}\n'
        done = t.run('slimta-master', '-c', t.config(text), '--check', '--allow-root')
        is_(done.returncode, 1 if same else 0, f'beside a queue with all defaults: {more or "another"}')
        like(done.stderr.decode(), 'queue.b: the queue "a" keeps its messages in the same redis' if same else '', 'and said why')


def placed(t):
    redis = Redis(t, aof='always')
    for name, lines, db, key in (
            ('port', f'host: 127.0.0.1\n    port: {redis.port}', 0, 'slimta:index'),
            ('socket', f'socket: {redis.socket}\n    db: 3\n    prefix: "q{{mail}}:"', 3, 'q{mail}:index')):
        edge = t.edge(options(lines))
        with t.client('smtp') as client:
            client.hello()
            client.mail('a@example.org', ['b@example.net'], 'Subject: x\r\n\r\n')
        with redis.client() as asked:
            asked('SELECT', db)
            is_(asked('ZCARD', key), 1, f'{name}: it stands under its prefix, in its database')
        is_(edge.stop(), 0, 'the edge ends well')


run(checked, leases, apart, placed)
