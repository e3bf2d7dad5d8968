#!/usr/bin/python3
# 5005-relay-check.t - what slimta-worker says of its configuration and of its options
# SPDX-License-Identifier: MIT
# S12
from lib.fixture import IS_ROOT, is_, like, ok, run, unlike
from lib.relay import config

ROOT = ['--allow-root'] if IS_ROOT else []


def options(t):
    listed = t.run('slimta-worker', '--list-options')
    is_(listed.returncode, 0, '--list-options')
    rows = [line.split('\t') for line in listed.stdout.decode().splitlines()]
    is_({len(row) for row in rows}, {5}, 'five columns')
    is_({row[1] for row in rows if row[0] == 'relay.pipe'}, {'args', 'error_pattern', 'timeout', 'cwd', 'env', 'user',
        'group', 'concurrent_processes'}, 'with all keys')
    like(t.run('slimta-worker', '--version').stdout, r'^slimta-worker \d', '--version')
    like(t.run('slimta-worker', '--help').stdout, '^usage: slimta-worker', '--help')
    for arguments in (['--nonsense'], ['-c'], ['more'], [], ['--spawner'], ['--queue']):
        is_(t.run('slimta-worker', *arguments).returncode, 2, f'{arguments} is refused')


def checks(t):
    good = t.run('slimta-worker', *ROOT, '-c', t.config(config('type: pipe, args: [cat, "{recipient}"]')), '--check')
    is_((good.returncode, unlike(good.stderr, 'error', 'no error')), (0, True), 'a good configuration')
    for relay, where, error in (
            ('args: [cat, "{recipent}"]', r'args\[1\]', r'there is no field \{recipent\} .did you mean \{recipient\}'),
            ('args: [cat, "{recipient"]', r'args\[1\]', 'ends with }'),
            ('args: ["{sender}"]', r'args\[0\]', 'name of a program, without fields'),
            ('args: [""]', r'args\[0\]', 'name of a program'),
            ('args: cat -n', 'args', r'expected a list, \[PROGRAM, ARGUMENT\.\.\.\], not "cat -n"'),
            ('args: []', 'args', 'expected a program'),
            ('cwd: /', 'args', ''),
            ('args: [cat], error_pattern: "a(b"', 'error_pattern', 'missing closing parenthesis'),
            ('args: [cat], timeout: never', 'timeout', ''),
            ('args: [cat], timeout: 0', 'timeout', ''),
            ('args: [cat], env: {"A=B": c}', 'env', 'names of variables'),
            ('args: [cat], concurrent_processes: 0', 'concurrent_processes', ''),
            ('args: [cat], user: no-such-user', 'user', 'there is no user "no-such-user"'),
            ('args: [cat], group: no-such-group', 'group', 'there is no group "no-such-group"'),
            ('args: [cat], usr: mail', 'usr', 'did you mean "user"'),
            ('args: [cat], per_recipient: no', 'per_recipient', '')):
        bad = t.run('slimta-worker', *ROOT, '-c', t.config(config(f'type: pipe, {relay}')), '--check')
        is_(bad.returncode, 1, f'{relay} is an error')
        like(bad.stderr, rf'^\S+slimta\.conf:\d+:\d+: relay\.r(\.{where})?: .*{error}', 'at its place')


def kinds(t):
    for name, error in (('http', 'not built into this slimta yet'), ('custom', 'not built into this slimta yet'),
            ('pip', r'"pip".*did you mean "pipe"'), ('carrier-pigeon', '"carrier-pigeon"')):
        bad = t.run('slimta-worker', *ROOT, '-c', t.config(config(f'type: {name}')), '--check')
        is_(bad.returncode, 1, f'type {name} is an error')
        like(bad.stderr, rf'relay\.r\.type: .*{error}', 'that says so')


def who(t):
    bad = t.run('slimta-worker', '-c', t.config(config('type: pipe, args: [cat], user: root')), '--check')
    is_(bad.returncode, 1, 'commands do not become root')
    like(bad.stderr, r'relay\.r\.user: ' + ('commands do not run as root' if IS_ROOT else 'expected the user that'),
        'and it says why')
    if IS_ROOT:
        good = t.run('slimta-worker', '--allow-root', '-c', t.path('slimta.conf'), '--check')
        is_(good.returncode, 0, 'unless they are allowed to')


def starts(t):
    t.config(config('type: blackhole'))
    for arguments, error in ((['--queue', 'p'], 'no queue is named "p"'), (['--queue', 'q', '-c', '/absent'], '/absent')):
        bad = t.run('slimta-worker', *ROOT, '-c', t.path('slimta.conf'), *arguments)
        is_(bad.returncode, 1, f'{arguments} does not start')
        like(bad.stderr, error, 'and says why')
    t.config(config('type: blackhole', delay='soon'))
    bad = t.run('slimta-worker', *ROOT, '-c', t.path('slimta.conf'), '--queue', 'q')
    is_(bad.returncode, 1, 'nor with an error in its queue')
    like(bad.stderr, r'queue\.q\.retry\.delay: ', 'which is named')
    ok(b'ready' not in bad.stderr, 'it never was ready')


run(options, checks, kinds, who, starts)
