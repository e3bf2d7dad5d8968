#!/usr/bin/python3
# 4020-queue-notify.t - what a sender is told, by what he asked for: NOTIFY, RET, ENVID, ORCPT; a delay, success, failure
# SPDX-License-Identifier: MIT
# P18
import re

from lib.fixture import TOP, is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.notified import config, send, told, wait_gone

CODES = {'ok': None, 'no': '550 5.1.1 no such user', 'no2': '550 5.1.1 no such user', 'bad': '554 5.7.1 not you'}
NEVER, SUCCESS, FAILURE, DELAY, ALL = (f' NOTIFY={which}' for which in
    ('NEVER', 'SUCCESS', 'FAILURE', 'DELAY', 'SUCCESS,FAILURE,DELAY'))


def by_name(peer, line):
    name = line[line.index('<') + 1:].split('@')[0]
    return CODES.get(name)


# recipients with parameters -> (action, those it is about), one a notification
NOTIFY = (
    (['ok@d.example'], []),
    ([('ok@d.example', FAILURE + ',DELAY')], []),
    ([('ok@d.example', SUCCESS)], [('relayed', ['ok@d.example'])]),
    (['no@d.example'], [('failed', ['no@d.example'])]),
    ([('no@d.example', FAILURE)], [('failed', ['no@d.example'])]),
    ([('no@d.example', NEVER)], []),
    ([('no@d.example', SUCCESS)], []),
    ([('no@d.example', DELAY)], []),
    ([('ok@d.example', ALL), ('no@d.example', ALL)], [('failed', ['no@d.example']), ('relayed', ['ok@d.example'])]),
    # Three that failed with two replies.
    (['no@d.example', 'bad@d.example', 'no2@d.example'],
        [('failed', ['bad@d.example']), ('failed', ['no2@d.example', 'no@d.example'])]),
    ([('no@d.example', NEVER), 'no2@d.example', 'ok@d.example'], [('failed', ['no2@d.example'])]),
)


def notify(t):
    hop = NextHop(t, {'RCPT': by_name})
    master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}', ', retry: {maximum: 3}'))
    for recipients, wanted in NOTIFY:
        ident = send(t, recipients)
        wait_gone(t, ident)
        got = told(t, master, ident)
        is_(sorted((one.action, sorted(one.recipients)) for one in got), wanted, f'{recipients}')
        is_([one for one in got if one.to != 's@b.example' or one.message['To'] != 's@b.example'], [], 'told to its sender')
    wait_for(lambda: len(re.findall(r' failed id=', master.log)) == 11, what='a line for each that failed')
    ok(True, 'each that failed has a line, told or not')


def parameters(t):
    hop = NextHop(t, {'RCPT': by_name})
    master = t.master(config(f'type: static, host: 127.0.0.1, port: {hop.port}', ', bounce_size_limit: 2K, retry: {maximum: 3}'))
    for mail, rcpt, data, check in (
            (' RET=FULL ENVID=QQ+2B314', ' ORCPT=rfc822;Old+2BName@D.example', 'Subject: x\r\n\r\nbody\r\n', full),
            (' RET=HDRS', '', 'Subject: x\r\n\r\nbody\r\n', header),
            ('', '', 'Subject: big\r\n\r\n' + 'x' * 70 * 40 + '\r\n', capped),
            (' SMTPUTF8 BODY=8BITMIME', '', 'Subject: ä\r\n\r\nbody\r\n', utf8)):
        ident = send(t, [('no@d.example', rcpt)], 'sä@b.example' if check is utf8 else 's@b.example', mail, data)
        wait_gone(t, ident)
        one, = told(t, master, ident)
        check(one, ident)
        like(one.text, rf'(?s)no@d\.example.*550 5\.1\.1 no such user.*{ident}', 'for people')
        is_((one.status[0]['Reporting-MTA'], one.status[1]['Status'], one.status[1]['Remote-MTA'],
            one.status[1]['Diagnostic-Code']), ('dns; mx.example', '5.1.1', 'dns; [127.0.0.1]',
            'smtp; 550 5.1.1 no such user'), 'for programs')
        is_((one.message['Auto-Submitted'], one.message.get_content_type()), ('auto-replied', 'multipart/report'),
            'it says that it is a report')


def full(one, _):
    is_((one.status[0]['Original-Envelope-Id'], one.status[1]['Original-Recipient']),
        ('QQ+314', 'rfc822;Old+Name@D.example'), 'ENVID and ORCPT')
    is_(one.returned, b'Subject: x\r\n\r\nbody\r\n', 'RET=FULL: the message')


def header(one, _):
    is_((one.types[2], one.returned), ('text/rfc822-headers', b'Subject: x\r\n'), 'RET=HDRS: its header')


def capped(one, _):
    is_((one.types[2], one.returned), ('text/rfc822-headers', b'Subject: big\r\n'), 'bounce_size_limit: its header alone')


def utf8(one, _):
    is_((one.to, one.types[2]), ('sä@b.example', 'message/global'), 'SMTPUTF8: in UTF-8 all the way')
    is_(one.returned, 'Subject: ä\r\n\r\nbody\r\n'.encode(), 'as it came')


def by_command(t):
    """A relay that is the last: delivered, not relayed."""
    script = t.write('deliver', '#!/bin/sh\ncat >/dev/null\ncase $1 in later*) [ -e open ] || exit 75;;\n'
        'no*) echo "5.1.1 Not here"; echo "nor there"; exit 67;; esac\n', 0o755)
    master = t.master(config(f'type: pipe, args: [{script}, "{{recipient}}"], cwd: {t.dir}',
        ', retry: {delay: 0.3, maximum: 100, notify_delay: 0.5}'))
    ident = send(t, [('ok@d.example', SUCCESS)])
    wait_gone(t, ident)
    one, = told(t, master, ident)
    is_((one.action, one.status[1]['Status'], 'Remote-MTA' in one.status[1]), ('delivered', '2.0.0', False), 'success')
    ident = send(t, ['no@d.example'])
    wait_gone(t, ident)
    one, = told(t, master, ident)
    is_(one.status[1]['Diagnostic-Code'], 'smtp; 550-5.1.1 Not here 550 5.1.1 nor there', 'a reply of two lines')

    # Late: told once, whatever the number of attempts behind it, and only who wants it.
    ident = send(t, ['later@d.example', ('later2@d.example', FAILURE), 'later3@d.example'])
    master.wait_log(rf' notified id={ident} .*action=delayed recipients=2 ')
    at = len(master.log)
    master.wait_log(rf' deferred id={ident} recipient=later@', since=at)
    master.wait_log(rf' deferred id={ident} recipient=later@', since=len(master.log))
    t.write('open', '')
    wait_gone(t, ident)
    one, = told(t, master, ident)
    is_((one.action, one.recipients), ('delayed', ['later@d.example', 'later3@d.example']), 'a delay is told once')
    like(one.text, 'no need to send it again', 'for people')
    is_(one.status[1]['Status'], '4.3.0', 'its status')


def nobody(t):
    """P18: a message without a sender causes no mail, but one to double_bounce."""
    hop = NextHop(t, {'RCPT': by_name})
    relay = f'type: static, host: 127.0.0.1, port: {hop.port}'
    master = t.master(config(relay, ', retry: {maximum: 3}'))
    ident = send(t, [('no@d.example', ALL), ('ok@d.example', ALL)], '')
    master.wait_log(rf' error .* bounce could not be delivered id={ident} recipient=no@d.example reply="550 5.1.1 no such user"$')
    wait_gone(t, ident)
    unlike(master.log, 'notification=', 'nobody is told')
    master.stop()
    # What is told to double_bounce fails too: its queue is its own bounce queue.
    text = config(relay, ', double_bounce: no@post.example, retry: {maximum: 3}').replace('bounce_queue: bounces', 'bounce_queue: q')
    master = t.master(text.replace('double_bounce: no@', 'policies: [{type: forward, mapping: '
        '{"^old@": "no2@"}}], double_bounce: old@'))
    ident = send(t, ['no@d.example'], '')
    match = master.wait_log(rf' bounced id={ident} notification=(\w+) to=old@post.example queue=q action=failed ')
    master.wait_log(rf' error .* bounce could not be delivered id={match[1]} recipient=no2@post.example ')
    wait_gone(t, match[1])
    is_(len(re.findall('notification=', master.log)), 1, 'once, though a policy gave it another address')
    ok(not [line for line in hop.said if line.startswith('MAIL FROM:<s')], 'no sender was made up')


run(notify, parameters, by_command, nobody)
