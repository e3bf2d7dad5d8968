#!/usr/bin/python3
# 7012-queuectl-asks.t - on a terminal many are changed after a question with their number, elsewhere with --yes only
# SPDX-License-Identifier: MIT
import os
import pty
import re
import signal

from lib.fixture import is_, like, ok, run, wait_for
from lib.queues import fill, quick_folder

CONFIG = '''@process@    logging: {output: @dir@/slimta.log}
  worker: {instances: 0}
queue: {q: {type: disk, envelope_dir: @place@/env, meta_dir: @place@/meta, allow_volatile: yes}}
'''
ABSENT = '0' * 26


def on_terminal(t, answer, *args):
    """Its exit status and what it wrote; `answer` is typed once it asks."""
    reader, writer = pty.openpty()
    pid = os.fork()
    if pid == 0:
        for fd in range(3):
            os.dup2(writer, fd)
        os.execve(t.program('slimta-queuectl'), ['slimta-queuectl', '-c', t.path('slimta.conf'), *args], t.env)
    os.close(writer)
    shown = b''
    try:
        while True:
            shown += os.read(reader, 4096)
            if answer and b'[y/N]' in shown:
                os.write(reader, answer)
                answer = None
    except OSError:
        os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def filled(t, place, count):
    """So many messages; gives their ids."""
    t.config(CONFIG.replace('@place@', place))
    fill(t, place, count)
    return [line.split()[0] for line in t.queuectl('list').splitlines()[1:]]


def held(t):
    return len(t.queuectl('--json', 'list', '--state', 'held').splitlines())


def asks(t):
    with quick_folder(t) as place:
        ask(t, filled(t, place, 1200))


def ask(t, ids):
    for answer in (b'n\n', b'\n', b'no\n', b'\x04'):
        code, shown = on_terminal(t, answer, 'hold', '--all')
        is_(code, 5, f'answered {answer}: exit 5')
        like(shown, r'hold 1,200 messages\? \[y/N\] [^\0]*nothing was changed', 'asked with the number, and nothing was changed')
    is_(held(t), 0, 'indeed')
    code, shown = on_terminal(t, b'y\n', 'hold', '--limit', '1', '--sender', 'fill@*')
    is_(code, 0, 'answered y')
    like(shown, r'hold 1 message\? [^\0]*held 1 of 1 message\r\n', 'one of them')
    code, shown = on_terminal(t, None, 'hold', ids[0], ids[1])
    is_((code, 'y/N' in shown), (0, False), 'by their ids it does not ask')
    code, shown = on_terminal(t, None, 'hold', '--all', '--yes')
    is_((code, 'y/N' in shown), (0, False), 'nor with --yes')
    like(shown, r'\r\d+ of 1,?198', 'it tells how far it is')
    like(shown, r'held 1,198 of 1,198 messages\r\n$', 'and what it did')
    is_(held(t), 1200, 'all are held')
    code, shown = on_terminal(t, None, 'hold', '--all')
    is_((code, shown), (0, 'held 0 of 0 messages\r\n'), 'where there is none it does not ask')


def elsewhere(t):
    ids = filled(t, t.dir, 3)
    for command in ('retry', 'hold', 'release', 'remove', 'bounce'):
        for args, said in (
                (('--all',), 'needs --yes (or --dry-run) where nobody can be asked: '),
                (('--sender', 'fill@*'), 'needs --yes (or --dry-run) where nobody can be asked: '),
                (('--yes',), 'needs ids, a filter, or --all: '), (('--limit', '3', '--yes'), 'needs ids, a filter, or --all: '),
                (('--all', '--yes', '--state', 'new'), '--all goes with neither ids nor filters: '),
                (('--all', '--yes', ABSENT), '--all goes with neither ids nor filters: '),
                (('--all', '--yes', '--sort', 'age'), '--sort does not go with: '),
                (('--all', '--yes', '--message'), '--message does not go with: ')):
            done = t.run('slimta-queuectl', '-c', t.path('slimta.conf'), command, *args)
            is_((done.returncode, done.stdout), (2, b''), f'{command} {" ".join(args)} is refused')
            like(done.stderr.decode(), '^slimta-queuectl: ' + re.escape(said + command), 'and said')
    for args, said in (
            (('list', '--state', 'lost'), '--state needs new, deferred, leased or held'), (('list', '--older', '5x'), '--older needs an age'),
            (('list', '--older', '0'), '--older needs'), (('list', '--older', '1m1h'), '--older needs'), (('list', '--older', '99999d'), '--older'),
            (('list', '--younger', ''), '--younger needs'), (('list', '--attempts', '5-3'), '--attempts needs'), (('list', '--attempts', 'x'), '--attempts'),
            (('list', '--domain', 'a@b'), '--domain needs'), (('list', '--domain', ''), '--domain'), (('list', '--reply', ''), '--reply needs'),
            (('list', '--sender', 'x' * 1001), '--sender needs'), (('list', '--sender', b'\xff'), '--sender needs'),
            (('list', '--sort', 'name'), '--sort needs age, due, size or attempts'), (('list', '--sort', '-'), '--sort needs'),
            (('list', '--yes'), '--yes does not go with: list'), (('show', ids[0], '--sender', 'a@*'), '--sender does not go with: show'),
            (('retry', '--reason', 'x', ids[0]), '--reason does not go with: retry'), (('hold', '--reason', 'a\nb', ids[0]), '--reason needs'),
            (('reload', '-q', 'q'), '--queue does not go with: reload'), (('status', 'x'), 'takes no ids: status'),
            (('list', '--json=x'), 'not understood: "--json=x"'), (('list', '-q=x'), 'not understood'), (('hold', 'x'), 'not the id of')):
        done = t.run('slimta-queuectl', *args)
        is_((done.returncode, done.stdout), (2, b''), f'{args[:2]} is refused')
        like(done.stderr.decode(errors='replace'), f'^slimta-queuectl: {said}', 'and said')
    is_(held(t), 0, 'and nothing was changed')
    is_(t.queuectl('hold', '--older', '1s', '--younger', '1h30m', '--yes', code=0).split()[0], 'held', 'ages')


def logged(t):
    if not os.path.exists(t.path('slimta.log')):
        return 0
    with open(t.path('slimta.log'), encoding='utf-8') as log:
        return sum(' queuectl: held ' in line for line in log)


def interrupted(t):
    """Whoever ends it early, and however, finds all that was done in the log."""
    with quick_folder(t) as place:
        filled(t, place, 4000)
        process = t.start('slimta-queuectl', '-c', t.path('slimta.conf'), 'hold', '--all', '--yes')
        metas = os.path.join(place, 'meta')
        wait_for(lambda: not process.running() or sum(name[0] != '.' for name in os.listdir(metas)) > logged(t) > 0,
            what='it to be amidst a part')
        process.kill(signal.SIGTERM)
        ok(process.wait() in (-signal.SIGTERM, 0), 'interrupted')
        is_(held(t), logged(t), f'all {held(t)} that are held have their line of the log')
        if held(t) < 4000:
            like(process.log, rf'(?m)^held {held(t):,} of 4,000 messages$', 'it says how many, no other one went')
            like(process.log, 'interrupted: all others are as they were', 'and why')
        done = t.run('sh', '-c', f"{t.program('slimta-queuectl')} -c {t.path('slimta.conf')} --json hold --state new --yes | head -1")
        like(done.stderr.decode() + 'x', 'cannot write: Broken pipe|^x$', 'nobody reads what it prints')
        is_((held(t), logged(t)), (4000, 4000), 'it does all, and logs it')


run(asks, elsewhere, interrupted)
