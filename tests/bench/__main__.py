"""Prints what the bridge costs as one table: ``make bench``."""

from __future__ import annotations

from itertools import chain

from tests.bench import growth, rotation, scale, turns
from tests.bench.figures import print_table

if __name__ == "__main__":
    figures = (scale, rotation, turns, growth)
    print_table(chain.from_iterable(each.all_figures() for each in figures))
