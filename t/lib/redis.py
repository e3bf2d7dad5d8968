# redis.py - redis-servers of the test's own: alone, as replicas with sentinels, as a cluster
# SPDX-License-Identifier: MIT
#
# redis = Redis(t, aof='always')        # runs; ends with the test, also when that is killed
# redis('HGETALL', 'slimta:x')          # a command, see resp.py; redis.client() for a connection to keep
# redis.kill(); redis.start()           # the same folder and port
import ctypes
import os
import signal
import subprocess

from .certificates import Certificates
from .fixture import Failure, Process, wait_for
from .resp import Resp, RespError

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_the_test():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class RedisProcess(Process):
    def kill(self, number=signal.SIGKILL):
        super().kill(number)
        if number == signal.SIGTERM:
            super().kill(signal.SIGCONT)    # one that is stopped would not hear it


class Server:
    """What redis-server and a sentinel have in common. `prefix`: a command that runs it elsewhere, such as
    ['ip', 'netns', 'exec', NAME]; `address`: what it listens on, and is spoken to."""

    def __init__(self, t, name, lines, address='127.0.0.1', prefix=(), arguments=()):
        self.t, self.name, self.address = t, name, address
        self.dir = t.folder(name)
        self.port = t.port(name)
        self.prefix, self.arguments = list(prefix), list(arguments)
        self.conf = os.path.join(self.dir, 'redis.conf')
        self.process = None
        t.write(f'{name}/redis.conf', '\n'.join([f'dir {self.dir}', f'bind {address}', 'protected-mode no', 'daemonize no',
            *lines]) + '\n')

    def start(self, wait=True):
        """Starts it, again on what it has; waits until it has read its files and answers, also by -NOAUTH."""
        log_path = os.path.join(self.dir, 'log')
        with open(log_path, 'ab') as log:
            self.log_start = log.tell()
            popen = subprocess.Popen([*self.prefix, 'redis-server', self.conf, *self.arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.dir, env=self.t.env, start_new_session=True, preexec_fn=die_with_the_test)
        self.process = RedisProcess(self.name, popen, log_path)
        self.t.processes.append(self.process)
        if wait:
            wait_for(self.answers, 15, f'{self.name} to answer')
        return self

    def answers(self):
        if not self.process.running():
            raise Failure(f'{self.name} ended: {self.process.log[-400:]}')
        try:
            with self.connect() as client:
                client('PING')
        except RespError as error:
            return not str(error).startswith('LOADING') and (not str(error).startswith('NOAUTH') or self._has_read_files())
        except OSError:
            return False
        return True

    def _has_read_files(self):
        """Who has not said a password is told nothing else: the log tells."""
        return 'Ready to accept connections' in self.process.log.encode()[self.log_start:].decode(errors='replace')

    def connect(self, timeout=10):
        """A Resp without a password."""
        return Resp((self.address, self.port), timeout)

    def client(self, timeout=10):
        """A Resp to keep."""
        return self.connect(timeout)

    def __call__(self, *parts):
        with self.client() as client:
            return client(*parts)

    def info(self, section):
        """INFO as a dict of texts."""
        lines = self('INFO', section).decode().split('\r\n')
        return dict(line.split(':', 1) for line in lines if ':' in line)

    def stop(self):
        """Ends it in order (SIGTERM)."""
        self.process.stop()

    def kill(self):
        """kill -9, and waits."""
        self.process.kill(signal.SIGKILL)
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        """It stays connected and does nothing, until resume()."""
        self.process.kill(signal.SIGSTOP)

    def resume(self):
        self.process.kill(signal.SIGCONT)


class Redis(Server):
    """A redis-server that runs. aof: None, 'always', 'everysec' or 'no'; conf: further lines of redis.conf; acl: lines behind
    `user`, such as 'queue on >secret ~slimta:* &* +@all -@dangerous'; tls: certificates() to listen with on `tls_port`,
    clients=True makes it ask for a client's; replica_of: another Redis."""

    def __init__(self, t, name='redis', *, aof=None, conf='', password=None, acl=(), tls=None, tls_clients=False,
            replica_of=None, cluster=False, start=True, **where):
        self.password = password
        self.socket = os.path.join(t.folder(name), 'socket')
        lines = ['save ""', 'shutdown-timeout 0', f'unixsocket {self.socket}', 'unixsocketperm 777', 'maxmemory-policy noeviction',
            'repl-diskless-sync-delay 0', 'repl-ping-replica-period 1']
        lines += [f'appendonly {"yes" if aof else "no"}', f'appendfsync {aof or "everysec"}']
        lines += [f'port {t.port(name)}']
        if password:
            lines += [f'requirepass {password}', f'masterauth {password}']
        lines += [f'user {line}' for line in acl]
        if tls:
            self.tls_port = t.port(f'{name}_tls')
            lines += [f'tls-port {self.tls_port}', f'tls-cert-file {tls}/server.crt', f'tls-key-file {tls}/server.key',
                f'tls-ca-cert-file {tls}/ca.crt', f'tls-auth-clients {"yes" if tls_clients else "no"}']
        if replica_of:
            lines += [f'replicaof {replica_of.address} {replica_of.port}']
        if cluster:
            self.bus = t.port(f'{name}_bus')
            lines += ['cluster-enabled yes', 'cluster-config-file nodes.conf', 'cluster-node-timeout 2000',
                f'cluster-port {self.bus}']
        super().__init__(t, name, lines + conf.split('\n'), **where)
        if start:
            self.start()

    def client(self, timeout=10):
        return Resp((self.address, self.port), timeout, self.password)

    def calls(self):
        """How often each command was called: {'evalsha': 3, ...}, from INFO commandstats."""
        stats = self.info('commandstats')
        return {name[len('cmdstat_'):]: int(text.split('calls=')[1].split(',')[0]) for name, text in stats.items()}

    def set(self, name, value):
        """CONFIG SET."""
        self('CONFIG', 'SET', name, value)

    def wait_linked(self):
        """As a replica: waits until it has its master's data, in its own file too, before which it would not hear SIGTERM."""
        wait_for(lambda: self.info('replication').get('master_link_status') == 'up', 20, f'{self.name} to be linked')
        wait_for(lambda: (said := self.info('persistence'))['aof_rewrite_in_progress'] == '0' == said['aof_rewrite_scheduled'],
            20, f'{self.name} to write its file')

    def wait_role(self, role):
        """'master' or 'slave', as redis says it."""
        wait_for(lambda: self.info('replication').get('role') == role, 30, f'{self.name} to be {role}')

    def keys(self):
        """The options of slimta.conf that lead here, as the inside of a { }."""
        text = f'host: "{self.address}", port: {self.port}'
        return text + (f', password: "{self.password}"' if self.password else '')


class Sentinel(Server):
    """A sentinel of `master` that runs; start it once the replicas are linked, else it takes 10 s to know them."""

    def __init__(self, t, name, master, *, master_name='mymaster', quorum=2, down_ms=500, conf='', **where):
        lines = [f'port {t.port(name)}', f'sentinel monitor {master_name} {master.address} {master.port} {quorum}',
            f'sentinel down-after-milliseconds {master_name} {down_ms}', f'sentinel failover-timeout {master_name} 3000',
            f'sentinel parallel-syncs {master_name} 1']
        if master.password:
            lines += [f'sentinel auth-pass {master_name} {master.password}']
        self.master_name = master_name
        super().__init__(t, name, lines + conf.split('\n'), arguments=['--sentinel'], **where)
        self.start()

    def master(self):
        """(HOST, PORT) of the master, as it knows."""
        host, port = self('SENTINEL', 'get-master-addr-by-name', self.master_name)
        return host.decode(), int(port)


def replicated(t, replicas=1, sentinels=3, **how):
    """A master, replicas that are linked, and sentinels that know them and each other: ([Redis], [Sentinel])."""
    servers = [Redis(t, 'redis0', **how)]
    servers += [Redis(t, f'redis{number}', replica_of=servers[0], **how) for number in range(1, replicas + 1)]
    for replica in servers[1:]:
        replica.wait_linked()
    watchers = [Sentinel(t, f'sentinel{number}', servers[0], quorum=sentinels // 2 + 1) for number in range(sentinels)]

    def complete(watcher):
        fields = watcher('SENTINEL', 'MASTER', watcher.master_name)
        known = dict(zip(fields[::2], fields[1::2]))
        return int(known[b'num-slaves']) == replicas and int(known[b'num-other-sentinels']) == sentinels - 1
    for watcher in watchers:
        wait_for(lambda watcher=watcher: complete(watcher), 30, f'{watcher.name} to know the others')
    return servers, watchers


def cluster(t, nodes=3, **how):
    """Masters that share the slots, and know so: [Redis]."""
    servers = [Redis(t, f'node{number}', cluster=True, **how) for number in range(nodes)]
    made = subprocess.run(['redis-cli', '--cluster', 'create', *[f'127.0.0.1:{server.port}' for server in servers],
        '--cluster-replicas', '0', '--cluster-yes'], capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise Failure(f'no cluster: {made.stdout[-800:]}{made.stderr[-400:]}')
    for server in servers:
        wait_for(lambda server=server: b'cluster_state:ok' in server('CLUSTER', 'INFO'), 30, f'{server.name} to join')
    return servers


def certificates(t, name='tls'):
    """A folder with ca.crt, server.crt and .key (for localhost and 127.0.0.1), wrong.crt and .key (for another name, by the
    same CA), client.crt and .key, and other.crt (of a CA that signed none of them)."""
    made = Certificates(t, name=name)
    for who in ('server', 'wrong', 'client'):
        made.make(who)
    return made.folder
