"""Headers as OpenAI's clients expect them, and none that a caller could make up."""

import asyncio
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from inference.gateway import application
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House


async def test_every_answer_names_its_request_version_organization_and_project(house: House) -> None:
    organization = "org-" + house.tenant.organization_id.replace("-", "")
    project = "proj_" + house.tenant.project_id.replace("-", "")
    answers = [
        await house.chat(),
        await house.chat(stream=True),
        await house.complete(),
        await house.chat(temperature=9),
        await house.client.get("/v1/models", headers=house.tenant.headers),
    ]
    for answer in answers:
        assert answer.headers["x-request-id"].startswith("req_")
        assert int(answer.headers["openai-processing-ms"]) >= 0
        assert answer.headers["openai-version"] == "2020-10-01"
        assert answer.headers["openai-organization"] == organization
        assert answer.headers["openai-project"] == project
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    nobody = await house.client.get("/v1/models")
    assert "openai-organization" not in nobody.headers


async def test_a_base_model_is_named_by_its_digest_alone(house: House) -> None:
    await house.publisher.project(house.tenant, house.deployment(model_version_id="", adapter_id=None))
    headers = (await house.chat()).headers
    assert headers["x-loomworks-digest"]
    assert "x-loomworks-model-version" not in headers


async def test_when_to_retry_is_told_in_seconds_and_in_milliseconds(house: House) -> None:
    house.tgi.script = Script(error={"error": "Model is overloaded", "error_type": "overloaded"})
    headers = (await house.chat()).headers
    assert headers["retry-after"] == "1"
    assert 0 < int(headers["retry-after-ms"]) <= 1000


async def test_the_callers_own_request_id_goes_to_the_log_and_not_into_the_answer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        monkeypatch.setattr(application, "log", application.structlog.get_logger("inference.gateway"))
        answer = await house.client.get(
            "/v1/models", headers=house.tenant.headers | {"x-client-request-id": "abc-123"}
        )
    assert "abc-123" not in str(answer.headers)
    assert [line["client_request_id"] for line in logs if line["event"] == "request"] == ["abc-123"]


@pytest.mark.parametrize("named", [b"x" * 513, "ümlaut".encode(), "grün".encode("latin-1"), b"a\tb"])
async def test_a_request_id_that_is_long_or_not_ascii_is_refused(house: House, named: bytes) -> None:
    headers: Any = [(b"authorization", f"Bearer {house.tenant.secret}".encode())]
    request = httpx.Request(
        "GET", f"{house.url}/v1/models", headers=[*headers, (b"x-client-request-id", named)]
    )
    answer = await house.client.send(request)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (
        400,
        "X-Client-Request-Id",
        "invalid_value",
    )


async def test_what_the_snapshot_holds_cannot_begin_a_header_of_its_own(house: House) -> None:
    await house.redeploy(digest="ab\r\nset-cookie: a=b", adapter_id=None)
    house.tgi.script = Script(served_by="base-other")
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(house.url).port)
    body = b'{"model":"support","messages":[{"role":"user","content":"Hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {house.tenant.secret}\r\n"
    writer.write(head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert b"x-loomworks-digest: abset-cookie: a=b\r\n" in answer
    assert b"\nset-cookie" not in answer
    writer.close()
    await writer.wait_closed()
