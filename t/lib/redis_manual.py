# redis_manual.py - what slimta-queue(5) says of redis, for tests that hold it to that
# SPDX-License-Identifier: MIT
import re

from .fixture import TOP

with open(f'{TOP}/man/slimta-queue.5', encoding='utf-8') as page:
    MANUAL = page.read().replace('\\-', '-').replace('\\e', '\\').replace('\\&', '')


def between(start, end):
    found = re.search(rf'(?s)^\.\\" {start}\n(.*?)^\.\\" {end}\n', MANUAL, re.M)[1]
    return '\n'.join(re.findall(r'(?sm)^\.Bd [^\n]*\n(.*?)^\.Ed', found))


def user():
    """The line of the ACL that the manual has, behind `user`."""
    return ' '.join(between('acl', 'end of acl').split()).removeprefix('user ').replace('PASSWORD', 's3cret')
