# fixture.py - what system tests stand on: scratch folder, ports, programs, logs, nothing left behind
# SPDX-License-Identifier: MIT
#
# def test(t):                          # t is a Fixture
#     master = t.master(CONFIG)         # @dir@ @port:NAME@ @process@ @user@ stand for what this test has
#     with t.client('smtp') as c: ...
# run(test)
import ctypes
import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from .peer import Client, Peer, Reply, Server, dot_stuffed
from .tap import diag, failed, is_, like, ok, plan, skip, skip_all, unlike

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get('SLIMTA_BUILD', 'build/default'))
SLOW = 4 if 'sanitize' in BUILD else 1      # sanitized programs are given more time
IS_ROOT = os.geteuid() == 0
PR_SET_CHILD_SUBREAPER = 36


class Failure(Exception):
    """The test cannot go on."""


def wait_for(condition, timeout=10, what='condition'):
    """Calls until the result is true and gives it; raises Failure after `timeout` seconds."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure(f'not within {timeout * SLOW} s: {what}')
        time.sleep(0.01)


def process_stat(pid):
    """(state, parent, name) of a process, or None when it is gone."""
    try:
        with open(f'/proc/{pid}/stat', encoding='latin-1') as stat:
            text = stat.read()
    except OSError:
        return None
    name = text[text.index('(') + 1:text.rindex(')')]
    fields = text[text.rindex(')') + 2:].split()
    return fields[0], int(fields[1]), name


def descendants(root):
    """Pids of all processes below `root` that are not zombies."""
    parents = {}
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            stat = process_stat(int(entry))
            if stat:
                parents[int(entry)] = stat
    found, new = [], [root]
    while new:
        new = [pid for pid, stat in parents.items() if stat[1] in new]
        found += new
    return [pid for pid in found if parents[pid][0] != 'Z']


class Process:
    """A program that was started. Its stderr and stdout are appended to `log_path`."""

    def __init__(self, name, popen, log_path):
        self.name, self.popen, self.log_path = name, popen, log_path
        self.pid = popen.pid

    @property
    def log(self):
        with open(self.log_path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def wait_log(self, pattern, timeout=10, since=0):
        """Waits for a line of the log, from character `since` on; gives the match."""
        def found():
            match = re.compile(pattern, re.M).search(self.log, since)
            if not match and self.popen.poll() is not None:
                match = re.compile(pattern, re.M).search(self.log, since)
                if not match:
                    raise Failure(f'{self.name} ended ({self.popen.returncode}) before it logged {pattern!r}')
            return match
        return wait_for(found, timeout, f'{self.name} to log {pattern!r}')

    def children(self, name=None):
        """Pids of its descendants, of those called `name` where it is given (15 characters count)."""
        pids = descendants(self.pid)
        return [pid for pid in pids if name is None or (process_stat(pid) or ('', 0, ''))[2] == name[:15]]

    def running(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        self.popen.send_signal(number)

    def wait(self, timeout=15):
        """Waits for its end; gives the exit status (negative: the signal)."""
        try:
            return self.popen.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure(f'{self.name} did not end within {timeout * SLOW} s') from None

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Signals it and waits for its end; gives the exit status."""
        if self.running():
            self.kill(number)
        return self.wait(timeout)


class Fixture:
    def __init__(self, faults=False, timeout=10):
        self.build = BUILD
        if faults and 'faults' not in BUILD:
            self.build = BUILD.replace('build/default', 'build/faults').replace('sanitize', 'sanitize-faults')
            if not os.path.isdir(self.build):
                skip_all(f'not built: {os.path.relpath(self.build, TOP)}')
        self.timeout = timeout * SLOW
        base = os.environ.get('TMPDIR') or '/tmp'
        self.dir = tempfile.mkdtemp(prefix='slimta-t-', dir=base)
        os.chmod(self.dir, 0o711)
        self.ports = {}
        self.port_locks = []
        self.processes = []
        self.servers = []
        self.sockets = []
        self.reports = self.path('sanitizer')
        os.mkdir(self.reports)
        os.chmod(self.reports, 0o1777)
        self.env = dict(os.environ, LC_ALL='C.UTF-8', HOME=self.dir,
            ASAN_OPTIONS=f'log_path={self.reports}/asan:exitcode=99:abort_on_error=0',
            UBSAN_OPTIONS=f'log_path={self.reports}/ubsan:print_stacktrace=1:halt_on_error=1:exitcode=99')
        for key in ('NOTIFY_SOCKET', 'LISTEN_FDS', 'LISTEN_PID', 'XDG_RUNTIME_DIR', 'SLIMTA_FAULT'):
            self.env.pop(key, None)

    # ---- files and places

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=None):
        """Writes a file of the scratch folder; gives its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as out:
            out.write(text.encode() if isinstance(text, str) else text)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def read(self, name):
        with open(self.path(name), 'rb') as data:
            return data.read()

    def folder(self, name, user=None):
        """Makes a folder, for `user` where the test runs as root; gives its path."""
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        if user and IS_ROOT:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def port(self, name):
        """A free port, the same for the same name; no other test gets it while this one runs."""
        if name not in self.ports:
            self.ports[name] = self._free_port()
        return self.ports[name]

    def _free_port(self):
        locks = os.path.join(tempfile.gettempdir(), f'slimta-ports-{os.getuid()}')
        os.makedirs(locks, exist_ok=True)
        start = os.getpid() * 61 % 8000
        for offset in range(8000):
            port = 20000 + (start + offset) % 8000
            lock = open(os.path.join(locks, str(port)), 'w', encoding='ascii')
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.create_server(('127.0.0.1', port), reuse_port=False):
                    pass
            except OSError:
                lock.close()
                continue
            self.port_locks.append(lock)
            return port
        raise Failure('no free port')

    def config(self, text, name='slimta.conf'):
        """Writes a configuration with @...@ filled in; gives its path."""
        text = re.sub(r'@port:(\w+)@', lambda match: str(self.port(match[1])), text)
        process = f'process:\n  slimta:\n    runtime_dir: {self.dir}/runtime\n'
        text = text.replace('@process@', process).replace('@dir@', self.dir)
        return self.write(name, text)

    # ---- programs

    def program(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise Failure(f'not built: {os.path.relpath(path, TOP)}')
        return path

    def run(self, *args, env=None, stdin=b'', timeout=20, cwd=None):
        """Runs to the end and gives subprocess' result with bytes; a program of ours by its name."""
        args = list(args)
        if args[0].startswith('slimta-'):
            args[0] = self.program(args[0])
        return subprocess.run(args, input=stdin, capture_output=True, timeout=timeout * SLOW,
            env=dict(self.env, **(env or {})), cwd=cwd or self.dir, check=False)

    def start(self, *args, env=None, ready=None, timeout=15, notify=False):
        """Starts a program of ours and waits for the log line `ready`, with notify for READY=1."""
        name = os.path.basename(args[0])
        env = dict(self.env, **(env or {}))
        notifier = None
        if notify:
            notifier = self._notify_socket()
            env['NOTIFY_SOCKET'] = notifier.getsockname()
        log_path = self.path(f'{name}.{len(self.processes)}.log')
        with open(log_path, 'ab') as log:
            popen = subprocess.Popen([self.program(args[0]), *args[1:]], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=env, cwd=self.dir, start_new_session=True)
        process = Process(name, popen, log_path)
        process.notifier = notifier
        self.processes.append(process)
        if notify:
            wait_for(lambda: self._notified(process, rb'^READY=1$'), timeout, f'READY=1 of {name}')
        elif ready:
            process.wait_log(ready, timeout)
        return process

    def _notify_socket(self):
        notifier = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        notifier.bind(self.path(f'notify.{len(self.sockets)}'))
        os.chmod(notifier.getsockname(), 0o777)
        self.sockets.append(notifier)
        return notifier

    def _notified(self, process, pattern):
        process.notes = getattr(process, 'notes', b'')
        while True:
            try:
                process.notes += process.notifier.recv(4096) + b'\n'
            except BlockingIOError:
                break
        if re.search(pattern, process.notes, re.M):
            return True
        if not process.running():
            raise Failure(f'{process.name} ended ({process.popen.returncode}) before it was ready')
        return False

    def wait_notified(self, process, pattern, timeout=10):
        """Waits for a line sent to NOTIFY_SOCKET, such as rb'^STOPPING=1$'."""
        wait_for(lambda: self._notified(process, pattern), timeout, f'{pattern} from {process.name}')

    def daemon(self, name, text, *args, env=None, ready=None, notify=False, allow_root=True):
        """Starts `name -c CONFIG ARGS`; with new ports when another program took one of ours."""
        more = ['--allow-root'] if IS_ROOT and allow_root else []
        for attempt in range(3):
            conf = self.config(text)
            started = len(self.processes)
            try:
                process = self.start(name, '-c', conf, *more, *args, env=env, ready=ready, notify=notify)
                process.conf = conf
                return process
            except Failure:
                mine = self.processes[started:]
                if attempt == 2 or not mine or mine[0].running() or 'in use' not in mine[0].log:
                    raise
                self.ports.clear()

    def master(self, text, *args, **how):
        return self.daemon('slimta-master', text, *args, notify=True, **how)

    def edge(self, text, *args, **how):
        return self.daemon('slimta-edge', text, *args, ready=r'\bready\b', **how)

    def worker(self, text, queue, *args, **how):
        return self.daemon('slimta-worker', text, '--queue', queue, *args, ready=r'\bready\b', **how)

    def queuectl(self, *args, code=0, conf=None):
        """Runs slimta-queuectl on the test's configuration, checks its exit status, gives its stdout."""
        result = self.run('slimta-queuectl', '-c', conf or self.path('slimta.conf'), *args)
        if not is_(result.returncode, code, f"queuectl {' '.join(args)} exits {code}"):
            diag(result.stderr.decode(errors='replace'))
        return result.stdout.decode()

    # ---- peers

    def client(self, port, timeout=None):
        """A Client connected to a port, given by number, name or as a unix socket's path."""
        if isinstance(port, str) and port.startswith('/'):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(port)
        else:
            port = self.port(port) if isinstance(port, str) else port
            sock = socket.create_connection(('127.0.0.1', port), self.timeout)
        self.sockets.append(sock)
        return Client(sock, timeout or self.timeout)

    def server(self, script, path=None, address=('127.0.0.1', 0)):
        """A Server that runs `script(peer)` for each connection."""
        server = Server(script, self.timeout, path, address)
        self.servers.append(server)
        return server

    # ---- the end

    def close(self):
        """Ends what runs; fails the test for what stayed behind and for what a sanitizer wrote."""
        for sock in self.sockets:
            sock.close()
        for process in reversed(self.processes):
            if process.running():
                process.kill(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait()
            except Failure as failure:
                ok(False, str(failure))
                process.popen.kill()
                process.popen.wait()
        for server in self.servers:
            server.close()
            for error in server.errors:
                ok(False, 'the server script ran to its end')
                diag(error)
        self._end_leftovers()
        for name in self._sanitizer_reports():
            ok(False, f'no sanitizer report ({name})')
            with open(os.path.join(self.reports, name), errors='replace', encoding='utf-8') as report:
                diag(report.read()[:6000])

    def _sanitizer_reports(self):
        """But those of a process that was killed while the leak checker looked at its threads: that finds none then."""
        for name in sorted(os.listdir(self.reports)):
            with open(os.path.join(self.reports, name), encoding='utf-8', errors='replace') as report:
                lines = report.read().splitlines()
            if not lines or not all(re.fullmatch(r'==\d+==Unable to get registers from thread \d+\.', line) for line in lines):
                yield name

    def _end_leftovers(self):
        deadline = time.monotonic() + 3 * SLOW
        while True:
            reap()
            left = descendants(os.getpid())
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        for pid in left:
            ok(False, f'no process is left behind ({(process_stat(pid) or (0, 0, pid))[2]})')
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap()

    def show_logs(self, most=40):
        for process in self.processes:
            lines = process.log.splitlines()
            diag(f'---- {process.log_path}: the last {min(most, len(lines))} of {len(lines)} lines')
            for line in lines[-most:]:
                diag(line[:400])

    def remove(self):
        for lock in self.port_locks:
            lock.close()
        if os.environ.get('KEEP'):
            diag(f'kept: {self.dir}')
            return
        for folder, _, _ in os.walk(self.dir):
            os.chmod(folder, 0o700)
        shutil.rmtree(self.dir)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def run(*tests, faults=False, timeout=120):
    """Runs each test(t) with a Fixture of its own; prints the plan and exits. `faults` uses the
    programs built with FAULTS=1; `timeout` is for all of it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def expired(*_):
        raise Failure(f'the test took longer than {timeout * SLOW} s')
    signal.signal(signal.SIGALRM, expired)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.alarm(timeout * SLOW)
    for test in tests:
        run_one(test, faults)
    sys.exit(plan())


def run_one(test, faults):
    before = failed()
    fixture = Fixture(faults)
    try:
        test(fixture)
    except Failure as failure:
        ok(False, str(failure))
        diag(traceback.format_exc())
    except Exception as error:
        ok(False, f'{test.__name__} ran to its end ({error!r})')
        diag(traceback.format_exc())
    finally:
        fixture.close()
        if failed() > before:
            fixture.show_logs()
        fixture.remove()
