# load.py - connections at a steady pace, and what became of each
# SPDX-License-Identifier: MIT
import asyncio
import collections
import threading
import time

from .tap import diag

PATIENCE = 20


class Load:
    """Connects `rate` times a second, whatever became of the earlier ones; each reads its greeting and quits.
    `outcomes` counts first replies ('220', '421') or what came instead ('refused', 'reset', 'ended', 'nothing');
    `ends` the same for what came after QUIT. `waits` has the seconds from connect to the first reply."""

    def __init__(self, port, rate=500):
        self.port, self.rate = port, rate
        self.outcomes, self.ends = collections.Counter(), collections.Counter()
        self.waits = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self.started = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.started

    @property
    def count(self):
        return len(self.waits)

    def report(self, what):
        diag(f'{what}: {self.count} connections in {self.seconds:.1f} s, greetings {dict(self.outcomes)}, after QUIT '
             f'{dict(self.ends)}, longest wait {max(self.waits) * 1000:.0f} ms')

    async def _run(self):
        tasks, done = set(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - self.started) * self.rate)
            for _ in range(due - done):
                task = asyncio.create_task(self._one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            done = max(done, due)
            await asyncio.sleep(0.002)
        await asyncio.gather(*tasks)

    async def _one(self):
        began = time.monotonic()
        writer = None
        try:
            reader, writer = await self._within(asyncio.open_connection('127.0.0.1', self.port))
            self.outcomes[await self._reply(reader)] += 1
        except OSError as error:
            self.outcomes[outcome_of(error)] += 1
        self.waits.append(time.monotonic() - began)
        if writer:
            self.ends[await self._quit(reader, writer)] += 1
            writer.transport.abort()

    async def _quit(self, reader, writer):
        try:
            writer.write(b'QUIT\r\n')
            return await self._reply(reader)
        except OSError as error:
            return outcome_of(error)

    async def _reply(self, reader):
        return (await self._within(reader.readline()))[:3].decode() or 'ended'

    async def _within(self, future):
        return await asyncio.wait_for(future, PATIENCE)


def outcome_of(error):
    if isinstance(error, ConnectionRefusedError):
        return 'refused'
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return 'reset'
    return 'nothing'
