"""The API reference describes both planes, says nothing of anybody, and can be tried in the browser."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import Client
from drf_spectacular.validation import validate_schema
from playwright.sync_api import Browser, Page, expect

from config import reference
from inference.gateway import description
from inference.gateway.application import Gateway
from tests.cast import HOST, PASSWORD, Person, new_person
from tests.e2e.test_pages_are_accessible import AXE, JUDGE, RULES

SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
WIDTHS = [1280, 360]


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return reference.described()


def test_it_is_valid_openapi(described: dict[str, Any]) -> None:
    validate_schema(described)


def test_it_has_the_operations_of_both_planes(described: dict[str, Any]) -> None:
    paths = described["paths"]
    assert {"/v1/chat/completions", "/tgi/{model}/generate", "/api/v1/deployments", "/v1/files"} <= set(paths)
    assert set(paths["/v1/responses/{response_id}"]) == {"get", "delete"}
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_every_address_of_the_gateway_is_described() -> None:
    described = {path.split("/{")[0] for path in description.paths()}
    assert described == set(Gateway.paths)


def test_what_a_request_may_say_is_told_as_it_is_read(described: dict[str, Any]) -> None:
    post = described["paths"]["/v1/chat/completions"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["model", "messages"]
    assert body["properties"]["temperature"] == {"type": "number", "minimum": 0, "maximum": 2}
    assert body["properties"]["stop"]["anyOf"][1]["maxItems"] == 4
    untold = [
        (path, name)
        for path, methods in description.paths().items()
        for name, shape in _properties(methods.get("post", {})).items()
        if not shape and name not in {"tool_choice"}
    ]
    assert untold == []


def _properties(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    found: dict[str, Any] = content.get("application/json", {}).get("schema", {}).get("properties", {})
    return found


def test_the_page_is_for_members_and_the_description_for_everybody(owner: Person) -> None:
    stranger = Client(SERVER_NAME=HOST)
    assert stranger.get("/reference").status_code == 302
    assert stranger.get("/reference/openapi.json").json()["openapi"].startswith("3.0")
    page = owner.browser.get("/reference")
    assert (page.status_code, page["Cache-Control"]) == (200, "no-store")
    assert "unsafe" not in page["Content-Security-Policy"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def url(stores: object) -> Iterator[str]:
    """The control plane, its static files included."""
    server = make_server("127.0.0.1", 0, get_wsgi_application(), _Server, _Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def member(stores: object) -> Person:
    """Made before the browser, beside which no test may ask the database."""
    return new_person()


@pytest.fixture(params=SCHEMES)
def page(request: pytest.FixtureRequest, url: str, member: Person, browser: Browser) -> Iterator[Page]:
    """The reference, opened by the member in a colour scheme; what the browser complains of is a failure."""
    context = browser.new_context(
        base_url=url, locale="en-US", color_scheme=request.param, reduced_motion="reduce"
    )
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    page.goto("/reference")
    page.get_by_label("E-mail address").fill(member.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="API reference")).to_be_visible()
    expect(page.locator("#operations-tag-inference")).to_be_visible(timeout=60_000)
    yield page
    context.close()
    assert complaints == []


def judge(page: Page) -> list[str]:
    """What axe finds on the page as it is, at every width."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(AXE.read_text())
        found += [f"at {width}: {fault}" for fault in page.evaluate(JUDGE, RULES)]
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    return found


def opened(page: Page, tag: str, operation: str) -> Any:
    """An operation, unfolded to be tried."""
    page.locator(f"#operations-tag-{tag}").click()
    block = page.locator(f"#operations-{tag}-{operation}")
    block.get_by_role("button").first.click()
    block.get_by_role("button", name="Try it out").click()
    return block


def test_it_is_accessible(page: Page) -> None:
    opened(page, "inference", "chat_completions")
    block = opened(page, "account", "account_retrieve")
    with page.expect_response("**/api/v1/account"):
        block.get_by_role("button", name="Execute").click()
    expect(block.get_by_text("Response body")).to_be_visible()
    found = judge(page)
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.get_by_role("heading", name="Available authorizations")).to_be_visible()
    found += judge(page)
    assert found == []


def test_it_can_be_tried_as_whoever_is_signed_in_and_with_a_key(page: Page, member: Person) -> None:
    block = opened(page, "account", "account_partial_update")
    block.locator("textarea").fill(json.dumps({"name": "Renamed by trying"}))
    with page.expect_response("**/api/v1/account") as answered:
        block.get_by_role("button", name="Execute").click()
    assert answered.value.json()["name"] == "Renamed by trying"
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("input").fill(member.secret)
    dialog.get_by_role("button", name="Authorize").click()
    dialog.get_by_role("button", name="Close").first.click()
    block = opened(page, "files", "files_list")
    with page.expect_response("**/v1/files**") as answered:
        block.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    sent = answered.value.request.all_headers()
    assert sent["authorization"] == f"Bearer {member.secret}"
    assert "cookie" not in sent


def test_nothing_is_fetched_from_elsewhere() -> None:
    for name in ("reference.js", "reference.css"):
        text = (Path(reference.__file__).parent / "static" / "config" / name).read_text()
        assert "//" not in text.replace("/*", "").replace("*/", "")
