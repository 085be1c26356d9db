"""Responses against OpenAI's published specification, where a copy of it lies beside the repository."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.inference.gateway.house import House

SPECIFICATION = Path(__file__).parents[4] / "shared" / "reference" / "openai-openapi.json"


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    if not SPECIFICATION.exists():
        pytest.skip("no copy of OpenAI's specification here")
    document: dict[str, Any] = json.loads(SPECIFICATION.read_bytes())
    return document


def check(specification: dict[str, Any], schema: str, document: object) -> None:
    root = {"$ref": f"#/components/schemas/{schema}", "components": specification["components"]}
    # The specification marks a null usage by OpenAPI 3.0's `nullable`, which JSON Schema does not know.
    if isinstance(document, dict) and document.get("usage", 0) is None:
        document = {name: value for name, value in document.items() if name != "usage"}
    if isinstance(document, dict) and schema == "CreateChatCompletionStreamResponse":
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
    chunks = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
    assert len(chunks) == 7
    for chunk in chunks:
        check(specification, "CreateChatCompletionStreamResponse", chunk)
    models = (await house.client.get("/v1/models", headers=house.tenant.headers)).json()
    check(specification, "ListModelsResponse", models)
    check(specification, "ErrorResponse", (await house.chat(model="unknown")).json())
