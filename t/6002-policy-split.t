#!/usr/bin/python3
# 6002-policy-split.t - a message for several becomes several messages, and recipients become others
# SPDX-License-Identifier: MIT
import json
import re

from lib.edge import config, stored
from lib.fixture import is_, like, ok, run
from lib.relay import config as relay_config, script

MESSAGE = 'Subject: x\r\n\r\nbody\r\n'
FORWARD = '''{type: forward, mapping: {'^info@': 'a+\\g<0>', '^(.+)@old\\.example$': '\\1@new.example', '!': '@',
    '^(a+)+x@': ''}}'''


def send(t, recipients, parameters=''):
    """The id that the client is told."""
    with t.client('smtp') as client:
        client.hello()
        reply = client.mail('s@example.org', recipients, MESSAGE, parameters)
    return re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]


def recipients_of(t):
    return [[recipient['address'] for recipient in envelope['recipients']] for envelope in stored(t)]


def copies(t):
    edge = t.edge(config(queue=', policies: [{type: recipient_domain_split}, {type: add_received_header}]'))
    first = send(t, ['a@x.example', 'b@y.example', 'c@X.Example', 'postmaster'])
    found = stored(t)
    is_(sorted(recipients_of(t)), [['a@x.example', 'c@X.Example'], ['b@y.example'], ['postmaster']],
        'one for each domain, and one for the recipient without')
    is_({envelope['origin'] for envelope in found}, {first}, 'their origin is the id that the client was told')
    is_(len({envelope['id'] for envelope in found} | {first}), 4, 'each has an id of its own')
    for envelope in found:
        content = envelope['content'].decode()
        ok(content.endswith(MESSAGE), 'what came is in each')
        like(content, rf'id {envelope["id"]}(;|\r\n\tfor <)', 'with a trace field of its own')
        is_('for <' in content, len(envelope['recipients']) == 1, 'that names a recipient where there is one')
        like(edge.log, rf' policy: split id={envelope["id"]} origin={first} recipients={len(envelope["recipients"])}$',
            'and a line in the log')
    listed = [json.loads(line) for line in t.queuectl('list', '--json').splitlines()]
    is_({entry['origin'] for entry in listed}, {first}, 'slimta-queuectl knows their origin')
    same = send(t, ['a@x.example', 'c@x.EXAMPLE'])
    is_([envelope.get('origin') for envelope in stored(t) if envelope['id'] == same], [None], 'one domain: no copy')


def large(t):
    t.folder('spool')
    t.edge(config(', max_recipients: 100', '    spool_dir: @dir@/spool\n    spool_threshold: 4K\n',
        ', policies: [{type: recipient_split}]'))
    message = MESSAGE + ('x' * 76 + '\r\n') * 2000
    with t.client('smtp') as client:
        client.hello()
        client.mail('s@example.org', [f'r{number}@example.net' for number in range(100)], message)
    found = stored(t)
    is_(len(found), 100, 'a spooled message for a hundred')
    is_({envelope['content'] for envelope in found}, {message.encode()}, 'each has all of it')


def forwards(t):
    edge = t.edge(config(queue=f', policies: [{FORWARD}]'))
    ident = send(t, ['info@old.example', 'b@old.example', 'c@OLD.example', 'd!@x.example', '"!"@x.example'])
    is_(recipients_of(t), [['a+info@old.example', 'b@new.example', 'c@OLD.example', 'd!@x.example', '"@"@x.example']],
        'the first pattern that is found decides; what makes no address changes nothing, but within quotes it is one')
    like(edge.log, rf' policy: forwarded id={ident} recipient=b@old\.example to=b@new\.example$', 'the log has what was')
    like(edge.log, rf' policy: did not forward id={ident} recipient=d!@x\.example to=d@@x\.example '
        r'reason="that is no address"$', 'and what was not')
    with t.client('smtp') as client:
        client.hello()
        client.cmd('MAIL FROM:<s@example.org>', 250)
        client.cmd(f'RCPT TO:<{"a" * 50}@x.example>', 250)
        client.cmd('DATA', 354)
        client.send(MESSAGE + '.\r\n')
        client.expect(451, r'^4\.3\.0 ', 'a pattern that explodes: 451')
        client.mail('s@example.org', ['b@old.example'], MESSAGE)
    is_(len(stored(t)), 2, 'and the edge goes on')


def delivered(t):
    keeps = script(t, 'keeps', 'cat >/dev/null; echo "$1" >>"got.$2"')
    master = t.master(relay_config(f'type: pipe, args: [{keeps}, "{{recipient}}", "{{message_id}}"]').replace(
        'retry:', "policies: [{type: recipient_split}, {type: forward, mapping: {'^b': d}}],\n    retry:"))
    first = send(t, ['a@x.example', 'b@x.example', 'c@y.example'])
    for recipient in ('a@x.example', 'd@x.example', 'c@y.example'):
        found = master.wait_log(rf' delivered id=(?!{first})\S+ recipient={recipient} ')
        ok(found, f'{recipient} has its copy')


run(copies, large, forwards, delivered)
