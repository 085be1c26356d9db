"""Hugging Face's client, synchronous and asynchronous, on TGI's API and on OpenAI's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import (
    GenerationError,
    InferenceTimeoutError,
    OverloadedError,
    UnknownError,
    ValidationError,
)

from tests.e2e.conformance.places import Place

GREETING = "Hello world!"
# As of TGI itself, a stream of mere texts has that of the token that ends them.
END = "<|im_end|>"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CITY: Any = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "inhabitants": {"type": "integer"}},
    "required": ["name", "inhabitants"],
}


@pytest.fixture
def native(scripted: Place) -> Iterator[InferenceClient]:
    """Pointed at the model's own address, as at a TGI server."""
    with InferenceClient(base_url=scripted.tgi, api_key=scripted.api_key) as client:
        yield client


@pytest.fixture(params=["tgi", "openai"])
def chatting(scripted: Place, request: pytest.FixtureRequest) -> Iterator[tuple[InferenceClient, Any]]:
    """A client for chats, at either of the addresses, and what it has to say for a model's name."""
    base = scripted.tgi if request.param == "tgi" else scripted.v1
    named = {} if request.param == "tgi" else {"model": scripted.model}
    with InferenceClient(base_url=base, api_key=scripted.api_key) as client:
        yield client, named


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_text_is_generated(native: InferenceClient) -> None:
    assert native.text_generation("Once", max_new_tokens=20) == GREETING
    assert native.text_generation("Once", max_new_tokens=20, return_full_text=True) == f"Once{GREETING}"


def test_the_details_are_tgis(native: InferenceClient) -> None:
    told = native.text_generation("Once", details=True, top_n_tokens=2, max_new_tokens=20)
    assert (told.generated_text, told.details.finish_reason) == (GREETING, "eos_token")
    assert told.details.generated_tokens == 5
    assert [token.text for token in told.details.tokens][:2] == ["Hello", " wor"]
    assert told.details.tokens[-1].special
    assert told.details.top_tokens is not None
    assert len(told.details.top_tokens[0]) == 2
    cut = native.text_generation("Once", details=True, max_new_tokens=2)
    assert cut.details.finish_reason == "length"


def test_the_best_of_several(native: InferenceClient) -> None:
    told = native.text_generation("Once", details=True, best_of=2, do_sample=True, max_new_tokens=20)
    assert told.details.best_of_sequences is not None
    assert [one.generated_text for one in told.details.best_of_sequences] == [GREETING]


def test_a_stream_of_tokens(native: InferenceClient) -> None:
    assert "".join(native.text_generation("Once", stream=True, max_new_tokens=20)) == f"{GREETING}{END}"
    events = list(native.text_generation("Once", stream=True, details=True, max_new_tokens=20))
    assert [event.index for event in events] == [1, 2, 3, 4, 5]
    assert events[-1].generated_text == GREETING
    assert events[-1].details is not None
    assert (events[-1].details.finish_reason, events[-1].details.input_length) == ("eos_token", 7)


def test_a_grammar_is_kept_to(native: InferenceClient) -> None:
    wished: Any = {"type": "json", "value": CITY}
    told = native.text_generation("Tell of 'Bern' with 134000", grammar=wished, max_new_tokens=80)
    assert json.loads(told) == {"name": "Bern", "inhabitants": 134000}
    digits: Any = {"type": "regex", "value": "[0-9]{4}"}
    assert native.text_generation("A year", grammar=digits, max_new_tokens=20) == "1234"


def test_parameters_that_tgi_has_and_others_lack(native: InferenceClient) -> None:
    told = native.text_generation(
        "Once",
        do_sample=True,
        temperature=0.7,
        top_k=5,
        top_p=0.9,
        typical_p=0.9,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        seed=3,
        truncate=100,
        stop=["never"],
        max_new_tokens=20,
        details=True,
    )
    assert told.details.seed == 3


def test_faults_are_raised_as_tgis(native: InferenceClient, scripted: Place) -> None:
    with pytest.raises(ValidationError):
        native.text_generation("Once", top_p=1.5)
    with pytest.raises(GenerationError):
        native.text_generation("say that you are broken")
    with pytest.raises(OverloadedError):
        native.text_generation("say that you are full")
    with pytest.raises(OverloadedError):
        list(native.text_generation("say that you are full", stream=True))
    with pytest.raises(GenerationError):
        list(native.text_generation("say half of it", stream=True))
    nobody = InferenceClient(base_url=scripted.tgi, api_key="lw_nobody")
    with nobody, pytest.raises(UnknownError, match="Incorrect API key"):
        nobody.text_generation("Once")


def test_a_client_that_does_not_wait_gets_its_own_exception(scripted: Place) -> None:
    hasty = InferenceClient(base_url=scripted.tgi, api_key=scripted.api_key, timeout=0.3)
    with hasty, pytest.raises(InferenceTimeoutError):
        hasty.text_generation("say something slowly")


def test_the_server_tells_of_itself(scripted: Place) -> None:
    address: Any = {"model": scripted.tgi, "provider": "hf-inference", "token": scripted.api_key}
    with InferenceClient(**address) as client:
        assert client.get_endpoint_info()["model_id"] == "support"
        assert client.health_check()


def test_a_chat_whole_and_streamed(chatting: tuple[InferenceClient, Any]) -> None:
    client, named = chatting
    whole = client.chat_completion(user("Hi"), max_tokens=20, seed=1, logprobs=True, top_logprobs=1, **named)
    assert whole.choices[0].message.content == GREETING
    assert whole.usage.total_tokens == 12
    chunks = client.chat_completion(user("say characters beyond ASCII"), stream=True, max_tokens=20, **named)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Zürich, 東京 🦊"
    like_openai = client.chat.completions.create(messages=user("Hi"), **named)
    assert like_openai.choices[0].message.content == GREETING


def test_a_chat_with_functions(chatting: tuple[InferenceClient, Any]) -> None:
    client, named = chatting
    message = client.chat_completion(user("'Bern'"), tools=[WEATHER], **named).choices[0].message
    assert message.tool_calls is not None
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Bern"}
    forced = client.chat_completion(user("'Bern'"), tools=[WEATHER], tool_choice="required", **named)
    assert forced.choices[0].finish_reason == "tool_calls"


def test_a_chat_that_keeps_to_a_schema(chatting: tuple[InferenceClient, Any]) -> None:
    client, named = chatting
    wished: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
    told = client.chat_completion(user("'Bern' 134000"), response_format=wished, max_tokens=80, **named)
    content = told.choices[0].message.content
    assert content is not None
    assert json.loads(content) == {"name": "Bern", "inhabitants": 134000}


async def test_the_asynchronous_client(scripted: Place) -> None:
    async with AsyncInferenceClient(base_url=scripted.tgi, api_key=scripted.api_key) as client:
        assert await client.text_generation("Once", max_new_tokens=20) == GREETING
        told = await client.text_generation("Once", details=True, max_new_tokens=20)
        assert told.details.generated_tokens == 5
        stream = await client.text_generation("Once", stream=True, max_new_tokens=20)
        assert "".join([text async for text in stream]) == f"{GREETING}{END}"
        chat = await client.chat_completion(user("Hi"), max_tokens=20)
        assert chat.choices[0].message.content == GREETING
        chunks = await client.chat_completion(user("Hi"), max_tokens=20, stream=True)
        assert "".join([one.choices[0].delta.content or "" async for one in chunks]) == GREETING
