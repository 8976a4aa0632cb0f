"""Does a file's name say which file it is?"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.house.source import modules


def test_no_two_modules_have_one_name() -> None:
    """A traceback, an editor's tab and a colleague name a file without its folder."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module in modules():
        if not module.path.stem.startswith("__"):
            places[_name(module.path)].append(str(module.path))
    same = [" and ".join(paths) for paths in places.values() if len(paths) > 1]
    assert not same, "one name for two modules:\n" + "\n".join(same)


def _name(path: Path) -> str:
    """Return what a module is called; the folder of each kind of source has the same files."""
    kinds = Path("bridge/sources")
    return f"{path.parent.name}/{path.stem}" if path.parent.parent == kinds else path.stem
