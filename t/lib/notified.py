# notified.py - for tests of what senders are told: a queue whose bounces another queue brings into files
# SPDX-License-Identifier: MIT
import email
import glob
import os
import re

from .bounce import fields
from .fixture import TOP, wait_for


def config(relay, queue='', bounces='', process=''):
    """Queue `q` goes to `relay`, the inside of a YAML mapping; `bounces`, which takes its bounces, into mail/RECIPIENT/.
    `queue` and `bounces` are further keys of these."""
    save = f'{{type: pipe, args: [{TOP}/conf/save-mail.sh, @dir@/mail, "{{recipient}}", "{{message_id}}"]}}'
    return f'''@process@    fqdn: mx.example
{process}  edge: {{instances: 1}}
  worker: {{instances: 1}}
edge:
  main: {{type: smtp, queue: q, listener: {{port: @port:smtp@}}}}
queue:
  q: {{type: disk, relay: r, envelope_dir: @dir@/env, meta_dir: @dir@/meta, allow_volatile: yes,
    bounce_queue: bounces{queue}}}
  bounces: {{type: disk, relay: save, envelope_dir: @dir@/benv, meta_dir: @dir@/bmeta, allow_volatile: yes,
    retry: {{delay: 0.2, maximum: 100}}{bounces}}}
relay:
  r: {{{relay}}}
  save: {save}
'''


def send(t, recipients, sender='s@b.example', parameters='', data='Subject: x\r\n\r\nbody\r\n', port='smtp'):
    """`recipients`: addresses, or (address, parameters of RCPT); gives the id."""
    with t.client(port) as client:
        client.hello()
        client.cmd(f'MAIL FROM:<{sender}>{parameters}'.encode(), 250)
        for recipient in recipients:
            address, more = recipient if isinstance(recipient, tuple) else (recipient, '')
            client.cmd(f'RCPT TO:<{address}>{more}'.encode(), 250)
        client.cmd('DATA', 354)
        client.send((data.encode() if isinstance(data, str) else data) + b'.\r\n')
        return re.search(r'\b[0-9a-z]{26}\b', client.expect(250).text)[0]


def wait_gone(t, ident, folder='env'):
    wait_for(lambda: not os.path.exists(t.path(folder, f'{ident}.env')), what=f'{ident} to leave {folder}')


class Told:
    """A notification as it arrived."""

    def __init__(self, path):
        with open(path, 'rb') as file:
            self.octets = file.read()
        self.id = os.path.basename(path)[:-len('.eml')]
        self.to = os.path.basename(os.path.dirname(path))
        self.message = email.message_from_bytes(self.octets)
        parts = self.message.get_payload()
        self.types = [part.get_content_type() for part in parts]
        self.text = parts[0].get_payload(decode=True).decode()
        boundary = self.message.get_boundary().encode()
        second = self.octets.split(b'\r\n--' + boundary)[2].split(b'\r\n\r\n', 1)[1]
        self.status = [dict(fields(block)) for block in second.rstrip(b'\r\n').split(b'\r\n\r\n')]
        self.recipients = [block['Final-Recipient'].split('; ')[1] for block in self.status[1:]]
        self.action = self.status[1]['Action']
        self.returned = self.octets.split(b'\r\n--' + boundary)[3].split(b'\r\n\r\n', 1)[1] if len(parts) > 2 else None


def told(t, master, ident):
    """All that was told of a message, which has left the queue: in the order in which it was written."""
    idents = re.findall(rf' (?:bounced|notified) id={ident} notification=(\w+) ', master.log)
    return [Told(wait_for(lambda ident=ident: glob.glob(t.path('mail', '*', f'{ident}.eml')), what=f'notification {ident}')[0])
        for ident in dict.fromkeys(idents)]
