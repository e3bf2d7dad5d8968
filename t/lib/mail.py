# mail.py - messages sent by a test, and the ids they were given
# SPDX-License-Identifier: MIT
import re


def send(t, port, *messages):
    """Sends (sender, recipients, octets[, parameters of MAIL]) in one session; gives the ids."""
    with t.client(port) as client:
        client.hello()
        return [re.search(r'[0-9a-z]{26}', client.mail(*message).text)[0] for message in messages]
