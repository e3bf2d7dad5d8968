#!/usr/bin/python3
# 0009-tree-install.t - make install honours DESTDIR and prefix, uninstall takes all away, dist is complete
# SPDX-License-Identifier: MIT
import os
import subprocess
import tarfile

from lib.fixture import TOP, diag, is_, like, ok, run

MAN = ['slimta-edge.8', 'slimta-master.8', 'slimta-queuectl.8', 'slimta-worker.8']


def make(t, *args):
    env = {key: value for key, value in t.env.items() if not key.startswith(('MAKE', 'MFLAGS'))}
    done = subprocess.run(['make', '-C', TOP, '--no-print-directory', *args], capture_output=True, text=True,
        env=env, timeout=300, check=False)
    if not is_(done.returncode, 0, f'make {args[0]}'):
        diag(done.stdout + done.stderr)
    return done.stdout


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder)
        for name in names)


def install(t):
    root = t.path('root')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/usr')
    found = files(root)
    is_([name for name in found if 'man' in name.split('/')],
        [*(f'usr/share/man/man5/{name}.5' for name in ('slimta-queue', 'slimta.conf')), *(f'usr/share/man/man8/{name}' for name in MAN)], 'manual pages')
    is_([name for name in found if '/sbin/' in name],
        [f'usr/sbin/slimta-{name}' for name in ('edge', 'master', 'queuectl', 'worker')], 'programs')
    for name in ('README', 'LICENSE', 'examples/slimta.conf', 'examples/reference.conf', 'examples/save-mail.sh',
            'examples/redis-edge.conf', 'examples/redis-worker.conf', 'examples/redis-queue.yaml'):
        ok(f'usr/share/doc/slimta/{name}' in found, name)
    for unit, program in (('slimta', 'master'), ('slimta-worker@', 'worker')):
        like(t.read(f'root/usr/lib/systemd/system/{unit}.service'), f'^ExecStart=/usr/sbin/slimta-{program} ', f'{unit}.service')
    make(t, 'uninstall', f'DESTDIR={root}', 'prefix=/usr')
    is_(files(root), [], 'uninstall takes all away')
    make(t, 'install', f'DESTDIR={root}', 'prefix=/opt/slimta')
    is_([name for name in files(root) if not name.startswith('opt/slimta/')], [], 'another prefix')
    like(t.read('root/opt/slimta/lib/systemd/system/slimta.service'),
        '^ExecStart=/opt/slimta/sbin/slimta-master ', 'the unit names it')


def dist(t):
    if not os.path.exists(f'{TOP}/.git'):
        ok(True, 'no repository: this is a release already')
        return
    path = make(t, 'dist').strip().split('\n')[-1]
    with tarfile.open(os.path.join(TOP, path)) as tar:
        names = tar.getnames()
    top = names[0].split('/')[0]
    for name in ('Makefile', 'configure', 'configure.ac', 'README', 't/lib/fixture.py', '.ci/run'):
        ok(f'{top}/{name}' in names, f'the release has {name}')
    is_([name for name in names if not name.startswith(top)], [], f'all of it below {top}')


run(install, dist)
