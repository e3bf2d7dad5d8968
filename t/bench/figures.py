# figures.py - medians, quartiles, marks and the table
# SPDX-License-Identifier: MIT
import statistics


def quartiles(values):
    """(lower, median, upper), by linear interpolation between the values; of one value that, three times."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method='inclusive'))


def verdict(values, mark, more_is_better):
    """`met` or `missed` only where both quartiles say the same; else `unclear`."""
    lower, _, upper = quartiles(values)
    if more_is_better:
        return 'met' if lower >= mark else 'missed' if upper < mark else 'unclear'
    return 'met' if upper <= mark else 'missed' if lower > mark else 'unclear'


class Row:
    """What one case came to. `ours` and `theirs` have a figure for each round, in pairs: the ratio of each pair is
    taken, and their quartiles. `mark` is for the ratio, or where `absolute` for our own figures. A row that is not
    `whole`, for rounds are missing, is `unclear`."""

    def __init__(self, case, unit, ours, theirs=(), mark=None, more_is_better=True, absolute=False, whole=True):
        self.case, self.unit, self.whole = case, unit, whole
        self.ours, self.theirs = list(ours), list(theirs)
        self.mark, self.more_is_better, self.absolute = mark, more_is_better, absolute

    @property
    def ratios(self):
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs) if theirs]

    @property
    def verdict(self):
        values = self.ours if self.absolute else self.ratios
        if self.mark is None or not self.ours or not (values or not self.whole):
            return ''
        if not self.whole:
            return 'unclear'
        return verdict(values, self.mark, self.more_is_better)

    def cells(self):
        sign = '>=' if self.more_is_better else '<='
        mark = '' if not self.verdict else f'{sign} {self.mark:.3g}{"" if self.absolute else "x"}'
        return [f'{self.case}, {self.unit}', spread(self.ours), spread(self.theirs),
            spread(self.ratios, 'x'), mark, self.verdict]

    def json(self):
        return {'case': self.case, 'unit': self.unit, 'slimta': self.ours, 'postfix': self.theirs, 'ratios': self.ratios,
            'mark': self.mark, 'mark_is_for': 'slimta' if self.absolute else 'ratio', 'verdict': self.verdict,
            'whole': self.whole}


def spread(values, unit=''):
    """The median and, of several, the quartiles."""
    if not values:
        return '-'
    lower, median, upper = quartiles(values)
    text = number(median) + unit
    return text if len(values) == 1 else f'{text} ({number(lower)}-{number(upper)})'


def number(value):
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.1f}' if abs(value) >= 10 else f'{value:.2f}'


def table(rows):
    lines = [['', 'slimta', 'Postfix', 'ratio', 'mark', '']] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)
