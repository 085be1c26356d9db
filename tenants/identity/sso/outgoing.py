"""What is asked of identity providers, always through the guarded client."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from kernel.egress import client
from tenants.identity.sso.errors import ProviderUnusable

MAX_BYTES = 512 * 1024
TIMEOUT_SECONDS = 10.0
FORM = "application/x-www-form-urlencoded"


def read(url: str) -> bytes:
    """The document at an address. Raises `EgressFault`, `ProviderUnusable`."""
    answer = client.fetch(url, max_bytes=MAX_BYTES, timeout_seconds=TIMEOUT_SECONDS)
    if answer.status != 200:
        raise ProviderUnusable(f"{url} answered with status {answer.status} instead of 200.")
    return answer.content


def read_json(url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object at an address; no redirect is followed. Raises `EgressFault`, `ProviderUnusable`."""
    answer = client.request("GET", url, headers=headers, max_bytes=MAX_BYTES, timeout_seconds=TIMEOUT_SECONDS)
    return _object(url, answer)


def post_form(url: str, form: Mapping[str, str], *, headers: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object that answers a form. Raises `EgressFault`, `ProviderUnusable`."""
    answer = client.request(
        "POST",
        url,
        headers={**headers, "Content-Type": FORM, "Accept": "application/json"},
        content=urlencode(form).encode(),
        max_bytes=MAX_BYTES,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    return _object(url, answer)


def _object(url: str, answer: client.Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise ProviderUnusable(f"{url} answered with status {answer.status} instead of 200.")
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProviderUnusable(f"{url} did not answer with a JSON object.")
    return found
