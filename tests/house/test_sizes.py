"""How much is in one module, and in one function? There are no exceptions."""

from __future__ import annotations

from tests.house.conftest import Measure
from tests.house.source import modules

LINES = 420


def test_no_module_is_longer_than_one_can_keep_in_mind(measure: Measure) -> None:
    found = {str(module.path): len(module.text.splitlines()) for module in modules()}
    measure(f"lines in one module: {max(found, key=found.__getitem__)}", max(found.values()), LINES)
    above = sorted(f"{path} has {count}" for path, count in found.items() if count > LINES)
    assert not above, f"at most {LINES} lines in a module; part it:\n" + "\n".join(above)
