"""Everything that is refused, and how."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.inference.gateway.house import House, Tenant, deployment

USER = {"role": "user", "content": "Hi"}

BAD_PARAMETERS: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": "Hi"}, "messages", "invalid_type"),
    ({"messages": ["Hi"]}, "messages[0]", "invalid_type"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": 1, "content": "Hi"}]}, "messages[0].role", "invalid_type"),
    ({"messages": [{"role": "god", "content": "Hi"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"role": "tool", "content": "Hi"}]}, "messages[0].role", "unsupported_parameter"),
    ({"messages": [USER, {"role": "user", "content": 7}]}, "messages[1].content", "invalid_type"),
    ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content", "invalid_value"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content", "invalid_value"),
    ({"messages": [USER | {"name": "Ada"}]}, "messages[0].name", "unsupported_parameter"),
    ({"messages": [USER | {"colour": "red"}]}, "messages[0].colour", "unknown_parameter"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content[0].type",
        "unsupported_parameter",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        "messages[0].content[0].type",
        "unsupported_parameter",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
        "messages[0].content[0].text",
        "invalid_type",
    ),
    ({"model": None}, "model", "missing_required_parameter"),
    ({"model": 7}, "model", "invalid_type"),
    ({"model": ""}, "model", "invalid_value"),
    ({"temperature": 2.1}, "temperature", "invalid_value"),
    ({"temperature": -1}, "temperature", "invalid_value"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"top_p": 1.5}, "top_p", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ({"max_completion_tokens": -3}, "max_completion_tokens", "invalid_value"),
    ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_value"),
    ({"frequency_penalty": 3}, "frequency_penalty", "invalid_value"),
    ({"presence_penalty": 0.5}, "presence_penalty", "unsupported_parameter"),
    ({"presence_penalty": "x"}, "presence_penalty", "invalid_type"),
    ({"seed": 1.5}, "seed", "invalid_type"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
    ({"stop": [""]}, "stop", "invalid_value"),
    ({"stop": 7}, "stop", "invalid_type"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"stream": True, "stream_options": {"pace": 1}}, "stream_options.pace", "unknown_parameter"),
    ({"n": 129}, "n", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"n": True}, "n", "invalid_type"),
    ({"logit_bias": {"5": 100}}, "logit_bias", "unsupported_parameter"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5", "invalid_value"),
    ({"logit_bias": {"five": 1}}, "logit_bias", "invalid_value"),
    ({"logit_bias": [1]}, "logit_bias", "invalid_type"),
    ({"logprobs": 1}, "logprobs", "invalid_type"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"logprobs": True, "top_logprobs": 2}, "top_logprobs", "unsupported_parameter"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
    ({"tool_choice": "required"}, "tool_choice", "unsupported_parameter"),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
    ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", "invalid_value"),
    ({"user": 5}, "user", "invalid_type"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "a", "format": "mp3"}}, "audio", "unsupported_parameter"),
    ({"prediction": {"type": "content", "content": "x"}}, "prediction", "unsupported_parameter"),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    ({"reasoning_effort": "high"}, "reasoning_effort", "unsupported_parameter"),
    ({"service_tier": "priority"}, "service_tier", "unsupported_parameter"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_object"}}, "response_format", "unsupported_parameter"),
    ({"response_format": {"type": "regex", "value": "a+"}}, "response_format", "unsupported_parameter"),
    ({"response_format": {"type": "regex"}}, "response_format.value", "invalid_type"),
    (
        {"response_format": {"type": "json_object", "schema": {}}},
        "response_format.schema",
        "unknown_parameter",
    ),
    ({"response_format": {"type": "json"}}, "response_format.value", "invalid_type"),
    ({"repetition_penalty": 0}, "repetition_penalty", "invalid_value"),
    ({"best_of": 2}, "best_of", "unknown_parameter"),
    ({"prompt": "Once"}, "prompt", "invalid_type"),
    ({"colour": "red"}, "colour", "unknown_parameter"),
]

HARMLESS: list[dict[str, Any]] = [
    {"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be kind"}]}, USER]},
    {"temperature": 0, "top_p": 1, "presence_penalty": 0, "n": 1, "store": False, "logit_bias": {}},
    {"user": "u", "metadata": {"a": "b"}, "safety_identifier": "s", "prompt_cache_key": "k"},
    {"tools": [], "tool_choice": "none", "modalities": ["text"], "service_tier": "auto"},
    {"response_format": {"type": "text"}, "seed": -5, "stop": None, "logprobs": False},
    {"frequency_penalty": None, "stream": None, "max_tokens": None, "reasoning_effort": None},
]


async def test_every_bad_parameter_is_refused_by_name_and_never_reaches_the_model(house: House) -> None:
    for changes, param, code in BAD_PARAMETERS:
        response = await house.chat(**changes)
        error = response.json()["error"]
        assert (response.status_code, error["param"], error["code"]) == (400, param, code), changes
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    assert house.tgi.seen == []
    assert await house.records(0) == []


async def test_parameters_that_ask_for_nothing_special_are_accepted(house: House) -> None:
    for changes in HARMLESS:
        response = await house.chat(**changes)
        assert response.status_code == 200, (changes, response.json())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "invalid_json"),
        (b"", "invalid_json"),
        (b'{"model": "a\x00"}', "invalid_json"),
        (b'{"model": "\xff"}', "invalid_json"),
        (b'{"model": "\\ud800"}', "invalid_json"),
        (b"NaN", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "invalid_type"),
        (b'"text"', "invalid_type"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(house: House, content: bytes, code: str) -> None:
    headers = house.tenant.headers | {"content-type": "application/json"}
    response = await house.client.post("/v1/chat/completions", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)


async def test_a_deeply_nested_schema_is_refused(house: House) -> None:
    schema: dict[str, Any] = {}
    for _ in range(200):
        schema = {"properties": {"a": schema}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = await house.chat(response_format=wanted)
    assert response.json()["error"]["param"] == "response_format.json_schema.schema"


async def test_a_body_beyond_the_limit_is_refused(house: House) -> None:
    response = await house.chat(messages=[{"role": "user", "content": "x" * (5 * 1024 * 1024)}])
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


async def test_form_data_and_compressed_bodies_are_refused(house: House) -> None:
    form = await house.client.post("/v1/chat/completions", data={"a": "b"}, headers=house.tenant.headers)
    headers = house.tenant.headers | {"content-type": "application/json", "content-encoding": "gzip"}
    packed = await house.client.post("/v1/chat/completions", content=b"x", headers=headers)
    assert (form.status_code, packed.status_code) == (415, 415)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic lw_x", "Bearer sk-123", "Bearer lw_no"])
async def test_a_missing_malformed_or_unknown_key_is_401(house: House, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    for response in (
        await house.client.post("/v1/chat/completions", json={}, headers=headers),
        await house.client.get("/v1/models", headers=headers),
    ):
        assert response.status_code == 401
        error = response.json()["error"]
        assert (error["type"], error["code"], error["param"]) == (
            "invalid_request_error",
            "invalid_api_key",
            None,
        )


async def test_an_expired_key_is_401_and_a_powerless_one_403(house: House) -> None:
    await house.publisher.key(house.tenant, expires_at=1)
    await asyncio.sleep(0.2)
    assert (await house.chat()).status_code == 401
    await house.publisher.key(house.tenant, permissions=["files.read"])
    await asyncio.sleep(0.2)
    response = await house.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (403, "insufficient_permissions")


async def test_headers_that_name_another_project_or_organization_are_401(house: House) -> None:
    own = "proj_" + house.tenant.project_id.replace("-", "")
    headers = house.tenant.headers
    assert (
        await house.client.get("/v1/models", headers=headers | {"openai-project": own})
    ).status_code == 200
    for name, code in (
        ("openai-project", "mismatched_project"),
        ("openai-organization", "mismatched_organization"),
    ):
        response = await house.client.get("/v1/models", headers=headers | {name: "proj_" + "0" * 32})
        assert (response.status_code, response.json()["error"]["code"]) == (401, code)


async def test_a_stranger_cannot_see_that_a_model_exists(house: House) -> None:
    stranger = Tenant.new()
    await house.publisher.key(stranger)
    foreign, unknown = await house.chat(tenant=stranger), await house.chat(tenant=stranger, model="support")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert foreign.json()["error"]["code"] == "model_not_found"
    listed = await house.client.get("/v1/models", headers=stranger.headers)
    assert listed.json() == {"object": "list", "data": []}
    assert (await house.client.get("/v1/models/support", headers=stranger.headers)).status_code == 404


async def test_a_project_published_under_another_organization_serves_nothing(house: House) -> None:
    confused = Tenant.new()
    await house.publisher.key(house.tenant, organization_id=confused.organization_id)
    await asyncio.sleep(0.2)
    assert (await house.chat()).status_code == 404


async def test_a_model_that_is_not_ready_says_so_and_when_to_come_back(house: House) -> None:
    await house.publisher.project(house.tenant, deployment(house.tgi.url, state="loading"))
    await asyncio.sleep(0.2)
    response = await house.chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_not_ready")
    assert int(response.headers["retry-after"]) > 0


async def test_models_are_listed_in_openais_shape(house: House) -> None:
    names = ["support", "ft:smollm2:acme::v1/x"]
    await house.publisher.project(house.tenant, *(deployment(house.tgi.url, alias=name) for name in names))
    await asyncio.sleep(0.2)
    listed = (await house.client.get("/v1/models", headers=house.tenant.headers)).json()
    assert [one["id"] for one in listed["data"]] == names
    one = await house.client.get("/v1/models/ft%3Asmollm2%3Aacme%3A%3Av1%2Fx", headers=house.tenant.headers)
    assert one.json() == listed["data"][1]
    assert one.json()["owned_by"] == "org-" + house.tenant.organization_id.replace("-", "")


async def test_other_paths_and_methods_get_openais_errors(house: House) -> None:
    missing = await house.client.get("/v1/nothing", headers=house.tenant.headers)
    wrong = await house.client.get("/v1/chat/completions", headers=house.tenant.headers)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_url")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


async def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(house: House) -> None:
    house.tgi.script.prompt_tokens = 3000
    response = await house.chat(messages=[{"role": "user", "content": "word " * 3000}])
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "context_length_exceeded",
        "messages",
    )
    assert "maximum context length is 2048 tokens" in error["message"]
    assert "3000 tokens" in error["message"]
    house.tgi.script.prompt_tokens = 2000
    response = await house.chat(messages=[{"role": "user", "content": "word " * 2000}], max_tokens=100)
    assert "2100 tokens (2000 in the messages, 100 in the completion)" in response.json()["error"]["message"]
    assert house.tgi.seen == []


async def test_without_a_limit_the_answer_may_fill_what_is_left(house: House) -> None:
    house.tgi.script.prompt_tokens = 2000
    assert (await house.chat(messages=[{"role": "user", "content": "word " * 2000}])).status_code == 200
    assert house.tgi.seen[0].body["parameters"]["max_new_tokens"] == 48


async def test_parameters_reach_the_model_in_its_own_words(house: House) -> None:
    response = await house.chat(
        temperature=0.5, top_p=0.9, frequency_penalty=0.25, seed=42, stop="END", max_completion_tokens=9
    )
    assert response.status_code == 200, response.text
    sent = house.tgi.seen[0].body["parameters"]
    assert {name: sent[name] for name in ("temperature", "top_p", "frequency_penalty", "seed", "stop")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.25,
        "seed": 42,
        "stop": ["END"],
    }
    assert (sent["max_new_tokens"], sent["do_sample"]) == (9, True)
    await house.chat(temperature=0)
    greedy = house.tgi.seen[1].body["parameters"]
    assert greedy["do_sample"] is False
    assert "temperature" not in greedy


async def test_a_slow_body_is_given_up(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(house.url).port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
        + house.tenant.secret.encode()
        + b"\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )
    object.__setattr__(house.gateway._config, "body_timeout_seconds", 0.2)
    assert b"408" in await reader.readline()
    writer.close()
    await writer.wait_closed()
