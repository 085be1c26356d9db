"""What is asked of whoever stores responses: the gateway keeps none itself.

Only requests that ask to be stored, or that continue a stored response, ever ask.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from inference.gateway.contract import Principal

Item = dict[str, Any]
_MESSAGE_PARTS = {"assistant": "output_text"}
_KNOWN_STATUS = frozenset({"in_progress", "completed", "incomplete"})


@dataclass(frozen=True, kw_only=True)
class FinishedResponse:
    """A response that is complete. `input` are its own items, without those of the responses before it.

    `request_id` is a UUIDv7, the response's own id too; `response` is the object as it is answered.
    """

    request_id: UUID
    principal: Principal
    previous_id: UUID | None
    input: Sequence[Item]
    response: Mapping[str, Any]


class ResponseKeeper(Protocol):
    """Stores responses, in the control plane."""

    async def items_until(self, principal: Principal, response_id: UUID, *, request_id: UUID) -> list[Item]:
        """The items of a stored response of the caller's project and of those that it continues, in order.

        That they were read is recorded, as done in the request `request_id`.

        Raises `PreviousResponseNotFound` where one of them is not there, `ResponseStoreUnavailable`, and
        `Refused` in the control plane's words where one cannot be read any more.
        """
        ...

    async def keep(self, finished: FinishedResponse) -> None:
        """Store a response; of one that is stored already, the last one stays.

        Raises `ResponsesNotStored` where the data retention forbids it by now, `ResponseStoreUnavailable`,
        `Refused`.
        """
        ...


def items_of(value: object, request_id: UUID) -> list[Item]:
    """A valid `input` as items with ids, in the form in which OpenAI lists them."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    assert isinstance(value, list)
    return [_item(one, f"{request_id.hex}{place:04x}") for place, one in enumerate(value)]


def _item(given: Item, digits: str) -> Item:
    kind = given.get("type") or "message"
    if kind == "function_call":
        own = {name: given[name] for name in ("call_id", "name", "arguments")}
        return _head(given, kind, f"fc_{digits}") | own
    if kind == "function_call_output":
        output = given["output"]
        if not isinstance(output, str):
            output = _parts(output, "input_text")
        return _head(given, kind, f"fco_{digits}") | {"call_id": given["call_id"], "output": output}
    content = given["content"]
    if isinstance(content, str):
        content = [{"text": content}]
    parts = _parts(content, _MESSAGE_PARTS.get(given["role"], "input_text"))
    return _head(given, kind, f"msg_{digits}") | {"role": given["role"], "content": parts}


def _head(given: Item, kind: str, own_id: str) -> Item:
    identifier, status = given.get("id"), given.get("status")
    return {
        "id": identifier if isinstance(identifier, str) and identifier else own_id,
        "type": kind,
        "status": status if status in _KNOWN_STATUS else "completed",
    }


def _parts(content: Sequence[Item], kind: str) -> list[Item]:
    more: Item = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
    return [{"type": kind, "text": part["text"], **more} for part in content]
