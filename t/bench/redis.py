# redis.py - slimta on redis: a redis-server for each round, and workers that stand for further hosts
# SPDX-License-Identifier: MIT
import contextlib
import os
import signal
import socket
import subprocess
import time

from .servers import Slimta, process_cpu, process_pss
from .tools import Trouble

PREFIX = 'bench:'
# As the manual recommends for a queue; `fsync` varies. Nothing is saved at the end: a round's folder goes with it.
CONFIG = '''
bind 127.0.0.1
port {port}
dir {folder}
daemonize no
logfile {folder}/redis.log
save ""
appendonly yes
appendfsync {fsync}
auto-aof-rewrite-min-size 1gb
maxmemory-policy noeviction
shutdown-on-sigterm nosave
'''


class Redis:
    """A redis-server on a folder and port."""

    def __init__(self, folder, clock, port, fsync):
        self.folder, self.clock, self.port, self.fsync = folder, clock, port, fsync
        self.process = self.socket = self.lines = None

    def __enter__(self):
        os.mkdir(self.folder, 0o700)
        with open(f'{self.folder}/redis.conf', 'w', encoding='ascii') as out:
            out.write(CONFIG.format(folder=self.folder, port=self.port, fsync=self.fsync))
        self.process = subprocess.Popen(['redis-server', f'{self.folder}/redis.conf'], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            deadline = time.monotonic() + self.clock.limit(10)
            while not self.answers():
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise Trouble('redis-server did not start')
                time.sleep(0.02)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.socket:
            self.lines.close()
            self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self):
        try:
            self.socket = socket.create_connection(('127.0.0.1', self.port), 10)
            self.lines = self.socket.makefile('rb')
            return self.ask('PING') == '+PONG'
        except OSError:
            return False

    def ask(self, command):
        """The line of an answer that has only one, with its type."""
        self.socket.sendall(command.encode() + b'\r\n')
        return self.lines.readline().decode().strip()

    def number(self, command):
        return int(self.ask(command).lstrip(':'))

    def texts(self, command):
        """An answer of texts, or a list of them."""
        line = self.ask(command)
        count = int(line[1:]) if line[0] == '*' else 1
        found = []
        for number in range(count):
            size = int((line if number == 0 and line[0] == '$' else self.lines.readline().decode()).strip()[1:])
            found.append(self.lines.read(size + 2)[:-2].decode())
        return found

    def cpu(self):
        return process_cpu(self.process.pid)


class OnRedis(Slimta):
    """Our queue in a redis-server of its own, whose folder is the round's."""
    name = 'slimta-redis'
    fsync = 'everysec'
    where = f' on redis, AOF {fsync}'

    def __init__(self, folder, clock, ports, **how):
        super().__init__(folder, clock, ports, **how)
        self.redis = Redis(f'{folder}/redis', clock, self.storage_port, self.fsync)

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.redis)
            super().__enter__()
            stack.pop_all()
        return self

    def __exit__(self, *_):
        super().__exit__()
        self.redis.__exit__()

    def storage(self):
        return f"type: redis\n    host: 127.0.0.1\n    port: {self.redis.port}\n    prefix: '{PREFIX}'"

    def storage_cpu(self):
        return self.redis.cpu()

    def queued(self):
        return self.redis.number(f'ZCARD {PREFIX}index')

    def octets_a_message(self):
        """What one of them comes to in redis, names of fields and key with it."""
        key = PREFIX + self.redis.texts(f'ZRANGE {PREFIX}index 0 0')[0]
        names = ('head', 'octets')
        return len(key) + sum(len(name) + self.redis.number(f'HSTRLEN {key} {name}') for name in names)

    @contextlib.contextmanager
    def workers(self, count, connections):
        """So many, each alone as if on a host of its own, with so many connections to the next hop. Gives their pids."""
        started = []
        try:
            for number in range(count):
                place = f'{self.folder}/worker{number}'
                text = self.config(connections).replace(f'{self.folder}/run', f'{place}.run')
                path = self.write(f'worker{number}.conf', text)
                with open(f'{place}.stderr', 'ab') as out:
                    started.append(subprocess.Popen([f'{self.build}/slimta-worker', '-c', path, '--queue', 'main',
                        *self.as_root()], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True))
            yield [process.pid for process in started]
            for process in started:
                if process.poll() is not None:
                    raise Trouble('a worker ended')
        finally:
            for process in started:
                process.send_signal(signal.SIGTERM)
            for process in started:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def queuectl(self, *arguments):
        """Seconds that it takes."""
        began = time.monotonic()
        done = subprocess.run([f'{self.build}/slimta-queuectl', '-c', f'{self.folder}/slimta.conf', *arguments],
            capture_output=True, text=True, timeout=self.clock.limit(120), check=False)
        if done.returncode:
            raise Trouble(f"queuectl: {done.stderr.strip()}")
        return time.monotonic() - began, done.stdout


class OnRedisAlways(OnRedis):
    name = 'slimta-redis-always'
    fsync = 'always'
    where = f' on redis, AOF {fsync}'


class OnRedisSplit(OnRedis):
    """A message of many recipients becomes as many messages."""

    def config(self, *arguments):
        return super().config(*arguments).replace('{type: add_received_header}', '{type: add_received_header}, '
            '{type: recipient_split}')


class HashSets:
    """What a mark compares with: redis-benchmark, which only sets hashes of the same octets."""
    name = 'redis-benchmark'

    @staticmethod
    def rate(redis, clients, octets, requests):
        # The 24 octets are the key and the name of the field.
        done = subprocess.run(['redis-benchmark', '-h', '127.0.0.1', '-p', str(redis.port), '-c', str(clients), '-P', '1',
            '-n', str(requests), '-r', '1000000000', '--csv', 'HSET', 'bench:__rand_int__', 'octets',
            'x' * max(1, octets - 24)], capture_output=True, text=True, timeout=redis.clock.limit(60), check=False)
        last = done.stdout.strip().split('\n')[-1]
        try:
            return float(last.split('","')[1])
        except (IndexError, ValueError):
            raise Trouble(f'redis-benchmark: {done.stderr.strip() or last[:200]}') from None


def pss(pids):
    return max(process_pss(pid) for pid in pids)
