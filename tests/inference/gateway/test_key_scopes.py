"""What binds a key at the gateway: networks, models, projects, time, and who or what is out of service."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, Tenant, ValkeyServer, deployment, opened

HEADED = "openai-project"
WITHIN_SECONDS = 2.0


def code_of(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("error", {}).get("code")


def named(project_id: str) -> dict[str, str]:
    return {HEADED: "proj_" + project_id.replace("-", "")}


async def asked(house: House, model: str = "support", **headers: str) -> tuple[int, str | None]:
    """What a chat with these further headers gets."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await house.client.post("/v1/chat/completions", json=body, headers=house.tenant.headers | own)
    return code_of(answer)


async def soon(house: House, act: Callable[[], Awaitable[Any]], expected: tuple[int, str | None]) -> None:
    """Do it, and see that the gateway follows in time."""
    assert await asked(house) == (200, None)
    await act()
    began = time.monotonic()
    while await asked(house) != expected:
        assert time.monotonic() - began < WITHIN_SECONDS


async def test_a_key_is_served_from_its_networks_only(house: House) -> None:
    outside = {"networks": ["203.0.113.0/24", "2001:db8::/32"]}
    await soon(house, lambda: house.publisher.key(house.tenant, **outside), (401, "ip_not_authorized"))
    for spoofed in ("203.0.113.7", "2001:db8::1", "203.0.113.7, 127.0.0.1"):
        assert await asked(house, x_forwarded_for=spoofed) == (401, "ip_not_authorized")
    await house.publisher.key(house.tenant, networks=["127.0.0.0/8"])
    await asyncio.sleep(0.2)
    assert await asked(house, x_forwarded_for="203.0.113.7") == (200, None)


async def test_a_trusted_proxy_is_believed_and_what_a_caller_put_before_it_is_not(
    valkey_server: ValkeyServer, tmp_path: Path
) -> None:
    proxies = (ip_network("127.0.0.0/8"),)
    async with opened(valkey_server, tmp_path, trusted_proxies=proxies) as house:
        await house.publisher.key(house.tenant, networks=["203.0.113.0/24"])
        assert await asked(house, x_forwarded_for="203.0.113.7") == (200, None)
        assert await asked(house, x_forwarded_for="203.0.113.7, 198.51.100.1") == (401, "ip_not_authorized")
        assert await asked(house) == (401, "ip_not_authorized")
        lines = [
            *house.tenant.headers.items(),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-for", "198.51.100.1"),
        ]
        answer = await house.client.get("/v1/models", headers=lines)
        assert code_of(answer) == (401, "ip_not_authorized")


async def test_a_key_for_some_models_gets_no_other_listed_or_answered(house: House) -> None:
    others = (deployment(house.tgi.url), deployment(house.tgi.url, alias="sales"))
    await house.publisher.project(house.tenant, *others)
    await house.publisher.key(house.tenant, models=["sales"])
    await asyncio.sleep(0.2)
    assert await asked(house, "sales") == (200, None)
    assert await asked(house) == await asked(house, "no-such-model") == (403, "model_not_found")
    listed = await house.client.get("/v1/models", headers=house.tenant.headers)
    assert [one["id"] for one in listed.json()["data"]] == ["sales"]
    one = await house.client.get("/v1/models/support", headers=house.tenant.headers)
    assert code_of(one) == (403, "model_not_found")


async def test_a_projects_list_decides_which_models_answer(house: House) -> None:
    others = (deployment(house.tgi.url), deployment(house.tgi.url, alias="sales"))

    async def listing(mode: str, *names: str) -> None:
        models = {"mode": mode, "model_ids": list(names)}
        await house.publisher.project(house.tenant, *others, models=models)

    await soon(house, lambda: listing("allow_list", "sales"), (403, "model_not_found"))
    assert await asked(house, "sales") == (200, None)
    await listing("deny_list", "sales")
    await asyncio.sleep(0.2)
    assert await asked(house, "sales") == (403, "model_not_found")
    assert await asked(house) == (200, None)
    listed = await house.client.get("/v1/models", headers=house.tenant.headers)
    assert [one["id"] for one in listed.json()["data"]] == ["support"]
    await listing("allow_list")
    await asyncio.sleep(0.2)
    assert await asked(house) == await asked(house, "sales") == (403, "model_not_found")


async def test_the_header_chooses_among_the_projects_of_a_key(house: House) -> None:
    own, second, foreign = house.tenant, Tenant.new(), Tenant.new()
    further = Tenant(own.organization_id, second.project_id, own.key_id, own.secret)
    await house.publisher.project(further, deployment(house.tgi.url, alias="sales"))
    await house.publisher.project(foreign, deployment(house.tgi.url, alias="secret"))
    projects = {second.project_id: ["inference.complete"], str(uuid4()): []}
    await house.publisher.key(own, projects=projects)
    await asyncio.sleep(0.2)
    assert await asked(house) == (200, None)
    assert await asked(house, "sales") == (404, "model_not_found")
    assert await asked(house, "sales", **named(second.project_id)) == (200, None)
    assert await asked(house, **named(second.project_id)) == (404, "model_not_found")
    assert await asked(house, "secret", **named(foreign.project_id)) == (401, "mismatched_project")
    (_, record) = await house.records(2)
    assert record["project_id"] == second.project_id


async def test_a_key_has_in_each_project_only_what_its_maker_has_there(house: House) -> None:
    second = Tenant.new()
    further = Tenant(house.tenant.organization_id, second.project_id, "", "")
    await house.publisher.project(further, deployment(house.tgi.url))
    await house.publisher.key(house.tenant, projects={second.project_id: ["file.read"]})
    await asyncio.sleep(0.2)
    assert await asked(house) == (200, None)
    assert await asked(house, **named(second.project_id)) == (403, "insufficient_permissions")


async def test_what_is_out_of_service_is_refused_in_time_with_its_own_code(house: House) -> None:
    def project(code: str) -> Callable[[], Awaitable[None]]:
        refusal = {"code": code, "message": "It is out of service."}
        served = deployment(house.tgi.url)
        return lambda: house.publisher.project(house.tenant, served, refusal=refusal)

    for code in ("organization_suspended", "organization_closing", "project_archived"):
        await soon(house, project(code), (403, code))
        listed = await house.client.get("/v1/models", headers=house.tenant.headers)
        assert code_of(listed) == (403, code)
        assert listed.json()["error"]["message"] == "It is out of service."
        await house.publisher.project(house.tenant, deployment(house.tgi.url))
        await asyncio.sleep(0.2)
    gone = {"refusal": {"code": "key_owner_inactive", "message": "Its maker is gone."}, "permissions": []}
    await soon(house, lambda: house.publisher.key(house.tenant, **gone), (403, "key_owner_inactive"))


async def test_a_suspension_ends_open_streams(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with opened(valkey_server, tmp_path, recheck_key_seconds=0.2) as house:
        house.tgi.script = Script(tokens=["x"] * 200, delay=0.05)
        stream = asyncio.create_task(house.chat(stream=True))
        await asyncio.sleep(0.5)
        refusal = {"code": "organization_suspended", "message": "Suspended."}
        await house.publisher.project(house.tenant, deployment(house.tgi.url), refusal=refusal)
        answer = await asyncio.wait_for(stream, 5)
        assert "organization_suspended" in answer.text
        assert "[DONE]" not in answer.text


async def test_a_key_ends_when_it_expires_without_anybody_saying_so(house: House) -> None:
    await house.publisher.key(house.tenant, expires_at=time.time() + 1)
    await asyncio.sleep(0.2)
    assert await asked(house) == (200, None)
    await asyncio.sleep(1.1)
    assert await asked(house) == (401, "invalid_api_key")


async def test_two_secrets_of_one_key_are_served_while_a_rotation_overlaps(house: House) -> None:
    old, new = house.tenant, Tenant.new()
    beside = Tenant(old.organization_id, old.project_id, old.key_id, new.secret)
    await house.publisher.key(beside)
    await house.publisher.key(old, expires_at=time.time() + 1)
    await asyncio.sleep(0.2)
    assert (await house.chat(tenant=old)).status_code == (await house.chat(tenant=beside)).status_code == 200
    await asyncio.sleep(1.1)
    assert (await house.chat(tenant=old)).status_code == 401
    assert (await house.chat(tenant=beside)).status_code == 200
    assert {record["key_id"] for record in await house.records(3)} == {old.key_id}
