# queues.py - the storages that a test of whole programs walks, and what it asks slimta-queuectl there
# SPDX-License-Identifier: MIT
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from .fixture import wait_for
from .redis import Redis
from .tap import diag, is_

# A row for each type of queue: members of its section, @dir@ being the test's folder.
STORAGES = {
    'disk': 'type: disk, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes',
    'memory': 'type: memory',
    'redis': 'type: redis, socket: @dir@/redis/socket',
}


def on_every_storage(*tests):
    """Each test(t, section) as a test(t) per storage."""
    def bind(test, kind, section):
        def bound(t):
            diag(f'{test.__name__} on {kind}')
            if kind == 'redis':
                Redis(t, aof='always')
            test(t, section)
        bound.__name__ = f'{test.__name__} on {kind}'
        return bound
    return [bind(test, kind, section) for kind, section in STORAGES.items() for test in tests]


def listed(t, *args, conf=None):
    """The objects of `list --json`, in its order."""
    done = t.run('slimta-queuectl', '-c', conf or t.path('slimta.conf'), '--json', 'list', *args)
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_listed(t, count, *args):
    """Waits until so many messages are listed by these arguments; gives their objects."""
    return wait_for(lambda: len(found := listed(t, *args)) == count and (found or True),
        what=f'{count} messages by {args}')


@contextlib.contextmanager
def quick_folder(t):
    """A folder for many messages: in memory, where that is possible, so that filling is quick."""
    place = tempfile.mkdtemp(prefix='slimta-t-', dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else t.dir)
    try:
        yield place
    finally:
        shutil.rmtree(place)


def fill(t, place, new, later=0, *domains):
    """So many messages into PLACE/env and PLACE/meta, or by the section of a queue; the later ones are due in an hour, all are of
    fill@example.org; 'domains': each second one for a domain of its own."""
    filled = subprocess.run([t.program('t/lib/fill'), place, str(new), str(later), *domains], check=False)
    is_(filled.returncode, 0, f'{new + later} messages were written')
