# servers.py - the two that are measured: how each is configured, started, looked at and stopped
# SPDX-License-Identifier: MIT
import contextlib
import grp
import os
import pwd
import resource
import signal
import socket
import subprocess
import time

from lib.fixture import IS_ROOT, TOP, descendants, process_stat

from .place import GROUP, USERS
from .tools import Trouble

DELIVERIES = 20                     # connections to the next hop that each may have at a time
PEERS = f'{TOP}/t/.peers'


def process_cpu(pid):
    with open(f'/proc/{pid}/stat', encoding='latin-1') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def process_pss(pid):
    """Octets of memory, shared pages divided among those that share them."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as rollup:
        return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith('Pss:'))


class Server:
    """A mail server on a folder of its own. `delivers`: it relays to the sink; else it only keeps what it accepts.
    `sessions` is how many clients there will be at a time. `ports`: its own, the next hop's, and one for what keeps its
    queue. `tls`: it offers STARTTLS."""

    def __init__(self, folder, clock, ports, delivers=True, sessions=20, retry=300, tls=False):
        os.mkdir(folder, 0o755)
        self.folder, self.clock, self.delivers, self.sessions, self.retry = folder, clock, delivers, sessions, retry
        self.port, self.sink_port, self.storage_port = ports
        self.certificate = f'{folder}/tls.crt', f'{folder}/tls.key'
        self.tls = tls
        self.process = None

    def __enter__(self):
        if self.tls:
            make_certificate(*self.certificate)
        self.configure()
        self.start()
        return self

    def start(self):
        with open(f'{self.folder}/stderr', 'ab') as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=dict(os.environ, **self.environment()), start_new_session=True)
        try:
            self.wait(self.is_ready, 30, 'to be ready')
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def environment(self):
        return {}

    def wait(self, condition, timeout, what):
        deadline = time.monotonic() + self.clock.limit(timeout)
        while not condition():
            if time.monotonic() > deadline:
                raise Trouble(f'{self.name} took more than {timeout} s {what}')
            if self.process.poll() is not None:
                raise Trouble(f'{self.name} ended: {self.last_words()}')
            time.sleep(0.02)

    def last_words(self):
        with open(f'{self.folder}/stderr', encoding='utf-8', errors='replace') as text:
            return ' / '.join(text.read().splitlines()[-3:])

    def greets(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port), 5) as sock:
                good = sock.recv(100).startswith(b'220')
                sock.sendall(b'QUIT\r\n')
                return good and bool(sock.recv(100))
        except OSError:
            return False

    def is_ready(self):
        return self.greets()

    def wait_empty(self, timeout=60):
        """Until nothing is queued any more."""
        self.wait(lambda: self.queued() == 0, timeout, 'to empty its queue')

    def memory(self):
        """Octets of memory that all its processes have."""
        total = 0
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(OSError, StopIteration):
                total += process_pss(pid)
        return total

    def cpu(self, name):
        """Seconds of processor time that its processes of that name had."""
        return sum(process_cpu(pid) for pid in descendants(self.process.pid)
            if (process_stat(pid) or ('', 0, ''))[2] == name)

    def storage_cpu(self):
        """The same of what keeps its queue, where that is a process of its own."""
        return 0

    def stop(self):
        """Ends it; gives the seconds of processor time that all its processes had since it was started."""
        if self.process.returncode is not None:
            return 0
        members = [self.process.pid, *descendants(self.process.pid)]
        self.process.send_signal(signal.SIGTERM)
        deadline, total = time.monotonic() + 30, 0
        for pid in members:
            while True:
                try:
                    done, status, usage = os.wait4(pid, os.WNOHANG)
                except ChildProcessError:
                    break       # its parent has waited for it, and has its time
                if done:
                    total += usage.ru_utime + usage.ru_stime
                    if pid == self.process.pid:
                        self.process.returncode = os.waitstatus_to_exitcode(status)
                    break
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.005)
        return total

    def write(self, name, text):
        path = f'{self.folder}/{name}'
        with open(path, 'w', encoding='utf-8') as out:
            out.write(text)
        return path

    def make(self, name, mode, user=0, group=-1):
        path = f'{self.folder}/{name}'
        os.mkdir(path)
        os.chown(path, user, group)
        os.chmod(path, mode)


class Slimta(Server):
    name = 'slimta'
    where = ''
    build = f'{TOP}/build/default'
    CONFIG = '''
process:
  slimta:
    runtime_dir: {folder}/run
    fqdn: bench.example
    logging: {{level: info, output: {folder}/log/slimta.log}}
  master: {{pid_file: {folder}/slimta.pid}}
  worker: {{instances: {workers}}}
edge:
  in: {{type: smtp, queue: main, listener: {{interface: 127.0.0.1, port: {port}}}}}
queue:
  main:
    {storage}
    relay: sink
    retry: {{delay: {retry}, maximum_age: 5d}}
    policies: [{{type: add_date_header}}, {{type: add_message_id_header}}, {{type: add_received_header}}]
relay:
  sink: {{type: static, host: 127.0.0.1, port: {sink_port}, concurrent_connections: {deliveries}}}
'''

    def storage(self):
        """The keys of the queue that say where it is kept."""
        return f'type: disk\n    envelope_dir: {self.folder}/queue/messages\n    meta_dir: {self.folder}/queue/meta'

    def configure(self):
        user = pwd.getpwnam(USERS[0]) if self.has_user() else None
        for name in ('queue', 'log'):
            self.make(name, 0o700, user.pw_uid if user else -1, user.pw_gid if user else -1)
        self.write('slimta.conf', self.config())

    def config(self, deliveries=DELIVERIES):
        text = self.CONFIG.format(folder=self.folder, workers='auto' if self.delivers else 0, port=self.port,
            retry=self.retry, sink_port=self.sink_port, deliveries=deliveries, storage=self.storage())
        if self.tls:
            text = text.replace('edge:\n  in: {', 'edge:\n  in: {{tls: {{certfile: {}, keyfile: {}}}, '.format(*self.certificate))
        return text.replace('    fqdn:', f'    user: {USERS[0]}\n    fqdn:') if self.has_user() else text

    @staticmethod
    def has_user():
        try:
            return IS_ROOT and pwd.getpwnam(USERS[0]) is not None
        except KeyError:
            return False

    def command(self):
        return [f'{self.build}/slimta-master', '-c', f'{self.folder}/slimta.conf', *self.as_root()]

    def as_root(self):
        return ['--allow-root'] if IS_ROOT and not self.has_user() else []

    def is_ready(self):
        return os.path.exists(f'{self.folder}/slimta.pid') and self.greets()

    def queued(self):
        with os.scandir(f'{self.folder}/queue/messages') as entries:
            return sum(entry.name.endswith('.env') and not entry.name.startswith('.') for entry in entries)

    def flush(self):
        """Nothing is to be done: all is due by itself."""


class Postfix(Server):
    name = 'postfix'
    MAIN = '''
compatibility_level = 3.6
config_directory = {folder}/etc
meta_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {peers}/usr/lib/postfix/sbin
command_directory = {peers}/usr/sbin
shlib_directory = {peers}/usr/lib/postfix
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH
mail_owner = {owner}
setgid_group = {group}
maillog_file = {folder}/log/mail.log
maillog_file_prefixes = {folder}/log
myhostname = bench.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
smtp_connection_cache_destinations = [127.0.0.1]:{sink_port}
default_destination_concurrency_limit = {deliveries}
default_process_limit = {processes}
minimal_backoff_time = {retry}
'''
    # What keeps mail and delivers none; its flow control would wait for deliveries that never come.
    HOLD = '''smtpd_client_restrictions = static:HOLD
in_flow_delay = 0
'''
    TLS = '''smtpd_tls_security_level = may
smtpd_tls_chain_files = {1}, {0}
'''
    # As in the master.cf that Postfix comes with, but that nothing is chrooted: service, type, private, wakeup, maxproc,
    # program.
    SERVICES = '''
pickup      unix        n  60     1  pickup
cleanup     unix        n  -      0  cleanup
qmgr        unix        n  300    1  qmgr
rewrite     unix        -  -      -  trivial-rewrite
bounce      unix        -  -      0  bounce
defer       unix        -  -      0  bounce
trace       unix        -  -      0  bounce
verify      unix        -  -      1  verify
flush       unix        n  1000?  0  flush
proxymap    unix        -  -      -  proxymap
proxywrite  unix        -  -      1  proxymap
smtp        unix        -  -      -  smtp
relay       unix        -  -      -  smtp
showq       unix        n  -      -  showq
error       unix        -  -      -  error
retry       unix        -  -      -  error
anvil       unix        -  -      1  anvil
scache      unix        -  -      1  scache
tlsmgr      unix        -  1000?  1  tlsmgr
postlog     unix-dgram  n  -      1  postlogd
'''

    def configure(self):
        owner, group = pwd.getpwnam(USERS[1]).pw_uid, grp.getgrnam(GROUP).gr_gid
        self.make('etc', 0o755)
        self.make('log', 0o755)
        self.make('data', 0o700, owner)
        self.make('queue', 0o755)
        for name in 'active bounce corrupt defer deferred flush hold incoming private saved trace'.split():
            self.make(f'queue/{name}', 0o700, owner)
        self.make('queue/pid', 0o755)
        self.make('queue/maildrop', 0o730, owner, group)
        self.make('queue/public', 0o2710, owner, group)
        text = self.MAIN.format(folder=self.folder, peers=PEERS, owner=USERS[1], group=GROUP, sink_port=self.sink_port,
            deliveries=DELIVERIES, processes=max(100, self.sessions + 50), retry=self.retry)
        text += self.TLS.format(*self.certificate) if self.tls else ''
        self.write('etc/main.cf', text + ('' if self.delivers else self.HOLD))
        lines = [f'{self.port} inet n - n - - smtpd']
        for service in self.SERVICES.strip().split('\n'):
            name, kind, private, wakeup, most, program = service.split()
            lines.append(f'{name} {kind} {private} - n {wakeup} {most} {program}')
        self.write('etc/master.cf', '\n'.join(lines) + '\n')
        self.write('etc/dynamicmaps.cf', '')

    def environment(self):
        return {'MAIL_CONFIG': f'{self.folder}/etc', 'LD_LIBRARY_PATH': libraries()}

    def command(self):
        return [f'{PEERS}/usr/lib/postfix/sbin/master', '-d', '-c', f'{self.folder}/etc']

    def last_words(self):
        try:
            with open(f'{self.folder}/log/mail.log', encoding='utf-8', errors='replace') as text:
                return ' / '.join(text.read().splitlines()[-3:])
        except OSError:
            return super().last_words()

    def queued(self):
        return sum(len(names) for place in ('maildrop', 'incoming', 'active', 'deferred', 'hold')
            for _, _, names in os.walk(f'{self.folder}/queue/{place}'))

    def flush(self):
        """What was deferred is tried now."""
        subprocess.run([f'{PEERS}/usr/sbin/postqueue', '-c', f'{self.folder}/etc', '-f'], check=True,
            env=dict(os.environ, **self.environment()))


def make_certificate(certificate, key):
    """Of the host, signed by itself, with a key on P-256."""
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days',
        '2', '-keyout', key, '-out', certificate, '-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example'],
        check=True, capture_output=True)


def libraries():
    """Where the unpacked Postfix finds what is not installed."""
    found = [f'{PEERS}/usr/lib/postfix']
    for place in ('usr/lib', 'lib'):
        for name in sorted(os.listdir(f'{PEERS}/{place}')):
            if name.endswith('-linux-gnu'):
                found.append(f'{PEERS}/{place}/{name}')
    return ':'.join(found)


def raise_descriptors():
    """For thousands of sessions; the servers inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
