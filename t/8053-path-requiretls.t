#!/usr/bin/python3
# 8053-path-requiretls.t - a message that asks for TLS all the way (RFC 8689), from one slimta to the next and the one behind it
# SPDX-License-Identifier: MIT
from lib.certificates import Certificates
from lib.edge import secure, stored
from lib.fixture import is_, like, run, wait_for

CONFIG = '''@process@
  edge: {instances: 1}
  worker: {instances: {first: 1, second: 0, clear: 1}}
edge:
  first: &tls {type: smtp, queue: first, listener: {port: @port:first@}, tls: {certfile: @cert@, keyfile: @key@}}
  second: {<<: *tls, queue: second, listener: {port: @port:second@}}
  clear: {<<: *tls, queue: clear, listener: {port: @port:clear@}}
  plain: {type: smtp, queue: second, listener: {port: @port:plain@}}
queue:
  first: &disk {type: disk, relay: next, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, retry: {maximum: 3},
    bounce_queue: second, policies: [{type: add_received_header}]}
  second: {<<: *disk, envelope_dir: @dir@/mail, meta_dir: @dir@/mail.meta}
  clear: {<<: *disk, relay: plain, envelope_dir: @dir@/cenv, meta_dir: @dir@/cmeta, retry: {maximum: 0}}
relay:
  next: {type: static, host: localhost, port: @port:second@, tls: {ca_certs: @ca@, cert_reqs: required}}
  plain: {type: static, host: localhost, port: @port:plain@, tls: {ca_certs: @ca@}}
'''


def test(t):
    certificates = Certificates(t)
    text = CONFIG.replace('@ca@', certificates.ca)
    for name, value in zip(('cert', 'key'), certificates.make('good')):
        text = text.replace(f'@{name}@', value)
    master = t.master(text)
    with t.client('first') as client:
        client.hello()
        client.cmd('MAIL FROM:<a@example.net> REQUIRETLS', 555, what='in clear nobody can ask for it')
    for edge in 'first', 'clear':
        with t.client(edge) as client:
            client.hello()
            secure(client, certificates.client())
            client.cmd('EHLO c.example', 250)
            client.mail('a@example.net', [f'{edge}@example.com'], 'Subject: x\r\n\r\nx\r\n', ' REQUIRETLS')
    wait_for(lambda: len(stored(t)) == 2, 30, 'the message, and the notification')
    mail = {envelope['recipients'][0]['address']: envelope for envelope in stored(t)}
    arrived, notified = mail['first@example.com'], mail['a@example.net']
    is_(arrived.get('requiretls'), True, 'the next one knows that it asks for it')
    like(arrived['client']['tls'], '^TLSv1.3 ', 'and got it in TLS')
    like(arrived['content'].decode(), r'(?s)^Received: .* with ESMTPS \(TLSv1\.3 .* with ESMTPS \(TLSv1\.3 ', 'as both say')
    like(notified['content'].decode(), r'Status: 4\.7\.5', 'where there is no TLS its sender is told')
    like(master.log, r' worker: failed .*recipient=clear@example\.com .*reply="451 4\.7\.5 TLS is required', 'and it does not go')
    is_(master.stop(), 0, 'it ends well')


run(test)
