#!/usr/bin/python3
# 0007-tree-deps.t - `make deps` says what it does, asks, starts no service, removes nothing
# SPDX-License-Identifier: MIT
import os
import pty
import signal
import subprocess

from lib.fixture import TOP, is_, like, ok, run, skip, unlike, wait_for

FAKES = {
    # Which packages are installed stands in a file.
    'dpkg-query': 'for last; do :; done; grep -qx "$last" @dir@/installed && printf installed\n',
    'id': 'cat @dir@/uid\n',
    'apt-get': '''echo "$*" >>@dir@/calls
case " $* " in
*" -s "*) [ ! -e @dir@/stale ] || exit 100; echo "Inst autoconf (2.71)"; cat @dir@/removes ;;
*" update "*) rm -f @dir@/stale ;;
*" install "*)
    cp @dir@/policy-rc.d @dir@/policy.seen
    : >@dir@/installing
    [ ! -e @dir@/slow ] || sleep 30
    exit $(cat @dir@/status) ;;
*" download "*) : >postfix_1_amd64.deb ;;
esac
''',
    'dpkg-deb': 'mkdir -p "$3/usr/sbin"; : >"$3/usr/sbin/smtp-source"; chmod 6755 "$3/usr/sbin/smtp-source"\n',
}


def prepare(t, installed='', uid='0', status='0', removes=''):
    for name, text in FAKES.items():
        t.write(f'bin/{name}', '#!/bin/bash\n' + text.replace('@dir@', t.dir), 0o755)
    for name, text in (('installed', installed), ('uid', uid), ('status', status), ('removes', removes),
            ('calls', '')):
        t.write(name, text)
    for name in ('installing', 'policy.seen', 'policy-rc.d', 'stale', 'slow'):
        if os.path.exists(t.path(name)):
            os.unlink(t.path(name))
    return dict(t.env, PATH=f'{t.path("bin")}:/usr/bin:/bin', DEPS_POLICY_RC_D=t.path('policy-rc.d'),
        DEPS_PEERS=t.path('peers'))


def deps(env, *sets):
    done = subprocess.run([f'{TOP}/.ci/deps', *sets], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, env=env, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def packages(name):
    with open(f'{TOP}/.ci/packages/{name}', encoding='utf-8') as names:
        return ''.join(line for line in names if not line.startswith('#'))


def without_root(t):
    env = prepare(t, installed=packages('run'), uid='1000')
    is_(deps(env, 'run'), (0, ''), 'nothing missing: nothing said, nothing done')
    env = prepare(t, installed=packages('run').replace('autoconf\n', ''), uid='1000')
    status, output = deps(env, 'run')
    is_(status, 1, 'without root it stops')
    like(output, r'^    sudo apt-get install --no-install-recommends autoconf$', 'and prints the command')
    is_(t.read('calls'), b'', 'apt-get was not called')
    like(deps(env, 'walk')[1], 'no set "walk"', 'an unknown set is an error')


def as_root(t):
    env = prepare(t)
    t.write('stale', '')
    status, output = deps(env, 'run')
    is_(status, 0, 'not on a terminal it goes on')
    like(output, r'will install: autoconf .*uthash-dev', 'what is installed was printed')
    like(t.read('calls'), r'-s install[\s\S]*update[\s\S]*-s install[\s\S]*-y install autoconf',
        'lists are updated when a package is unknown')
    like(t.read('policy.seen'), r'^exit 101$', 'services were kept from starting meanwhile')
    ok(not os.path.exists(t.path('policy-rc.d')), 'and the policy is gone')

    env = prepare(t, removes='Remv exim4 [4.96]\n')
    status, output = deps(env, 'run')
    like(f'{status} {output}', '^1 .*would remove exim4', 'nothing is removed for it')
    unlike(t.read('calls'), '-y install', 'nothing was installed then')
    unlike(t.read('calls'), 'update', 'no update without need')

    env = prepare(t, status='100')
    is_(deps(env, 'run')[0], 100, 'a failing apt-get fails it')
    ok(not os.path.exists(t.path('policy-rc.d')), 'the policy is gone then too')

    env = prepare(t)
    t.write('policy-rc.d', 'exit 0\n')
    deps(env, 'run')
    is_(t.read('policy-rc.d'), b'exit 0\n', 'a policy that was there is left alone')


def interrupted(t):
    env = prepare(t)
    t.write('slow', '')
    with subprocess.Popen([f'{TOP}/.ci/deps', 'run'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=env, start_new_session=True) as process:
        wait_for(lambda: os.path.exists(t.path('installing')), 10, 'apt-get to run')
        os.killpg(process.pid, signal.SIGTERM)
        is_(process.wait(10), 143, 'a signal ends it')
    ok(not os.path.exists(t.path('policy-rc.d')), 'and the policy is gone')


def on_a_terminal(t):
    try:
        for fd in pty.openpty():
            os.close(fd)
    except OSError:
        skip('no terminals here', 'what it asks')
        return
    for answer, installs in ((b'n\n', False), (b'\n', True)):
        env = prepare(t)
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(f'{TOP}/.ci/deps', ['deps', 'run'], env)
        output = b''
        while b'go on?' not in output:
            output += os.read(fd, 1000)
        os.write(fd, answer)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        is_((status == 0, b'-y install' in t.read('calls')), (installs, installs), f'the answer {answer} counts')


def peers(t):
    env = prepare(t, uid='1000')
    is_(deps(env, 'peers')[0], 0, 'peers need no root')
    is_(os.stat(t.path('peers/usr/sbin/smtp-source')).st_mode & 0o7777, 0o755, 'they are unpacked, and not set-uid')
    like(t.read('calls'), '^-qq download .*postfix .*libicu72', 'with the libraries that are not installed')
    unlike(t.read('calls'), ' install ', 'nothing is installed')
    is_(deps(env, 'peers'), (0, ''), 'a second time there is nothing to do')


run(without_root, as_root, interrupted, on_a_terminal, peers)
