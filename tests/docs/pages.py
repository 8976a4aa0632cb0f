"""Takes the commands out of pages, and runs them as they stand on the tests' servers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tests.support.lab import ROOT
from tests.support.requirements import vault_binary

_BLOCK = re.compile(
    r"(?:<!-- exits with (?P<code>\d+) -->\s*)?^(?P<indent> *)```sh\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)

_HEADING = re.compile(r"^## ", re.MULTILINE)


def sections(page: str) -> dict[str, str]:
    """Return a page's sections by their titles; what is before the first has none."""
    first, *others = _HEADING.split((ROOT / page).read_text())
    return {"": first} | {title: text for title, _, text in (o.partition("\n") for o in others)}


def blocks(text: str) -> list[str]:
    """Return the commands of a text, block by block."""
    return [textwrap.dedent(block["text"]) for block in _BLOCK.finditer(text)]


def script_of(page: Path | str, *titles: str) -> str:
    """Return ``sh`` blocks as one script that ends where one does not end as it should.

    Args:
        titles: Of the sections that are meant; else all.
    """
    found = sections(str(page))
    text = "\n".join(found[title] for title in titles or found)
    parts = ["set -u"]
    for block in _BLOCK.finditer(text):
        commands = textwrap.dedent(block["text"])
        if block["code"]:
            parts.append(f'set +e\n{commands}\n[ "$?" = {block["code"]} ] || exit 99')
        else:
            parts.append(f"set -e\n{commands}")
    assert len(parts) > 1
    return "\n".join(parts)


def instead(script: str, words: Mapping[str, str]) -> str:
    """Put other words in the place of some that must be there."""
    for old, new in words.items():
        assert old in script, old
        script = script.replace(old, new)
    return script


def bash(script: str, folder: Path, environ: Mapping[str, str], code: int = 0) -> str:
    """Run a script; returns what it said."""
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def tools(folder: Path) -> str:
    """Return a ``PATH`` on which the project's commands are, and a ``vault``."""
    own = folder / "tools"
    own.mkdir(exist_ok=True)
    if not shutil.which("vault") and not (own / "vault").exists():
        (own / "vault").symlink_to(vault_binary())
    return f"{own}:{Path(sys.executable).parent}:{os.environ['PATH']}"
