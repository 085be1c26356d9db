"""Every page, narrow and wide, light and dark, by axe's rules of WCAG 2.2 AA."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.e2e import loop

AXE = Path(__file__).parent / "browser" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = ["/", "/data", "/training", "/training/new", "/models", "/deployments", "/chat", "/settings/keys"]
ROWS = 16
WIDTHS = [1280, 360]
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
JUDGE = """rules => axe.run(document, { runOnly: { type: "tag", values: rules } })
    .then(found => found.violations.flatMap(fault => fault.nodes.map(node =>
        `${fault.id}: ${node.target.join(" ")}: ${node.failureSummary.replaceAll(/\\s+/g, " ")}`)))"""


@pytest.fixture(params=SCHEMES)
def page(request: pytest.FixtureRequest, browser: Browser, stack: Any) -> Iterator[Page]:
    """A signed-out page of the running stack in one colour scheme."""
    context = browser.new_context(
        base_url=stack.demo["url"], locale="en-US", color_scheme=request.param, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


@pytest.fixture
def faults(page: Page) -> list[str]:
    """What the browser's console complains of, with the address where."""
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            found.append(f"{page.url}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda fault: found.append(f"{page.url}: {fault}"))
    return found


def judge(page: Page) -> list[str]:
    """What axe finds on the page as it is, at every width."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(AXE.read_text())
        found += [f"{page.url} at {width}: {fault}" for fault in page.evaluate(JUDGE, RULES)]
    return found


def open_settled(page: Page, address: str) -> None:
    """Open a page of the console and wait until it shows what it has to show."""
    page.goto(address)
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)
    page.wait_for_load_state("networkidle")


@pytest.fixture(scope="module")
def inhabited(stack: Any) -> list[str]:
    """Something to show on every page; the addresses of what is open for a closer look."""
    client = loop.client_of(stack.demo)
    content = loop.sample_rows(ROWS)
    file_id = loop.bring(client, "sums.jsonl", content)
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    job = loop.train(client, file_id, method=method)
    assert job.status == "succeeded"
    return [f"/data?file={file_id}", f"/training/{job.id}", f"/chat?model={job.fine_tuned_model}"]


def test_every_page_is_accessible(page: Page, stack: Any, inhabited: list[str], faults: list[str]) -> None:
    page.goto("/")
    faults += judge(page)
    page.get_by_label("E-mail address").fill(stack.demo["email"])
    page.get_by_label("Password").fill(stack.demo["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for address in PAGES + inhabited:
        open_settled(page, address)
        faults += judge(page)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    faults += judge(page)
    assert faults == []
