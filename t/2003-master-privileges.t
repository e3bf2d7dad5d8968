#!/usr/bin/python3
# 2003-master-privileges.t - S15: who children are, what they may, and who may write their files
# SPDX-License-Identifier: MIT
import grp
import os
import shutil
import pwd

from lib.fixture import IS_ROOT, is_, like, ok, run, skip_all
from lib.master import CONFIG, mode, with_keys
from lib.process import proc_status

USER = with_keys('    user: nobody\n    pid_file: @dir@/pid\n', CONFIG).replace('@dir@/env', '@dir@/queue/env').replace(
    '@dir@/meta', '@dir@/queue/meta')


def children(t):
    t.folder('queue', 'nobody')
    nobody = pwd.getpwnam('nobody')
    groups = sorted({nobody.pw_gid, *(g.gr_gid for g in grp.getgrall() if 'nobody' in g.gr_mem)})
    master = t.master(USER, allow_root=False)
    for name in ('slimta-worker', 'slimta-edge'):
        for pid in master.children(name):
            status = proc_status(pid)
            is_(status['Uid'].split(), [str(nobody.pw_uid)] * 4, f'{name}: all user ids')
            is_(status['Gid'].split(), [str(nobody.pw_gid)] * 4, 'all group ids')
            is_(sorted(map(int, status['Groups'].split())), groups, 'no group of root')
            is_((status['NoNewPrivs'], status['Umask']), ('1', '0077'), 'no new privileges, umask')
            is_(int(status['CapEff'], 16) | int(status['CapPrm'], 16), 0, 'no capability')
    status = proc_status(master.children('slimta-spawner')[0])
    is_(status['Uid'].split(), ['0'] * 4, 'the spawner stays root')
    is_((status['NoNewPrivs'], status['Umask']), ('0', '0077'), 'and its commands may be set-uid')
    allowed = sum(1 << bit for bit in (0, 1, 3, 5, 6, 7, 10))
    is_(int(proc_status(master.pid)['CapEff'], 16) & ~allowed, 0, 'the master has only the capabilities it needs')
    is_(mode(t.path('pid')), 0o644, 'the pid file is written by its owner alone')
    is_((mode(t.path('runtime')), os.stat(t.path('runtime')).st_uid), (0o750, nobody.pw_uid), 'runtime_dir')
    is_((mode(t.path('runtime/master')), os.stat(t.path('runtime/master')).st_uid), (0o600, nobody.pw_uid),
        'the status socket')
    is_(mode(t.path('runtime/spawner-1')), 0o600, 'the spawner\'s socket')
    is_(mode(t.path('runtime/master.lock')), 0o600, 'the lock')
    for folder, _, names in os.walk(t.path('queue')):
        for name in names:
            is_(mode(os.path.join(folder, name)) & 0o077, 0, f'{name} is for its owner alone')
    is_(master.stop(), 0, 'and it ends well')


def rules(t):
    for text, options, wanted in (
            (CONFIG, [], r'process\.\w+\.user: required when started as root'),
            (with_keys('    user: root\n'), [], 'must not be root, unless --allow-root'),
            (with_keys('    user: nosuchuser\n'), ['--allow-root'], 'no user is named "nosuchuser"')):
        done = t.run('slimta-master', '-c', t.config(text), *options)
        is_(done.returncode, 1, 'refused')
        like(done.stderr.decode(), wanted, f'because: {wanted}')
    master = t.master(CONFIG)
    like(master.log, 'warning: .*root', '--allow-root is allowed, with a warning')
    is_(proc_status(master.children('slimta-edge')[0])['Uid'].split(), ['0'] * 4, 'and then it is root')


def not_root(t):
    """Started by somebody else: itself, or nobody."""
    os.chmod(t.dir, 0o777)
    # The other user may not see the folder that the programs were built in.
    for name in 'slimta-master', 'slimta-edge', 'slimta-worker':
        shutil.copy(t.program(name), t.folder('programs'))
    program = t.path('programs', 'slimta-master')
    conf = t.config(USER)
    drop = ['setpriv', '--reuid=daemon', '--regid=daemon', '--clear-groups']
    done = t.run(*drop, program, '-c', conf, '--check')
    is_(done.returncode, 1, 'another user is refused')
    like(done.stderr.decode(), 'not as root', 'and it says why')
    conf = t.config(USER.replace('nobody', 'daemon'))
    done = t.run(*drop, program, '-c', conf, '--check')
    is_((done.returncode, done.stderr), (0, b''), 'its own is fine')


if not IS_ROOT:
    skip_all('only root has rights to give up')
run(children, rules, not_root)
