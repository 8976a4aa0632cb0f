"""Changes of a service's Spec: its references move to other Docker secrets, and nothing else (I3).

A reference gives the service one file: the content of a Docker secret under a target. A service may
refer to one Docker secret several times, under different targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.model.desired import FileFields
from bridge.model.service import short_target

Raw = Mapping[str, Any]
"""A reference as the engine's API has it: ``SecretID``, ``SecretName`` and ``File``."""


@dataclass(frozen=True, slots=True)
class FileEdit:
    """The file fields that the configuration sets for one reference; the others stay.

    Attributes:
        at: Target of the reference, in its short form.
    """

    at: str
    file: FileFields


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """The move of a service's references from some versions of a secret to another version.

    They move together, so that the service never has two versions of one secret (I2).

    Attributes:
        secret: Name in the configuration.
        to_id, to_name: The Docker secret that they move to.
        from_name: Name of the Docker secret that they leave.
        replaces: Ids of the Docker secrets whose references move; empty where there are none yet.
        edits: File fields that change with the move.
        adds: Files that the service does not have yet.
        changes: Description of the changes of files.
        restore: References of a roll record that are put back as they were, in place of those that
            move; None where the service goes forward.
    """

    secret: str
    to_id: str
    to_name: str
    from_name: str
    replaces: frozenset[str]
    edits: tuple[FileEdit, ...] = ()
    adds: tuple[FileFields, ...] = ()
    changes: tuple[str, ...] = ()
    restore: tuple[Mapping[str, Any], ...] | None = None

    @property
    def summary(self) -> str:
        """One line that describes the move."""
        words = f"{self.from_name} -> {self.to_name}" if self.from_name else f"add {self.to_name}"
        if not self.to_name:
            words = f"take {self.from_name} away"
        if self.from_name == self.to_name:
            words = self.to_name
        return f"{words} ({', '.join(self.changes)})" if self.changes else words


def swapped(spec: Mapping[str, Any], swaps: Iterable[Swap]) -> dict[str, Any]:
    """Return the Spec with its references moved, in place and in order; all else is the same."""
    template = dict(spec["TaskTemplate"])
    container = dict(template["ContainerSpec"])
    references: Iterable[Raw] = container.get("Secrets") or ()
    for swap in swaps:
        references = moved(references, swap)
    container["Secrets"] = list(references)
    template["ContainerSpec"] = container
    return {**spec, "TaskTemplate": template}


def moved(references: Iterable[Raw], swap: Swap) -> list[Raw]:
    """Return the references of a service after a swap.

    All references to what is replaced move, each with its own file: the engine restarts tasks when
    their order changes. Those that are added come before them: the engine gives all files of one
    Docker secret the owner and the mode of its last reference, which thus stay.
    """
    references = list(references)
    if swap.restore is not None:
        return _restored(references, swap.replaces, swap.restore)
    added: list[Raw] = [_added(file, swap) for file in swap.adds]
    found: list[Raw] = []
    for ref in references:
        if ref["SecretID"] in swap.replaces:
            found += [*added, _moved(ref, swap)]
            added = []
        else:
            found.append(ref)
    return found + added


def _restored(
    references: list[Raw], replaces: frozenset[str], before: tuple[Raw, ...]
) -> list[Raw]:
    """Return the references with former ones put back, each in the place of its successor.

    Healthy tasks that still have the former spec are kept only where the order is the former one.
    """
    ours = [ref for ref in references if ref["SecretID"] in replaces]
    left = list(before)
    found: list[Raw] = []
    for ref in references:
        if ref not in ours:
            found.append(ref)
        elif len(ours) == len(before):
            found.append(left.pop(0))
        else:
            # Some were added, which renames none; or somebody else took some away.
            same = [b for b in left if _target(b) == _target(ref)]
            found += same
            left = [b for b in left if b not in same]
    return found + left


def _target(ref: Raw) -> str:
    return short_target(ref["File"]["Name"])


def _moved(ref: Raw, swap: Swap) -> Raw:
    at = _target(ref)
    file: Raw = ref["File"]
    for edit in swap.edits:
        if edit.at == at:
            file = _fixed(file, edit.file)
    return {**ref, "SecretID": swap.to_id, "SecretName": swap.to_name, "File": file}


def _fixed(file: Raw, wanted: FileFields) -> dict[str, Any]:
    fixed = dict(file)
    # The same file under its long name is left as it is: a no-op change would still restart tasks.
    if wanted.target is not None and short_target(file["Name"]) != wanted.target:
        fixed["Name"] = wanted.target
    if wanted.uid is not None:
        fixed["UID"] = wanted.uid
    if wanted.gid is not None:
        fixed["GID"] = wanted.gid
    if wanted.mode is not None:
        fixed["Mode"] = wanted.mode
    return fixed


def _added(file: FileFields, swap: Swap) -> Raw:
    return {
        "File": {
            "Name": swap.secret if file.target is None else file.target,
            "UID": "0" if file.uid is None else file.uid,
            "GID": "0" if file.gid is None else file.gid,
            "Mode": 0o444 if file.mode is None else file.mode,
        },
        "SecretID": swap.to_id,
        "SecretName": swap.to_name,
    }
