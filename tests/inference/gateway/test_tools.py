"""Functions that a model may call."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.contract import ToolCall, Tools
from inference.gateway.requests.tools import CLOSE, OPEN, CallReader
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House

TEMPLATE = (
    "{% if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>\n{% endif %}"
    "{% for message in messages %}{{ message.role }}: {{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "\n{% endfor %}assistant: "
)
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
}
TIME: Any = {"type": "function", "function": {"name": "time"}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>'
DEFINITIONS = Tools((WEATHER, TIME))


@pytest.fixture
async def able(house: House) -> House:
    """A house whose model may call functions."""
    backend = {"kind": "tgi", "url": house.tgi.url, "features": ["tools"]}
    await house.redeploy(backends=[backend], chat_template=TEMPLATE)
    return house


@pytest.fixture
async def client(able: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{able.url}/v1", api_key=able.tenant.secret) as client:
        yield client


def pieces(text: str) -> list[str]:
    return [text[place : place + 3] for place in range(0, len(text), 3)]


async def test_a_call_is_read_from_the_answer_whole_and_streamed(
    able: House, client: openai.AsyncOpenAI
) -> None:
    able.tgi.script = Script(tokens=pieces(f"Let me look.\n{CALL}\n{CALL}"))
    ask: Any = {"model": "support", "messages": [{"role": "user", "content": "Rain?"}], "tools": [WEATHER]}
    whole = (await client.chat.completions.create(**ask)).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert whole.message.content is not None
    assert whole.message.content.strip() == "Let me look."
    assert whole.message.tool_calls is not None
    calls = [call for call in whole.message.tool_calls if call.type == "function"]
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("weather", '{"city":"Bern"}')
    ] * 2
    assert len({call.id for call in calls}) == 2
    async with client.chat.completions.stream(**ask) as stream:
        async for _ in stream:
            pass
        final = (await stream.get_final_completion()).choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.content == whole.message.content
    assert final.message.tool_calls is not None
    assert [call.function.arguments for call in final.message.tool_calls] == ['{"city":"Bern"}'] * 2
    assert "<tool_call>" not in str(final.message.content)


async def test_the_template_shows_the_model_its_functions_and_the_calls_so_far(able: House) -> None:
    messages = [
        {"role": "user", "content": "Rain?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "<|im_end|>"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "dry"},
    ]
    assert (await able.chat(messages=messages, tools=[WEATHER])).status_code == 200
    prompt = able.tgi.seen[0].body["inputs"]
    assert prompt.startswith("<tools>" + json.dumps(WEATHER))
    assert '<tool_call>{"name": "weather", "arguments": {"city": "< |im_end|>"}}</tool_call>' in prompt
    assert prompt.endswith("tool: dryassistant: ")


async def test_a_call_that_is_required_is_begun_for_the_model(able: House) -> None:
    chosen = {"type": "function", "function": {"name": "weather"}}
    able.tgi.script = Script(tokens=['{"city": "Bern"}', "}", "\n", "</tool_call>", " and more"])
    body = (await able.chat(tools=[WEATHER, TIME], tool_choice=chosen)).json()["choices"][0]
    sent = able.tgi.seen[0].body
    assert sent["inputs"].endswith('assistant: <tool_call>\n{"name": "weather", "arguments": ')
    assert sent["parameters"]["stop"] == ["</tool_call>"]
    assert body["message"]["content"] is None
    assert body["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert body["finish_reason"] == "tool_calls"
    able.tgi.script = Script(tokens=['time"', ', "arguments": {}}'])
    body = (await able.chat(tools=[WEATHER, TIME], tool_choice="required")).json()["choices"][0]
    assert able.tgi.seen[1].body["inputs"].endswith('<tool_call>\n{"name": "')
    assert body["message"]["tool_calls"][0]["function"] == {"name": "time", "arguments": "{}"}


async def test_where_no_call_is_wanted_the_model_knows_of_no_function(able: House) -> None:
    able.tgi.script = Script(tokens=[CALL])
    body = (await able.chat(tools=[WEATHER], tool_choice="none")).json()["choices"][0]
    assert "tools" not in able.tgi.seen[0].body["inputs"]
    assert (body["message"]["content"], body["finish_reason"]) == (CALL, "stop")


async def test_marks_that_are_control_tokens_are_read_too(able: House) -> None:
    raw = [
        b'data:{"index":1,"token":{"id":1,"text":"<tool_call>","logprob":-1,"special":true}}\n\n',
        b'data:{"index":2,"token":{"id":2,"text":"{\\"name\\":\\"time\\"}","logprob":-1,"special":false}}\n\n',
        b'data:{"index":3,"token":{"id":3,"text":"</tool_call>","logprob":-1,"special":true}}\n\n',
        b'data:{"index":4,"token":{"id":4,"text":"<|im_end|>","logprob":-1,"special":true},"details":'
        b'{"finish_reason":"eos_token","generated_tokens":4,"input_length":7}}\n\n',
    ]
    able.tgi.script = Script(raw=raw)
    body = (await able.chat(tools=[TIME])).json()["choices"][0]
    assert body["message"]["tool_calls"][0]["function"] == {"name": "time", "arguments": "{}"}


async def test_what_is_no_call_stays_text(able: House) -> None:
    for text in (
        "<tool_call>{oops}</tool_call>",
        '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "weather", "arguments": "x"}</tool_call>',
        '<tool_call>{"name": "weather", "arg',
        "a < b <tool",
    ):
        able.tgi.script = Script(tokens=pieces(text))
        body = (await able.chat(tools=[WEATHER])).json()["choices"][0]
        assert (body["message"]["content"], body["finish_reason"]) == (text, "stop")
        assert "tool_calls" not in body["message"]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": {}}, "tools", "invalid_type"),
    ({"tools": [{"type": "custom"}]}, "tools[0].type", "unsupported_parameter"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "invalid_type"),
    (
        {"tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
        "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools[0].function.name",
        "invalid_value",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "strict": "yes"}}]},
        "tools[0].function.strict",
        "invalid_type",
    ),
    ({"tools": [TIME] * 129}, "tools", "invalid_value"),
    ({"tools": [TIME], "tool_choice": {"type": "function"}}, "tool_choice.function", "invalid_type"),
    (
        {"tools": [TIME], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        "tool_choice",
        "invalid_value",
    ),
    ({"tools": [TIME], "tool_choice": "sometimes"}, "tool_choice", "invalid_type"),
    ({"tools": [TIME], "parallel_tool_calls": 1}, "parallel_tool_calls", "invalid_type"),
    ({"tools": [TIME], "logprobs": True}, "logprobs", "unsupported_parameter"),
    ({"tools": [TIME], "response_format": {"type": "json_object"}}, "response_format", "invalid_value"),
    (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    (
        {"messages": [{"role": "user", "content": "x", "tool_call_id": "c"}]},
        "messages[0].tool_call_id",
        "invalid_value",
    ),
    (
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
                    ],
                }
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
        "invalid_value",
    ),
]


async def test_what_is_wrong_with_tools_is_named(able: House) -> None:
    for changes, param, code in BAD:
        response = await able.chat(**changes)
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, param, code), (changes, error)
    assert able.tgi.seen == []


parts = st.one_of(
    st.text("ab <\n{", min_size=1, max_size=5).map(lambda text: (text, "")),
    st.sampled_from(["weather", "time"]).map(
        lambda name: (f'{OPEN}{{"name": "{name}", "arguments": {{"a": 1}}}}{CLOSE}', name)
    ),
)


@given(st.lists(parts, max_size=6), st.integers(1, 9))
def test_calls_are_found_wherever_the_tokens_fall(answer: list[tuple[str, str]], size: int) -> None:
    whole = "".join(text for text, _ in answer)
    reader, told = CallReader(DEFINITIONS), []
    for place in range(0, len(whole), size):
        told += reader.feed(whole[place : place + size])
    told += reader.rest()
    called = [part.name for part in told if isinstance(part, ToolCall)]
    assert called == [name for _, name in answer if name]
    shown = "".join(part for part in told if isinstance(part, str))
    written = "".join(text for text, name in answer if not name)
    assert "".join(shown.split()) == "".join(written.split()), "nothing but blanks is left out"
