# edge.py - for tests of slimta-edge: a configuration, and what its queue holds
# SPDX-License-Identifier: MIT
import glob
import json
import os


def config(options='', process='', queue=''):
    """One smtp edge `main` on @port:smtp@ with further keys (", max_size: 10"), feeding a disk queue that no
    worker empties. `process` is added under process.slimta, `queue` to the queue's keys."""
    return f'''@process@    logging: {{level: debug}}
{process}edge:
  main: {{type: smtp, queue: q, hostname: mx.example, listener: {{port: @port:smtp@}}{options}}}
queue:
  q: {{type: disk, relay: none, envelope_dir: @dir@/mail, meta_dir: @dir@/meta, allow_volatile: yes{queue}}}
relay:
  none: {{type: blackhole}}
'''


def stored(t):
    """What stands in the queue, oldest first: a dictionary of each envelope, its octets as `content`."""
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(t.path('mail')), '*.env'))):
        with open(path, 'rb') as file:
            name, version, header, body, _ = file.readline().split()
            assert (name, version) == (b'slimta', b'1')
            envelope = json.loads(file.read(int(header)))
            assert file.read(1) == b'\n'
            envelope['content'] = file.read(int(body))
            found.append(envelope)
    return found
