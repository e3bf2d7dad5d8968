#!/usr/bin/python3
# 5080-relay-dsn.t - who tells a sender of success: a next hop that offers DSN, or else we; also across deaths
# SPDX-License-Identifier: MIT
import json
import os
import signal

from lib.fixture import is_, like, ok, run
from lib.next_hop import NextHop
from lib.notified import config, send, told, wait_gone

DSN = ('PIPELINING', '8BITMIME', 'DSN')
NONE = ('PIPELINING', '8BITMIME')
SUCCESS = ' NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2BName@D.example'
RETRY = ', retry: {delay: 0.3, maximum: 100}'


def start(t, hop, retry=RETRY):
    return t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}', retry))


def passed_on(t):
    hop = NextHop(t, {'RCPT': lambda _, line: '550 5.1.1 no such user' if '<no@' in line else None}, DSN)
    master = start(t, hop)
    ident = send(t, [('ok@d.example', SUCCESS), ('no@d.example', SUCCESS)], parameters=' RET=HDRS ENVID=QQ+2B314')
    wait_gone(t, ident)
    is_((hop.messages[0]['parameters'], hop.messages[0]['recipient_parameters']),
        (['RET=HDRS', 'ENVID=QQ+2B314'], [['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;Old+2BName@D.example']]), 'as it came')
    is_([(one.action, one.recipients) for one in told(t, master, ident)], [('failed', ['no@d.example'])],
        'we tell of what it refused alone')
    # What we tell is passed on as we want it: of a notification nobody is told.
    hop.messages.clear()
    ident = send(t, ['ok@d.example'], '')
    wait_gone(t, ident)
    is_(hop.messages[0]['recipient_parameters'], [[]], 'nothing is made up')


def not_offered(t):
    hop = NextHop(t, extensions=NONE)
    master = start(t, hop)
    ident = send(t, [('ok@d.example', SUCCESS)], parameters=' RET=FULL ENVID=QQ314')
    wait_gone(t, ident)
    is_((hop.messages[0]['parameters'], hop.messages[0]['recipient_parameters']), ([], [[]]), 'nothing is passed on')
    one, = told(t, master, ident)
    is_((one.action, one.recipients, one.status[1]['Original-Recipient'], one.status[0]['Original-Envelope-Id']),
        ('relayed', ['ok@d.example'], 'rfc822;Old+Name@D.example', 'QQ314'), 'we tell that it went on')
    like(one.text, r'The host was \[127\.0\.0\.1\]\.', 'and where')


def shown(t, ident):
    return [one['state'] for one in json.loads(t.queuectl('--json', 'show', ident))['recipients']]


def next_owner(t):
    """Passed on, and recorded: who has the message next, with a next hop that offers nothing, owes nothing for it."""
    late = []
    hop = NextHop(t, {'RCPT': lambda _, line: '450 4.2.1 later' if '<late' in line and not late else None}, DSN)
    master = start(t, hop)
    ident = send(t, [('ok@d.example', SUCCESS), ('late@d.example', SUCCESS)])
    master.wait_log(rf' delivered id={ident} recipient=ok@')
    hop.extensions = NONE
    os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
    master.wait_log(rf' deferred id={ident} recipient=late@', since=len(master.log))
    is_(shown(t, ident), ['confirmed', 'waits'], 'who was told is recorded')
    late.append(True)
    wait_gone(t, ident)
    is_([(one.action, one.recipients) for one in told(t, master, ident)], [('relayed', ['late@d.example'])],
        'of the one that it did not pass on')
    is_([to for message in hop.messages for to in message['recipients']], ['ok@d.example', 'late@d.example'], 'each once')


def kills(hop, master, then=None):
    """The worker dies as its first message is taken, before it hears of that; what the hop offers from `then` on."""
    def kill(*_):
        hop.at.clear()
        os.kill(master.children('slimta-worker')[0], signal.SIGKILL)
        hop.extensions = then or hop.extensions
    return kill


def killed_before_its_record(t):
    """Taken, and unknown to the queue: delivered again, and told once for what the last of them took."""
    for then, wanted in ((NONE, [('relayed', ['ok@d.example'])]), (DSN, [])):
        hop = NextHop(t, extensions=DSN)
        master = start(t, hop)
        hop.at['.'] = kills(hop, master, then)
        ident = send(t, [('ok@d.example', SUCCESS)])
        wait_gone(t, ident)
        is_(len(hop.messages), 2, 'it went twice')
        like(master.log, rf' in doubt id={ident} ', 'which is said')
        is_([(one.action, one.recipients) for one in told(t, master, ident)], wanted, 'and is told once, by who has it to tell')
        master.stop()
    ok(not [name for name in os.listdir(t.path('benv')) if name.endswith('.env')], 'nothing is on its way')

run(passed_on, not_offered, next_owner, killed_before_its_record)
