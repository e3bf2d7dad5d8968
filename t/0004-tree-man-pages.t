#!/usr/bin/python3
# 0004-tree-man-pages.t - manual pages are clean, and have the options that --help has
# SPDX-License-Identifier: MIT
import glob
import os
import re
import subprocess

from lib.fixture import TOP, diag, is_, like, ok, run

os.chdir(TOP)
PROGRAMS = ['slimta-edge', 'slimta-master', 'slimta-queuectl', 'slimta-worker']


def pages(t):
    names = sorted(glob.glob('man/*'))
    is_(names, sorted(['man/slimta-queue.5', 'man/slimta.conf.5', *(f'man/{name}.8' for name in PROGRAMS)]), 'the pages are there')
    for name in names:
        lint = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', name], capture_output=True,
            text=True, timeout=60, check=False)
        if not ok(lint.returncode == 0 and not lint.stdout, f'{name} is clean'):
            diag(lint.stdout)


def options(t):
    for program in PROGRAMS:
        shown = t.run(program, '--help')
        is_(shown.returncode, 0, f'{program} --help')
        helped = set(re.findall(r'--([a-z][a-z-]*)', shown.stdout.decode()))
        ok(helped, 'it lists options')
        with open(f'man/{program}.8', encoding='utf-8') as page:
            text = page.read()
        documented = set(re.findall(r'(?:Fl |\| )-([a-z][a-z-]+)', text))
        is_(sorted(documented ^ helped), [], f'{program}(8) and --help have the same long options')
        like(t.run(program, '--version').stdout, rf'^{program} \d+\.\d+\.\d+\n$', f'{program} --version')
        unknown = t.run(program, '--no-such-option')
        ok(unknown.returncode in (1, 2) and unknown.stderr, f'{program} refuses what it does not know')


EVENT = re.compile(r'(?:log_(?:info|warn|error)\("\w+",|log_(?:result|locked_out)\(inquiry,|tally_new\([^,"]+,)\s*'
    r'(?:\w+ \? )?"([^"]+)"(?:[,:] "([^"]+)")?')


def events(_):
    """What an edge logs above debug: each event is told of in its page."""
    logged = set()
    for name in [*glob.glob('edge/*.c'), *glob.glob('common/lookup/*.c'), 'common/smtp/session.c', 'common/smtp/spool.c',
            *glob.glob('common/smtp/verbs_*.c')]:
        with open(name, encoding='utf-8') as source:
            logged |= {event for found in EVENT.findall(source.read()) for event in found if event}
    with open('man/slimta-edge.8', encoding='utf-8') as page:
        told = {event for line in re.findall(r'^\.It (.*)$', page.read(), re.M) for event in [line, *line.split(' , ')]}
    ok(len(logged) > 20, f'{len(logged)} events')
    is_(sorted(logged - told), [], 'slimta-edge(8) has them')


run(pages, options, events)
