#!/usr/bin/python3
# 0014-tree-judge.t - the judge of the crash test: what it lets pass, and what it must not
# SPDX-License-Identifier: MIT
from lib.fixture import is_, like, run
from lib.judge import Kill, Log, Message, Take, bounce_of, judge

LINE = '{"time":"2026-01-31T12:00:%02d.%03dZ","level":"info","event":"%s","id":"%s","recipient":"%s"}'
NOON = 1769860800


def at(second):
    return NOON + second


def log(*events):
    """(event, second, id, recipient)"""
    return Log([LINE % (int(second), round(second % 1 * 1000), event, ident, recipient)
        for event, second, ident, recipient in events])


def sent(code=250, refused=()):
    message = Message('m', ['a', 'b'], list(refused))
    message.code = code
    return message


def take(second, recipient='a', ident='1', cut=None, command=False, token='m'):
    one = Take(at(second), ident, token, recipient, opened=None if command else at(0))
    one.ended, one.quit = at(cut or 4), not cut
    return one


def kill(second, kind='worker'):
    return Kill(kind, at(second), at(second))


def verdict(what, lost, wrong, doubled, *args, **how):
    """`wrong`: a pattern, '' = nothing may be wrong."""
    found = judge(*args, **how)
    is_((len(found.lost), len(found.doubled)), (lost, doubled), what)
    if wrong:
        like('\n'.join(found.wrong), wrong, 'and it says why')
    else:
        is_(found.wrong, [], 'and nothing is wrong')


def lost(_):
    both = [take(1), take(1, 'b')]
    verdict('all came', 0, '', 0, [sent()], both, [], log())
    verdict('one recipient has nothing', 1, '', 0, [sent()], both[:1], [], log())
    verdict('nobody has anything', 2, '', 0, [sent()], [], [], log())
    verdict('nobody was promised anything', 0, '', 0, [sent(0)], [], [], log())
    verdict('what came in part is owed whole', 1, '', 0, [sent(0)], both[:1], [], log())
    verdict('what was refused must not come', 0, 'refused by 451 and came', 0, [sent(451)], both, [], log())
    verdict('nor what nobody sent', 0, 'nobody sent it', 0, [], both, [], log())
    verdict('nor for others', 0, 'to c, who is none', 0, [sent()], [*both, take(1, 'c')], [], log())
    verdict('nor changed', 0, 'came changed', 0, [sent()], [take(1, 'b'), Take(at(1), '1', 'm', 'a', good=False)], [], log())
    part = Take(at(1), '1', 'm', 'a', good=False)
    end = [kill(0.9, 'spawner')]
    verdict('nor saved in part by a command whose spawner died', 0, 'came changed', 0, [sent()], [both[1], part], end, log())
    verdict('a line without a copy', 0, 'who has nothing', 0, [], [], [], log(('delivered', 1, '1', 'a')))


def bounced(_):
    both = [take(1), take(1, 'b')]
    bounce = take(2, 'm@example.org', '2', token=bounce_of('m'))
    verdict('a bounce is owed', 1, '', 0, [sent(refused='c')], both, [], log())
    verdict('and came', 0, '', 0, [sent(refused='c')], [*both, bounce], [], log())
    verdict('or should not', 0, 'nobody had refused', 0, [sent()], [*both, bounce], [], log())
    other = take(3, 'm@example.org', '3', token=bounce_of('m'), cut=4)
    verdict('once', 0, 'more than one id', 0, [sent(refused='c')], [*both, bounce, other], [kill(3)], log())


def doubled(_):
    def case(what, reason, first, *kills, events=(), announced=False):
        takes = [first, take(5, command=first.opened is None), take(1, 'b')]
        verdict(what, 0, reason, 0 if reason else 1, [sent()], takes, kills, log(*events), announced=announced)

    case('its worker was killed after it came', '', take(3, cut=4), kill(3.9))
    case('or just before the next hop saw it', '', take(3, cut=3.1), kill(2))
    case('as all of them were', '', take(3, cut=4), kill(3.9, 'all'))
    case('nobody was killed', 'no kill is the reason', take(3, cut=4))
    case('an edge was', 'no kill is the reason', take(3, cut=4), kill(3.9, 'edge'))
    case('a spawner has no connection', 'no kill is the reason', take(3, cut=4), kill(3.9, 'spawner'))
    case('its connection ended well long before', 'no kill is the reason', take(0.1), kill(7.1))
    case('its connection ended well, and then it was killed', '', take(3), kill(4.1))
    case('its worker was killed before it came', 'no kill is the reason', take(3), kill(2.9))
    case('the kill was after the end', 'no kill is the reason', take(3, cut=4), kill(4.1))
    case('the kill was long before', 'no kill is the reason', take(0.5, cut=4.9), kill(1))
    case('the kill was before the connection', 'no kill is the reason', take(3, cut=4), kill(-1))
    case('the record was made', 'no kill is the reason', take(3, cut=4), kill(3.9), events=[('delivered', 3.5, '1', 'a')])
    case('the record is of the second time', '', take(3, cut=4), kill(3.9), events=[('delivered', 5, '1', 'a')])
    case('what the dead one had sent is taken last', '', take(5.1, cut=5.2), kill(4.9), events=[('delivered', 5, '1', 'a')])
    case('another has one', '', take(3, cut=4), kill(3.9), events=[('delivered', 3.5, '1', 'b')])
    case('two records', 'logged as delivered to a 2 times', take(3, cut=4), kill(3.9),
        events=[('delivered', 3.5, '1', 'a'), ('delivered', 5.5, '1', 'a')])
    case('two ids', 'more than one id', take(3, ident='2', cut=4), kill(3.9))
    case('nobody said so', 'not announced', take(3, cut=4), kill(3.9), announced=True)
    case('somebody did', '', take(3, cut=4), kill(3.9), events=[('in doubt', 6, '1', 'a')], announced=True)
    case('a command whose spawner was killed', '', take(3, command=True), kill(3.5, 'spawner'))
    case('a command of which nobody was', 'no kill is the reason', take(3, command=True), kill(5.5))


run(lost, bounced, doubled)
