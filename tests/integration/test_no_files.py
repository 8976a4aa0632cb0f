"""The bridge writes no file: a disk that is read-only or full does not matter to it."""

from __future__ import annotations

from tests.support.lab import Lab
from tests.support.processes import eventually

_READ_ONLY = """
mount --make-rprivate /
awk '$2 !~ "^/(proc|sys)(/|$)" {print $2}' /proc/self/mounts | while read -r place; do
    mount -o remount,bind,ro "$place" 2>/dev/null
done
for place in /tmp /var/tmp /dev/shm "$PWD" "$(dirname "$CONFIG")" "$PYTHONPATH"; do
    if touch "$place/probe" 2>/dev/null; then echo "$place can be written"; exit 99; fi
done
exec env -i PATH="$PATH" PYTHONPATH="$PYTHONPATH" PYTHONPYCACHEPREFIX="$CACHE" "$@"
"""

READ_ONLY = ("unshare", "--mount", "sh", "-c", _READ_ONLY, "sh")
"""Starts a bridge where nothing can be written, without a home.

With ``$CACHE`` in a place that is not there it has no compiled module either.
"""

FULL = ("sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh")
"""Starts a bridge whose log cannot be written, as on a disk that is full."""


def _rotates(lab: Lab, within: tuple[str, ...]) -> None:
    lab.service("api", replicas=1)
    lab.secret("db", {"api": {"target": "db"}}, template="p={{ password }}")
    lab.rotate("db")
    process = lab.start(within=within, CONFIG=str(lab.config), CACHE="/nowhere")
    for _ in range(2):
        value = lab.rotate("db")
        eventually(lambda v=value: lab.swarm.read(lab.name("api"), "db") == [f"p={v}"])  # type: ignore[misc]
    assert process.stop() == 0


def test_where_nothing_can_be_written(lab: Lab) -> None:
    _rotates(lab, READ_ONLY)
    process = lab.start("sync", within=READ_ONLY, CONFIG=str(lab.config), CACHE="")
    assert process.wait() == 0, process.log.read_text()


def test_where_the_log_cannot_be_written(lab: Lab) -> None:
    _rotates(lab, FULL)
