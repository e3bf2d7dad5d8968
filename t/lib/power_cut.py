# power_cut.py - what a power cut could have left of directories whose changes t/lib/preload wrote down
# SPDX-License-Identifier: MIT
#
# A file has what its last sync found when that began, and of each later write, cut or time any part or nothing. Names are
# changed by acts: a rename is one act, also between two directories and where two names change places. What a sync of a
# directory found is kept, and every act on which it rests, but not the directory's own name. Of the acts since,
#     in order    those up to any moment are kept, as journals have it; envelopes and metas may lie on two file systems,
#                 so each of the two has a moment of its own
#     any         each is kept or not, but none without those before it on the same name or the same file
# Both have to be survived. Not looked at: file systems that lose half of a rename.
import os
import random
import zlib

BLOCK = 4096
EXCHANGE = 2
MOMENTS = 64


def records(path):
    """(fields, octets or None) of each record."""
    with open(path, 'rb') as log:
        while True:
            line = log.readline()
            if not line:
                return
            fields = line.decode('utf-8', 'surrogateescape').rstrip('\n').split(' ')
            octets = None
            if fields[-1].startswith('=') and fields[-1][1:].isdigit():
                octets = log.read(int(fields.pop()[1:]))
            yield fields, octets


class File:
    """`changes`: (event, 'write', offset, octets), (event, 'cut', size), (event, 'time', ns). `synced`: (event, how many of
    the changes are safe, whether times are)."""

    def __init__(self, number, is_directory=False):
        self.number, self.is_directory = number, is_directory
        self.changes, self.synced, self.made = [], [], {}

    def safe(self, event, with_times):
        return max((count for at, count, times in self.synced if at < event and (times or not with_times)), default=0)

    def happened(self, event):
        low, high = 0, len(self.changes)
        while low < high:
            middle = (low + high) // 2
            if self.changes[middle][0] < event:
                low = middle + 1
            else:
                high = middle
        return low

    def content(self, event, how):
        """(octets, time in ns or None) when power fails before `event`, None for a directory. `how`: lost, kept, torn,
        zeros, or a number for any mixture."""
        if self.is_directory:
            return None
        safe, count = self.safe(event, False), self.happened(event)
        safe_time = self.safe(event, True)
        if safe == count:
            how = 'lost' if how == 'lost' and safe_time < count else 'kept'
        key = safe, safe_time, count, how
        if key not in self.made:
            self.made[key] = self._make(safe, safe_time, count, how)
        return self.made[key]

    def _make(self, safe, safe_time, count, how):
        octets, time = bytearray(), None
        chance = random.Random(f'{how} {self.number} {count}')
        for index, (_, kind, *what) in enumerate(self.changes[:count]):
            if kind == 'time':
                if index < safe_time or how in ('kept', 'torn') or isinstance(how, int) and chance.random() < 0.5:
                    time = what[0]
            elif index < safe or how == 'kept':
                change(octets, kind, *what)
            elif how == 'torn':
                if index < last_change(self.changes, count):
                    change(octets, kind, *what)
                elif kind == 'write':
                    change(octets, kind, what[0], what[1][:len(what[1]) // 2])
            elif how == 'zeros':
                if kind == 'write':
                    end = what[0] + len(what[1])
                    octets.extend(bytes(max(0, end - len(octets))))
                else:
                    change(octets, kind, *what)
            elif isinstance(how, int):
                change_some(octets, kind, chance, *what)
        return bytes(octets), time


def last_change(changes, count):
    return max(index for index in range(count) if changes[index][1] != 'time')


def change(octets, kind, *what):
    if kind == 'cut':
        size = what[0]
        octets.extend(bytes(max(0, size - len(octets))))
        del octets[size:]
    else:
        offset, data = what
        octets.extend(bytes(max(0, offset + len(data) - len(octets))))
        octets[offset:offset + len(data)] = data


def change_some(octets, kind, chance, *what):
    if kind == 'cut':
        if chance.random() < 0.5:
            change(octets, kind, *what)
        return
    offset, data = what
    for start in range(0, len(data), BLOCK):
        if chance.random() < 0.5:
            change(octets, kind, offset + start, data[start:start + BLOCK])


class Act:
    """One change of names: `sets` is path -> File or None."""

    def __init__(self, event, number, sets, places):
        self.event, self.number, self.sets, self.places = event, number, sets, places
        self.directories = {os.path.dirname(path) for path in sets}
        self.makes = {path for path, file in sets.items() if file and file.is_directory}
        self.safe_at = None         # the event after which it is durable
        self.rests_on = []


class History:
    """All that happened, and `problems`: what shows that the record is not whole. `place_of` tells which file system a path is
    on. `without`: a function of (path, whether it is a directory), whose syncs are taken out."""

    def __init__(self, path, place_of, without=None):
        self.files, self.acts, self.said, self.noted, self.problems = [], [], [], [], []
        self.names, self.inodes, self.now, self.syncs = {}, {}, {}, {}
        self.last_on, self.place_of, self.without, self.count = {}, place_of, without, 0
        self.changed = {0}      # events before which something else is left than before the one before
        for fields, octets in records(path):
            method = getattr(self, '_' + fields[0], None)
            if method:
                method(self.count, *fields[1:], *([] if octets is None else [octets]))
            else:
                self.problems.append(f'not known: {" ".join(fields)}')
            self.count += 1
            if fields[0] not in ('sync', 'syncdir', 'syncfs', 'said', 'note'):
                self.changed.add(self.count)

    def _new(self, inode, is_directory=False):
        file = File(len(self.files), is_directory)
        self.files.append(file)
        self.inodes[inode] = file
        self.now[file] = bytearray()
        return file

    def _act(self, event, sets):
        act = Act(event, len(self.acts), sets, {self.place_of(path) for path in sets})
        touched = [*sets, *(file for file in sets.values() if file), *act.directories,
            *(self.names[path] for path in sets if self.names.get(path))]
        for what in touched:
            last = self.last_on.get(what)
            if last and last not in act.rests_on:
                act.rests_on.append(last)
        for what in touched:
            if what not in act.directories or sets.get(what):
                self.last_on[what] = act
        for path, file in sets.items():
            if file:
                self.names[path] = file
            else:
                self.names.pop(path, None)
        self.acts.append(act)

    def _create(self, event, inode, path):
        self._act(event, {path: self._new(inode)})

    def _unnamed(self, _, inode):
        self._new(inode)

    def _mkdir(self, event, inode, path):
        self._act(event, {path: self._new(inode, True)})

    def _link(self, event, inode, path):
        self._act(event, {path: self.inodes[inode]})

    def _unlink(self, event, path):
        if self._known(path, 'unlink'):
            self._act(event, {path: None})

    def _rename(self, event, flags, source, target):
        if not self._known(source, 'rename'):
            return
        file, other = self.names[source], self.names.get(target)
        if file is not other:
            self._act(event, {source: other if int(flags) & EXCHANGE else None, target: file})

    def _known(self, path, call):
        if path not in self.names:
            self.problems.append(f'{call} of {path}, which nobody made')
        return path in self.names

    def _change(self, event, inode, *what):
        file = self.inodes.get(inode)
        if not file:
            self.problems.append(f'{what[0]} of a file that nobody made')
            return
        file.changes.append((event, *what))
        if what[0] != 'time':
            change(self.now[file], *what)

    def _write(self, event, inode, offset, octets):
        self._change(event, inode, 'write', int(offset), octets)

    def _truncate(self, event, inode, size):
        self._change(event, inode, 'cut', int(size))

    def _utimens(self, event, inode, time):
        self._change(event, inode, 'time', int(time))

    def _sync(self, event, number, inode, size, total):
        file = self.inodes.get(inode)
        if not file or len(self.now[file]) != int(size) or zlib.adler32(self.now[file]) != int(total):
            self.problems.append(f'event {event}: a file has other octets than were written')
            return
        path = next((path for path, named in self.names.items() if named is file), '')
        if not self.without or not self.without(path, False):
            self.syncs[number] = lambda at, times: file.synced.append((at, file.happened(event), times))

    def _syncdir(self, event, number, path, names):
        there = set(names.decode('utf-8', 'surrogateescape').split('\n')) - {'', '.', '..'}
        known = {os.path.basename(name) for name in self.names if os.path.dirname(name) == path}
        if there != known and path in self.names:
            self.problems.append(f'event {event}: {path} has {sorted(there ^ known)} otherwise')
        if not self.without or not self.without(path, True):
            self.syncs[number] = lambda at, _: self._keep(at, event, lambda act: path in act.directories)

    def _syncfs(self, event, number, _):
        def keep(at, _):
            self._keep(at, event, lambda act: True)
            for file in self.files:
                file.synced.append((at, file.happened(event), True))
        self.syncs[number] = keep

    def _keep(self, at, before, concerns):
        for act in self.acts:
            if act.event < before and act.safe_at is None and concerns(act):
                self._make_safe(act, at)

    def _make_safe(self, act, at):
        if act.safe_at is None:
            act.safe_at = at
            for other in act.rests_on:
                if not other.makes & act.directories:   # a directory does not keep its own name
                    self._make_safe(other, at)

    def _synced(self, event, number, result, what):
        sync = self.syncs.pop(number, None)
        if sync and int(result) == 0:
            sync(event, what == 'all')

    def _unknown(self, event, call, path):
        self.problems.append(f'event {event}: {call} on {path}, which the recorder does not follow')

    def _said(self, event, octets):
        self.said.append((event, octets))

    def _note(self, event, *words):
        self.noted.append((event, words))

    # ---- what a power cut leaves

    def _names(self, acts):
        names = {}
        for act in acts:
            names.update(act.sets)
        return {path: file for path, file in names.items() if file}

    def whole(self):
        """Nothing lost: path -> (octets, time), None for a directory."""
        return {path: file.content(self.count, 'kept') for path, file in self._names(self.acts).items()}

    def moment(self, event):
        return Moment(self, event)


class Moment:
    """What a power cut before `event` leaves."""

    def __init__(self, history, event):
        self.event = event
        self.acts = [act for act in history.acts if act.event < event]
        self.safe = {act for act in self.acts if act.safe_at is not None and act.safe_at < event}
        # What all trees have in common: acts up to the first that is not safe.
        settled = next((n for n, act in enumerate(self.acts) if act not in self.safe), len(self.acts))
        self.settled, self.rest = self._apply({}, self.acts[:settled]), self.acts[settled:]
        self.contents = {}
        self.made = set().union(*(act.makes for act in self.rest if act not in self.safe))

    def _at_home(self, names):
        """Without what is in a directory that was not kept."""
        if not self.made:
            return names
        return {path: file for path, file in names.items() if os.path.dirname(path) not in self.made or
            os.path.dirname(path) in names}

    @staticmethod
    def _apply(names, acts):
        for act in acts:
            for path, file in act.sets.items():
                if file:
                    names[path] = file
                else:
                    names.pop(path, None)
        return names

    def _content(self, file, how):
        key = file, how
        if key not in self.contents:
            self.contents[key] = file.content(self.event, how)
        return self.contents[key]

    def in_order(self):
        for rest in self._kept_in_order():
            names = self._at_home(self._apply(dict(self.settled), rest))
            for how in ('lost', 'kept', 'torn', 'zeros', self.event):
                yield {path: self._content(file, how) for path, file in names.items()}

    def any(self, chance):
        kept = set(self.safe)
        for act in self.rest:
            if act not in kept and chance.random() < 0.6 and all(other in kept for other in act.rests_on):
                kept.add(act)
        names = self._at_home(self._apply(dict(self.settled), [act for act in self.rest if act in kept]))
        return {path: self._content(file, chance.choice(['lost', 'kept', 'torn', 'zeros', chance.randrange(4)]))
            for path, file in names.items()}

    def _kept_in_order(self):
        """What of the rest is kept: one place up to each of its moments, the others up to their first or last one."""
        last = self.acts[-1].event + 1 if self.acts else 0
        first = {}
        for act in self.acts:
            for place in act.places:
                first[place] = act.event + 1 if act in self.safe else first.get(place, 0)
        moments = sorted({act.event for act in self.rest if act not in self.safe} | {last})
        seen = set()
        for one in first:
            # More only where syncs of directories are left out.
            for moment in moments[::len(moments) // MOMENTS + 1] + [last]:
                for others in (first, dict.fromkeys(first, last), dict.fromkeys(first, moment)):
                    limits = {place: max(first[place], others[place]) for place in first}
                    limits[one] = max(first[one], moment)
                    kept = [act for act in self.rest if act in self.safe or
                        all(act.event < limits[place] for place in act.places)]
                    key = tuple(act.number for act in kept)
                    if key not in seen:
                        seen.add(key)
                        yield kept


def build(tree, root, folder):
    """Makes `tree`, whose paths are below `root`, below `folder`."""
    for path in sorted(tree):
        place = folder + path[len(root):]
        if tree[path] is None:
            os.mkdir(place)
            continue
        octets, time = tree[path]
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(fd, octets)
        if time is not None:
            os.utime(fd, ns=(time, time))
        os.close(fd)


def differences(tree, root, before=()):
    """What is not the same in the directories themselves; `before` stood there at the beginning."""
    found, there = [], set()
    for folder, directories, files in os.walk(root):
        there |= {os.path.join(folder, name) for name in directories + files}
    found += [f'only on one side: {path}' for path in sorted((there - set(before)) ^ set(tree))]
    for path in sorted(there & set(tree)):
        if tree[path] is None or os.path.isdir(path):
            continue
        with open(path, 'rb') as file:
            if file.read() != tree[path][0]:
                found.append(f'other octets: {path}')
        if tree[path][1] is not None and os.stat(path).st_mtime_ns != tree[path][1]:
            found.append(f'another time: {path}')
    return found
