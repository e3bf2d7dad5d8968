#!/usr/bin/python3
# 2006-master-check.t - --check says what all programs find, in file order; --list-options lists all rows
# SPDX-License-Identifier: MIT
import re

from lib.fixture import IS_ROOT, is_, like, ok, run
from lib.master import CONFIG

ROOT = ['--allow-root'] if IS_ROOT else []
WRONG = '''process:
  slimta: {drain_timeout: never, runtime_dir: @dir@/runtime}
edge:
  main:
    type: smtp
    queue: nosuch
    listener: {port: 70000}
    max_recipients: many
queue:
  q:
    type: disk
    envelope_dir: @dir@/env
    meta_dir: @dir@/meta
    relay: r
    max_strike: 3
relay:
  r:
    type: pipe
    args: [cat]
    timeout: soon
'''
TWO = '''@process@
edge:
  main: {type: smtp, queue: q, listener: {port: @port:smtp@}}
  other: {type: smtp, queue: q2, listener: {port: @port:other@}}
queue:
  q: {type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, relay: r, allow_volatile: yes}
  q2: {type: disk, envelope_dir: @dir@/env2, meta_dir: @dir@/meta2, relay: r, allow_volatile: yes}
relay: {r: {type: blackhole}}
'''


def check(t, text, *options):
    done = t.run('slimta-master', '-c', t.config(text), '--check', *ROOT, *options)
    return done.returncode, (done.stdout + done.stderr).decode()


def all_errors(t):
    code, text = check(t, WRONG)
    is_(code, 1, 'errors are exit status 1')
    lines = [line for line in text.splitlines() if 'warning:' not in line]
    places = [tuple(map(int, re.search(r'slimta\.conf:(\d+):(\d+): ', line).groups())) for line in lines]
    is_(places, sorted(places), 'in file order')
    for line, path in ((2, r'process\.\w+\.drain_timeout'), (6, r'edge\.main\.queue'), (7, r'edge\.main\.listener\.port'),
            (8, r'edge\.main\.max_recipients'), (15, r'queue\.q\.max_strike'), (20, r'relay\.r\.timeout')):
        like(text, rf'^.*slimta\.conf:{line}:\d+: {path}: ', f'line {line}')
    is_(len(set(lines)), len(lines), 'and each only once')
    master = t.run('slimta-master', '-c', t.path('slimta.conf'), *ROOT)
    is_((master.returncode, (master.stdout + master.stderr).decode()), (1, text), 'a start says the same')


def fine(t):
    code, text = check(t, CONFIG)
    is_(code, 0, 'a good file is exit status 0')
    is_([line for line in text.splitlines() if 'warning:' not in line], [], 'and nothing but warnings is said')
    done = t.run('slimta-master', '-c', '/nonexistent/slimta.conf', '--check')
    is_(done.returncode, 1, 'no file')
    like(done.stderr.decode(), '/nonexistent/slimta.conf.*No such file', 'is said')


def errors_of_reading(t):
    for change, error in (
            (('relay: r,', 'relay: r, relay: r,'), r'queue\.q\.relay: given twice, first in line \d+'),
            (('{port: @port:smtp@}', '{port: !env NOT_SET_AT_ALL}'), 'edge.main.listener.port: the environment variable NOT_SET'),
            (('{port: @port:smtp@}', '!include nosuch.conf'), 'edge.main.listener: cannot include .*nosuch.conf: No such file')):
        text = TWO.replace(*change)
        code, said = check(t, text)
        is_(code, 1, 'what only reading finds is an error')
        like(said, r'slimta\.conf:\d+:\d+: ' + error, 'and is said')
        is_(t.run('slimta-master', '-c', t.path('slimta.conf'), *ROOT, timeout=10).returncode, 1, 'nothing is started on it')


def user_of_reading(t):
    text = t.config(TWO.replace('@process@', 'process: {slimta: {user: !env NOT_SET_AT_ALL, runtime_dir: @dir@/runtime}}'))
    done = t.run('slimta-master', '-c', text, '--check')
    said = done.stderr.decode()
    is_(done.returncode, 1, 'a user that cannot be read is an error')
    is_(len([line for line in said.splitlines() if 'warning:' not in line]), 1, 'and only that is said')


def shared_places(t):
    is_(check(t, TWO)[0], 0, 'two edges and two queues')
    for change, error in (
            (('port: @port:other@', 'port: @port:smtp@'), 'edge.other: another listener has the address 127.0.0.1:'),
            (('@dir@/env2', 'env'), 'queue.q2.envelope_dir: the queue "q" keeps its messages there'),
            (('@dir@/meta2', '@dir@/meta'), 'queue.q2.meta_dir: the queue "q" keeps its messages there')):
        code, said = check(t, TWO.replace(*change))
        is_(code, 1, 'a place that another has is an error')
        like(said, r'slimta\.conf:\d+:\d+: ' + error, 'and is said')


def list_options(t):
    done = t.run('slimta-master', '--list-options')
    is_((done.returncode, done.stderr), (0, b''), 'every row is listed')
    rows = [line.split('\t') for line in done.stdout.decode().splitlines()]
    is_({len(row) for row in rows}, {5}, 'in five columns')
    names = {(row[0], row[1]) for row in rows}
    for row in (('process', 'user'), ('listener', 'backlog'), ('edge.smtp', 'max_size'), ('queue', 'relay'),
            ('queue.disk', 'envelope_dir'), ('relay.pipe', 'args')):
        ok(row in names, ' '.join(row))
    is_(len(names), len(rows), 'each once')


def programs(t):
    """They are looked for beside the master, else where they are installed."""
    alone = t.write('alone/slimta-master', open(t.program('slimta-master'), 'rb').read(), 0o755)
    done = t.run(alone, '-c', t.config(CONFIG), '--check', *ROOT)
    is_(done.returncode, 1, 'a master without its programs')
    like(done.stderr.decode(), 'slimta-edge is neither in .*/alone nor in /', 'says where it looked')
    for name in ('slimta-edge', 'slimta-worker'):
        t.write(f'alone/{name}', 'no program', 0o755)
    done = t.run(alone, '-c', t.config(CONFIG), '--check', *ROOT)
    is_(done.returncode, 1, 'programs that are none')
    like(done.stderr.decode(), 'cannot run slimta-edge: Exec format error', 'are said')
    t.write('alone/slimta-edge', open('/bin/cat', 'rb').read(), 0o755)
    t.write('alone/slimta-worker', open('/bin/false', 'rb').read(), 0o755)
    done = t.run(alone, '-c', t.config(CONFIG), '--check', *ROOT)
    is_(done.returncode, 1, 'other programs')
    like(done.stderr.decode(), r'slimta-\w+ --check exited 1 with an answer that is not understood', 'are told apart')


def usage(t):
    like(t.run('slimta-master', '--version').stdout.decode(), r'^slimta-master \d+\.\d+\.\d+\n$', '--version')
    like(t.run('slimta-master', '--help').stdout.decode(), '^usage: slimta-master ', '--help')
    for args in (['--nosuch'], ['extra'], ['-c']):
        is_(t.run('slimta-master', *args).returncode, 2, f'{args} is no use')
    for program in ('slimta-edge', 'slimta-worker'):
        done = t.run(program, '--child')
        is_(done.returncode, 1, f'{program} --child')
        like(done.stderr.decode(), '--child is for slimta-master', 'is not for people')


run(all_errors, fine, errors_of_reading, user_of_reading, shared_places, list_options, programs, usage)
