#!/usr/bin/python3
# 7016-queuectl-line.t - messages for a next hop whose connections are all in use: shown as such, and struck for no death
# SPDX-License-Identifier: MIT
import json
import re

from lib.fixture import is_, like, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.queues import STORAGES, listed, on_every_storage
from lib.relay import send

CONFIG = '''@process@
  edge: {instances: 1}
  worker: {instances: 1}
edge: {main: {type: smtp, queue: q, listener: {port: @port:smtp@}}}
queue: {q: {SECTION, relay: r, retry: {delay: 1, maximum: 1000}}}
relay: {r: {type: static, host: 127.0.0.1, port: PORT, concurrent_connections: 1, command_timeout: 600, data_timeout: 600}}
'''


class Full:
    """A next hop that answers no final dot until it may, and its line: one is with it, one waits, one is not taken."""
    def __init__(self, t, section):
        self.t, self.may = t, False
        self.hop = NextHop(t, {'.': lambda peer, line: wait_for(lambda: self.may, 60, 'to go on') and None})
        self.text = CONFIG.replace('SECTION', section).replace('PORT', str(self.hop.port))
        self.turn = f'a free connection to 127.0.0.1 port {self.hop.port} (at most 1 at once)'

    def fill(self):
        first = send(self.t, 'x@example.net')
        self.phase(first, 'past the dot')
        second = send(self.t, 'x@example.net')
        self.phase(second, 'in line')
        third = send(self.t, 'x@example.net')
        wait_for(lambda: len(listed(self.t)) == 3, what='three messages')
        return first, second, third

    def phase(self, ident, expected):
        wait_for(lambda: [line['phase'] for line in listed(self.t) if line['id'] == ident] == [expected], what=f'{ident} to be {expected}')


def shown(t, section):
    full = Full(t, section)
    master = t.master(full.text)
    first, second, third = full.fill()
    owner = r'\S+/slimta-worker\[\d+\]'
    text = t.queuectl('list')
    like(text, rf'(?m)^{first} leased .* \(leased by {owner} .*past the dot', 'list: the first is with the next hop')
    like(text, rf'(?m)^{second} leased .* \(leased by {owner}( for \d+s)?, in line( for \d+s)?\)$', 'the second in line')
    like(text, rf'(?m)^{third} new ', 'the third nobody has')
    like(t.queuectl('show', first), r'(?m)^waits +it is being delivered just now by', 'show: the first is being delivered')
    like(t.queuectl('show', second), rf'(?m)^waits +it waits for {re.escape(full.turn)}, leased by {owner}( for \d+s)?, in line( for \d+s)?$',
        'the second waits for a connection')
    like(t.queuectl('show', third), rf'(?m)^waits +it is due, and no worker has taken it yet: those here hold 2 messages, '
        rf'of which 1 waits for {re.escape(full.turn)}$', 'the third for its turn')
    entry = json.loads(t.queuectl('--json', 'show', second))
    is_((entry['state'], entry['phase'], entry['attempts']), ('leased', 'in line', 0), 'as JSON')
    ok(entry['leased_for_ms'] >= entry['in_phase_ms'] >= 0 and full.turn in entry['waits'], 'since when, and why')
    full.may = True
    for ident in first, second, third:
        master.wait_log(rf' delivered id={ident} ')
    is_((full.hop.connections, len(full.hop.messages)), (1, 3), 'then all go, over the one connection')
    wait_for(lambda: not listed(t), what='an empty queue')
    is_(master.stop(), 0, 'it ends')


def died(t):
    """The line killed nobody: who was with the next hop was the only one that had begun."""
    full = Full(t, STORAGES['disk'])
    t.edge(full.text)
    worker = t.worker(full.text, 'q')
    first, second, _ = full.fill()
    worker.kill()
    worker.wait()
    again = t.worker(full.text, 'q')
    again.wait_log(rf'gave a strike id={first} queue=q')
    again.wait_log(r'slimta-worker\S+ process: ready')
    like(again.log, r'found what a dead worker held queue=q owner=\S+ held=2 begun=1', 'two were held, one had begun')
    unlike(again.log, rf'(gave a strike|made suspect) id={second}', 'that in line is as it was')
    full.may = True
    again.wait_log(rf' delivered id={second} ')
    is_(again.stop(), 0, 'it ends')


def drained(t):
    """What is in line at a drain goes back as it came."""
    full = Full(t, STORAGES['disk'])
    t.edge(full.text)
    worker = t.worker(full.text, 'q')
    first, second, _ = full.fill()
    worker.kill(15)
    wait_for(lambda: [line['phase'] for line in listed(t) if line['id'] == second] == [None], what='the second to be given back')
    like(t.queuectl('show', second), r'(?m)^attempts +0$', 'it was not tried')
    full.may = True
    worker.wait_log(rf' delivered id={first} ')
    is_(worker.wait(), 0, 'it ends')


run(*on_every_storage(shown), died, drained)
