# crash.py - mail under fire: clients that know what was promised, a next hop that knows what it took, and a killer
# SPDX-License-Identifier: MIT
import hashlib
import os
import random
import re
import signal
import socket
import threading
import time

from .fixture import IS_ROOT, SLOW, Failure, descendants, process_stat, wait_for
from .judge import Kill, Log, Message, Take, bounce_of, judge
from .next_hop import NextHop
from .peer import Client, dot_stuffed
from .operator import left_in_queues
from .tap import diag, is_, ok

# What a command does with a message: $1 the folder, $2 its id, $3 the recipient.
COMMAND = '''#!/bin/sh
case $3 in
later-*) [ $(($$ % 2)) = 0 ] || { cat >/dev/null; exit 75; } ;;
refused-*) cat >/dev/null; echo 5.1.1 nobody; exit 67 ;;
esac
cat >"$1/.$2.$$" && mv "$1/.$2.$$" "$1/$2,$3,$$"
[ $(($$ % 4)) != 0 ] || sleep 0.05
'''
REFUSALS = True
CONFIG = '''@process@    logging: {format: json, output: @dir@/log}
    spool_threshold: 4K
    drain_timeout: 10
  edge: {instances: 2}
  worker: {instances: 2}
edge:
  hop: {type: smtp, queue: hop, listener: {port: @port:hop@}}
  run: {type: smtp, queue: run, listener: {port: @port:run@}}
queue:
  hop: {type: disk, relay: hop, envelope_dir: @dir@/hop, meta_dir: @dir@/hop.meta, allow_volatile: yes, scan_interval: 5,
    retry: {delay: 0.3, maximum: 1000}, max_strikes: 0, policies: [{type: add_received_header}]}
  run: {type: disk, relay: run, envelope_dir: @dir@/run, meta_dir: @dir@/run.meta, allow_volatile: yes, scan_interval: 5,
    retry: {delay: 0.3, maximum: 1000}, max_strikes: 0, policies: [{type: recipient_split}, {type: add_received_header}]}
relay:
  hop: {type: static, host: 127.0.0.1, port: @hop@, idle_timeout: 2}
  run: {type: pipe, args: [@dir@/command, @dir@/saved, "{message_id}", "{recipient}"], concurrent_processes: 4}
'''
WEIGHTS = {'worker': 40, 'edge': 25, 'spawner': 12, 'master': 18, 'all': 5}


def config(t, hop):
    """Two queues: `hop` goes to the next hop, `run` to COMMAND."""
    t.write('command', COMMAND, 0o755)
    t.folder('saved')
    return CONFIG.replace('@hop@', str(hop.port))


def content(token, size):
    body = (f'{token} ' * (size // (len(token) + 1) + 1))[:size]
    body = '\r\n'.join(body[at:at + 70] for at in range(0, len(body), 70)) + '\r\n'
    return f'X-Token: {token}\r\nX-Sum: {hashlib.md5(body.encode()).hexdigest()}\r\n\r\n{body}'


def take_of(when, data, recipient, opened=None):
    """Of what a next hop got. A bounce names the message by its recipient, who was the sender."""
    head, _, body = data.partition(b'\r\n\r\n')
    head += b'\r\n'
    ident = re.search(rb'^Received:[^;]* id ([0-9a-z]{26})\b', head, re.M)
    token = re.search(rb'^X-Token: (.*)\r', head, re.M)
    summed = re.search(rb'^X-Sum: (.*)\r', head, re.M)
    return Take(when, ident and ident[1].decode(), token[1].decode() if token else bounce_of(recipient.partition('@')[0]),
        recipient, not summed or summed[1].decode() == hashlib.md5(body).hexdigest(), opened)


class Hop(NextHop):
    """Takes mail but for recipients `refused-...`, and for `later-...` at the second or third try. `takes`: all that it took."""

    def __init__(self, t, dice, **how):
        self.takes, self.dice, self.here = [], dice, threading.local()
        super().__init__(t, at={'RCPT': self._recipient, '.': self._dot}, **how)

    def _recipient(self, _, line):
        if '<refused-' in line:
            return '550 5.1.1 nobody'
        return '450 4.2.0 later' if '<later-' in line and self.dice.random() < 0.5 else None

    def _dot(self, *_):
        if self.dice.random() < 0.4:
            time.sleep(self.dice.random() * 0.06)       # a kill may fall into it

    def took(self, mail):
        mine = [take_of(time.time(), mail['data'], recipient, self.here.opened) for recipient in mail['recipients']]
        self.here.takes += mine
        self.takes += mine

    def heard(self, line):
        self.here.last = line

    def _serve(self, peer):
        peer.sock.settimeout(300)
        self.here.opened, self.here.takes, self.here.last = time.time(), [], ''
        super()._serve(peer)
        for one in self.here.takes:
            one.ended, one.quit = time.time(), self.here.last.upper() == 'QUIT'


def takes_of_commands(folder):
    """What COMMAND saved."""
    found = []
    for name in os.listdir(folder):
        if not name.startswith('.'):
            ident, recipient, _ = name.split(',')
            path = os.path.join(folder, name)
            with open(path, 'rb') as file:
                take = take_of(os.stat(path).st_ctime, file.read(), recipient)
            take.ident = take.ident or ident
            if not take.good or (take.token == bounce_of(recipient.partition('@')[0]) and '-' in recipient.partition('-')[2]):
                # A part of it, perhaps without its header: the name of the recipient has the token.
                take.good, take.token = False, recipient.partition('@')[0].split('-', 2)[2]
            found.append(take)
    return found


class Sender(threading.Thread):
    """Sends messages to a port until it is stopped, or `most` were answered 250, each once; `messages` has what came of them."""

    def __init__(self, port, queue, number, dice, pause, most=None):
        super().__init__(daemon=True)
        self.port, self.queue, self.prefix, self.dice, self.pause, self.most = port, queue, f'{queue}{number}', dice, pause, most
        self.going = threading.Event()
        self.going.set()
        self.messages, self.client, self.answered = [], None, 0
        self.ending = threading.Event()

    def run(self):
        while self.answered != self.most and not self.ending.wait(self.dice.random() * 2 * self.pause):
            self.going.wait()
            try:
                if not self.client:
                    self._connect()
                self._send()
            except OSError:
                self._disconnect()
        self._disconnect()

    def hold(self, held):
        """Between messages, while the queue cannot follow."""
        if held:
            self.going.clear()
        else:
            self.going.set()

    def stop(self):
        self.ending.set()
        self.going.set()
        self.join(60)

    def _disconnect(self):
        if self.client:
            self.client.close()
        self.client = None

    def _connect(self):
        self.client = Client(socket.create_connection(('127.0.0.1', self.port), 5), 5)
        self._say(None, 220)
        self._say('EHLO client.example', 250)

    def _say(self, line, wanted):
        if line:
            self.client.line(line)
        reply = self.client.reply()
        if reply.code != wanted:
            raise ConnectionError(f'{line}: {reply}')
        return reply

    def _next(self):
        token = f'{self.prefix}-{len(self.messages)}'
        kinds = self.dice.choices(('ok', 'later'), (80, 20), k=self.dice.choice((1, 1, 1, 2, 3)))
        refused = [f'refused-{token}@example.net'] if REFUSALS and self.dice.random() < 0.2 else []
        message = Message(token, [f'{kind}-{n}-{token}@example.net' for n, kind in enumerate(kinds)], refused)
        self.messages.append(message)
        return message

    def _send(self):
        message = self._next()
        data = content(message.token, self.dice.choice((100, 100, 2000, 30000, 150000)))
        self._say(f'MAIL FROM:<{message.token}@example.org>', 250)
        for recipient in [*message.recipients, *message.refused]:
            self._say(f'RCPT TO:<{recipient}>', 250)
        self._say('DATA', 354)
        self.client.send(dot_stuffed(data))
        reply = self.client.reply()
        message.code = reply.code
        if reply.code != 250:
            raise ConnectionError(f'{reply}')
        message.ident = re.search(r'\b[0-9a-z]{26}\b', reply.text)[0]
        self.answered += 1


def report(t, messages, takes, kills):
    """The verdict; what is wrong goes to the diagnostics, with the lines of the log about it."""
    with open(t.path('log'), encoding='utf-8') as log:
        verdict = judge(messages, takes, kills, Log(log), announced=True)
    for one in verdict.lost[:10] + verdict.wrong[:10]:
        diag(one)
        for ident in set(re.findall(r'[0-9a-z]{26}', one)):
            with open(t.path('log'), encoding='utf-8') as log:
                diag('\n'.join(line[:300] for line in log if ident in line))
    accepted = sum(message.code == 250 for message in messages)
    kinds = [kill.kind for kill in kills]
    verdict.summary = (f'{len(messages)} sent, {accepted} answered 250, {sum(m.code == 0 for m in messages)} not answered, '
        f'{sum(m.code >= 400 for m in messages)} refused; {len(takes)} copies taken, {len(verdict.doubled)} doubled with a '
        'reason; kills: '
        + ', '.join(f'{kinds.count(kind)} {kind}' for kind in sorted(set(kinds))))
    return verdict


class Killer:
    """Keeps a master running, and kills it and its children by and by. `kills`: what it did."""

    def __init__(self, t, text, dice):
        self.t, self.dice, self.kills, self.master = t, dice, [], None
        self.conf = t.config(text)

    def start(self, notify=False):
        """At once, whatever is left of the one before."""
        more = ['--allow-root'] if IS_ROOT else []
        self.master = self.t.start('slimta-master', '-c', self.conf, *more, notify=notify)

    def _named(self):
        """Pids by kind, of all that is ours: those of masters that were killed too."""
        found = {}
        for pid in descendants(os.getpid()):
            stat = process_stat(pid)
            if stat and stat[2].startswith('slimta-'):
                found.setdefault(stat[2][7:], []).append(pid)
        return found

    def _reap(self):
        """Children of dead masters are ours; masters are reaped by who started them."""
        for entry in os.listdir('/proc'):
            stat = process_stat(int(entry)) if entry.isdigit() else None
            if stat and stat[:2] == ('Z', os.getpid()) and int(entry) != self.master.pid:
                os.waitpid(int(entry), os.WNOHANG)

    def kill(self, kind=None):
        """One of a kind that is there, or all of them."""
        named = self._named()
        while kind not in named and kind != 'all':
            kind = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        victims = [pid for pids in named.values() for pid in pids] if kind == 'all' else [self.dice.choice(named[kind])]
        since = time.time()
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.kills.append(Kill(kind, since, time.time()))
        if self.master.pid in victims:
            self.master.wait()
            self.t.processes.remove(self.master)
        self._reap()

    def watch(self, seconds):
        """Lets mail flow for so long; a master that is gone is followed by the next."""
        end = time.monotonic() + seconds
        while True:
            if self.master.popen.returncode == -signal.SIGKILL:
                self.start()
            if not self.master.running():
                raise Failure(f'the master ended by itself, {self.master.popen.returncode}')
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.02))


def under_fire(t, killer, dice, kills, crowded, patience):
    """Mail into both queues while somebody is killed again and again; senders wait while crowded(name of queue). Gives their
    messages, once all were delivered: within `patience` seconds."""
    killer.start(notify=True)
    senders = [Sender(t.port(name), name, n, random.Random(dice.random()), 0.03 * SLOW)
        for name in ('hop', 'run') for n in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(kills):
        killer.watch((0.1 + 0.8 * dice.random()) * SLOW ** 0.5)
        for sender in senders:
            sender.hold(crowded(sender.queue))
        killer.kill()
    killer.kill('all')      # so that nobody waits for his next start
    for sender in senders:
        sender.stop()
    killer.start(notify=True)
    try:
        ok(wait_for(lambda: left_in_queues(t) == {'hop': 0, 'run': 0}, patience, 'empty queues'), 'both queues are empty')
    except Failure:
        diag(f'{t.queuectl("status")}\n{t.queuectl("list")[:3000]}')
        raise
    is_(killer.master.stop(), 0, 'all end well')
    return [message for sender in senders for message in sender.messages]


def check_all(t, killer, messages, hop, kills):
    """Nothing is lost, and nothing wrong."""
    verdict = report(t, messages, hop.takes + takes_of_commands(t.path('saved')), killer.kills)
    diag(verdict.summary)
    ok(sum(message.code == 250 for message in messages) > kills, f'{kills} kills, and mail between them')
    is_(len(verdict.lost), 0, 'nothing is lost')
    is_(len(verdict.wrong), 0, 'nothing is doubled without a reason, changed, or taken against our word')
