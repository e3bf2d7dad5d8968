#!/usr/bin/python3
# 9401-queue-power-cut.t - the power-cut test sees a sync that is left out, whichever it is
# SPDX-License-Identifier: MIT
import random

from lib.fixture import is_, ok, run
from lib.power_ext4 import Queue
from lib.power_load import Load, Survey, Wanted, states

SYNCS = {
    'of a message': lambda path, is_directory: path.endswith('.new') and '.meta.' not in path and '.batch.' not in path,
    'of a meta': lambda path, is_directory: path.endswith('.meta.new'),
    'of a batch file': lambda path, is_directory: path.endswith('.batch.new'),
    'of a mark': lambda path, is_directory: path.endswith('.mark.new'),
    'of envelope_dir': lambda path, is_directory: is_directory and path.endswith('/env'),
    'of the directory above': lambda path, is_directory: is_directory and path.endswith('/queue'),
    'of meta_dir': lambda path, is_directory: is_directory and path.endswith('/meta'),
}


def look(t, history, load, events, most):
    """The first tree that lacks something, and what; of all that were made."""
    wanted = Wanted(history, load.mails)
    found = states(history, wanted, most, 3, events)
    trees, survey, wrong, looked = list(found), Survey(t), [], 0
    random.Random(1).shuffle(trees)
    try:
        for looked, tree in enumerate(trees[:3000]):
            there, away, whole, _ = found[tree]
            wrong = wanted.problems(survey.of(dict(tree), load.root), there, away, whole)
            if wrong:
                break
    finally:
        survey.close()
    return wrong, f'in tree {looked + 1} of {len(found)}'


def found_wrong(t, history, load, what):
    """Looks at more and more moments: on a busy machine few are left without their sync for long."""
    told = None
    if what == 'of a mark':
        told = next(event for event, words in history.noted if words == ('removed', 'mark-0@d.example'))
    for most, behind in ((40, 20), (400, 100), (2000, 400)):
        wrong, where = look(t, history, load, told and range(told, min(told + behind, history.count + 1)), most)
        if wrong:
            break
    ok(wrong, f'no sync {what}: {(wrong or [0])[0]}, {where}')


def left_out(t):
    """By what is recorded, each kind on its own."""
    load = Load(t)
    load.run()
    for what, sync in SYNCS.items():
        found_wrong(t, load.history(sync), load, what)


def skipped(point):
    def test(t):
        """By the programs themselves."""
        load = Load(t, env={'SLIMTA_FAULT': f'{point}:*:skip'})
        load.run()
        history = load.history()
        is_(history.problems, [], 'the record is whole')
        found_wrong(t, history, load, f'by SLIMTA_FAULT={point}:*:skip')
    return test


def on_ext4(t):
    """A real file system keeps no promise that nobody asks it for."""
    queue = Queue(t)
    try:
        queue.cut('red', {'SLIMTA_FAULT': 'disk.fsync:*:skip,disk.dirsync:*:skip'})
        ok(queue.lost(), f'without any sync {len(queue.lost())} of {len(queue.accepted)} are lost')
    finally:
        queue.close()


run(left_out, skipped('disk.fsync'), skipped('disk.dirsync'), on_ext4, faults=True)
