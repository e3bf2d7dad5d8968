# judge.py - what was promised, what arrived, what was killed: is a message lost, or doubled without a reason?
# SPDX-License-Identifier: MIT
# Times are seconds of the wall clock. The log has milliseconds and files have the kernel's tick, so what happened
# within TICK has no order, and that speaks for the software.
import datetime
import json

TICK = 0.01
LATE = 3        # what a dead worker had sent is read by a busy next hop within this, seconds


class Message:
    """One that a client sent: `recipients` take it, `refused` do not. `code`: the reply to its dot, 0 = none came."""

    def __init__(self, token, recipients, refused=()):
        self.token, self.recipients, self.refused = token, recipients, refused
        self.code, self.ident = 0, None


class Take:
    """A copy for one recipient that the next hop acknowledged at `time`. `opened`: when its connection was, None = it came
    by a command; `cut`: when that connection was cut, None = it ended well. `token`: the message, or that of a bounce."""

    def __init__(self, time, ident, token, recipient, good=True, opened=None):
        self.time, self.ident, self.token, self.recipient, self.good = time, ident, token, recipient, good
        self.opened, self.ended, self.quit = opened, 0, False


class Kill:
    """`kind`: worker, edge, spawner, master, all. It took effect between `since` and `until`."""

    def __init__(self, kind, since, until):
        self.kind, self.since, self.until = kind, since, until


class Log:
    """Of a log in JSON: when (id, recipient) was delivered, which ids were in doubt."""

    def __init__(self, lines):
        self.delivered, self.in_doubt = {}, set()
        for line in lines:
            if '"delivered"' not in line and '"in doubt"' not in line:
                continue
            fields = json.loads(line)
            if fields['event'] == 'delivered':
                time = datetime.datetime.fromisoformat(fields['time'].replace('Z', '+00:00')).timestamp()
                self.delivered.setdefault((fields['id'], fields['recipient']), []).append(time)
            elif fields['event'] == 'in doubt':
                self.in_doubt.add(fields['id'])


def bounce_of(token):
    return f'bounce of {token}'


def died_with(take, latest, kills, log):
    """Whether who delivered `take` was killed before its record was made. What a dead one had sent may be taken after
    what its successor sent: nothing follows from the order of copies. `latest`: when the last of them came."""
    recorded = min(log.delivered.get((take.ident, take.recipient), [latest + LATE])) + TICK
    for kill in kills:
        if kill.kind not in ('worker', 'all', 'spawner') or kill.since > recorded:
            continue
        if take.opened is None:
            if take.time - LATE < kill.until and kill.since < latest + TICK:
                return True
        elif kill.kind != 'spawner' and take.quit:
            # Said as soon as another waits for the connection, while the record is being made.
            if take.time - TICK < kill.until and kill.since < take.ended + LATE:
                return True
        elif kill.kind != 'spawner' and take.opened < kill.until and kill.since < take.ended < kill.until + LATE:
            return True
    return False


def describe(take, kills):
    near = ', '.join(f'{kill.kind} {kill.since - take.time:.3f}' for kill in kills if abs(kill.since - take.time) < 5)
    return (f'{take.time:.3f}: connected {take.opened and take.opened - take.time}, '
        f'ended {take.ended - take.time}{" by QUIT" if take.quit else ""}, kills {near}')


class Verdict:
    """`lost`: promised and not there. `wrong`: all else that must not be, in words. `doubled`: duplicates with a reason."""

    def __init__(self):
        self.lost, self.wrong, self.doubled, self.summary = [], [], [], ''


def judge_copies(verdict, copies, kills, log, announced):
    """All but one were delivered by the dead."""
    what = f'{copies[0].token} for {copies[0].recipient} (id {copies[0].ident})'
    latest = max(take.time for take in copies)
    alive = [take for take in copies if not died_with(take, latest, kills, log)]
    if len({take.ident for take in copies}) > 1:
        verdict.wrong.append(f'{what} came under more than one id: {[take.ident for take in copies]}')
    elif len(alive) > 1:
        verdict.wrong.append(f'{what} came {len(copies)} times, and no kill is the reason of more than '
            f'{len(copies) - len(alive)}:\n' + '\n'.join(describe(take, kills) for take in alive))
    elif len(copies) > 1 and announced and copies[0].ident not in log.in_doubt:
        verdict.wrong.append(f'{what} came {len(copies)} times and was not announced as in doubt')
    else:
        verdict.doubled += copies[1:]


def judge(messages, takes, kills, log, announced=False):
    """`announced`: a duplicate needs a line `in doubt` too."""
    verdict = Verdict()
    arrived = {}
    for take in takes:
        arrived.setdefault(take.token, {}).setdefault(take.recipient, []).append(take)
        if not take.good:
            verdict.wrong.append(f'{take.token} came changed to {take.recipient} (id {take.ident})')
    for message in messages:
        copies, bounces = arrived.pop(message.token, {}), arrived.pop(bounce_of(message.token), {})
        for recipient in copies:
            if recipient not in message.recipients:
                verdict.wrong.append(f'{message.token} came to {recipient}, who is none of its recipients')
        if message.code >= 400 and (copies or bounces):
            verdict.wrong.append(f'{message.token} was refused by {message.code} and came all the same')
        # What nobody promised may be gone; what came in part was there, and is owed whole.
        if message.code == 250 or copies or bounces:
            verdict.lost += [f'{message.token} for {recipient} (id {message.ident})'
                for recipient in message.recipients if recipient not in copies]
            if message.refused and not bounces:
                verdict.lost.append(f'the bounce of {message.token} (id {message.ident})')
        if bounces and not message.refused:
            verdict.wrong.append(f'{message.token} bounced, and nobody had refused it')
        for found in [*copies.values(), *bounces.values()]:
            judge_copies(verdict, found, kills, log, announced)
    verdict.wrong += [f'{token} came, and nobody sent it' for token in arrived]
    taken = {(take.ident, take.recipient) for take in takes}
    for key, times in log.delivered.items():
        if len(times) > 1:
            verdict.wrong.append(f'{key[0]} was logged as delivered to {key[1]} {len(times)} times')
        if key not in taken:
            verdict.wrong.append(f'{key[0]} was logged as delivered to {key[1]}, who has nothing')
    return verdict
