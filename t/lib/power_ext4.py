# power_ext4.py - mail on a real file system that loses its power
# SPDX-License-Identifier: MIT
import os
import random
import re
import smtplib
import threading
import time

from lib.fixture import is_, ok, wait_for
from lib.next_hop import NextHop
from lib.power_load import CONFIG
from lib.volume import Volume, namespace

SEED = int(os.environ.get('SEED') or time.time())


class Client(threading.Thread):
    """Sends until it is told to stop, every `pause` seconds; `accepted` are the recipients of what was answered 250."""

    def __init__(self, t, name, pause=0):
        super().__init__(daemon=True)
        self.t, self.name, self.pause, self.chance = t, name, pause, random.Random(f'{SEED} {name}')
        self.accepted, self.ended = {}, False
        self.start()

    def run(self):
        smtp, number = None, 0
        while not self.ended:
            number += 1
            time.sleep(self.pause)
            recipients = [f'{kind}{self.name}-{number}@d{n}.example' for n, kind in
                enumerate(self.chance.choice((('a',), ('late',), ('a', 'a', 'a'), ('a', 'late'))))]
            body = f'{recipients[0]}\r\n' + 'x' * 70 * self.chance.choice((1, 10, 100)) + '\r\n'
            try:
                smtp = smtp or smtplib.SMTP('127.0.0.1', self.t.port('smtp'), timeout=20)
                if not smtp.sendmail('s@example.org', recipients, 'Subject: x\r\n\r\n' + body):
                    self.accepted.update((recipient, body.encode()) for recipient in recipients)
            except (OSError, smtplib.SMTPException):
                smtp = None
                time.sleep(0.02)


class Hop(NextHop):
    def __init__(self, t):
        super().__init__(t, {'RCPT': self.rcpt})
        self.seen = set()

    def rcpt(self, _, line):
        address = line[line.index('<') + 1:line.rindex('>')]
        if address.startswith('late') and address not in self.seen:
            self.seen.add(address)
            return '451 4.2.1 later'
        return None


class Queue:
    """A queue on a volume of its own, and what it has promised: `accepted`, recipient -> body."""

    def __init__(self, t):
        namespace()
        self.t, self.volume, self.hop, self.accepted = t, Volume(t, 'queue', 128 << 20), Hop(t), {}
        os.mkdir(t.path('queue', 'tmp'))
        self.config = CONFIG.replace('@hop@', str(self.hop.port))

    def cut(self, name, env=None):
        """Mail, the end of power, and a worker that delivers what is there then."""
        t, chance = self.t, random.Random(f'{SEED} {name}')
        edge, worker = t.edge(self.config, env=env), t.worker(self.config, 'q', env=env)
        clients = [Client(t, f'{name}-{number}') for number in range(4)]
        wait_for(lambda: any(client.accepted for client in clients), 20, 'mail')
        time.sleep(chance.random())     # the moment is the test's subject
        self.volume.cut()
        time.sleep(0.1)                 # what is still answered 250 would be lost
        ok(edge.running() and worker.running(), 'edge and worker bear that every call fails')
        self.end()
        for client in clients:
            client.ended = True
        for client in clients:
            client.join(30)
            self.accepted.update(client.accepted)
        self.volume.unmount()
        ok(self.volume.mount(chance.choice(('commit=300', 'commit=300,data=writeback'))), 'mounted again')
        worker = t.worker(self.config, 'q')
        wait_for(lambda: not self.left(), 30, 'the queue to be empty')
        is_(worker.stop(), 0, 'the next worker delivers what is there')
        return worker

    def left(self):
        return [name for name in os.listdir(self.t.path('queue', 'env')) if re.search(r'\.(env|batch)$', name)]

    def lost(self):
        return sorted(set(self.accepted) - set(self._taken()))

    def changed(self):
        return [address for address, octets in self._taken().items() if address in self.accepted and
            not octets.endswith(b'\r\n\r\n' + self.accepted[address])]

    def _taken(self):
        with self.hop.lock:
            return {address: message['data'] for message in self.hop.messages for address in message['recipients']}

    def end(self):
        """kill -9 of all programs."""
        for process in self.t.processes:
            if process.running():
                process.kill()
                process.wait()

    def close(self):
        self.end()
        self.volume.unmount()
