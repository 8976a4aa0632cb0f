"""The status page in a real chromium: for everybody, quick, and steady while somebody reads it."""

from __future__ import annotations

from dataclasses import replace

from playwright.sync_api import Page, expect

from bridge.model.cycle_report import CycleReport
from tests.page.conftest import OpenTab
from tests.support import page_scenes
from tests.support.browser import violations
from tests.support.page_server import PageServer

REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
"""What the page takes for somebody who comes back to it: it refreshes at once."""

OPEN_ALL = "for (const row of document.querySelectorAll('details')) row.open = true"
SHOWN = "[...document.querySelectorAll('li[id]')].filter(row => row.checkVisibility()).length"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_everybody_can_use_it(server: PageServer, tab: OpenTab) -> None:
    """axe-core finds nothing in either theme, and on a phone nothing is cut off."""
    page = tab(color_scheme="light").page
    refused = ("bridge.yaml:7 poll: unknown key; known here: interval",)
    for known in (page_scenes.failed().known(refused=refused), page_scenes.standing_by()):
        server.known = known
        page.goto(server.address)
        page.evaluate(OPEN_ALL)
        assert violations(page) == []
        page.emulate_media(color_scheme="dark")
        assert violations(page, "color-contrast") == []
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 340, "height": 700})
        assert page.evaluate(TOO_WIDE) == 0
        page.set_viewport_size({"width": 1280, "height": 720})


def test_a_thousand_secrets_are_searched_at_once(server: PageServer, tab: OpenTab) -> None:
    """``expect`` is not used here: it describes all that the page has, again and again."""
    server.known = page_scenes.many().known()
    names = [secret.name for secret in server.known.desired.secrets]
    page = tab().page
    page.goto(server.address)
    search = page.locator("#q")
    assert page.evaluate(SHOWN) == 1000

    page.keyboard.press("/")
    page.keyboard.type("ledger api_key")
    wanted = sum("ledger" in name and "api_key" in name for name in names)
    assert page.evaluate(SHOWN) == wanted > 0
    search.fill("nothing has this name")
    assert page.evaluate(SHOWN) == 0
    page.locator("#none a").click()
    assert page.evaluate(SHOWN) == 1000

    page.locator("#chips [data-state=needs]").click()
    assert page.evaluate(SHOWN) == 6
    search.fill("_0170")
    assert page.evaluate(SHOWN) == 1
    page.reload()
    assert page.evaluate("location.search") == "?q=_0170&state=needs"
    page.wait_for_selector("#row-shop_db_password_0000", state="attached")  # the others have come
    assert search.input_value() == "_0170"
    assert page.evaluate(SHOWN) == 1
    search.press("Escape")
    page.locator("#chips [data-state='']").click()
    assert page.evaluate(SHOWN) == 1000

    page.locator("#s-shop_db_password_0000").click()  # its details come when they are wanted
    page.wait_for_selector("#row-shop_db_password_0000 .services")
    assert page.locator(".body .services").count() == 1
    server.known = replace(server.known, now=server.known.now + 60)
    page.evaluate(REFRESH)
    page.wait_for_selector("footer time:has-text('08:01:00')")
    assert page.locator(".body .services").count() == 1


def test_a_refresh_disturbs_nobody(server: PageServer, tab: OpenTab) -> None:
    """What is open, what has the focus, what is searched and where one reads stay as they are."""
    server.known = page_scenes.rolling().known()
    page = tab(viewport={"width": 1280, "height": 500}).page
    page.goto(server.address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("12 of 13 secrets")
    for name in ("shop_db_password", "shop_db", "edge_ca_bundle"):
        page.locator(f"#s-{name}").click()
    page.locator("#row-edge_ca_bundle a").focus()
    page.evaluate("window.scrollTo(0, 300); window.mark = 'the same document'")
    untouched = page.locator("#row-edge_ca_bundle").element_handle()

    server.known = page_scenes.failed().known()
    page.evaluate(REFRESH)
    expect(page.get_by_role("heading", level=1)).to_contain_text("13 of 17 secrets")
    assert page.title().startswith("(3) 13 of 17")
    expect(page.locator("#in-needs li[id]")).to_have_count(3)
    for name in ("shop_db_password", "shop_db", "edge_ca_bundle"):
        expect(page.locator(f"#row-{name} details")).to_have_attribute("open", "")
    expect(page.locator("#row-edge_ca_bundle a")).to_be_focused()
    assert page.evaluate("window.scrollY") > 0
    assert untouched
    assert untouched.evaluate("row => row.isConnected"), "what has not changed is not replaced"

    page.get_by_role("searchbox").fill("shop")
    page.locator("#s-shop_db_password").focus()
    shown = page.evaluate(SHOWN)
    server.known = page_scenes.fine().known()
    page.evaluate(REFRESH)
    expect(page.get_by_role("heading", level=1)).to_contain_text("All 12 secrets")
    expect(page.get_by_role("searchbox")).to_have_value("shop")
    assert page.evaluate(SHOWN) == shown - 2  # shop_db_password and what lacks a service are gone
    expect(page.locator("#row-shop_db_password")).to_have_count(0)
    assert page.evaluate("window.mark") == "the same document"


def test_it_says_so_when_the_bridge_is_gone(server: PageServer, tab: OpenTab) -> None:
    server.known = page_scenes.fine().known()
    shown = tab()
    page = shown.page
    page.goto(server.address)
    server.known = None
    for _ in range(2):
        with page.expect_response(server.address):
            page.evaluate(REFRESH)
    expect(page.get_by_role("alert")).to_contain_text("The bridge does not answer.")
    expect(page.get_by_role("alert")).to_contain_text("2027-01-15 08:00:00 UTC")
    server.known = page_scenes.standing_by()
    page.evaluate(REFRESH)
    expect(page.get_by_role("heading", level=1)).to_contain_text("This bridge stands by")
    expect(page.locator("#find")).to_have_count(0)
    assert all("503" in complaint for complaint in shown.complaints)
    shown.complaints.clear()


def test_it_works_without_javascript(server: PageServer, tab: OpenTab) -> None:
    server.known = page_scenes.many(60).known()
    page = tab(java_script_enabled=False).page
    page.goto(server.address)
    page.locator("#q").fill("ledger_api_key")
    page.get_by_role("button", name="Search").click()
    names = [secret.name for secret in server.known.desired.secrets]
    wanted = sum("ledger_api_key" in name for name in names)
    expect(page.locator("li[id]")).to_have_count(wanted)
    page.locator("#chips [data-state=current]").click()
    expect(page.locator("#q")).to_have_value("ledger_api_key")
    expect(page.locator("li[id]")).to_have_count(wanted)
    page.locator("summary").first.click()
    expect(page.get_by_role("link", name="Open in Vault").first).to_be_visible()
    page.locator("#chips [data-state=needs]").click()
    expect(page.locator("#none")).to_be_visible()

    page.goto(server.address)
    page.locator("#s-shop_db_password_0000").click()
    page.locator("#row-shop_db_password_0000 .later a").click()
    expect(page.locator("#row-shop_db_password_0000 .rotations")).to_be_visible()


def test_a_text_of_a_server_stays_a_text(server: PageServer, tab: OpenTab) -> None:
    """A task's error may be anything; on the page it neither runs nor loads."""
    known = page_scenes.failed().known()
    evil = (
        "<img src=//x.test/y onerror=\"document.title='run'\"><script>document.title='run'</script>"
    )
    assert known.seen
    assert known.seen.plan
    hit = [replace(c, message=evil) if c.message else c for c in known.seen.plan.conditions]
    plan = replace(known.seen.plan, conditions=tuple(hit))
    report: CycleReport = replace(known.seen, plan=plan)
    server.known = replace(known, seen=report)
    page: Page = tab().page
    page.goto(f"{server.address}?q=%22%3E%3Cscript%3Edocument.title%3D1%3C/script%3E")
    page.goto(server.address)
    page.evaluate(OPEN_ALL)
    expect(page.locator("#row-report_db_password .why")).to_contain_text("<img src=//x.test/y")
    assert page.title().startswith("(3) 13 of 17")
    assert page.locator("img").count() == 0
