#!/usr/bin/python3
# 5083-relay-told-tls.t - log, attempts, notifications and what is shown name host, address, TLS version and reply
# SPDX-License-Identifier: MIT
import json
import re

from lib.certificates import Certificates
from lib.fixture import is_, like, run, unlike
from lib.next_hop import NextHop
from lib.notified import config, send, told, wait_gone

PLANNED = {'later': '450 4.2.1 later', 'no': '550 5.1.1 no such user'}


def over(t, hop, tls):
    hop.at['RCPT'] = lambda _, line: PLANNED.get(re.search('<([a-z]*)', line)[1])
    master = t.master(config(f'type: static, host: localhost, port: {hop.port}, ipv4_only: yes{tls}',
        ', retry: {delay: 300, maximum: 9}'))
    ident = send(t, ['ok@d.example', 'later@d.example', 'no@d.example'])
    lines = [master.wait_log(rf' {event} id={ident} recipient={name}@.*')[0] for event, name in
        (('delivered', 'ok'), ('deferred', 'later'), ('failed', 'no'))]
    notice, = told(t, master, ident)
    shown, listed = t.queuectl('show', ident), json.loads(t.queuectl('--json', 'show', ident))
    t.queuectl('remove', ident)
    wait_gone(t, ident)
    master.stop()
    return lines, notice, shown, listed


def in_tls(t):
    hop = NextHop(t, tls=Certificates(t).server('good'))
    lines, notice, shown, listed = over(t, hop, ', tls: {}')
    for line, reply in zip(lines, ('250 2.6.0 taken', PLANNED['later'], PLANNED['no'])):
        like(line, rf' host=localhost\[127\.0\.0\.1\] tls=TLSv1\.3 reply="{re.escape(reply)}" ', 'the log')
    like(notice.text, r'550 5\.1\.1 no such user\r?\n\r?\nThe host was localhost \(127\.0\.0\.1\), over TLSv1\.3\.', 'a notification')
    is_(notice.status[1]['Remote-MTA'], 'dns; localhost (127.0.0.1)', 'for programs')
    like(shown, r'(?m)^attempt +\S+ localhost\[127\.0\.0\.1\] TLSv1\.3 450 4\.2\.1 later$', 'an attempt')
    like(shown, r'(?m)^recipient +<?ok@d\.example>? delivered \(localhost\[127\.0\.0\.1\], TLSv1\.3\): 250 2\.6\.0 taken$', 'a recipient')
    is_([(one['host'], one['tls']) for one in listed['last']], [('localhost[127.0.0.1]', 'TLSv1.3')], 'for programs')
    is_([(one['host'], one['tls']) for one in listed['recipients']],
        [('localhost[127.0.0.1]', 'TLSv1.3'), (None, None), ('localhost[127.0.0.1]', 'TLSv1.3')], 'each recipient')


def in_clear(t):
    lines, notice, shown, listed = over(t, NextHop(t), '')
    for line in lines:
        like(line, r' host=localhost\[127\.0\.0\.1\] reply=', 'the log says nothing of TLS')
    like(notice.text, r'The host was localhost \(127\.0\.0\.1\)\.', 'nor does a notification')
    unlike(shown, 'TLS', 'nor what is shown')
    is_([one['tls'] for one in listed['last'] + listed['recipients']], [None] * 4, 'for programs')


run(in_tls, in_clear)
