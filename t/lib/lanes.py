# lanes.py - tables of what next hops do, worked through by several relays at once
# SPDX-License-Identifier: MIT
#
# Each lane is a next hop, and a queue with a worker whose relay has one connection to it. A row is a step and what the next
# hop does there while message 1 passes; message 2 waits in line meanwhile, and has to go on at once. Where the host cannot be
# used for now, message 2 is told the same without a connection of its own, and the host is left alone for a moment.
import re
import threading
from collections import Counter

from .fixture import SLOW, Failure, is_, like, ok, unlike, wait_for
from .next_hop import NextHop
from .relay import rested

RECIPIENTS = [f'{name}@example.net' for name in 'abc']
EXTENSIONS = (('PIPELINING', '8BITMIME', 'SIZE 10000000'), ())
HOST = '127.0.0.1[127.0.0.1]'
BEFORE = ('connect', 'EHLO', 'HELO', 'LHLO', 'STARTTLS', 'handshake', 'tls EHLO', 'AUTH', 'auth', 'authenticated')
TAKEN = r'250 2\.(6\.0|1\.5 <\S+>) taken'
LEFT_ALONE = r'(?: \(left alone until \S+\))?'
AGAIN = 'again'         # over a new connection, without a mark of it


class Kind:
    """Of relay and next hop: the relay's type and options; `extensions` of two modes; the rest is for the NextHop."""

    def __init__(self, relay='static', options='', extensions=EXTENSIONS, **hop):
        self.relay, self.options, self.extensions, self.hop = relay, options, extensions, hop


class Row:
    """`wanted`: AGAIN, the reply that all recipients get (a pattern), or a dictionary of replies by the recipient's first
    letter, the others being delivered. `connections` that message 1 and 2 take. `doubt`: message 1 is in doubt, or the
    recipients named by their letters; None: if the next hop puts 'dot' into `ends`.
    `lead`: what happens at the step before; `at`: at other steps; `mode`: which of EXTENSIONS; `taken`: messages, where they
    are more than those two."""

    def __init__(self, step, name, what, wanted, connections=2, doubt=False, octets=0, lead=(), at=None, mode=None,
            taken=None):
        self.step, self.name, self.what, self.wanted, self.connections = step, name, what, wanted, connections
        self.doubt, self.octets, self.lead, self.at, self.mode = doubt, octets, list(lead), at or {}, mode
        self.taken, self.failures, self.ends = taken, [], []

    def fails_host(self):
        return self.step in BEFORE and isinstance(self.wanted, str) and self.wanted[0] == '4'

    def replies(self):
        if self.wanted == AGAIN:
            return dict.fromkeys('abc', TAKEN)
        if isinstance(self.wanted, dict):
            return {**dict.fromkeys('abc', TAKEN), **self.wanted}
        return dict.fromkeys('abc', self.wanted)


class Outcomes:
    """The log as it grows: what became of each recipient, and which messages are at their relay."""

    line = re.compile(r' worker: (delivered|deferred|failed) id=(\S+) recipient=(\S+) relay=\S+ host="?(\S*?)"? '
        r'(?:tls=\S+ )?reply="([^"]*)" attempts=(\d+) ')

    def __init__(self, process):
        self.process, self.lock, self.at = process, threading.Lock(), 0
        self.found, self.fetched, self.doubts, self.counts = {}, set(), set(), Counter()

    def read(self):
        with self.lock, open(self.process.log_path, 'rb') as log:
            log.seek(self.at)
            text = log.read()
            text = text[:text.rfind(b'\n') + 1]
            self.at += len(text)
            for line in text.decode().splitlines():
                match = self.line.search(line)
                if match:
                    event, ident, recipient, host, reply, attempts = match.groups()
                    self.found.setdefault((ident, recipient), []).append((event, reply, host, int(attempts)))
                    self.counts[event] += 1
                match = re.search(r' worker: fetched id=(\S+)', line)
                if match:
                    self.fetched.add(match[1])
                match = re.search(r' relay: in doubt id=(\S+) recipient=(\S+)', line)
                if match:
                    self.doubts.add(match.groups())

    def of(self, ident, recipients):
        self.read()
        found = [self.found.get((ident, recipient)) for recipient in recipients]
        return found if all(found) else None

    def is_fetched(self, ident):
        self.read()
        return ident in self.fetched


class Lane:
    def __init__(self, t, number, kind):
        self.t, self.number, self.outcomes, self.kind, self.hop = t, number, None, kind, NextHop(t, **kind.hop)
        self.reached, self.go, self.over = threading.Event(), threading.Event(), threading.Event()

    def _send(self, recipients, octets=0):
        """Null sender: nobody is told of failures. Gives the id."""
        with self.t.client(f'l{self.number}') as client:
            client.reply()
            lines = ['EHLO client.example', 'MAIL FROM:<>', *(f'RCPT TO:<{one}>' for one in recipients), 'DATA']
            for line in lines:
                client.line(line)
                client.reply()
            client.send(b'Subject: x\r\n\r\n.x\r\n' + b'x' * 70 * (octets > 0) + (b'\r\n' + b'y' * 70) * (octets // 72) +
                b'\r\n.\r\n')
            return re.search(r'\b[0-9a-z]{26}\b', client.reply().text)[0]

    def _gate(self, row):
        def happen(peer, line):
            self.reached.set()
            self.go.wait(30 * SLOW)
            return row.what(self, peer) if callable(row.what) else row.what
        return row.lead + [happen]

    def _recover(self):
        """Until the host is used again, and all is well with it."""
        self.hop.at = {}
        while True:
            ident = self._send(['m3@example.net'])
            event, reply, _, _ = wait_for(lambda: self.outcomes.of(ident, ['m3@example.net']), 20, 'message 3')[0][0]
            if event == 'delivered':
                return
            rested(reply)

    def run(self, row, mode):
        self._run(row, mode)
        if row.fails_host():
            self._recover()

    def _run(self, row, mode):
        hop = self.hop
        for event in (self.reached, self.go, self.over):
            event.clear()
        hop.hang_up()
        wait_for(lambda: hop.now == 0, what='no connection to the next hop')
        hop.extensions = self.kind.extensions[mode if row.mode is None else row.mode]
        before, taken = hop.connections, len(hop.messages)
        hop.at = {step: list(what) if isinstance(what, list) else what for step, what in row.at.items()}
        hop.at[row.step] = self._gate(row)
        first = self._send(RECIPIENTS, row.octets)
        wait_for(self.reached.is_set, 20, f'the next hop to get to {row.step}')
        second = self._send(['m2@example.net'])
        wait_for(lambda: self.outcomes.is_fetched(second), 20, 'message 2 to be in line')
        self.go.set()
        results = dict(zip('abc', wait_for(lambda: self.outcomes.of(first, RECIPIENTS), 20, 'message 1')))
        follow = wait_for(lambda: self.outcomes.of(second, ['m2@example.net']), 20, 'message 2')
        self.over.set()
        if row.doubt is None and wait_for(lambda: row.ends, 20, 'the end of the data') == ['dot']:
            row.doubt = True
        self._judge(row, first, results, follow)
        row.expect(hop.connections - before, 1 if row.fails_host() else row.connections, 'connections')
        delivered = sum(event == 'delivered' for [(event, *_)] in results.values())
        wanted = row.taken or (not row.fails_host()) + (delivered > 0)
        row.expect(len([m for m in hop.messages[taken:] if m['data']]), wanted, 'messages taken')

    def _judge(self, row, first, results, follow):
        for name, wanted in row.replies().items():
            lines = results[name]
            event, reply, host, attempts = lines[0]
            row.expect((len(lines), attempts, host), (1, 1, HOST), f'{name} is logged once, with its host')
            if not re.fullmatch(wanted, reply, re.S):
                row.failures.append(f'{name}: got {reply!r}, wanted {wanted!r}')
            row.expect(event, {'2': 'delivered', '4': 'deferred', '5': 'failed'}[reply[0]], f'{name} by the code of {reply}')
        if row.fails_host():
            [(event, reply, _, attempts)] = follow[0]
            row.expect((event, attempts, bool(re.fullmatch(row.wanted + LEFT_ALONE, reply))), ('deferred', 1, True),
                f'message 2 is told the same: {reply}')
        else:
            row.expect([(event, bool(re.fullmatch(TAKEN, reply)), attempts) for event, reply, _, attempts in follow[0]],
                [('delivered', True, 1)], f'message 2 goes on: {follow[0]}')
        doubt = [name for name in 'abc' if (first, f'{name}@example.net') in self.outcomes.doubts]
        if row.doubt is not None:
            row.expect(doubt, list('abc' if row.doubt is True else row.doubt or ''), 'in doubt')


def expect(self, got, wanted, what):
    if got != wanted:
        self.failures.append(f'{what}: got {got!r}, wanted {wanted!r}')


Row.expect = expect


def config(lanes, options):
    entries = range(len(lanes))
    return '\n'.join(['@process@    logging: {levels: {worker: debug}}', '  edge: {instances: 1}', '  worker: {instances: 1}',
        'edge:', *(f'  l{n}: {{type: smtp, queue: q{n}, listener: {{port: @port:l{n}@}}}}' for n in entries),
        'queue:', *(f'  q{n}: {{type: disk, relay: r{n}, envelope_dir: @dir@/env{n}, meta_dir: @dir@/meta{n}, '
            'allow_volatile: yes, retry: {delay: 3000, maximum: 9}}' for n in entries),
        'relay:', *(f'  r{n}: {{type: {lanes[n].kind.relay}, host: 127.0.0.1, port: {lanes[n].hop.port}, '
            f'concurrent_connections: 1, {options}{lanes[n].kind.options}}}' for n in entries)]) + '\n'


def run_rows(t, rows, options, count=4, kind=Kind()):
    """Works through the rows, then checks each, the counters, and that the log is clean."""
    lanes = [Lane(t, n, kind) for n in range(count)]
    master = t.master(config(lanes, options))
    outcomes = Outcomes(master)
    todo, lock = list(enumerate(rows)), threading.Lock()

    def work(lane):
        lane.outcomes = outcomes
        while True:
            with lock:
                if not todo:
                    return
                number, row = todo.pop(0)
            try:
                lane.run(row, number % 2)
            except Exception as error:
                row.failures.append(f'{error!r}; the next hop heard {lane.hop.said[-8:]}')
                lane.over.set()
                lane.go.set()
    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in rows:
        is_(row.failures, [], f'{row.step}: {row.name}')
    check_log(t, master, outcomes)


def check_log(t, master, outcomes):
    outcomes.read()
    counted = {}
    for line in t.queuectl('status').splitlines():
        match = re.match(r'(worker_recipients_\w+_total) +(\d+)$', line)
        if match:
            counted[match[1]] = int(match[2])
    is_({event: counted.get(f'worker_recipients_{event}_total', 0) for event in ('delivered', 'deferred', 'failed')},
        {event: outcomes.counts[event] for event in ('delivered', 'deferred', 'failed')}, 'each outcome is counted once')
    with open(master.log_path, 'rb') as log:
        text = log.read()
    ok(text.decode('utf-8'), 'the log is UTF-8')
    is_(sorted(set(text) & set(range(32)) | {127} & set(text)), [10], 'without control characters')
    unlike(text, 'BUG|in doubt.*m2@', 'nothing went wrong by the way')
    like(text, r'could not use a next hop relay=r\d host="?127\.0\.0\.1\[127\.0\.0\.1\]"? port=\d+ reply="',
        'what could not be used is named')
