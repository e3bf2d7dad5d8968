#!/usr/bin/python3
# 2009-master-daemon.t - daemon mode, stdout and stderr files, logs opened again
# SPDX-License-Identifier: MIT
import os
import signal

from lib.fixture import IS_ROOT, descendants, is_, like, ok, run, wait_for
from lib.master import CONFIG, gone, mode, with_keys

ROOT = ['--allow-root'] if IS_ROOT else []
FILES = with_keys('    pid_file: @dir@/pid\n    stderr: @dir@/err\n    stdout: @dir@/out\n')


def log_of(t, name='err'):
    return t.read(name).decode() if os.path.exists(t.path(name)) else ''


def wait_line(t, text, name='err'):
    wait_for(lambda: text in log_of(t, name), what=f'{text} in {name}')


def detaches(t):
    done = t.run('slimta-master', '-c', t.config(with_keys('    daemon: true\n', FILES)), *ROOT)
    is_((done.returncode, done.stdout), (0, b''), 'the parent ends when all is ready')
    is_([line for line in done.stderr.decode().splitlines() if 'warning:' not in line], [], 'and says nothing')
    pid = int(t.read('pid'))
    is_(os.getsid(pid), pid, 'the daemon has a session of its own')
    is_(os.readlink(f'/proc/{pid}/cwd'), '/', 'keeps no folder busy')
    is_([os.readlink(f'/proc/{pid}/fd/{fd}') for fd in (0, 1, 2)], ['/dev/null', t.path('out'), t.path('err')],
        'and has its files')
    is_(mode(t.path('err')) & 0o022, 0, 'which nobody else may write')
    wait_line(t, 'process: ready queue=q')
    children = [child for child in descendants(os.getpid()) if child != pid]
    is_(len(children), 4, 'with all children')
    os.kill(pid, signal.SIGTERM)
    gone([pid, *children])
    like(log_of(t), 'master: ended', 'and it ends like any other')
    ok(not os.path.exists(t.path('pid')), 'with its pid file')


def overridden(t):
    master = t.master(with_keys('    daemon: true\n'), '--no-daemon')
    ok(master.running(), '--no-daemon wins over the file')
    master.stop()
    t.config(FILES)
    done = t.run('slimta-master', '--daemon', '-c', 'slimta.conf', *ROOT)
    is_(done.returncode, 0, '--daemon too')
    pid = int(t.read('pid'))
    os.kill(pid, signal.SIGHUP)
    wait_line(t, 'master: reloaded generation=2')
    ok(True, 'it finds its file again after it has left the folder')
    os.kill(pid, signal.SIGTERM)
    gone([pid])


def silence_is_told(t):
    done = t.run('slimta-master', '--daemon', '-c', t.config(with_keys('    pid_file: @dir@/pid\n')), *ROOT)
    is_(done.returncode, 0, 'a daemon without a log')
    like(done.stderr.decode(), 'warning: a daemon that logs to stderr needs process.master.stderr', 'is warned about')
    pid = int(t.read('pid'))
    os.kill(pid, signal.SIGTERM)
    gone([pid])


def failure_is_told(t):
    t.write('runtime', 'in the way')
    done = t.run('slimta-master', '--daemon', '-c', t.config(FILES), *ROOT)
    is_(done.returncode, 1, 'a start that fails is told to who started it')
    like(done.stderr.decode(), 'cannot use runtime_dir .*Not a directory', 'with the reason')


def reopened(t):
    text = with_keys('    logging: {output: @dir@/log}\n', FILES)
    master = t.master(text)
    for name in ('log', 'err', 'out'):
        os.rename(t.path(name), t.path(f'{name}.1'))
    pids = [master.pid, *master.children()]
    master.kill(signal.SIGUSR1)
    for pid in pids:
        wait_for(lambda pid=pid: f'[{pid}]' in log_of(t, 'log'), what=f'process {pid} in the new log')
    ok(True, 'all processes write to the new log')
    wait_for(lambda: all(os.readlink(f'/proc/{pid}/fd/2') == t.path('err') for pid in pids), what='the new stderr')
    ok(True, 'and have the new stderr')
    for name in ('log', 'err', 'out'):
        os.rename(t.path(name), t.path(f'{name}.2'))
    master.kill(signal.SIGHUP)
    wait_for(lambda: 'master: reloaded generation=2' in log_of(t, 'log'), what='the reload in the new log')
    wait_for(lambda: os.readlink(f'/proc/{master.pid}/fd/2') == t.path('err'), what='the new stderr')
    ok(True, 'SIGHUP opens them again too')
    is_(master.stop(), 0, 'and it ends well')


run(detaches, overridden, silence_is_told, failure_is_told, reopened)
