#!/usr/bin/python3
# 8011-path-power-cut.t - whenever the power is cut, what was answered 250 is found by the next worker (lesson S11)
# SPDX-License-Identifier: MIT
# LONG=1 looks at all that can be left, otherwise at a sample.
import os
import random
import re
import time

from lib.fixture import is_, ok, run, unlike, wait_for
from lib.next_hop import NextHop
from lib.power_cut import EXCHANGE, build
from lib.power_load import CONFIG, Load, Survey, Wanted, states

LONG = bool(os.environ.get('LONG'))
SECONDS = 1200 if LONG else 7
WORKERS = 40 if LONG else 3


def recorded(history, load, wanted):
    """The load does what is worth a power cut."""
    is_(history.problems, [], 'the record explains every octet and name that is there at the end')
    is_(sorted(wanted.accepted), sorted(a for mail in load.mails for a in mail.recipients), 'every 250 was recorded')
    is_(sorted(set(wanted.gone) - set(wanted.by_sender)), sorted(a for a in wanted.by_recipient if not a.startswith('never')
        or a in wanted.told), 'and every message and every bounce that the next hop took')
    ok(set(wanted.gone) & set(wanted.by_sender), 'senders were told')
    names = [path for act in history.acts for path in act.sets]
    ok(any(name.endswith('.batch') for name in names), 'copies were committed together')
    ok(any(name.endswith('.mark') for name in names), 'a mark was made')
    again = [act for act in history.acts if len(act.sets) == 2 and all(act.sets.values())]
    ok(again, f'metas changed places ({EXCHANGE})')
    reused = [act for act in history.acts if any('/.free/' in path for path, file in act.sets.items() if not file)]
    ok(len(reused) > 20, f'files were used again: {len(reused)} times')


def surveyed(t, history, load, wanted, found):
    """Each tree is opened as a worker does."""
    trees, survey, wrong, looked = list(found), Survey(t), [], 0
    random.Random(2).shuffle(trees)
    deadline = time.monotonic() + SECONDS
    try:
        for tree in trees:
            there, away, whole, event = found[tree]
            problems = wanted.problems(survey.of(dict(tree), load.root), there, away, whole)
            wrong += [f'before event {event}: {problem}' for problem in problems]
            looked += 1
            if time.monotonic() > deadline or len(wrong) > 20:
                break
    finally:
        survey.close()
    is_(wrong, [], f'{looked} of {len(found)} trees after {history.count} events: nothing lost, half, damaged or told and forgotten')
    with open(survey.log, encoding='utf-8') as log:
        is_(re.findall('.* error .*', log.read())[:20], [], 'and nobody is asked to act')
    ok(looked == len(found) if LONG else looked > 50, 'enough of them')


def worked(t, history, load, wanted):
    """Workers start on some of them, with the files to be used again, and deliver what is there."""
    chance, hop = random.Random(3), NextHop(t)
    started = []
    for number in range(WORKERS):
        event = chance.randrange(history.count // 3, history.count)
        tree = chance.choice(list(history.moment(event).in_order()))
        folder = t.folder(f'cut{number}')
        build(tree, load.root, folder)
        config = CONFIG.replace('@hop@', str(hop.port)).replace('@dir@/queue', folder)
        config = re.sub('@process@', f'process:\n  slimta:\n    runtime_dir: {folder}/run\n', config)
        os.makedirs(os.path.join(folder, 'tmp'), exist_ok=True)
        worker = t.worker(config, 'q')
        started.append((folder, worker, wanted.at(event)[0]))
        if len(started) % 4 and number + 1 < WORKERS:
            continue
        for folder, worker, there in started:
            deliver(hop, folder, worker, there, wanted)
        started = []


def deliver(hop, folder, worker, there, wanted):
    def left():
        return [name for name in os.listdir(f'{folder}/env') if re.search(r'\.(env|batch)$', name)]
    wait_for(lambda: not left(), 20, f'{folder} to be empty')
    is_(worker.stop(), 0, 'a worker has delivered all that it found')
    unlike(worker.log, r' (error|warn) (?!.*batch completed)', 'without a complaint')
    ids = set(re.findall(r' delivered id=\S+ recipient=(\S+)', worker.log))
    told = {a for a in there if wanted.by_recipient[a].sender in ids}
    is_(sorted(there - ids - told), [], f'and {len(there)} recipients had to be among them')
    for message in hop.messages:
        if set(message['recipients']) & ids & set(wanted.by_recipient):
            body = wanted.by_recipient[message['recipients'][0]].body
            if not message['data'].endswith(b'\r\n\r\n' + body):
                is_(message['data'][-200:], body[-200:], 'what arrives is what was sent')


def power_cut(t):
    load = Load(t, waves=3 if LONG else 2)
    load.run()
    history = load.history()
    wanted = Wanted(history, load.mails)
    recorded(history, load, wanted)
    surveyed(t, history, load, wanted, states(history, wanted, None if LONG else 250, loose=3 if LONG else 1))
    worked(t, history, load, wanted)


run(power_cut, timeout=3000 if LONG else 120)
