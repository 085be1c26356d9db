"""Where the gateways of our processes store responses: PostgreSQL, before the last byte is sent.

So whoever has a response's id can read it at once, and nothing of it waits in Valkey.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import orjson
import structlog
from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError
from psycopg_pool import PoolTimeout

from inference.gateway.contract import Principal
from inference.gateway.faults import (
    GatewayFault,
    PreviousResponseNotFound,
    Refused,
    ResponsesNotStored,
    ResponseStoreUnavailable,
)
from inference.gateway.responses.keeping import FinishedResponse, Item
from inference.responses.models import StoredResponse
from kernel import ids
from kernel.audit.log import Actor, acting_as, record
from kernel.errors import DomainError, Unavailable
from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.organizations.models import Organization, Project
from tenants.organizations.services.policies import stores_requests

AWAY = (OperationalError, InterfaceError, PoolTimeout, Unavailable)
DELAYS_SECONDS = (0.2, 0.5, 1.0)
PARAM = "previous_response_id"

T = TypeVar("T")

log = structlog.get_logger()


class DatabaseKeeper:
    """The `ResponseKeeper` of a process with Django."""

    async def items_until(self, principal: Principal, response_id: UUID, *, request_id: UUID) -> list[Item]:
        """As the port says."""
        return await _asked(_items_until, principal, response_id, request_id)

    async def keep(self, finished: FinishedResponse) -> None:
        """As the port says; tried again for a moment, since the answer is there and paid for."""
        for delay in (*DELAYS_SECONDS, None):
            try:
                await _asked(_keep, finished)
                return
            except ResponseStoreUnavailable:
                log.warning("response.not_stored", request_id=str(finished.request_id), retry=delay)
                if delay is None:
                    raise
                await asyncio.sleep(delay)


async def _asked(act: Callable[..., T], *arguments: Any) -> T:
    """Do it in one thread, scope included; faults are the gateway's."""
    try:
        done: T = await database_sync_to_async(act, thread_sensitive=False)(*arguments)
    except AWAY as fault:
        raise ResponseStoreUnavailable(
            "Stored responses cannot be reached at the moment; try again in a few seconds.",
            retry_after_seconds=2,
        ) from fault
    except GatewayFault:
        raise
    except DomainError as fault:
        raise Refused(fault.code, fault.message, fault.status) from fault
    return done


def _items_until(principal: Principal, response_id: UUID, request_id: UUID) -> list[Item]:
    with acting_as(_actor_of(principal, request_id)), acting_for(UUID(principal.organization_id)):
        rows = StoredResponse.objects.filter(project_id=principal.project_id)
        last: StoredResponse | None = rows.filter(pk=response_id).first()
        if last is None:
            raise _not_found(response_id)
        chain = _chain(dict(rows.filter(thread_id=last.thread_id).values_list("pk", "previous_id")), last.pk)
        found = rows.in_bulk(chain)
        record("response.read", last.public_id, through=PARAM, responses=len(chain))
        return [item for pk in chain for item in (*found[pk].items, *found[pk].body["output"])]


def _chain(links: dict[UUID, UUID | None], last: UUID) -> list[UUID]:
    """The ids of a response and of those before it, oldest first. Raises `PreviousResponseNotFound`."""
    chain: list[UUID] = []
    at: UUID | None = last
    while at is not None:
        if at not in links:
            raise _not_found(at)
        chain.append(at)
        at = links[at]
    return chain[::-1]


def _not_found(response_id: UUID) -> PreviousResponseNotFound:
    name = ids.render("resp", response_id)
    return PreviousResponseNotFound(
        f"Previous response with id '{name}' not found: it was not stored in this project, or is deleted.",
        param=PARAM,
    )


def _keep(finished: FinishedResponse) -> None:
    row = _row(finished)
    with acting_for(row.organization_id):
        project = Project.objects.get(pk=row.project_id)
        if not stores_requests(Organization.objects.get(pk=row.organization_id), project):
            raise ResponsesNotStored(
                "The response was not stored: the project's data retention became zero meanwhile.",
                param="store",
            )
        rows = StoredResponse.objects.filter(project_id=row.project_id)
        if finished.previous_id is not None:
            threads = rows.filter(pk=finished.previous_id).values_list("thread_id", flat=True)
            row.thread_id = threads.first() or row.thread_id
        # A batch may ask again under the same id, when its worker died before it noted the answer.
        rows.filter(pk=row.pk).delete()
        row.save(force_insert=True)


def _row(finished: FinishedResponse) -> StoredResponse:
    """The row, sealed. Raises `KeyDestroyed`, `KeyUnavailable`."""
    principal = finished.principal
    row = StoredResponse(
        id=finished.request_id,
        organization_id=UUID(principal.organization_id),
        project_id=UUID(principal.project_id),
        created_by_id=_person(principal),
        key_id=UUID(principal.key_id) if principal.key_id else None,
        model=finished.response["model"],
        thread_id=finished.request_id,
        previous_id=finished.previous_id,
    )
    row.items_json = orjson.dumps(finished.input).decode()
    row.body_json = orjson.dumps(finished.response).decode()
    return row


def _person(principal: Principal) -> UUID | None:
    """Who stands behind the call, if they still have an account."""
    named = principal.user_id or principal.maker_id
    return User.objects.filter(pk=named).values_list("pk", flat=True).first() if named else None


def _actor_of(principal: Principal, request_id: UUID) -> Actor:
    named = principal.user_id or principal.maker_id
    person = UUID(named) if named else None
    if principal.key_id:
        name = ids.render("key", UUID(principal.key_id))
    else:
        name = ids.render("user", person) if person else "system"
    # As the answer's header `x-request-id` names it.
    return Actor(name, request_id=f"req_{request_id.hex}", person=person)
