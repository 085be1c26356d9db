"""Messages and their signatures, as Standard Webhooks has them."""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from standardwebhooks import Webhook

MARK = "whsec_"
SECRET_BYTES = 32


@dataclass(frozen=True)
class Message:
    """What is posted: the body, and the headers by which the receiver can tell that it is ours."""

    body: bytes
    headers: dict[str, str] = field(repr=False)


def new_secret() -> str:
    """A new signing secret."""
    return MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed(message_id: str, payload: object, signing_secrets: list[str], at: datetime) -> Message:
    """The message with one signature for each secret. `at` must know its time zone."""
    body = orjson.dumps(payload)
    signatures = [Webhook(secret).sign(message_id, at, body.decode()) for secret in signing_secrets]
    return Message(
        body,
        {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        },
    )
