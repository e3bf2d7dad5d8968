# power_load.py - mail under the recorder, what has to be left of it after a power cut, and whether it is
# SPDX-License-Identifier: MIT
import ctypes
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import zlib

from lib.fixture import Failure, wait_for
from lib.next_hop import NextHop
from lib.power_cut import History, build, differences

CONFIG = '''@process@    spool_dir: @dir@/queue/tmp
    spool_threshold: 4K
edge:
  main: {type: smtp, queue: q, hostname: mx.example, listener: {port: @port:smtp@}}
queue:
  q: {type: disk, relay: r, envelope_dir: @dir@/queue/env, meta_dir: @dir@/queue/meta, allow_volatile: yes,
    retry: {delay: 1, maximum: 1000}, policies: [{type: recipient_domain_split}]}
relay:
  r: {type: static, host: 127.0.0.1, port: @hop@, concurrent_connections: 4}
'''
CLIENTS = 4
LATE, FAILED = '451 4.2.1 later', '550 5.1.1 no such user'


class Mail:
    """One transaction of a client."""

    def __init__(self, name, recipients, body):
        self.sender, self.recipients, self.body, self.id = f'bounce-{name}@s.example', recipients, body, None
        self.sum = zlib.adler32(body)


class Load:
    """Runs the programs on @dir@/queue with mail of every kind; `history()` is what they did there."""

    def __init__(self, t, env=None, waves=2):
        self.t, self.waves = t, waves
        self.mails, self.lock, self.heard, self.late = [], threading.Lock(), {}, set()
        self.leased, self.marked = threading.Event(), threading.Event()
        self.root = os.path.join(os.path.realpath(t.dir), 'queue')
        self.record = t.path('record')
        os.mkdir(self.root)
        self.before = [os.path.join(self.root, 'tmp')]
        os.mkdir(self.before[0])
        self.recorder = t.program('t/lib/preload/recorder.so')
        self.note = self._noting()
        self.hop = NextHop(t, {'connect': self._connected, 'MAIL': self._mail, 'RCPT': self._rcpt, '.': self._dot})
        self.env = dict(LD_PRELOAD=self.recorder, SLIMTA_RECORD=self.record, SLIMTA_RECORD_DIRS=self.root,
            ASAN_OPTIONS=t.env['ASAN_OPTIONS'] + ':verify_asan_link_order=0', **(env or {}))
        self.config = CONFIG.replace('@hop@', str(self.hop.port))

    def _noting(self):
        library = ctypes.CDLL(self.recorder)
        library.recorder_start(self.record.encode())
        return lambda *words: library.recorder_note(' '.join(words).encode())

    @staticmethod
    def _connected(peer, _):
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _mail(self, peer, _):
        self.heard[peer] = []

    def _rcpt(self, peer, line):
        address = line[line.index('<') + 1:line.rindex('>')]
        if address.startswith('never') or address.startswith('late') and address not in self.late:
            self.late.add(address)
            return LATE
        if address.startswith('fail'):
            return FAILED
        if address.startswith('mark'):
            self.leased.set()
            self.marked.wait(20)
            return LATE
        self.heard[peer].append(address)
        return None

    def _dot(self, peer, _):
        self.note('delivered', *self.heard[peer])

    # ---- the programs

    def run(self):
        edge = self.t.edge(self.config, env=self.env)
        workers = [self.t.worker(self.config, 'q', env=self.env) for _ in range(2)]
        for wave in range(self.waves):
            threads = [threading.Thread(target=self._client, args=(wave, number)) for number in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            # What comes next takes the files of what is gone.
            wait_for(lambda: not self._waiting(), 20, 'the mail to arrive')
        self._discard()
        for process in (edge, *workers):
            if process.stop() != 0:
                raise Failure(f'{process.name} ended badly')
        return self.mails

    def _client(self, wave, number):
        kinds = [('one', 1, 100), ('late', 1, 300), ('two', 2, 6000), ('split', 3, 200), ('latesplit', 4, 100),
            ('fail', 1, 200), ('failtwo', 2, 200), ('large', 1, 80000), ('never', 1, 500)]
        chance = random.Random(f'{wave} {number}')
        with self.t.client('smtp') as client:
            client.hello()
            for kind, recipients, size in kinds[number % 2:len(kinds) - (wave > 0)]:
                if kind == 'large' and number:
                    continue
                self._send(client, self._make(f'{kind}-{wave}-{number}', kind, recipients, size, chance))

    @staticmethod
    def _send(client, mail):
        reply = client.mail(mail.sender, mail.recipients, b'Subject: x\r\n\r\n' + mail.body)
        mail.id = re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]

    def _make(self, name, kind, count, size, chance):
        domains = [f'd{n}.example' if 'split' in kind else 'd.example' for n in range(count)]
        recipients = [f'{name}-{n}@{domain}' for n, domain in enumerate(domains)]
        if kind == 'two':
            recipients[0] = 'late' + recipients[0]
        if kind == 'failtwo':
            recipients[1] = 'other' + recipients[1]
        line = ''.join(chance.choice('abcdefghij') for _ in range(74)) + '\r\n'
        mail = Mail(name, recipients, (f'{name}\r\n' + line * (size // 76)).encode())
        with self.lock:
            self.mails.append(mail)
        return mail

    def _waiting(self):
        with self.hop.lock:
            taken = {address for message in self.hop.messages for address in message['recipients']}
        return [name for name in os.listdir(os.path.join(self.root, 'env')) if re.match(r'\w{26}\.env|\..*\.batch', name)
            and not self._is_kept(name)] or \
            [a for mail in self.mails for a in mail.recipients if not a.startswith('never') and
                (mail.sender if a.startswith('fail') else a) not in taken]

    def _is_kept(self, name):
        return any(mail.id == name[:26] and mail.recipients[0].startswith('never') for mail in self.mails)

    def _discard(self):
        """An operator takes two messages away: one that waits, one that a worker has."""
        waiting = next(mail for mail in self.mails if mail.recipients[0].startswith('never'))
        self._remove(waiting)
        with self.t.client('smtp') as client:
            client.hello()
            mail = self._make('mark', 'mark', 1, 100, random.Random(0))
            self._send(client, mail)
        if not self.leased.wait(20):
            raise Failure('no worker took the message')
        self._remove(mail, leased=True)
        self.marked.set()
        wait_for(lambda: f'{mail.id}.env' not in os.listdir(os.path.join(self.root, 'env')), 20, 'the mark to be obeyed')

    def _remove(self, mail, leased=False):
        self.note('removing', *mail.recipients)
        program = [self.t.program('slimta-queuectl'), '-c', self.t.path('slimta.conf'), 'remove', mail.id]
        done = subprocess.run(program, env=dict(self.t.env, **self.env), capture_output=True, check=False, timeout=60)
        if done.returncode and (not leased or b'when this attempt ends' not in done.stderr):
            raise Failure(f'queuectl remove: {done.stderr}')
        self.note('removed', *mail.recipients)

    # ---- what was left

    def history(self, without=None):
        history = History(self.record, lambda path: path.startswith(os.path.join(self.root, 'meta')), without)
        history.problems += differences(history.whole(), self.root, self.before)
        return history


class Wanted:
    """What each moment of a history asks for, and what a survey lacks of it."""

    def __init__(self, history, mails):
        self.history, self.mails = history, mails
        self.by_recipient = {address: mail for mail in mails for address in mail.recipients}
        self.by_sender = {mail.sender: mail for mail in mails}
        by_id = {mail.id: mail for mail in mails}
        self.accepted, self.gone, self.told = {}, {}, {}
        for event, octets in history.said:
            text = octets.decode('utf-8', 'replace')
            for found in re.findall(r'250 2\.6\.0 .*\b([0-9a-z]{26})\b', text):
                self.accepted.update((address, event) for address in by_id[found].recipients)
            for found in re.findall(r' (?:delivered|failed) id=.* recipient=(\S+)', text):
                self.told[found] = event
        for event, (word, *addresses) in history.noted:
            (self.told if word == 'removed' else self.gone).update((a, event) for a in addresses if a not in self.gone
                or word == 'removed')
        for address, mail in self.by_recipient.items():
            if address.startswith('fail') and mail.sender in self.gone:
                self.gone[address] = self.gone[mail.sender]

    def at(self, event):
        """(there, away, whole): recipients that have to be open, must not be, and mails of which all or nothing is there."""
        before = lambda times, address: times.get(address, event) < event
        there = frozenset(a for a in self.by_recipient if before(self.accepted, a) and not before(self.gone, a))
        away = frozenset(a for a in self.by_recipient if before(self.told, a))
        whole = frozenset(mail for mail in self.mails if not any(before(self.accepted, a) or before(self.gone, a)
            for a in mail.recipients))
        return there, away, whole

    def problems(self, found, there, away, whole):
        """`found` is of t/lib/survey."""
        wrong, open_in, present, owed = [], {}, set(), set()
        for message in found:
            if 'gone' in message:
                continue
            if 'open' not in message:
                wrong.append(f'not to be had: {message}')
                continue
            present.update(message['open'], message['settled'])
            owed.update(message['owed'])
            for address in message['open'] + message['settled']:
                mail = self.by_recipient.get(address)       # a bounce is for none of them
                if mail and (message['octets'], message['sum']) != (len(mail.body), mail.sum):
                    wrong.append(f'{message["id"]} for {address} has another content')
            for address in message['open']:
                open_in[address] = open_in.get(address, 0) + 1
        owed.update(a for sender in open_in if sender in self.by_sender for a in self.by_sender[sender].recipients
            if a.startswith('fail'))
        wrong += [f'lost: {address}' for address in sorted(there - set(open_in) - owed)]
        wrong += [f'again: {address}' for address in sorted(away & set(open_in))]
        wrong += [f'twice: {address}' for address, count in sorted(open_in.items()) if count > 1]
        for mail in whole:
            if 0 < len(present & set(mail.recipients)) < len(mail.recipients):
                wrong.append(f'half: {mail.recipients}')
        return wrong


class Survey:
    """The tool that opens a queue as a worker does."""

    def __init__(self, t):
        base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else t.dir
        self.folder = tempfile.mkdtemp(prefix='slimta-t-', dir=base)
        self.log = t.path('survey.log')
        with open(self.log, 'ab') as log:
            self.popen = subprocess.Popen([t.program('t/lib/survey')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=t.env, text=True)

    def of(self, tree, root):
        """What it finds in `tree`, whose paths are below `root`."""
        build(tree, root, self.folder)
        self.popen.stdin.write(f'{self.folder}\n')
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        for name in os.listdir(self.folder):
            shutil.rmtree(os.path.join(self.folder, name))
        if not line.startswith('['):
            raise Failure(f'the survey failed: {line!r} {self.popen.poll()}')
        return json.loads(line)

    def close(self):
        self.popen.stdin.close()
        self.popen.wait(20)
        self.popen.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def states(history, wanted, most=None, loose=1, events=None):
    """{tree: what it has to hold}, over all `events` or `most` of them; files that wait to be used again are left out."""
    found, chance = {}, random.Random(1)
    events = events or range(history.count + 1)
    if most and most < len(events):
        events = sorted(chance.sample(events, most))

    def key_of(tree):
        return frozenset(item for item in tree.items() if '/.free/' not in item[0])

    last = -1
    for event in events:
        if not history.changed.isdisjoint(range(last + 1, event + 1)):
            moment = history.moment(event)
            in_order = {key_of(tree) for tree in moment.in_order()}
            others = {key_of(moment.any(chance)) for _ in range(loose)} - in_order
        last = event
        there, away, whole = wanted.at(event)
        for key in in_order | others:
            old = found.get(key, (frozenset(), frozenset(), frozenset(), event))
            found[key] = (old[0] | there, old[1] | away, old[2] | whole if key in in_order else old[2], old[3])
    return found
