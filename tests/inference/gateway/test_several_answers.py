"""Several answers to one request: at the same time, each for itself, the prompt paid once."""

import asyncio
import json
import random
from typing import Any

import httpx
import openai
import pytest

from inference.gateway.contract import ChatMessage, Ended, Finished, GenerationRequest, Principal, Started
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House

pytestmark = pytest.mark.services


def events(text: str) -> list[Any]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_each_answer_is_a_choice_of_its_own_and_the_prompt_is_paid_once(house: House) -> None:
    house.tgi.next_scripts = [Script(tokens=["a"], finish="length"), Script(tokens=["b", "c"])]
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=house.tenant.secret) as client:
        answer = await client.chat.completions.create(
            model="support", messages=[{"role": "user", "content": "Hi"}], n=2
        )
    assert [choice.index for choice in answer.choices] == [0, 1]
    told = {(one.message.content, one.finish_reason) for one in answer.choices}
    assert told == {("a", "length"), ("bc", "stop")}
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 1 + 3)
    (record,) = await house.records(1)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 4)


async def test_answers_are_generated_at_the_same_time(house: House) -> None:
    house.tgi.script = Script(first_delay=0.3)
    asking = asyncio.create_task(house.chat(n=8))
    async with asyncio.timeout(5):
        for _ in range(8):
            await house.tgi.begun.acquire()
    assert not any(seen.emitted for seen in house.tgi.seen)
    assert len((await asking).json()["choices"]) == 8


async def test_a_stream_tells_whose_each_token_is(house: House) -> None:
    house.tgi.next_scripts = [Script(tokens=["a", "b"], delay=0.01), Script(tokens=["c", "d"], delay=0.01)]
    told = events((await house.chat(n=2, stream=True, stream_options={"include_usage": True})).text)
    texts, reasons, roles = {0: "", 1: ""}, {}, []
    for chunk in told[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content") or ""
        roles += [choice["index"]] if "role" in choice["delta"] else []
        if choice["finish_reason"]:
            reasons[choice["index"]] = choice["finish_reason"]
    assert sorted(texts.values()) == ["ab", "cd"]
    assert roles == [0, 1]
    assert reasons == {0: "stop", 1: "stop"}
    assert told[-1]["usage"]["completion_tokens"] == 6


async def test_with_a_seed_each_answer_has_its_own_and_the_first_has_the_given_one(house: House) -> None:
    await house.chat(n=3, seed=7)
    seeds = sorted(seen.body["parameters"]["seed"] for seen in house.tgi.seen)
    assert seeds == [7, 8, 9]


async def test_an_answer_that_fails_fails_the_request_and_what_was_made_is_paid(house: House) -> None:
    house.tgi.next_scripts = [
        Script(tokens=["x"] * 500, delay=0.01),
        Script(tokens=["y"] * 500, reset_after=3, delay=0.01),
    ]
    response = await house.chat(n=2)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "model_failed")
    async with asyncio.timeout(1):
        for seen in house.tgi.seen:
            await seen.ended.wait()
    (record,) = await house.records(1)
    emitted = sum(seen.emitted for seen in house.tgi.seen)
    assert (record["status"], record["prompt_tokens"]) == ("failed", 7)
    assert 3 <= record["completion_tokens"] <= emitted
    assert emitted - record["completion_tokens"] <= 5, (
        "what a reset connection lost, and what was on the wire"
    )
    house.tgi.next_scripts = [Script(), Script(tokens=["y"] * 9, reset_after=3, delay=0.05)]
    assert "error" in events((await house.chat(n=2, stream=True)).text)[-1]


async def test_a_client_that_leaves_stops_all_of_them_within_a_second(house: House) -> None:
    house.tgi.script = Script(tokens=["x"] * 500, delay=0.02)
    with pytest.raises(httpx.TimeoutException):
        await house.client.post(
            "/v1/chat/completions",
            json={"model": "support", "messages": [{"role": "user", "content": "Hi"}], "n": 4},
            headers=house.tenant.headers,
            timeout=0.3,
        )
    async with asyncio.timeout(1):
        for seen in house.tgi.seen:
            await seen.ended.wait()
    assert all(seen.aborted for seen in house.tgi.seen)
    (record,) = await house.records(1)
    emitted = sum(seen.emitted for seen in house.tgi.seen)
    assert (record["status"], record["prompt_tokens"]) == ("cancelled", 7)
    assert emitted - 4 <= record["completion_tokens"] <= emitted


async def test_metering_is_exact_when_a_third_of_the_clients_leave_at_random(house: House) -> None:
    house.tgi.script = Script(tokens=[f"t{i}" for i in range(12)], delay=0.005)
    dice, requests = random.Random(11), 60
    plan = [dice.randrange(1, 20) if dice.random() < 0.3 else 10_000 for _ in range(requests)]
    gate = asyncio.Semaphore(8)

    async def one(leave: int) -> int:
        body = {"model": "support", "prompt": ["One", "Two"], "n": 2, "stream": True}
        async with (
            gate,
            house.client.stream(
                "POST", "/v1/completions", json=body, headers=house.tenant.headers
            ) as response,
        ):
            seen = 0
            async for line in response.aiter_lines():
                seen += '"text":"t' in line
                if seen >= leave:
                    break
            return seen

    seen = await asyncio.gather(*(one(leave) for leave in plan))
    records = await house.records(requests)
    assert len(records) == len({one["request_id"] for one in records}) == requests
    whole = [one for one in records if one["status"] == "completed"]
    assert all((one["completion_tokens"], one["prompt_tokens"]) == (4 * 13, 14) for one in whole)
    cut = [one for one in records if one["status"] == "cancelled"]
    assert len(whole) + len(cut) == requests
    assert all(one["prompt_tokens"] in (7, 14) for one in cut)
    billed = sum(one["completion_tokens"] for one in records)
    emitted = sum(one.emitted for one in house.tgi.seen)
    assert sum(seen) <= billed <= emitted
    assert emitted - billed <= 4 * 3 * len(cut), "only tokens on the wire when the client left are given away"


async def test_room_is_reserved_for_every_answer(house: House) -> None:
    limit = {"scope": "organization", "subject_id": "", "kind": "tokens_per_minute", "value": 300}
    await house.publisher.limits(house.tenant, limit)
    await asyncio.sleep(0.2)
    refused = await house.chat(n=3, max_tokens=100)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "tokens_per_minute_reached")
    assert "may take 307" in refused.json()["error"]["message"]
    assert (await house.chat(n=2, max_tokens=100)).status_code == 200


async def test_an_in_process_caller_gets_one_start_an_end_of_each_and_one_finish(house: House) -> None:
    person = Principal(
        organization_id=house.tenant.organization_id,
        project_id=house.tenant.project_id,
        key_id=None,
        user_id="0199",
        permissions=frozenset({"inference.complete"}),
    )
    request = GenerationRequest(model="support", messages=(ChatMessage("user", "Hi"),), n=3)
    received = [event async for event in house.gateway.complete(person, request)]
    assert [type(event) for event in received].count(Started) == 1
    assert {event.index for event in received if isinstance(event, Ended)} == {0, 1, 2}
    assert isinstance(received[0], Started)
    assert isinstance(received[-1], Finished)


async def test_many_answers_are_refused_before_they_are_begun(house: House) -> None:
    response = await house.complete(prompt=["a"] * 65, n=2)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "prompt")
    assert "130 completions" in error["message"]
    assert house.tgi.seen == []
