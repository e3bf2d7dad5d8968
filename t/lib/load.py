# load.py - connections at a steady pace, and what became of each
# SPDX-License-Identifier: MIT
import asyncio
import collections
import json
import os
import subprocess
import sys
import threading
import time

from .tap import diag

PATIENCE = 20
STEP = 50       # connections, after which it says how many there were


class Load:
    """Connects `rate` times a second, whatever became of the earlier ones; each reads its greeting and quits. In a
    process of its own, which nothing that the test does makes slow. After the `with`, `outcomes` counts first replies
    ('220', '421') or what came instead ('refused', 'reset', 'ended', 'nothing'); `ends` the same for what came after
    QUIT; `longest` is the longest time from connect to the first reply, in seconds."""

    def __init__(self, port, rate=500):
        self.command = [sys.executable, '-m', 'lib.load', str(port), str(rate)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        last = self.process.stdout.read().splitlines()[-1]
        self.process.wait()
        self.__dict__.update(json.loads(last))
        self.outcomes, self.ends = collections.Counter(self.outcomes), collections.Counter(self.ends)

    def wait(self, count):
        """Until there were so many."""
        while int(self.process.stdout.readline()) < count:
            pass

    def report(self, what):
        diag(f'{what}: {self.count} connections in {self.seconds:.1f} s, greetings {dict(self.outcomes)}, after QUIT '
             f'{dict(self.ends)}, longest wait {self.longest * 1000:.0f} ms')


class Connections:
    def __init__(self, port, rate):
        self.port, self.rate = port, rate
        self.outcomes, self.ends = collections.Counter(), collections.Counter()
        self.longest = self.count = 0
        self.started = time.monotonic()
        self.stopping = threading.Event()

    async def run(self):
        tasks, begun = set(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - self.started) * self.rate)
            for _ in range(due - begun):
                task = asyncio.create_task(self._one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            begun = max(begun, due)
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)
        print(json.dumps({'outcomes': self.outcomes, 'ends': self.ends, 'longest': self.longest, 'count': self.count,
            'seconds': time.monotonic() - self.started}), flush=True)

    async def _one(self):
        began = time.monotonic()
        writer = None
        try:
            reader, writer = await within(asyncio.open_connection('127.0.0.1', self.port))
            self.outcomes[await first_reply(reader)] += 1
        except OSError as error:
            self.outcomes[outcome_of(error)] += 1
        self.longest = max(self.longest, time.monotonic() - began)
        if writer:
            self.ends[await quit_of(reader, writer)] += 1
            writer.transport.abort()
        self.count += 1
        if self.count % STEP == 0:
            print(self.count, flush=True)


async def quit_of(reader, writer):
    try:
        writer.write(b'QUIT\r\n')
        return await first_reply(reader)
    except OSError as error:
        return outcome_of(error)


async def first_reply(reader):
    return (await within(reader.readline()))[:3].decode() or 'ended'


async def within(future):
    return await asyncio.wait_for(future, PATIENCE)


def outcome_of(error):
    if isinstance(error, ConnectionRefusedError):
        return 'refused'
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return 'reset'
    return 'nothing'


def main():
    connections = Connections(int(sys.argv[1]), int(sys.argv[2]))
    threading.Thread(target=lambda: (sys.stdin.read(), connections.stopping.set()), daemon=True).start()
    asyncio.run(connections.run())


if __name__ == '__main__':
    main()
