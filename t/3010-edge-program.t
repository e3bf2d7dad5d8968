#!/usr/bin/python3
# 3010-edge-program.t - the program itself: what it says of its configuration and of its options
# SPDX-License-Identifier: MIT
# S12
from lib.edge import config
from lib.fixture import is_, like, ok, run, unlike


def options(t):
    listed = t.run('slimta-edge', '--list-options')
    is_(listed.returncode, 0, '--list-options')
    rows = [line.split('\t') for line in listed.stdout.decode().splitlines()]
    is_({len(row) for row in rows}, {5}, 'five columns')
    is_({row[0] for row in rows}, {'edge.smtp', 'lookup.config'}, 'for each kind of edge and look-up')
    ok({'queue', 'max_size', 'rules.banner'} <= {row[1] for row in rows}, 'with all keys')
    like(t.run('slimta-edge', '--version').stdout, r'^slimta-edge \d', '--version')
    like(t.run('slimta-edge', '--help').stdout, '^usage: slimta-edge', '--help')
    for arguments, said in ((['--nonsense'], 'not understood: --nonsense'), (['-c'], 'needs a file: -c'),
            (['more'], 'not understood: more')):
        result = t.run('slimta-edge', *arguments)
        is_(result.returncode, 2, f'{arguments} is refused')
        is_(result.stderr.decode(), f'slimta-edge: {said}\nTry: slimta-edge --help\n', 'and said')


def checks(t):
    good = t.run('slimta-edge', '--allow-root', '-c', t.config(config()), '--check')
    is_(good.returncode, 0, 'a good configuration')
    for change, error in (
            (', max_sice: 1', r'edge\.main\.max_sice: unknown key \(did you mean "max_size"\?\)'),
            (', max_recipients: 0', r'edge\.main\.max_recipients: '),
            (', max_errors: many', r'edge\.main\.max_errors: '),
            (', command_timeout: 1ms', r'edge\.main\.command_timeout: '),
            (', bare_newline: keep', r'edge\.main\.bare_newline: '),
            (', disable_extensions: [SIZE, XSIZE]', r'edge\.main\.disable_extensions.*"XSIZE" is no extension'),
            (', rules: {banner: "{fqdm}"}', r'edge\.main\.rules\.banner: .*fqdm'),
            (', rules: {dnsbl: x}', r'edge\.main\.rules\.dnsbl: not built into this slimta yet'),
            (', uri: x', r'edge\.main\.uri: not built into this slimta yet'),
            (', listeners: [{port: 1}]', r'edge\.main\.listeners: either')):
        bad = t.run('slimta-edge', '--allow-root', '-c', t.config(config(change)), '--check')
        is_(bad.returncode, 1, f'{change[2:]} is an error')
        like(bad.stderr, r'^\S+slimta\.conf:\d+:\d+: ' + error, 'at its place')
        started = t.run('slimta-edge', '--allow-root', '-c', t.path('slimta.conf'))
        is_(started.returncode, 1, 'and it does not start')
        like(started.stderr, error, 'for the same reason')


def kinds(t):
    for name, error in (('http', 'not built into this slimta yet'), ('smpt', r'expected one of smtp.*did you mean "smtp"')):
        text = config().replace('type: smtp', f'type: {name}')
        bad = t.run('slimta-edge', '--allow-root', '-c', t.config(text), '--check')
        is_(bad.returncode, 1, f'type {name} is an error')
        like(bad.stderr, rf'edge\.main\.type: {error}', 'that says so')
        unlike(bad.stderr, 'listener', 'and nothing else')


run(options, checks, kinds)
