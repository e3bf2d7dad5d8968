#!/usr/bin/python3
# 5035-relay-hostile-envelope.t - what stands in an envelope is one address, or none, to a next hop, a command and a sender
# SPDX-License-Identifier: MIT
# S6 P11 P12 P22
import email
import email.policy
import os
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.put import put
from lib.relay import script

CONFIG = '''@process@
  worker: {instances: 1}
edge: {}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes, bounce_queue: b}
  b: {type: disk, relay: s, envelope_dir: @dir@/benv, meta_dir: @dir@/bmeta, allow_volatile: yes,
    policies: [{type: add_date_header}, {type: add_message_id_header}, {type: add_received_header}]}
relay:
  r: {RELAY}
  s: {type: static, host: 127.0.0.1, port: PORT}
'''
EVIL = ['a@b.example\r\nRCPT TO:<evil@b.example>', 'a\r\n.\r\nMAIL FROM:<evil@b.example>', 'a@b.example\n',
    'a@b.example\r', '\r\n', 'a@b.example> NOTIFY=NEVER <evil@b.example', 'a@b.example>', '<a@b.example>',
    'a@b.example, evil@b.example', 'a b@c.example', 'a@b.example ', ' a@b.example', 'a@b.example\t',
    '@b.example:evil@b.example', '"a\r\nb"@c.example', '"a', 'a@b.example\x7f',
    '\x1b[2J\x1b]0;x\x07@b.example', '\x85\x9b@b.example', 'evil', 'evil@', '@', 'a@b..example', ';cmd;@x',
    'x' * 300 + '@b.example', 'a' * 2000]
CRLF = 'x\r\nEvil: yes\r\n\r\n.\r\nMAIL FROM:<evil@b.example>\r\n\x1b[2J'
DATA = b'Subject: x\r\n\r\nbody\r\n'
SAID = re.compile(r'(EHLO [\w.-]+|MAIL FROM:<((good|back)@example\.org)?>( SIZE=\d+)?( BODY=8BITMIME)?( SMTPUTF8)?|'
    r'RCPT TO:<(good@example\.net|back@example\.org)>|DATA|RSET|QUIT)')


def config(hop, relay='type: static, host: 127.0.0.1, port: PORT'):
    return CONFIG.replace('RELAY', relay).replace('PORT', str(hop.port))


def check_said(t, hop, master):
    is_({line for line in hop.said if not SAID.fullmatch(line)}, set(), 'the next hop heard no address that is none')
    ours = re.compile(rf'{t.path()}/slimta.conf:|20\d\d-\S+Z (debug|info|warn|error) slimta-')
    is_({line[:100] for line in master.log.splitlines() if not ours.match(line)}, set(), 'no line of the log is forged')
    unlike(master.log, r'[\x00-\x09\x0b-\x1f\x7f]', 'nor has it a control character')
    is_(master.log.count('in doubt'), 0, 'nothing is in doubt')


def check_bounces(hop, wanted):
    """All are reports, with what fields we make."""
    wait_for(lambda: sum('back@example.org' in m['recipients'] for m in hop.messages) >= wanted, 30, 'the notifications')
    made = [m['data'] for m in hop.messages if 'back@example.org' in m['recipients']]
    is_(len(made), wanted, 'a notification for each')
    names, defects = set(), []
    for octets in made:
        message = email.message_from_bytes(octets, policy=email.policy.SMTP)
        names |= set(message.keys())
        defects += message.defects
        defects += [part for part in [message.get_content_type()] if part != 'multipart/report']
        defects += [n for block in message.get_payload()[1].get_payload() for n in block.keys() if n == 'Evil']
    is_(names, {'Date', 'Message-ID', 'Received', 'From', 'To', 'Subject', 'Auto-Submitted', 'MIME-Version', 'Content-Type',
        'Content-Transfer-Encoding'}, 'with our fields alone')
    is_(defects, [], 'and in good form')
    is_([octets for octets in made if re.search(rb'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]', octets)], [], 'without control characters')
    return made


def recipients(t):
    hop = NextHop(t)
    for address in EVIL:
        put(t, DATA, sender='back@example.org', recipients=[{'address': address}, {'address': 'good@example.net'}])
    master = t.master(config(hop))
    texts = check_bounces(hop, len(EVIL))
    is_(len([m for m in hop.messages if m['recipients'] == ['good@example.net']]), len(EVIL), 'the others got theirs')
    is_([text for text in texts if b'553 5.1.3 Recipient address cannot be sent' not in text], [], 'the sender is told')
    check_said(t, hop, master)


def senders(t):
    hop = NextHop(t)
    idents = [put(t, DATA, sender=address, recipients=[{'address': 'good@example.net'}]) for address in EVIL]
    master = t.master(config(hop))
    for ident in idents:
        master.wait_log(rf' failed id={ident} .*reply="553 5\.1\.7 Sender address cannot be sent"')
    wait_for(lambda: not [name for name in os.listdir(t.path('benv')) if name.endswith('.env')], 20, 'no notification')
    is_(hop.messages, [], 'nothing is sent, and nobody else is told')
    check_said(t, hop, master)


def members(t):
    """All else that is text, where the sender is told of it; and where an operator looks at it."""
    hop = NextHop(t, {'RCPT': lambda peer, line: '550 5.1.1 no' if 'good@' in line else None})
    text = config(hop)
    evil = {'sender': 'back@example.org', 'envid': CRLF, 'receiver': CRLF, 'ret': 'HDRS',
        'client': dict.fromkeys(('ip', 'host', 'name', 'protocol', 'auth'), CRLF), 'other\x1b[2J': CRLF,
        'recipients': [{'address': 'good@example.net', 'orcpt': orcpt} for orcpt in (CRLF, f'rfc822;{CRLF}', f'{CRLF};x', ';')]}
    changes = {}, {'ret': 'FULL'}, {'smtputf8': True, 'envid': '\xe4' + CRLF}
    idents = [put(t, DATA, **{**evil, **change}) for change in changes]
    os.makedirs(t.path('meta'))
    t.config(text)
    for what in ('show', idents[0]), ('list',), ('list', '--json'), ('--json', 'show', idents[2]):
        unlike(t.queuectl('-q', 'q', *what), r'[\x00-\x09\x0b-\x1f\x7f-\x9f]', f'{what[0]} shows no control character')
    master = t.master(text)
    made = check_bounces(hop, len(idents))
    like(b''.join(made), r'^Original-Envelope-Id: x  Evil: yes', 'what it was is told as one line')
    check_said(t, hop, master)


def commands(t):
    hop = NextHop(t)
    save = script(t, 'save', 'for a; do printf "%s" "$a" | wc -lc; done >>"args"; cat >/dev/null')
    args = ', '.join(f'"{{{name}}}"' for name in ('sender', 'recipient', 'client_ehlo', 'client_host', 'client_protocol'))
    controls = [address for address in EVIL if re.search(r'[\x00-\x1f\x7f]', address)]
    idents = [put(t, DATA, sender='back@example.org', recipients=[{'address': address}]) for address in controls]
    idents += [put(t, DATA, sender='back@example.org', client={'name': CRLF}, recipients=[{'address': 'good@example.net'}])]
    plain = [put(t, DATA, sender='back@example.org', recipients=[{'address': address}])
        for address in EVIL if address not in controls]
    master = t.master(config(hop, f'type: pipe, args: [{save}, --, {args}]'))
    for ident in idents:
        master.wait_log(rf' failed id={ident} .*reply="554 5\.3\.0 The value of {{(recipient|client_ehlo)}} cannot be passed')
    for ident in plain:
        master.wait_log(rf' delivered id={ident} ')
    is_({line.split()[0] for line in t.read('args').decode().splitlines()}, {'0'}, 'no argument has a line end')
    is_(len(t.read('args').decode().splitlines()), 6 * len(plain), 'each is one argument')
    check_bounces(hop, len(idents))
    check_said(t, hop, master)


run(recipients, senders, members, commands)
