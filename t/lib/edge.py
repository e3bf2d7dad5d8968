# edge.py - for tests of slimta-edge: a configuration, a session, and what its queue holds
# SPDX-License-Identifier: MIT
import base64
import glob
import json
import os

# A whole session, and what of it a client may send in one piece (RFC 2920).
GROUP = b'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n'
MAIL = GROUP + b'Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n'


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


def with_tls(certificates, options='', who='good', **how):
    """config() of an edge that has a certificate."""
    certificate, key = certificates.make(who)
    return config(f', tls: {{certfile: {certificate}, keyfile: {key}}}{options}', **how)


def secure(client, context, starttls=True):
    """Goes on in TLS, after STARTTLS unless it began with the connection; EHLO is to be said (again) by the caller."""
    if starttls:
        client.cmd('STARTTLS', 220, r'^2\.7\.0 ')
    client.sock = context.wrap_socket(client.sock, server_hostname='localhost')
    return client


def users(passwords):
    """Options for config(): rules with these users and what is stored of their passwords."""
    entries = ', '.join(f'"{name}": {{password: "{password}"}}' for name, password in passwords.items())
    return f', rules: {{lookup_credentials: {{type: config, map: {{{entries}}}}}}}'


def plain(user, password, authzid=''):
    """What PLAIN says, in base64."""
    return base64.b64encode(f'{authzid}\0{user}\0{password}'.encode()).decode()


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


def replies(client):
    """The codes of all replies up to the end."""
    codes = []
    while True:
        code = client.reply().code
        if not code:
            return codes
        codes.append(code)
