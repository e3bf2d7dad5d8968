#!/usr/bin/python3
# 3246-edge-auth-salts.t - the salts that SCRAM gives: of users that nobody knows as of those that are known
# SPDX-License-Identifier: MIT
import base64
import re

from lib.edge import config, users
from lib.fixture import is_, ok, run

KEYS = 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='
SCRAM = '{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,' + KEYS


def salt(t, name):
    """What SCRAM gives for a name: salt and iterations. It fails at the end only."""
    with t.client('smtp') as c:
        c.hello()
        first = base64.b64encode(f'n,,n={name},r=abc'.encode()).decode()
        said = base64.b64decode(c.cmd('AUTH SCRAM-SHA-256 ' + first, 334).text).decode()
        nonce, found = re.match('r=(abc.{24}),(.*)$', said).groups()
        if name == 'other':
            c.cmd(base64.b64encode(f'c=biws,r={nonce},p={"A" * 43}='.encode()).decode(), 535)
        else:
            c.cmd('*', 501, r'^5\.7\.0 ')
    return found


def unknown(t):
    """A user that nobody knows has a salt like others, always the same, in any process."""
    found = []
    for _ in range(2):
        edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users({'user': SCRAM})))
        found.append([salt(t, name) for name in ('nobody@EXAMPLE.com', 'nobody@example.com', 'other', 'user')])
        edge.stop()
    is_(found[0], found[1], 'salts stay')
    is_(len(set(found[0])), 3, 'each name has its own, in whatever letters its domain is')
    is_(found[0][3], 's=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096', "a user's is that of the keys")
    ok(all(re.match(r's=.{22}==,i=4096$', each) for each in found[0]), 'all look alike')


def alike(t):
    """Those that nobody knows have the forms of those that are known, each name one of them."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' +
        users({'user': SCRAM, 'slow': SCRAM.replace('4096', '9000')})))
    names = [f'nobody{n}' for n in range(24)]
    found = {name: salt(t, name) for name in names}
    is_({each.split(',')[1] for each in found.values()}, {'i=4096', 'i=9000'}, 'as many rounds as users have')
    is_({name: salt(t, name) for name in names}, found, 'the same for a name')
    edge.stop()


def long_salt(t):
    """A salt of any length."""
    salts = {size: base64.b64encode(bytes(size)).decode() for size in (1, 33, 96)}
    for size, text in salts.items():
        edge = t.edge(config(', auth_without_tls: yes' + users({'user': SCRAM.replace('W22ZaJ0SNY7soEsUEjb6gQ==', text)})))
        is_(salt(t, 'user'), f's={text},i=4096', f'{size} octets of a user')
        found = base64.b64decode(salt(t, 'nobody').split(',')[0][2:])
        is_((len(found), found == bytes(size)), (size, False), 'and of nobody')
        edge.stop()


def one_user(t):
    """Names that would be one user: of those that nobody knows as of known ones."""
    edge = t.edge(config(', auth_without_tls: yes' + users({'user': SCRAM}).replace('type: config,',
        'type: config, key_template: ["{address}", "{localpart}"],')))
    for name in 'user', 'nobody':
        found = {salt(t, name + domain) for domain in ('', '@a.example', '@b.example')}
        is_(len(found), 1, f'{name} of any domain')
    edge.stop()


def test(t):
    unknown(t)
    alike(t)
    long_salt(t)
    one_user(t)


run(test)
