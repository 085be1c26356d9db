"""A model server that fails in each of the ways that a real one does."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import (
    ADAPTER,
    KINDS,
    House,
    ValkeyServer,
    deployment,
    free_port,
    opened,
    over_both_kinds,
)


@pytest.fixture(params=KINDS)
async def hasty(
    request: pytest.FixtureRequest, valkey_server: ValkeyServer, tmp_path: Path
) -> AsyncIterator[House]:
    """A gateway of little patience, before a model server of each kind."""
    settings: dict[str, Any] = {
        "first_token_timeout_seconds": 0.4,
        "inter_token_timeout_seconds": 0.3,
        "connect_timeout_seconds": 0.5,
        "room_seconds": 0.0,
    }
    async with opened(valkey_server, tmp_path, kind=request.param, **settings) as house:
        yield house


def events(text: str) -> list[Any]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


BEFORE_THE_FIRST_TOKEN: list[tuple[Script, int, str]] = [
    (Script(error={"error": "Model is overloaded", "error_type": "overloaded"}), 429, "model_overloaded"),
    (
        Script(status=429, error={"error": "Model is overloaded", "error_type": "overloaded"}),
        429,
        "model_overloaded",
    ),
    (
        Script(status=422, error={"error": "Input validation error: no", "error_type": "validation"}),
        400,
        "invalid_request",
    ),
    (
        Script(
            error={
                "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. "
                "Given: 2000 `inputs` tokens and 256 `max_new_tokens`",
                "error_type": "validation",
            }
        ),
        400,
        "context_length_exceeded",
    ),
    (
        Script(status=422, error={"error": "adapter_id adapter-x not found", "error_type": "validation"}),
        503,
        "model_not_ready",
    ),
    (
        Script(error={"error": "Request failed during generation: cuda", "error_type": "generation"}),
        502,
        "model_failed",
    ),
    (Script(status=503, error={"error": "unhealthy", "error_type": "healthcheck"}), 503, "model_unreachable"),
    (Script(status=401), 502, "model_failed"),
    (Script(reset_after=0), 502, "model_failed"),
    (Script(close_after=0), 502, "model_failed"),
    (Script(stall_after=0), 504, "model_timeout"),
    (Script(raw=[b"data:{oops}\n\n"]), 502, "model_failed"),
    (Script(raw=[b'data:{"token":{"text":5}}\n\n']), 502, "model_failed"),
    (Script(raw=[b"data:[1]\n\n"]), 502, "model_failed"),
    (Script(raw=[b""]), 502, "model_failed"),
    (Script(raw=[b'data:{"index":1,"token":{"text":"\xff\xfe"}}\n\n']), 502, "model_failed"),
    (Script(served_by="adapter-" + "0" * 64), 502, "adapter_mismatch"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("script", "status", "code"), BEFORE_THE_FIRST_TOKEN)
async def test_a_failure_before_the_first_token_has_its_own_status(
    hasty: House, script: Script, status: int, code: str, stream: bool
) -> None:
    hasty.tgi.script = script
    response = await hasty.chat(stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    if status in {429, 503}:
        assert int(response.headers["retry-after"]) >= 1
    records = await hasty.records(1)
    assert [(one["status"], one["prompt_tokens"], one["completion_tokens"]) for one in records] == [
        ("failed", 0, 0)
    ]


async def test_a_model_that_cannot_be_reached_is_503(hasty: House) -> None:
    await hasty.publisher.project(
        hasty.tenant, deployment(f"http://127.0.0.1:{free_port()}", kind=hasty.kind)
    )
    await asyncio.sleep(0.2)
    response = await hasty.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unreachable")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (Script(reset_after=2), "model_failed"),
        (Script(close_after=2), "model_failed"),
        (Script(stall_after=2), "model_timeout"),
    ],
)
async def test_a_failure_midway_ends_the_stream_with_an_error_and_bills_what_was_shown(
    hasty: House, script: Script, code: str
) -> None:
    hasty.tgi.script = script
    response = await hasty.chat(stream=True)
    received = events(response.text)
    shown = [event["choices"][0]["delta"].get("content") for event in received if "choices" in event]
    assert "".join(text for text in shown if text) == "Hello wor"
    assert received[-1]["error"]["code"] == code
    assert "[DONE]" not in response.text
    (record,) = await hasty.records(1)
    assert (record["status"], record["prompt_tokens"], record["completion_tokens"]) == ("failed", 7, 2)


async def test_the_official_client_raises_when_a_stream_breaks(hasty: House) -> None:
    hasty.tgi.script = Script(reset_after=2)
    async with openai.AsyncOpenAI(
        base_url=f"{hasty.url}/v1", api_key=hasty.tenant.secret, max_retries=0
    ) as client:
        stream = await client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(openai.APIError, match="failed while"):
            _ = [chunk async for chunk in stream]


async def test_a_failure_midway_fails_a_whole_answer(hasty: House) -> None:
    hasty.tgi.script = Script(reset_after=2)
    assert (await hasty.chat()).status_code == 502
    (record,) = await hasty.records(1)
    assert (record["status"], record["completion_tokens"]) == ("failed", 2)


@over_both_kinds
async def test_nothing_of_another_model_is_shown_or_billed(house: House) -> None:
    house.tgi.script = Script(tokens=["secret"], served_by="base-" + "1" * 64)
    response = await house.chat(stream=True)
    assert response.status_code == 502
    assert "secret" not in response.text
    (record,) = await house.records(1)
    assert (record["status"], record["completion_tokens"], record["prompt_tokens"]) == ("failed", 0, 0)


@over_both_kinds
async def test_the_right_name_is_accepted_for_adapter_and_base(house: House) -> None:
    house.tgi.script = Script(served_by=ADAPTER)
    assert (await house.chat()).status_code == 200
    base = house.deployment(adapter_id=None, digest="cd" * 32)
    await house.publisher.project(house.tenant, base)
    await asyncio.sleep(0.2)
    house.tgi.script = Script(served_by="base-" + "cd" * 32)
    assert (await house.chat()).status_code == 200
    asked = house.tgi.seen[-1].body
    if house.kind == "tgi":
        assert "adapter_id" not in asked["parameters"]
    else:
        assert asked["model"] == "base-" + "cd" * 32


@over_both_kinds
async def test_a_pooled_connection_that_went_stale_is_replaced_unnoticed(house: House) -> None:
    assert (await house.chat()).status_code == 200
    assert (await house.chat()).status_code == 200
    assert house.tgi.connections == 1
    house.tgi.script = Script(drop_connection_first=True)
    assert (await house.chat()).status_code == 200
    assert house.tgi.connections == 2


async def test_a_slow_first_token_is_bridged_by_comments(valkey_server: ValkeyServer, tmp_path: Path) -> None:
    async with opened(valkey_server, tmp_path, keep_alive_seconds=0.1) as house:
        house.tgi.script = Script(first_delay=0.35)
        response = await house.chat(stream=True)
        assert response.text.count(": keep-alive\n\n") >= 2
        assert response.text.endswith("data: [DONE]\n\n")
        house.tgi.script = Script(first_delay=0.2, error={"error": "x", "error_type": "overloaded"})
        late = await house.chat(stream=True)
        assert late.status_code == 200
        assert events(late.text)[-1]["error"]["code"] == "model_overloaded"
