"""Text Generation Inference's own older client, `text-generation`."""

import json
import os
from typing import Any

import pytest
from text_generation import AsyncClient, Client
from text_generation.errors import GenerationError, NotFoundError, OverloadedError, ValidationError
from text_generation.types import FinishReason, Grammar, GrammarType, Message, Tool

GREETING = "Hello world!"
BASE, HEADERS = os.environ["TGI_URL"], {"Authorization": f"Bearer {os.environ['API_KEY']}"}
CITY = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture
def client() -> Client:
    return Client(BASE, headers=HEADERS)


def test_text_is_generated(client: Client) -> None:
    told = client.generate("Once", max_new_tokens=20)
    assert told.generated_text == GREETING
    assert told.details.finish_reason == FinishReason.EndOfSequenceToken
    assert (told.details.generated_tokens, told.details.seed) == (5, None)
    assert told.details.tokens[-1].special
    assert client.generate("Once", max_new_tokens=2).details.finish_reason == FinishReason.Length
    assert client.generate("Once", do_sample=True, seed=4, top_k=5).details.seed == 4


def test_the_best_of_several(client: Client) -> None:
    told = client.generate("Once", best_of=2, do_sample=True, max_new_tokens=20)
    assert told.details.best_of_sequences is not None
    assert told.details.best_of_sequences[0].generated_text == GREETING


def test_a_grammar_is_kept_to(client: Client) -> None:
    told = client.generate("'Bern'", grammar=Grammar(type=GrammarType.Json, value=CITY), max_new_tokens=50)
    assert json.loads(told.generated_text) == {"name": "Bern"}


def test_a_stream_of_tokens(client: Client) -> None:
    events = list(client.generate_stream("say characters beyond ASCII", max_new_tokens=20))
    assert "".join(event.token.text for event in events if not event.token.special) == "Zürich, 東京 🦊"
    assert events[-1].generated_text == "Zürich, 東京 🦊"
    assert events[-1].details is not None
    assert events[-1].details.finish_reason == FinishReason.EndOfSequenceToken


def test_faults_are_raised_as_tgis(client: Client) -> None:
    with pytest.raises(ValidationError):
        client.generate("Once", max_new_tokens=1_000_000)
    with pytest.raises(OverloadedError):
        client.generate("say that you are full")
    with pytest.raises(GenerationError):
        client.generate("say that you are broken")
    with pytest.raises(OverloadedError):
        list(client.generate_stream("say that you are full"))
    with pytest.raises(NotFoundError):
        Client(f"{BASE}-another", headers=HEADERS).generate("Once")


def test_a_whole_chat(client: Client) -> None:
    told = client.chat([Message(role="user", content="Hi")], max_tokens=20, seed=1)
    assert told.choices[0].message.content == GREETING
    weather: Any = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
    asked = client.chat(
        [Message(role="user", content="What is the weather?")],
        tools=[Tool(type="function", function=weather)],
        tool_choice="auto",
    )
    assert asked.choices[0].message.tool_calls[0]["function"]["name"] == "weather"


async def test_the_asynchronous_client() -> None:
    client = AsyncClient(BASE, headers=HEADERS)
    assert (await client.generate("Once", max_new_tokens=20)).generated_text == GREETING
    events = [event async for event in client.generate_stream("Once", max_new_tokens=20)]
    assert events[-1].generated_text == GREETING
    chat = await client.chat([Message(role="user", content="Hi")], max_tokens=20)
    assert chat.choices[0].message.content == GREETING
