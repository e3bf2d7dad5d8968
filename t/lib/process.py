# process.py - what the kernel says of a process
# SPDX-License-Identifier: MIT
import re


def proc_status(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as lines:
        return dict(re.split(r':\s*', line.rstrip(), maxsplit=1) for line in lines)


def memory_kb(pid, key='VmHWM'):
    """VmHWM is the most that it ever had, VmRSS what it has, RssAnon what of that is no file's."""
    return int(proc_status(pid)[key].split()[0])


def cpu_ms(pid):
    """Of its first thread."""
    with open(f'/proc/{pid}/schedstat', encoding='ascii') as stat:
        return int(stat.read().split()[0]) / 1e6


def cpu_ticks(pid):
    """Of all its threads, in hundredths of a second."""
    with open(f'/proc/{pid}/stat', encoding='latin-1') as stat:
        return sum(map(int, stat.read().rsplit(')', 1)[1].split()[11:13]))
