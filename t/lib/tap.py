# tap.py - TAP from Python: checks with numbers, the plan at the end
# SPDX-License-Identifier: MIT
import re
import sys
import threading

_lock = threading.Lock()
_run = 0
_failed = 0


class Skipped(SystemExit):
    """Raised by skip_all: what is left of the test cannot run here."""


def diag(text):
    """A note on stderr, so that prove shows it."""
    sys.stdout.flush()
    for line in str(text).splitlines() or ['']:
        sys.stderr.write(f'# {line}\n')
    sys.stderr.flush()


def ok(good, what):
    global _run, _failed
    with _lock:
        _run += 1
        print(f"{'' if good else 'not '}ok {_run} - {clean(what)}", flush=True)
        if good:
            return True
        _failed += 1
    frame = sys._getframe(1)
    while '/t/lib/' in frame.f_code.co_filename and frame.f_back:
        frame = frame.f_back
    diag(f'failed at {frame.f_code.co_filename}:{frame.f_lineno}')
    return False


def is_(got, wanted, what):
    if ok(got == wanted, what):
        return True
    diag(f'got    {shorten(got)}\nwanted {shorten(wanted)}')
    return False


def like(text, pattern, what):
    """`pattern` is searched for; bytes are read as latin-1."""
    if isinstance(text, bytes):
        text = text.decode('latin-1')
    if ok(re.search(pattern, text, re.M) is not None, what):
        return True
    diag(f'got    {shorten(text)}\nwanted a match of {pattern!r}')
    return False


def unlike(text, pattern, what):
    if isinstance(text, bytes):
        text = text.decode('latin-1')
    if ok(re.search(pattern, text, re.M) is None, what):
        return True
    diag(f'got    {shorten(text)}\nwanted no match of {pattern!r}')
    return False


def skip(reason, what=''):
    """One check that cannot be made here; t/allowed-skips must know it."""
    global _run
    with _lock:
        _run += 1
        print(f'ok {_run} - {clean(what)} # skip {clean(reason)}', flush=True)


def skip_all(reason):
    """Ends the test: it, or what is left of it, cannot run here."""
    if _run:
        skip(reason, 'the rest')
        raise Skipped(plan())
    print(f'1..0 # skip {reason}', flush=True)
    raise Skipped(0)


def plan():
    """Prints the plan; gives the exit status."""
    print(f'1..{_run}', flush=True)
    if _failed:
        diag(f'{_failed} of {_run} failed')
    return 1 if _failed or not _run else 0


def failed():
    return _failed


def clean(text):
    return str(text).replace('\n', ' ').replace('#', '\\#')


def shorten(value, most=2000):
    text = repr(value)
    return text if len(text) <= most else f'{text[:most]}... ({len(text)} characters)'
