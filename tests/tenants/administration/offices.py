"""What administrators work with in these tests: the official client and a browser that sends JSON."""

from typing import Any

import httpx
import openai
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tenants.access.services import keys
from tenants.access.services.keys import KeyWish
from tests.cast import HOST, Person

JSON = "application/json"


def admin_secret(person: Person) -> str:
    """An administration key of the person's organization."""
    with person.acting():
        return keys.make_admin_key(KeyWish(name="Administration"), by=person.principal).secret


def admin_client(person: Person) -> openai.OpenAI:
    """The official client with such a key, talking to the control plane in this process."""
    transport = httpx.WSGITransport(app=get_wsgi_application(), raise_app_exceptions=False)
    secret = admin_secret(person)
    return openai.OpenAI(
        api_key=secret,
        admin_api_key=secret,
        base_url=f"http://{HOST}/v1",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


def call(person: Person, method: str, address: str, body: Any = None) -> Any:
    """A request of the person's browser, with a JSON body if there is one."""
    send = getattr(person.browser, method)
    return send(address) if body is None else send(address, body, content_type=JSON)


def refused(answer: Any, status: int, code: str) -> bool:
    """Whether the answer is this refusal; tells what it is where not."""
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code), answer.content
    return True


def queries_of(person: Person, address: str) -> int:
    """How many database queries a page costs the person."""
    browser = person.browser
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(address).status_code == 200
    return len(asked)
