"""Responses, through HTTP and through OpenAI's own client."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.responses import ResponseFunctionToolCall

from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House
from tests.inference.gateway.test_published_schema import check, chunks_of, specification

__all__ = ["specification"]

TOOLS_TEMPLATE = (
    "{% if tools %}{{ '<|im_start|>system\n' + (tools | tojson) + '<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{% for call in message.tool_calls or [] %}{{ '<call>' + call.function.name }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
CALL = ['<tool_call>\n{"name": "weather", "argum', 'ents": {"city": "Rome"}}', "\n</tool_call>"]
WHOLE_TEXT_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * 4,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
SCHEMAS = {
    "response.created": "ResponseCreatedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.incomplete": "ResponseIncompleteEvent",
    "error": "ResponseErrorEvent",
}


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=house.tenant.secret, max_retries=0
    ) as client:
        yield client


async def with_tools(house: House) -> None:
    backend = {"kind": "tgi", "url": house.tgi.url, "features": ["tools", "grammar", "top_logprobs"]}
    await house.redeploy(chat_template=TOOLS_TEMPLATE, backends=[backend])


async def ask(house: House, **changes: Any) -> dict[str, Any]:
    body = {"model": "support", "input": "Hi"} | changes
    answer = await house.client.post("/v1/responses", json=body, headers=house.tenant.headers)
    document: dict[str, Any] = answer.json()
    return document


async def test_a_text_is_answered_with_a_message(house: House, client: openai.AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="support", input="Hi", instructions="Be brief.", max_output_tokens=20, temperature=0
    )
    assert response.output_text == "Hello world!"
    assert (response.status, response.instructions, response.max_output_tokens) == (
        "completed",
        "Be brief.",
        20,
    )
    assert response.id.startswith("resp_")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (
        7,
        5,
        12,
    )
    sent = house.tgi.seen[0].body
    assert sent["inputs"] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
    assert sent["parameters"]["max_new_tokens"] == 20
    (record,) = await house.records(1)
    assert (record["surface"], record["prompt_tokens"], record["completion_tokens"]) == ("responses", 7, 5)


async def test_a_stream_has_the_published_events_in_their_order(client: openai.AsyncOpenAI) -> None:
    stream = await client.responses.create(model="support", input="Hi", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == WHOLE_TEXT_EVENTS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == "Hello world!"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "Hello world!"
    assert last.response.usage is not None


async def test_items_become_the_turns_of_a_conversation(house: House, client: openai.AsyncOpenAI) -> None:
    await client.responses.create(
        model="support",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"role": "assistant", "content": "Hello"},
            {"type": "message", "role": "user", "content": "Bye"},
        ],
    )
    turns = house.tgi.seen[0].body["inputs"].split("<|im_start|>")[1:]
    assert turns == [
        "system\nBe brief.<|im_end|>\n",
        "user\nHi<|im_end|>\n",
        "assistant\nHello<|im_end|>\n",
        "user\nBye<|im_end|>\n",
        "assistant\n",
    ]


async def test_a_function_is_called_and_its_output_read(house: House, client: openai.AsyncOpenAI) -> None:
    await with_tools(house)
    house.tgi.script = Script(tokens=["Let me see.", *CALL])
    first = await client.responses.create(model="support", input="Rome?", tools=[WEATHER])  # type: ignore[list-item]
    assert [item.type for item in first.output] == ["message", "function_call"]
    call = first.output[1]
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Rome"})
    house.tgi.script = Script()
    items: Any = [
        {"role": "user", "content": "Rome?"},
        *[item.model_dump(exclude_none=True) for item in first.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    second = await client.responses.create(model="support", input=items, tools=[WEATHER])  # type: ignore[list-item]
    assert second.output_text == "Hello world!"
    assert "assistant\nLet me see.<call>weather<|im_end|>" in house.tgi.seen[1].body["inputs"]
    assert "tool\nsunny" in house.tgi.seen[1].body["inputs"]


async def test_a_streamed_call_has_events_of_its_own(house: House, client: openai.AsyncOpenAI) -> None:
    await with_tools(house)
    house.tgi.script = Script(tokens=CALL)
    stream = await client.responses.create(model="support", input="Rome?", tools=[WEATHER], stream=True)  # type: ignore[list-item]
    events: list[Any] = [event async for event in stream]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert json.loads(events[4].arguments) == {"city": "Rome"}
    assert events[5].item.call_id == events[6].response.output[0].call_id


async def test_an_answer_that_is_cut_off_is_incomplete(client: openai.AsyncOpenAI, house: House) -> None:
    house.tgi.script = Script(finish="length")
    response = await client.responses.create(model="support", input="Hi")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    events = [one async for one in await client.responses.create(model="support", input="Hi", stream=True)]
    assert events[-1].type == "response.incomplete"


async def test_a_schema_reaches_the_model_server(house: House, client: openai.AsyncOpenAI) -> None:
    await with_tools(house)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    await client.responses.create(
        model="support",
        input="Hi",
        text={"format": {"type": "json_schema", "name": "answer", "schema": schema}},
    )
    assert house.tgi.seen[0].body["parameters"]["grammar"] == {"type": "json", "value": schema}


async def test_a_stream_that_breaks_off_ends_with_the_published_error(
    house: House, client: openai.AsyncOpenAI
) -> None:
    house.tgi.script = Script(close_after=2)
    stream = await client.responses.create(model="support", input="Hi", stream=True)
    events = [event async for event in stream]
    last = events[-1]
    assert last.type == "error"
    assert (last.code, last.sequence_number) == ("model_failed", len(events) - 1)
    (record,) = await house.records(1)
    assert record["status"] == "failed"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"store": True}, "responses_not_stored", "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "previous_response_id"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"input": []}, "invalid_value", "input"),
        ({"input": None}, "missing_required_parameter", "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "unsupported_parameter", "input[0].type"),
        ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "unsupported_parameter",
            "input[0].content[0].type",
        ),
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
        ({"tools": [WEATHER]}, "unsupported_parameter", "tools"),
        (
            {"tools": [WEATHER | {"strict": True, "parameters": {"pattern": "a"}}]},
            "unsupported_parameter",
            "tools[0].parameters.pattern",
        ),
        ({"text": {"format": {"type": "json_object"}}}, "unsupported_parameter", "text.format"),
        ({"max_output_tokens": 3}, "invalid_value", "max_output_tokens"),
        ({"include": ["file_search_call.results"]}, "unsupported_parameter", "include[0]"),
        ({"reasoning": {"effort": "high"}}, "unsupported_parameter", "reasoning"),
        ({"messages": []}, "unknown_parameter", "messages"),
        ({"input": "x" * 40_000, "max_output_tokens": 2000}, "context_length_exceeded", "input"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(
    house: House, changes: dict[str, Any], code: str, param: str
) -> None:
    house.tgi.script = Script(prompt_tokens=10_000)
    error = (await ask(house, **changes))["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert house.tgi.seen == []


async def test_responses_follow_the_published_schema(house: House, specification: dict[str, Any]) -> None:
    await with_tools(house)
    house.tgi.script = Script(top=[("Hello", -0.5)])
    asked: list[dict[str, Any]] = [
        {},
        {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
        {"tools": [WEATHER], "tool_choice": "required", "user": "someone", "metadata": {"a": "b"}},
        {"text": {"format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}}},
    ]
    for changes in asked:
        if "tools" in changes:
            house.tgi.script = Script(tokens=['weather", "arguments": {"city": "Rome"}}</tool_call>'])
        whole = await ask(house, **changes)
        assert whole["status"] == "completed", whole
        check(specification, "Response", whole)
        body = {"model": "support", "input": "Hi", "stream": True} | changes
        stream = await house.client.post("/v1/responses", json=body, headers=house.tenant.headers)
        events = chunks_of(stream.text)
        assert len(events) >= 7
        for event in events:
            check(specification, SCHEMAS[event["type"]], event)
    check(specification, "ErrorResponse", await ask(house, store=True))
