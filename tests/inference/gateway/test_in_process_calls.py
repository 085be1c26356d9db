"""Requests of a caller in the gateway's own process, which says who asks."""

import asyncio
import json
from typing import Any
from uuid import UUID

from inference.gateway.contract import IN_PROCESS, InProcessCall, Principal
from inference.gateway.ids import uuid7
from tests.inference.gateway.house import House


async def ask(house: House, *permissions: str, request_id: UUID) -> tuple[int, dict[str, Any]]:
    principal = Principal(
        organization_id=house.tenant.organization_id,
        project_id=house.tenant.project_id,
        key_id=None,
        user_id=None,
        permissions=frozenset(permissions),
    )
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}]}
    given = asyncio.Queue[dict[str, Any]]()
    given.put_nowait({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": [],
        IN_PROCESS: InProcessCall(principal, request_id),
    }
    await house.gateway(scope, given.get, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def test_it_is_answered_as_who_it_says_and_under_its_id(house: House) -> None:
    request_id = uuid7()
    status, answer = await ask(house, "inference.complete", request_id=request_id)
    assert (status, answer["id"]) == (200, f"chatcmpl-{request_id.hex}")
    [record] = await house.records(1)
    assert (record["request_id"], record["key_id"]) == (str(request_id), None)


async def test_it_may_do_no_more_than_it_says(house: House) -> None:
    status, answer = await ask(house, request_id=uuid7())
    assert (status, answer["error"]["code"]) == (403, "insufficient_permissions")


async def test_no_client_can_say_so_over_the_network(house: House) -> None:
    answer = await house.client.post(
        "/v1/chat/completions",
        json={"model": "support", "messages": [{"role": "user", "content": "Hi"}]},
        headers={IN_PROCESS: "yes"},
    )
    assert answer.status_code == 401
