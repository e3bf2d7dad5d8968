#!/usr/bin/python3
# 4068-queue-redis-tls.t - a queue on redis over TLS: mail goes in and out, or is refused where redis is not trusted
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, ok, run
from lib.redis import Redis, certificates

CONFIG = '''
@process@
  edge: {instances: 1}
  worker: {instances: 1}
edge:
  in: {type: smtp, queue: main, listener: {interface: 127.0.0.1, port: @port:smtp@}}
queue:
  main:
    type: redis
    host: HOST
    port: PORT
    durability: unchecked
    relay: out
    tls: TLS
relay:
  out: {type: pipe, args: [/bin/sh, -c, 'cat >>@dir@/delivered']}
'''
OURS = '{ca_certs: @dir@/tls/ca.crt, certfile: @dir@/tls/client.crt, keyfile: @dir@/tls/client.key'
REFUSED = (
    ('{ca_certs: @dir@/none.crt}', r'slimta.conf:\d+:\d+: queue.main.tls.ca_certs: cannot read @dir@/none.crt: No such file'),
    ('{certfile: @dir@/tls/client.crt}', 'queue.main.tls.certfile: expected the private key of certfile in '),
    ('{ciphers: none-such}', 'queue.main.tls.ciphers: expected ciphers'),
    ('{min_version: SSLv3}', r'queue.main.tls.min_version: expected one of TLSv1.2, TLSv1.3'),
    ('{cert_reqs: maybe}', 'queue.main.tls.cert_reqs: expected one of none, optional, required'),
    ('{ca_cert: x}', r'queue.main.tls.ca_cert: unknown key \(did you mean "ca_certs"\?\)'),
    ('yes', 'queue.main.tls: expected a map'),
)


def config(redis, tls, host='127.0.0.1'):
    return CONFIG.replace('HOST', host).replace('PORT', str(redis.tls_port)).replace('TLS', tls)


def through(t, redis, tls, host, what):
    t.write('delivered', '')
    master = t.master(config(redis, tls, host))
    with t.client('smtp') as client:
        client.hello()
        client.mail('a@example.org', ['b@example.net'], f'Subject: {what}\r\n\r\n')
    master.wait_log('worker: delivered', 20)
    like(t.read('delivered'), f'Subject: {what}', f'{what}: mail went through redis')
    is_(master.stop(), 0, 'and all end well')


def refused(t, redis, tls, pattern, what):
    edge = t.edge(config(redis, tls))
    with t.client('smtp') as client:
        client.hello()
        client.line('MAIL FROM:<a@example.org>')
        like(repr(client.reply()), '<451 ', f'{what}: mail is refused')
    edge.wait_log(pattern, 10)
    is_(edge.stop(), 0, 'and the edge ends well')


def test(t):
    folder = certificates(t)
    redis = Redis(t, tls=folder, tls_clients=True)
    for tls, pattern in REFUSED:
        done = t.run('slimta-master', '-c', t.config(config(redis, tls)), '--check', '--allow-root')
        is_(done.returncode, 1, f'--check refuses tls: {tls}')
        like(done.stderr.decode(), pattern.replace('@dir@', t.dir), 'and says where, and what was expected')
    through(t, redis, OURS + ', min_version: TLSv1.3}', 'localhost', 'by its name')
    through(t, redis, OURS + ', cert_reqs: none, check_hostname: no, ciphers: ECDHE+AESGCM}', '127.0.0.1', 'unseen')
    refused(t, redis, '{ca_certs: @dir@/tls/other.crt}', 'its certificate for 127.0.0.1 is not trusted: self-signed', 'another CA')
    refused(t, redis, '{ca_certs: @dir@/tls/ca.crt}', 'certificate required', 'no certificate of ours')
    ok(b'a@example.org' not in redis('KEYS', '*'), 'nothing was stored')


run(test)
