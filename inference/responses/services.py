"""What programs do with stored responses."""

from typing import Any, NoReturn
from uuid import UUID

from inference.responses.errors import ItemUnknown, NotCancellable, ResponseUnknown
from inference.responses.models import StoredResponse
from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound
from tenants.access.principal import Principal
from tenants.organizations.services import holds


def find_response(principal: Principal, public_id: str) -> StoredResponse:
    """A response of the caller's project. Raises `ResponseUnknown`."""
    unknown = ResponseUnknown(f"There is no stored response '{public_id[:80]}'.", param="response_id")
    try:
        response_id: UUID = ids.parse("resp", public_id)
    except NotFound:
        raise unknown from None
    rows = StoredResponse.objects.filter(project_id=principal.project_id)
    found: StoredResponse | None = rows.filter(pk=response_id).first()
    if found is None:
        raise unknown
    return found


def read_response(response: StoredResponse) -> dict[str, Any]:
    """The response as it was answered; that it was read is recorded.

    Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`.
    """
    record("response.read", response.public_id)
    return response.body


def read_items(response: StoredResponse) -> list[dict[str, Any]]:
    """What was asked; that it was read is recorded. Raises what `read_response` raises."""
    record("response.read", response.public_id, through="input_items")
    return response.items


def page_of(items: list[dict[str, Any]], *, after: str | None, limit: int, ascending: bool) -> dict[str, Any]:
    """One page of items, in OpenAI's form. Raises `ItemUnknown` for an `after` that is none of them."""
    ordered = items if ascending else items[::-1]
    if after is not None:
        places = [place for place, item in enumerate(ordered) if item["id"] == after]
        if not places:
            raise ItemUnknown(f"The response has no item '{after[:80]}'.", param="after")
        ordered = ordered[places[0] + 1 :]
    data = ordered[:limit]
    return {
        "object": "list",
        "data": data,
        "has_more": len(ordered) > limit,
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
    }


def delete_response(response: StoredResponse) -> None:
    """Delete a response; what continues it can be continued no more. Raises `UnderLegalHold`."""
    holds.require_free(people=[response.created_by_id] if response.created_by_id else [])
    record("response.delete", response.public_id)
    response.delete()


def cancel_response(response: StoredResponse) -> NoReturn:
    """Raises `NotCancellable`: a stored response has ended, since none is made in the background."""
    raise NotCancellable(
        f"The response {response.public_id} has ended; only responses that are made with 'background' can be "
        "cancelled, and none are here."
    )
