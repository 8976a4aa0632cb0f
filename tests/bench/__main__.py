"""Prints what the bridge costs as one table: ``make bench``."""

from __future__ import annotations

from itertools import chain

from tests.bench import growth, rotation, scale
from tests.bench.figures import print_table

if __name__ == "__main__":
    print_table(chain(scale.all_figures(), rotation.all_figures(), growth.all_figures()))
