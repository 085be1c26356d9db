"""Functions with `strict`: a call counts only with arguments that fit the function's schema."""

from typing import Any

import jsonschema
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from inference.gateway.faults import InvalidRequest
from inference.gateway.requests.strict_schemas import check_strict, fits
from tests.inference.gateway.fake_tgi import Script
from tests.inference.gateway.house import House
from tests.inference.gateway.test_tools import TEMPLATE

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
        "unit": {"enum": ["C", "F"]},
        "places": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/place"}},
    },
    "$defs": {"place": {"type": "object", "properties": {"at": {"type": "number"}}, "required": ["at"]}},
    "required": ["city"],
    "additionalProperties": False,
}
STRICT: Any = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA, "strict": True}}
LOOSE: Any = {"type": "function", "function": {"name": "time", "parameters": SCHEMA}}


@pytest.fixture
async def able(house: House) -> House:
    backend = {"kind": "tgi", "url": house.tgi.url, "features": ["tools"]}
    await house.redeploy(backends=[backend], chat_template=TEMPLATE)
    return house


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


async def test_a_call_that_fits_is_told_and_any_other_stays_text(able: House) -> None:
    for arguments, counts in (('{"city":"Bern"}', True), ('{"city":5}', False), ('{"town":"Bern"}', False)):
        able.tgi.script = Script(tokens=[call("weather", arguments)])
        message = (await able.chat(tools=[STRICT])).json()["choices"][0]["message"]
        assert ("tool_calls" in message) == counts, arguments
        assert (message["content"] is None) == counts
        streamed = (await able.chat(tools=[STRICT], stream=True)).text
        assert ("tool_calls" in streamed) == counts
    able.tgi.script = Script(tokens=[call("time", '{"town":"Bern"}')])
    assert "tool_calls" in (await able.chat(tools=[STRICT, LOOSE])).text, "only who is strict is held to it"


async def test_the_model_is_not_told_who_is_strict(able: House) -> None:
    await able.chat(tools=[STRICT])
    assert '"city"' in able.tgi.seen[0].body["inputs"]
    assert "strict" not in able.tgi.seen[0].body["inputs"]


class Weather(BaseModel):
    """Tells the weather."""

    city: str
    days: int


async def test_the_official_helpers_functions_are_called_and_parsed(able: House) -> None:
    able.tgi.script = Script(tokens=[call("Weather", '{"city": "Bern", "days": 3}')])
    async with openai.AsyncOpenAI(base_url=f"{able.url}/v1", api_key=able.tenant.secret) as client:
        answer = await client.chat.completions.parse(
            model="support",
            messages=[{"role": "user", "content": "Rain?"}],
            tools=[openai.pydantic_function_tool(Weather)],
        )
    (made,) = answer.choices[0].message.tool_calls or []
    assert made.function.parsed_arguments == Weather(city="Bern", days=3)


async def test_a_response_repeats_that_a_function_is_strict(able: House) -> None:
    flat = {"type": "function"} | STRICT["function"]
    body = {"model": "support", "input": "Hi", "tools": [flat]}
    answer = (await able.client.post("/v1/responses", json=body, headers=able.tenant.headers)).json()
    assert answer["tools"] == [flat]


@pytest.mark.parametrize(
    ("schema", "param", "code"),
    [
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "properties.a.pattern", "unsupported_parameter"),
        ({"format": "email"}, "format", "invalid_value"),
        ({"type": "text"}, "type", "invalid_value"),
        ({"type": [["object"]]}, "type", "invalid_value"),
        ({"anyOf": [{"required": [1]}]}, "anyOf[0].required", "invalid_value"),
        ({"$ref": "#/$defs/none"}, "$ref", "invalid_value"),
        ({"$ref": "https://elsewhere.example/schema"}, "$ref", "invalid_value"),
        ({"properties": {"a": 1}}, "properties", "invalid_value"),
        ({"minLength": True}, "minLength", "invalid_value"),
    ],
)
async def test_a_schema_to_which_no_call_could_be_held_is_refused(
    able: House, schema: dict[str, Any], param: str, code: str
) -> None:
    function = {"name": "f", "parameters": schema, "strict": True}
    error = (await able.chat(tools=[{"type": "function", "function": function}])).json()["error"]
    assert (error["param"], error["code"]) == (f"tools[0].function.parameters.{param}", code)
    assert able.tgi.seen == []


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.floats(-2, 2) | st.sampled_from(["", "C", "Bern"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["city", "days", "unit", "places", "at"]), inner, max_size=4)
    ),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.booleans()
    | st.sampled_from(
        [
            {"type": "string"},
            {"type": ["integer", "null"], "exclusiveMinimum": 2, "exclusiveMaximum": 9},
            {"type": "number", "minimum": 0},
            {"enum": ["C", 1, None]},
            {"const": True},
            {"maxLength": 1},
            {"minItems": 1},
        ]
    ),
    lambda inner: (
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"items": inner})
        | st.fixed_dictionaries(
            {
                "properties": st.dictionaries(st.sampled_from(["city", "days", "at"]), inner, max_size=3),
                "required": st.lists(st.sampled_from(["city", "at"]), max_size=2, unique=True),
                "additionalProperties": inner,
            }
        )
    ),
    max_leaves=6,
)


@given(st.just(SCHEMA) | SCHEMAS, DOCUMENTS)
def test_what_fits_is_what_json_schema_says(schema: Any, document: Any) -> None:
    check_strict(schema, "parameters")
    assert fits(schema, document) == jsonschema.Draft202012Validator(schema).is_valid(document)


def test_formats_are_held_to() -> None:
    kept = {"date": "2026-11-27", "date-time": "2026-11-27T17:00:00Z", "time": "17:00:00", "ipv4": "10.0.0.1"}
    for kind, text in kept.items():
        assert fits({"format": kind}, text), kind
        assert not fits({"format": kind}, "Bern"), kind
    assert not fits({"format": "date-time"}, "2026-11-27")
    assert fits({"format": "date"}, 5), "a format is one of texts"


def test_a_schema_that_turns_in_a_circle_ends_and_fits_nothing() -> None:
    circle = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}
    check_strict(circle, "parameters")
    assert not fits(circle, {})


def test_a_schema_that_holds_itself_is_held_to_as_deep_as_the_document_goes() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}, "additionalProperties": False}
    assert fits(tree, {"next": {"next": {}}})
    assert not fits(tree, {"next": {"other": {}}})


def test_a_missing_function_schema_lets_any_arguments_pass() -> None:
    assert fits(True, {"a": 1})
    with pytest.raises(InvalidRequest):
        check_strict({"nothing": 1}, "parameters")
