# limits.py - what the tests of an edge's limits have in common
# SPDX-License-Identifier: MIT
from .fixture import is_
from .master import CONFIG, status


def limited(keys, edges=2):
    return CONFIG.replace('type: smtp,', f'type: smtp, {keys},').replace('edge: {instances: 2}', f'edge: {{instances: {edges}}}')


def counters(t):
    return status(t.path('runtime/master'))[-1]['counters']


def held_by(t):
    """The connections of each edge's process."""
    return {line['pid']: line.get('stats', {}).get('edges', {}).get('main', {}).get('connections', 0)
        for line in status(t.path('runtime/master'))[1:-1] if line['process'] == 'edge'}


def refusal(t, text='Too many connections'):
    with t.client('smtp') as client:
        reply = client.reply()
        is_((reply.code, reply.text), (421, f'4.7.0 {text}'), 'one more is refused')
        is_(client.sock.recv(100), b'', 'and closed')
