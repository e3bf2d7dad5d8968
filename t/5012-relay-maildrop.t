#!/usr/bin/python3
# 5012-relay-maildrop.t - maildrop itself: one run a message with an outcome for each recipient, or one for each of them
# SPDX-License-Identifier: MIT
# S2 S3
import os
import re

from lib.fixture import IS_ROOT, is_, like, run, wait_for
from lib.maildrop import Maildrop
from lib.relay import config, queued, send

THREE = ('a@example.net', 'b@example.net', 'c@example.net')


def start(t, more, delay=300):
    maildrop = Maildrop(t)
    user = ', user: nobody' if IS_ROOT else ''
    return maildrop, t.master(config(f'type: maildrop, path: {maildrop.path}, {more.format(filter=maildrop.filter)}{user}',
        delay=delay, bounces=True))


def wait_each(master, ident, what, reply, recipients=THREE):
    for recipient in recipients:
        master.wait_log(rf' {what} id={ident} recipient={re.escape(recipient)} .*reply="{reply}" attempts=1', 30)


def one_run(t):
    maildrop, master = start(t, 'extra_args: ["{filter}", one, "two words"]')
    ident = send(t, *THREE)
    wait_each(master, ident, 'delivered', '250 2.0.0 Delivered')
    ident = send(t, *THREE, data='Subject: refuse\r\n\r\n')
    wait_each(master, ident, 'failed', '550 5.7.1 Not wanted here')
    wait_for(lambda: queued(t) == [], what='both to be gone')
    full = send(t, *THREE, data='Subject: full\r\n\r\n')
    wait_each(master, full, 'deferred', '450 4.3.0 maildir over quota.')
    nowhere = send(t, *THREE, data='Subject: nowhere\r\n\r\n')
    wait_each(master, nowhere, 'deferred', '450 4.3.0 Unable to create a dot-lock at .*')
    is_(queued(t), sorted([full, nowhere]), 'what could not be delivered stays')
    like(maildrop.boxed(), r'\AFrom s@example.org .*\nSubject: x\n\nbody\n\n\Z', 'three recipients, and the message is there once')
    is_(re.findall('^from=.*', maildrop.log(), re.M), ['from=<s@example.org> arguments=<one><two words>'] * 4, 'one run a message')


def senders(t):
    maildrop, master = start(t, 'extra_args: ["{filter}"]')
    hostile = ['-d@example.org', '"-V 9 x"@example.org', '"a \\"b\\" $(id)`id`"@example.org']
    with t.client('smtp') as client:
        client.hello()
        for sender in ['', *hostile]:
            client.mail(sender, ['a@example.net'], 'Subject: x\r\n\r\nbody\r\n')
    wait_for(lambda: len(re.findall(' delivered id=', master.log)) == 4, 30, 'four messages')
    is_(sorted(re.findall(r'^From (.*) \w+ \w+ +\d+ [\d:]+ \d+$', maildrop.boxed(), re.M)), sorted(['MAILER-DAEMON', *hostile]),
        'each sender is the sender; to maildrop the null one is MAILER-DAEMON')


def one_each(t):
    maildrop, master = start(t, 'per_recipient: yes')
    ident = send(t, 'user1@example.net', 'full@example.net', 'user2@example.net', '-V9@example.net', 'missing@example.net')
    wait_each(master, ident, 'delivered', '250 2.0.0 Delivered', ('user1@example.net', 'user2@example.net', '-V9@example.net'))
    wait_each(master, ident, 'failed', '550 5.1.1 .*Invalid user specified.', ('missing@example.net',))
    wait_each(master, ident, 'deferred', '450 4.3.0 maildir over quota.', ('full@example.net',))
    for user in ('user1', 'user2', '-V9'):
        is_(maildrop.mail(f'{user}@example.net'), [b'Subject: x\r\n\r\nbody\r\n'], f'{user} has it once')
    is_(queued(t), [ident], 'it stays for who is over quota')


def without_filter(t):
    maildrop, master = start(t, 'extra_args: ["{filter}"]', delay=1)
    os.rename(maildrop.filter, maildrop.filter + '.away')
    ident = send(t, *THREE)
    wait_each(master, ident, 'deferred', '450 4.3.0 Unable to open filter file, errno=2.')
    os.rename(maildrop.filter + '.away', maildrop.filter)
    for recipient in THREE:
        master.wait_log(rf' delivered id={ident} recipient={recipient} ', 30)
    is_(len(re.findall('^from=', maildrop.log(), re.M)), 1, 'delivered when the filter is there')


run(one_run, senders, one_each, without_filter)
