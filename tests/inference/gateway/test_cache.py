"""The cache of answers: what is kept is given again as it was, to whom it belongs, and to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.gateway.asking import (
    IN_VALKEY_ONLY,
    ask,
    ask_and_keep,
    caching,
    kept,
    outcome,
    without_own,
)
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House, Tenant, ValkeyServer, deployment

ANSWER = ["Hé", "llo", " 🌍", " and", " good", " night"]


@pytest.fixture
async def house(valkey_server: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    async with caching(valkey_server, tmp_path, Script(tokens=ANSWER)) as house:
        yield house


@pytest.fixture
async def forgetful(valkey_server: ValkeyServer, tmp_path: Path) -> AsyncIterator[House]:
    """Keeps entries in Valkey only."""
    async with caching(valkey_server, tmp_path, Script(tokens=ANSWER), **IN_VALKEY_ONLY) as house:
        yield house


async def second_tenant(house: House) -> Tenant:
    """Another organization with the same model on the same pod."""
    tenant = Tenant.new()
    await house.publisher.key(tenant)
    await house.publisher.project(tenant, deployment(house.tgi.url))
    await house.publisher.cache(tenant)
    return tenant


@pytest.mark.parametrize("settings", [{}, IN_VALKEY_ONLY])
@pytest.mark.parametrize("shape", [{}, {"stream": True, "stream_options": {"include_usage": True}}])
@pytest.mark.parametrize(
    "more", [{}, {"logprobs": True}, {"logprobs": True, "top_logprobs": 2}, {"stop": ["ood"]}]
)
async def test_a_hit_is_the_miss_byte_for_byte(
    settings: dict[str, Any],
    shape: dict[str, Any],
    more: dict[str, Any],
    valkey_server: ValkeyServer,
    tmp_path: Path,
) -> None:
    script = Script(tokens=ANSWER, top=[("a", -0.25), ("b", -3.5)])
    async with caching(valkey_server, tmp_path, script, **settings) as house:
        backend = {"kind": "tgi", "url": house.tgi.url, "features": ["top_logprobs"]}
        await house.publisher.project(house.tenant, deployment(house.tgi.url, backends=[backend]))
        first = await ask_and_keep(house, **shape, **more)
        second = await ask(house, **shape, **more)
        assert outcome(second) == "hit"
        assert "age" not in first.headers
        assert 0 <= int(second.headers["age"]) < 5
        assert without_own(second) == without_own(first)
        assert second.text != first.text
        assert len(house.tgi.seen) == 1


async def test_what_was_streamed_is_given_whole_and_the_other_way_round(house: House) -> None:
    await ask_and_keep(house, "one", stream=True)
    whole = await ask(house, "one", logprobs=True)
    assert outcome(whole) == "hit"
    assert whole.json()["choices"][0]["message"]["content"] == "".join(ANSWER)
    assert whole.json()["usage"] == {"prompt_tokens": 7, "completion_tokens": 7, "total_tokens": 14}
    await ask_and_keep(house, "two")
    streamed = await ask(house, "two", stream=True)
    assert outcome(streamed) == "hit"
    assert streamed.text.count("data: {") == len(ANSWER) + 2


async def test_a_hit_is_recorded_once_with_its_tokens(house: House) -> None:
    await ask_and_keep(house)
    await ask(house)
    missed, hit = await house.records(2)
    assert (missed["cache"], hit["cache"]) == ("miss", "hit")
    for name in ("prompt_tokens", "completion_tokens", "status", "finish_reason"):
        assert missed[name] == hit[name]


async def test_two_organizations_never_share_an_entry(forgetful: House) -> None:
    house = forgetful
    other = await second_tenant(house)
    await ask_and_keep(house)
    await ask_and_keep(house, tenant=other)
    (mine,), (theirs,) = await kept(house), await kept(house, other)
    assert mine.rpartition(b":")[2] != theirs.rpartition(b":")[2]
    # Even where somebody who can write to Valkey puts one organization's entry in the other's place.
    await house.valkey.set(theirs, await house.valkey.get(mine) or b"")
    assert outcome(await ask(house, tenant=other)) == "miss"
    assert len(house.tgi.seen) == 3


async def test_two_projects_of_an_organization_share_nothing_either(house: House) -> None:
    await ask_and_keep(house)
    mine = house.tenant
    other = Tenant(mine.organization_id, Tenant.new().project_id, mine.key_id, Tenant.new().secret)
    await house.publisher.key(other)
    await house.publisher.project(other, deployment(house.tgi.url))
    assert outcome(await ask(house, tenant=other)) == "miss"


async def test_who_reads_valkey_alone_learns_neither_question_nor_answer(house: House) -> None:
    await ask_and_keep(house, "a most secret question")
    for name in [name async for name in house.valkey.scan_iter(match="lw:*cache:*")]:
        if name.endswith((b":sizes", b":index")):
            continue
        value: Any = await house.valkey.get(name)
        for secret in (b"secret question", b"good", b"night"):
            assert secret not in value
            assert secret not in name


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({}, {}, ["miss", "hit"]),
        ({}, {"temperature": 1, "top_p": 0}, ["miss", "hit"]),
        ({}, {"temperature": 0.7, "seed": 5}, ["miss", "hit"]),
        ({}, {"temperature": 0.7}, ["off", "off"]),
        ({"x-loomworks-cache": "use"}, {"temperature": 0.7}, ["miss", "hit"]),
        ({"x-loomworks-cache": "Bypass"}, {}, ["off", "off"]),
        ({"x-loomworks-cache": "refresh"}, {}, ["miss", "miss"]),
        ({"x-loomworks-cache": "refresh"}, {"temperature": 0.7}, ["miss", "miss"]),
        ({"cache-control": "no-store"}, {}, ["off", "off"]),
        ({"cache-control": "max-age=0, No-Store"}, {}, ["off", "off"]),
        ({"cache-control": "no-cache"}, {}, ["miss", "miss"]),
        ({"cache-control": "no-cache"}, {"temperature": 0.7}, ["off", "off"]),
        ({"cache-control": "no-store", "x-loomworks-cache": "use"}, {}, ["off", "off"]),
        ({"cache-control": "no-cache", "x-loomworks-cache": "use"}, {"temperature": 0.7}, ["miss", "miss"]),
        ({"cache-control": "max-age=3600"}, {}, ["miss", "hit"]),
    ],
)
async def test_what_the_caller_wants_is_done(
    house: House, headers: dict[str, str], body: dict[str, Any], told: list[str]
) -> None:
    seen = []
    for _ in range(2):
        seen.append(outcome(await ask(house, headers=headers, **body)))
        await asyncio.sleep(0.05)
    assert seen == told
    assert len(await kept(house)) == (0 if told[0] == "off" else 1)


async def test_a_refreshed_answer_takes_the_place_of_the_one_before(house: House) -> None:
    await ask_and_keep(house)
    house.tgi.script = Script(tokens=["Something", " quite", " new", "!"])
    fresh = await ask(house, headers={"x-loomworks-cache": "refresh"})
    await asyncio.sleep(0.05)
    again = await ask(house)
    assert (outcome(fresh), outcome(again)) == ("miss", "hit")
    assert again.json()["choices"][0]["message"]["content"] == "Something quite new!"


async def test_a_wish_that_means_nothing_is_refused(house: House) -> None:
    answer = await ask(house, headers={"x-loomworks-cache": "always"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_value"
    assert answer.json()["error"]["param"] == "x-loomworks-cache"


async def test_every_difference_in_what_is_asked_is_a_miss(house: House) -> None:
    await ask_and_keep(house)
    for change in (
        {"max_tokens": 9},
        {"frequency_penalty": 0.5},
        {"stop": ["x"]},
        {"temperature": 0.5, "seed": 1},
        {"temperature": 0.5, "seed": 2},
        {"messages": [{"role": "system", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi "}]},
    ):
        assert outcome(await ask(house, **change)) == "miss", change
    # What comes to the same asks for the same.
    for same in (
        {"max_completion_tokens": 256},
        {"temperature": 0.0, "top_p": 0.5, "seed": 3},
        {"user": "somebody", "metadata": {"a": "b"}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    ):
        assert outcome(await ask(house, **same)) == "hit", same


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "cd" * 32, "adapter_id": "adapter-" + "cd" * 32},
        {"adapter_id": None},
        {"base_model": "another-base"},
        {"chat_template": "{{ messages[0].content }}"},
    ],
)
async def test_another_model_under_the_same_alias_answers_itself(
    house: House, change: dict[str, Any]
) -> None:
    await ask_and_keep(house)
    await house.publisher.project(house.tenant, deployment(house.tgi.url, **change))
    await asyncio.sleep(0.1)
    assert outcome(await ask(house)) == "miss"


async def test_a_deployment_can_keep_nothing(house: House) -> None:
    await house.publisher.project(house.tenant, deployment(house.tgi.url, caches=False))
    await asyncio.sleep(0.1)
    assert [outcome(await ask(house)), outcome(await ask(house))] == ["off", "off"]
    assert await kept(house) == []


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (Script(tokens=ANSWER, reset_after=4), 502),
        (Script(tokens=ANSWER, close_after=4), 502),
        (Script(tokens=ANSWER, served_by="adapter-somebody-elses"), 502),
        (Script(error={"error": "no", "error_type": "overloaded"}), 429),
    ],
)
async def test_what_failed_is_not_kept(house: House, script: Script, status: int) -> None:
    house.tgi.script = script
    assert (await ask(house)).status_code == status
    await asyncio.sleep(0.1)
    assert await kept(house) == []
    house.tgi.script = Script(tokens=ANSWER)
    assert outcome(await ask(house)) == "miss"


async def test_an_answer_that_nobody_waited_for_is_not_kept(house: House) -> None:
    house.tgi.script = Script(tokens=["x"] * 200, delay=0.02)
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}
    async with house.client.stream(
        "POST", "/v1/chat/completions", json=body | {"stream": True}, headers=house.tenant.headers
    ) as response:
        async for line in response.aiter_lines():
            if '"content":"x"' in line:
                break
    async with asyncio.timeout(1):
        await house.tgi.seen[0].ended.wait()
    assert house.tgi.seen[0].aborted
    await asyncio.sleep(0.1)
    assert await kept(house) == []
    (record,) = await house.records(1)
    assert (record["status"], record["cache"]) == ("cancelled", "miss")


async def test_an_answer_that_is_sooner_generated_than_found_is_not_kept(house: House) -> None:
    house.tgi.script = Script(tokens=["No"])
    assert [outcome(await ask(house)), outcome(await ask(house))] == ["miss", "miss"]
    # A long prompt is worth it.
    house.tgi.script = Script(tokens=["No"], prompt_tokens=900)
    await ask_and_keep(house, "another")
