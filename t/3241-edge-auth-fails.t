#!/usr/bin/python3
# 3241-edge-auth-fails.t - failures to authenticate: late, counted, without a secret; a full pool of hashes; what --check says
# SPDX-License-Identifier: MIT
import base64
import re
import time

from lib.edge import config, plain, users
from lib.fixture import is_, like, ok, run, unlike
from lib.process import cpu_ticks

HASHED = {'ann': '$6$rounds=1000$saltstring$'
    'Dst5SzMCiLiSWQN0EnEgf8DNbHOJRybf7gWFoq4HhaAWnZcpnsBwYgTSajPGyhfsjkr51qmiDafX//8bUiGTO1',
    'slow': '$pbkdf2-sha256$300000$c2FsdHNhbHRzYWx0c2FsdA$j5qMr2M/YUVlVuz6or2EZzk3.0setQ3.7ZiYknWLnww'}
CHECKS = (
    ('{ann: {}}', 'error', 'has no password'),
    ('{ann: {password: 123456}}', 'error', 'has to be in quotes'),
    ('{ann: {password: "123456"}}', 'warning', 'in plain text; a hash is safer'),
    ('{ann: {password: "{MD5}x"}}', 'error', 'no password can be: a {SCHEME} that is not known'),
    ('{ann: {password: "$6$salt$short"}}', 'error', 'no password can be: not whole'),
    ('{ann: {password: secret}}', 'warning', 'in plain text; a hash is safer'),
    ('{ann: {password: secret}, bob: {password: more}}', 'warning', 'in plain text, as are 1 more'),
)


def failures(t):
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 2' + users(HASHED)))
    with t.client('smtp') as c:
        c.hello()
        begun = time.monotonic()
        c.cmd('AUTH PLAIN ' + plain('ann', 'pencil', 'tim'), 535, r'^5\.7\.8 Authentication credentials invalid$')
        ok(time.monotonic() - begun >= 0.9, 'answered late')
        with t.client('smtp') as other:
            other.hello()
            begun = time.monotonic()
            c.send(f'AUTH PLAIN {plain("ann", "wrong")}\r\n'.encode())
            edge.wait_log(r' authentication failed .*reason="wrong password"$')
            since = len(edge.log)
            other.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 454, r'^4\.7\.0 ')
            unlike(edge.log[since:], ' lookup: ', 'nor is anybody looked up for it')
            c.expect(421, r'^4\.7\.0 ')
            ok(time.monotonic() - begun >= 1.9, 'answered later each time')
    unlike(edge.log, plain('ann', 'wrong') + '|pencil', 'without a secret')
    edge.stop()


def impossible(t):
    """What no user or password can be is a guess as others: late, logged and counted."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 2' + users(HASHED)))
    with t.client('smtp') as c:
        c.hello()
        begun = time.monotonic()
        c.cmd('AUTH PLAIN ' + plain('ann', ''), 535, r'^5\.7\.8 Authentication credentials invalid$')
        ok(time.monotonic() - begun >= 0.9, 'answered late')
        like(edge.log, r' authentication failed .* user=ann mechanism=PLAIN edge=main reason="no name or password can be so"\n',
            'logged')
        c.cmd('AUTH LOGIN', 334)
        c.cmd(base64.b64encode(b'ann\1').decode(), 421, r'^4\.7\.0 ', what='counted')
    like(edge.log, r' authentication failed session=\S+ client=127\.0\.0\.1 mechanism=LOGIN ', 'without a name that is none')
    edge.stop()


def trusted(t):
    """A webmail, say: what one of its users does wrong shuts nobody out."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 2, trusted_clients: 127.0.0.1' + users(HASHED)))
    with t.client('smtp') as c:
        c.hello()
        for _ in range(3):
            c.cmd('AUTH PLAIN ' + plain('ann', 'wrong'), 535)
        c.cmd('AUTH PLAIN ' + plain('ann', 'pencil'), 235)
    edge.stop()


def busy(t):
    """One hash at a time, 16 wait; clients that are gone, and a drain, in the middle of it."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users(HASHED)))
    clients = [t.client('smtp') for _ in range(24)]
    for c in clients:
        c.hello()
    for c in clients:
        c.send(f'AUTH PLAIN {plain("slow", "wrong")}\r\n'.encode())
    edge.wait_log(r' rejected .*command=AUTH .*reply="454 4\.7\.0 Too many clients authenticate', timeout=30)
    clients[0].close()
    for c in clients[1:12]:
        c.close()
    with t.client('smtp') as c:
        c.hello()
        c.cmd('NOOP', 250, what='nobody else waits')
    edge.kill(15)
    codes = [c.reply().code for c in clients[12:]]
    ok(set(codes) <= {454, 535} and 454 in codes, f'each gets an answer while it drains: {codes}')
    is_(edge.wait(60), 0, 'and it ends')


def same_work(t):
    """Of processor time, for a user that nobody knows: as much as for one with a wrong password."""
    edge = t.edge(config(', auth_without_tls: yes, max_auth_failures: 0' + users({'slow': HASHED['slow']})))
    spent = []
    for user, reason in ('slow', 'wrong password'), ('nobody', 'no such user'):
        before, since = cpu_ticks(edge.pid), len(edge.log)
        with t.client('smtp') as c:
            c.hello()
            c.send(f'AUTH PLAIN {plain(user, "wrong")}\r\n'.encode())
            edge.wait_log(r' authentication failed ', since=since, timeout=30)
        like(edge.log, rf' user={user} .*reason="{reason}"$', 'in the log')
        spent.append(cpu_ticks(edge.pid) - before)
    ok(spent[1] * 2 > spent[0] > 4, f'ticks: {spent}')
    edge.stop()


def checked(t):
    for entries, kind, text in CHECKS:
        rules = f', auth_without_tls: yes, rules: {{lookup_credentials: {{type: config, map: {entries}}}}}'
        done = t.run('slimta-edge', '-c', t.config(config(rules)), '--check', '--allow-root')
        said = done.stderr.decode()
        is_(done.returncode, kind == 'error', f'{entries}: {kind}')
        like(said, re.escape(text), 'which says why')
        unlike(said, 'secret|123456', 'and no secret')
    done = t.run('slimta-edge', '-c', t.config(config(users(HASHED))), '--check', '--allow-root')
    like(done.stderr.decode(), r'warning: .*AUTH is never offered', 'neither TLS nor auth_without_tls')
    done = t.run('slimta-edge', '-c', t.config(config(', rules: {passlib_config: /etc/passlib.ini}')), '--check', '--allow-root')
    like(done.stderr.decode(), r'passlib_config: passlib is a library of Python', 'passlib_config')


def test(t):
    failures(t)
    impossible(t)
    trusted(t)
    busy(t)
    same_work(t)
    checked(t)


run(test)
