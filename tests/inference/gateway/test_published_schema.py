"""Responses against the published specifications."""

import json
from typing import Any

import jsonschema
import pytest

from tests.inference.gateway.house import House
from tests.published.schemas import schemas


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    return {"components": {"schemas": schemas("openai")}}


@pytest.fixture(scope="module")
def of_tgi() -> dict[str, Any]:
    return {"components": {"schemas": schemas("tgi")}}


STREAMED = {"CreateChatCompletionStreamResponse", "CreateCompletionResponse"}


def chunks_of(text: str, start: str = "data: ") -> list[Any]:
    lines = [line for line in text.splitlines() if line.startswith(start + "{")]
    return [json.loads(line.removeprefix(start)) for line in lines]


def check(specification: dict[str, Any], schema: str, document: object) -> None:
    root = {"$ref": f"#/components/schemas/{schema}", "components": specification["components"]}
    # The specification marks a null usage by OpenAPI 3.0's `nullable`, which JSON Schema does not know.
    if isinstance(document, dict) and document.get("usage", 0) is None:
        document = {name: value for name, value in document.items() if name != "usage"}
    if isinstance(document, dict) and schema in STREAMED:
        for choice in document["choices"]:
            for name in ("finish_reason", "logprobs"):
                if choice.get(name, 0) is None:
                    choice[name] = {"finish_reason": "stop", "logprobs": {"content": [], "refusal": []}}[name]
    jsonschema.Draft202012Validator(root).validate(document)


async def test_bodies_and_chunks_follow_the_published_schema(
    house: House, specification: dict[str, Any]
) -> None:
    check(specification, "CreateChatCompletionResponse", (await house.chat()).json())
    check(specification, "CreateChatCompletionResponse", (await house.chat(logprobs=True)).json())
    stream = await house.chat(stream=True, stream_options={"include_usage": True})
    chunks = chunks_of(stream.text)
    assert len(chunks) == 7
    for chunk in chunks:
        check(specification, "CreateChatCompletionStreamResponse", chunk)
    models = (await house.client.get("/v1/models", headers=house.tenant.headers)).json()
    check(specification, "ListModelsResponse", models)
    check(specification, "ErrorResponse", (await house.chat(model="unknown")).json())


async def test_completions_follow_the_published_schema(house: House, specification: dict[str, Any]) -> None:
    for changes in ({}, {"logprobs": 1}, {"n": 2, "prompt": ["a", "b"], "echo": True}):
        if "logprobs" in changes:
            features = {"kind": "tgi", "url": house.tgi.url, "features": ["top_logprobs"]}
            await house.redeploy(backends=[features])
        check(specification, "CreateCompletionResponse", (await house.complete(**changes)).json())
        stream = await house.complete(stream=True, stream_options={"include_usage": True}, **changes)
        chunks = chunks_of(stream.text)
        assert len(chunks) >= 6
        for chunk in chunks:
            check(specification, "CreateCompletionResponse", chunk)
    check(specification, "ErrorResponse", (await house.complete(model="unknown")).json())


async def test_tgi_native_answers_follow_tgis_published_schema(house: House, of_tgi: dict[str, Any]) -> None:
    await house.redeploy(backends=[{"kind": "tgi", "url": house.tgi.url, "features": ["top_logprobs"]}])
    house.tgi.script.top = [("a", -1.0)]
    asked = {"details": True, "top_n_tokens": 1, "do_sample": True, "seed": 5}
    validate_native(of_tgi, "GenerateResponse", (await house.native()).json())
    validate_native(of_tgi, "GenerateResponse", (await house.native(parameters=asked)).json())
    best = {"best_of": 2, "do_sample": True, "details": True}
    validate_native(of_tgi, "GenerateResponse", (await house.native(parameters=best)).json())
    streamed = chunks_of((await house.native("/generate_stream", parameters=asked)).text, "data:")
    assert len(streamed) == 5
    for event in streamed:
        validate_native(of_tgi, "StreamResponse", event)
    validate_native(of_tgi, "TokenizeResponse", (await house.native("/tokenize")).json())
    info = (await house.client.get("/tgi/support/info", headers=house.tenant.headers)).json()
    validate_native(of_tgi, "Info", info)
    validate_native(of_tgi, "ErrorResponse", (await house.native(model="unknown")).json())


def validate_native(of_tgi: dict[str, Any], schema: str, document: object) -> None:
    """OpenAPI 3.0 says `nullable` where JSON Schema has a further type."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": _as_json_schema(of_tgi["components"])}
    jsonschema.Draft202012Validator(root).validate(document)


def _as_json_schema(node: Any) -> Any:
    if isinstance(node, list):
        return [_as_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    told = {name: _as_json_schema(value) for name, value in node.items() if name != "nullable"}
    return {"anyOf": [told, {"type": "null"}]} if node.get("nullable") is True else told
