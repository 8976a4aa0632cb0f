"""Services with any references to secrets, any files that may be configured, and what must be so.

``db`` is the secret of the configuration: ``db_v1`` is mirrored and ``db_v2`` comes, ``db`` itself
is hand-made, ``db_v9`` another instance's, and ``key`` a stranger's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from bridge.model.desired import FileFields
from bridge.model.service import Reference, short_target

Json = dict[str, Any]
DEFAULT = "db"


@dataclass(frozen=True, slots=True)
class Case:
    """One service.

    Attributes:
        references: What it has, by the names of the Docker secrets.
        files: What is configured for it.
    """

    references: tuple[Reference, ...]
    files: tuple[FileFields, ...]


_UIDS = st.sampled_from(["0", "5"])
_MODES = st.sampled_from([0o400, 0o440, 0o444])
_REFERENCES = st.lists(
    st.builds(
        lambda name, target, uid, gid, mode: Reference(
            secret_id=name, secret_name=name, file_name=target, uid=uid, gid=gid, mode=mode
        ),
        st.sampled_from(["db_v1"] * 4 + ["db", "db_v9", "key"]),
        st.sampled_from(["db", "./db", "a", "/run/secrets/a", "b", "certs/a", "/etc/a"]),
        *(_UIDS, _UIDS, _MODES),
    ),
    max_size=6,
    unique_by=lambda reference: reference.file_name,
)
_FILES = st.lists(
    st.builds(
        FileFields,
        st.none() | st.sampled_from(["db", "a", "b", "certs/a", "certs", "/etc/a", "/etc/a/b"]),
        *(st.none() | _UIDS, st.none() | _UIDS, st.none() | _MODES),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda file: file.target or DEFAULT,
)
CASES = st.builds(Case, _REFERENCES.map(tuple), _FILES.map(tuple))


def judge(case: Case, after: tuple[Reference, ...], *, held: bool) -> None:
    """Say whether a service was changed as it is configured, and not otherwise (I2, I3).

    Args:
        after: What it has after a roll to ``db_v2``.
        held: Whether it was held, so that nothing may have been changed.
    """
    before = case.references
    if held:
        assert after == before
        return
    added = Counter(r.file_name for r in after) - Counter(_renamed(case, r) for r in before)
    kept = [r for r in after if not added[r.file_name]]
    assert len(kept) == len(before), "none goes, and each stands where it stood"
    moves = {
        r.secret_name
        for r, now in zip(before, kept, strict=True)
        if now.secret_name != r.secret_name
    }
    assert moves <= {"db_v1", "db"}, "strangers and other instances are left alone"
    assert not {"db_v1"} & {r.secret_name for r in after}, "I2"
    for old, new in zip(before, kept, strict=True):
        if old.secret_name not in moves:
            assert new == old
            continue
        assert new.secret_name == "db_v2"
        assert new.file_name == _renamed(case, old)
        file = _meant(case, old, kept)
        assert (new.uid, new.gid, new.mode) == (
            old.uid if file.uid is None else file.uid,
            old.gid if file.gid is None else file.gid,
            old.mode if file.mode is None else file.mode,
        )
    ours = [r for r in after if r.secret_name == "db_v2"]
    assert ours, "it has the secret"
    assert ours[: len(added)] == [r for r in after if added[r.file_name]], "so the last one stays"
    targets = {r.target for r in ours}
    assert {f.target for f in case.files if f.target} <= targets
    if len(case.files) > 1:
        assert {f.target or DEFAULT for f in case.files} <= targets


def _only(case: Case) -> bool:
    """Tell whether one file is configured, and the service has one."""
    return len(case.files) == 1 and sum(r.secret_name == "db_v1" for r in case.references) == 1


def _renamed(case: Case, ref: Reference) -> str:
    """Return how a reference's file is to be spelled after the roll."""
    wanted = case.files[0].target
    if not _only(case) or ref.secret_name != "db_v1" or wanted in (None, ref.target):
        return ref.file_name
    if any(r.secret_name == "db" and r.target == wanted for r in case.references):
        return ref.file_name  # a hand-made one has the target, and is taken over
    return str(wanted)


def _meant(case: Case, old: Reference, kept: list[Reference]) -> FileFields:
    """Return what is configured for a reference; nothing, mostly."""
    ours = {r.target for r in kept if r.secret_name == "db_v2"}
    if len(case.files) == 1 and case.files[0].target is None and len(ours) == 1:
        return case.files[0]
    renamed = short_target(_renamed(case, old))
    named = {f.target or DEFAULT: f for f in case.files}
    return named.get(renamed, FileFields())
