#!/usr/bin/python3
# 8010-path-crash.t - mail under kill -9 of anybody at any moment: none is lost, none doubled without a reason (lesson S8)
# SPDX-License-Identifier: MIT
# KILLS says how often, SEED repeats a run's choices. LONG=1: 1,000 times.
import os
import random
import re

from lib.crash import COMMAND, Hop, Killer, Sender, takes_of_commands
from lib.fixture import SLOW, diag, is_, ok, run, wait_for
from lib.judge import Log, judge
from lib.operator import left_in_queues

KILLS = int(os.environ.get('KILLS') or (1000 if os.environ.get('LONG') else 30))
SEED = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 32))
REFUSALS = False        # bounces are not built yet
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
    retry: {delay: 0.3}, policies: [{type: add_received_header}]}
  run: {type: disk, relay: run, envelope_dir: @dir@/run, meta_dir: @dir@/run.meta, allow_volatile: yes, scan_interval: 5,
    retry: {delay: 0.3}, policies: [{type: recipient_split}, {type: add_received_header}]}
relay:
  hop: {type: static, host: 127.0.0.1, port: @hop@, idle_timeout: 2}
  run: {type: pipe, args: [@dir@/command, @dir@/saved, "{message_id}", "{recipient}"], concurrent_processes: 4}
'''


def crash(t):
    diag(f'SEED={SEED} KILLS={KILLS}')
    dice = random.Random(SEED)
    hop = Hop(t, random.Random(dice.random()))
    t.write('command', COMMAND, 0o755)
    t.folder('saved')
    killer = Killer(t, CONFIG.replace('@hop@', str(hop.port)), dice)
    killer.start(notify=True)
    senders = [Sender(t.port(name), f'{name}{n}', random.Random(dice.random()), REFUSALS, 0.03 * SLOW)
        for name in ('hop', 'run') for n in range(3)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        killer.watch((0.1 + 0.8 * dice.random()) * SLOW ** 0.5)
        killer.kill()
    killer.kill('all')      # so that nobody waits for his next start
    for sender in senders:
        sender.stop()
    killer.start(notify=True)
    ok(wait_for(lambda: left_in_queues(t) == {'hop': 0, 'run': 0}, 60, 'empty queues'), 'both queues are empty')
    is_(killer.master.stop(), 0, 'all end well')
    check(t, killer, [message for sender in senders for message in sender.messages], hop)


def check(t, killer, messages, hop):
    takes = hop.takes + takes_of_commands(t.path('saved'))
    with open(t.path('log'), encoding='utf-8') as log:
        verdict = judge(messages, takes, killer.kills, Log(log), announced=True)
    for one in verdict.lost[:10] + verdict.wrong[:10]:
        diag(one)
        for ident in set(re.findall(r'[0-9a-z]{26}', one)):
            with open(t.path('log'), encoding='utf-8') as log:
                diag('\n'.join(line[:300] for line in log if ident in line))
    accepted = sum(message.code == 250 for message in messages)
    kinds = [kill.kind for kill in killer.kills]
    diag(f'{len(messages)} sent, {accepted} answered 250, {sum(m.code == 0 for m in messages)} not answered, '
        f'{sum(m.code >= 400 for m in messages)} refused; {len(takes)} copies taken, {len(verdict.doubled)} doubled with a '
        f'reason; kills: ' + ', '.join(f'{kinds.count(kind)} {kind}' for kind in sorted(set(kinds))))
    ok(accepted > KILLS, f'{KILLS} kills, and mail between them')
    is_(len(verdict.lost), 0, 'nothing is lost')
    is_(len(verdict.wrong), 0, 'nothing is doubled without a reason, changed, or taken against our word')


run(crash, timeout=60 + KILLS * 2)
