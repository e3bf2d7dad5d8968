#!/usr/bin/python3
# 3247-edge-auth-another.t - who acts for another: by authzid: any, as far as the password is the user's own
# SPDX-License-Identifier: MIT
# P13
from lib.edge import config, plain
from lib.fixture import is_, like, run, unlike

# Key templates; whether they can be with `same` and with `any`.
TEMPLATES = (('"{address}"', True), ('"{localpart}"', True), ('"{domain}"', True), ('"{authzid} {address}"', True),
    ('"x{authzid}"', False), ('["{address}", "{authzid}"]', False), ('["{authzid}", "{address}"]', False))


def rules(template, entries='{}'):
    return f', auth_without_tls: yes, rules: {{lookup_credentials: {{type: config, key_template: {template}, map: {entries}}}}}'


def checked(t):
    """Else bob's password would be good for any name that he gives."""
    for template, good in TEMPLATES:
        for authzid in 'same', 'any':
            done = t.run('slimta-edge', '-c', t.config(config(f', authzid: {authzid}' + rules(template))), '--check', '--allow-root')
            wrong = authzid == 'any' and not good
            is_(done.returncode, int(wrong), f'{template}, {authzid}')
            said = done.stderr.decode()
            (like if wrong else unlike)(said, r'lookup_credentials: with `authzid: any` .*: add \{address\}', 'which says why')


def by_both(t):
    """Who may act for whom, as the map says."""
    edge = t.edge(config(', authzid: any' + rules('["{authzid} {address}", "{address}"]',
        '{ann: {password: "{PLAIN}pencil"}, bob ann: {password: "{PLAIN}pen"}}')))
    with t.client('smtp') as c:
        c.hello()
        c.cmd('AUTH PLAIN ' + plain('bob', 'pencil', 'ann'), 535)
        c.cmd('AUTH PLAIN ' + plain('ann', 'pen', 'bob'), 235)
    like(edge.log, r' authenticated .* user=ann authzid=bob ', 'who it was')
    edge.stop()


def test(t):
    checked(t)
    by_both(t)


run(test)
