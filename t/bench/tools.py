# tools.py - the load generator and the sink, started by the cases
# SPDX-License-Identifier: MIT
import json
import select
import subprocess


class Trouble(Exception):
    """A round that cannot count."""


class Tools:
    def __init__(self, build, clock):
        self.build, self.clock = build, clock

    def load(self, port, *options, timeout=120, address='127.0.0.1'):
        """Runs load to its end; gives its figures."""
        command = [f'{self.build}/t/bench/load', *map(str, options), f'{address}:{port}']
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.clock.limit(timeout), check=False)
        except subprocess.TimeoutExpired:
            raise Trouble(f'load was not through after {timeout} s') from None
        if done.returncode:
            raise Trouble(done.stderr.strip())
        return json.loads(done.stdout)

    def all_accepted(self, port, *options, timeout=120, address='127.0.0.1'):
        """The same where anything but a 250 for each message is trouble."""
        figures = self.load(port, *options, timeout=timeout, address=address)
        if figures['deferred'] or figures['failed'] or figures['lost']:
            raise Trouble(f"{figures['deferred']} deferred, {figures['failed']} failed, {figures['lost']} lost")
        return figures

    def sink(self, port, *options, address='127.0.0.1'):
        return Sink(self, [f'{self.build}/t/bench/sink', *map(str, options), f'{address}:{port}'])

    def idle(self, port, count, *options):
        return Idle(self, [f'{self.build}/t/bench/load', '--hold', '--sessions', str(count), *options, f'127.0.0.1:{port}'])


class Talker:
    """A tool that says a line of JSON at a time; ends with the `with`."""

    def __init__(self, tools, command):
        self.tools = tools
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pending = b''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self, timeout):
        """The next line, of JSON."""
        while b'\n' not in self.pending:
            if not select.select([self.process.stdout], [], [], self.tools.clock.limit(timeout))[0]:
                raise Trouble(f'{self.process.args[0]} said nothing for {timeout} s')
            chunk = self.process.stdout.read1(65536)
            if not chunk:
                raise Trouble(f'{self.process.args[0]} ended')
            self.pending += chunk
        line, self.pending = self.pending.split(b'\n', 1)
        return json.loads(line)


class Sink(Talker):
    def __enter__(self):
        self.line(10)
        return self

    def figures(self, timeout=120):
        """When it has as many messages as it waits for."""
        return self.line(timeout)

    def end(self):
        """Ends it; gives all that it had."""
        self.process.terminate()
        return self.line(20)


class Idle(Talker):
    def __enter__(self):
        try:
            self.held = self.line(120)['held']
        except Trouble:
            super().__exit__()
            raise
        return self

    def release(self):
        """How many were still connected in the end."""
        self.process.stdin.close()
        return self.line(20)['held']
