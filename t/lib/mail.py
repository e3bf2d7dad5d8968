# mail.py - messages sent by a test, and the ids they were given
# SPDX-License-Identifier: MIT
import re


def send(t, port, *messages):
    """Sends (sender, recipients, octets[, parameters of MAIL]) in one session; gives the ids."""
    with t.client(port) as client:
        client.hello()
        return [re.search(r'[0-9a-z]{26}', client.mail(*message).text)[0] for message in messages]


def submit(t, pause_s, stopping, ids):
    """One message after the other until `stopping` is set; a session that is ended between two of them begins anew. What
    was not accepted stands among the ids as its reply."""
    while not stopping.is_set():
        with t.client('smtp') as client:
            client.reply()
            client.line('EHLO client.example')
            if client.reply().code != 250:
                continue
            while not stopping.is_set():
                client.send('MAIL FROM:<s@example.org>\r\n')
                if client.reply().code != 250:
                    break
                client.send('RCPT TO:<r@example.net>\r\nDATA\r\n')
                codes = (client.reply().code, client.reply().code)
                client.send('Subject: x\r\n\r\nbody\r\n.\r\n')
                reply = client.reply()
                ids.append(reply.text.split()[-1] if codes + (reply.code,) == (250, 354, 250) else repr(reply))
                stopping.wait(pause_s)
