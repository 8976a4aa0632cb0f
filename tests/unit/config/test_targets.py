"""Files of one service that a container cannot have beside one another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.config.rules import contradictions
from bridge.config.yaml_file import Source
from bridge.model.service import is_in_the_way

_TARGETS = st.lists(st.sampled_from(["a", "a/b", "a/b/c", "b", "./b", "/run/secrets/a", "/a", "/"]))


@given(_TARGETS)
def test_the_first_that_is_in_the_way_is_named(targets: list[str]) -> None:
    secrets = {
        f"s{number}": {
            "kv": {"mount": "m", "path": "p", "field": "f"},
            "services": {"api": {"target": target}},
        }
        for number, target in enumerate(targets)
    }
    said = {
        problem.key.split(".")[1]: problem.message.split("`")[1]
        for problem in contradictions(Source("f", {"secrets": secrets}))
        if problem.key.endswith(".target")
    }
    expected = {}
    for number, target in enumerate(targets):
        others = (n for n, other in enumerate(targets[:number]) if is_in_the_way(target, other))
        first = next(others, None)
        if first is not None:
            expected[f"s{number}"] = f"s{first}"
    assert said == expected
