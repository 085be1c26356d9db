"""The client of OpenAI-compatible servers, against a scripted one and against their very words."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference.backends import faults
from inference.backends.faults import BackendFault
from inference.backends.interface import Alternative, BackendAddress, End, GenerationCall, Piece, Timeouts
from inference.backends.openai import OpenAiBackend
from inference.backends.openai_errors import fault_of
from inference.backends.openai_words import dialect_of, request_of
from tests.inference.gateway.fake_openai import FakeOpenAi
from tests.inference.gateway.fake_tgi import Script

ADAPTER = "adapter-" + "ab" * 32
CALL = GenerationCall(prompt="Hi", adapter_id=ADAPTER, max_new_tokens=8, served_as=ADAPTER)
TIMEOUTS = Timeouts(connect=0.5, first_token=0.5, inter_token=0.3)


def at(url: str, *features: str, served_name: str | None = None) -> BackendAddress:
    return BackendAddress("openai", url, frozenset(features), served_name)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAi]:
    async with FakeOpenAi() as server:
        yield server


async def generated(
    server: FakeOpenAi, *features: str, call: GenerationCall = CALL
) -> tuple[str, list[Piece], End]:
    backend = OpenAiBackend(at(server.url, *features), key="k", timeouts=TIMEOUTS)
    pieces: list[Piece] = []
    try:
        stream = await backend.open(call)
        try:
            while isinstance(event := await stream.next(), Piece):
                pieces.append(event)
        finally:
            stream.close()
    finally:
        await backend.aclose()
    return "".join(piece.text for piece in pieces if not piece.special), pieces, event


@pytest.mark.parametrize("features", [(), ("vllm",)])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_tokens_are_counted_whether_they_come_one_by_one_or_together(
    server: FakeOpenAi, features: tuple[str, ...], size: int
) -> None:
    server.script = Script(tokens_per_chunk=size)
    text, pieces, end = await generated(server, *features)
    assert text == "Hello world!"
    assert end == End("eos_token", 7, 5)
    if features:
        assert sum(piece.tokens for piece in pieces) == 5


async def test_each_token_of_a_chunk_has_its_log_probability(server: FakeOpenAi) -> None:
    server.script = Script(tokens_per_chunk=3, top=[("a", -1.0)])
    call = GenerationCall(prompt="Hi", adapter_id=ADAPTER, max_new_tokens=8, logprobs=True, top_logprobs=1)
    text, pieces, _ = await generated(server, "vllm", call=call)
    assert text == "Hello world!"
    assert [(one.text, one.logprob, one.top) for one in pieces[:2]] == [
        ("Hello", -0.5, (Alternative("a", -1.0),)),
        (" wor", -0.5, (Alternative("a", -1.0),)),
    ]
    assert sum(one.tokens for one in pieces) == 5


async def test_a_stream_without_its_last_word_is_complete_if_it_said_why_it_ended(
    server: FakeOpenAi,
) -> None:
    server.script = Script(done=False)
    assert (await generated(server, "vllm"))[2] == End("eos_token", 7, 5)


async def test_a_server_that_tells_no_usage_is_asked_for_the_prompts_length(server: FakeOpenAi) -> None:
    server.script = Script(usage=False)
    assert (await generated(server, "vllm"))[2] == End("eos_token", 7, 4)
    assert server.tokenized == 1
    with pytest.raises(faults.CannotCount):
        await generated(server)


async def test_text_is_whole_wherever_it_is_cut(server: FakeOpenAi) -> None:
    server.script = Script(tokens=["Grüß", " dich", " 👋🏽", "", " 漢字"], split=1)
    assert (await generated(server, "vllm"))[0] == "Grüß dich 👋🏽 漢字"


def chunk(text: str = "", *, finish: str | None = None, **further: Any) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return json.dumps({"model": ADAPTER, "choices": [choice]} | further).encode()


USAGE = b'{"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}'


async def test_comments_carriage_returns_and_empty_chunks_are_no_harm(server: FakeOpenAi) -> None:
    server.script = Script(
        raw=[
            b": ping\r\n\r\nevent: x\r\ndata: " + chunk("") + b"\r\n\r\n",
            b"data: " + chunk("Hello") + b"\r\n\r\ndata:" + chunk("", finish="stop") + b"\r\n\r\n",
            b"data: " + USAGE + b"\r\n\r\ndata: [DONE]\r\n\r\n",
        ]
    )
    text, _, end = await generated(server)
    assert (text, end) == ("Hello", End("eos_token", 7, 2))


async def test_tgis_words_are_understood(server: FakeOpenAi) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    server.script = Script(
        raw=[
            b"data: " + chunk("Hello", finish="", model="HuggingFaceTB/SmolLM2") + b"\n\n",
            b"data: " + chunk("<|im_end|>", finish="eos_token", usage=usage) + b"\n\n",
            b"data: [DONE]\n\n",
        ]
    )
    text, pieces, end = await generated(server, "tgi")
    assert (text, end) == ("Hello", End("eos_token", 7, 2))
    assert pieces[-1].special


async def test_llamacpps_log_probabilities_are_understood(server: FakeOpenAi) -> None:
    scored = {"token": "Hello", "logprob": -0.1, "top_logprobs": [{"token": "Hi", "logprob": -2.0}]}
    choice = {"index": 0, "text": "Hello", "logprobs": {"content": [scored]}, "finish_reason": None}
    server.script = Script(
        raw=[
            b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n",
            b"data: " + chunk("", finish="length") + b"\n\ndata: " + USAGE + b"\n\n",
        ]
    )
    _, pieces, end = await generated(server)
    assert pieces[0] == Piece("Hello", False, -0.1, (Alternative("Hi", -2.0),))
    assert end.reason == "length"


BROKEN_STREAMS: list[tuple[bytes, type[BackendFault]]] = [
    (b"data: " + chunk("", finish="error") + b"\n\n", faults.Broken),
    (b"data: " + chunk("", finish="abort") + b"\n\n", faults.Broken),
    (b"data: [DONE]\n\n", faults.Broken),
    (b"data: " + chunk("x") + b"\n\n", faults.Broken),
    (b"data: <html>\n\n", faults.Broken),
    (b'data: "x"\n\n', faults.Broken),
    (b'data: {"choices": [{}]}\n\n', faults.Broken),
    (b'data: {"choices": [{"text": 5}]}\n\n', faults.Broken),
    (b'data: {"choices": 5}\n\n', faults.Broken),
    (b'data: {"error": "out of memory"}\n\n', faults.Broken),
    (b'data: {"error": {"message": "bad", "type": "BadRequestError", "code": 400}}\n\n', faults.Refused),
    (b'data: {"object": "error", "message": "no", "type": "BadRequestError"}\n\n', faults.Refused),
    (b'data: {"object": "error", "message": "queue is full", "code": 503}\n\n', faults.Overloaded),
    (b"data: " + chunk("x", model="adapter-other") + b"\n\n", faults.OtherModel),
]


@pytest.mark.parametrize(("wire", "fault"), BROKEN_STREAMS)
async def test_a_stream_that_fails_raises_what_it_means(
    server: FakeOpenAi, wire: bytes, fault: type[BackendFault]
) -> None:
    server.script = Script(raw=[wire])
    with pytest.raises(BackendFault) as raised:
        await generated(server)
    assert type(raised.value) is fault


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (Script(stall_after=2), faults.TimedOut),
        (Script(reset_after=2), faults.ConnectionLost),
        (Script(close_after=2), faults.ConnectionLost),
        (Script(served_by="another"), faults.OtherModel),
    ],
)
async def test_a_server_that_goes_silent_or_away_midway_is_noticed(
    server: FakeOpenAi, script: Script, fault: type[BackendFault]
) -> None:
    server.script = script
    with pytest.raises(fault):
        await generated(server, "vllm")


ERRORS: list[tuple[int, Any, type[BackendFault]]] = [
    (404, {"error": {"message": "The model `x` does not exist.", "code": 404}}, faults.UnknownAdapter),
    (404, {"detail": "Not Found"}, faults.Broken),
    (400, {"error": {"message": "LoRA adapter x is not loaded", "code": 400}}, faults.UnknownAdapter),
    (400, {"object": "error", "message": "temperature must be >= 0", "code": 400}, faults.Refused),
    (422, {"error": "Input validation error: no", "error_type": "validation"}, faults.Refused),
    (429, None, faults.Overloaded),
    (
        503,
        {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}},
        faults.Unreachable,
    ),
    (503, {"error": {"message": "The request queue is full.", "code": 503}}, faults.Overloaded),
    (504, None, faults.TimedOut),
    (500, {"error": {"message": "EngineCore died", "code": 500}}, faults.Broken),
    (401, {"error": "Unauthorized"}, faults.Broken),
]


@pytest.mark.parametrize(("status", "document", "fault"), ERRORS)
def test_an_error_body_means_what_its_server_means_by_it(
    status: int, document: Any, fault: type[BackendFault]
) -> None:
    assert type(fault_of(document, status=status)) is fault


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens "
        "(2000 in the messages, 1000 in the completion). Please reduce the length.",
        "'max_tokens' is too large: 1000. This model's maximum context length is 2048 tokens and your "
        "request has 2000 input tokens (1000 > 2048 - 2000).",
        "The input (2000 tokens) is longer than the model's context length (2048 tokens).",
        "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a "
        "total of 3000 tokens: 2000 tokens from the input messages and 1000 tokens for the completion.",
        "request (2000 tokens) exceeds the available context size (2048 tokens), try increasing it",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2000 `inputs` "
        "tokens and 1000 `max_new_tokens`",
    ],
)
def test_a_prompt_that_is_too_long_is_told_with_its_numbers(message: str) -> None:
    fault = fault_of({"error": {"message": message, "code": 400}}, status=400)
    assert isinstance(fault, faults.TooLong)
    assert (fault.context_tokens, fault.prompt_tokens) == (2048, 2000)


@pytest.mark.parametrize(
    ("said", "seconds"), [(b"7", 7), (b"99999", 600), (b"Wed, 21 Oct", None), (None, None)]
)
def test_a_servers_word_on_when_to_come_back_is_kept(said: bytes | None, seconds: int | None) -> None:
    assert fault_of(None, status=429, retry_after=said).retry_after_seconds == seconds


def test_neutral_parameters_are_not_sent() -> None:
    address = at("http://x")
    call = GenerationCall(prompt="Hi", adapter_id=None, max_new_tokens=8, served_as="base-1")
    assert request_of(call, address, dialect_of(address)) == {
        "model": "base-1",
        "prompt": "Hi",
        "max_tokens": 8,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 1.0,
    }


@pytest.mark.parametrize(
    ("flavour", "words"),
    [
        ("vllm", {"structured_outputs": {"json": {"type": "object"}}}),
        ("vllm-guided", {"guided_json": {"type": "object"}}),
        ("sglang", {"json_schema": '{"type":"object"}'}),
        ("llama.cpp", {"json_schema": {"type": "object"}}),
    ],
)
def test_a_schema_is_said_in_the_flavours_own_words(flavour: str, words: dict[str, object]) -> None:
    address = at("http://x", flavour)
    call = GenerationCall(
        prompt="Hi", adapter_id=None, max_new_tokens=8, served_as="b", json_schema={"type": "object"}
    )
    request = request_of(call, address, dialect_of(address))
    assert words.items() <= request.items()


@pytest.mark.parametrize("flavour", ["llama.cpp", "plain"])
def test_a_pattern_is_refused_where_it_cannot_be_obeyed(flavour: str) -> None:
    address = at("http://x", flavour)
    call = GenerationCall(prompt="Hi", adapter_id=None, max_new_tokens=8, served_as="b", regex="a+")
    with pytest.raises(faults.Refused):
        request_of(call, address, dialect_of(address))


def test_models_are_called_by_the_names_that_their_servers_know() -> None:
    base = GenerationCall(prompt="Hi", adapter_id=None, max_new_tokens=8, served_as="base-1")
    asked = [
        request_of(call, address, dialect_of(address))["model"]
        for call, address in [
            (base, at("http://x", "vllm", served_name="smol")),
            (CALL, at("http://x", "vllm", served_name="smol")),
            (CALL, at("http://x", "sglang", served_name="smol")),
            (base, at("http://x", "tgi", served_name="smol")),
        ]
    ]
    assert asked == ["smol", ADAPTER, f"smol:{ADAPTER}", "tgi"]
    with pytest.raises(faults.UnknownAdapter):
        request_of(CALL, at("http://x", "llama.cpp"), dialect_of(at("http://x", "llama.cpp")))


async def test_health_is_the_servers_word(server: FakeOpenAi) -> None:
    backend = OpenAiBackend(at(server.url), key="k", timeouts=TIMEOUTS)
    assert await backend.healthy()
    server.script = Script(healthy=False)
    assert not await backend.healthy()
    await backend.aclose()
    gone = OpenAiBackend(at("http://127.0.0.1:9"), key="k", timeouts=TIMEOUTS)
    assert not await gone.healthy()


async def test_closing_midway_counts_what_had_arrived_unread(server: FakeOpenAi) -> None:
    server.script = Script(tokens=["x"] * 6, tokens_per_chunk=2, stall_after=6)
    backend = OpenAiBackend(at(server.url, "vllm"), key="k", timeouts=TIMEOUTS)
    stream = await backend.open(CALL)
    await stream.next()
    await asyncio.sleep(0.1)
    assert stream.close() == 4
    assert stream.prompt_tokens == 7
    async with asyncio.timeout(1):
        await server.seen[0].ended.wait()
    await backend.aclose()
