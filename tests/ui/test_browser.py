"""The main paths in a real browser: without a complaint, without a request to another host, and for those who do not see or use a mouse."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.component import Component, Input, Output
from pipeline.metadata import MetadataStore
from pipeline.storage import Storage
from pipeline.ui.report import write_report
from pipeline.ui.site import Site
from tests.fakes import Numbers, Source, read, write
from tests.project import Project
from tests.ui.browser import ARGUMENTS, CHROMIUM, Watched, report_address, served, size_of
from tests.ui.showcase import Showcase

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no `chromium` here; on Debian: apt-get install chromium")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 800}


class Slow(Component):
    """Doubles numbers slowly, and tells how far it is."""

    isolated = False

    def execute(self, context, numbers: Input[Numbers], doubled: Output[Numbers], *, steps: int = 30) -> None:  # type: ignore[no-untyped-def]
        for step in range(1, steps + 1):
            context.progress("training", step=step, steps=steps, loss=1 / step)
            time.sleep(0.1)
        write(doubled, [2 * number for number in read(numbers)])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def base(showcase: Showcase) -> Iterator[str]:
    """Where the store with something of everything is served."""
    with served(showcase.site) as address:
        yield address


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    """A page of a fresh profile."""
    context = chromium.new_context(viewport=WIDE)
    context.set_default_timeout(20_000)
    yield Watched(context.new_page())
    context.close()


def width_of(picture: Any) -> int:
    """Returns the width of a picture once it is shown; 0 if it is not within ten seconds."""
    picture.scroll_into_view_if_needed()
    for _ in range(100):
        if picture.evaluate("image => image.complete && image.naturalWidth > 0"):
            break
        time.sleep(0.1)
    return int(picture.evaluate("image => image.naturalWidth"))


def pages(showcase: Showcase) -> list[str]:
    """Returns one address of each kind of page."""
    runs, artifacts = showcase.runs, showcase.artifacts
    found = ["/runs", "/artifacts", "/models", "/schedules", "/compare", "/search?q=a", "/nowhere"]
    found += [f"/runs/{runs[name]}" for name in ("done", "failed", "blocked", "hostile")] + [f"/runs/{runs['done']}/nodes/NearDoubler"]
    found += [f"/artifacts/{id}" for id in artifacts.values()] + [f"/artifacts/{artifacts['PushedModel']}/lineage?depth=20"]
    return [*found, f"/compare?run={runs['done']}&run={runs['cached']}", f"/artifacts/{artifacts['Model']}/text?path=summary.json"]


def test_person_opens_a_run_and_a_node_by_its_links(watched: Watched, base: str, showcase: Showcase) -> None:
    page = watched.page
    page.goto(base)
    page.get_by_role("link", name=showcase.runs["blocked"]).click()
    assert page.locator("#state").inner_text() == "blocked"
    page.locator("svg.wide").get_by_role("link", name="Blocking: blocked").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Blocking"
    assert "the largest number is 500, the limit is 100" in page.locator("main").inner_text()
    watched.assert_quiet(base)


def test_person_follows_a_run_to_its_end_without_reloading(watched: Watched, project: Project) -> None:
    going = threading.Thread(target=lambda: project.run(Slow(Source())), daemon=True)
    with served(Site(MetadataStore(project.url), Storage(project.root))) as base:
        going.start()
        while not project.store.runs():
            time.sleep(0.05)
        page = watched.page
        page.goto(f"{base}/runs/latest")
        page.evaluate("window.loadedOnce = true")
        page.locator("#live progress").wait_for()
        page.locator("#live", has_text="training · step").wait_for()
        page.locator("#live .uplot canvas").first.wait_for()
        page.locator("#state", has_text="done").wait_for(timeout=40_000)
        page.locator("#said", has_text="The run is done.").wait_for(state="attached")
        assert page.evaluate("window.loadedOnce") is True
        assert page.locator("#nodes").inner_text().count("done") == 2
        assert page.locator("#live progress").count() == 0
        going.join(10)
        watched.assert_quiet(base)


def test_person_walks_from_the_pushed_model_up_to_its_rows(watched: Watched, base: str, showcase: Showcase) -> None:
    page = watched.page
    page.goto(f"{base}/artifacts?type=PushedModel")
    page.get_by_role("link", name=str(showcase.artifacts["PushedModel"]), exact=True).click()
    page.get_by_role("link", name="Lineage").click()
    rows = page.get_by_role("link", name=re.compile(r"^artifact Examples"))
    for _ in range(20):
        if rows.count():
            break
        page.get_by_role("link", name="Show more behind").first.click()
    rows.click()
    assert page.get_by_role("heading", level=1).inner_text() == f"Examples {showcase.artifacts['Examples']}"
    assert "Where the rows come from" in page.locator("main").inner_text()
    assert width_of(page.locator("img.cell-image").first) == 1
    watched.assert_quiet(base)


def test_person_chooses_two_runs_and_compares_them(watched: Watched, base: str, showcase: Showcase) -> None:
    page = watched.page
    page.goto(f"{base}/runs")
    compare = page.get_by_role("button", name="Compare the chosen runs")
    assert compare.is_disabled()
    page.get_by_label(f"Choose run {showcase.runs['done']}").check()
    assert compare.is_disabled()
    page.get_by_label(f"Choose run {showcase.runs['blocked']}").check()
    compare.click()
    assert page.get_by_role("heading", level=1).inner_text() == "Compare"
    assert "Source.values" in page.locator("main").inner_text()
    watched.assert_quiet(base)


def test_person_finds_a_run_by_keyboard_alone(watched: Watched, base: str, showcase: Showcase) -> None:
    page = watched.page
    page.goto(f"{base}/models")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("/")
    page.keyboard.type(showcase.runs["failed"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?**")
    page.get_by_role("link", name="this page").press("Enter")
    page.wait_for_url(f"**/runs/{showcase.runs['failed']}")
    node = page.locator("svg.wide a.node").first
    node.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/nodes/**")
    watched.assert_quiet(base)


def test_plots_are_drawn_and_their_values_can_be_read(watched: Watched, base: str, showcase: Showcase) -> None:
    page = watched.page
    page.goto(f"{base}/artifacts/{showcase.artifacts['ModelEvaluation']}")
    page.locator(".uplot canvas").first.wait_for()
    assert page.locator(".uplot canvas").count() == page.locator("[data-plot]").count() >= 5
    page.locator("details.values summary").first.click()
    assert page.locator("details.values table").first.is_visible()
    watched.assert_quiet(base)


def test_report_opens_offline(chromium: Any, showcase: Showcase, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_report(showcase.site, showcase.runs["hostile"], file)
    context = chromium.new_context(viewport=WIDE, offline=True)
    watched = Watched(context.new_page())
    watched.page.goto(report_address(file))
    watched.page.locator(".uplot canvas").first.wait_for()
    assert width_of(watched.page.locator("img").first) == 1
    watched.page.get_by_role("link", name="Artifacts").click()
    watched.assert_quiet(report_address(file))
    context.close()


def test_without_scripts_every_page_still_tells_all(chromium: Any, base: str, showcase: Showcase) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}/artifacts/{showcase.artifacts['ModelRun']}")
    page.locator("details.values summary").first.click()
    assert "0.55" in page.locator("details.values table").first.inner_text()
    context.close()


def test_every_page_is_quiet_fits_a_narrow_screen_and_is_accessible(chromium: Any, base: str, showcase: Showcase, tmp_path: Path) -> None:
    """In both widths and both colour schemes, one each; no serious finding of axe: all its rules once, those of colours in the dark too."""
    from axe_playwright_python.sync_playwright import Axe

    axe, report = Axe(), tmp_path / "report.html"
    write_report(showcase.site, showcase.runs["hostile"], report)
    for viewport, scheme, rules in ((WIDE, "light", {}), (NARROW, "dark", {"runOnly": ["color-contrast"]})):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        watched = Watched(page)
        for address in [*(base + path for path in pages(showcase)), report_address(report)]:
            page.goto(address)
            found = axe.run(page, options={"resultTypes": ["violations"], **rules})
            serious = [
                f"{violation['id']}: {violation['nodes'][0]['html'][:160]}"
                for violation in found.response["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert serious == [], (address, scheme)
            width, window = size_of(page)
            assert width <= window, (address, viewport)
            watched.complaints = [text for text in watched.complaints if "404" not in text or not address.endswith("/nowhere")]
            assert watched.complaints == [], address
            assert watched.asked_beside(base, report_address(report)) == [], address
        context.close()
