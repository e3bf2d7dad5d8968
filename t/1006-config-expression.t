#!/usr/bin/python3
# 1006-config-expression.t - random expressions have the value for us that Python gives them, or none for both
# SPDX-License-Identifier: MIT
import builtins
import math
import os
import random
import signal
import subprocess
import sys
import warnings

from lib.fixture import BUILD, diag, is_, ok, plan

EVALUATE = os.path.join(BUILD, 't/lib/evaluate')
OPERATORS = ['+', '-', '*', '/', '//', '%', '**']
COMPARISONS = ['==', '!=', '<', '<=', '>', '>=']
ONE = '''abs acos acosh asin asinh atan atanh cbrt ceil cos cosh degrees erf erfc exp exp2 expm1 fabs factorial float
    floor int isfinite isinf isnan isqrt log log10 log1p log2 perm radians round sin sinh sqrt tan tanh trunc
    ulp'''.split()
TWO = 'atan2 comb copysign fmod isclose ldexp log nextafter perm pow remainder round'.split()
MANY = ['min', 'max', 'gcd', 'lcm']
NEAR = ['gamma', 'lgamma', 'hypot']         # equal to some digits only: Python has its own, not the C library's
NUMBERS = ['0', '1', '2', '3', '5', '7', '10', '60', '300', '3600', '86400', '1_000', '0x1F', '0o17', '0b101', '0.5',
    '1.5', '2.5', '.25', '1e3', '1e-3', '7.', '1e308', '12345678901234567890', '9007199254740993', '0.0', '1e16']


def round_(number, *places):
    """Python makes 10**places, however large that is."""
    if isinstance(number, int) and places and isinstance(places[0], int) and places[0] < -5000:
        return 0
    return round(number, *places)


NAMES = {**vars(math), **{name: getattr(builtins, name) for name in 'abs int float min max'.split()}, 'round': round_}
# What Python goes on with: whole numbers have no end, tuples and complex numbers are values, and calls are looked at
# when it comes to them.
OURS_ALONE = ('more than 10240 bits', 'too much at a time', 'complex number', 'not )', 'not ,', 'not (', ' takes ')


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def atom(self):
        kind = self.random.random()
        if kind < 0.45:
            return 'x'
        if kind < 0.9:
            return self.random.choice(NUMBERS)
        return self.random.choice(['pi', 'e', 'tau', 'inf', 'nan', 'True', 'False'])

    def make(self, depth):
        """An expression; parentheses stand where chance wants them, so that binding is tried too."""
        pick, make = self.random.choice, lambda: self.make(depth - 1)
        kind = self.random.random()
        if depth == 0 or kind < 0.08:
            text = self.atom()
        elif kind < 0.45:
            text = f'{make()}{pick(["", " "])}{pick(OPERATORS)} {make()}'
        elif kind < 0.52:
            text = f'{pick("+-")}{make()}'
        elif kind < 0.6:
            text = f'{make()} {pick(COMPARISONS)} {make()}' + pick(['', f' {pick(COMPARISONS)} {make()}'])
        elif kind < 0.68:
            text = pick([f'{make()} if {make()} else {make()}', f'{make()} and {make()}', f'{make()} or {make()}',
                f'not {make()}'])
        elif kind < 0.82:
            text = f'{pick(ONE)}({make()})'
        elif kind < 0.92:
            text = f'{pick(TWO)}({make()}, {make()})'
        else:
            text = f'{pick(MANY)}({", ".join(make() for _ in range(self.random.randint(2, 4)))}{pick(["", ","])})'
        return f'({text})' if self.random.random() < 0.3 else text

    def words(self):
        """Words of expressions in any order: mostly wrong."""
        words = OPERATORS + COMPARISONS + ['(', ')', ','] * 3 + ['x', '1', '2.5', 'if', 'else', 'and', 'or', 'not'] * 2
        return ' '.join(self.random.choice(words) for _ in range(self.random.randint(1, 9)))

    def number(self):
        return ''.join(self.random.choice('0019__..eExXbBoOfaj+-') for _ in range(self.random.randint(1, 7)))


def ours(cases):
    """What our evaluator says of (x, text): a number, or its error."""
    lines = ''.join(f'{x} {text}\n' for x, text in cases)
    done = subprocess.run([EVALUATE], input=lines, capture_output=True, text=True, timeout=120, check=True)
    answers = done.stdout.splitlines()
    is_(len(answers), len(cases), 'an answer to each')
    return [answer if answer.startswith('error') else float.fromhex(answer) for answer in answers]


def python(x, text):
    """A number, or the exception's name."""
    try:
        value = eval(text, {**NAMES, 'x': x})      # pylint: disable=eval-used
        return float(value) if isinstance(value, (int, float)) else 'no number'
    except (ArithmeticError, ValueError, TypeError, SyntaxError, NameError, AttributeError) as error:
        return type(error).__name__


def same(mine, theirs, near=False):
    if isinstance(mine, str) or isinstance(theirs, str):
        return isinstance(mine, str) and isinstance(theirs, str)
    if mine == theirs or (mine != mine and theirs != theirs):
        return True
    return abs(mine - theirs) <= (1e-12 * max(1, abs(theirs)) if near else math.ulp(theirs))


def compare(what, cases, near=False):
    wrong, values, skipped = [], 0, 0
    for (x, text), mine in zip(cases, ours(cases)):
        if isinstance(mine, str) and any(end in mine for end in OURS_ALONE):
            skipped += 1
            continue
        theirs = python(x, text)
        values += not isinstance(theirs, str)
        if not same(mine, theirs, near):
            wrong.append(f'x = {x}: {text}\n#   ours {mine}, Python {theirs}')
    if not ok(not wrong, f'{what}: {len(cases)} tried, {values} have a value, {skipped} are beyond us'):
        diag('\n'.join(wrong[:10]))
    ok(values and skipped < len(cases) / 2, f'{what}: most are of use')


seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
diag(f'SEED={seed}')
warnings.simplefilter('ignore')
maker, rounds = Maker(seed), int(os.environ.get('ROUNDS', '6000'))
numbers = [1, 2, 3, 4, 7, 10, 60, 100, 999, 1000]
signal.alarm(300)           # Python may meet a number that keeps it busy for ever
compare('expressions', [(maker.random.choice(numbers), maker.make(maker.random.randint(1, 4))) for _ in range(rounds)])
compare('words', [(3, maker.words()) for _ in range(rounds)])
compare('numbers', [(3, maker.number()) for _ in range(rounds)])
compare('the approximate', [(3, f'{maker.random.choice(NEAR)}({maker.atom()} * {maker.random.uniform(-20, 20)!r})')
    for _ in range(500)], near=True)
sys.exit(plan())
