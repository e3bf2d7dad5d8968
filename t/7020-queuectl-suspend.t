#!/usr/bin/python3
# 7020-queuectl-suspend.t - destinations are suspended and resumed by name, listed, logged; what is no domain is refused
# SPDX-License-Identifier: MIT
import json
import re

from lib.fixture import is_, like, run, unlike
from lib.mail import send

CONFIG = '''@process@    logging: {output: @dir@/slimta.log}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue:
  q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, relay: r}
  other: {type: disk, envelope_dir: @dir@/env2, meta_dir: @dir@/meta2, allow_volatile: yes, relay: r}
relay: {r: {type: blackhole}}
'''
PLAIN = CONFIG.replace('logging: {output: @dir@/slimta.log}', '')


def start(t):
    edge = t.edge(PLAIN + '  \n')
    t.folder('env2')
    t.folder('meta2')
    t.config(CONFIG)
    return edge


def domains(t):
    return [(line['domain'], line['queue']) for line in map(json.loads, t.queuectl('--json', 'suspend').splitlines())]


def commands(t):
    start(t)
    is_(t.queuectl('suspend'), 'no destination is suspended\n', 'none at first')
    unlike(t.queuectl('status'), 'SUSPENDED', 'nor in status')
    is_(t.queuectl('suspend', 'Example.NET', '--reason', 'they asked'),
        'suspended example.net in queue q\nsuspended example.net in queue other\n', 'in all queues')
    is_(t.queuectl('-q', 'q', 'suspend', '--for=1h30m', '*.Example.org', 'example.com.'),
        'suspended .example.org in queue q for 1h30m\nsuspended example.com in queue q for 1h30m\n', 'in one, for a time, several')
    listed = t.queuectl('suspend')
    like(listed, r'(?m)^SUSPENDED +QUEUE +SINCE +LEFT +BY +REASON$', 'they are listed')
    like(listed, r'(?m)^\.example\.org +q +\S+Z +1h(30|29)m? +\S+ +-$', 'with what is left')
    like(listed, r'(?m)^example\.net +other +\S+Z +- +\S+ +they asked$', 'and why')
    is_(domains(t), [('.example.org', 'q'), ('example.com', 'q'), ('example.net', 'q'), ('example.net', 'other')],
        'as JSON')
    lines = [json.loads(line) for line in t.queuectl('--json', 'suspend').splitlines()]
    is_([(line['reason'], line['left_ms']) for line in lines if line['domain'] == 'example.net'], [('they asked', None)] * 2,
        'with all that is known')
    is_(0 < lines[0]['left_ms'] <= 5400000, True, 'and what is left')
    log = t.read('slimta.log').decode()
    like(log, r'queuectl: suspended a destination domain=example.net queue=other reason="they asked" user=\S+',
        'a line of the log')
    is_(len(re.findall('suspended a destination', log)), 4, 'for each')
    is_(t.queuectl('resume', 'EXAMPLE.net'), 'resumed example.net in queue q\nresumed example.net in queue other\n', 'resumed')
    is_(t.queuectl('resume', 'example.net', code=3), '', 'what is not suspended is said')
    is_(json.loads(t.queuectl('--json', 'resume', '.example.org')), {'domain': '.example.org', 'queue': 'q',
        'result': 'resumed', 'for_ms': None}, 'as JSON')
    like(t.read('slimta.log').decode(), r'queuectl: resumed a destination domain=.example.org queue=q user=', 'logged too')
    is_(domains(t), [('example.com', 'q')], 'the others stay')


def above(t):
    start(t)
    t.queuectl('-q', 'q', 'suspend', '.example.net', 'mail.example.net')
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'resume', 'mail.example.net')
    is_(done.returncode, 0, 'one is resumed')
    like(done.stderr.decode(), r'mail\.example\.net: all of \.example\.net is suspended too in queue q',
        'though its mail waits yet')
    t.queuectl('-q', 'q', 'suspend', '.example.net', '--for', '1d')
    is_(domains(t), [('.example.net', 'q')], 'said again: one, as it was said last')
    like(t.queuectl('suspend'), r'(?m)^\.example\.net +q +\S+ +(1d|23h59m)', 'with its new end')


def names(t):
    start(t)
    for good, name in (('[192.0.2.1]', '[192.0.2.1]'), ('[IPv6:2001:DB8::1]', '[ipv6:2001:db8::1]'), ('localhost', 'localhost'),
            ('XN--Mnchen-3YA.example', 'xn--mnchen-3ya.example'), ('münchen.example', 'münchen.example'),
            ('_x.example', '_x.example'), ('.'.join(['a' * 63] * 3), '.'.join(['a' * 63] * 3))):
        is_(t.queuectl('-q', 'q', 'suspend', good), f'suspended {name} in queue q\n', good)
        is_(t.queuectl('-q', 'q', 'resume', good), f'resumed {name} in queue q\n', 'and resumed')
    for bad in ('', '.', '..', '*', '*.', 'a..b', '-a.example', 'a@example.net', '<a.example>', 'a b', 'a\nb', 'a.example\x1b[2J',
            '[192.0.2.1', '[192.0.2.300]', '.[192.0.2.1]', '*.*.example', 'a*.example', '*example.net', 'a' * 64 + '.example',
            '.'.join(['a' * 60] * 5), 'suspend:example.net', '../example.net', b'\xff.example', 'a,b', '{}', '"a"'):
        done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), 'suspend', 'example.net', bad)
        is_(done.returncode, 2, f'{bad!r} is refused')
        is_(re.findall(rb'[^ -~\n]', done.stderr), [], 'and printed harmlessly')
    is_(domains(t), [], 'nothing of it is suspended')
    is_(t.queuectl('-q', 'q', 'suspend', '.'.join(['a' * 62] * 4), code=1), '', 'one that is too long for a setting fails')
    for args in (('suspend', 'a.example', '--for', '0'), ('suspend', 'a.example', '--for', '1x'),
            ('suspend', '--for', '1h'), ('suspend', '--reason', 'x'), ('suspend', 'a.example', '--reason', ''),
            ('resume',), ('resume', 'a.example', '--for', '1h'),
            ('suspend', 'a.example', '--limit', '3'), ('list', '--for', '1h')):
        t.queuectl(*args, code=2)
    is_(domains(t), [], 'nor of these')


def hostile_sudo(t):
    start(t)
    done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), '-q', 'q', 'suspend', 'a.example',
        env={'SUDO_USER': '\x1b[2Jann\n' + 'x' * 9000})
    is_(done.returncode, 0, 'whatever the environment says')
    unlike(t.queuectl('suspend'), '\x1b|x{201}', 'is listed harmlessly')


def show(t):
    start(t)
    ident, = send(t, 'smtp', ('s@example.org', ['a@mail.example.net', 'b@example.com'], b'x\r\n'))
    t.queuectl('suspend', '.example.net', '--for', '2h')
    pattern = r'destination \.example\.net is suspended by \S+ since \S+Z for another (2h|1h59m)'
    like(t.queuectl('show', ident), rf'(?m)^waits +{pattern}$', 'show says for which suspension a message waits')
    like(json.loads(t.queuectl('--json', 'show', ident))['waits'], rf'^{pattern}$', 'as JSON')
    is_(t.queuectl('retry', '--domain', 'mail.example.net', '--yes').splitlines()[-1][:8], 'made due', 'it can be made due')
    t.queuectl('hold', ident)
    like(t.queuectl('show', ident), r'(?m)^waits +it is held: operator', 'a hold comes first')


run(commands, above, names, hostile_sudo, show)
