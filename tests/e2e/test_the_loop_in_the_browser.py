"""The whole loop in Chromium: sign in, upload, train with the curve moving, chat with streaming, reload."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.e2e import loop

ROWS = 48
PATIENCE_MS = 600_000
# The share of the plot's columns in which the training loss is drawn, by the token of its colour.
SPAN = """canvas => {
    const probe = document.body.appendChild(document.createElement("span"));
    probe.style.color = "var(--thread-0)";
    const line = getComputedStyle(probe).color.match(/[0-9.]+/g).slice(0, 3).map(Number);
    probe.remove();
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const drawn = new Set();
    for (let at = 0; at < pixels.length; at += 4)
        if (pixels[at + 3] > 250 && line.every((part, of) => Math.abs(part - pixels[at + of]) < 8))
            drawn.add((at / 4) % width);
    return drawn.size / width;
}"""
SPANS_THE_PLOT = 0.6
LONG_QUESTION = "Tell me a long story about a weaver and her loom."


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console complained of: there must be nothing."""
    return []


@pytest.fixture
def page(browser: Browser, stack: Any, complaints: list[str]) -> Iterator[Page]:
    """A signed-out page of the running stack."""
    context = browser.new_context(base_url=stack.demo["url"], viewport={"width": 1280, "height": 900})
    opened = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda fault: complaints.append(str(fault)))
    yield opened
    context.close()


def sign_in(page: Page, demo: dict[str, str]) -> None:
    page.goto("/")
    page.get_by_label("E-mail address").fill(demo["email"])
    page.get_by_label("Password").fill(demo["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def points_in_table(page: Page) -> int:
    """How many steps the loss table shows."""
    page.get_by_role("tab", name="Table").click()
    count = page.get_by_role("tabpanel").get_by_role("row").count()
    page.get_by_role("tab", name="Curve").click()
    return count


def test_a_wrong_password_is_answered_in_words(page: Page, stack: Any) -> None:
    page.goto("/")
    page.get_by_label("E-mail address").fill(stack.demo["email"])
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")


def test_a_bad_file_shows_its_problems_by_row(page: Page, stack: Any, complaints: list[str]) -> None:
    sign_in(page, stack.demo)
    page.goto("/data")
    bad = loop.sample_rows()[:2000].rsplit(b"\n", 1)[0] + b"\nnot json\n"
    page.locator("input[type=file]").set_input_files(
        {"name": "bad.jsonl", "mimeType": "application/jsonl", "buffer": bad}
    )
    expect(page.get_by_text("invalid_json").first).to_be_visible(timeout=60_000)
    assert complaints == []


def test_the_whole_loop_by_hand(page: Page, stack: Any, complaints: list[str]) -> None:
    sign_in(page, stack.demo)

    page.goto("/data")
    page.locator("input[type=file]").set_input_files(
        {"name": "sums.jsonl", "mimeType": "application/jsonl", "buffer": loop.sample_rows(ROWS)}
    )
    expect(page.get_by_text(f"{ROWS} usable of {ROWS}")).to_be_visible(timeout=60_000)

    file_id = re.search(r"file=(file-\w+)", page.url)
    assert file_id
    page.goto(f"/training/new?file={file_id[1]}")
    page.get_by_text("Fine-tuning job").first.wait_for()
    page.locator("summary").click()
    page.get_by_label("Epochs").fill("1")
    page.get_by_role("button", name="Start the job").click()

    expect(page.get_by_role("tab", name="Curve")).to_be_visible(timeout=PATIENCE_MS)
    curve = page.get_by_role("img", name="Training and validation loss").locator("canvas")
    loop.eventually(lambda: curve.evaluate(SPAN) > SPANS_THE_PLOT, seconds=60, what="a curve over the plot")
    first = points_in_table(page)
    loop.eventually(lambda: points_in_table(page) > first, seconds=60, what="the curve's moving on")

    expect(page.get_by_role("link", name="Talk to it")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("link", name="Talk to it").click()
    page.get_by_role("textbox", name="Write a message").fill(LONG_QUESTION)
    page.get_by_role("button", name="Send").click()

    # Two models answer side by side; this one's foot appears when it has finished.
    answer = page.locator("section.pane").first.locator("article.answer")
    expect(answer.locator("p").first).not_to_have_text("Reading your question…", timeout=60_000)
    foot = answer.locator("footer")
    page.reload()
    expect(foot).to_contain_text("token", timeout=PATIENCE_MS)
    # Not `inner_text`: what is scrolled out of sight is not rendered.
    finished = answer.text_content()
    page.reload()
    expect(foot).to_contain_text("token", timeout=60_000)
    assert answer.text_content() == finished
    assert complaints == []
