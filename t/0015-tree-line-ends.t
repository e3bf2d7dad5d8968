#!/usr/bin/python3
# 0015-tree-line-ends.t - one function decides what ends a line of mail data, in and out: nobody else may
# SPDX-License-Identifier: MIT
# S6 P15
import glob
import os
import re
import sys

from lib.tap import is_, ok, plan

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Who looks for a CR: a new place either goes by newline_feed, or says here what else it reads.
LOOKS = {
    'common/smtp/newline.c': 'the rule',
    'common/smtp/reader.c': 'lines of commands', 'common/smtp/session.c': 'lines of commands',
    'common/smtp/client_reply.c': 'lines of replies', 'common/message/reply.c': 'text of replies',
    'common/smtp/spool.c': 'where a header ends', 'common/message/content.c': 'where a header ends',
    'common/message/header.c': 'fields that are stored',
    'common/message/bounce_returned.c': 'whether what is stored can be returned as it is',
    'common/message/quoted_printable.c': 'what is encoded', 'common/base/text.c': 'text that is shown',
    'queuectl/show.c': 'text that is shown', 'common/net/hosts.c': '/etc/hosts', 'common/net/proxy.c': 'PROXY headers',
    'common/queue/redis/redis_checks.c': 'lines of INFO',
}
# Who puts octets into a message.
FILLS = {'common/smtp/spool.c': 'what spool_write was given', 'common/message/stored.c': 'what is stored',
    'common/message/content.c': 'a copy', 'common/message/bounce.c': 'what it makes'}


def code(name):
    """Without comments; strings stay."""
    with open(name, encoding='utf-8') as source:
        return re.sub(r'/\*.*?\*/', '', source.read(), flags=re.S)


def functions(text):
    """(name, body) of each."""
    return re.findall(r'^(?:\w[\w *]*?)\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}', text, re.M | re.S)


def callers(name):
    """(file, function) of all calls of it."""
    return {(path, function) for path, text in sources.items() for function, body in functions(text)
        if re.search(rf'\b{name}\(', body) and function != name}


sources = {name: code(name) for program in ('common', 'edge', 'worker', 'master', 'queuectl')
    for name in glob.glob(f'{program}/**/*.c', recursive=True)}
ok(len(sources) > 150, f'there are {len(sources)} sources')
found = {name for name, text in sources.items() if re.search(r"'\\r'|\b(mem|str)\w+\([^;]*\"\\r", text)}
is_(found, set(LOOKS), 'nobody else looks for a CR')
found = {name for name, text in sources.items() if re.search(r'\bNEWLINE_(BARE|NUL)|\bnewline_init\(', text)}
is_(found, {f'common/smtp/{name}.c' for name in ('newline', 'dots', 'client_data', 'incoming')}, 'nobody else speaks of bare ones')

is_(callers('spool_write'), {('common/smtp/incoming.c', 'sink')}, 'one function stores what a peer sends')
incoming = sources['common/smtp/incoming.c']
by_rule = re.findall(r'\bnewline_(?:feed|finish)\([^()]*, sink, in\)', incoming)
is_(len(re.findall(r'\bsink\b', incoming)), 1 + len(by_rule), 'which is called by the rule alone')
# These two read.
found = {name for name, text in sources.items()
    if re.search(r'(buffer_\w+|read_at)\([^;]*(\.|->)memory\b|[&=] ?\w+(->|\.)content\.memory\b', text)} - {
    'common/message/header.c', 'common/message/bounce_returned.c'}
is_(found, set(FILLS), 'and nobody else fills a message')

is_(callers('dots_write'), {('common/smtp/client_data.c', 'smtp_client_data')}, 'what is sent by SMTP gets its dots')
is_(callers('smtp_client_data'), {('worker/connection_mail.c', 'connection_feed')}, 'from one place')
is_({name for name, text in sources.items() if re.search(r'"(?:\\r\\n)?\.\\r\\n"', text)}, {'common/smtp/dots.c'},
    'whose end is written once')
sys.exit(plan())
