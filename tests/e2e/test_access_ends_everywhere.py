"""On the running platform: whose access ends gets nowhere two seconds later, in either plane."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

PATIENCE_SECONDS = 2.0
PLANES = ("/v1/models", "/v1/files")


class Console:
    """What the owner does in the console, over its REST addresses."""

    def __init__(self, stack: Any) -> None:
        self.http = httpx.Client(base_url=stack.url, follow_redirects=True, timeout=30)
        self.http.get("/accounts/sign-in")
        form = {"login": stack.demo["email"], "password": stack.demo["password"]}
        answer = self.http.post("/accounts/sign-in", data=form | self._token(), headers=self._origin(stack))
        assert answer.status_code == 200

    def _token(self) -> dict[str, str]:
        return {"csrfmiddlewaretoken": self.http.cookies["lw_csrf"]}

    def _origin(self, stack: Any) -> dict[str, str]:
        return {"Origin": stack.url, "Referer": f"{stack.url}/accounts/sign-in"}

    def call(self, method: str, address: str, body: Any = None) -> Any:
        headers = {"X-CSRFToken": self.http.cookies["lw_csrf"]}
        answer = self.http.request(method, address, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def console(stack: Any) -> Iterator[Console]:
    """The demo owner's console."""
    signed_in = Console(stack)
    yield signed_in
    signed_in.http.close()


def refused_everywhere(stack: Any, secret: str, end: Callable[[], Any]) -> None:
    """The key works in both planes; `end` happens; two seconds later it works in neither."""
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=30) as program:
        until = time.monotonic() + PATIENCE_SECONDS
        while program.get(PLANES[0]).status_code != 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert [program.get(plane).status_code for plane in PLANES] == [200, 200]
        end()
        time.sleep(PATIENCE_SECONDS)
        assert {program.get(plane).status_code for plane in PLANES} <= {401, 403}


def test_a_revoked_key_is_refused_in_both_planes(stack: Any, console: Console) -> None:
    made = console.call("POST", "/api/v1/api-keys", {"name": "To be revoked"})
    refused_everywhere(
        stack, made["secret"], lambda: console.call("DELETE", f"/api/v1/api-keys/{made['id']}")
    )


def test_the_keys_of_an_archived_project_are_refused_in_both_planes(stack: Any, console: Console) -> None:
    project = console.call("POST", "/v1/organization/projects", {"name": "To be archived"})["id"]
    account = console.call(
        "POST", f"/v1/organization/projects/{project}/service_accounts", {"name": "A program"}
    )
    refused_everywhere(
        stack,
        account["api_key"]["value"],
        lambda: console.call("POST", f"/v1/organization/projects/{project}/archive"),
    )
