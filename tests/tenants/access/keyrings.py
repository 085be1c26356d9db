"""What tests of keys do: make them over REST, and call with them."""

from typing import Any

from django.test import Client

from tenants.access.models import ApiKey
from tests.cast import HOST, Person

JSON = "application/json"


def made(person: Person, **wish: Any) -> dict[str, Any]:
    """A key that the person made in their project, with its secret."""
    answer = person.browser.post("/api/v1/api-keys", {"name": "A wish", **wish}, content_type=JSON)
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def program(secret: str, **headers: str) -> Client:
    """A program with this secret."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {secret}", **named})


def answer_to(secret: str, address: str = "/v1/files", **headers: str) -> tuple[int, str | None]:
    """The status and the error's code that a program with this secret gets."""
    answer = program(secret, **headers).get(address)
    return answer.status_code, answer.json().get("error", {}).get("code")


def row_of(person: Person, key: dict[str, Any]) -> ApiKey:
    """The key as it is stored now."""
    with person.acting():
        row: ApiKey = ApiKey.objects.get(name=key["name"])
    return row
