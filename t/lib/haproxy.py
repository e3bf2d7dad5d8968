# haproxy.py - haproxy (t/.peers) in front of servers of a test: each connection begins with a PROXY header, v1 or v2
# SPDX-License-Identifier: MIT
#
# proxy = HAProxy(t, one=(port, 'send-proxy'), two=(port, 'send-proxy-v2'))     # runs until the test ends
# t.client(proxy.ports['one'])
import glob
import os
import subprocess

from .clients import PEERS, peer
from .fixture import Process, wait_for

CONF = '''
global
  maxconn 200
defaults
  mode tcp
  timeout connect 20s
  timeout client 60s
  timeout server 60s
'''
LISTEN = '''
listen {name}
  bind 127.0.0.1:{port} {bind}
  {more}
  server edge 127.0.0.1:{server} {options}
'''


class HAProxy:
    """Each name becomes a port (`ports`), whose connections go to (port, options of haproxy's `server` line[, options of its
    `bind` line[, further lines]]): send-proxy, send-proxy-v2, `check` and so on. TLS is passed on unless `bind` ends it."""

    def __init__(self, t, **servers):
        self.ports = {name: t.port(f'haproxy-{name}') for name in servers}
        text = CONF
        for name, (port, options, *more) in servers.items():
            bind, lines = (*more, '', '')[:2]
            text += LISTEN.format(name=name, port=self.ports[name], bind=bind, more=lines.replace('\n', '\n  '), server=port,
                options=options)
        path = t.write('haproxy/haproxy.cfg', text)
        libraries = sorted({os.path.dirname(name) for name in glob.glob(f'{PEERS}/usr/lib/**/*.so*', recursive=True)})
        log_path = t.path('haproxy/log')
        with open(log_path, 'ab') as log:
            popen = subprocess.Popen([peer('usr/sbin/haproxy'), '-db', '-f', path], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=dict(t.env, LD_LIBRARY_PATH=':'.join(libraries)), start_new_session=True)
        self.process = Process('haproxy', popen, log_path)
        t.processes.append(self.process)
        wait_for(self._listens, 30, 'haproxy to listen')

    def _listens(self):
        with open('/proc/net/tcp', encoding='ascii') as sockets:
            text = sockets.read()
        return not self.process.running() or all(f'0100007F:{port:04X} 00000000:0000 0A' in text for port in self.ports.values())
