"""A server that dies midway: its answer goes on at another one, to the letter, and is billed to the token."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.inference.gateway.fake_tgi import FakeTgi, Script, Seen
from tests.inference.gateway.house import KINDS, SERVERS, House, ValkeyServer, deployment, opened, server_of
from tests.inference.gateway.test_tools import TEMPLATE

# They start processes of their own.
pytestmark = pytest.mark.services

PROMPT_TOKENS = 7
DEATHS = [
    Script(reset_after=2),
    Script(close_after=2),
    Script(stall_after=2),
]


@dataclass
class Pair:
    """A house whose deployment has two servers: whichever is asked first dies, the other goes on."""

    house: House
    servers: tuple[FakeTgi, FakeTgi]

    def play(self, first: Script, then: Script) -> None:
        """The first generation goes by one script, whichever server gets it, the next by the other."""
        scripts = [first, then]
        for server in self.servers:
            server.next_scripts = Shared(scripts)

    @property
    def seen(self) -> list[Seen]:
        """What the servers were asked: first what was asked first."""
        return sorted(
            (one for server in self.servers for one in server.seen), key=lambda one: len(prompt(one))
        )


class Shared(list[Script]):
    """Scripts of which each is played once, by whichever server comes first."""

    def __init__(self, scripts: list[Script]) -> None:
        super().__init__(scripts)
        self._scripts = scripts

    def __bool__(self) -> bool:
        return bool(self._scripts)

    def pop(self, index: Any = -1) -> Script:
        return self._scripts.pop(index)


def prompt(seen: Seen) -> str:
    return str(seen.body.get("inputs") or seen.body.get("prompt"))


def most_tokens(seen: Seen) -> int:
    return int(seen.body.get("max_tokens") or seen.body["parameters"]["max_new_tokens"])


def able_server(kind: str, url: str) -> dict[str, Any]:
    server = server_of(kind, url)
    return server | {"features": [*server["features"], "tools"]}


@pytest.fixture(params=KINDS)
async def pair(
    request: pytest.FixtureRequest, valkey_server: ValkeyServer, tmp_path: Path
) -> AsyncIterator[Pair]:
    settings = {"inter_token_timeout_seconds": 0.3, "probe_seconds": 60.0}
    async with (
        opened(valkey_server, tmp_path, kind=request.param, **settings) as house,
        SERVERS[request.param]() as other,
    ):
        servers = [able_server(request.param, server.url) for server in (house.tgi, other)]
        model = deployment(backends=servers, chat_template=TEMPLATE)
        await house.publisher.project(house.tenant, model)
        await asyncio.sleep(0.3)
        yield Pair(house, (house.tgi, other))


def rest_of(text: list[str], **changes: Any) -> Script:
    """What the other server makes: its prompt is longer by what the first one made."""
    return Script(tokens=text, prompt_tokens=PROMPT_TOKENS + 2, **changes)


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("temperature", [0, 0.8])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_goes_on_where_it_was_and_is_billed_once(
    pair: Pair, death: Script, temperature: float, stream: bool
) -> None:
    pair.play(death, rest_of(["ld", "!"]))
    response = await pair.house.chat(
        stream=stream, temperature=temperature, max_tokens=50, stream_options=usage_if(stream)
    )
    assert response.status_code == 200
    assert told(response.text, stream) == "Hello world!"
    first, second = pair.seen
    assert prompt(second) == prompt(first) + "Hello wor"
    assert (most_tokens(first), most_tokens(second)) == (50, 48)
    [record] = await pair.house.records(1)
    assert (record["status"], record["prompt_tokens"], record["completion_tokens"]) == ("completed", 7, 5)


def usage_if(stream: bool) -> dict[str, bool] | None:
    return {"include_usage": True} if stream else None


def told(text: str, stream: bool) -> str:
    """The answer as its caller has it."""
    if not stream:
        return str(json.loads(text)["choices"][0]["message"]["content"])
    chunks = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert chunks[-1]["usage"] == {**chunks[-1]["usage"], "prompt_tokens": 7, "completion_tokens": 5}
    return "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])


async def test_a_character_whose_bytes_were_cut_off_is_made_again_and_billed_once(pair: Pair) -> None:
    # The bird has three tokens, of which the first server made two.
    pair.play(Script(tokens=["né", "", "", "🐦"], reset_after=3), rest_of(["", "", "🐦", "."]))
    response = await pair.house.chat()
    assert told(response.text, stream=False) == "né🐦."
    first, second = pair.seen
    assert prompt(second) == prompt(first) + "né"
    [record] = await pair.house.records(1)
    assert (record["prompt_tokens"], record["completion_tokens"]) == (7, 6)


async def test_a_stop_sequence_across_the_two_servers_stops_the_answer(pair: Pair) -> None:
    pair.play(Script(tokens=["One", " EN", "D"], reset_after=2), rest_of(["D", " Two", " three"], delay=0.02))
    response = await pair.house.chat(stop=[" END"])
    answer = response.json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("One", "stop")


async def test_what_has_all_its_tokens_when_the_server_dies_is_complete(pair: Pair) -> None:
    pair.play(Script(tokens=["Hello", " wor"], reset_after=2), rest_of(["never"]))
    response = await pair.house.chat(max_tokens=2)
    answer = response.json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("Hello wor", "length")
    assert len(pair.seen) == 1
    [record] = await pair.house.records(1)
    assert (record["status"], record["prompt_tokens"], record["completion_tokens"]) == ("completed", 7, 2)


WHAT_CANNOT_GO_ON = [
    {"logprobs": True},
    {"seed": 7, "temperature": 0.8},
    {"frequency_penalty": 0.5},
    {"tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]},
]


@pytest.mark.parametrize("wish", WHAT_CANNOT_GO_ON)
async def test_what_would_begin_anew_elsewhere_fails_with_its_text_kept(
    pair: Pair, wish: dict[str, Any]
) -> None:
    pair.play(Script(reset_after=2, top=[("Hello", -0.5)]), rest_of(["ld", "!"]))
    response = await pair.house.chat(stream=True, **wish)
    assert '"error"' in response.text
    assert "Hello" in response.text
    assert len(pair.seen) == 1
    [record] = await pair.house.records(1)
    assert (record["status"], record["completion_tokens"]) == ("failed", 2)


async def test_a_caller_who_leaves_after_that_ends_the_other_generation_too(pair: Pair) -> None:
    pair.play(Script(reset_after=2), rest_of(["x"] * 400, delay=0.02))
    body = {
        "model": "support",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 900,
    }
    house = pair.house
    async with house.client.stream(
        "POST", "/v1/chat/completions", json=body, headers=house.tenant.headers
    ) as response:
        text = ""
        async for part in response.aiter_text():
            text += part
            if text.count('"x"') >= 3:
                break
    second = pair.seen[1]
    await asyncio.wait_for(second.ended.wait(), 1.0)
    assert second.aborted
    [record] = await house.records(1)
    assert record["status"] == "cancelled"
    assert record["prompt_tokens"] in {7, 9}
    assert 5 <= record["completion_tokens"] <= 2 + second.emitted


async def test_with_one_server_an_answer_ends_with_a_fault_that_has_a_name(pair: Pair) -> None:
    model = deployment(pair.servers[0].url, kind=pair.house.kind)
    await pair.house.publisher.project(pair.house.tenant, model)
    await asyncio.sleep(0.3)
    pair.play(Script(reset_after=2), rest_of(["ld"]))
    response = await pair.house.chat(stream=True)
    assert "Hello" in response.text
    assert '"model_failed"' in response.text
    assert len(pair.seen) == 1
