"""OpenAI's client for Python, as its users write it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel

from tests.e2e.conformance.places import Place

GREETING = "Hello world!"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


class City(BaseModel):
    """What is asked for as JSON."""

    name: str
    inhabitants: int


@pytest.fixture
def client(scripted: Place) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=scripted.v1, api_key=scripted.api_key, max_retries=0) as client:
        yield client


def ask(text: str, **more: Any) -> Any:
    return {"model": "support", "messages": [{"role": "user", "content": text}]} | more


def test_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        **ask("Hi", temperature=0.5, top_p=0.9, max_completion_tokens=20, seed=1, user="someone")
    )
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)
    assert str(answer._request_id).startswith("req_")


def test_a_stream_says_the_same(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(**ask("Hi", stream=True, stream_options={"include_usage": True}))
    )
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == GREETING
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 12
    assert len({one.id for one in chunks}) == 1


def test_characters_that_are_cut_on_the_way_arrive_whole(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(**ask("say characters beyond ASCII", stream=True))
    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Zürich, 東京 🦊"


def test_several_answers_and_their_log_probabilities(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ask("Hi", n=3, logprobs=True, top_logprobs=2))
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(token.token for token in choice.logprobs.content) == GREETING
        assert len(choice.logprobs.content[0].top_logprobs) == 2
    stream = client.chat.completions.create(**ask("Hi", n=2, logprobs=True, stream=True))
    told = [choice for chunk in stream for choice in chunk.choices]
    for index in range(2):
        assert "".join(one.delta.content or "" for one in told if one.index == index) == GREETING
    assert any(one.logprobs for one in told)


def test_stop_sequences_and_the_most_tokens_end_an_answer(client: openai.OpenAI) -> None:
    stopped = client.chat.completions.create(**ask("Hi", stop=[" wor"])).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("Hello", "stop")
    cut = client.chat.completions.create(**ask("Hi", max_tokens=2)).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("Hello wor", "length")


def test_a_schema_is_kept_to(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(
        **ask("Tell of 'Zürich' with 447082 people."), response_format=City
    )
    assert answer.choices[0].message.parsed == City(name="Zürich", inhabitants=447082)
    wanted = {"type": "json_object"}
    free = client.chat.completions.create(
        **ask("A JSON with 'setup' and 'punchline'.", response_format=wanted)
    )
    assert json.loads(free.choices[0].message.content or "").keys() == {"setup", "punchline"}


def test_a_stream_helper_puts_a_parsed_answer_together(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(**ask("'Bern' 134000"), response_format=City) as stream:
        kinds = {event.type for event in stream}
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert parsed == City(name="Bern", inhabitants=134000)
    assert {"chunk", "content.delta", "content.done"} <= kinds


def test_a_function_is_called_and_its_answer_read(client: openai.OpenAI) -> None:
    asked = ask("What is the weather in 'Bern' for 3 days?", tools=[WEATHER])
    message = client.chat.completions.create(**asked).choices[0].message
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Bern", "days": 3}
    told = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    turns = [*asked["messages"], message.model_dump(exclude_none=True), told]
    after = client.chat.completions.create(**asked | {"messages": turns}).choices[0]
    assert (after.message.content, after.finish_reason) == (GREETING, "stop")


def test_a_model_of_pydantics_is_a_function_and_its_call_is_parsed(client: openai.OpenAI) -> None:
    tools = [openai.pydantic_function_tool(City)]
    message = client.chat.completions.parse(**ask("'Bern' 134000"), tools=tools).choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.parsed_arguments == City(name="Bern", inhabitants=134000)


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}], ids=["any", "named"]
)
def test_a_streamed_call_that_has_to_be_made(client: openai.OpenAI, choice: Any) -> None:
    with client.chat.completions.stream(**ask("'Rome'", tools=[WEATHER], tool_choice=choice)) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion().choices[0]
    assert [json.loads(event.arguments) for event in done] == [{"city": "Rome", "days": 7}]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None


def test_completions_of_text(client: openai.OpenAI) -> None:
    whole = client.completions.create(
        model="support", prompt=["Once", "Twice"], n=2, logprobs=2, max_tokens=20
    )
    assert [choice.text for choice in whole.choices] == [GREETING] * 4
    assert whole.choices[0].logprobs is not None
    assert whole.choices[0].logprobs.text_offset == [0, 5, 9, 11]
    stream = client.completions.create(model="support", prompt="Once", stream=True, echo=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == f"Once{GREETING}"


def test_responses_whole_and_streamed(client: openai.OpenAI) -> None:
    response = client.responses.create(model="support", input="Hi", instructions="Be brief.")
    assert (response.output_text, response.status) == (GREETING, "completed")
    with client.responses.stream(model="support", input="Hi") as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert ("".join(deltas), final.output_text) == (GREETING, GREETING)
    parsed = client.responses.parse(model="support", input="'Bern' 134000", text_format=City)
    assert parsed.output_parsed == City(name="Bern", inhabitants=134000)


def test_a_function_of_a_response(client: openai.OpenAI) -> None:
    flat: Any = {"type": "function", "strict": False} | WEATHER["function"]
    first = client.responses.create(model="support", input="'Bern'?", tools=[flat])
    (call,) = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    items: Any = [{"role": "user", "content": "'Bern'?"}, call.model_dump(exclude_none=True), output]
    assert client.responses.create(model="support", input=items, tools=[flat]).output_text == GREETING


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["support"]
    assert client.models.retrieve("support").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_the_address_of_one_model_has_openais_words_too(scripted: Place) -> None:
    with openai.OpenAI(base_url=f"{scripted.tgi}/v1", api_key=scripted.api_key, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["support"]
        chunks = client.chat.completions.create(**ask("Hi", stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GREETING
        assert client.completions.create(model="support", prompt="Once").choices[0].text == GREETING
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(**ask("Hi") | {"model": "another"})


@pytest.mark.parametrize(
    ("changes", "kind", "code", "param"),
    [
        ({"model": "another"}, openai.NotFoundError, "model_not_found", "model"),
        ({"temperature": 9}, openai.BadRequestError, "invalid_value", "temperature"),
        ({"extra_body": {"colour": "red"}}, openai.BadRequestError, "unknown_parameter", "colour"),
        ({"messages": []}, openai.BadRequestError, "invalid_value", "messages"),
    ],
)
def test_what_is_refused_is_raised_with_its_code(
    client: openai.OpenAI, changes: Any, kind: type[openai.APIStatusError], code: str, param: str | None
) -> None:
    with pytest.raises(kind) as refused:
        client.chat.completions.create(**ask("Hi") | changes)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.request_id


def test_a_key_that_nobody_made_is_no_key(scripted: Place) -> None:
    with (
        openai.OpenAI(base_url=scripted.v1, api_key="lw_nobody") as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_failures_of_the_model_are_raised(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as broken:
        client.chat.completions.create(**ask("say that you are broken"))
    assert (broken.value.status_code, broken.value.code) == (502, "model_failed")
    with pytest.raises(openai.RateLimitError) as full:
        client.chat.completions.create(**ask("say that you are full", stream=True))
    assert full.value.code == "model_overloaded"


def test_a_stream_that_breaks_off_raises_in_the_middle(client: openai.OpenAI) -> None:
    heard: list[str] = []
    stream = client.chat.completions.create(**ask("say half of it", stream=True))
    with pytest.raises(openai.APIError) as broken:
        heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(heard) == "Hello wor"
    assert broken.value.code == "model_failed"


def test_a_refusal_is_waited_out_as_long_as_it_says(scripted: Place) -> None:
    # The first one the gateway waits out by itself; the second ends its own patience.
    with openai.OpenAI(base_url=scripted.v1, api_key=scripted.api_key, max_retries=1) as client:
        began = time.monotonic()
        raw = client.chat.completions.with_raw_response.create(**ask("say hello after 3 refusals"))
        waited = time.monotonic() - began
    assert raw.parse().choices[0].message.content == GREETING
    assert raw.retries_taken == 1
    # The client's own first pause is at most half a second; what the answer named is a whole one.
    assert waited >= 1.0


def test_a_limit_that_waiting_does_not_help_is_not_retried(scripted: Place) -> None:
    scripted.limits(tokens_per_minute=10)
    try:
        with openai.OpenAI(base_url=scripted.v1, api_key=scripted.api_key, max_retries=3) as client:
            before = len(scripted.witness.answers)
            with pytest.raises(openai.RateLimitError) as reached:
                client.chat.completions.create(**ask("Hi", max_tokens=500))
        assert reached.value.code == "tokens_per_minute_reached"
        assert len(scripted.witness.answers) == before + 1
    finally:
        scripted.limits()


def test_a_client_that_does_not_wait_gets_its_own_exception(scripted: Place) -> None:
    client = openai.OpenAI(base_url=scripted.v1, api_key=scripted.api_key, max_retries=0, timeout=0.3)
    with client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**ask("say something slowly"))
    assert client.with_options(timeout=10)
    with openai.OpenAI(base_url=scripted.v1, api_key=scripted.api_key) as patient:
        assert patient.chat.completions.create(**ask("Hi")).choices[0].message.content == GREETING


async def test_the_asynchronous_client(scripted: Place) -> None:
    async with openai.AsyncOpenAI(base_url=scripted.v1, api_key=scripted.api_key) as client:
        whole = await client.chat.completions.create(**ask("Hi"))
        assert whole.choices[0].message.content == GREETING
        stream = await client.chat.completions.create(**ask("say many words", stream=True))
        async for _ in stream:
            break
        await stream.close()
        models = [model.id async for model in client.models.list()]
        assert models == ["support"]
        async with client.responses.stream(model="support", input="Hi") as events:
            async for _ in events:
                pass
            assert (await events.get_final_response()).output_text == GREETING
