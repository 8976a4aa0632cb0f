"""The status page shows how everything stands, nothing that is secret, and no text as HTML."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import replace
from typing import Any

import pytest

from bridge.model.conditions import Condition
from bridge.model.docker_secret import DockerSecret
from bridge.model.identity import ONE_LIFE, Identity
from bridge.model.labels import ENDED, GOOD, LEASE, ROLE, ROLL, UNUSED, labels_of
from bridge.model.mirror import Mirror
from bridge.model.reasons import Reason, State
from bridge.model.roll_record import RollRecord
from bridge.model.set_aside import By, SetAside, aside_label
from bridge.model.timestamps import timestamp
from bridge.model.vault_view import NOT_YET
from bridge.model.wishes import Pause
from bridge.report.answers import Known
from bridge.report.page import ALL_DETAILS, page_of
from bridge.report.page.html_page import headers, render, status_page
from bridge.report.page.page_query import read_query
from bridge.report.page.page_view import Fact, PageView, Query, Rotation, Row, Span, Standing, Tone
from bridge.report.page.page_words import ago, span, until
from bridge.report.page.rotations import rotations_of
from bridge.report.page.timeline import WIDTH, timeline_of
from bridge.report.page.vault_ui import link_to
from bridge.report.remedies import read_page, remedy
from bridge.sources.database.source import DatabaseRole
from bridge.sources.kv.source import KvPath
from bridge.sources.static.source import StaticRoles
from tests.support import page_scenes
from tests.support.page_scenes import ACCESSOR_ID, DAY, LEASE_ID, NOW, UI, WRITER, Scene

EVIL = "</style><script>document.title='x'</script><img src=x onerror=alert(1)>\"'`&{{7*7}}"


def seen(scene: Scene | Known, query: str = "") -> PageView:
    """Return the view of a scene."""
    known = scene if isinstance(scene, Known) else scene.known()
    return page_of(known, read_query(query))


def rows(view: PageView) -> dict[str, Row]:
    """Return the rows by name."""
    return {row.name: row for section in view.sections for row in section.rows}


def html(known: Known) -> str:
    """Return the document."""
    return status_page(known).body.decode()


def conditions(known: Known, *own: Condition) -> Known:
    """Return what a bridge knows that decided these conditions."""
    assert known.seen
    assert known.seen.plan
    plan = replace(known.seen.plan, conditions=own)
    return replace(known, seen=replace(known.seen, plan=plan))


def condition(name: str = "db", **changes: Any) -> Condition:
    """Return a condition that is well."""
    base = Condition(
        name=name,
        state=State.SYNCED,
        reason=Reason.UP_TO_DATE,
        message="",
        vault_version=2,
        running_version=2,
        versions=(1, 2),
    )
    return replace(base, **changes)


# --- the answer on top ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "tone", "headline"),
    [
        (page_scenes.fine().known(), Tone.GOOD, "All 12 secrets are on their current credential."),
        (
            page_scenes.rolling().known(),
            Tone.MOVES,
            "12 of 13 secrets are on the current credential.",
        ),
        (page_scenes.failed().known(), Tone.BAD, "13 of 17 secrets are on the current credential."),
        (
            page_scenes.sealed().known(),
            Tone.BAD,
            "Vault cannot be used. Services keep the credentials they have.",
        ),
        (page_scenes.empty().known(), Tone.WAITS, "No secret is configured."),
        (page_scenes.starting(), Tone.MOVES, "The bridge starts."),
        (
            page_scenes.standing_by(),
            Tone.WAITS,
            "This bridge stands by; the one on manager-2 leads.",
        ),
        (page_scenes.without_swarm(seen=False), Tone.BAD, "The swarm cannot be seen yet."),
        (replace(page_scenes.fine().known(), age=1e4), Tone.BAD, "This bridge is stuck."),
        (page_scenes.unfit(), Tone.BAD, "This bridge is unfit."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_headline_is_the_answer(known: Known, tone: Tone, headline: str) -> None:
    view = seen(known)
    assert (view.tone, view.headline) == (tone, headline)


def test_what_was_seen_before_the_swarm_went_away_is_shown_as_of_then() -> None:
    view = seen(page_scenes.without_swarm())
    assert view.tone == Tone.BAD
    assert view.headline == "Not known now. All 12 secrets are on their current credential."
    assert view.detail.startswith("That was 3m ago.")
    assert view.facts[0] == Fact("Bridge", "waits")
    (banner,) = view.banners
    assert "connection refused. What is shown is 3m old." in banner.text
    assert len(rows(view)) == 12


def test_a_vault_that_was_never_asked_is_not_away() -> None:
    known = page_scenes.fine().known()
    assert known.seen
    assert known.seen.world
    vault = known.seen.world.vault
    vault = replace(vault, as_of=3.0, paths=dict.fromkeys(vault.paths, NOT_YET))
    world = replace(known.seen.world, vault=vault)
    view = seen(replace(known, seen=replace(known.seen, world=world)))
    assert (view.tone, view.headline) == (Tone.MOVES, "The first look at Vault is under way.")
    assert not view.banners
    assert Fact("Vault", "is asked for the first time") in view.facts


def test_one_banner_tells_of_a_sealed_vault_and_no_row_repeats_it() -> None:
    view = seen(page_scenes.sealed())
    (banner,) = view.banners
    assert banner.tone == Tone.BAD
    first = "No lease is renewed meanwhile: the first, of ledger_db, ends in 22m."
    assert banner.text == f"Vault is sealed. {first}"
    assert "`vault.address`" in banner.remedy
    assert {(row.standing, row.quiet) for row in rows(view).values()} == {(Standing.WAITS, True)}
    known = {row.name for row in rows(view).values() if row.is_current is not None}
    assert known == {"shop_db", "ledger_db", "billing_db"}  # generations, which the swarm knows


def test_what_concerns_the_bridge_itself_is_a_banner() -> None:
    scene = page_scenes.fine()
    scene.pauses[""] = Pause(timestamp(NOW - DAY), "migration, ask Dana")
    known = scene.known(refused=("bridge.yaml:3 poll: unknown key",))
    assert known.seen
    known = replace(known, seen=replace(known.seen, credential_ends=NOW + 2 * DAY))
    found = {banner.title: banner.text for banner in seen(known).banners}
    assert "unknown key" in found["The configuration was not taken"]
    assert "ask Dana" in found["Paused by an operator"]
    assert "The bridge's own credential ends in 2d" in found
    assert len(found) == 3


# --- rows -----------------------------------------------------------------------------------------


def test_each_secret_is_in_the_section_of_what_it_asks_for() -> None:
    found = {name: row.standing for name, row in rows(seen(page_scenes.failed())).items()}
    named = {name: standing for name, standing in found.items() if standing != Standing.CURRENT}
    assert named == {
        "report_db_password": Standing.NEEDS,
        "partner_api_key": Standing.NEEDS,
        "feature_flags_token": Standing.NEEDS,
        "shop_db_password": Standing.MOVES,
        "legacy_ftp_password": Standing.WAITS,
    }


def test_what_is_overdue_needs_somebody() -> None:
    view = seen(conditions(page_scenes.empty().known(), condition(created=NOW - DAY, overdue=True)))
    assert rows(view)["db"].standing == Standing.NEEDS
    assert ">overdue<" in render(view)


def test_a_secret_that_is_no_longer_configured_is_not_counted() -> None:
    gone = condition("old", state=State.HELD, reason=Reason.UNMAPPED, vault_version=None)
    view = seen(conditions(page_scenes.empty().known(), condition(), gone))
    assert view.headline == "The secret is on its current credential."
    assert rows(view)["old"].standing == Standing.WAITS


def test_a_roll_shows_how_many_tasks_have_moved_and_which_hold_what() -> None:
    row = rows(seen(page_scenes.rolling()))["shop_db_password"]
    assert (row.running_version, row.vault_version, row.moved) == (7, 8, (2, 6))
    assert row.details
    api, worker = row.details.services
    assert [(c.version, c.running, c.others) for c in api.tasks] == [(8, 2, 1), (7, 1, 1)]
    assert [(c.version, c.running, c.others) for c in worker.tasks] == [(7, 2, 0)]
    assert row.details.remedy == ""


def test_what_failed_says_what_to_do_and_who_wrote_what_down() -> None:
    row = rows(seen(page_scenes.failed()))["report_db_password"]
    assert row.details
    assert "`vault-bridge retry report_db_password`" in row.details.remedy
    newest = row.details.rotations[0]
    assert (newest.version, newest.by, newest.aside) == (5, WRITER, True)
    assert re.fullmatch(r"report_db_password@5-[a-z2-7]{4}", newest.id)
    (mark,) = row.details.marks
    assert mark.what == "v5 on report_worker set aside: it failed"
    assert "password authentication failed" in mark.why
    paused = rows(seen(page_scenes.failed()))["legacy_ftp_password"].details
    assert paused
    assert [(m.what, m.at, m.why) for m in paused.marks] == [
        ("Operator dana: pause of this secret", NOW - 2 * DAY, paused.marks[0].why)
    ]
    assert "CHG-4711" in paused.marks[0].why


@pytest.mark.parametrize(("left", "low"), [(2400.0, False), (600.0, True), (-5.0, True)])
def test_a_bar_shows_what_is_left_of_a_lease(left: float, low: bool) -> None:
    scene = Scene()
    scene.role("db", "api", left=left)
    bar = rows(seen(scene))["db"].lease
    assert bar
    assert bar.low == low
    assert bar.left == pytest.approx(max(0.0, left / 3600))


# --- rotations ------------------------------------------------------------------------------------


def _mirror(source: Any, number: int, made: float, born: str = ONE_LIFE, **labels: str) -> Mirror:
    named = Identity(source, born, number, timestamp(made))
    own = labels_of("default", "db", named) | labels
    mirror = Mirror.read(DockerSecret(f"id{number}", f"db_v{number}", made + 2, own))
    assert mirror
    return mirror


def _rotations(*mirrors: Mirror) -> tuple[Rotation, ...]:
    return rotations_of(mirrors, {})


def test_both_credentials_are_valid_from_the_issue_of_one_to_the_end_of_the_other() -> None:
    role = DatabaseRole("", "database", "shop")
    own = {ROLE: "shop", LEASE: "a", "vault-bridge.accessor": "b", GOOD: timestamp(NOW)}
    old = _mirror(role, 1, NOW - 900, **own, **{ENDED: timestamp(NOW - 100)})
    new = _mirror(role, 2, NOW - 300, **own)
    assert [each.both for each in _rotations(new, old)] == [Span(NOW - 300, NOW - 100), None]
    alive = _mirror(role, 1, NOW - 900, **own)
    assert _rotations(new, alive)[0].both == Span(NOW - 300, None)


def test_versions_of_a_path_are_in_use_together_while_services_are_rolled() -> None:
    path = KvPath("", "secret", "db")
    record = RollRecord(before=(), index=1, at=timestamp(NOW - 290), done=timestamp(NOW - 200))
    rolled = {f"{ROLL}s": record.write()}
    old = _mirror(path, 1, NOW - 900, page_scenes.BORN, **{UNUSED: timestamp(NOW - 150)})
    good = _mirror(path, 2, NOW - 300, page_scenes.BORN, **rolled, **{GOOD: timestamp(NOW - 100)})
    assert _rotations(good, old)[0].both == Span(NOW - 290, NOW - 150)
    mark = SetAside(By.FAILURE, timestamp(NOW - 180), "it fails").write()
    failed = _mirror(path, 2, NOW - 300, page_scenes.BORN, **rolled, **{aside_label("s"): mark})
    kept = _mirror(path, 1, NOW - 900, page_scenes.BORN)
    (newest, _) = _rotations(failed, kept)
    assert newest.aside
    assert newest.both == Span(NOW - 290, NOW - 180)


def test_the_drawing_has_a_lane_for_each_version_and_stays_within_its_box() -> None:
    for row in rows(seen(page_scenes.failed())).values():
        assert row.details
        drawn = row.details.timeline
        assert drawn
        assert [lane.version for lane in drawn.lanes] == [r.version for r in row.details.rotations]
        for lane in drawn.lanes:
            assert all(s.x >= 0 and s.x + s.width <= WIDTH for s in lane.segments)
        assert all(band.y + band.height <= drawn.height for band in drawn.bands)
        assert drawn.ticks[0].text == "now"
    assert timeline_of((), NOW) is None


# --- search ---------------------------------------------------------------------------------------


def test_a_search_finds_by_secret_service_and_reason() -> None:
    found = [
        rows(seen(page_scenes.failed(), f"q={text}")).keys() for text in ("edge+PROXY", "rollf")
    ]
    assert found == [{"edge_tls_key", "edge_ca_bundle"}, {"report_db_password"}]
    view = seen(page_scenes.failed(), "q=shop&state=moves")
    assert list(rows(view)) == ["shop_db_password"]
    assert view.total == 17
    assert [section.count for section in view.sections] == [3, 1, 1, 12]


def test_a_query_that_is_not_understood_asks_for_everything() -> None:
    assert read_query("state=bogus&x=1&q=") == Query()
    assert read_query("q=" + "a" * 300).text == "a" * 200
    assert read_query("q=a&" + "x" * 9000) == Query()
    assert read_query("open=a&open=b").open == {"a", "b"}


def test_of_many_secrets_only_those_asked_for_have_their_details() -> None:
    known = page_scenes.many(ALL_DETAILS + 1).known()
    name = known.desired.secrets[3].name
    found = rows(seen(known, f"open={name}"))
    assert [row.name for row in found.values() if row.details] == [name]
    assert all(row.details for row in rows(seen(known, "q=shop")).values())


def test_a_thousand_secrets_are_no_burden() -> None:
    body = status_page(page_scenes.many().known()).body
    assert len(body) < 1_200_000
    assert len(gzip.compress(body, 6)) < 100_000


# --- what must not be there -----------------------------------------------------------------------


def test_texts_of_others_are_never_html() -> None:
    known = page_scenes.failed().known()
    assert known.seen
    assert known.seen.plan
    first = known.seen.plan.conditions[0]
    service = replace(first.services[0], name=EVIL, message=EVIL, state=State.HELD)
    bad = replace(first, name=EVIL, message=EVIL, state=State.HELD, services=(service,))
    known = conditions(known, bad, *known.seen.plan.conditions[1:])
    trouble = replace(known.vitals, trouble=EVIL)
    known = replace(known, vitals=trouble, refused=(EVIL,), query=f"q={EVIL}&open={EVIL}")
    known = replace(known, desired=replace(known.desired, instance=EVIL))
    for each in (known, replace(known, query="")):
        text = html(each)
        assert "<img" not in text
        assert text.count("<script") == text.count("</script") == 1
        assert text.count("<style") == text.count("</style") == 1
    assert "onerror=alert" in html(replace(known, query=""))  # it is shown, as text


def test_neither_lease_ids_nor_accessors_are_shown() -> None:
    scene = page_scenes.failed()
    labels = [value for secret in scene.docker for value in secret.labels.values()]
    assert any(LEASE_ID in value for value in labels)
    assert any(ACCESSOR_ID in value for value in labels)
    text = html(scene.known())
    assert "v-bridge-shop-x1" in text
    assert LEASE_ID not in text
    assert ACCESSOR_ID not in text


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_allows_the_pages_own_style_and_script_alone(tag: str) -> None:
    (own,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html(page_scenes.fine().known()), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    policy = dict(part.split(" ", 1) for part in headers()["content-security-policy"].split("; "))
    assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in " ".join(policy.values())


def test_the_page_asks_for_nothing_else() -> None:
    text = html(page_scenes.failed().known())
    assert not re.findall(r"<(?:link|img|script|iframe)[^>]+(?:src|href)=[\"'](?!data:)", text)
    assert not re.findall(
        r"\s(?:style|on\w+)=", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    )
    places = set(re.findall(r"(?:https?:)//[^/\"'%]+", text))
    assert places == {UI.removesuffix("/"), "http://www.w3.org"}
    assert '<noscript><meta http-equiv="refresh"' in text


# --- words ----------------------------------------------------------------------------------------


def test_times_have_their_two_largest_units() -> None:
    assert [span(s) for s in (0, 59.6, 200, 3600, 90_000, 1e7)] == [
        "0s",
        "1m",
        "3m 20s",
        "1h",
        "1d 1h",
        "115d 17h",
    ]
    assert (ago(0.2), ago(61)) == ("just now", "1m ago")
    assert (until(61), until(-61)) == ("in 1m 1s", "1m ago")


def test_links_lead_to_vaults_own_interface() -> None:
    path = KvPath("team-a/b", "kv/shop", "apps/a?b c")
    assert (
        link_to(UI, path)
        == f"{UI}/ui/vault/secrets/kv%2Fshop/show/apps/a%3Fb%20c?namespace=team-a%2Fb"
    )
    role, pair = DatabaseRole("", "database", "shop"), StaticRoles("", "database", ("a", "b"))
    assert link_to(UI, role) == f"{UI}/ui/vault/secrets/database/show/role/shop?type=dynamic"
    assert link_to(UI, pair) == f"{UI}/ui/vault/secrets/database/list?tab=role"
    assert link_to("", path) == ""


def test_a_remedy_names_the_secret_and_the_service() -> None:
    assert remedy(Reason.PAUSED, "db") == "`vault-bridge resume`"
    assert "`vault-bridge approve db`, if" in remedy(Reason.NEEDS_APPROVAL, "db")
    assert "--no-trunc api`" in remedy(Reason.CANNOT_START, "db", "api")
    assert remedy(Reason.UP_TO_DATE, "db") == ""
    page = "| `A` | x | nothing |\n| `B` | x | see [it](../how-to/b.md#c) or [d](d.md) |\n"
    assert read_page(page) == {"B": "see it (docs/how-to/b.md) or d (docs/d.md)"}
