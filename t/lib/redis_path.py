# redis_path.py - edges and workers over a redis of the test's own: their configuration, mail, and what became of it
# SPDX-License-Identifier: MIT
import re

from .fixture import wait_for
from .mail import send
from .tap import is_, ok

SENDER = 's@example.org'
# The shortest lease that `static` with its data_timeout of 1 may have: 31 seconds.
STEP = 'command_timeout: 1, data_timeout: 1, connect_timeout: 1'
LEASE = 32


def config(section, relay='type: blackhole', queue='', retry='delay: 1, maximum: 1000', workers=1, edges=1, process='@process@'):
    """An edge on @port:smtp@, a queue `q` of these members behind `type: redis`, a relay of these."""
    return f'''{process}
  edge: {{instances: {edges}, spool_dir: @dir@}}
  worker: {{instances: {workers}}}
edge: {{main: {{type: smtp, queue: q, listener: {{interface: 127.0.0.1, port: @port:smtp@}}}}}}
queue:
  q: {{type: redis, {section}, relay: r, retry: {{{retry}}}{queue}}}
relay:
  r: {{{relay}}}
'''


def static(port, more=''):
    return f'type: static, host: 127.0.0.1, port: {port}, {STEP}, idle_timeout: 1{more}'


def host(name):
    """A part of a configuration: what makes a program's host another one."""
    return f'process:\n  slimta:\n    runtime_dir: @dir@/{name}\n'


def mail(t, *recipients, data=b'Subject: x\r\n\r\nbody\r\n'):
    """Sends one message; gives its id."""
    return send(t, 'smtp', (SENDER, recipients or ['r@example.net'], data))[0]


def log(t):
    return ''.join(process.log for process in t.processes if process.name.startswith('slimta-'))


def delivered(t):
    """(id, recipient) of each delivery."""
    return re.findall(r' delivered id=(\S+) recipient=(\S+) ', log(t))


def wait_delivered(t, idents, timeout=10):
    wanted = set(idents)
    wait_for(lambda: wanted <= {ident for ident, _ in delivered(t)}, timeout, f'{len(wanted)} messages to be delivered')


def attempt(t, *recipients, data='Subject: x\r\n\r\nbody\r\n'):
    """One transaction up to what refuses it; (verb, reply)."""
    with t.client('smtp') as client:
        client.reply()
        to = [f'RCPT TO:<{name}>' for name in recipients or ['r@example.net']]
        for line in ('EHLO client.example', f'MAIL FROM:<{SENDER}>', *to, 'DATA'):
            client.line(line)
            reply = client.reply()
            if reply.code // 100 > 3:
                return line.split()[0], reply
        client.send(data + '.\r\n')
        return '.', client.reply()


def outages(text):
    """What each process said of a redis that is away, or will not do what it is asked."""
    found = {}
    for line in text.splitlines():
        match = re.search(r' (?:warn|error) (slimta-\S+\[\d+\]) (.*\bredis\b.*)', line)
        if match and 'may be lost by redis' not in line:
            found.setdefault(match[1], []).append(match[2])
    return found


def is_said_once(t, what, text=None):
    """Somebody said something of an outage; nobody the same twice, nor a line for each message."""
    said = outages(log(t) if text is None else text)
    ok(said, f'{what}: somebody says it')
    return is_([lines for lines in said.values() if len(lines) > 4 or len(set(lines)) < len(lines)], [], f'{what}: once')
