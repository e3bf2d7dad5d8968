#!/usr/bin/python3
# 4071-queue-redis-checks.t - what a redis has to promise, what its keys in slimta.conf may say, and how each fault is told
# SPDX-License-Identifier: MIT
import re

from lib.fixture import is_, like, run, unlike, wait_for
from lib.redis import Redis
from lib.redis_path import attempt, config, log, mail, static, wait_delivered

# Key, members of the section, what is said.
WRONG = (
    ('port', 'host: 127.0.0.1, port: 0', ''),
    ('port', 'port: 65536', ''),
    ('db', 'db: -1', ''),
    ('db', 'db: x', ''),
    ('socket_timeout', 'socket_timeout: 0', ''),
    ('wait_replicas', 'wait_replicas: -1', ''),
    ('durability', 'durability: none', 'unchecked'),
    ('sentinels', 'sentinels: [127.0.0.1:26379]', 'master_name'),
    ('sentinels', 'sentinels: ["127.0.0.1:x"], master_name: m', ''),
    ('master_name', 'master_name: mymaster', 'sentinels'),
    ('socket', 'socket: /x, host: there', 'host'),
    ('username', 'username: u', 'password'),
    ('passwort', 'passwort: x', '"password"'),
    ('tls.ca_certs', 'tls: {ca_certs: /nowhere/ca.pem}', ''),
    ('tls.nosuch', 'tls: {nosuch: 1}', ''),
    ('tls.cert_reqs', 'tls: {cert_reqs: maybe}', ''),
    ('prefix', 'prefix: [x]', ''),
    ('envelope_dir', 'envelope_dir: /x', ''),
    ('lease', 'host: 127.0.0.1, lease: 30', ''),
)


def evicting(t):
    """A redis that throws away what it likes is no place for mail: for good, so nothing starts."""
    for policy in ('allkeys-lru', 'volatile-ttl'):
        server = Redis(t, policy, conf=f'maxmemory-policy {policy}')
        conf = t.config(config(server.keys()))
        for name, *args in (('slimta-edge',), ('slimta-worker', '--queue', 'q')):
            done = t.run(name, '-c', conf, '--allow-root', *args)
            is_(done.returncode, 1, f'{policy}: {name} does not start')
            like(done.stderr, rf'(?m) error {name}.*maxmemory-policy.*{policy}.*noeviction', 'and says what to set')
        is_(t.run('slimta-queuectl', '-c', conf, 'list').returncode, 1, 'nor can it be listed')


def changed(t):
    """What it was at the start it may be no more when it is connected again."""
    server = Redis(t, aof='always')
    t.master(config(server.keys(), workers=1))
    wait_delivered(t, [mail(t)])
    server.stop()
    with open(server.conf, 'a', encoding='utf-8') as conf:
        conf.write('maxmemory-policy allkeys-lru\n')
    server.start()
    wait_for(lambda: re.search('(warn|error) .*allkeys-lru', log(t)), what='a word on it')
    is_(attempt(t)[1].code, 451, 'mail is refused')
    server('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    wait_for(lambda: attempt(t)[1].code == 250, 15, 'mail to be accepted')


def durable(t):
    """What can be lost is said, by who starts, and what to set; not where the operator knows."""
    for aof, said in ((None, r'appendonly'), ('everysec', r'appendfsync'), ('no', r'appendfsync'), ('always', None)):
        name = f'aof_{aof}'
        server = Redis(t, name, aof=aof)
        for more, expected in (('', said), (', durability: unchecked', None)):
            edge = t.edge(config(server.keys() + more))
            wait_for(lambda: attempt(t)[1].code == 250, what='mail to be accepted')
            warnings = [line for line in edge.log.splitlines() if re.search(r' (warn|error) slimta-edge', line)]
            if expected:
                is_(len(warnings), 1, f'{name}: one warning')
                like(warnings[0], rf' warn .*\b{expected}\b', 'names the setting')
                like(warnings[0], r'lost', 'and what can happen')
            else:
                is_(warnings, [], f'{name}{more}: none')
            is_(edge.stop(), 0, 'it ends')


def keys(t):
    """Errors name the key and what it may be."""
    good = 'host: 127.0.0.1'
    for key, section, said in WRONG:
        done = t.run('slimta-master', '-c', t.config(config(section, static(25))), '--check', '--allow-root')
        is_(done.returncode, 1, f'refused: {section}')
        like(done.stderr.decode(), rf':\d+:\d+: .*queue\.q\.{key}\b.*{said}', 'by the line of the key')
    for section in (good, f'{good}, port: 6380, db: 2, socket_timeout: 3, prefix: "other:", wait_replicas: 1',
            f'{good}, username: u, password: p',
            'socket: /run/redis/redis.sock', 'sentinels: ["a.example:26379", b.example], master_name: m', f'{good}, lease: 92',
            f'{good}, tls: {{cert_reqs: required}}', f'{good}, durability: unchecked'):
        done = t.run('slimta-master', '-c', t.config(config(section, 'type: static, host: 127.0.0.1')), '--check', '--allow-root')
        is_(done.returncode, 0, f'good: {section}')
        unlike(done.stderr, ': error: ', 'without an error')


def replicas(t):
    """A 250 waits for so many of them; what they do not have is taken back."""
    server = Redis(t, aof='always')
    text = config(server.keys() + ', wait_replicas: 1, socket_timeout: 2')
    edge = t.edge(text)
    for _ in range(3):
        verb, reply = attempt(t)
        is_(reply.code, 451, f'without one: 451 (at {verb})')
    is_(server('ZCARD', 'slimta:index'), 0, 'and what was written is taken back')
    is_(len(re.findall('(warn|error) .*replicas', edge.log)), 1, 'which is said once')
    t.worker(text, 'q')
    Redis(t, 'replica', aof='always', replica_of=server).wait_linked()
    ident = wait_for(lambda: (got := attempt(t)[1]).code == 250 and got.text.split()[-1], 15, 'mail to be accepted')
    wait_delivered(t, [ident])
    is_(len(set(re.findall(r' delivered id=(\S+)', log(t)))), 1, 'and nothing that was refused is delivered')


run(evicting, changed, durable, keys, replicas, timeout=180)
