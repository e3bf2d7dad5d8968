#!/usr/bin/python3
# 5028-relay-static-states.t - at each step of a session a next hop does each thing that one can do wrong (lessons P12 P23 P24)
# SPDX-License-Identifier: MIT
# At each a message waits in line behind the one that suffers, and has to go on at once.
from lib.fixture import run
from lib.lanes import AGAIN, Row, run_rows
from lib.next_hop import CLOSE, RESET, SILENCE, Raw

GOOD = {'connect': '220 mx', 'EHLO': '250 mx', 'HELO': '250 mx', 'MAIL': '250 2.1.0 ok', 'RCPT': '250 2.1.5 ok',
    'DATA': '354 go', '.': '250 2.6.0 taken'}
BEFORE = ('connect', 'EHLO', 'HELO')
NAMES = {'connect': 'the connection', '.': 'the message'}
LOST = '451 4.4.2 Connection lost: .*'
TAKEN = '250 2.6.0 taken'


def say(text, then=SILENCE):
    """These octets and no others, then nothing, or the end."""
    def what(lane, peer):
        peer.send(text)
        if then is SILENCE:
            lane.over.wait(60)
            return CLOSE
        return then
    return what


def slowly(text):
    """Octet by octet, the last one as a reply."""
    def what(_, peer):
        for octet in text[:-1]:
            peer.send(bytes([octet]))
        end = Raw(text[-1:])
        end.code = int(text[:3])
        return end
    return what


def at_each_step():
    for step, good in GOOD.items():
        at = {'EHLO': ['502 what', '502 what']} if step == 'HELO' else {}
        lead = [None] if step == 'RCPT' else []
        code, rest = good[:3].encode(), good[4:].encode()
        invalid, doubt = f'451 4.5.0 Invalid reply to {NAMES.get(step, step)}', step == '.'
        gone = LOST if step in BEFORE or doubt else AGAIN

        def row(name, what, wanted, connections=2, doubt=False):
            return Row(step, name, what, wanted, connections, doubt, lead=lead, at=at)
        # The end
        down = '421 4.3.2 down' if step in BEFORE else AGAIN
        yield row('421', say(b'421 4.3.2 down\r\n'), down)
        yield row('421, end', say(b'421 4.3.2 down\r\n', CLOSE), down)
        yield row('421 with the text of another', '421 550 5.1.1 no', '421 4.0.0 550 5.1.1 no' if step in BEFORE else AGAIN)
        yield row('end', CLOSE, gone, doubt=doubt)
        yield row('reset', RESET, gone, doubt=doubt)
        yield row('end within a line', say(code + b' half', CLOSE), gone, doubt=doubt)
        # No replies
        for name, octets in (('nonsense', b'SSH-2.0-OpenSSH_9\r\n'), ('mixed codes', code + b'-a\r\n' + b'299 b\r\n'),
                ('mixed classes', code + b'-a\r\n550 b\r\n'), ('a code that is none', b'199 early\r\n'),
                ('two digits', b'25 ok\r\n'), ('four digits', code + b'0 ok\r\n'), ('an empty line', b'\r\n'),
                ('a line of 1 MB', code + b' ' + b'x' * 1000000 + b'\r\n'), ('endless lines', (code + b'-x\r\n') * 100000),
                ('octets', bytes(range(256)) * 9 + b'\r\n')):
            yield row(name, say(octets), invalid, doubt=doubt)
        yield row('the other class', say(b'250 ok\r\n' if step == 'DATA' else b'354 go\r\n'), invalid, doubt=doubt)
        # Replies in odd forms
        for name, octets in (('no text', code + b'\r\n'), ('LF alone', code + b' ok\n'), ('a space', code + b' \r\n'),
                ('100 lines', (code + b'-x\r\n') * 99 + code + b' ' + rest + b'\r\n'),
                ('octets and NUL', code + b' \0\xff\x1b[2J' + rest + b'\r\n')):
            wanted = '250 2.0.0.*' if step == '.' else TAKEN
            yield row(name, Raw(octets), wanted, 1)
        yield row('octet by octet', slowly(code + b' ' + rest + b'\r\n'), TAKEN, 1)


def refusals():
    """The code decides, not the text."""
    for step in GOOD:
        for said, reply in (('450 550 5.1.1 no', '450 4.0.0 550 5.1.1 no'), ('451 5.1.1 no', '451 4.0.0 5.1.1 no'),
                ('552 450 4.2.0 later', '552 5.0.0 450 4.2.0 later'), ('550', '550 5.0.0'),
                ('554-5.7.1 go\r\n554 5.7.1 a\x1bway', '554 5.7.1 go / a way')):
            at = {'EHLO': ['502 what', '502 what']} if step == 'HELO' else {}
            if step == 'EHLO' and said[0] == '5':
                yield Row(step, f'{said!r}, then HELO is good', said, TAKEN, 1)
            elif step == 'RCPT':
                yield Row(step, said, said, {'b': reply}, 1, lead=[None])
            else:
                yield Row(step, said, said, reply, 2 if step in BEFORE else 1, at=at)


def recipients():
    replies = {'a': '250 ok', 'b': '550 5.1.1 no', 'c': '450 4.2.0 later'}

    def each(_, line):
        return replies[line[line.index('<') + 1]]
    for mode in 0, 1:
        yield Row('MAIL', 'each recipient has its reply', '250 ok', {'b': replies['b'], 'c': replies['c']}, 1,
            at={'RCPT': [each] * 3}, mode=mode)
        no = {'RCPT': ['550 5.1.1 no', '450 4.2.0 later', '550 5.1.1 no']}
        wanted = {'a': '550 5.1.1 no', 'b': '450 4.2.0 later', 'c': '550 5.1.1 no'}
        for said in '354 go', '503 5.5.1 no', '554 5.5.1 no valid recipients':
            at = no if mode else {**no, 'DATA': [said]}
            yield Row('MAIL', f'nobody, and {said} to DATA' if not mode else 'nobody', '250 ok', wanted, 1, at=at, mode=mode)
        for said in '421 4.3.2 down', CLOSE, RESET, '554 no', '354 what', 'nonsense', '250 ok\r\n250 more':
            yield Row('RSET', f'{said}', said, wanted, 2, at=no if mode else {**no, 'DATA': ['503 no']}, mode=mode)
        for said in '421 4.3.2 down', CLOSE, RESET:
            yield Row('RCPT', f'who is settled stays so: {said}', said, {'a': '550 5.1.1 no'}, 2, lead=['550 5.1.1 no', None],
                mode=mode)


def data():
    size = 6000000
    refused = say(b'552 5.3.4 large\r\n')
    for mode in 0, 1:
        yield Row('data', '552, and it listens no more', refused, '552 5.3.4 large', 2, octets=size, mode=mode)
    yield Row('data', '552, end', say(b'552 5.3.4 large\r\n', CLOSE), '552 5.3.4 large', 2, octets=size)
    yield Row('data', '452, reset', say(b'452 4.3.1 full\r\n', RESET), '452 4.3.1 full', 2, octets=size)
    yield Row('data', '421', say(b'421 4.3.2 down\r\n'), AGAIN, 2, octets=size)
    yield Row('data', 'end', CLOSE, AGAIN, 2, octets=size)
    yield Row('data', 'reset', RESET, AGAIN, 2, octets=size)
    for said in b'250 2.6.0 taken\r\n', b'354 go on\r\n', b'nonsense\r\n', b'250-a\r\n550 b\r\n':
        yield Row('data', f'{said}', say(said), '451 4.5.0 Invalid reply to the message', 2, octets=size)
    yield Row('DATA', 'and its end is answered at once', say(b'354 go\r\n250 2.6.0 taken\r\n'),
        '451 4.5.0 Invalid reply to the message', 2)


def ahead():
    """Replies to what was not said yet."""
    early = '451 4.5.0 Unexpected reply: 250 more'
    for step in 'connect', 'EHLO', 'MAIL', 'RCPT':
        yield Row(step, 'one reply too many', f'{GOOD[step]}\r\n250 more', early, 2, at={}, mode=1)
    for step in 'MAIL', 'RCPT':
        yield Row(step, 'one reply too many, in advance', f'{GOOD[step]}\r\n250 more', '451 4.5.0 Invalid reply to DATA', 2,
            mode=0)
    for said in '250 2.6.0 taken', '554 no', '421 4.4.2 idle', 'nonsense', '354 go':
        yield Row('.', f'and then {said}', f'250 2.6.0 taken\r\n{said}', TAKEN, 2)
    for then in CLOSE, RESET:
        yield Row('.', 'and then the end', (b'250 2.6.0 taken\r\n', then), TAKEN, 2)


def table(t):
    run_rows(t, [*at_each_step(), *refusals(), *recipients(), *data(), *ahead()], 'data_timeout: 30')


run(table, timeout=150)
