"""Which name is meant by one that is not there."""

from __future__ import annotations

import pytest

from bridge.model.near import nearest, respelt


@pytest.mark.parametrize("name", ["SHOP_API", "shop-api", "shop.api ", "shopapi"])
def test_a_name_is_known_however_its_words_are_joined(name: str) -> None:
    assert respelt(name, ["shop_worker", "shop_api"]) == "shop_api"


@pytest.mark.parametrize(
    ("name", "meant"), [("shop_ap", "shop_api"), ("SHOP-API", "shop_api"), ("ledger", "")]
)
def test_a_slip_is_told_from_another_name(name: str, meant: str) -> None:
    assert nearest(name, ["shop_worker", "shop_api"]) == meant
    assert not respelt("shop_ap", ["shop_worker", "shop_api"])
