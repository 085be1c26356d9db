"""What leaves for Sentry when something crashes: the fault, and no content or secret."""

import json
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from kernel.telemetry import crashes

SECRET = "lw_0123456789ABCDEFGHIJabcdefghij"
CONTENT = "the patient's diagnosis"


class Postbox(Transport):
    """Keeps what would be sent."""

    sent: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope)


@pytest.fixture
def postbox() -> Any:
    Postbox.sent = []
    crashes.report_to("https://public@sentry.invalid/1", release="test", transport=Postbox)
    yield Postbox.sent
    sentry_sdk.init()


def crash_with(content: str) -> None:
    local_variable = content
    raise ValueError(f"cannot read {local_variable} with {SECRET}")


def test_a_crash_is_reported_without_content_or_secrets(postbox: list[Envelope]) -> None:
    sentry_sdk.add_breadcrumb(message=CONTENT)
    sentry_sdk.set_extra("row", CONTENT)
    try:
        crash_with(CONTENT)
    except ValueError as fault:
        sentry_sdk.capture_exception(fault)
    [envelope] = postbox
    text = json.dumps([item.payload.json for item in envelope.items])
    assert "ValueError" in text
    assert "crash_with" in text
    assert CONTENT not in text
    assert SECRET not in text


def test_a_request_leaves_its_method_and_path_only() -> None:
    event: Any = {
        "request": {
            "method": "POST",
            "url": f"https://host/v1/files?key={SECRET}",
            "data": CONTENT,
            "headers": {"Authorization": f"Bearer {SECRET}"},
            "cookies": {"lw_session": "abc"},
        }
    }
    scrubbed: Any = crashes.scrub(event, {})
    assert scrubbed["request"] == {"method": "POST", "url": "https://host/v1/files"}


def test_secrets_in_any_text_are_masked() -> None:
    event: Any = {"transaction": f"redis://:{'p' * 12}@host and {SECRET} and Bearer abc.def"}
    scrubbed: Any = crashes.scrub(event, {})
    assert scrubbed["transaction"].count("[removed]") == 3
