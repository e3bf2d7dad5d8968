# destinations_cases.py - what is measured of mail for many next hops, some of them dead or slow
# SPDX-License-Identifier: MIT
import os
import time

from .cases import K
from .destinations import DOMAIN, FIRST, FastAlone, PostfixByMx, SlimtaByMx, names, postfix_can
from .redis_cases import RedisCases
from .tools import Trouble

EACH = 20                               # messages to a destination
FAST, SLOW, SILENT, REFUSED = 450, 20, 15, 15
GREET_MS = 5000


class DestinationCases(RedisCases):

    def destinations(self, rounds=3, late_mark=None, connections_mark=None, memory_mark=None, postfix=False):
        """All is queued, then the server is started: until the fast destinations have the last of theirs."""
        dns_port = 53 if os.environ.get('BENCH_FOLDER') else self.ports[2]

        def one_round(kind):
            slow, silent, refused = (0, 0, 0) if kind is FastAlone else (SLOW, SILENT, REFUSED)
            count = FAST + slow + silent + refused
            kind.dns_port = dns_port
            nothing = self.cost_of_nothing(kind)
            with names(dns_port) as dns, self.server(kind) as server:
                self.tools.all_accepted(self.port, '-s', 20, '-p', '-c', 10, '-m', EACH * count, '-N', count, '-t', f'x@{DOMAIN}')
                server.release()
                with self.tools.sink(self.sink_port, '-m', EACH * FAST, '-F', FAST, '-S', slow, '-Z', silent, '-g', GREET_MS,
                        address=FIRST) as sink:
                    began = time.monotonic()
                    server.start()
                    server.flush()
                    memory = server.most_memory(server.worker)
                    figures = sink.figures(90)
                    left = EACH * (silent + refused)
                    server.wait(lambda: server.queued() <= left, 60, 'to reach the slow hosts')
                    most = memory()
                    cpu = server.stop() - nothing
                    slow_figures = sink.end()['slow']
                if dns.errors:
                    raise Trouble(f'the DNS server: {dns.errors[0]}')
            fast = figures['fast']
            return {'late': fast['last_s'] - began, 'rate': fast['messages'] / (fast['last_s'] - began),
                'connections': fast['connections'] / fast['messages'], 'most': fast['most_to_a_host'], 'twice': figures['twice'],
                'slow': slow_figures['messages'], 'slow_late': max(slow_figures['last_s'] - began, 0),
                'slow_connections': slow_figures['connections'], 'memory': most / K / K, 'cpu': cpu * 1000 / fast['messages'],
                'asked': len(dns.asked)}
        case = f'{FAST + SLOW + SILENT + REFUSED} destinations of {EACH}'
        kinds = [SlimtaByMx, FastAlone, *([PostfixByMx] if postfix and len(self.servers) > 1 and postfix_can() else [])]
        results = self.pairs(case, one_round, rounds, kinds)
        ours, alone, theirs = results[0], results[1], results[2:]
        self.row(f'{case}, {SLOW + SILENT + REFUSED} dead or slow: last fast message; beside the fast alone', 's', [ours, alone],
            'late', late_mark, more_is_better=False, rounds=rounds)
        self.row(f'{case}', 'connections a message', [ours, *theirs], 'connections', connections_mark, more_is_better=False,
            absolute=True, rounds=rounds)
        self.row(f'{case}: PSS of the workers', 'MB', [ours, *theirs], 'memory', memory_mark, more_is_better=False, absolute=True,
            rounds=rounds)
        self.row(f'{case}: until the last fast one', 'messages/s', [ours, *theirs], 'rate', rounds=rounds)
        self.row(f'{case}', 'CPU s/1,000', [ours, *theirs], 'cpu', more_is_better=False, rounds=rounds)
